"""Simulated deals have every trait that was asked for, and behave as their truth says."""

import datetime as dt
import json
import math

import attrs
import numpy as np
import pytest

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
from funnel.errors import SchemaMismatchError, ValidationError
from funnel.models import FittedModel
from funnel.stages import Outcome
from funnel.typing import NO_DAY

SEEDS = (1, 2, 3)


@pytest.fixture(scope="module")
def simulations():
    """The default world, larger than usual, from several seeds."""
    return [simulate(10_000, rng=seed) for seed in SEEDS]


@pytest.fixture(scope="module")
def company(simulations):
    """One of them."""
    return simulations[0]


@pytest.fixture(scope="module")
def hectic():
    """A world in which everything happens often, and young deals are unlike old ones."""
    months = (0.2, 1.0, 3.0, 0.3, 2.0, 1.0, 0.5, 1.0, 1.0, 1.0, 1.0, 1.0)
    world = World(
        funnel=fn.Funnel(["A", "B", "C", fn.Stage("Hold", on_hold=True)]),
        moves=Moves(
            bands=(5,),
            advance=[[0.02, 0.30], [0.30, 0.03], [0.03, 0.30]],
            lose=[[0.01, 0.05], [0.06, 0.02], [0.02, 0.10]],
            skip=0.2,
            same_day=0.4,
            back=0.03,
            hold=0.1,
            resume=0.2,
            abandon=0.03,
            remove=0.01,
            reopen_lost=0.02,
            reopen_won=0.01,
            lost_shares=(1.0,),
        ),
        seasons=Seasons(months=months, quarter_end=5.0, weekend=0.2, shock=0.5),
        intake=Intake(entry=(0.7, 0.3), warm_up=60, unknown_entry=0.0),
        records=Records(promise=10.0, later=5.0, push=1.0),
    )
    return simulate(20_000, start="2024-03-01", end="2024-07-31", world=world, rng=11)


def first_wins(history, after):
    """Day of the first win of each deal after a day, far in the future where there is none."""
    rows = np.flatnonzero((history.stage == history.funnel.won_code) & (history.at > after))
    days = np.full(history.n_deals, 10**6)
    np.minimum.at(days, history.deal[rows], history.at[rows])
    return days


def realised(history, pipeline, dates):
    """(n, k): whether each deal of a snapshot was won after it, on or before each date."""
    days = first_wins(history, pipeline.as_of)[np.searchsorted(history.ids, pipeline.ids)]
    return days[:, None] <= dates.astype("datetime64[D]").astype(int)


def open_deal(world, **columns):
    """One deal in the first stage, entered on a Monday, seen on the evening of that day."""
    given = {"id": ["A"], "stage": [world.funnel.ids[0]], "stage_entered": ["2026-06-01"]}
    return fn.Pipeline.from_columns(funnel=world.funnel, as_of="2026-06-01", **given | columns)


def days_after(day, *ahead):
    """Dates so many days after a day."""
    return np.datetime64(day, "D") + np.array(ahead, dtype=int)


# --- the truth against closed forms --------------------------------------------------------------


def test_one_stage_of_constant_rates_has_a_closed_form():
    """P(won within h days) = a / (a + l) * (1 - exp(-(a + l) h)): geometric, competing risks."""
    world = World.simple(advance=(0.03,), lose=(0.05,))
    ahead = np.array([1, 5, 40, 2_000])
    curve = TrueModel(world=world).win_curve(open_deal(world), days_after("2026-06-01", *ahead))
    expected = 0.03 / 0.08 * (1 - np.exp(-0.08 * ahead))
    np.testing.assert_allclose(expected, curve[0], rtol=1e-12)


def test_two_stages_are_a_convolution():
    """Sum over the day t of the advance: P(advance on t) * P(won within h - t days from there)."""
    a, b, lose_a, lose_b = 0.06, 0.09, 0.02, 0.05
    world = World.simple(advance=(a, b), lose=(lose_a, lose_b))

    def won_from_second(days):
        return b / (b + lose_b) * (1 - math.exp(-(b + lose_b) * days))

    def advance_on(day):
        leave = 1 - math.exp(-(a + lose_a))
        return math.exp(-(a + lose_a) * (day - 1)) * leave * a / (a + lose_a)

    expected = sum(advance_on(t) * won_from_second(30 - t) for t in range(1, 31))
    curve = TrueModel(world=world).win_curve(open_deal(world), days_after("2026-06-01", 30))
    assert expected == pytest.approx(float(curve[0, 0]), rel=1e-12)


def test_a_skip_leads_past_a_stage_and_a_pass_goes_through_it_on_one_day():
    """From the first of two stages, P(won in a day) = P(advance) * (skip, or same day)."""
    simple = World.simple(advance=(0.06, 0.0), lose=(0.02, 0.0))
    leave = (1 - math.exp(-0.08)) * 0.06 / 0.08
    for change in ({"skip": 0.3}, {"same_day": 0.3}):
        world = attrs.evolve(simple, moves=attrs.evolve(simple.moves, **change))
        curve = TrueModel(world=world).win_curve(open_deal(world), days_after("2026-06-01", 1))
        assert leave * 0.3 == pytest.approx(float(curve[0, 0]), rel=1e-12)


def test_owner_source_region_and_size_multiply_the_rate_of_winning():
    """A multiplier m makes P(won tomorrow) = m a / (m a + l) * (1 - exp(-(m a + l)))."""
    world = attrs.evolve(
        World.simple(advance=(0.03,), lose=(0.05,)),
        mix=Mix(
            owners=(Level("Ann", 0.5, multiplier=2.0), Level("Bo", 0.5)),
            sources=(Level("Fair", 1.0, multiplier=1.5),),
            regions=(Level("North", 1.0, multiplier=0.5),),
        ),
        amounts=Amounts(edges=(100.0,), multipliers=(3.0, 1.0)),
    )

    def won_tomorrow(multiplier):
        rate = 0.03 * multiplier
        return rate / (rate + 0.05) * (1 - math.exp(-(rate + 0.05)))

    for multiplier, columns in (
        (2.0 * 1.5 * 0.5 * 3.0, {"owner": ["Ann"], "amount": [99.99]}),
        (1.5 * 0.5, {"owner": ["Bo"], "amount": [100.0]}),
        (1.5 * 0.5, {"owner": ["somebody new"], "amount": [math.nan]}),
        (1.5 * 0.5, {}),
    ):
        deal = open_deal(world, source=["Fair"], region=["North"], **columns)
        curve = TrueModel(world=world).win_curve(deal, days_after("2026-06-01", 1))
        assert won_tomorrow(multiplier) == pytest.approx(float(curve[0, 0]), rel=1e-12)


def test_winning_follows_the_month_and_the_last_ten_days_of_a_quarter():
    """On 20 June the quarter has 11 days left, on 21 June 10; July has its own multiplier."""
    months = [1.0] * 12
    months[6] = 0.25
    world = attrs.evolve(
        World.simple(advance=(0.03,), lose=(0.0,)), seasons=Seasons(months=months, quarter_end=3.0)
    )
    truth = TrueModel(world=world)
    for evening, multiplier in (("2023-06-19", 1.0), ("2023-06-20", 3.0), ("2023-07-02", 0.25)):
        deal = fn.Pipeline.from_columns(
            funnel=world.funnel, as_of=evening, id=["A"], stage=[0], stage_entered=["2023-06-01"]
        )
        expected = 1 - math.exp(-0.03 * multiplier)
        curve = truth.win_curve(deal, days_after(evening, 1))
        assert expected == pytest.approx(float(curve[0, 0]), rel=1e-12)


def test_unknown_days_in_the_stage_mean_the_last_band():
    """That is the only case in which a simulated log does not tell them."""
    moves = attrs.evolve(
        World.simple().moves, bands=(5,), advance=[[0.1, 0.5]] * 2, lose=[[0.1, 0.1]] * 2
    )
    world = attrs.evolve(World.simple(), moves=moves)
    truth, dates = TrueModel(world=world), days_after("2026-06-01", 9)
    unknown, fresh, old = (
        truth.win_curve(open_deal(world, stage_entered=[day]), dates)[0, 0]
        for day in (None, "2026-06-01", "2026-05-27")
    )
    assert old == unknown
    assert old > fresh


def test_won_and_removed_rows_hold_nothing_and_lost_ones_the_chance_to_come_back():
    """A lost deal whose earlier stage is unknown comes back to the first stage."""
    simple = World.simple(advance=(0.03,), lose=(0.05,))
    world = attrs.evolve(simple, moves=attrs.evolve(simple.moves, reopen_lost=0.2))
    deals = open_deal(
        world,
        id=["A", "B", "C"],
        stage=["Won", "Removed", "Lost"],
        stage_entered=["2026-06-01"] * 3,
    )
    dates = days_after("2026-06-01", 1, 2)
    reopened, won = 1 - math.exp(-0.2), 0.03 / 0.08 * (1 - math.exp(-0.08))
    curve = TrueModel(world=world).win_curve(deals, dates)
    np.testing.assert_allclose([[0, 0], [0, 0], [0, reopened * won]], curve, rtol=1e-12)
    assert 0.0 == TrueModel(world=simple).win_curve(deals, dates).max()


def test_dates_that_are_not_later_and_empty_tables_have_empty_answers():
    """Nothing is won on or before `as_of` that is still open then."""
    world = World.simple()
    truth, deal = TrueModel(world=world), open_deal(world)
    assert [[0.0, 0.0]] == truth.win_curve(deal, days_after("2026-06-01", -3, 0)).tolist()
    nobody = deal.select(np.zeros(1, dtype=bool))
    assert (0, 2) == truth.win_curve(nobody, days_after("2026-06-01", 1, 2)).shape
    assert (1, 0) == truth.win_curve(deal, days_after("2026-06-01")).shape


def test_the_truth_is_a_fitted_model_that_leaks_nothing(company):
    """It is older than any snapshot, and says what it needs."""
    assert isinstance(company.truth, FittedModel)
    assert NO_DAY == company.truth.trained_until
    company.history.snapshot("2025-03-31").require(*company.truth.needs)


def test_the_truth_knows_its_own_funnel_only():
    """Stage codes of another ladder mean something else."""
    deals = fn.Pipeline.from_columns(
        funnel=fn.Funnel(["Other"]), as_of="2026-06-01", id=["A"], stage=["Other"]
    )
    with pytest.raises(SchemaMismatchError, match="world's funnel"):
        TrueModel(world=World()).win_curve(deals, days_after("2026-06-01", 1))


# --- the simulation against the truth ------------------------------------------------------------


def z_scores(pairs, cells):
    """Standardised difference between wins and truth, for cells with a binomial variance >= 10.

    `pairs` holds the predicted and realised (n, k) of several seeds, `cells` the (n,) of each.
    """
    chance, won = (np.concatenate(part) for part in zip(*pairs, strict=True))
    cell = np.concatenate(cells)
    found = []
    for number in np.unique(cell):
        rows = cell == number
        variance = (chance[rows] * (1 - chance[rows])).sum(axis=0)
        difference = won[rows].sum(axis=0) - chance[rows].sum(axis=0)
        found += (difference[variance >= 10] / np.sqrt(variance[variance >= 10])).tolist()
    return np.array(found)


def scores_by_stage_and_age(simulations, cutoff, ahead):
    """Standardised differences by stage and band of days in it; unknown days are a band."""
    dates = days_after(cutoff, *ahead)
    pairs, cells = [], []
    for simulation in simulations:
        pipeline = simulation.history.snapshot(cutoff)
        asked = pipeline.outcome != Outcome.WON
        truth = attrs.evolve(simulation.truth, shocks="realised")
        won = realised(simulation.history, pipeline, dates)
        pairs.append((truth.win_curve(pipeline, dates)[asked], won[asked]))
        age, bands = pipeline.days_in_stage, simulation.world.moves.bands
        band = np.where(age < 0, len(bands) + 1, np.searchsorted(bands, age, side="right"))
        cells.append((pipeline.stage * 4 + band)[asked])
    return z_scores(pairs, cells)


def assert_standard(scores):
    """Demand scores within three standard errors whose squares have the mean 1.

    The standard error of the mean of m squares is sqrt(2 / m), and at most sqrt(6 / m) where the
    three dates of a cell move together.
    """
    assert len(scores) >= 10
    assert np.abs(scores).max() < 3.0
    assert (scores**2).mean() < 1 + 3 * math.sqrt(6 / len(scores))


@pytest.mark.parametrize("cutoff", ["2023-01-01", "2024-02-29", "2025-05-15"])
def test_simulated_deals_are_won_as_often_as_the_truth_says(simulations, cutoff):
    """The default world, by stage and age; on the first day there are late entries only."""
    assert_standard(scores_by_stage_and_age(simulations, cutoff, (30, 120, 400)))


@pytest.mark.parametrize("cutoff", ["2024-03-01", "2024-03-20", "2024-05-15"])
def test_the_truth_holds_where_every_trait_is_strong(hectic, cutoff):
    """A world in which a slip in any of the moves would be seen; on the first day all are late."""
    assert_standard(scores_by_stage_and_age([hectic], cutoff, (2, 8, 30)))


def test_by_owner_and_size_the_truth_holds_too(simulations):
    """The multipliers of the truth are those of the simulation."""
    pairs, cells = [], []
    dates = days_after("2024-09-30", 90, 365)
    for simulation in simulations:
        pipeline = simulation.history.snapshot("2024-09-30")
        is_open = pipeline.outcome == Outcome.OPEN
        truth = attrs.evolve(simulation.truth, shocks="realised")
        won = realised(simulation.history, pipeline, dates)
        pairs.append((truth.win_curve(pipeline, dates)[is_open], won[is_open]))
        size = np.searchsorted((10_000.0, 50_000.0), pipeline.amount, side="right")
        cells.append((pipeline.columns["owner"] * 3 + size)[is_open])
    assert_standard(z_scores(pairs, cells))


def test_simple_worlds_win_the_share_of_the_closed_form():
    """By a / (a + l) in each stage: 5 / 8 * 4 / 6 = 0.4167; no cycle is cut short."""
    history = simulate(20_000, start="2015-01-01", end="2020-12-31", world=World.simple()).history
    mature = history.created < history.observed_until - 730
    won = fn.outcomes(history).outcome[mature] == Outcome.WON
    expected = 0.05 / 0.08 * 0.04 / 0.06
    error = math.sqrt(expected * (1 - expected) / len(won))
    assert expected == pytest.approx(float(won.mean()), abs=3 * error)


def test_realised_shocks_explain_what_their_mean_cannot():
    """Large shocks move everybody's wins of a month; the model that knows them scores better."""
    world = attrs.evolve(World(), seasons=Seasons(shock=1.0))
    simulation = simulate(6_000, world=world, rng=9)
    assert 12 + 42 == len(simulation.truth.path)  # months of the warm-up and of the log
    pipeline = simulation.history.snapshot("2025-03-31")
    pipeline = pipeline.select(pipeline.outcome == Outcome.OPEN)
    dates = days_after("2025-03-31", 30)
    won = realised(simulation.history, pipeline, dates)
    known = attrs.evolve(simulation.truth, shocks="realised")
    brier = [
        float(((model.win_curve(pipeline, dates) - won) ** 2).mean())
        for model in (known, simulation.truth)
    ]
    assert brier[0] < brier[1]
    assert (np.array(simulation.truth.path) > 0).all()


# --- arrivals ------------------------------------------------------------------------------------


def test_as_many_deals_are_created_as_were_asked_for(company):
    """Late entries come on top."""
    start = company.history.observed_from
    assert 10_000 == np.count_nonzero(company.history.created >= start)
    assert np.count_nonzero(company.history.created < start) > 0


def test_arrivals_follow_trend_month_and_weekday(company):
    """Chi-square over 42 months, from weights written down again here; weekends have 5 %."""
    intake, created = company.world.intake, company.history.created
    created = created[created >= company.history.observed_from]
    days = np.arange(company.history.observed_from, company.history.observed_until + 1)
    dates = [dt.date(1970, 1, 1) + dt.timedelta(days=int(day)) for day in days]
    weight = np.array(
        [
            (1 + intake.growth) ** (i / 365.25)
            * intake.months[date.month - 1]
            * (0.05 if date.isoweekday() >= 6 else 1.0)
            for i, date in enumerate(dates)
        ]
    )
    share = weight / weight.sum()
    month = np.array([12 * date.year + date.month for date in dates])
    counts = np.bincount(created - days[0], minlength=len(days))
    expected, found = (
        np.bincount(month - month[0], weights=values) for values in (share * 10_000, counts)
    )
    chi_square = ((found - expected) ** 2 / expected).sum()
    assert chi_square < 41 + 3 * math.sqrt(2 * 41)  # 42 months, 41 degrees of freedom
    weekend = np.array([date.isoweekday() >= 6 for date in dates])
    rare = share[weekend].sum()
    error = math.sqrt(rare * (1 - rare) / 10_000)
    assert rare == pytest.approx(counts[weekend].sum() / 10_000, abs=3 * error)


# --- traits --------------------------------------------------------------------------------------


def moves_of(history):
    """(m,), (m,): state codes from and to which deals moved."""
    stays = fn.spells(history)
    gone = stays.target >= 0
    return stays.stage[gone], stays.target[gone]


def rungs(history):
    """Positions of the two sides of every move between working stages."""
    ladder = history.funnel.ladder
    before, after = (ladder[codes] for codes in moves_of(history))
    inside = (before >= 0) & (after >= 0) & (before < history.funnel.ladder.max())
    return before[inside].astype(int), after[inside].astype(int)


def skips(simulation):
    before, after = rungs(simulation.history)
    return np.count_nonzero(after > before + 1)


def backward(simulation):
    before, after = rungs(simulation.history)
    return np.count_nonzero(after < before)


def same_day(simulation):
    stays = fn.spells(simulation.history)
    return np.count_nonzero((stays.target >= 0) & (stays.start == stays.stop))


def holds(simulation):
    return np.count_nonzero(simulation.history.funnel.on_hold[simulation.history.stage])


def returns_from(history, outcome):
    before, after = moves_of(history)
    outcomes = history.funnel.outcomes
    return np.count_nonzero((outcomes[before] == outcome) & (outcomes[after] == Outcome.OPEN))


def reopened_lost(simulation):
    return returns_from(simulation.history, Outcome.LOST)


def reopened_won(simulation):
    return returns_from(simulation.history, Outcome.WON)


def removed(simulation):
    return fn.outcomes(simulation.history).count(Outcome.REMOVED)


def late(simulation):
    return np.count_nonzero(simulation.history.created < simulation.history.observed_from)


def late_unknown(simulation):
    return np.count_nonzero(simulation.history.first_entered == NO_DAY)


def renamed(simulation):
    return np.count_nonzero(simulation.to_columns()["stage"] == "Quote")


def entered_above(simulation):
    history = simulation.history
    fresh = history.created >= history.observed_from
    return np.count_nonzero(history.stage[history.bounds[:-1]][fresh] > 0)


def pushes(simulation):
    return int(simulation.history.snapshot().pushes.sum())


def revisions(simulation):
    """Changes of the amount other than to or from a win."""
    history = simulation.history
    amount, won = history.columns["amount"], history.stage == history.funnel.won_code
    quiet = (history.deal[1:] == history.deal[:-1]) & ~won[1:] & ~won[:-1]
    return np.count_nonzero(quiet & (amount[1:] != amount[:-1]))


def discounts(simulation):
    history = simulation.history
    amount = history.columns["amount"]
    won = (history.stage[1:] == history.funnel.won_code) & (history.deal[1:] == history.deal[:-1])
    return np.count_nonzero(won & (amount[1:] < amount[:-1]))


def two_losses(simulation):
    stage = simulation.history.stage
    codes = [simulation.history.funnel.code(name) for name in ("Lost", "No decision")]
    return min(np.count_nonzero(stage == code) for code in codes)


def optimists(simulation):
    """Open rows in a category that is not that of their stage."""
    history = simulation.history
    order = np.array([category.value for category in fn.ForecastCategory])
    names = np.array(history.schema.column("category").categories)
    own = names[history.columns["category"]]
    opened = history.funnel.outcomes[history.stage] == Outcome.OPEN
    typed = order[history.funnel.categories[history.stage]]
    return np.count_nonzero(opened & (own != typed))


TRAITS = [
    (skips, {"moves": {"skip": 0.0}}),
    (backward, {"moves": {"back": 0.0}}),
    (same_day, {"moves": {"same_day": 0.0}}),
    (holds, {"moves": {"hold": 0.0}}),
    (reopened_lost, {"moves": {"reopen_lost": 0.0}}),
    (reopened_won, {"moves": {"reopen_won": 0.0}}),
    (removed, {"moves": {"remove": 0.0}}),
    (two_losses, {"moves": {"lost_shares": (1.0, 0.0)}}),
    (late, {"intake": {"warm_up": 0}}),
    (late_unknown, {"intake": {"unknown_entry": 0.0}, "moves": {"hold": 0.0}}),
    (entered_above, {"intake": {"entry": (1.0,)}}),
    (renamed, {"records": {"renamed_on": None}}),
    (pushes, {"records": {"push": 0.0}}),
    (optimists, {"records": {"optimism": 0.0}}),
    (revisions, {"amounts": {"revise": 0.0}}),
    (discounts, {"amounts": {"discount": 0.0}}),
]


@pytest.mark.parametrize(("count", "off"), TRAITS, ids=[count.__name__ for count, _ in TRAITS])
def test_each_trait_is_there_and_can_be_switched_off(company, count, off):
    """A rate or share of 0 leaves nothing of it."""
    assert count(company) > 0
    parts = {name: attrs.evolve(getattr(World(), name), **changes) for name, changes in off.items()}
    world = World(**parts)
    assert 0 == count(simulate(3_000, world=world))


def test_the_simple_world_has_none_of_the_traits():
    """But for two losses and names of stages, which its ladder does not have."""
    simulation = simulate(3_000, world=World.simple())
    counts = [count(simulation) for count, _ in TRAITS if count not in {two_losses, optimists}]
    assert [0] * len(counts) == counts


def test_every_entry_has_one_end_or_is_still_there(company):
    """Entries counted in the rows, one by one, against the stays and what became of them."""
    history = company.history
    rows = zip(history.deal.tolist(), history.stage.tolist(), strict=True)
    entries, last = [0] * len(history.funnel.ids), None
    for row in rows:
        entries[row[1]] += row != last
        last = row
    flows = fn.spells(history).flow_table()
    assert entries == flows.sum(axis=1).tolist()
    final = history.stage[history.bounds[1:] - 1]
    still_there = np.bincount(final, minlength=len(entries))
    assert still_there.tolist() == flows[:, -1].tolist()


def test_late_deals_begin_on_the_first_day_in_a_working_stage(company):
    """The day of entry is unknown only after 21 days, the last band, and never in the future."""
    history = company.history
    first = history.bounds[:-1]
    old = history.created < history.observed_from
    assert (history.at[first][old] == history.observed_from).all()
    assert (history.at[first][~old] == history.created[~old]).all()
    working = ~history.funnel.on_hold & (history.funnel.outcomes == Outcome.OPEN)
    assert working[history.stage[first]].all()
    entered = history.first_entered[old]
    assert (entered <= history.observed_from).all()
    recent = (entered != NO_DAY) & (history.observed_from - entered < 21)
    assert recent.any()
    assert ((entered != NO_DAY) & ~recent).any()


def test_late_deals_have_one_row_on_the_first_day(hectic):
    """Their state at its end: what they did on that day comes before the log."""
    history = hectic.history
    old = history.created < history.observed_from
    rows = (history.at == history.observed_from) & old[history.deal]
    assert old.sum() == rows.sum() > 1_000


def test_larger_deals_are_won_less_often_and_keep_their_size_class(company):
    """Won deals are smaller than lost ones; an open deal never leaves the class it began in."""
    history, ends = company.history, fn.outcomes(company.history)
    won, lost = (
        float(np.median(ends.amount[ends.outcome == outcome]))
        for outcome in (Outcome.WON, Outcome.LOST)
    )
    assert won < 0.9 * lost
    size = np.searchsorted((10_000.0, 50_000.0), history.columns["amount"], side="right")
    first = size[history.bounds[:-1]][history.deal]
    opened = history.funnel.outcomes[history.stage] == Outcome.OPEN
    assert (size == first)[opened].all()


def test_promises_move_when_they_are_overdue_and_only_while_the_deal_is_open(company):
    """A new promise replaces one that has passed, and is later than its own day."""
    history = company.history
    due, same = history.columns["expected_close"], history.deal[1:] == history.deal[:-1]
    moved = np.flatnonzero(same & (due[1:] != due[:-1])) + 1
    assert (due[moved - 1] < history.at[moved]).all()
    assert (due[moved] > history.at[moved]).all()
    assert (history.funnel.outcomes[history.stage[moved]] == Outcome.OPEN).all()
    assert (history.stage[moved] == history.stage[moved - 1]).all()
    born = history.bounds[:-1][history.created >= history.observed_from]
    ahead = (due[born] - history.at[born]).astype(float)
    assert 60 == pytest.approx(float(np.median(ahead)), abs=1)  # Records.promise, rounded to days


def test_nobody_who_pushes_at_once_has_an_overdue_promise(hectic):
    """With a chance of 1, promises are moved on the day after, reopened deals' on that day too."""
    pipeline = hectic.history.snapshot("2024-06-12")
    settled = (pipeline.outcome == Outcome.OPEN) & (pipeline.stage_entered < pipeline.as_of)
    assert (pipeline.expected_close >= pipeline.as_of)[settled].all()
    assert ((pipeline.reopened > 0) & settled).any()


def test_the_last_day_is_seen_whole(hectic):
    """As many deals are lost on it as on the days before: it is a Wednesday."""
    history = hectic.history
    days = history.at[history.stage == history.funnel.code("Lost")]
    lost = np.bincount(history.observed_until - days)
    mean = lost[[1, 2, 7]].mean()  # Tuesday, Monday, and the Wednesday before
    assert mean == pytest.approx(lost[0], abs=4 * math.sqrt(mean))


def test_the_default_company_is_plausible(company):
    """Issue: about 2,000 deals, a win rate near 25 %, 60 to 120 days, a median of about 20,000."""
    history, ends = company.history, fn.outcomes(company.history)
    mature = history.created < history.observed_until - 365
    won = (ends.outcome == Outcome.WON) & mature
    closed = won | ((ends.outcome == Outcome.LOST) & mature)
    assert 0.25 == pytest.approx(won.sum() / closed.sum(), abs=0.03)
    cycle = (ends.closed_on - history.created)[won]
    assert 60 < np.median(cycle) < np.mean(cycle) < 120
    amounts = history.columns["amount"][history.bounds[:-1]]
    assert 20_000 == pytest.approx(float(np.median(amounts)), rel=0.05)
    assert amounts.mean() > 1.5 * np.median(amounts)
    probabilities = history.funnel.probabilities[:5]
    assert (np.diff(probabilities) > 0).all()


def test_a_hundred_thousand_deals_are_one_table(company):
    """Everything is done on columns: twenty times as many rounds would be the sign of a loop."""
    history = simulate(100_000, rng=4).history
    assert 100_000 == np.count_nonzero(history.created >= history.observed_from)
    ratio = len(history) / history.n_deals
    expected = len(company.history) / company.history.n_deals
    assert expected == pytest.approx(ratio, rel=0.03)


def test_one_seed_gives_one_history():
    """A seed and a generator of that seed are the same; another seed is another company."""
    one, again = simulate(300, rng=7), simulate(300, rng=np.random.default_rng(7))
    assert one.history.identical_to(again.history)
    assert one.truth == again.truth
    assert not one.history.identical_to(simulate(300, rng=8).history)


def test_small_and_short_histories_are_fine():
    """One deal, one day."""
    history = simulate(1, start="2024-05-06", end="2024-05-06", world=World.simple()).history
    assert (1, 1) == (history.n_deals, len(history))


# --- the change log as a file --------------------------------------------------------------------


def test_the_exported_log_has_the_labels_of_its_time(company):
    """Before the renaming a stage has its first alias, from that day on its label."""
    columns = company.to_columns()
    renamed_on = np.datetime64(company.world.records.renamed_on)
    old = columns["stage"] == "Quote"
    new = columns["stage"] == "Proposal"
    assert (columns["changed_at"][old] < renamed_on).all()
    assert (columns["changed_at"][new] >= renamed_on).all()
    assert np.count_nonzero(old) > 0 < np.count_nonzero(new)
    never = attrs.evolve(
        company, world=attrs.evolve(company.world, records=Records(renamed_on=None))
    )
    assert "Quote" not in set(never.to_columns()["stage"].tolist())


def test_the_exported_log_reads_back_as_the_same_history(company):
    """Labels, old ones too, lead to the same stages; late entries stay late."""
    columns = company.to_columns()
    history = fn.History.from_columns(
        funnel=company.world.funnel,
        id=columns.pop("deal"),
        at=columns.pop("changed_at"),
        observed_from="2023-01-01",
        observed_until="2026-06-30",
        **columns,
    )
    assert company.history.identical_to(history)


# --- the specification ---------------------------------------------------------------------------


def test_a_world_goes_through_json():
    """Every part, the funnel and the date come back."""
    world = World(
        moves=Moves(skip=0.25), records=Records(renamed_on=dt.date(2025, 1, 2)), mix=Mix()
    )
    assert world == World.from_dict(json.loads(json.dumps(world.to_dict())))
    simple = World.simple()
    assert simple == World.from_dict(json.loads(json.dumps(simple.to_dict())))
    assert hash(simple) == hash(World.simple())


def test_numbers_of_numpy_are_stored_as_those_of_python():
    """Otherwise a world made from arrays could not be written as JSON."""
    amounts = Amounts(median=np.float64(5.0), edges=[np.int64(3)], multipliers=(1, 2))
    assert (5.0, (3,), float) == (amounts.median, amounts.edges, type(amounts.median))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": "funnel.World/9"}, "schema must be 'funnel.World/1'"),
        ({"extra": 1}, "world must have"),
        ({"moves": {"skip": 0.1}}, "moves must have the fields"),
        ({"seasons": 3}, "seasons must have the fields"),
        (
            {"records": {**attrs.asdict(Records()), "renamed_on": "some day"}},
            "renamed_on must be a date",
        ),
        (
            {"mix": {**attrs.asdict(Mix()), "owners": [{"name": "Ann"}]}},
            "owners must be a list of Level",
        ),
    ],
)
def test_stored_worlds_are_checked(change, message):
    """What is missing, unknown or unreadable is named."""
    with pytest.raises(ValidationError, match=message):
        World.from_dict({**World().to_dict(), **change})


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Moves(skip=1.5), "skip must be a share from 0 to 1, got 1.5"),
        (lambda: Moves(skip=(0.5,)), "skip must be a share"),
        (lambda: Moves(hold=True), "hold must be a finite number >= 0, got True"),
        (lambda: Moves(back=math.inf), "back must be a finite number"),
        (lambda: Moves(advance=0.5), "advance must be a list of rows, one for each stage, got 0.5"),
        (
            lambda: Moves(advance=(0.3,)),
            "advance must be a list of rows, one for each stage, got 0.3",
        ),
        (lambda: Moves(advance=[[0.1, 0.1, -0.1]]), "advance must hold finite numbers >= 0"),
        (lambda: Moves(advance=[[0.1]]), "advance must have a row for each stage and 3 columns"),
        (lambda: Moves(lose=[[0.1] * 3]), "lose must have a row for each stage"),
        (lambda: Moves(advance=[]), "advance must have a row"),
        (lambda: Moves(bands=(7, 7)), "bands must rise"),
        (lambda: Moves(bands=(7.5,)), "bands must be a whole number"),
        (lambda: Moves(bands=7), "bands must be a list"),
        (lambda: Moves(lost_shares=(0.5, 0.4)), "lost_shares must add up to 1"),
        (lambda: Moves(lost_shares=1.0), "lost_shares must be a list of shares"),
        (lambda: Seasons(months=(1.0,) * 11), "months must be twelve multipliers"),
        (lambda: Seasons(weekend=0.0), "weekend must be a finite number > 0"),
        (lambda: Intake(growth=-1.0), "growth must be a finite number >= -0.99"),
        (lambda: Intake(warm_up=1.5), "warm_up must be a whole number"),
        (lambda: Level(" ", 0.5), "name must be a non-empty text"),
        (lambda: Mix(owners=()), "owners must add up to 1"),
        (lambda: Mix(owners=5), "owners must be a list of Level"),
        (lambda: Mix(owners=(Level("A", 0.5), Level("A", 0.5))), "owners must have different"),
        (lambda: Amounts(multipliers=(1.0,)), "multipliers must have 3 values"),
        (lambda: Amounts(discount=0.6), "discount must be at most 0.5"),
        (lambda: Amounts(median="a"), "median must be a finite number > 0"),
        (lambda: Records(renamed_on=3), "renamed_on must be a date or None"),
        (lambda: World(moves=3), "moves must be a Moves"),
        (lambda: World(funnel="general"), "funnel must be a Funnel"),
        (lambda: World(funnel=fn.Funnel(["A"])), "advance must have 1 rows"),
        (lambda: World(intake=Intake(entry=(0.1,) * 10)), "entry must have at most 5 shares"),
        (lambda: World(moves=Moves(lost_shares=(1.0,))), "lost_shares must have 2 shares"),
        (
            lambda: attrs.evolve(
                World.simple(), moves=attrs.evolve(World.simple().moves, hold=0.1)
            ),
            "hold must be 0 without an on-hold stage",
        ),
        (lambda: TrueModel(world=World(), shocks="reaslised"), "Did you mean 'realised'"),
        (lambda: simulate(0), "deals must be a whole number >= 1, got 0"),
        (lambda: simulate(True), "deals must be a whole number"),
        (lambda: simulate(10, world="simple"), "world must be a World"),
        (lambda: simulate(10, rng=-1), "rng must be a numpy Generator or a whole number >= 0"),
        (lambda: simulate(10, end="2022-12-31"), "end must not be before start"),
        (lambda: simulate(10, start="1970-06-01"), "start must leave 365 days of warm-up"),
    ],
)
def test_a_wrong_world_is_named(build, message):
    """One sentence: what must hold, and what was given."""
    with pytest.raises(ValidationError, match=message):
        build()
