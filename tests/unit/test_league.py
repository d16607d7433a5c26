"""League tables against the closed form of the shrunk rate."""

import numpy as np
import pytest
from scipy import special

import funnel as fn
from funnel.errors import ValidationError
from funnel.kernels.shrinkage import beta_binomial_posterior
from funnel.metrics.league import league
from funnel.testing import fixtures

START = np.datetime64("2026-01-01")


def deep(*values):
    """Mark a case that takes long."""
    return pytest.param(*values, marks=pytest.mark.deep)


def team(won, lost, *, open_=0):
    """Deals of owners A, B, ...: so many won and lost on day 10, and open for 5 days."""
    rows = []
    for owner, (wins, losses) in enumerate(zip(won, lost, strict=True)):
        for n, state in ((wins, "Won"), (losses, "Lost"), (open_, "")):
            rows += [(chr(65 + owner), state)] * n
    ids = np.arange(len(rows))
    done = np.array([bool(state) for _, state in rows])
    owners = np.array([owner for owner, _ in rows])
    born = np.where(done, 0, 5)
    return fn.History.from_columns(
        funnel=fn.Funnel(["Qualify"]),
        id=[*ids, *ids[done]],
        stage=["Qualify"] * len(rows) + [state for _, state in rows if state],
        owner=[*owners, *owners[done]],
        at=START + np.concatenate((born, np.full(int(done.sum()), 10))),
    )


WON, LOST = [30, 1, 10, 2], [30, 0, 30, 20]


def integrated(won, n, level):
    """Means and bounds by brute force: rates of groups on a grid of overall rate m and strength k.

    Beta(m k, (1 - m) k) for the rates, Jeffreys' prior for m, and one uniform in 1 / k.
    """
    m, k = (values.ravel() for values in np.meshgrid(np.arange(0.5, 150) / 150, GRID))
    a, b = (m * k)[:, None], ((1 - m) * k)[:, None]
    log = (special.betaln(a + won, b + n - won) - special.betaln(a, b)).sum(axis=1)
    log -= 0.5 * np.log(m * (1 - m)) + np.log(k)  # the density 1 / k^2 on a grid of log k
    weight = np.exp(log - log.max()) * np.where(np.isin(k, GRID[[0, -1]]), 0.5, 1.0)
    weight /= weight.sum()
    mean = weight @ ((a + won) / (a + b + n))
    at = np.arange(0.5, 400) / 400
    used = weight > 1e-6
    below = [
        weight[used] @ special.betainc(a[used] + w, b[used] + t - w, at)
        for w, t in zip(won, n, strict=True)
    ]
    tail = (1 - level) / 2
    return mean, np.array([np.interp((tail, 1 - tail), share, at) for share in below])


GRID = np.geomspace(1.0, 3000.0, 30)


def test_rates_and_intervals_are_those_of_the_whole_posterior():
    """Against brute force: m is taken at its best value for each k, which one deal feels most."""
    found = league(team(WON, LOST), by=("owner",))
    won, n = np.array(WON), np.array(WON) + np.array(LOST)
    mean, bounds = integrated(won, n, 0.95)
    order = np.argsort(-mean)
    np.testing.assert_allclose(mean[order], found.rate, atol=0.03)
    np.testing.assert_allclose((won / n)[order], found.raw)
    assert [1, 2, 3, 4] == found.rank.tolist()
    assert found.to_columns()["owner"].tolist() == [chr(65 + i) for i in order]
    some = order[n[order] > 1]  # the law of an owner with one deal is skew
    row = np.flatnonzero(n[order] > 1)
    np.testing.assert_allclose(mean[some], found.rate[row], atol=0.005)
    np.testing.assert_allclose(bounds[some, 0], found.low[row], atol=0.02)
    np.testing.assert_allclose(bounds[some, 1], found.high[row], atol=0.02)
    assert "average deals" in str(found)


def test_open_deals_are_censored():
    """Seen for 5 days, of which none closed: they change nothing."""
    plain, young = (league(team(WON, LOST, open_=n), by=("owner",)) for n in (0, 50))
    np.testing.assert_allclose(plain.rate, young.rate)


def test_groups_without_deals_come_last():
    """Rank 0, n = 0 and NaN."""
    history = team(WON, LOST)
    found = league(
        history.select(history.columns["owner"][history.bounds[:-1]] != 1), by=("owner",)
    )
    assert ("B", 0, 0) == (found.to_columns()["owner"][-1], found.rank[-1], found.deals[-1])
    assert np.isnan(found.rate[-1])
    assert np.isnan(found.low[-1])


def test_each_period_has_its_ranking():
    """Ranks start anew, and chunks give the same table."""
    history = fixtures.history()
    found = league(history, by=("region",), period="quarter", within=120)
    frame = found.to_columns()
    for quarter in np.unique(frame["period"]):
        rank = found.rank[frame["period"] == quarter]
        assert np.arange(1, (rank > 0).sum() + 1).tolist() == rank[rank > 0].tolist()
    parts = league(list(history.chunks(50)), by=("region",), period="quarter", within=120)
    np.testing.assert_array_equal(found.rate, parts.rate)
    assert "within 120 days" in str(found)


@pytest.mark.parametrize(("groups", "deals", "rate"), [(6, 4, 0.4), (4, 30, 0.3)])
def test_intervals_cover_the_rate_of_equal_groups(groups, deals, rate):
    """95 % intervals hold the true rate in 90 % of the groups or more (seeded simulation)."""
    rng = np.random.default_rng(11)
    inside = []
    for won in rng.binomial(deals, rate, (20, groups)):
        found = league(team(won, deals - won), by=("owner",))
        inside += ((found.low <= rate) & (rate <= found.high)).tolist()
    assert np.mean(inside) >= 0.9


@pytest.mark.parametrize(
    ("spread", "repeats"), [(0.09, 40), deep(0.06, 500), deep(0.09, 500), deep(0.12, 500)]
)
def test_intervals_cover_the_rates_of_groups_that_differ(spread, repeats):
    """Six groups of 40 whose rates differ: 95 % intervals hold no less, up to three errors.

    They hold more where the data leave it open whether the groups differ at all, but not all.
    """
    rng = np.random.default_rng(17)
    strength = 0.3 * 0.7 / spread**2 - 1
    inside = []
    for rates in rng.beta(0.3 * strength, 0.7 * strength, (repeats, 6)):
        won = rng.binomial(40, rates)
        found = league(team(won, 40 - won), by=("owner",))
        true = rates[[ord(name) - 65 for name in found.to_columns()["owner"]]]
        inside += ((found.low <= true) & (true <= found.high)).tolist()
    error = 3 * np.sqrt(0.95 * 0.05 / len(inside))
    assert 0.95 - error < np.mean(inside) < 0.98 + error


def test_the_age_of_groups_is_no_difference():
    """Wins come on day 10 and losses on day 30; who was seen for 20 days has no loss yet.

    All owners win half, so that the young one's 10 wins of 10 closed deals are no better, and the
    groups lean on the whole far more than such counts would let them.
    """
    old = [(name, *end) for name in "AC" for end in [("Won", 10)] * 20 + [("Lost", 30)] * 20]
    young = [("B", "Won", 30)] * 10 + [("B", "", 0)] * 10
    owners, states, days = map(np.array, zip(*old, *young, strict=True))
    ids, done = np.arange(100), states != ""
    history = fn.History.from_columns(
        funnel=fn.Funnel(["Qualify"]),
        id=[*ids, *ids[done]],
        stage=["Qualify"] * 100 + states[done].tolist(),
        owner=[*owners, *owners[done]],
        at=START + np.concatenate((np.array([0] * 80 + [20] * 20), days[done])),
        observed_until="2026-02-09",
    )
    k, chance = beta_binomial_posterior(
        np.array([20, 20, 10]), np.array([40, 40, 10]), np.full(3, 0.5)
    )
    found = league(history, by=("owner",))
    assert found.strength > 1.5 / (chance @ (1 / k))
    np.testing.assert_allclose(0.5, found.rate)


def test_the_columns_within_an_age_are_said():
    """Counts are all so far, rates are bounded."""
    note = "raw, rate, low and high are within 20 days; counts are all so far"
    history = team(WON, LOST)
    assert note in str(league(history, by=("owner",), within=20))
    assert "counts are all so far" not in str(league(history, by=("owner",)))


def test_wrong_arguments_are_refused():
    """A league needs groups."""
    with pytest.raises(ValidationError, match="at least one column"):
        league(fixtures.history(), by=())
    with pytest.raises(ValidationError, match="within"):
        league(fixtures.history(), by=("owner",), within=-2)
