"""Shares, scores, assignment, follow-up and leak rate of leads, by hand."""

import math

import numpy as np
import pytest

import funnel as fn
from funnel.errors import SchemaMismatchError, UnknownColumnError, ValidationError
from funnel.metrics.leads import (
    BANDS,
    AssignmentRule,
    Band,
    NumberPoints,
    Scorecard,
    ValuePoints,
    assign_leads,
    follow_up,
    lead_shares,
    leak_rate,
    summarize_follow_up,
)
from funnel.testing import fixtures

LADDER = fn.Funnel(["Lead", "Opportunity"])
START = np.datetime64("2026-01-01")


def leads(paths, *, until=60, **columns):
    """One lead per (source, day created, [(stage, day), ...]); further columns one value a lead."""
    rows, of = [], []
    for i, (source, born, steps) in enumerate(paths):
        for stage, day in [("Lead", born), *steps]:
            rows.append((f"L{i}", stage, day, source))
            of.append(i)
    return fn.History.from_columns(
        funnel=LADDER,
        id=[row[0] for row in rows],
        stage=[row[1] for row in rows],
        at=START + np.array([row[2] for row in rows]),
        source=[row[3] for row in rows],
        observed_from=START,
        observed_until=START + until,
        **{name: np.array(values)[of] for name, values in columns.items()},
    )


# --- shares --------------------------------------------------------------------------------------


def test_shares_add_up_within_each_period():
    """January: 1 of 4 from the fair, which has the only win; February: 1 of 1 from the web."""
    book = [
        ("fair", 0, [("Won", 10)]),
        ("web", 1, []),
        ("web", 2, [("Lost", 20)]),
        ("mail", 3, []),
        ("web", 40, []),
    ]
    found = lead_shares(leads(book), period="month")
    labels = found.to_columns()
    january = labels["period"] == "2026-01"
    assert ["fair", "mail", "web"] == labels["source"][january].tolist()
    assert [0.25, 0.25, 0.5] == found.share_of_leads[january].tolist()
    assert [1.0, 0.0, 0.0] == found.share_of_wins[january].tolist()
    assert [4.0, 0.0, 0.0] == found.index[january].tolist()
    february = labels["period"] == "2026-02"
    assert [0.0, 0.0, 1.0] == found.share_of_leads[february].tolist()
    assert np.isnan(found.share_of_wins[february]).all()
    assert np.isnan(found.share_of_leads[labels["period"] == "2026-03"]).all()
    assert (labels["leads_low"][january] < 0.51).all()
    assert (labels["leads_high"][january] > found.share_of_leads[january]).all()
    assert "Shares of leads" in str(found)


def test_shares_by_a_column_that_is_not_there():
    """Did you mean."""
    with pytest.raises(UnknownColumnError, match="Did you mean 'source'"):
        lead_shares(leads([("fair", 0, [])]), by=("sources",))


# --- scores --------------------------------------------------------------------------------------

CARD = Scorecard(
    [
        ValuePoints("industry", {"bank": 40, "retail": 10}, otherwise=5, unknown=-5),
        NumberPoints("employees", {1000: 40, 100: 20}, below=1, unknown=2),
    ]
)


def pipeline(**changes):
    """Six leads; the last one is lost."""
    given = {
        "funnel": LADDER,
        "as_of": "2026-06-30",
        "id": ["A", "B", "C", "D", "E", "F"],
        "stage": ["Lead"] * 5 + ["Lost"],
        "created": ["2026-06-20", "2026-06-01", "2026-06-30", "NaT", "2026-06-29", "2026-06-01"],
        "industry": ["bank", "retail", "mining", "", "bank", "bank"],
        "employees": [1000.0, 999.0, 99.0, np.nan, 100.0, 5000.0],
        "region": ["north", "north", "south", "", "north", "north"],
    }
    return fn.Pipeline.from_columns(**{**given, **changes})


def test_points_add_up_to_grades_with_deadlines():
    """40 + 40 is A (a week), 10 + 20 is C (none), 40 + 20 is B (two weeks); thresholds count."""
    found = CARD.apply(pipeline())
    assert [80.0, 30.0, 6.0, -3.0, 60.0, 80.0] == found.score.tolist()
    assert ["A", "C", "C", "C", "B", "A"] == found.band.tolist()
    due = found.to_columns()["due"].astype(str).tolist()
    assert ["2026-06-27", "NaT", "NaT", "NaT", "2026-07-13", "2026-06-08"] == due
    assert {"A": 2, "B": 1, "C": 3} == found.counts()
    assert ["A", "F", "E"] == found.best(3).ids.tolist()
    assert "LeadScores(6 leads as of 2026-06-30: 2 A, 1 B, 3 C)" == repr(found)
    assert [40.0, 10.0, 5.0, -5.0, 40.0, 40.0] == found.to_columns()["industry_points"].tolist()
    assert "industry_points" in str(found)


def test_a_deadline_without_a_day_of_creation_is_unknown():
    """An A lead of unknown age."""
    found = CARD.apply(pipeline(created=["NaT"] * 6))
    assert np.isnat(found.to_columns()["due"]).all()


def test_points_that_never_apply_and_scores_without_a_band_are_said():
    """A misspelt value; a score under the lowest band."""
    card = Scorecard([ValuePoints("industry", {"bnak": 9})], bands=[Band("hot", at_least=5)])
    found = card.apply(pipeline())
    assert [""] * 6 == found.band.tolist()
    assert "Did you mean 'bank'?" in found.notes[0]
    assert "6 scores are under the lowest band" in found.notes[1]
    assert "Did you mean" in str(found)


def test_many_scores_show_the_best():
    """Of 30 leads the text shows 20, the frame all."""
    many = fn.Pipeline.from_columns(
        funnel=LADDER,
        as_of="2026-06-30",
        id=[f"L{i:02}" for i in range(30)],
        stage=["Lead"] * 30,
        employees=np.arange(30.0),
    )
    found = Scorecard([NumberPoints("employees", {25: 50})]).apply(many)
    assert 30 == len(found.to_columns()["id"])
    assert str(found).count("\nL") == 20
    assert "L29" in str(found)
    assert "L24" not in str(found)


def test_wrong_scorecards_are_refused():
    """Kinds, numbers, names, duplicates."""
    with pytest.raises(ValidationError, match="use NumberPoints"):
        Scorecard([ValuePoints("employees", {"1": 2})]).apply(pipeline())
    with pytest.raises(ValidationError, match="number column"):
        Scorecard([NumberPoints("industry", {1: 2})]).apply(pipeline())
    with pytest.raises(UnknownColumnError):
        Scorecard([NumberPoints("staff", {1: 2})]).apply(pipeline())
    with pytest.raises(ValidationError, match="finite"):
        ValuePoints("industry", {"bank": math.inf})
    with pytest.raises(ValidationError, match="finite"):
        NumberPoints("employees", {math.nan: 1})
    with pytest.raises(ValidationError, match="empty"):
        ValuePoints("industry", {})
    with pytest.raises(ValidationError, match="one for each column"):
        Scorecard([])
    with pytest.raises(ValidationError, match="different names"):
        Scorecard(CARD.rules, bands=[Band("A", at_least=1), Band("A", at_least=2)])
    with pytest.raises(ValidationError, match="days"):
        Band("A", at_least=1, days=-1)
    with pytest.raises(ValidationError, match="finite"):
        Band("A", at_least=math.nan)
    assert Scorecard(CARD.rules, bands=reversed(BANDS)) == CARD
    assert hash(Scorecard(CARD.rules)) == hash(CARD)


# --- assignment ----------------------------------------------------------------------------------


def test_rules_come_in_order_and_owners_in_turns():
    """North in turns to Ann and Bo, whatever is left to Cy; closed deals are not leads."""
    rules = [AssignmentRule(["Ann", "Bo"], where={"region": "north"}), AssignmentRule("Cy")]
    found = assign_leads(pipeline(), rules)
    assert ["A", "B", "C", "D", "E"] == found.ids.tolist()
    assert ["Ann", "Bo", "Cy", "Cy", "Ann"] == found.owner.tolist()
    assert ["rule 1", "rule 1", "rule 2", "rule 2", "rule 1"] == found.rule.tolist()
    assert {"Ann": 2, "Bo": 1, "Cy": 2} == dict(found.loads)
    assert () == found._notes


def test_who_is_full_gets_no_more():
    """Ann takes 1: the other two go to Bo, who takes 1, and the last is left over."""
    rules = [AssignmentRule(["Ann", "Bo"], where={"region": ["north", "south"]}, name="home")]
    found = assign_leads(pipeline(), rules, capacity={"Ann": 1, "Bo": 2})
    assert ["Bo", "Ann", "Bo", "", ""] == found.owner.tolist()
    assert ["", "", "", "no rule", "no capacity"] == found.mark.tolist()
    assert ["home", "home", "home", "", ""] == found.rule.tolist()
    assert ["D", "E"] == found.unassigned.tolist()
    assert 2 == len(found._notes)
    assert "2 unassigned" in str(found)
    assert ["A", "B", "C", "D", "E"] == found.to_columns()["id"].tolist()


def test_capacity_counts_over_all_rules():
    """Ann is full after the first rule, so the second one is Bo's alone."""
    rules = [
        AssignmentRule(["Ann"], where={"region": "north"}),
        AssignmentRule(["Ann", "Bo"]),
    ]
    found = assign_leads(pipeline(), rules, capacity={"Ann": 2, "Bo": 9})
    assert ["Ann", "Ann", "Bo", "Bo", "Bo"] == found.owner.tolist()


def test_turns_are_in_proportion_to_capacity():
    """Of any 4 leads in a row, 3 go to the one who can take three times as many."""
    many = fn.Pipeline.from_columns(
        funnel=LADDER, as_of="2026-06-30", id=[f"{i:02}" for i in range(40)], stage=["Lead"] * 40
    )
    found = assign_leads(many, [AssignmentRule(["Ann", "Bo"])], capacity={"Ann": 30, "Bo": 10})
    assert [3] * 10 == (found.owner.reshape(10, 4) == "Ann").sum(axis=1).tolist()


def test_the_best_leads_come_first():
    """Grades are a condition, and the higher score takes the first turn."""
    scores = CARD.apply(pipeline())
    rules = [AssignmentRule("Ann", where={"band": ["A", "B"]}), AssignmentRule("Bo")]
    found = assign_leads(pipeline(), rules, scores=scores, capacity={"Ann": 1, "Bo": 1})
    assert ["Ann", "", "", "", "Bo"] == found.owner.tolist()
    with pytest.raises(ValidationError, match="same deals"):
        assign_leads(pipeline().select(np.arange(3)), rules, scores=scores)
    with pytest.raises(UnknownColumnError, match="band"):
        assign_leads(pipeline(), rules)


def test_wrong_rules_are_refused():
    """Owners, columns, capacities."""
    with pytest.raises(ValidationError, match="at least one owner"):
        AssignmentRule([])
    with pytest.raises(ValidationError, match="each once"):
        AssignmentRule(["Ann", "Ann"])
    with pytest.raises(ValidationError, match="category"):
        assign_leads(pipeline(), [AssignmentRule("Ann", where={"employees": "1"})])
    with pytest.raises(ValidationError, match="every owner"):
        assign_leads(pipeline(), [AssignmentRule("Ann")], capacity={"Bo": 1})
    with pytest.raises(ValidationError, match="capacity of 'Ann'"):
        assign_leads(pipeline(), [AssignmentRule("Ann")], capacity={"Ann": -1})
    assert ["no rule"] * 5 == assign_leads(pipeline(), []).mark.tolist()


# --- follow-up -----------------------------------------------------------------------------------


def test_follow_up_in_time_late_and_never():
    """Seven days: the seventh is in time, the eighth is late; who has time left does not count."""
    book = [
        ("web", 0, [("Opportunity", 7)]),
        ("web", 0, [("Lost", 8)]),
        ("web", 0, []),
        ("fair", 53, []),
        ("fair", 54, []),
        ("fair", 54, [("Opportunity", 55)]),
    ]
    found = follow_up(leads(book), by=("source",))
    columns = found.to_columns()
    assert ["fair", "web"] == columns["source"].tolist()
    assert [[0, 0, 1, 2, 0], [1, 1, 1, 0, 0]] == found.count.tolist()
    assert [1.0, 2 / 3] == found.missed.tolist()
    assert [1, 3] == columns["due"].tolist()
    assert (columns["low"] < found.missed).all()
    assert "not followed up" in str(found)
    past = follow_up(leads(book), as_of=START + 6)
    assert [0] == past.due.tolist()
    assert np.isnan(past.missed[0])


def test_contacts_count_as_follow_up():
    """A contact on day 3 is in time; one planned after the end or before the creation is none."""
    history = fn.History.from_columns(
        funnel=LADDER,
        id=["A", "A", "B", "B", "C", "C"],
        stage=["Lead"] * 6,
        at=START + np.array([0, 5, 0, 5, 10, 20]),
        contacted=START + np.array([-9, 3, -9, 90, 1, 1]),
        owner=["Ann"] * 6,
        observed_from=START,
        observed_until=START + 60,
    )
    assert [[1, 0, 2, 0, 0]] == follow_up(history, contact="contacted").count.tolist()
    assert [[0, 0, 3, 0, 0]] == follow_up(history).count.tolist()
    with pytest.raises(ValidationError, match="date column"):
        follow_up(history, contact="owner")


def test_the_deadline_may_come_from_the_grade():
    """A has 7 days, C none, by the size when the lead was created."""
    card = Scorecard([NumberPoints("size", {10: 80})])
    book = [("web", 0, [("Opportunity", 8)]), ("web", 0, []), ("web", 0, [("Opportunity", 2)])]
    history = leads(book, size=[20.0, 1.0, 20.0])
    assert [[1, 1, 0, 0, 1]] == follow_up(history, scorecard=card).count.tolist()


def test_who_was_first_seen_late_is_left_out():
    """Against a loop over the deals of the fixture, and merged from chunks."""
    history = fixtures.history()
    columns, expected = history.to_columns(), np.zeros(3, dtype=int)
    for name in history.ids:
        rows = np.flatnonzero(columns["id"] == name)
        if columns["created"][rows[0]] != columns["at"][rows[0]]:
            continue
        moved = [r for r in rows if columns["stage"][r] != columns["stage"][rows[0]]]
        day = columns["at"][moved[0]] if moved else None
        late = day is not None and day > columns["created"][rows[0]] + 7
        expected[2 if day is None else int(late)] += 1
    found = follow_up(history)
    assert expected.tolist() == found.count[0, :3].tolist()
    assert any("beginning was not seen" in note for note in found.notes)
    parts = [summarize_follow_up(part) for part in history.chunks(70)]
    merged = parts[0]
    for part in parts[1:]:
        merged = merged.merge(part)
    assert found.count.tolist() == merged.table().count.tolist()
    with pytest.raises(SchemaMismatchError):
        merged.merge(summarize_follow_up(history, by=("region",)))
    within = follow_up(history, period=fn.Horizon.months("2024-03-01", 1))
    assert any("outside of the periods" in note for note in within.notes)
    with pytest.raises(ValidationError, match="days"):
        follow_up(history, days=-1)


@pytest.mark.parametrize(("name", "history"), list(fixtures.tiny_histories()))
def test_tiny_histories_are_no_problem(name, history):
    """Nothing fails; nobody is counted twice."""
    assert follow_up(history).count.sum() <= history.n_deals, name
    assert history.n_deals == lead_shares(history, by=("region",)).leads.sum(), name


# --- leak rate -----------------------------------------------------------------------------------


def test_leaks_by_who_made_the_contact():
    """Ann contacted A, B (twice) and C, Bo C and D; A and C are on record."""
    found = leak_rate(
        ["A", "B", "B", "C", "C", "D"],
        ["A", "C", "Z"],
        by={"owner": ["Ann", "Ann", "Ann", "Ann", "Bo", "Bo"]},
    )
    assert ["Ann", "Bo"] == found.keys["owner"].tolist()
    assert ([3, 2], [1, 1]) == (found.contacted.tolist(), found.leaked.tolist())
    assert [1 / 3, 0.5] == found.rate.tolist()
    low, high = found.interval
    assert (low < found.rate).all()
    assert (found.rate < high).all()
    assert "Leak rate" in str(found)


def test_nobody_contacted_is_unknown():
    """A row with n = 0 and NaN."""
    found = leak_rate([], ["A"])
    assert [0] == found.contacted.tolist()
    assert np.isnan(found.rate[0])


def test_numbers_and_texts_are_the_same_ids():
    """1 and "1"."""
    assert [0.5] == leak_rate([1, 2], np.array(["1"])).rate.tolist()


def test_wrong_contacts_are_refused():
    """Empty ids, wrong lengths, a single text."""
    with pytest.raises(ValidationError, match="must not be empty; 1 of 2"):
        leak_rate(["A", ""], ["A"])
    with pytest.raises(ValidationError, match="owner"):
        leak_rate(["A", "B"], ["A"], by={"owner": ["Ann"]})
    with pytest.raises(ValidationError, match="sequence of ids"):
        leak_rate("A", ["A"])
