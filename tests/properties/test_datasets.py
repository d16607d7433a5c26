"""The true model against enumeration by hand, and laws of every simulated log, in random worlds."""

import calendar
import datetime as dt
import math
from collections import defaultdict

import attrs
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import funnel as fn
from funnel.datasets import (
    Amounts,
    Intake,
    Level,
    Mix,
    Moves,
    Records,
    Seasons,
    TrueModel,
    World,
    simulate,
)
from funnel.stages import Outcome, Stage

rates = st.just(0.0) | st.floats(1e-6, 0.5)
shares = st.floats(0.0, 0.6)
multipliers = st.floats(0.3, 3.0)
fewer = settings(max_examples=settings().max_examples // 4)  # a simulation takes its time


@st.composite
def worlds(draw):
    """A world of one to three stages in which anything may happen."""
    n = draw(st.integers(1, 3))
    bands = draw(st.sampled_from([(), (2,), (1, 4)]))
    table = st.lists(
        st.lists(rates, min_size=len(bands) + 1, max_size=len(bands) + 1), min_size=n, max_size=n
    )
    months = st.lists(multipliers, min_size=12, max_size=12)
    names = ("skip", "same_day")
    hazards = ("back", "hold", "resume", "abandon", "remove", "reopen_lost", "reopen_won")
    lost = draw(shares)
    return World(
        funnel=fn.Funnel(
            [*(f"Stage {i}" for i in range(n)), Stage("Hold", on_hold=True, aliases=("Parked",))],
            lost=("Lost", "Gone"),
        ),
        moves=Moves(
            bands=bands,
            advance=draw(table),
            lose=draw(table),
            lost_shares=(lost, 1.0 - lost),
            **{name: draw(shares) for name in names},
            **{name: draw(rates) for name in hazards},
        ),
        seasons=Seasons(
            months=draw(months),
            quarter_end=draw(multipliers),
            weekend=draw(st.floats(0.1, 1.0)),
            shock=draw(shares),
        ),
        intake=Intake(entry=(1.0,), warm_up=draw(st.integers(0, 40)), unknown_entry=draw(shares)),
        mix=Mix(owners=(Level("Ann", 0.5, multiplier=draw(multipliers)), Level("Bo", 0.5))),
        amounts=Amounts(edges=(20_000.0,), multipliers=(draw(multipliers), 1.0)),
        records=Records(promise=5.0, later=3.0, push=draw(shares), renamed_on=dt.date(2024, 3, 1)),
    )


# --- the truth, one day and one state at a time --------------------------------------------------


def factors(world, day):
    """Activity and season of a date."""
    active = world.seasons.weekend if day.isoweekday() >= 6 else 1.0
    season = world.seasons.months[day.month - 1]
    last = 3 * math.ceil(day.month / 3)
    quarter = dt.date(day.year, last, calendar.monthrange(day.year, last)[1])
    return active, season * (world.seasons.quarter_end if (quarter - day).days < 10 else 1.0)


def landings(world, stage):
    """Where a deal that advances to a stage is at the end of the day."""
    n, pass_on = len(world.moves.advance), world.moves.same_day
    found, left = [], 1.0
    for rung in range(stage, n):
        found.append((("in", rung, 0), left * (1.0 - pass_on)))
        left *= pass_on
    return [*found, (("won",), left)]


def faced(world, state, season, pace):
    """Rates of a state, before the activity of the day, with the states that they lead to."""
    moves, n = world.moves, len(world.moves.advance)
    if state[0] == "held":
        _, stage, days = state
        return [(moves.resume, ("in", stage, days)), (moves.abandon, ("lost", stage))]
    if state[0] == "lost":
        return [(moves.reopen_lost, ("in", state[1], 0))]
    _, stage, days = state
    band = sum(days >= edge for edge in moves.bands)
    found = [(moves.lose[stage][band], ("lost", stage)), (moves.remove, ("removed",))]
    if band == len(moves.bands):
        found.append((moves.hold, ("held", stage, days)))
    if stage:
        found.append((moves.back, ("in", stage - 1, 0)))
    for share, goal in ((1.0 - moves.skip, stage + 1), (moves.skip, stage + 2)):
        rate = moves.advance[stage][band] * share * pace
        if goal >= n:
            found.append((rate * season, ("won",)))
        else:
            found += [(rate * part, state) for state, part in landings(world, goal)]
    return found


def enumerated(world, state, as_of, days, pace):
    """Chances to be won within 1 .. `days` days, by following every state forwards."""
    now, curve = {state: 1.0}, []
    for ahead in range(1, days + 1):
        active, season = factors(world, as_of + dt.timedelta(days=ahead))
        after = defaultdict(float)
        for here, chance in now.items():
            if here[0] in {"won", "removed"}:
                after[here] += chance
                continue
            options = faced(world, here, season, pace)
            total = active * sum(rate for rate, _ in options)
            stay = math.exp(-total)
            older = ("in", here[1], here[2] + 1) if here[0] == "in" else here
            after[older] += chance * stay
            for rate, goal in options:
                if rate > 0.0:
                    after[goal] += chance * (1.0 - stay) * active * rate / total
        now = after
        curve.append(now[("won",)])
    return curve


@given(
    world=worlds(),
    as_of=st.dates(dt.date(2024, 1, 1), dt.date(2024, 12, 31)),
    owner=st.sampled_from(["Ann", "Bo"]),
    amount=st.sampled_from([19_999.0, 20_000.0]),
    age=st.integers(0, 6),
)
def test_the_truth_is_what_enumeration_gives(world, as_of, owner, amount, age):
    """In every situation: in each stage, on hold from it, lost from it."""
    n = len(world.moves.advance)
    cap = world.moves.bands[-1] if world.moves.bands else 0
    states = [("in", s, age) for s in range(n)]
    states += [("held", s, cap) for s in range(n)] + [("lost", s) for s in range(n)]
    code = {"in": lambda s: s, "held": lambda _: n, "lost": lambda _: n + 3}
    pipeline = fn.Pipeline.from_columns(
        funnel=world.funnel,
        as_of=as_of,
        id=[f"D{i:02}" for i in range(3 * n)],
        stage=np.array([code[kind](s) for kind, s, *_ in states]),
        stage_entered=[as_of - dt.timedelta(days=age)] * (3 * n),
        amount=[amount] * (3 * n),
        owner=[owner] * (3 * n),
    )
    before = np.array([-1 if kind == "in" else s for kind, s, *_ in states], dtype=np.int16)
    pipeline = attrs.evolve(pipeline, previous_stage=before)
    pace = world.mix.owners[0].multiplier if owner == "Ann" else 1.0
    pace *= world.amounts.multipliers[0] if amount < 20_000 else 1.0
    expected = [enumerated(world, state, as_of, 12, pace) for state in states]
    dates = np.datetime64(as_of) + np.arange(1, 13)
    curve = TrueModel(world=world).win_curve(pipeline, dates)
    np.testing.assert_allclose(expected, curve, rtol=1e-9, atol=1e-12)
    # Rows and dates are independent of one another.
    few = TrueModel(world=world).win_curve(pipeline.select(np.array([n])), dates[[4, 11]])
    np.testing.assert_allclose(curve[[n]][:, [4, 11]], few, rtol=1e-12, atol=1e-15)


# --- every simulated log -------------------------------------------------------------------------


@fewer
@given(world=worlds(), deals=st.integers(1, 60), seed=st.integers(0, 2**32))
def test_every_simulated_log_is_a_lawful_history(world, deals, seed):
    """It passes all rules, reads back from its own export, and each entry has one end."""
    simulation = simulate(deals, start="2024-01-15", end="2024-05-31", world=world, rng=seed)
    history = simulation.history
    columns = simulation.to_columns()
    again = fn.History.from_columns(
        funnel=world.funnel,
        id=columns.pop("deal"),
        at=columns.pop("changed_at"),
        observed_from="2024-01-15",
        observed_until="2024-05-31",
        **columns,
    )
    assert history.identical_to(again)
    assert deals == np.count_nonzero(history.created >= history.observed_from)
    assert (columns["expected_close"] > columns["created"]).all()

    entries = np.zeros(len(history.funnel.ids), dtype=int)
    last = None
    for row in zip(history.deal.tolist(), history.stage.tolist(), strict=True):
        entries[row[1]] += row != last
        last = row
    assert entries.tolist() == fn.spells(history).flow_table().sum(axis=1).tolist()


@fewer
@given(world=worlds(), seed=st.integers(0, 2**32))
def test_deals_move_only_where_the_world_has_a_rate(world, seed):
    """Every move of a log has a positive rate, and hold comes after the last band has begun."""
    history = simulate(60, start="2024-01-15", end="2024-05-31", world=world, rng=seed).history
    moves, n = world.moves, len(world.moves.advance)
    hold, won, removed = n, n + 1, n + 4
    cap = moves.bands[-1] if moves.bands else 0
    stays = fn.spells(history)
    gone = np.flatnonzero(stays.target >= 0)
    for i in gone.tolist():
        before, after = int(stays.stage[i]), int(stays.target[i])
        spent = int(stays.age[i]) + int(stays.stop[i] - stays.start[i])
        if after == hold:
            assert moves.hold > 0.0
            assert stays.age[i] < 0 or spent > cap
        elif after == removed:
            assert moves.remove > 0.0
            assert before < n
        elif before == hold:
            assert moves.resume > 0.0 if after < n else moves.abandon > 0.0
        elif before == won:
            assert moves.reopen_won > 0.0
            assert n - 1 == after
        elif before > won:
            assert moves.reopen_lost > 0.0
        elif after < before:
            assert moves.back > 0.0
            assert before - 1 == after
        elif after <= won and after > before:
            same_day = spent == 0 and stays.age[i] == 0
            assert max(moves.advance[before]) > 0.0 or (same_day and moves.same_day > 0.0)


@fewer
@given(world=worlds(), seed=st.integers(0, 2**32))
def test_true_curves_never_fall_and_lie_between_0_and_1(world, seed):
    """For all deals of a simulated snapshot, at any distance, with the shocks known or not."""
    simulation = simulate(40, start="2024-01-15", end="2024-05-31", world=world, rng=seed)
    pipeline = simulation.history.snapshot("2024-04-10")
    dates = np.datetime64("2024-04-10") + np.array([1, 2, 9, 30, 31, 90])
    for shocks in ("mean", "realised"):
        curve = attrs.evolve(simulation.truth, shocks=shocks).win_curve(pipeline, dates)
        assert (np.diff(curve, axis=1) >= -1e-15).all()
        assert (curve >= 0.0).all()
        assert (curve <= 1.0 + 1e-12).all()
        asked = (pipeline.outcome == Outcome.OPEN) | (pipeline.outcome == Outcome.LOST)
        assert 0.0 == curve[~asked].sum()
