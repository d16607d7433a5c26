"""Conversion by category and week of the period against closed forms, brute force and the truth."""

import attrs
import numpy as np
import pytest

import funnel as fn
from funnel.calendars import Calendar
from funnel.errors import InsufficientDataError, ValidationError
from funnel.models._commitment import LEVELS, categories_of
from funnel.models.category import Category

TWO = fn.Funnel(
    [
        fn.Stage("Propose", category="pipeline"),
        fn.Stage("Negotiate", category="commit"),
        fn.Stage("Other"),
    ]
)
COMMIT, PIPELINE, NONE = LEVELS.index("commit"), LEVELS.index("pipeline"), len(LEVELS) - 1
START = np.datetime64("2024-01-01")
END = np.datetime64("2025-12-31")


def constant(n, seed, *, stage, share, rate=0.03, known=None, **columns):
    """Deals of one stage that close with a constant daily hazard, a share of them won."""
    rng = np.random.default_rng(seed)
    born, wait = rng.integers(0, 720, n), rng.geometric(rate, n)
    won = rng.random(n) < share
    seen = START + born + wait <= END
    several = {
        name: np.concatenate((values, np.array(values)[seen])) for name, values in columns.items()
    }
    return fn.History.from_columns(
        funnel=TWO,
        id=np.concatenate((np.arange(n), np.arange(n)[seen])),
        stage=[
            *np.broadcast_to(np.array(stage, dtype=object), n),
            *np.where(won[seen], "Won", "Lost"),
        ],
        at=START + np.concatenate((born, (born + wait)[seen])),
        observed_until=END,
        known=known,
        **several,
    )


def deal(as_of, stage="Propose", **columns):
    """One open deal."""
    return fn.Pipeline.from_columns(funnel=TWO, as_of=as_of, id=["A"], stage=[stage], **columns)


def test_constant_hazards_give_the_closed_form_on_any_day():
    """0.4 (1 - 0.97^h), whatever the day and however many quarters ahead; open deals censored."""
    fitted = Category().fit(constant(15_000, 1, stage="Propose", share=0.4))
    ahead = np.array([1, 7, 30, 89, 91, 120, 400])
    expected = 0.4 * (1 - 0.97**ahead)
    for as_of in ("2025-12-31", "2026-01-17", "2026-02-14", "2026-03-28", "2026-03-30"):
        day = np.datetime64(as_of)
        found = fitted.win_curve(deal(day), day + ahead)[0]
        assert pytest.approx(expected, abs=0.02) == found
    weeks = np.arange(14)
    conversion = fitted.conversion()[PIPELINE, :14]
    assert pytest.approx(0.4 * (1 - 0.97 ** (7 * weeks)), abs=0.02) == conversion


def test_categories_are_told_apart_and_none_leans_on_all():
    """Commit is won at 0.8, pipeline at 0.2; a deal without category lies in between."""
    stage = np.array(["Propose", "Negotiate"] * 5_000, dtype=object)
    share = np.where(stage == "Negotiate", 0.8, 0.2)
    fitted = Category().fit(constant(10_000, 2, stage=stage, share=share))
    day = np.datetime64("2025-12-31")
    dates = day + np.array([90])
    low, high, none = (
        fitted.win_curve(deal(day, stage), dates)[0, 0]
        for stage in ("Propose", "Negotiate", "Other")
    )
    kept = 1 - 0.97**90
    assert pytest.approx([0.2 * kept, 0.8 * kept, 0.5 * kept], abs=0.04) == [low, high, none]
    assert 0 == fitted.seen[NONE].sum() < fitted.seen[COMMIT].sum()
    assert "1 open deals have no forecast category" in fitted.notes(deal(day, "Other"))[0]
    assert () == fitted.notes(deal(day))


def test_the_category_of_a_deal_goes_before_that_of_its_stage():
    """All deals stand in one stage; their own category decides, in any spelling."""
    own = np.array(["Commit", "", "bestcase", "pipeline"] * 2_000, dtype=object)
    share = np.where(own == "Commit", 0.9, 0.1)
    history = constant(8_000, 3, stage="Propose", share=share, category=own)
    codes = categories_of(history.schema, history.columns, history.stage)
    codes = codes[history.stage == 0]
    assert {COMMIT, PIPELINE, LEVELS.index("best case")} == set(codes.tolist())
    conversion = Category(lean=1.0).fit(history).conversion()[:, 13]
    assert pytest.approx(0.9 * (1 - 0.97**91), abs=0.04) == conversion[COMMIT]
    assert pytest.approx(0.1 * (1 - 0.97**91), abs=0.04) == conversion[PIPELINE]


def test_categories_known_only_in_the_end_are_not_looked_at():
    """A `final` category leaks the outcome; the stage's is taken instead."""
    own = np.array(["commit"] * 2_000, dtype=object)
    history = constant(
        2_000, 4, stage="Propose", share=0.5, category=own, known={"category": "final"}
    )
    assert 0 == Category().fit(history).seen[COMMIT].sum()


def quarter_end(n=400, **changes):
    """Deals of 5 January that close on 30 March, a quarter of them won."""
    columns = {
        "funnel": TWO,
        "id": np.tile(np.arange(n), 2),
        "stage": ["Negotiate"] * n + ["Won"] * (n // 4) + ["Lost"] * (n - n // 4),
        "at": np.repeat(np.array(["2026-01-05", "2026-03-30"], dtype="datetime64[D]"), n),
        "observed_until": "2026-04-30",
    }
    return fn.History.from_columns(**{**columns, **changes})


def test_wins_in_the_last_week_are_linear_by_day():
    """Nothing before the last seven days, then one seventh of the quarter's 0.25 a day."""
    fitted = Category(lean=1e-9).fit(quarter_end())
    day = np.datetime64("2026-02-17")  # 42 days before the 31st of March
    dates = day + np.array([28, 35, 36, 38, 42])
    found = fitted.win_curve(deal(day, "Negotiate"), dates)[0]
    assert pytest.approx([0.0, 0.0, 0.25 / 7, 0.75 / 7, 0.25], abs=1e-6) == found
    # Between two reference days, and given that the deal is still open with three days left.
    assert (
        pytest.approx([0.0, 0.25], abs=1e-6)
        == (fitted.win_curve(deal(day + 2, "Negotiate"), day + np.array([35, 42]))[0])
    )
    late = np.datetime64("2026-03-28")
    expected = (0.25 - 0.25 * 4 / 7) / (1 - 4 / 7)
    found = fitted.win_curve(deal(late, "Negotiate"), np.array([late + 3]))[0, 0]
    assert pytest.approx(expected, abs=1e-6) == found


def test_fiscal_periods_count():
    """The same deals in fiscal quarters that end in April: 30 March has 31 days left."""
    calendar = Calendar(fiscal_year_start=2)
    fitted = Category(calendar=calendar, lean=1e-9).fit(quarter_end())
    assert pytest.approx([0.25, 0.25], abs=1e-6) == fitted.conversion()[COMMIT, [5, 12]]
    assert calendar == fitted.calendar
    monthly = Category(calendar=calendar, unit="month", lean=1e-9).fit(quarter_end())
    assert monthly.conversion().shape == (len(LEVELS), 7)
    # One week left: of the last weeks of January, February and March; four: of the last two.
    assert pytest.approx([0.25 / 3, 0.25 / 2], abs=1e-6) == monthly.conversion()[COMMIT, [1, 4]]


def test_counts_are_those_of_snapshots():
    """Wins and losses of each whole week after a reference day, deal by deal."""
    history = fn.datasets.simulate(400, rng=4).history
    model = Category()
    exits = model.summarize(history).exits
    last = np.datetime64(history.observed_until, "D")
    weeks = 9
    total = np.zeros((3, exits.shape[3]), dtype=int)
    quarters = model.calendar.periods(np.datetime64(history.observed_from, "D"), 16, "quarter")
    for end in quarters[1:]:
        day = end - 1 - 7 * weeks
        if not history.observed_from <= day.astype(int) <= history.observed_until - 7:
            continue
        then = history.snapshot(day)
        ids = then.ids[then.outcome == fn.Outcome.OPEN]
        whole = min(weeks, int((last - day).astype(int)) // 7)
        for week in range(whole):
            later = history.snapshot(day + 7 * (week + 1))
            now = later.outcome[np.isin(later.ids, ids)]
            total[0, week] += np.count_nonzero(now == fn.Outcome.WON)
            total[2, week] += np.count_nonzero(now == fn.Outcome.OPEN)
        assert whole == weeks
    # Cumulative wins and deals still open, up to those that were closed and opened again.
    found = exits.sum(axis=0)[weeks]
    wins = np.cumsum(found[0])
    assert np.abs(wins[:weeks] - total[0, :weeks]).max() <= 3
    assert found.sum() == exits.sum(axis=(0, 2, 3))[weeks]
    assert abs(found[2].sum() - total[2, weeks - 1]) <= 3


def test_summaries_add_up_and_refuse_others():
    """Whole numbers, the same for any split; other calendars do not merge."""
    history = fn.datasets.simulate(300, rng=3).history
    model = Category()
    whole = model.summarize(history)
    parts = [model.summarize(part) for part in history.chunks(37)]
    merged = parts[0]
    for part in parts[1:]:
        merged = part.merge(merged)
    assert np.array_equal(whole.exits, merged.exits)
    assert whole.closed == merged.closed
    with pytest.raises(ValidationError, match="one observed_until, one calendar and one unit"):
        whole.merge(attrs.evolve(whole, calendar=Calendar(fiscal_year_start=7)))


def test_the_truth_of_simulated_worlds():
    """With a category for early, middle and late stages, mean chances are within 4 points."""
    world = fn.datasets.simulate(20_000, rng=5)
    names = ["pipeline", "pipeline", "best case", "best case", "commit"]
    ladder = world.history.funnel
    working = iter(names)
    stages = [
        stage if stage.on_hold else attrs.evolve(stage, category=next(working))
        for stage in ladder.stages
    ]
    funnel = attrs.evolve(ladder, stages=stages)
    history = attrs.evolve(world.history, schema=attrs.evolve(world.history.schema, funnel=funnel))
    cut = "2025-06-17"
    pipeline = history.snapshot(cut)
    pipeline = pipeline.select(pipeline.outcome == fn.Outcome.OPEN)
    dates = np.array(["2025-06-30", "2025-07-31", "2025-09-30"], dtype="datetime64[D]")
    found = Category().fit(history.until(cut)).win_curve(pipeline, dates)
    bare = world.history.snapshot(cut).select(
        world.history.snapshot(cut).outcome == fn.Outcome.OPEN
    )
    truth = world.truth.win_curve(bare, dates)
    assert pytest.approx(truth.mean(axis=0), abs=0.04) == found.mean(axis=0)
    assert np.corrcoef(found[:, 1], truth[:, 1])[0, 1] > 0.6


def test_what_cannot_be_answered():
    """No category at all, too little history, odd parameters; closed deals get 0."""
    with pytest.raises(InsufficientDataError, match="open deals with a forecast category"):
        Category().fit(quarter_end(stage=["Other"] * 400 + ["Won"] * 100 + ["Lost"] * 300))
    with pytest.raises(InsufficientDataError, match="20 needed, 8 found"):
        Category().fit(quarter_end(8))
    for odd in ({"lean": 0.0}, {"minimum": 0}, {"unit": "week"}, {"calendar": "fiscal"}):
        with pytest.raises(ValidationError, match=f"{next(iter(odd))} must be"):
            Category(**odd)
    fitted = Category().fit(quarter_end())
    lost = deal("2026-04-30", "Lost")
    assert [[0.0]] == fitted.win_curve(lost, np.array(["2026-06-30"], "datetime64[D]")).tolist()
    none = fitted.win_curve(deal("2026-04-30"), np.empty(0, dtype="datetime64[D]"))
    assert (1, 0) == none.shape
