"""Forecasts: moments, distributions, groups, notes and what is refused."""

import itertools
import json

import attrs
import numpy as np
import pytest
from scipy import stats

import funnel as fn
from funnel.errors import (
    CurrencyMismatchError,
    InsufficientDataError,
    LeakError,
    UnknownColumnError,
    ValidationError,
)
from funnel.forecasting import Amounts, FittedForecaster, ForecastDeals, Forecaster, api
from funnel.forecasting._rows import PARTS
from funnel.forecasting.amounts import amounts_of, summarize_amounts
from funnel.models.textbook import Textbook

FUNNEL = fn.Funnel(
    [
        fn.Stage("Qualify", win_probability=0.2, category="pipeline"),
        fn.Stage("Propose", win_probability=0.5, category="best case"),
        fn.Stage("Sign", win_probability=0.8, category="commit"),
    ]
)
QUARTERS = fn.Horizon.quarters("2026-04-01", 3)  # Q2 has begun, Q3 and Q4 are ahead
COLUMNS = {
    "funnel": FUNNEL,
    "as_of": "2026-06-15",
    "id": ["A", "B", "C", "D", "E", "F"],
    "stage": ["Sign", "Propose", "Qualify", "Won", "Won", "Lost"],
    "amount": [100.0, 200.0, 400.0, 50.0, 70.0, 999.0],
    "expected_close": ["2026-06-20", "2026-08-01", "2026-11-01", "NaT", "NaT", "NaT"],
    "closed_on": ["NaT", "NaT", "NaT", "2026-05-01", "2026-01-01", "2026-05-01"],
    "owner": ["Ann", "Bo", "Ann", "Ann", "Bo", "Bo"],
    "currency": "EUR",
}


def pipeline(**changes):
    """Three open deals, two won (one before the horizon), one lost."""
    return fn.Pipeline.from_columns(**{**COLUMNS, **changes})


def outlook(by=(), **changes):
    """The textbook forecast of it."""
    return fn.forecast(pipeline(**changes), QUARTERS, "textbook", by=by)


def test_expected_by_period_and_part():
    """Q2: 50 booked + 0.8 x 100; Q3: 0.5 x 200; Q4: 0.2 x 400. Wins of January are not in it."""
    found = outlook()
    assert pytest.approx([130.0, 100.0, 80.0]) == found.expected.tolist()
    assert [50.0, 0.0, 0.0] == found.parts["booked"].expected.tolist()
    assert pytest.approx([80.0, 100.0, 80.0]) == found.parts["open"].expected.tolist()
    assert pytest.approx([1.8, 0.5, 0.2]) == found.expected_wins.tolist()
    assert pytest.approx([310.0]) == found.total().expected.tolist()


def test_the_distribution_is_that_of_all_combinations():
    """Brute force over the 2^3 outcomes of the open deals."""
    total = outlook().total()
    law = {}
    for wins in itertools.product((0, 1), repeat=3):
        chance = np.prod([p if w else 1 - p for w, p in zip(wins, (0.8, 0.5, 0.2), strict=True)])
        money = 50.0 + np.dot(wins, (100.0, 200.0, 400.0))
        law[money] = law.get(money, 0.0) + chance
    for target in (0.0, 50.0, 50.01, 150.0, 350.0, 750.0, 751.0):
        expected = sum(chance for money, chance in law.items() if money >= target)
        assert pytest.approx(expected, abs=1e-9) == total.probability_of(target)[0]
    ordered = np.cumsum([law[money] for money in sorted(law)])
    for q in (0.05, 0.3, 0.5, 0.95):
        assert sorted(law)[int(np.searchsorted(ordered, q))] == total.quantile(q)[0]
    mean = sum(m * c for m, c in law.items())
    assert pytest.approx(np.sqrt(sum((m - mean) ** 2 * c for m, c in law.items()))) == total.sd[0]
    assert total.error[0] < 1e-9


def test_interval_and_targets_by_period():
    """The interval is made of two quantiles; one target for each period is allowed."""
    found = outlook()
    low, high = found.interval(0.8)
    assert np.array_equal(low, found.quantile(0.1))
    assert np.array_equal(high, found.quantile(0.9))
    assert pytest.approx([0.8, 0.5, 0.2]) == found.probability_of([150.0, 200.0, 400.0]).tolist()


def test_groups_add_up_in_money_and_not_in_quantiles():
    """Expected money adds up over owners; every group has a law of its own."""
    found = outlook(by=["owner"])
    assert (("Ann",), ("Bo",)) == found.keys
    ann, bo = found.group("Ann"), found.group(("Bo",))
    assert pytest.approx(found.expected) == ann.expected + bo.expected
    assert [0.0, 200.0, 0.0] == bo.quantile(0.9).tolist()
    assert bo.keys == (("Bo",),)
    assert pytest.approx([130.0, 0.0, 80.0]) == ann.expected.tolist()
    with pytest.raises(UnknownColumnError, match="Did you mean 'Ann'"):
        found.group("Anne")
    both = outlook(by="owner")
    assert ("owner",) == both.by
    # Sign Ann, Propose Bo, Qualify Ann, Won Ann, Won Bo, Lost Bo
    assert 6 == len(outlook(by=["stage", "owner"]).keys)


def test_largest_deals():
    """By expected contribution over the horizon, ties in the order of the table."""
    top = outlook().largest(2)
    assert ["B", "A"] == top.ids.tolist()
    assert pytest.approx([100 / 310, 80 / 310]) == top.share.tolist()
    assert "B" in str(top)
    assert "<td" in top._repr_html_()
    assert 2 == len(top.to_frame())
    with pytest.raises(ValidationError, match="n must be"):
        outlook().largest(0)


def test_roll_up_by_category():
    """Exclusive: its own deals. Cumulative: commit holds what is booked, best case holds commit."""
    found = outlook().roll_up()
    assert ("commit", "best case", "pipeline", "no category") == found.categories
    assert [[100.0, 0, 0], [0, 200.0, 0], [0, 0, 400.0], [0, 0, 0]] == found.amount.tolist()
    assert (
        pytest.approx(np.array([[80.0, 0, 0], [0, 100, 0], [0, 0, 80], [0, 0, 0]]))
        == found.expected
    )
    above = outlook().roll_up(cumulative=True)
    assert [
        [150.0, 0, 0],
        [150.0, 200.0, 0],
        [150.0, 200.0, 400.0],
        [0, 0, 0],
    ] == above.amount.tolist()
    assert [[2, 0, 0], [2, 1, 0], [2, 1, 1], [0, 0, 0]] == above.deals.tolist()
    assert [50.0, 0.0, 0.0] == found.booked.tolist()
    own = outlook(category=["omitted", "commit", "", "", "", ""]).roll_up()
    assert [[0, 200.0, 0], [0, 0, 0], [0, 0, 400.0], [0, 0, 0]] == own.amount.tolist()
    assert "2026-Q3" in str(found)


def test_unknown_amounts_count_and_are_said():
    """A deal of unknown amount counts with the mean of the known ones, and as a draw in the law."""
    found = outlook(amount=[np.nan, 200.0, 400.0, 50.0, 70.0, 999.0])
    mean = (200.0 + 400.0 + 50.0 + 70.0) / 4  # open and won deals with an amount
    assert pytest.approx([50.0 + 0.8 * mean, 100.0, 80.0]) == found.expected.tolist()
    assert any("1 deals have no amount" in note for note in found.notes)
    assert found.sd[0] > 0.4 * mean
    assert pytest.approx(0.2) == 1.0 - found.probability_of(50.01)[0]
    with pytest.raises(InsufficientDataError, match="4 of 4 deals have no amount"):
        outlook(amount=None)


def test_amounts_are_learnt_from_won_deals():
    """The distribution for unknown amounts has the mean and the sum of the won ones."""
    history = fn.History.from_columns(
        funnel=FUNNEL,
        id=["A", "B", "C", "A", "B"],
        stage=["Qualify", "Qualify", "Qualify", "Won", "Lost"],
        at=["2026-01-01"] * 3 + ["2026-02-01"] * 2,
        amount=[10.0, 99.0, np.nan, 10.0, 99.0],
        currency="EUR",
    )
    found = summarize_amounts(history).estimate()
    assert ([10.0], [1.0]) == (found.atoms.tolist(), found.weights.tolist())
    zero = summarize_amounts(history.until("2026-01-01")).estimate()
    assert np.isnan(zero.mean)
    assert np.isnan(zero.square)
    lognormal = np.random.default_rng(1).lognormal(9.0, 1.5, 5000)
    table = pipeline(
        **{
            name: values[:1] * 5000
            for name, values in COLUMNS.items()
            if name not in {"funnel", "as_of", "currency", "id"}
        },
        id=np.arange(5000),
    )
    many = amounts_of(
        attrs.evolve(table, columns={**table.columns, "amount": np.append(lognormal[1:], 0.0)})
    )
    values = np.append(lognormal[1:], 0.0)
    assert pytest.approx(values.mean(), rel=1e-12) == many.mean
    assert pytest.approx((values**2).mean(), rel=0.002) == many.square


def test_currencies_of_counted_deals_only():
    """A lost deal in another currency does no harm; an open one is an error."""
    assert "EUR" == outlook(currency=["EUR"] * 5 + ["USD"]).currency
    with pytest.raises(CurrencyMismatchError):
        outlook(currency=["EUR", "USD", "EUR", "EUR", "EUR", "EUR"])
    history = fn.History.from_columns(
        funnel=FUNNEL,
        id=["A", "B"] * 2,
        stage=["Qualify"] * 2 + ["Won"] * 2,
        at=["2026-01-01"] * 2 + ["2026-02-01"] * 2,
        amount=[1.0] * 4,
        currency=["EUR", "USD"] * 2,
    )
    with pytest.raises(CurrencyMismatchError):
        summarize_amounts(history).estimate()
    left, right = (
        summarize_amounts(part).merge(summarize_amounts(part)) for part in history.chunks(1)
    )
    assert ("EUR", "USD") == left.merge(right).currencies


def test_won_deals_without_a_closing_day_are_said():
    """They are in no period, and the note counts them and their money."""
    found = outlook(closed_on=None)
    assert any("2 won deals (120) have no closing day" in note for note in found.notes)


def test_a_period_before_as_of_holds_what_was_booked():
    """Open deals can only be won later."""
    found = fn.forecast(pipeline(), fn.Horizon.quarters("2026-01-01", 1), "textbook")
    assert [70.0] == found.expected.tolist()
    assert [0.0] == found.sd.tolist()
    assert [1.0] == found.probability_of(70.0).tolist()


@pytest.mark.parametrize("q", [-0.1, 1.1, float("nan"), [0.1, 0.9], "0.5", None])
def test_levels_must_be_probabilities(q):
    """Percentages and NaN are refused, and so are several at once."""
    with pytest.raises(ValidationError, match="one number"):
        outlook().quantile(q)
    with pytest.raises(ValidationError, match="one number"):
        outlook().interval(q)


@pytest.mark.parametrize("target", [float("nan"), [1.0, 2.0], [[1.0]]])
def test_targets_fit_the_periods(target):
    """One number, or one for each period."""
    with pytest.raises(ValidationError, match="one number or 3"):
        outlook().probability_of(target)


def test_a_model_must_not_know_more_than_its_pipeline():
    """Fitted on January to March, asked as of February: refused."""
    history = fn.datasets.simulate(300, rng=1).history
    fitted = fn.DealForecaster("win-rate").fit(history)
    with pytest.raises(LeakError, match="it has seen what happened since"):
        fitted.forecast(history.snapshot("2025-06-30"), QUARTERS)


def test_one_call_takes_histories_pipelines_names_models_and_forecasters():
    """All ways in give the same forecast; where nothing is named, it is by auto."""
    assert "auto" == api.DEFAULT
    history = fn.datasets.simulate(300, rng=1).history
    horizon = fn.Horizon.quarters("2026-07-01", 2)
    alone = fn.DealForecaster("semi-markov", spread="independent")  # what is expected is the same
    fitted = alone.fit(history)
    assert isinstance(fitted, FittedForecaster)
    assert isinstance(fn.DealForecaster("semi-markov"), Forecaster)
    found = [
        fn.forecast(history, horizon, "semi-markov"),
        fn.forecast(history, horizon, forecaster=fn.models.get("semi-markov")),
        fn.forecast(history, horizon, alone),
        fn.forecast(history, horizon, fitted),
        fn.forecast(history.snapshot(), horizon, fitted),
    ]
    for other in found[1:]:
        assert found[0].expected.tolist() == other.expected.tolist()
    assert (
        fn.forecast(pipeline(), QUARTERS, Textbook()).expected.tolist()
        == outlook().expected.tolist()
    )


def test_what_cannot_be_forecast_is_said():
    """A pipeline alone, something else, and an unknown forecaster."""
    with pytest.raises(InsufficientDataError, match="or use 'textbook'"):
        fn.forecast(pipeline(), QUARTERS, "semi-markov")
    with pytest.raises(ValidationError, match="'textbook' needs none"):
        fn.forecast(pipeline(), QUARTERS)
    with pytest.raises(ValidationError, match="must be a History, or a Pipeline"):
        fn.forecast(7, QUARTERS)
    with pytest.raises(ValidationError, match="must be a History, or chunks of one, got 'int'"):
        fn.forecast([1, 2], QUARTERS)
    with pytest.raises(ValidationError, match="forecaster must be the name"):
        fn.forecast(pipeline(), QUARTERS, 3)
    with pytest.raises(ValidationError, match="model must be a stage model"):
        fn.DealForecaster(3)

    class Own:
        """A forecaster that needs a history."""

        def fit(self, source, /, *, executor=None):
            """Never called."""

    with pytest.raises(ValidationError, match="Fit the forecaster on a History first"):
        fn.forecast(pipeline(), QUARTERS, Own())


def test_tables_text_html_frames_and_json():
    """Every form holds the same numbers, and HTML is escaped."""
    found = outlook(by=["owner"], owner=["<Ann>", "Bo", "<Ann>", "<Ann>", "Bo", "Bo"])
    columns = found.to_columns(target=100.0)
    assert 12 == len(columns["expected"])  # two groups and all, three quarters and the total
    assert pytest.approx(310.0) == columns["expected"][-1]
    assert "all" == columns["owner"][-1]
    assert "P(>= 100)" in found.to_text(target=100.0)
    assert "EUR" in str(found)
    assert "&lt;Ann&gt;" in found._repr_html_()
    assert "<Ann>" not in found._repr_html_()
    plain = json.loads(json.dumps(found.to_dict(target=100.0)))
    assert "funnel.Forecast/1" == plain["schema"]
    assert pytest.approx(columns["p90"]) == [row["p90"] for row in plain["rows"]]
    assert "2026-04-01" == plain["rows"][0]["start"]
    assert 12 == len(found.to_frame())
    assert 12 == len(found.to_frame(backend="polars", target=1.0))
    single = fn.forecast(pipeline(), fn.Horizon.quarters("2026-07-01", 1), "textbook")
    assert 1 == len(single.to_columns()["period"])
    assert repr(found).startswith(
        "Forecast('textbook' as of 2026-06-15, 3 periods from 2026-04-01, 2 groups"
    )


def test_atoms_are_what_they_say():
    """Mean and mean square of a distribution of two atoms."""
    two = Amounts(np.array([10.0, 20.0]), np.array([0.5, 0.5]))
    assert (15.0, 250.0) == (two.mean, two.square)


def rows(chance, amount, part):
    """Deals of a forecast by hand."""
    n = len(amount)
    return ForecastDeals(
        ids=np.array([f"R{i}" for i in range(n)], dtype=object),
        chance=np.array(chance, dtype=float),
        amount=np.array(amount, dtype=float),
        part=np.array([PARTS.index(name) for name in part], dtype=np.int8),
        group=np.zeros(n, dtype=np.int32),
        category=np.full(n, -1, dtype=np.int8),
        promised=np.full(n, -1, dtype=np.int32),
    )


def by_hand(deals, dispersion=0.0, periods=1):
    """A forecast of given rows."""
    horizon = fn.Horizon.months("2026-07-01", periods)
    none = Amounts(np.empty(0), np.empty(0))
    return fn.Forecast(horizon, 20634, "", (), ((),), deals, none, "hand", dispersion)


def test_new_deals_come_in_poisson_numbers():
    """2.5 deals of 10: P(k wins) = e^-2.5 2.5^k / k!, against scipy's Poisson law."""
    found = by_hand(rows([[2.5]], [10.0], ["new"]))
    assert pytest.approx(25.0) == found.expected[0]
    assert pytest.approx(np.sqrt(250.0)) == found.sd[0]
    law = stats.poisson(2.5)
    for k in (0, 1, 3, 6):
        # Split into chances of 0.02, the number is binomial: Le Cam's bound is 2.5 x 0.02.
        assert pytest.approx(law.sf(k - 1), abs=0.01) == found.probability_of(10.0 * k)[0]


def test_new_deals_share_a_factor():
    """Gamma-mixed Poisson is negative binomial: variance 25 + 0.2 x 25^2, and its tail."""
    found = by_hand(rows([[25.0]], [1.0], ["new"]), dispersion=0.2)
    assert pytest.approx(np.sqrt(25.0 + 0.2 * 625.0)) == found.sd[0]
    law = stats.nbinom(5.0, 5.0 / 30.0)
    for k in (5, 15, 25, 45):
        assert pytest.approx(law.sf(k - 1), abs=0.02) == found.probability_of(float(k))[0]


def test_new_deals_are_no_single_deals():
    """They add up over periods beyond one, and are not among the largest deals."""
    found = by_hand(rows([[3.0, 4.0], [0.5, 0.2]], [10.0, 20.0], ["new", "open"]), periods=2)
    assert pytest.approx([84.0]) == found.total().expected
    assert ["R1"] == found.largest().ids.tolist()
    assert pytest.approx([30.0, 40.0]) == found.parts["new"].expected
    assert "new" in str(found)
    assert "reopened" not in str(found)


def test_totals_from_moments():
    """Mean and variance are exact by group and period; a variance of zero is certain."""
    found = fn.Forecast.from_moments(
        fn.Horizon.months("2026-07-01", 2),
        20634,
        "EUR",
        by=("owner",),
        keys=(("Ann",), ("Bo",)),
        booked=np.array([[5.0, 0.0], [0.0, 0.0]]),
        mean=np.array([[100.0, 40.0], [0.0, 50.0]]),
        variance=np.array([[400.0, 0.0], [0.0, 2500.0]]),
        model="run-rate",
        notes=("a note",),
    )
    assert pytest.approx([105.0, 90.0]) == found.expected
    assert pytest.approx([20.0, 50.0]) == found.sd
    assert pytest.approx([105.0, 40.0]) == found.group("Ann").expected
    assert pytest.approx([np.sqrt(2900.0)]) == found.total().sd
    assert [45.0] == found.group("Ann").parts["booked"].total().expected.tolist()


def test_lost_deals_that_come_back_are_a_part_of_their_own():
    """The semi-Markov model sees reopenings; the parts add up to the whole."""
    history = fn.datasets.simulate(2000, rng=7).history
    found = fn.forecast(history, fn.Horizon.quarters("2026-04-01", 3), "semi-markov")
    assert found.parts["reopened"].expected.sum() > 0.0
    total = sum(part.expected for part in found.parts.values())
    assert pytest.approx(found.expected) == total


def test_a_history_too_short_for_arrivals_leaves_new_deals_out_and_says_so():
    """Forty deals of one day are a bulk import, not a rate."""
    ids = [f"D{i}" for i in range(40)]
    history = fn.History.from_columns(
        funnel=FUNNEL,
        id=ids * 2,
        stage=["Qualify"] * 40 + ["Won"] * 15 + ["Lost"] * 15 + ["Propose"] * 10,
        at=["2026-01-01"] * 40 + ["2026-02-01"] * 40,
        amount=[10.0] * 80,
    )
    found = fn.forecast(history, fn.Horizon.months("2026-02-02", 2))
    assert [0.0, 0.0] == found.parts["new"].expected.tolist()
    assert any("deals that do not exist yet are left out" in note for note in found.notes)


def test_cohorts_are_asked_one_by_one_of_a_model_that_looks_at_the_calendar():
    """For a model that does not, asking once or one by one gives the same new deals."""
    history = fn.datasets.simulate(600, rng=3).history
    horizon = fn.Horizon.quarters("2026-07-01", 2)
    fitted = fn.DealForecaster("win-rate").fit(history)
    one_by_one = attrs.evolve(fitted, calendar_aware=True)
    left, right = (f.forecast(history.snapshot(), horizon) for f in (fitted, one_by_one))
    assert left.parts["new"].expected.sum() > 0.0
    assert pytest.approx(left.parts["new"].expected) == right.parts["new"].expected
    assert fn.forecast(history, horizon, "category").parts["new"].expected.sum() > 0.0
    without = fn.forecast(history, horizon, fn.DealForecaster("win-rate", arrivals=None))
    assert [0.0, 0.0] == without.parts["new"].expected.tolist()
