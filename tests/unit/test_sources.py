"""The joint law of periods, where uncertainty comes from, and which deals decide."""

import itertools

import numpy as np
import pytest

import funnel as fn
from funnel.errors import ValidationError
from funnel.forecasting import Amounts, ForecastDeals
from funnel.forecasting._rows import PARTS
from funnel.forecasting._states import FEW, states
from funnel.forecasting.dependence import Shock


def deals(chance, amount, part, group=None, **more):
    """Deals of a forecast by hand."""
    n = len(amount)
    return ForecastDeals(
        ids=np.array([f"R{i}" for i in range(n)], dtype=object),
        chance=np.asarray(chance, dtype=float).reshape(n, -1),
        amount=np.array(amount, dtype=float),
        part=np.array([PARTS.index(name) for name in part], dtype=np.int8),
        group=np.zeros(n, dtype=np.int32) if group is None else np.array(group, dtype=np.int32),
        category=np.full(n, -1, dtype=np.int8),
        promised=np.arange(n, dtype=np.int32) % 3 - 1,
        **more,
    )


def outlook(rows, *, dispersion=0.0, shock=None, keys=((),)):
    """The forecast of given rows; unknown amounts are 10 or 30."""
    horizon = fn.Horizon.months("2026-07-01", rows.chance.shape[1])
    by = ("owner",) if len(keys) > 1 else ()
    atoms = Amounts(np.array([10.0, 30.0]), np.array([0.75, 0.25]))
    return fn.Forecast(horizon, 20634, "", by, keys, rows, atoms, "hand", dispersion, shock)


MIXED = deals(
    [[1, 0, 0], [0.2, 0.3, 0.1], [0.1, 0.4, 0.3], [0.05, 0.0, 0.1], [0.6, 0.8, 1.0], [0.3, 0.2, 0]],
    [50.0, 100.0, np.nan, 300.0, 40.0, 80.0],
    ["booked", "open", "open", "reopened", "new", "open"],
    group=[0, 0, 1, 1, 0, 1],
    spread=np.array([0.0, 0.0, 0.0, 0.0, 5.0, 20.0]),
)
EVERYTHING = {"dispersion": 0.1, "shock": Shock(0.2, df=6.0)}


# -- several periods ---------------------------------------------------------------------------


def test_simulation_agrees_with_the_exact_laws_of_periods_total_and_groups():
    """Means within four standard errors, spreads within 3 %, chances within four errors."""
    found = outlook(MIXED, **EVERYTHING, keys=(("Ann",), ("Bo",)))
    draws = 40_000
    money = found.simulate_groups(draws, rng=1)
    assert (draws, 2, 3) == money.shape
    for exact, drawn in [
        (found, money.sum(axis=1)),
        (found.group("Ann"), money[:, 0]),
        (found.group("Bo"), money[:, 1]),
        (found.total(), money.sum(axis=(1, 2))[:, None]),
        (found.between("2026-08", "2026-09"), money[:, :, 1:].sum(axis=(1, 2))[:, None]),
    ]:
        error = exact.sd / np.sqrt(draws)
        assert (np.abs(exact.expected - drawn.mean(axis=0)) < 4 * error).all()
        assert pytest.approx(exact.sd, rel=0.03) == drawn.std(axis=0)
        # New deals are split into chances of 0.02 in the exact law, and four states stand for 16.
        reached = np.mean(drawn >= 119.0, axis=0)
        assert pytest.approx(exact.probability_of(119.0), abs=0.02) == reached


def test_a_deal_is_booked_in_one_period_at_most():
    """One deal, three periods: never twice, each as likely as stated."""
    money = outlook(deals([[0.2, 0.5, 0.3]], [7.0], ["open"])).simulate(20_000, rng=2)
    assert {7.0} == set(money.sum(axis=1).tolist())
    assert pytest.approx([0.2, 0.5, 0.3], abs=0.015) == (money > 0).mean(axis=0)


def test_simulation_is_reproducible_and_checks_its_arguments():
    """A seed or a generator; whole numbers."""
    found = outlook(MIXED)
    assert np.array_equal(
        found.simulate(10, rng=4), found.simulate(10, rng=np.random.default_rng(4))
    )
    with pytest.raises(ValidationError, match="draws must be a whole number >= 1"):
        found.simulate(0)
    with pytest.raises(ValidationError, match="rng must be a whole number >= 0"):
        found.simulate(5, rng="a")
    empty = found.parts["reopened"].parts["open"]
    assert 0.0 == empty.simulate(5).sum()


def test_blocks_of_draws_are_all_filled(monkeypatch):
    """With room for one draw at a time, the law is the same."""
    found = outlook(MIXED, **EVERYTHING)
    monkeypatch.setattr("funnel.forecasting._joint.CELLS", 1)
    drawn = found.simulate(3000, rng=1).sum(axis=1)
    total = found.total()
    assert pytest.approx(total.expected[0], abs=4 * total.sd[0] / np.sqrt(3000)) == drawn.mean()


def test_all_targets_together():
    """Two deals at 1/2, one for each period: 1/4; one deal cannot reach both."""
    two = outlook(deals([[0.5, 0.0], [0.0, 0.5]], [0.1, 0.3], ["open"] * 2))
    found = two.probability_of_all([0.1, 0.3])
    assert pytest.approx(0.25, abs=4 * found.standard_error) == found.value
    assert pytest.approx(np.sqrt(0.25 * 0.75 / 20_000), rel=0.05) == found.standard_error
    assert 20_000 == found.draws
    one = outlook(deals([[0.5, 0.5]], [10.0], ["open"])).probability_of_all(10.0, draws=500)
    assert 0.0 == one.value
    assert 0.0 < one.standard_error < 0.01
    with pytest.raises(ValidationError, match="one number or 2"):
        two.probability_of_all([1.0, 2.0, 3.0])


def test_between_merges_periods():
    """Against all outcomes of two deals; promises inside of the range are kept."""
    found = outlook(deals([[0.2, 0.3, 0.1], [0.1, 0.4, 0.3]], [100.0, 30.0], ["open"] * 2))
    some = found.between("2026-08", "2026-09")
    assert ("2026-08 to 2026-09",) == some.horizon.labels
    assert pytest.approx([0.4 * 0.7, 0.4]) == [some.probability_of(x)[0] for x in (130.0, 100.0)]
    assert [[0.3], [0.4]] == found.between("2026-08", "2026-08").deals.chance.tolist()
    assert ("2026-08",) == found.between("2026-08", "2026-08").horizon.labels
    whole = found.between("2026-07", "2026-09")
    assert whole.total().expected.tolist() == found.total().expected.tolist()
    promised = outlook(MIXED).between("2026-08", "2026-09").deals.promised.tolist()
    assert [-1, -1, 0, -1, -1, 0] == promised  # of -1, 0, 1, -1, 0, 1
    with pytest.raises(ValidationError, match="last must be '2026-08' or a period after it"):
        found.between("2026-08", "2026-07")
    with pytest.raises(ValidationError, match=r"first must be .* Did you mean '2026-0"):
        found.between("2026-10", "2026-07")


# -- sources -----------------------------------------------------------------------------------


def test_sources_add_up_to_expected_money_and_variance():
    """Shares add up to 1, the variance is that of the total, each term by hand."""
    found = outlook(MIXED, **EVERYTHING)
    split = found.sources()
    by = dict(
        zip(split.source.tolist(), zip(split.expected, split.variance, strict=True), strict=True)
    )
    total = found.total()
    assert pytest.approx(1.0) == split.share.sum()
    assert pytest.approx(total.sd[0] ** 2) == split.variance.sum()
    assert pytest.approx(total.expected[0]) == np.nansum(split.expected)
    v, d = found.shock.variance, 0.1
    new = 2.4 * 40.0
    # Open: W = 0.6, 0.8, 0.5 of 100, 15 (the mean of the unknown) and 80.
    w, a = np.array([0.6, 0.8, 0.5]), np.array([100.0, 15.0, 80.0])
    won = np.sum(a**2 * (w - w**2 * (1 + v * (1 - w) ** 2)))
    assert pytest.approx((w @ a, won)) == by["open deals: won or not"]
    once = 300.0**2 * (0.15 - 0.15**2 * (1 + v * 0.85**2))
    assert pytest.approx((45.0, once)) == by["reopened deals: won or not"]
    assert pytest.approx((new, 2.4 * 40.0**2)) == by["new deals: how many are won"]
    vague = 0.8 * (0.75 * 25 + 0.25 * 225) + 0.5 * 400 + 2.4 * 25
    assert pytest.approx(vague) == by["amounts at closing"][1]
    assert pytest.approx(d * (1 + v) * new**2) == by["level of new deals, shared"][1]
    moved = np.sum(w * (1 - w) * a) + 0.15 * 0.85 * 300 + new
    assert pytest.approx(v * moved**2) == by["shock, shared by all deals"][1]
    assert (50.0, 0.0) == by["booked"]
    assert "%" in str(split)
    assert "standard deviation" in str(split)
    assert 7 == len(split.to_frame())


def test_nothing_uncertain_has_no_shares():
    """Booked money only: shares are unknown, not divided by zero."""
    split = outlook(deals([1.0], [5.0], ["booked"])).sources()
    assert np.isnan(split.share).all()
    assert "–" in str(split)


# -- deciding deals ----------------------------------------------------------------------------


def test_deciding_deals_against_all_outcomes():
    """Three deals, one of unknown amount, one with two amounts: every outcome is enumerated."""
    rows = deals(
        [0.5, 0.3, 0.8], [100.0, np.nan, 60.0], ["open"] * 3, spread=np.array([0, 0, 20.0])
    )
    shock = Shock(0.2, df=6.0)
    found = outlook(rows, shock=shock).deciding(90.0)
    amounts = [[(100.0, 1.0)], [(10.0, 0.75), (30.0, 0.25)], [(40.0, 0.5), (80.0, 0.5)]]
    p0 = np.array([0.5, 0.3, 0.8])
    mass, hit, won_hit, won = 0.0, 0.0, np.zeros(3), np.zeros(3)
    for s in states(shock, 0.0, FEW).shock:  # the shock is weak beside chance
        p = p0 * (1 + s * (1 - p0))
        for wins in itertools.product((0, 1), repeat=3):
            options = [amounts[i] if w else [(0.0, 1.0)] for i, w in enumerate(wins)]
            for combination in itertools.product(*options):
                chance = np.prod(np.where(wins, p, 1 - p)) / FEW
                chance *= np.prod([weight for _, weight in combination])
                reached = sum(amount for amount, _ in combination) >= 90.0
                mass += chance
                hit += chance * reached
                won += chance * np.array(wins)
                won_hit += chance * reached * np.array(wins)
    assert pytest.approx(1.0) == mass
    assert pytest.approx(hit) == found.probability
    order = [f"R{i}" for i in np.argsort(-(won_hit / won - (hit - won_hit) / (1 - won)))]
    assert order == found.ids.tolist()
    place = [int(name[1:]) for name in order]
    assert pytest.approx((won_hit / won)[place]) == found.if_won
    assert pytest.approx(((hit - won_hit) / (1 - won))[place]) == found.if_not
    assert "Chance to book 90" in str(found)
    assert ["deal", "amount", "chance", "if_won", "if_not", "swing"] == list(found.to_columns())


def test_deciding_deals_are_single_and_open():
    """Booked, certain, impossible and new deals do not decide; at most n, of most variance."""
    rows = deals(
        [1.0, 1.0, 0.0, 2.0, 0.5, 0.5, 0.1],
        [1e6, 1e5, 1e6, 1e5, 10.0, 30.0, 20.0],
        ["booked", "open", "open", "new", "open", "reopened", "open"],
    )
    found = outlook(rows)
    assert {"R4", "R5", "R6"} == set(found.deciding(1.1e6).ids.tolist())
    assert ["R5"] == found.deciding(1.1e6, 1).ids.tolist()
    assert 0 == len(outlook(rows.select([0])).deciding(5.0).ids)
    with pytest.raises(ValidationError, match="n must be a whole number >= 1"):
        found.deciding(1.0, 0)
    with pytest.raises(ValidationError, match="target must be"):
        found.deciding(float("nan"))


def test_many_deals_are_taken_out_together_without_a_difference():
    """Ten deciding deals (two batches) of a larger book: each mixes to the probability."""
    rng = np.random.default_rng(3)
    chance, amount = rng.uniform(0.1, 0.9, 60), np.rint(rng.lognormal(4, 1, 60))
    found = outlook(deals(chance, amount, ["open"] * 60), **EVERYTHING).deciding(3000.0, 10)
    mixed = found.chance * found.if_won + (1 - found.chance) * found.if_not
    assert pytest.approx(np.full(10, found.probability), abs=1e-6) == mixed
    assert (np.diff(found.swing) <= 0.0).all()
