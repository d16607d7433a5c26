"""Flows stage by stage against win curves, brute force, absorption and Little's law."""

import attrs
import numpy as np
import pytest

import funnel as fn
from funnel.errors import FunnelError, ValidationError
from funnel.kernels import absorption, renewal
from funnel.models._sojourns import CLASSES, Layout
from funnel.models.semi_markov import SemiMarkov
from funnel.models.stage_duration import StageDuration
from funnel.typing import NO_DAY

START = np.datetime64("2024-01-01")
LOOP = fn.Funnel(["Qualify", "Propose"])


def world(seed=1, n=400):
    """Simulated deals with loops, skips, holds and reopening."""
    return fn.datasets.simulate(n, rng=seed).history


def looping(n=400, seed=2):
    """Qualify, propose, back with a quarter and propose again; won with a half in the end."""
    rng = np.random.default_rng(seed)
    rows, day = [("Qualify", np.zeros(n, np.int64), np.arange(n))], np.zeros(n, np.int64)
    day = day + rng.geometric(0.2, n) - 1
    rows.append(("Propose", day, np.arange(n)))
    back = np.flatnonzero(rng.random(n) < 0.25)
    day[back] += rng.geometric(0.3, len(back))
    rows.append(("Qualify", day[back], back))
    day[back] += rng.geometric(0.3, len(back))
    rows.append(("Propose", day[back], back))
    day = day + rng.geometric(0.1, n)
    won = rng.random(n) < 0.5
    rows += [("Won", day[won], np.flatnonzero(won)), ("Lost", day[~won], np.flatnonzero(~won))]
    return fn.History.from_columns(
        funnel=LOOP,
        id=np.concatenate([ids for _, _, ids in rows]),
        stage=[name for name, _, ids in rows for _ in ids],
        at=START + np.concatenate([days for _, days, _ in rows]),
    )


def walked(fitted, state, age, days, rng):
    """Move every deal by chance, day by day: entries and occupancy by stage, and wins."""
    layout = Layout(fitted.funnel)
    stages, last = layout.stages, fitted.hazards.shape[2] - 1
    entries, stock = np.zeros((days, stages)), np.zeros((days, stages))
    won = np.zeros(days)
    for day in range(days):
        moving = np.flatnonzero(state >= 0)
        age[moving] += 1
        while len(moving):
            chance = np.cumsum(
                fitted.hazards[state[moving], :, np.minimum(age[moving], last)], axis=1
            )
            target = (rng.random(len(moving))[:, None] > chance).sum(axis=1)
            left = target < layout.targets
            moving, target = moving[left], target[left]
            won[day] += np.count_nonzero(target == layout.won)
            resumed = (target >= layout.resumed) & (target < layout.won)
            stage = target[resumed] - layout.resumed
            for home in np.unique(stage).tolist():
                rows = moving[resumed][stage == home]
                state[rows] = home * CLASSES
                age[rows] = rng.choice(last + 1, len(rows), p=fitted.resumed[home])
            inside = target < layout.states
            state[moving[target >= layout.won]] = -1
            moving, target = moving[inside], target[inside]
            state[moving], age[moving] = target, 0
            fresh = target[target < stages * CLASSES] // CLASSES
            entries[day] += np.bincount(fresh, minlength=stages)
        held = state[(state >= 0) & (state < stages * CLASSES)] // CLASSES
        stock[day] = np.bincount(held, minlength=stages)
    return entries, stock, won


@pytest.mark.parametrize("model", [SemiMarkov(), StageDuration(), SemiMarkov(segments="source")])
def test_wins_are_those_of_the_win_curves(model):
    """The wins of the first j days are the sum of the curves, unknown ages and lost deals too."""
    history = world()
    fitted, pipeline = model.fit(history), history.snapshot()
    aged = pipeline.days_in_stage.copy()
    aged[::7] = -1
    pipeline = attrs.evolve(pipeline, days_in_stage=aged)
    flow = fitted.stage_flow(pipeline, 90)
    dates = np.datetime64(pipeline.as_of, "D") + np.arange(1, 91)
    expected = fitted.win_curve(pipeline, dates).sum(axis=0)
    assert pytest.approx(expected, abs=1e-9) == np.cumsum(flow.won)


def test_deals_are_neither_made_nor_lost():
    """Open and lost deals at the start = those at the end + won + removed, on any day."""
    fitted, pipeline = SemiMarkov().fit(world()), world().snapshot()
    flow = fitted.stage_flow(pipeline, 60)
    start = np.count_nonzero(pipeline.outcome == fn.Outcome.OPEN)
    # Without reopening, what was lost stays so; with it, entries from lost deals are more.
    layout = Layout(fitted.funnel)
    assert fitted.hazards[layout.stages * CLASSES :].sum() > 0.0
    ends = np.cumsum(flow.won + flow.removed + flow.lost)
    assert (flow.occupancy.sum(axis=1) + ends >= start - 1e-9).all()
    looped = SemiMarkov().fit(looping())
    impulse = looped.fresh_flow("Qualify", 400)
    left = np.cumsum(impulse.won + impulse.lost + impulse.removed)
    assert pytest.approx(np.ones(400), abs=1e-9) == impulse.occupancy.sum(axis=1) + left


def test_agrees_with_deals_that_walk_by_chance():
    """200 copies of each deal moved by the fitted hazards: equal within the noise."""
    history = world()
    fitted, pipeline = SemiMarkov().fit(history), history.snapshot()
    copies, days = 200, 30
    layout, oldest = Layout(fitted.funnel), fitted.hazards.shape[2]
    cells = fitted.cells(pipeline)
    state, age = np.divmod(np.repeat(cells[cells >= 0], copies), oldest + 1)
    assert age.min() > 0  # no age is unknown
    found = walked(fitted, state, age - 1, days, np.random.default_rng(1))
    flow = fitted.stage_flow(pipeline, days)
    assert flow.entries[:, layout.stages - 1].sum() > 0.0
    for expected, seen in zip((flow.entries, flow.occupancy, flow.won), found, strict=True):
        noise = 5.0 * np.sqrt((expected + 0.05) / copies)
        assert (np.abs(seen / copies - expected) < noise).all()


def test_one_deal_by_absorption():
    """Over a long time, entries are the visits and wins the chances of an absorbing chain."""
    fitted = StageDuration().fit(looping())
    hazards = fitted.hazards[[0, CLASSES]]
    hazards = np.append(hazards, np.repeat(hazards[:, :, -1:], 2000, axis=2), axis=2)
    share = renewal.densities(hazards).sum(axis=2)
    own = share[:, : 2 * CLASSES].reshape(2, 2, CLASSES).sum(axis=2)
    layout = Layout(LOOP)
    transitions = np.column_stack((own, share[:, layout.won], share[:, 2 * CLASSES]))
    assert pytest.approx([1.0, 1.0], abs=1e-6) == transitions.sum(axis=1)
    flow = fitted.fresh_flow("Qualify", 800)
    assert NO_DAY == flow.first
    assert pytest.approx(absorption.visits(transitions)[0], abs=1e-6) == flow.entries.sum(axis=0)
    won, lost = absorption.absorption(transitions)[0]
    assert pytest.approx((won, lost), abs=1e-6) == (flow.won.sum(), flow.lost.sum())


def test_littles_law():
    """In a steady state, the stock of a stage is the rate of entries times the mean days in it."""
    fitted = StageDuration().fit(looping())
    flow = fitted.fresh_flow("Qualify", 800)
    # With one new deal a day, the stock is the sum over the ages of the deals that came.
    stock, rate = flow.occupancy.sum(axis=0), flow.entries.sum(axis=0)
    assert pytest.approx(rate * fitted.expected_days(), abs=1e-6) == stock


def test_moves_of_a_day_are_not_cut():
    """Deals that pass both stages on one day are counted in both on it, and are won on it."""
    n = 100
    history = fn.History.from_columns(
        funnel=LOOP,
        id=np.tile(np.arange(n), 3),
        stage=["Qualify"] * n + ["Propose"] * n + ["Won"] * n,
        at=[START] * (3 * n),
    )
    flow = SemiMarkov().fit(history).fresh_flow("Qualify", 2)
    assert [[1.0, 1.0], [0.0, 0.0]] == flow.entries.tolist()
    assert [1.0, 0.0] == flow.won.tolist()
    assert 0.0 == flow.occupancy.max()


def test_a_flow_is_a_table():
    """One row for each day and stage, with dates where there are any."""
    history = looping()
    fitted = SemiMarkov().fit(history)
    flow = fitted.stage_flow(history.until(START + 3).snapshot(), 2)
    columns = flow.to_columns()
    assert ["2024-01-05", "2024-01-05", "2024-01-06", "2024-01-06"] == [
        str(day) for day in columns["day"]
    ]
    assert ["Qualify", "Propose"] * 2 == columns["stage"].tolist()
    assert "Expected entries and deals by stage" in str(flow)
    assert "expected in all days" in str(flow)
    assert [0, 0, 1, 1] == fitted.fresh_flow("Propose", 2).to_columns()["day"].tolist()


def test_what_cannot_be_asked():
    """No days, no such stage, or one that is closed."""
    history = looping()
    fitted = SemiMarkov().fit(history)
    for odd in (0, -1, 2.0, True):
        with pytest.raises(ValidationError, match="days must be a whole number >= 1"):
            fitted.stage_flow(history.snapshot(), odd)
        with pytest.raises(ValidationError, match="days must be a whole number >= 1"):
            fitted.fresh_flow("Qualify", odd)
    with pytest.raises(ValidationError, match="must be an open stage"):
        fitted.fresh_flow("Won", 3)
    with pytest.raises(FunnelError, match="Qualfy"):
        fitted.fresh_flow("Qualfy", 3)
