"""League tables against the closed form of the shrunk rate."""

import numpy as np
import pytest

import funnel as fn
from funnel.errors import ValidationError
from funnel.kernels.shrinkage import beta_binomial_strength
from funnel.metrics.league import league
from funnel.testing import fixtures

START = np.datetime64("2026-01-01")


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


def test_the_rate_leans_on_the_whole():
    """(won + k m) / (n + k), with m the rate of all and k by maximum likelihood."""
    found = league(team(WON, LOST), by=("owner",))
    won, n = np.array(WON), np.array(WON) + np.array(LOST)
    k = beta_binomial_strength(won, n)
    expected = (won + k * won.sum() / n.sum()) / (n + k)
    assert k == found.strength
    order = np.argsort(-expected)
    np.testing.assert_allclose(expected[order], found.rate)
    np.testing.assert_allclose((won / n)[order], found.raw)
    assert [1, 2, 3, 4] == found.rank.tolist()
    assert found.to_columns()["owner"].tolist() == [chr(65 + i) for i in order]
    assert (found.low < found.rate).all()
    assert (found.rate < found.high).all()
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
    for won in rng.binomial(deals, rate, (40, groups)):
        found = league(team(won, deals - won), by=("owner",))
        inside += ((found.low <= rate) & (rate <= found.high)).tolist()
    assert np.mean(inside) >= 0.9


def test_the_variance_has_that_of_the_whole_and_a_capped_prior():
    """By hand: p (1 - p) / (n + N) + (k / (n + k))^2 p (1 - p) / N on the log-log scale."""
    found = league(team([2] * 6, [2] * 6), by=("owner",))
    assert pytest.approx(1000) == found.strength  # the groups do not differ at all
    p, n, total = 0.5, 4, 24
    variance = p * (1 - p) * (1 / (n + total) + (1000 / (n + 1000)) ** 2 / total)
    half = 1.959964 * np.sqrt(variance) / ((1 - p) * -np.log(1 - p))
    low, high = (1 - np.exp(np.log(1 - p) * np.exp(sign * half)) for sign in (-1, 1))
    np.testing.assert_allclose(found.low, low, rtol=1e-6)
    np.testing.assert_allclose(found.high, high, rtol=1e-6)


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
