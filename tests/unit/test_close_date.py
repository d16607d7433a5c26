"""Close dates against closed forms, brute force and simulated worlds with a known truth."""

import attrs
import numpy as np
import pytest

import funnel as fn
from funnel.errors import ExtrapolationWarning, InsufficientDataError, ValidationError
from funnel.models._references import CENSORED, references
from funnel.models._slippage import ANY, ENTRY, LATER, NONE, OVERDUE, place
from funnel.models.close_date import GROUPS, CloseDate
from funnel.testing import fixtures
from funnel.typing import NO_DAY

ONE = fn.Funnel(["Qualify"])
START = np.datetime64("2024-01-01")


def slipping(days, n_won=100, n_lost=300, *, owner=None, promised=40):
    """Deals of one stage, each promised 40 days after its creation and closed `days` later."""
    n = n_won + n_lost
    born = START + 7 * (np.arange(n) % 5)
    due = born + promised
    columns = {} if owner is None else {"owner": np.tile(owner, 2)}
    return fn.History.from_columns(
        funnel=ONE,
        id=np.tile(np.arange(n), 2),
        stage=["Qualify"] * n + ["Won"] * n_won + ["Lost"] * n_lost,
        at=np.concatenate((born, due + days)),
        expected_close=np.tile(due, 2),
        observed_until=START + 200,
        **columns,
    )


def deal(promise, as_of=START + 200, **changes):
    """One open deal with a promise so many days ahead (None: without)."""
    day = np.datetime64("NaT", "D") if promise is None else as_of + promise
    columns = {"funnel": ONE, "as_of": as_of, "id": ["A"], "stage": ["Qualify"]}
    return fn.Pipeline.from_columns(expected_close=[day], **{**columns, **changes})


@pytest.mark.parametrize(("days", "lead"), [(10, 20), (-5, 25), (0, 8), (25, 45)])
def test_a_constant_slip_moves_every_promise(days, lead):
    """100 of 400 deals are won, all `days` after the promise: 0 before that day, 1/4 from it on."""
    fitted = CloseDate().fit(slipping(days))
    dates = START + 200 + np.array([lead + days - 1, lead + days, lead + days + 100])
    found = fitted.win_curve(deal(lead), dates)[0]
    assert pytest.approx([0.0, 0.25, 0.25], abs=1e-9) == found
    assert [START + 200 + lead + days] == fitted.corrected_close(deal(lead)).tolist()
    column = 0 if lead <= 30 else 1
    assert pytest.approx([days] * 3) == fitted.slippage()[0, column]


def test_overdue_promises_have_a_clock_of_their_own():
    """Closed 25 days late: a deal that is 10 days overdue is due in 15, whatever was promised."""
    fitted = CloseDate().fit(slipping(25))
    dates = START + 200 + np.array([14, 15])
    assert pytest.approx([0.0, 0.25], abs=1e-9) == fitted.win_curve(deal(-10), dates)[0]
    assert bool(fitted.known[OVERDUE])
    assert not fitted.known[LATER]
    assert np.isnan(fitted.slippage()[0, 2]).all()


def test_deals_of_groups_without_history_count_as_without_promise():
    """No promise was ever beyond 180 days: such a deal is treated as one without a promise."""
    fitted = CloseDate().fit(slipping(10))
    dates = START + 200 + np.array([5, 20, 60])
    later, none = (fitted.win_curve(deal(lead), dates) for lead in (900, None))
    assert np.array_equal(later, none)
    assert 0.0 < none[0, 0] < none[0, 1] < none[0, 2] <= 0.25 + 1e-9


def constant(n, seed, rate=0.04, share=0.4, **columns):
    """Deals without promises that close with a constant hazard, a share of them won."""
    rng = np.random.default_rng(seed)
    born, wait = rng.integers(0, 500, n), rng.geometric(np.broadcast_to(rate, n))
    won = rng.random(n) < share
    seen = born + wait <= 600
    several = {
        name: np.concatenate((values, np.array(values)[seen])) for name, values in columns.items()
    }
    return fn.History.from_columns(
        funnel=ONE,
        id=np.concatenate((np.arange(n), np.arange(n)[seen])),
        stage=["Qualify"] * n + np.where(won[seen], "Won", "Lost").tolist(),
        at=START + np.concatenate((born, (born + wait)[seen])),
        observed_until=START + 600,
        **several,
    )


def test_deals_without_promise_follow_their_stage():
    """Constant hazards: 0.4 (1 - 0.96^h), open deals censored; promises far away do not matter."""
    ahead = np.array([7, 30, 90])
    expected = 0.4 * (1 - 0.96**ahead)
    fitted = CloseDate().fit(constant(8_000, 1))
    found = fitted.win_curve(deal(None, START + 600), START + 600 + ahead)[0]
    assert pytest.approx(expected, abs=0.02) == found
    # The median of a geometric time is the first h with 1 - 0.96^h >= 1/2: 17.
    assert 17 == pytest.approx(
        int((fitted.corrected_close(deal(None, START + 600))[0] - START).astype(int)) - 600, abs=2
    )


def test_owners_are_shrunk_multipliers():
    """Ann wins half as often again, Bo half as often; Cy, with two deals, is hardly moved."""
    n = 6_000
    owner = np.array(["Ann", "Bo"] * (n // 2), dtype=object)
    owner[:2] = "Cy"
    share = np.where(owner == "Ann", 0.6, 0.2)
    fitted = CloseDate().fit(constant(n, 2, share=share, owner=owner))
    assert ("Ann", "Bo", "Cy") == fitted.owners
    multiplier = fitted.by_owner[0, :, 2]
    assert pytest.approx([1.5, 0.5], abs=0.08) == multiplier[:2]
    assert 0.5 < multiplier[2] < 1.6
    assert pytest.approx(fitted.by_owner[:, :, 0].sum(), rel=0.02) == fitted.by_owner[:, :, 1].sum()
    dates = START + 600 + np.array([30])
    ann, bo, new = (
        fitted.win_curve(deal(None, START + 600, owner=[name]), dates)[0, 0]
        for name in ("Ann", "Bo", "Zoe")
    )
    assert pytest.approx(0.6 * (1 - 0.96**30), abs=0.03) == ann
    assert bo < new < ann
    without = CloseDate(owner=None).fit(constant(n, 2, share=share, owner=owner))
    assert pytest.approx(new, abs=1e-12) == without.win_curve(deal(None, START + 600), dates)[0, 0]


def test_pushed_deals_are_told_apart():
    """Half of the deals are pushed on day 1 to the promise of the others: all lost, others won."""
    n = 400
    ids = np.arange(n)
    pushed = ids < n // 2
    half = np.full(n // 2, 70)
    history = fn.History.from_columns(
        funnel=ONE,
        id=np.concatenate((ids, ids[pushed], ids)),
        stage=["Qualify"] * (n + n // 2) + np.where(pushed, "Lost", "Won").tolist(),
        at=START + np.concatenate((np.zeros(n, int), half // 70, np.full(n, 80))),
        expected_close=START + np.concatenate((half - 20, half, half, half, half)),
        observed_until=START + 100,
    )
    won, other = CloseDate().fit(history).pushes[:, :, 2]
    # 200 observed and 100 expected, or none: with a = 1, (0 + 1) / (100 + 1) and 201 / 101.
    assert pytest.approx([201 / 101, 1 / 101, 1.0, 1.0], rel=0.01) == won
    assert pytest.approx([1 / 101, 201 / 101, 1.0, 1.0], rel=0.01) == other


def test_promises_known_only_in_the_end_are_not_looked_at():
    """A `final` promise leaks the outcome: the model is the one without any promises."""
    history = slipping(10)
    columns = history.to_columns()
    rows = {name: columns[name] for name in ("id", "stage", "at", "expected_close")}
    window = {"funnel": ONE, "observed_until": START + 200}
    final = fn.History.from_columns(known={"expected_close": "final"}, **window, **rows)
    del rows["expected_close"]
    none = fn.History.from_columns(**window, **rows)
    dates = START + 200 + np.array([10, 30])
    expected = CloseDate().fit(none).win_curve(deal(20), dates)
    assert pytest.approx(expected, abs=1e-12) == CloseDate().fit(final).win_curve(deal(20), dates)


def test_references_are_snapshots():
    """Deals, stages and promises on each reference day = history.snapshot(day), one by one."""
    history = fixtures.history()
    grid = history.observed_until - 7 * np.arange(70, 0, -1)
    seen = references(history, grid)
    for day in grid[::10].tolist():
        pipeline = history.snapshot(np.datetime64(day, "D"))
        is_open = pipeline.outcome == fn.Outcome.OPEN
        rows = seen.row[seen.day == day]
        assert pipeline.ids[is_open].tolist() == history.ids[history.deal[rows]].tolist()
        assert pipeline.stage[is_open].tolist() == history.stage[rows].tolist()
        promise = history.columns["expected_close"][rows]
        assert pipeline.expected_close[is_open].tolist() == promise.tolist()
    assert 1 <= seen.days.min()
    still = seen.cause == CENSORED
    assert (history.observed_until == (seen.day + seen.days)[still]).all()


def test_places_on_the_clocks():
    """A lead of 30 begins its group's clock; overdue counts up to a year; the rest begins at 1."""
    lead = np.array([30, 1, 31, 180, 181, 0, -9, -900, 0])
    promise = np.where(np.arange(9) == 8, NO_DAY, 1000 + lead).astype(np.int32)
    group, position = place(promise, np.full(9, 1000))
    assert [2, 2, 3, 4, LATER, OVERDUE, OVERDUE, OVERDUE, NONE] == group.tolist()
    assert [1, 30, 60, 1, 1, 1, 10, 366, 1] == position.tolist()
    assert len(GROUPS) == ANY + 1


def test_summaries_add_up_and_refuse_others():
    """Counts are whole numbers and the same for any split; other data do not merge."""
    history = fn.datasets.simulate(300, rng=3).history
    model = CloseDate()
    whole = model.summarize(history)
    parts = [model.summarize(part) for part in history.chunks(37)]
    merged = parts[0]
    for part in parts[1:]:
        merged = part.merge(merged)
    assert np.array_equal(whole.rows, merged.rows)
    assert np.array_equal(whole.counts, merged.counts)
    assert (whole.deals, whole.closed) == (merged.deals, merged.closed)
    entered = whole.rows[:, 4] == ENTRY
    assert whole.counts[entered].sum() == whole.counts[~entered].sum()
    with pytest.raises(ValidationError, match="one funnel, one observed_until"):
        whole.merge(attrs.evolve(whole, owners=("Zoe",)))


def test_the_truth_of_simulated_worlds():
    """Mean chances within 3 points of the truth, and closer to it deal by deal than win rates."""
    world = fn.datasets.simulate(20_000, rng=5)
    cut = "2025-06-30"
    pipeline = world.history.snapshot(cut)
    pipeline = pipeline.select(pipeline.outcome == fn.Outcome.OPEN)
    dates = np.array(["2025-07-31", "2025-09-30"], dtype="datetime64[D]")
    past, truth = world.history.until(cut), world.truth.win_curve(pipeline, dates)
    found = CloseDate().fit(past).win_curve(pipeline, dates)
    assert pytest.approx(truth.mean(axis=0), abs=0.03) == found.mean(axis=0)
    assert np.corrcoef(found[:, 0], truth[:, 0])[0, 1] > 0.85


def test_what_cannot_be_answered():
    """Too little history, odd parameters, owners that are no names, deals beyond the data."""
    with pytest.raises(InsufficientDataError, match="20 needed, 8 found"):
        CloseDate().fit(slipping(10, 4, 4))
    for odd in ({"lean": 0.0}, {"minimum": 0}, {"owner": ""}, {"owner": 3}):
        with pytest.raises(ValidationError, match=f"{next(iter(odd))} must be"):
            CloseDate(**odd)
    with pytest.raises(ValidationError, match="owner must be a column of names, got 'number'"):
        CloseDate().fit(slipping(10, owner=np.arange(400.0)))
    fitted = CloseDate().fit(slipping(10))
    with pytest.warns(ExtrapolationWarning, match="1 open deals are further past their promise"):
        fitted.win_curve(deal(-300), START + 200 + np.array([5]))
    lost = deal(20, stage=["Lost"])
    assert 0.0 == fitted.win_curve(lost, START + 200 + np.array([500]))[0, 0]
    assert np.isnat(fitted.corrected_close(lost)[0])
