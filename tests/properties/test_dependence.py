"""What holds for every forecast, whatever its deals share."""

from __future__ import annotations

import attrs
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import funnel as fn
from funnel.forecasting import Amounts, ForecastDeals
from funnel.forecasting._rows import PARTS
from funnel.forecasting.dependence import Shock, fit_shock


@st.composite
def outlooks(draw):
    """Draw a forecast of a few deals of all parts, over one to three periods."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n, k = draw(st.integers(1, 8)), draw(st.integers(1, 3))
    part = rng.integers(0, len(PARTS), n)
    chance = rng.dirichlet(np.ones(k + 1), n)[:, :k]
    chance[part == 0] = np.eye(k)[0]
    amount = np.rint(rng.lognormal(3.0, 1.0, n))
    amount[rng.random(n) < 0.2] = np.nan
    deals = ForecastDeals(
        ids=np.array([str(i) for i in range(n)], dtype=object),
        chance=chance,
        amount=amount,
        part=part.astype(np.int8),
        group=np.zeros(n, dtype=np.int32),
        category=np.full(n, -1, dtype=np.int8),
        promised=np.full(n, -1, dtype=np.int32),
        spread=np.where(rng.random(n) < 0.5, 0.3 * np.nan_to_num(amount), 0.0),
    )
    atoms = Amounts(np.array([10.0, 30.0]), np.array([0.5, 0.5]))
    horizon = fn.Horizon.months("2026-07-01", k)
    df = draw(st.sampled_from([2.5, 6.0, np.inf]))
    shock = Shock(draw(st.floats(0.0, 10.0)), df=df)
    dispersion = draw(st.sampled_from([0.0, 0.02, 0.5]))
    return fn.Forecast(horizon, 20634, "", (), ((),), deals, atoms, "x", dispersion, shock)


@given(outlooks())
def test_what_is_shared_changes_spread_and_not_the_mean(outlook):
    """The law has the expected money as its mean, and no chance leaves [0, 1]."""
    alone = attrs.evolve(outlook, shock=None, dispersion=0.0)
    np.testing.assert_allclose(outlook.expected, alone.expected, rtol=1e-12)
    for law, mean, sd in zip(outlook.laws, outlook.expected, outlook.sd, strict=True):
        np.testing.assert_allclose(law.cumulants[0], mean, rtol=1e-9, atol=1e-9)
        # New deals are split into chances of 0.02, and states hold a heavy factor not quite.
        np.testing.assert_allclose(law.cumulants[1] ** 0.5, sd, rtol=0.06, atol=1e-6)
        assert law.lower >= 0.0
    levels = [outlook.probability_of(x) for x in (0.0, 10.0, 40.0, 1e9)]
    assert (np.diff(levels, axis=0) <= 1e-9).all()
    assert (levels[0] == 1.0).all()


@given(outlooks())
def test_sources_and_deciding_deals_are_consistent(outlook):
    """The variance is split without rest; won or not, a deal mixes to the probability.

    Where states stand apart, the space between them is filled for the whole, not for the deal.
    """
    np.testing.assert_allclose(outlook.sources().variance.sum(), outlook.total().sd[0] ** 2)
    assert (outlook.sources().variance >= -1e-9).all()
    found = outlook.deciding(30.0, 3)
    mixed = found.chance * found.if_won + (1.0 - found.chance) * found.if_not
    np.testing.assert_allclose(mixed, found.probability, atol=1e-4)


@given(
    st.lists(st.tuples(st.floats(0.1, 10.0), st.floats(0.1, 1.0)), max_size=12),
    st.floats(0.0, 0.1),
)
def test_fitted_shocks_grow_with_errors_and_do_not_depend_on_order(windows, within):
    """Any windows give a shock; twice the log errors give no smaller one."""
    ratio, weight = np.array([w for w, _ in windows]), np.array([s for _, s in windows])
    found = fit_shock(ratio, np.ones(len(ratio)), within, weight=weight)
    turned = fit_shock(ratio[::-1], np.ones(len(ratio)), within, weight=weight[::-1])
    np.testing.assert_allclose((found.scale, found.df), (turned.scale, turned.df))
    assert fit_shock(ratio**2, np.ones(len(ratio)), within, weight=weight).scale >= found.scale
