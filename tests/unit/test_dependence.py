"""What deals share: shocks, their states, and what they do to a forecast."""

import attrs
import numpy as np
import pytest
from scipy import integrate, stats

import funnel as fn
from funnel.errors import ValidationError
from funnel.forecasting import Amounts, ForecastDeals, _laws
from funnel.forecasting._rows import PARTS
from funnel.forecasting._states import FEW, MANY, gamma_nodes, shock_nodes, states
from funnel.forecasting.dependence import Shock, fit_shock

RNG = np.random.default_rng


def deals(chance, amount, part, **more):
    """Deals of a forecast by hand, all periods of the horizon being given."""
    n = len(amount)
    return ForecastDeals(
        ids=np.array([f"R{i}" for i in range(n)], dtype=object),
        chance=np.asarray(chance, dtype=float).reshape(n, -1),
        amount=np.array(amount, dtype=float),
        part=np.array([PARTS.index(name) for name in part], dtype=np.int8),
        group=np.zeros(n, dtype=np.int32),
        category=np.full(n, -1, dtype=np.int8),
        promised=np.full(n, -1, dtype=np.int32),
        **more,
    )


def outlook(rows, *, dispersion=0.0, shock=None):
    """The forecast of given rows; unknown amounts are 10 or 30."""
    horizon = fn.Horizon.months("2026-07-01", rows.chance.shape[1])
    atoms = Amounts(np.array([10.0, 30.0]), np.array([0.5, 0.5]))
    return fn.Forecast(horizon, 20634, "", (), ((),), rows, atoms, "hand", dispersion, shock)


def book(n=400, seed=1, periods=1):
    """Open deals of log-normal amounts, and new deals like the first of them."""
    rng = RNG(seed)
    chance = rng.uniform(0.0, 0.9, n)[:, None] * rng.dirichlet(np.ones(periods), n)
    amount = np.rint(rng.lognormal(4.0, 0.8, n))
    rows = deals(chance, amount, ["open"] * n)
    fresh = deals(chance[:20] * 2.0, amount[:20], ["new"] * 20)
    return rows.with_rows(fresh)


# -- the shock ---------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [0.05, 0.3, 1.0, 10.0])
@pytest.mark.parametrize("df", [2.5, 8.0, np.inf])
def test_states_of_a_shock_have_its_moments(scale, df):
    """Against numerical integration of the density of t or normal, cut to [-1, 1]."""
    shock = Shock(scale, df=df)
    law = stats.norm(scale=scale) if df == np.inf else stats.t(df, scale=scale)
    ends = (-1.0, 1.0)
    inside = integrate.quad(law.pdf, *ends, points=[0.0])[0]
    square = integrate.quad(lambda x: x * x * law.pdf(x), *ends, points=[0.0])[0]
    assert pytest.approx(square / inside, rel=1e-8) == shock.variance
    for count in (FEW, MANY):
        nodes = shock_nodes(shock, count)
        assert np.array_equal(-nodes[::-1], nodes)  # so that the mean is 0
        assert pytest.approx(shock.variance, rel=1e-9) == np.mean(nodes**2)
        assert (np.diff(nodes) > 0.0).all()
        assert nodes[-1] <= 1.0
    # The inner slices are conditional means.
    low, high = (law.ppf(law.cdf(-1.0) + inside * k / MANY) for k in (9, 10))
    mean = integrate.quad(lambda x: x * law.pdf(x), low, high)[0] * MANY / inside
    assert pytest.approx(mean, rel=1e-6) == shock_nodes(shock, MANY)[9]


@pytest.mark.parametrize("variance", [0.001, 0.2, 1.0, 2.9])
def test_states_of_a_gamma_factor_have_its_moments(variance):
    """Mean 1 and the variance, exactly, never negative."""
    for count in (FEW, MANY):
        nodes = gamma_nodes(variance, count)
        assert pytest.approx(1.0, rel=1e-12) == nodes.mean()
        assert pytest.approx(variance, rel=1e-9) == nodes.var()
        assert nodes.min() >= 0.0
    assert pytest.approx(15.0) == gamma_nodes(100.0, MANY).var()  # most that 16 states can hold


@pytest.mark.parametrize("count", [FEW, MANY])
def test_shock_and_factor_are_paired_without_correlation(count):
    """Of (1 + s) g: mean 1, covariance with s its variance, variance (1 + v)(1 + d) - 1."""
    shock, spread = Shock(0.1, df=8.0), 0.05
    found = states(shock, spread, count)
    assert pytest.approx(1.0, rel=1e-12) == found.new.mean()
    assert pytest.approx(shock.variance, rel=1e-9) == np.mean(found.shock * found.new)
    wanted = (1.0 + shock.variance) * (1.0 + spread) - 1.0
    assert pytest.approx(wanted, rel=0.03) == found.new.var()
    assert ([0.0], [1.0]) == tuple(part.tolist() for part in states(None, 0.0))
    assert np.array_equal(states(shock, 0.0).new, 1.0 + states(shock, 0.0).shock)


def test_shocks_combine_in_quadrature():
    """0.3, 0.4 -> 0.5; degrees of freedom by Welch and Satterthwaite: 0.25^2 / (0.09^2 / 6)."""
    both = Shock(0.3, df=6).combined(Shock(0.4))
    assert pytest.approx((0.5, 0.25**2 / (0.09**2 / 6))) == (both.scale, both.df)
    assert Shock(0.1).combined(None) == Shock(0.1)
    assert Shock(0.0).combined(Shock(0.2, df=5)) == Shock(0.2, df=5)
    assert Shock(0.0).combined(Shock(0.0)) == Shock(0.0)
    assert np.inf == Shock(0.1).combined(Shock(0.1)).df
    assert 10.0 == Shock(5.0).scaled(3.0).scale
    assert 0.0 == Shock(0.0).variance


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"scale": -0.1}, "relative error from 0 to 10"),
        ({"scale": float("nan")}, "scale must be"),
        ({"scale": 11.0}, "scale must be"),
        ({"scale": 0.1, "df": 2.0}, "df must be a number > 2"),
    ],
)
def test_shocks_check_themselves(options, match):
    """Scale and degrees of freedom."""
    with pytest.raises(ValidationError, match=match):
        Shock(**options)


# -- from past windows -------------------------------------------------------------------------


def test_a_shock_from_past_windows_by_hand():
    """Squares 0.01, 0.04, 0.09: median 0.04 / 0.4549 - 0.01, shrunk by 2 windows of 0.08^2."""
    found = fit_shock(np.exp([0.1, -0.2, 0.3]), np.ones(3), 0.01)
    variance = (3 * (0.04 / stats.chi2(1).ppf(0.5) - 0.01) + 2 * 0.08**2) / 5
    assert pytest.approx((np.sqrt(variance), 6.0)) == (found.scale, found.df)
    # Weights 1/2, 1/2, 1: the median is half-way between 0.04 and 0.09, and 2 windows count.
    found = fit_shock(np.exp([0.1, -0.2, 0.3]), np.ones(3), 0.01, weight=[0.5, 0.5, 1.0])
    variance = (2 * (0.065 / stats.chi2(1).ppf(0.5) - 0.01) + 2 * 0.08**2) / 4
    assert pytest.approx((np.sqrt(variance), 5.0)) == (found.scale, found.df)


def test_without_windows_the_prior_stays():
    """Nothing seen; and windows that vary less than independent deals would."""
    assert Shock(0.08, df=3.0) == fit_shock([], [], 0.0)
    still = fit_shock(np.ones(6), np.ones(6), 0.02)
    assert pytest.approx((0.04, 9.0)) == (still.scale, still.df)  # 0.08 sqrt(2 / 8)


def test_a_known_shock_is_found():
    """4,000 windows with a shared error of 0.15 and 0.1 within: the median is good to 3 %."""
    log = RNG(5).normal(0.0, np.hypot(0.15, 0.1), 4000)
    assert pytest.approx(0.15, rel=0.05) == fit_shock(np.exp(log), np.ones(4000), 0.01).scale


def test_one_window_without_a_win_does_no_harm_and_many_are_refused():
    """The median does not see how small the smallest is."""
    won = [0.0, 95.0, 100.0, 108.0, 100.0]
    assert fit_shock(won, np.full(5, 100.0), 0.001).scale < 0.15
    with pytest.raises(ValidationError, match="more than half of the windows") as error:
        fit_shock([0.0, 0.0, 1.0], np.ones(3), 0.0)
    assert 2 == error.value.count


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (([1.0, -1.0], [1.0, 1.0], 0.1), "won must be a number >= 0; 1 of 2 rows breaks"),
        (([1.0], [0.0], 0.1), "expected must be a number > 0"),
        (([1.0], [1.0], -0.1), "within_variance must be"),
        (([1.0], [1.0, 2.0], 0.1), "expected must have one number for each window"),
        (([[1.0]], [[1.0]], 0.1), "won must have one number"),
    ],
)
def test_windows_are_checked(arguments, match):
    """Missing, negative and unequal columns."""
    with pytest.raises(ValidationError, match=match):
        fit_shock(*arguments)
    with pytest.raises(ValidationError, match=r"weight must be in \(0, 1\]"):
        fit_shock([1.0], [1.0], 0.1, weight=1.5)
    with pytest.raises(ValidationError, match="prior_windows must be a number > 0"):
        fit_shock([1.0], [1.0], 0.1, prior_windows=0.0)


# -- in a forecast -----------------------------------------------------------------------------


def test_a_shock_moves_chances_as_stated():
    """P(win) in a state is p (1 + s (1 - p)): two deals, mixed over the states by hand."""
    shock = Shock(0.3, df=5.0)
    found = outlook(deals([0.5, 0.8], [100.0, 10.0], ["open"] * 2), shock=shock)
    s = shock_nodes(shock, FEW)  # the shock is weak beside chance: four states do
    both = (0.5 * (1 + 0.5 * s)) * (0.8 * (1 + 0.2 * s))
    assert pytest.approx(both.mean()) == found.probability_of(110.0)[0]
    assert pytest.approx(58.0) == found.expected[0]
    # Var of the sum: p q a^2 for each, and 2 a b p q p' q' v between them.
    square = 0.25 * 100**2 + 0.16 * 10**2 + 2 * 1000 * 0.25 * 0.16 * shock.variance
    assert pytest.approx(np.sqrt(square)) == found.sd[0]


@pytest.mark.parametrize("shock", [None, Shock(0.05), Shock(0.4, df=4.0)])
@pytest.mark.parametrize("dispersion", [0.0, 0.1])
def test_laws_agree_with_moments_and_simulation(shock, dispersion):
    """Mean to 1e-9, standard deviation to 1 %, quantiles within four Monte-Carlo errors."""
    found = outlook(book(), dispersion=dispersion, shock=shock)
    (law,) = found.laws
    assert pytest.approx(found.expected[0], rel=1e-9) == law.cumulants[0]
    assert pytest.approx(found.sd[0], rel=0.01) == np.sqrt(law.cumulants[1])
    drawn = found.simulate(20_000, rng=3)[:, 0]
    assert pytest.approx(found.expected[0], abs=4 * found.sd[0] / np.sqrt(20_000)) == drawn.mean()
    assert pytest.approx(found.sd[0], rel=0.03) == drawn.std()
    for q in (0.1, 0.25, 0.5, 0.75, 0.9):
        below = np.mean(drawn <= found.quantile(q)[0])
        assert pytest.approx(q, abs=4 * np.sqrt(q * (1 - q) / 20_000) + 0.004) == below


def test_new_deals_come_in_poisson_numbers():
    """P(none of 1.5 expected) is exp(-1.5), mixed over the level; the law has the stated variance.

    Simulation draws the numbers themselves: P90 of 20,000 draws is good to 0.02 in probability.
    """
    rows = deals([0.5, 1.0, 0.3], [100.0, 70.0, np.nan], ["new", "new", "new"])
    plain = outlook(rows)
    assert pytest.approx(1.0 - np.exp(-1.8)) == plain.probability_of(1.0)[0]
    assert pytest.approx(plain.sd[0]) == plain.laws[0].cumulants[1] ** 0.5
    assert np.inf == plain.quantile(1.0)[0]
    found = outlook(rows, dispersion=0.4)
    none = np.mean(np.exp(-1.8 * gamma_nodes(0.4, MANY)))
    assert pytest.approx(1.0 - none, abs=1e-9) == found.probability_of(1.0)[0]
    drawn = found.simulate(20_000, rng=4)[:, 0]
    for target in (100.0, 200.0, 400.0):
        assert pytest.approx(np.mean(drawn >= target), abs=0.015) == found.probability_of(target)[0]


@pytest.mark.parametrize("smooth", [False, True])
def test_a_large_book_has_the_quantiles_of_its_shock(smooth):
    """Independent chance is nothing beside the shock: quantiles are those of the normal law.

    With amounts of 1 the law is of steps, otherwise smooth.
    """
    n = 200_000
    amount = RNG(1).uniform(0.5, 1.5, n) if smooth else np.ones(n)
    found = outlook(deals(np.full(n, 0.5), amount, ["open"] * n))
    found = found.with_shock(Shock(0.1))
    expected = 0.5 * amount.sum()
    assert pytest.approx(expected, rel=1e-3) == found.quantile(0.5)[0]
    assert pytest.approx(0.1 * expected, rel=0.01) == found.sd[0]
    for q in (0.1, 0.25, 0.75, 0.9):
        wanted = expected * (1.0 + 0.1 * stats.norm.ppf(q))
        assert pytest.approx(wanted, rel=4e-3) == found.quantile(q)[0]
    assert 0.0 == found.quantile(0.0)[0]
    assert ("mixture",) == found.method
    assert smooth == bool(found.laws[0].density.size)
    assert pytest.approx(amount.sum()) == found.quantile(1.0)[0]


def test_states_one_by_one_have_the_law_of_all_together(monkeypatch):
    """A table too large for all states at once: quantiles differ by rounding only."""
    rows = book(300)
    levels = (0.01, 0.1, 0.5, 0.9, 0.99)
    together = outlook(rows, shock=Shock(0.1), dispersion=0.02)
    expected = [together.quantile(q)[0] for q in levels]
    monkeypatch.setattr(_laws, "TOGETHER", 1)
    alone = outlook(rows, shock=Shock(0.1), dispersion=0.02)
    found = [alone.quantile(q)[0] for q in levels]
    assert (together.method, alone.method) == (("cos",), ("mixture",))
    np.testing.assert_allclose(found, expected, atol=1e-4 * together.sd[0])


def test_the_error_of_the_money_is_the_one_asked_for():
    """The shared part of the variance over the squared money to come, whatever the chances."""
    rows = book(periods=2).with_rows(deals([[1.0, 0.0]], [5000.0], ["booked"]))
    for part in (None, "open", "new"):
        plain = outlook(rows)
        found = plain.with_shock(Shock(0.05), part=part)
        taken = [part] if part else ["open", "new"]
        for one in (found, found.total()):
            shared = sum(one.parts[name]._variance.shock ** 0.5 for name in taken)
            if one is not found:  # over the whole horizon, the parts' errors are one error
                money = sum(one.parts[name].expected for name in taken)
                assert pytest.approx(0.05 * money, rel=1e-9) == shared
        assert pytest.approx(plain.expected) == found.expected
    both = plain.with_shock(Shock(0.03), part="open").with_shock(Shock(0.04), part="open")
    once = plain.with_shock(Shock(0.05), part="open")
    assert pytest.approx(once.shock.scale) == both.shock.scale
    assert both.with_shock(None).shock is None
    with pytest.raises(ValidationError, match="part must be one of open, reopened, new"):
        plain.with_shock(Shock(0.1), part="booked")


def test_what_is_certain_cannot_be_moved():
    """No shock at all where nothing is to come, a limited one (and a note) where nearly certain."""
    certain = outlook(deals([1.0], [10.0], ["booked"]))
    assert certain.with_shock(Shock(0.1)).shock is None
    assert certain.with_shock(Shock(0.0)).shock is None
    nearly = outlook(deals([0.97] * 3, [10.0] * 3, ["open"] * 3)).with_shock(Shock(0.1))
    assert pytest.approx(29.1) == nearly.expected[0]
    assert any("allow a shared error of" in note for note in nearly.notes)
    assert nearly.probability_of(30.0)[0] <= 1.0


def test_uncertain_amounts_are_in_moments_and_laws():
    """A deal of 100 +- 20 at 1/2: variance 0.25 100^2 + 0.5 20^2, and won at 80 or 120."""
    rows = deals([0.5], [100.0], ["open"], spread=np.array([20.0]))
    found = outlook(rows)
    assert pytest.approx(np.sqrt(2500.0 + 200.0)) == found.sd[0]
    assert pytest.approx([0.5, 0.25, 0.0]) == [
        found.probability_of(target)[0] for target in (80.0, 81.0, 121.0)
    ]
    drawn = outlook(rows).simulate(4000, rng=1)
    assert {0.0, 80.0, 120.0} == set(drawn.ravel().tolist())
    wide = outlook(deals([0.5], [100.0], ["open"], spread=np.array([100.0])))
    assert pytest.approx(np.sqrt(2500.0 + 5000.0)) == wide.sd[0]
    assert {0.0, 200.0} == set(wide.simulate(4000, rng=1).ravel().tolist())
    nothing = outlook(deals([0.5], [0.0], ["open"], spread=np.array([5.0])))
    assert (0.0, 0.0) == (nothing.sd[0], nothing.simulate(50).max())


# -- from the parameters of a model ------------------------------------------------------------


def test_parameters_widen_the_forecast():
    """Draws of the model's parameters give a shock; asked not to, deals stay independent."""
    history = fn.datasets.simulate(1500, rng=2).history
    horizon = fn.Horizon.quarters("2026-07-01", 2)
    pipeline = history.snapshot()
    fitted = fn.DealForecaster("win-rate").fit(history)
    shared = fitted.forecast(pipeline, horizon)
    alone = attrs.evolve(fitted, spread="independent").forecast(pipeline, horizon)
    assert alone.shock is None
    assert 7.0 == shared.shock.df
    assert pytest.approx(alone.expected, rel=1e-12) == shared.expected
    assert (shared.sd > alone.sd).all()
    assert shared.shock == fitted.forecast(pipeline, horizon).shock  # the draws are always the same
    with pytest.raises(ValidationError, match='must be "parameters" or "independent"'):
        fn.DealForecaster("win-rate", spread="none")


def test_the_spread_of_parameters_is_that_of_many_draws():
    """Eight draws against the standard deviation over 200 others: the sd of 7 df is within 2 x."""
    history = fn.datasets.simulate(800, rng=2).history
    pipeline = history.snapshot()
    horizon = fn.Horizon.months("2026-07-01", 2)
    fitted = fn.DealForecaster("win-rate", arrivals=None).fit(history)
    found = fitted.forecast(pipeline, horizon).parts["open"].total()
    deals_ = pipeline.select(pipeline.outcome == fn.Outcome.OPEN)
    date, rng = np.array(["2026-08-31"], dtype="datetime64[D]"), RNG(9)
    drawn = [
        float(deals_.amount @ fitted.model.draw(rng).win_curve(deals_, date)[:, 0])
        for _ in range(200)
    ]
    ratio = np.sqrt(found._variance.shock[0] * 5 / 7) / np.std(drawn)  # a t has v df / (df - 2)
    assert 0.5 < ratio < 1.6


class Knows:
    """A fitted model without cells: chances in proportion to a level that it does not know."""

    trained_until = -(2**31)
    needs = ()

    def __init__(self, level=0.3):
        self.level = level

    def win_curve(self, pipeline, dates, /):
        """Return the level for open deals."""
        chance = np.where(pipeline.outcome == fn.Outcome.OPEN, self.level, 0.0)
        return np.repeat(chance[:, None], len(dates), axis=1)

    def draw(self, rng, /):
        """Return the model with a level 10 % higher or lower."""
        return Knows(self.level * (1.0 + 0.1 * rng.standard_normal()))


def pipeline_of(n, stage="Qualify"):
    """Open deals of rising amounts, the last of them unknown."""
    amount = np.append(np.arange(1.0, n), np.nan)
    return fn.Pipeline.from_columns(
        funnel=fn.Funnel([fn.Stage("Qualify", win_probability=0.5)]),
        as_of="2026-06-30",
        id=np.arange(n),
        stage=[stage] * n,
        amount=amount,
    )


@pytest.mark.parametrize("n", [50, 5000])
def test_a_sample_of_many_deals_tells_the_same(n):
    """All chances move by one factor, so that a sample gives the relative error of the whole."""
    factors = [Knows().draw(rng).level / 0.3 for rng in [RNG(20_260_630)] for _ in range(8)]
    fitted = fn.forecasting.FittedDealForecaster("knows", Knows())
    horizon = fn.Horizon.months("2026-07-01", 2)
    found = fitted.forecast(pipeline_of(n), horizon)
    # Deals have the chance 0.3: the shock of chances is that of money over 0.7.
    assert pytest.approx(np.std(factors, ddof=1) / 0.7, rel=1e-9) == found.shock.scale
    closed = fitted.forecast(pipeline_of(3, "Lost"), horizon)
    assert closed.shock is None
    past = fitted.forecast(pipeline_of(3), fn.Horizon.months("2026-05-01", 1))
    assert past.shock is None
    nothing = fn.forecasting.FittedDealForecaster("knows", Knows(0.0))
    assert nothing.forecast(pipeline_of(3), horizon).shock is None


def test_a_model_that_cannot_draw_leaves_deals_independent_and_says_so():
    """The textbook model has no parameters that were estimated."""
    horizon = fn.Horizon.months("2026-07-01", 1)
    found = fn.forecast(pipeline_of(3), horizon, "textbook")
    assert found.shock is None
    assert any("count as independent" in note for note in found.notes)
