"""Entries and what became of them, against counting by hand; win rates against closed forms."""

import pickle

import numpy as np
import pytest

import funnel as fn
from funnel.errors import SchemaMismatchError, UnknownColumnError, ValidationError
from funnel.metrics.conversion import (
    FATES,
    conversion,
    flow_matrix,
    loss_reasons,
    stage_table,
    summarize_conversion,
    summarize_win_rates,
    win_curve,
    win_rates,
)
from funnel.testing import fixtures

START = np.datetime64("2026-01-01")
HELD = fn.Funnel(["Qualify", "Propose", fn.Stage("Hold", on_hold=True)], lost=("Lost", "Dropped"))


def walk(paths, *, until=100, funnel=HELD, **columns):
    """One deal per path: pairs of state and day; further columns are one value per deal."""
    rows = [(f"D{i}", state, day) for i, path in enumerate(paths) for state, day in path]
    n = [len(path) for path in paths]
    return fn.History.from_columns(
        funnel=funnel,
        id=[row[0] for row in rows],
        stage=[row[1] for row in rows],
        at=START + np.array([row[2] for row in rows]),
        observed_from=START,
        observed_until=START + until,
        **{name: np.repeat(np.array(values), n) for name, values in columns.items()},
    )


EVERY = walk(
    [
        [("Qualify", 0), ("Propose", 10), ("Won", 20)],
        [("Qualify", 0), ("Won", 5)],  # skips
        [("Qualify", 0), ("Hold", 10), ("Qualify", 40), ("Lost", 50)],  # comes back from hold
        [("Qualify", 0), ("Hold", 10), ("Propose", 30), ("Qualify", 60)],  # moves back
        [("Qualify", 0), ("Removed", 3)],
        [("Qualify", 0), ("Hold", 50)],
        [("Qualify", 90)],
        [("Qualify", 0), ("Lost", 10), ("Propose", 20), ("Dropped", 30)],  # reopened
    ],
    owner=["Ann", "Ann", "Bo", "Bo", "Ann", "Ann", "Ann", ""],
)


def test_every_fate_is_counted():
    """Counted by hand; a return from hold is no new entry, a return to a stage is one."""
    found = conversion(EVERY)
    # advanced, won, lost, moved back, on hold, removed, still there
    assert [2, 1, 2, 0, 1, 1, 2] == found.parts[0, 0].tolist()
    assert [0, 1, 1, 1, 0, 0, 0] == found.parts[0, 1].tolist()
    # On hold: back to the stage (an advance), on to the next one (another), and still there.
    assert [2, 0, 0, 0, 0, 0, 1] == found.parts[0, 2].tolist()
    assert pytest.approx(3 / 9) == found.so_far[0, 0]


def test_the_parts_add_up_to_the_entries_of_the_flow_table():
    """Each state's entries are its spells but for the returns from hold."""
    history = fixtures.history()
    stays = fn.spells(history)
    fresh = np.bincount(stays.stage[~stays.resumed], minlength=5)[:5]
    assert fresh.tolist() == conversion(history).entries[0].tolist()
    by = conversion(history, by=("region", "owner"), period="quarter")
    assert fresh.tolist() == by.entries.sum(axis=0).tolist()
    assert conversion(history).parts[0].tolist() == by.parts.sum(axis=0).tolist()


@pytest.mark.parametrize("within", [None, 0, 30, 90])
def test_the_parts_are_those_of_a_loop_over_deals(within):
    """The same counts, one deal after the other, in plain Python."""
    history = fixtures.history()
    expected = np.zeros((5, 7), dtype=int)
    held, ladder = history.funnel.on_hold, history.funnel.ladder
    for deal in range(history.n_deals):
        rows = range(*history.bounds[deal : deal + 2])
        path = [(int(history.stage[i]), int(history.at[i])) for i in rows]
        path = [step for i, step in enumerate(path) if not i or step[0] != path[i - 1][0]]
        for i, (stage, day) in enumerate(path):
            before = [s for s, _ in path[:i] if not held[s]]
            again = before and before[-1] == stage and i and held[path[i - 1][0]]
            if stage >= 5 or again:
                continue
            if i == 0 and not held[stage]:
                day = int(history.first_entered[deal])  # noqa: PLW2901
            if i == 0 and held[stage]:
                day = int(history.first_entered[deal])  # noqa: PLW2901
            if within is not None and day == fn.typing.NO_DAY:
                continue
            bound = history.observed_until if within is None else day + within
            j = i + 1
            if not held[stage]:
                while j < len(path) and (held[path[j][0]] or path[j][0] == stage):
                    j += 1
            if j < len(path) and path[j][1] <= bound:
                goal = path[j][0]
                place = ladder[stage] if not held[stage] else ladder[before[-1]] if before else -1
                fate = {5: 1, 6: 2, 7: 2, 8: 5}.get(goal, 0 if ladder[goal] >= place else 3)
                fate = 4 if held[goal] else fate
            else:
                now = [s for s, at in path[i:j] if at <= bound] or [stage]
                fate = 4 if held[now[-1]] and not held[stage] else 6
            expected[stage, fate] += 1
    assert expected.tolist() == conversion(history, within=within).parts[0].tolist()


def test_a_bound_censors_what_is_younger():
    """Two of four win on day 10; one is watched for 30 days, one for 5: it is not a failure."""
    history = walk(
        [
            [("Qualify", 0), ("Won", 10)],
            [("Qualify", 0), ("Won", 10)],
            [("Qualify", 70)],
            [("Qualify", 95)],
        ]
    )
    found = conversion(history, within=20)
    assert [0, 2, 0, 0, 0, 0, 2] == found.parts[0, 0].tolist()
    assert (0.5, 1) == (found.so_far[0, 0], found.young[0, 0])
    assert pytest.approx(2 / 3) == found.rate[0, 0]  # 2 of the 3 at risk on day 10
    assert found.low[0, 0] < 2 / 3 < found.high[0, 0]
    assert np.isnan(conversion(history, within=40).rate[0, 0])  # nobody was watched for 40 days
    assert "within 20 days" in str(found)


def test_what_comes_after_the_bound_does_not_count():
    """A deal won on day 30 is still there on day 20, and nothing else is said of it."""
    found = conversion(walk([[("Qualify", 0), ("Won", 30)]]), within=20)
    assert [0, 0, 0, 0, 0, 0, 1] == found.parts[0, 0].tolist()
    assert (0.0, 0) == (found.rate[0, 0], found.young[0, 0])


def test_deals_first_seen_in_mid_stage_enter_late():
    """Of three, one is won before the other two, 20 days old, are seen; one of those is won."""
    history = fn.History.from_columns(
        funnel=HELD,
        id=["A", "A", "B", "B", "C", "U"],
        stage=["Qualify", "Won", "Qualify", "Won", "Qualify", "Qualify"],
        at=START + np.array([0, 10, 0, 15, 0, 0]),
        created=START - np.array([0, 0, 20, 20, 20, 50]),
        stage_entered=[START, START, *[START - 20] * 3, np.datetime64("NaT")],
        observed_until=START + 60,
    )
    found = conversion(history)
    assert (4, 3) == (found.entries[0, 0], found.late[0, 0])
    assert 1.0 == found.rate[0, 0]  # all at risk on day 10 are won: later ages do not matter
    assert any("unknown day" in note for note in found.notes)
    assert 3 == conversion(history, within=30).entries[0, 0]
    assert 1 == summarize_conversion(history).undated


def test_groups_without_deals_have_a_row():
    """Zoe has no deal here: n is 0 and every rate unknown; unknown owners are a group."""
    history = EVERY.select(np.array([True] * 7 + [False]))
    found = conversion(history.select(np.arange(7) < 2), by=("owner",)).to_columns()
    assert ["Ann"] * 3 + ["Bo"] * 3 == found["owner"].tolist()
    assert [2, 1, 0, 0, 0, 0] == found["entries"].tolist()
    assert np.isnan(found["rate"][3:]).all()
    assert np.isnan(found["so_far"][3:]).all()
    assert "(unknown)" in str(conversion(EVERY, by=("owner",)))


def test_periods_are_cohorts_and_what_was_not_observed_is_marked():
    """Entries of January and April; the months before are there, with 0 and a mark."""
    months = fn.Horizon.months("2025-12-01", 5)
    found = conversion(EVERY, period=months)
    frame = found.to_columns()
    assert [0.0, 1.0, 1.0, 1.0] == frame["observed"][::3].tolist()[:4]
    assert [0, 7, 0, 1, 1] == found.entries[:, 0].tolist()
    assert "not observed: 2025-12" in str(found)
    assert "observed in part: 2026-04" in str(found)
    late = conversion(EVERY, period=fn.Horizon.months("2026-04-01", 1))
    assert any("outside of the periods" in note for note in late.notes)


@pytest.mark.parametrize("unit", ["week", "month", "quarter", "year"])
def test_a_unit_cuts_the_whole_window(unit):
    """Every entry is in a period."""
    found = conversion(EVERY, period=unit)
    assert 9 == found.entries[:, 0].sum()
    assert 0.0 < found.scope.observed().min()


def test_chunks_merge_to_the_whole():
    """Any split into whole deals gives the same table, to the last bit."""
    history = fixtures.history()
    for function, arguments in (
        (conversion, {"within": 60}),
        (flow_matrix, {}),
        (stage_table, {}),
        (win_rates, {}),
        (win_curve, {}),
        (loss_reasons, {}),
    ):
        asked = {"by": ("owner", "region"), "period": "quarter", **arguments}
        whole = function(history, **asked).to_columns()
        parts = function(list(history.chunks(37)), **asked).to_columns()
        for name, values in whole.items():
            np.testing.assert_array_equal(values, parts[name])


def test_summaries_travel_and_refuse_others():
    """Pickled, they are the same; of another question, they do not merge."""
    history = fixtures.history()
    summary = summarize_conversion(history, within=30)
    again = pickle.loads(pickle.dumps(summary))
    assert summary.table().parts.tolist() == again.table().parts.tolist()
    with pytest.raises(SchemaMismatchError, match="same arguments"):
        summary.merge(summarize_conversion(history, by=("owner",), within=30))
    with pytest.raises(ValidationError, match="within"):
        summary.merge(summarize_conversion(history, within=31))


def test_wrong_arguments_are_refused():
    """By name, with what would be right."""
    with pytest.raises(UnknownColumnError, match="Did you mean 'owner'"):
        conversion(EVERY, by=("ownr",))
    with pytest.raises(ValidationError, match=r"by=\('owner',\)"):
        conversion(EVERY, by="owner")
    with pytest.raises(ValidationError, match="number column"):
        conversion(EVERY, by=("amount",))
    with pytest.raises(ValidationError, match="Did you mean 'month'"):
        conversion(EVERY, period="mnth")
    with pytest.raises(ValidationError, match="within"):
        conversion(EVERY, within=-1)
    with pytest.raises(ValidationError, match="level"):
        conversion(EVERY, level=1.0)
    with pytest.raises(ValidationError, match="ages"):
        win_curve(EVERY, ages=30)
    with pytest.raises(ValidationError, match="within"):
        win_rates(EVERY, within=1.5)
    with pytest.raises(ValidationError, match="within"):
        loss_reasons(EVERY, within=True)
    with pytest.raises(ValidationError, match="reason"):
        loss_reasons(EVERY, reason="amount")
    wide = walk([[("Qualify", 0)]] * 60, **{n: list(map(str, range(60))) for n in "abcdef"})
    with pytest.raises(ValidationError, match="combinations"):
        conversion(wide, by=tuple("abcdef"))


def test_the_matrix_counts_moves_with_reopenings():
    """Skips, returns and reopenings each have a cell; the rows are the visits."""
    found = flow_matrix(EVERY)
    code = EVERY.funnel.code
    moves = found.moves[0]
    assert 1 == moves[code("Qualify"), code("Won")]
    assert 1 == moves[code("Lost"), code("Propose")]
    assert 1 == moves[code("Propose"), code("Qualify")]
    assert conversion(EVERY).entries[0].tolist() == moves.sum(axis=1)[:3].tolist()
    frame = found.to_columns()
    assert "Won" not in frame["from"]
    # Wilson's bounds of 1 of 3 at 95 %: 0.0615, 0.7923 (Brown, Cai & DasGupta 2001).
    row = np.flatnonzero((frame["from"] == "Propose") & (frame["to"] == "Won"))[0]
    assert pytest.approx((0.0615, 0.7923), abs=1e-4) == (frame["low"][row], frame["high"][row])


def test_the_sheet_holds_the_stock_at_the_ends_of_periods():
    """By hand; an owner's stock is of the deals that are his on that day."""
    history = fn.History.from_columns(
        funnel=HELD,
        id=["A", "A", "B", "B", "C"],
        stage=["Qualify", "Qualify", "Qualify", "Propose", "Propose"],
        owner=["Ann", "Bo", "Ann", "Ann", "Bo"],
        at=START + np.array([0, 40, 10, 20, 50]),
        observed_from=START,
        observed_until="2026-02-28",
    )
    months = fn.Horizon.months("2025-12-01", 3)
    found = stage_table(history, by=("owner",), period=months)
    frame = found.to_columns()
    nan = np.nan
    expected = [nan, nan, nan, 1, 1, 0, 0, 1, 0, nan, nan, nan, 0, 0, 0, 1, 1, 0]
    np.testing.assert_array_equal(expected, frame["there"])
    assert [0, 2, 0, 0, 0, 0] == found.entered.entries[:, 0].tolist()
    pipeline = history.snapshot()
    total = stage_table(history)
    assert np.bincount(pipeline.stage, minlength=3).tolist() == total.there[0].tolist()
    assert "2 / 1 / 50.0%" in str(total)


def test_stock_is_that_of_the_snapshots():
    """At every month end the same counts as `history.snapshot`."""
    history = fixtures.history()
    found = stage_table(history, period="month")
    ends = np.minimum(found.scope.periods.edges[1:] - 1, history.observed_until)
    for row, day in enumerate(ends.tolist()):
        stage = history.snapshot(np.datetime64(day, "D")).stage
        assert np.bincount(stage, minlength=9)[:5].tolist() == found.there[row].tolist()


def test_the_naive_rates_are_named():
    """4 deals: won on day 10, lost on day 40, open, created and won in February."""
    history = walk(
        [
            [("Qualify", 0), ("Won", 10)],
            [("Qualify", 0), ("Lost", 40)],
            [("Qualify", 0)],
            [("Qualify", 35), ("Won", 45)],
        ]
    )
    found = win_rates(history, period="month")
    nan = np.nan
    np.testing.assert_array_equal([1.0, 0.5, nan, nan], found.won_of_closed)
    np.testing.assert_allclose([1 / 3, 1.0, nan, nan], found.won_of_created)
    np.testing.assert_array_equal([0.5, 1.0, nan, nan], found.won_of_decided)
    np.testing.assert_allclose([1 / 3, 1.0, nan, nan], found.rate)
    np.testing.assert_allclose([1 / 3, 0.0, nan, nan], found.undecided, atol=1e-12)
    assert [3, 1, 0, 0] == found.created.tolist()
    bound = win_rates(history, within=20)
    assert 0.5 == bound.rate[0]
    assert "within 20 days" in str(bound)
    said = "rate, low, high and undecided are within 20 days of creation; all other columns count"
    assert said in str(bound)
    assert "all other columns" not in str(win_rates(history))


def test_deals_first_seen_closed_are_in_no_rate():
    """Nobody watched them while they were open."""
    history = fn.History.from_columns(
        funnel=HELD,
        id=["A", "A", "B"],
        stage=["Qualify", "Lost", "Won"],
        at=START + np.array([0, 10, 5]),
        created=START - np.array([0, 0, 50]),
    )
    found = win_rates(history)
    assert (0.5, 0.0) == (found.won_of_closed[0], found.rate[0])
    assert any("already closed" in note for note in found.notes)
    outside = win_rates(history, period="month")
    assert any("outside" in note for note in outside.notes)
    assert any("outside" in note for note in loss_reasons(history, period="month").notes)


def test_a_rate_of_one_has_an_interval():
    """Three wins of three: Wilson's lower bound is 1 / (1 + 1.96^2 / 3) = 0.4385."""
    found = win_rates(walk([[("Qualify", 0), ("Won", 10)]] * 3))
    assert 1.0 == found.rate[0] == found.high[0]
    assert pytest.approx(0.4385, abs=1e-4) == found.low[0]


def test_the_curve_ends_where_nobody_is_watched():
    """Known to the end of day 30, the last age seen."""
    history = walk(
        [[("Qualify", 70)], [("Qualify", 0), ("Won", 10)], [("Qualify", 0), ("Lost", 20)]]
    )
    found = win_curve(history, ages=(9, 10, 30, 31))
    np.testing.assert_allclose([[0.0, 1 / 3, 1 / 3, np.nan]], found.won)
    np.testing.assert_allclose([[0.0, 0.0, 1 / 3, np.nan]], found.lost)
    assert [[3, 3, 1, 0]] == found.at_risk.tolist()
    assert "still_open" in str(found)


def test_reasons_compete():
    """Chances of the reasons, of winning and of being open add up to 1; shares to 1."""
    history = fixtures.history()
    found = loss_reasons(history, within=200)
    rates = win_curve(history, ages=(200,))
    assert ("Lost", "Cancelled") == found.reasons
    assert pytest.approx(rates.lost[0, 0], abs=0.2) == found.chance.sum()
    assert pytest.approx(1.0) == found.to_columns()["share"].sum()
    named = loss_reasons(EVERY, reason="owner")
    assert ("Ann", "Bo", "") == named.reasons
    assert [[0, 1, 1]] == named.lost.tolist()
    assert "(unknown)" in str(named)


def test_an_empty_history_gives_empty_rows():
    """No deal: zeros and unknown rates, no error."""
    history = EVERY.select(np.zeros(8, dtype=bool))
    assert np.isnan(conversion(history).rate).all()
    assert np.isnan(conversion(history, within=5).rate).all()
    assert [0] == win_rates(history).created.tolist()
    assert 0 == len(flow_matrix(history).to_columns()["from"])
    assert [[0.0, 0.0, 0.0]] == stage_table(history).there.tolist()
    assert [[0, 0]] == loss_reasons(history).lost.tolist()


def test_fates_are_those_of_spells():
    """One list of words for what can become of a stay."""
    assert fn.tables._spells.FLOWS == FATES


def test_win_summary_counts_merge():
    """Twice the deals, the same rates."""
    summary = summarize_win_rates(fixtures.history())
    twice = summary.merge(summary)
    np.testing.assert_allclose(summary.table().rate, twice.table().rate)
    assert twice.table().low[0] > summary.table().low[0]
