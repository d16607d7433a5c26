"""Hazards with covariates: closed forms, recovered effects, no leaks, and the way back to none."""

import attrs
import numpy as np
import pytest

import funnel as fn
from funnel.datasets import simulate
from funnel.errors import ExtrapolationWarning, InsufficientDataError, ValidationError
from funnel.kernels import clock, ridge, scored, threads
from funnel.models import hazard_regression
from funnel.models.hazard_regression import HazardRegression
from funnel.models.semi_markov import SemiMarkov
from funnel.testing import fixtures

ONE = fn.Funnel(["Qualify"])
START = np.datetime64("2024-01-01")  # a Monday
AHEAD = np.array([1, 7, 30, 91])


def race(win, lose=0.03, seed=0, **columns):
    """Deals of one stage with intensities `win` and `lose` per day, all created on one day."""
    rng = np.random.default_rng(seed)
    win = np.asarray(win, dtype=float)
    n = len(win)
    days = rng.geometric(-np.expm1(-(win + lose)))
    ends = np.where(rng.random(n) < win / (win + lose), "Won", "Lost").tolist()
    ids = [f"D{i:05}" for i in range(n)]
    return fn.History.from_columns(
        funnel=ONE,
        id=ids * 2,
        stage=["Qualify"] * n + ends,
        at=np.concatenate((np.full(n, START), START + days)),
        **{name: np.tile(values, 2) for name, values in columns.items()},
    )


def fresh(funnel=ONE, stage="Qualify", n=1, **columns):
    """Deals that entered their stage on the day they are looked at."""
    return fn.Pipeline.from_columns(
        funnel=funnel,
        as_of="2026-06-30",
        id=[f"N{i}" for i in range(n)],
        stage=[stage] * n,
        stage_entered=["2026-06-30"] * n,
        created=["2026-06-30"] * n,
        **columns,
    )


def curve(fitted, pipeline):
    """Chances some days ahead."""
    return fitted.win_curve(pipeline, np.datetime64(pipeline.as_of, "D") + AHEAD)


# --- kernels -------------------------------------------------------------------------------------


def test_intensities_of_hazards_give_them_back():
    """A multiplier of 1 changes nothing; 2 squares the chance to stay: 1 - (1 - H)^2."""
    hazards = np.array([[[0.1, 0.5, 0.0, 1.0], [0.2, 0.3, 0.0, 0.0]]])
    intensity, used = scored.intensities(hazards)
    assert np.allclose(hazards, scored.scaled(intensity, np.ones((1, 2, 1))), atol=1e-8)
    total = hazards.sum(axis=1)
    twice = scored.scaled(intensity, np.full((1, 2, 1), 2.0)).sum(axis=1)
    np.testing.assert_allclose(twice, 1.0 - (1.0 - total) ** 2, atol=1e-8)
    # Expected use on a day: those who stay use all, those who leave a part; together the hazard.
    spent = (1.0 - total) * intensity.sum(axis=1) + total * used.sum(axis=1)
    np.testing.assert_allclose(spent, total, atol=1e-7)


def test_rates_without_penalty_are_events_over_expected():
    """One indicator per level: exp(b) = events / expected, in each group for itself."""
    design = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
    group = np.array([0, 0, 1, 1])
    expected, events = np.array([100.0, 50.0, 80.0, 90.0]), np.array([120.0, 40.0, 60.0, 99.0])
    found = ridge.rate_effects(
        design,
        group,
        expected,
        events,
        term=np.array([0, 0]),
        own=np.array([0, 1]),
        groups=3,
        penalty=1e-6,
    ).by_group
    np.testing.assert_allclose(found[:2].ravel(), np.log(events / expected), atol=1e-6)
    # The third group has no rows: it has the shared effect, half way where penalties are equal.
    np.testing.assert_allclose(found[2], found[:2].sum(axis=0) / 3.0, atol=1e-6)


def test_variances_vanish_without_evidence_and_grow_with_it():
    """As many events as expected in all levels: no effects. Twice as many in one: almost log 2."""
    levels = np.repeat(np.eye(4), 50, axis=0)
    expected = np.full(200, 20.0)
    common = {"term": np.zeros(4, dtype=int), "own": np.array([], dtype=int), "groups": 1}
    rows = np.zeros(200, dtype=int)
    none = ridge.rate_effects(levels, rows, expected, expected, penalty=None, **common).by_group
    assert np.abs(none).max() < 1e-6
    events = np.where(levels[:, 0] > 0, 40.0, 20.0)
    some = ridge.rate_effects(levels, rows, expected, events, penalty=None, **common).by_group
    assert pytest.approx([np.log(2.0), 0.0, 0.0, 0.0], abs=0.01) == some[0].tolist()


def test_effects_solve_the_penalised_equations():
    """At a fixed penalty the gradient of likelihood and prior vanishes, by shared and own effects.

    The closed form of the first order conditions, without any use of the block structure.
    """
    rng = np.random.default_rng(5)
    group = np.sort(rng.integers(0, 4, 300))
    design = rng.normal(size=(300, 3)) * 0.5
    expected = rng.uniform(1.0, 5.0, 300)
    events = rng.poisson(expected * np.exp(design @ [0.3, -0.2, 0.1])).astype(float)
    own = np.array([0, 2])
    found = ridge.rate_effects(
        design, group, expected, events, term=np.arange(3), own=own, groups=4, penalty=2.0
    )
    gap = events - expected * np.exp(np.einsum("np,np->n", design, found.by_group[group]))
    np.testing.assert_allclose(design.T @ gap, 2.0 * found.shared, atol=1e-7)
    for g in range(4):
        mine = group == g
        np.testing.assert_allclose(
            design[mine][:, own].T @ gap[mine], 2.0 * found.deviations[g], atol=1e-7
        )


# --- the way back to semi-Markov -----------------------------------------------------------------


def test_without_effects_it_is_semi_markov():
    """A ridge of 1e12 leaves no effects: the same curves for every kind of deal, to 1e-9."""
    history = fixtures.history()
    pipeline, dates = history.snapshot(), fixtures.dates(history.observed_until)[:5]
    fitted = HazardRegression(ridge=1e12).fit(history)
    base = SemiMarkov().fit(history)
    np.testing.assert_allclose(
        fitted.win_curve(pipeline, dates), base.win_curve(pipeline, dates), atol=1e-9
    )
    assert np.abs(fitted.scores(pipeline)).max() < 1e-9
    assert pytest.approx([1.0] * 7) == fitted.weekdays.tolist()


@pytest.mark.parametrize(("score", "off"), [((0.5, -0.25), 1e-9), ((0.37, 0.1), 2e-3)])
def test_the_same_multiplier_everywhere_is_semi_markov_with_scaled_hazards(score, off):
    """Exact on the lattice of scores (multiples of 0.25), and within 0.002 between its points."""
    history = fixtures.history()
    pipeline, dates = history.snapshot(), fixtures.dates(history.observed_until)[:5]
    pipeline = pipeline.select((pipeline.outcome == 0) & (pipeline.days_in_stage >= 0))
    fitted = HazardRegression(ridge=1e12).fit(history)
    region = [t for t in fitted.terms if t[1] == "region"]
    effects = np.repeat(np.array(score)[:, None, None], 2 * history.funnel.n_stages, axis=1)
    effects = np.repeat(effects, 3, axis=2)
    fitted = attrs.evolve(fitted, terms=tuple(region), effects=effects, baseline=fitted.hazards)
    from funnel.models._paths import Ahead
    from funnel.models._sojourns import Layout

    model = Ahead(Layout(history.funnel), fitted.hazards, fitted.resumed)
    multiplier = np.exp(np.array([*score, 0.0]))[model.kind][:, :, None]
    base = attrs.evolve(
        fitted.without_effects(), hazards=scored.scaled(model.intensity, multiplier)
    )
    np.testing.assert_allclose(
        fitted.win_curve(pipeline, dates), base.win_curve(pipeline, dates), atol=off
    )


# --- what it finds -------------------------------------------------------------------------------


def test_a_known_ratio_of_hazards_is_found():
    """Intensities of winning 0.02 and 0.04: log 2 within 3 standard errors; losing the same."""
    n = 4000
    history = race(np.repeat([0.02, 0.04], n), source=np.repeat(["A", "B"], n))
    fitted = HazardRegression(ridge=1e-6).fit(history)
    table = fresh(n=2, source=["A", "B"])
    wins, losses = np.diff(fitted.scores(table), axis=0)[0]
    source = history.columns["source"]
    won, lost = (history.stage == history.funnel.code(end) for end in ("Won", "Lost"))

    def error(ended):
        """Return the standard error of a log ratio of two rates: sqrt(1/a + 1/b)."""
        return np.sqrt(1.0 / (ended & (source == 0)).sum() + 1.0 / (ended & (source == 1)).sum())

    assert pytest.approx(np.log(2.0), abs=3 * error(won)) == wins
    assert pytest.approx(0.0, abs=3 * error(lost)) == losses
    # W(h) = w / (w + l) (1 - exp(-(w + l) h)); 0.02 is 3 standard errors of a share of 4,000.
    for row, win in enumerate((0.02, 0.04)):
        total = win + 0.03
        wanted = win / total * -np.expm1(-total * 91)
        assert pytest.approx(wanted, abs=0.025) == curve(fitted, table)[row, 3]


def test_amounts_may_bend():
    """Middling amounts are won most often: a line cannot say so, hats can."""
    amount = np.random.default_rng(1).uniform(0.0, 100.0, 4000)
    history = race(np.where(np.abs(amount - 50.0) < 20.0, 0.06, 0.01), amount=amount)
    fitted = HazardRegression().fit(history)
    low, middle, high = curve(fitted, fresh(n=3, amount=[10.0, 50.0, 90.0]))[:, 3]
    # 0.01 / 0.04 and 0.06 / 0.09 in the long run; 0.07 is 3 standard errors of 400 deals each.
    assert pytest.approx([0.25, 0.67, 0.25], abs=0.08) == [low, middle, high]


def test_unknown_amounts_have_an_effect_of_their_own():
    """Deals without an amount are seldom won; amounts themselves do not matter."""
    amount = np.random.default_rng(2).uniform(1.0, 100.0, 3000)
    amount[::3] = np.nan
    history = race(np.where(np.isnan(amount), 0.005, 0.04), amount=amount)
    fitted = HazardRegression().fit(history)
    assert ("column", "amount", "missing", ()) in fitted.terms
    known, unknown = curve(fitted, fresh(n=2, amount=[50.0, np.nan]))[:, 3]
    assert pytest.approx(0.04 / 0.07, abs=0.05) == known
    assert pytest.approx(0.005 / 0.035, abs=0.05) == unknown


def test_levels_never_seen_have_no_effect():
    """A new owner lies between the others, and is like a pipeline without the column."""
    history = race(np.repeat([0.02, 0.05], 500), owner=np.repeat(["Ann", "Bo"], 500))
    fitted = HazardRegression().fit(history)
    ann, bo, zoe = fitted.scores(fresh(n=3, owner=["Ann", "Bo", "Zoe"]))[:, 0]
    assert ann < zoe < bo
    np.testing.assert_array_equal(curve(fitted, fresh(owner=["Zoe"])), curve(fitted, fresh()))


@pytest.mark.deep
def test_better_than_semi_markov_where_deals_differ():
    """Against the truth of simulated deals, the error is lower at 30 and 90 days."""
    for seed in range(2):
        world = simulate(1000, rng=seed)
        known = world.history.until("2025-09-30")
        pipeline = known.snapshot()
        pipeline = pipeline.select(pipeline.outcome == 0)
        truth = curve(world.truth, pipeline)
        errors = [
            np.sqrt(np.mean((curve(model.fit(known), pipeline) - truth) ** 2, axis=0))
            for model in (HazardRegression(), SemiMarkov())
        ]
        assert (errors[0] < errors[1])[2:].all()


def test_the_clock_slows_at_weekends():
    """No moves at weekends: from a Friday on, two days ahead bring less than the third one."""
    rng = np.random.default_rng(4)
    n = 2000
    opened = START + rng.integers(0, 364, n)
    closed = np.busday_offset(opened, rng.geometric(0.1, n), roll="backward")
    ids = [f"D{i:05}" for i in range(n)]
    history = fn.History.from_columns(
        funnel=ONE,
        id=ids * 2,
        stage=["Qualify"] * n + rng.choice(["Won", "Lost"], n).tolist(),
        at=np.concatenate((opened, np.maximum(closed, opened))),
    )
    fitted = HazardRegression().fit(history)
    assert pytest.approx(7.0) == fitted.weekdays.sum()
    assert not fitted.follows_quarter
    assert (fitted.weekdays[5:] < 0.25).all()
    friday = np.datetime64("2026-07-03")
    table = attrs.evolve(fresh(), as_of=int(friday.astype(int)))
    days = fitted.win_curve(table, friday + np.array([1, 2, 3]))[0]
    assert days[1] < 0.5 * (days[2] - days[1])


def test_wins_follow_the_quarter_and_losses_do_not_matter():
    """Wins come at 0.06 a day in the last half of a quarter, at 0.02 else: from there 3 times.

    Over ten days that begin with it, ``1 - exp(-0.6)`` would be won without losses of 0.01 a day.
    """
    rng = np.random.default_rng(6)
    n = 4000
    days = np.arange(START.astype(int), START.astype(int) + 730)
    last = clock.halves(days) % clock.PHASES == clock.PHASES - 1
    opened = rng.integers(0, 700, n)
    spent = np.cumsum(np.where(last, 0.06, 0.02))
    won = np.searchsorted(spent, spent[opened] + rng.exponential(size=n))
    lost = opened + rng.geometric(0.01, n)
    ended = np.minimum(won, lost)
    seen = ended < 730
    ids = np.array([f"D{i:05}" for i in range(n)])
    ends = np.where(won <= lost, "Won", "Lost")
    history = fn.History.from_columns(
        funnel=ONE,
        id=np.concatenate((ids, ids[seen])),
        stage=np.concatenate((np.full(n, "Qualify"), ends[seen])),
        at=START + np.concatenate((opened, ended[seen])),
    )
    fitted = HazardRegression().fit(history)
    others = fitted.phases[:-1]
    assert fitted.follows_quarter
    assert pytest.approx(6.0) == fitted.phases.sum()
    assert pytest.approx(3.0, rel=0.15) == fitted.phases[-1] / others.mean()
    assert (np.abs(others / others.mean() - 1.0) < 0.15).all()
    begin = np.datetime64("2026-03-15")
    table = attrs.evolve(fresh(), as_of=int(begin.astype(int)))
    ten, twenty = fitted.win_curve(table, begin + np.array([10, 20]))[0]
    fast, slow = (rate / (rate + 0.01) * -np.expm1(-10 * (rate + 0.01)) for rate in (0.06, 0.02))
    assert pytest.approx(fast, abs=0.03) == ten
    assert ten < twenty
    start = np.datetime64("2026-04-01")
    table = attrs.evolve(fresh(), as_of=int(start.astype(int)))
    assert pytest.approx(slow, abs=0.03) == fitted.win_curve(table, start + np.array([10]))[0, 0]
    # A pool then expects new deals by the days on which they come, up to a quarter ahead.
    pool, today = fn.Blend("hazard-regression", windows=1).fit(history), history.observed_until
    for days, by_day in ((92, True), (93, False)):
        horizon = fn.Horizon.custom([today + 1, today + 1 + days])
        assert by_day == pool.at(horizon, today).deals.calendar_aware


def test_rushes_at_ends_of_months_are_no_pattern_of_the_quarter():
    """Wins come four times as often on the last five days of each month: the clock says it all."""
    rng = np.random.default_rng(8)
    n = 3000
    days = START.astype(int) + np.arange(730)
    ends = (days + 5).astype("M8[D]").astype("M8[M]") != days.astype("M8[D]").astype("M8[M]")
    spent = np.cumsum(np.where(ends, 0.08, 0.02))
    opened = rng.integers(0, 600, n)
    closed = np.searchsorted(spent, spent[opened] + rng.exponential(size=n))
    seen = closed < 730
    ids = np.array([f"D{i:05}" for i in range(n)])
    history = fn.History.from_columns(
        funnel=ONE,
        id=np.concatenate((ids, ids[seen])),
        stage=["Qualify"] * n + ["Won"] * int(seen.sum()),
        at=START + np.concatenate((opened, closed[seen])),
    )
    fitted = HazardRegression().fit(history)
    assert pytest.approx(4.0, rel=0.2) == fitted.month_end[1] / fitted.month_end[0]
    assert np.abs(fitted.phases - 1.0).max() < 0.05


def test_a_date_alone_has_the_chance_it_has_among_all_days():
    """Multipliers are those of the halves of months on the way there, whatever else is asked."""
    phases = np.array([0.4, 1.0, 1.6, 0.4, 1.0, 1.6])
    fitted = attrs.evolve(HazardRegression().fit(race(np.full(300, 0.02))), phases=phases)
    today = np.datetime64("2026-06-30")
    every = fitted.win_curve(fresh(), today + np.arange(1, 93))[0]
    for ahead in (1, 15, 16, 40, 92):
        alone = fitted.win_curve(fresh(), today + np.array([ahead]))[0]
        np.testing.assert_allclose(alone, every[ahead - 1], rtol=1e-9)


# --- no leaks ------------------------------------------------------------------------------------


def test_values_that_change_on_closing_teach_nothing():
    """An amount that is doubled on the day a deal is won was not known the day before."""
    rng = np.random.default_rng(5)
    n = 1000
    ids, ends = [f"D{i:05}" for i in range(n)], rng.choice(["Won", "Lost"], n)
    amount = rng.choice([10.0, 20.0], n)
    history = fn.History.from_columns(
        funnel=ONE,
        id=ids * 2,
        stage=["Qualify"] * n + ends.tolist(),
        at=np.concatenate((np.full(n, START), START + rng.integers(1, 60, n))),
        amount=np.concatenate((amount, np.where(ends == "Won", 20.0, 10.0))),
    )
    scores = HazardRegression().fit(history).scores(fresh(n=2, amount=[10.0, 20.0]))
    assert np.abs(np.diff(scores, axis=0)).max() < 0.2  # a leak would give several units


def test_final_columns_are_not_read():
    """What is known in the end only is no covariate, whatever it would tell."""
    win = np.repeat([0.01, 0.08], 500)
    fields = {"amount": np.repeat([1.0, 9.0], 500), "reason": np.repeat(["bad", "good"], 500)}
    rows = race(win, **fields).to_columns()
    rows["stage"] = rows["stage"].tolist()
    known = {"amount": "final", "reason": "final", "expected_close": "final"}
    history = fn.History.from_columns(funnel=ONE, known=known, **rows)
    assert () == tuple(t for t in HazardRegression().fit(history).terms if t[0] == "column")


def test_any_order_of_chunks_gives_the_same_bits():
    """Spells are sorted before they are added up."""
    history = fixtures.history()
    whole = HazardRegression().fit(history)
    chunks = list(history.chunks(70))[::-1]
    other = HazardRegression().fit(chunks)
    for field in ("effects", "weekdays", "month_end", "hazards"):
        np.testing.assert_array_equal(getattr(whole, field), getattr(other, field))
    assert whole.terms == other.terms


# --- little or odd input -------------------------------------------------------------------------


def test_too_little_history_is_said():
    """Three moves are fewer than twenty."""
    with pytest.raises(InsufficientDataError, match="20 needed, 3 found"):
        HazardRegression().fit(race([0.1] * 3))


def test_a_handful_of_deals_is_almost_semi_markov():
    """Ten closed deals of two kinds that differ by chance: their scores differ by little."""
    history = race([0.05] * 10, seed=7, owner=np.repeat(["Ann", "Bo"], 5))
    fitted = HazardRegression(minimum=1).fit(history)
    assert np.abs(np.diff(fitted.scores(fresh(n=2, owner=["Ann", "Bo"])), axis=0)).max() < 0.5


def test_recent_deals_count_more():
    """Of early deals a half is won and of late ones nearly all: with a half-life, the late ones."""
    early = race([0.03] * 500, seed=1).to_columns()
    late = race([0.6] * 500, lose=0.03, seed=2).to_columns()
    late["id"] = np.array([f"L{name}" for name in late["id"]], dtype=object)
    late["at"], late["created"] = late["at"] + 700, late["created"] + 700
    rows = {name: np.concatenate((early[name], late[name])) for name in early}
    history = fn.History.from_columns(funnel=ONE, **rows)
    even, recent = (
        curve(HazardRegression(half_life=half).fit(history), fresh())[0, 3] for half in (None, 60.0)
    )
    assert even < recent


def test_a_column_of_another_kind_is_refused():
    """Regions that were names cannot become numbers."""
    history = race([0.03] * 40, region=np.tile(["north", "south"], 20))
    fitted = HazardRegression().fit(history)
    with pytest.raises(ValidationError, match="region must be a category, as it was"):
        curve(fitted, fresh(region=[3.0]))


def test_deals_older_than_history_are_answered_with_a_warning():
    """The last hazard is carried on, and the number of such deals is said."""
    fitted = HazardRegression().fit(race([0.03] * 60))
    table = attrs.evolve(fresh(), days_in_stage=np.array([5000], dtype=np.int32))
    with pytest.warns(ExtrapolationWarning, match="1 open deals are in their stage for longer"):
        assert (curve(fitted, table) > 0.0).all()


def test_nothing_asked_is_nothing_answered():
    """No deals, no dates, or closed deals only."""
    history = race([0.03] * 60)
    fitted = HazardRegression().fit(history)
    empty = fresh().select(np.array([], dtype=int))
    assert (0, 4) == curve(fitted, empty).shape
    assert (1, 0) == fitted.win_curve(fresh(), np.array([], dtype="datetime64[D]")).shape
    closed = history.snapshot()
    assert (curve(fitted, closed.select(closed.outcome == 1)) == 0.0).all()


@pytest.mark.parametrize("field", ["ridge", "half_life", "lean", "minimum"])
def test_parameters_are_positive(field):
    """None is for those with a rule of their own."""
    with pytest.raises(ValidationError, match=f"{field} must be a number > 0"):
        HazardRegression(**{field: 0.0})


def test_draws_spread_as_the_deals_seen_allow():
    """Small and large deals, 200 each, all closed: shares won p vary by p (1 - p) / 200.

    The hazards leave the level to be known, the effects the difference: with the variance of the
    effects estimated (shrunk a little) the variance is that of a proportion to within a third.
    """
    rng = np.random.default_rng(1)
    n = 200
    large = np.repeat([0, 1], n)
    won = np.concatenate((np.arange(n) < 0.7 * n, np.arange(n) < 0.3 * n))
    history = fn.History.from_columns(
        funnel=fn.Funnel(["Qualify"]),
        id=np.tile(np.arange(2 * n), 2),
        stage=["Qualify"] * 2 * n + np.where(won, "Won", "Lost").tolist(),
        at=np.datetime64("2026-01-01")
        + np.concatenate((np.zeros(2 * n, dtype=np.int64), rng.geometric(0.2, 2 * n))),
        amount=np.tile(np.where(large, 9.0, 1.0), 2),
    )
    pipeline = fn.Pipeline.from_columns(
        funnel=history.funnel,
        as_of=np.datetime64(history.observed_until, "D"),
        id=["small", "large"],
        amount=[1.0, 9.0],
        stage=["Qualify"] * 2,
        stage_entered=[np.datetime64(history.observed_until, "D")] * 2,
    )
    fitted = HazardRegression().fit(history)
    dates = np.datetime64(history.observed_until, "D") + np.array([200])
    center = fitted.win_curve(pipeline, dates)[:, 0]
    drawn = np.array([fitted.draw(rng).win_curve(pipeline, dates)[:, 0] for _ in range(200)])
    expected = center * (1 - center) / n
    np.testing.assert_allclose(drawn.mean(axis=0), center, atol=0.02)
    np.testing.assert_allclose(drawn.var(axis=0), expected, rtol=0.35)
    total = drawn.sum(axis=1).var()
    assert pytest.approx(expected.sum(), rel=0.35) == total


@pytest.mark.usefixtures("two_threads")
def test_threads_change_no_chance(monkeypatch):
    """Blocks of deals are the same ones, whoever works on them."""
    monkeypatch.setattr(hazard_regression, "CELLS", 50_000)
    history = fixtures.history()
    fitted, pipeline = HazardRegression().fit(history), history.snapshot()
    dates = fixtures.dates(history.observed_until)[:3]
    found = []
    for number in (1, 2, 3):
        threads.put(number)
        found.append(fitted.win_curve(pipeline, dates))
    assert found[0].any()
    assert all(np.array_equal(found[0], more) for more in found[1:])
