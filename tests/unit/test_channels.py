"""Channels by hand, the correction for young leads, and bad input."""

import numpy as np
import pytest

import funnel as fn
from funnel.errors import (
    CurrencyMismatchError,
    SchemaMismatchError,
    UnknownStageError,
    ValidationError,
)
from funnel.metrics.channels import Costs, channels, summarize_channels
from funnel.testing import fixtures

LADDER = fn.Funnel(["Lead", "Opportunity", "Offer"])
START = np.datetime64("2026-01-01")


def leads(paths, *, until=100, **columns):
    """One lead per (source, day created, amount, [(stage, day), ...])."""
    rows = []
    for i, (source, born, amount, steps) in enumerate(paths):
        rows += [(f"L{i:03}", s, d, amount, source) for s, d in [("Lead", born), *steps]]
    return fn.History.from_columns(
        funnel=LADDER,
        id=[row[0] for row in rows],
        stage=[row[1] for row in rows],
        at=START + np.array([row[2] for row in rows]),
        amount=[row[3] for row in rows],
        source=[row[4] for row in rows],
        observed_from=START,
        observed_until=START + until,
        **columns,
    )


def costs(**changes):
    """Two channels over the first 101 days."""
    given = {
        "cost": [100.0, 40.0],
        "source": ["fair", "web"],
        "start": START,
        "end": START + 101,
    }
    return Costs.from_columns(**{**given, **changes})


BOOK = [
    ("fair", 0, 300.0, [("Opportunity", 10), ("Won", 20)]),
    ("fair", 0, 50.0, [("Offer", 10), ("Lost", 30)]),
    ("fair", 0, 70.0, [("Won", 10)]),
    ("fair", 0, 20.0, [("Lost", 5)]),
    ("web", 0, 10.0, []),
    ("web", 0, 10.0, [("Opportunity", 10)]),
]


def test_everything_is_counted_by_hand():
    """Skipping to the offer or to the win makes an opportunity too."""
    found = channels(leads(BOOK), costs(), opportunity="Opportunity")
    assert [4, 2] == found.leads.tolist()
    assert [3, 1] == found.opportunities.count.tolist()
    assert [2, 0] == found.wins.count.tolist()
    assert [420.0, 10.0] == found.opportunities.value.tolist()
    assert [370.0, 0.0] == found.wins.value.tolist()
    assert [25.0, 20.0] == found.cost_per_lead.tolist()
    np.testing.assert_allclose([50.0, np.nan], found.cost_per_win)
    np.testing.assert_allclose([100 / 3, 40.0], found.cost_per_opportunity)
    assert [4.2, 0.25] == found.return_on_opportunities.tolist()
    assert [3.7, 0.0] == found.return_on_wins.tolist()
    assert [0.5, 0.0] == found.wins.rate.tolist()
    low, high = found.wins.interval
    assert low[0] < 0.5 < high[0]
    assert 0.0 == low[1] < high[1]
    assert "2026-04-11" in str(found)


def test_the_correction_is_the_share_of_conversions_of_that_age():
    """F steps to 1/4 on day 10 and to 1/2 on day 40: leads of 20 days have had half of it."""
    old = [("fair", 0, 100.0, [("Won", 10)])] * 25 + [("fair", 0, 100.0, [("Won", 40)])] * 25
    old += [("fair", 0, 100.0, [])] * 50
    young = [("web", 80, 100.0, [("Won", 90)])] * 25 + [("web", 80, 100.0, [])] * 75
    found = channels(leads([*old, *young]), costs(cost=[100.0, 100.0]), opportunity="Opportunity")
    assert [0.5, 0.25] == found.wins.rate.tolist()
    np.testing.assert_allclose([1.0, 0.5], found.wins.maturity)
    np.testing.assert_allclose([0.5, 0.5], found.wins.final_rate)
    np.testing.assert_allclose([50.0, 50.0], found.wins.final_count)
    np.testing.assert_allclose([50.0, 25.0], found.return_on_wins)
    np.testing.assert_allclose([50.0, 50.0], found.final_return_on_wins)
    low, high = found.wins.final_interval
    assert low[1] < low[0] < 0.5 < high[0] < high[1]
    columns = found.to_columns()
    assert columns["return_low"][1] < 50.0 < columns["return_high"][1]


def test_the_correction_finds_the_truth_of_a_simulation():
    """40 % win after 1 to 100 days; leads of the last 50 days seem to win a quarter as often."""
    rng = np.random.default_rng(8)
    born = np.concatenate((np.zeros(4000, int), rng.integers(150, 200, 4000)))
    after = np.where(rng.random(8000) < 0.4, rng.integers(1, 101, 8000), 10_000)
    paths = [
        ("fair" if b == 0 else "web", b, 1.0, [("Won", b + a)] if b + a <= 200 else [])
        for b, a in zip(born.tolist(), after.tolist(), strict=True)
    ]
    table = costs(start=START, end=START + 201)
    found = channels(leads(paths, until=200), table, opportunity="Opportunity")
    assert found.wins.rate[1] < 0.15
    low, high = found.wins.final_interval
    assert ((low < 0.4) & (high > 0.4)).all()


def test_rates_stay_within_one():
    """A young lead that is won already does not count for many."""
    book = [*BOOK, ("shop", 99, 5.0, [("Won", 100)])]
    found = channels(leads(book), costs(source=["fair", "shop"]), opportunity="Opportunity")
    assert found.wins.maturity[1] < 1.0
    assert (1.0, 1.0) == (found.wins.final_rate[1], found.wins.final_count[1])


def test_nothing_won_at_all_is_unknown_in_the_end():
    """No win anywhere tells nothing about when wins come."""
    found = channels(leads([("fair", 0, 1.0, [])]), costs(), opportunity="Opportunity")
    assert np.isnan(found.wins.maturity).all()
    assert np.isnan(found.final_return_on_wins).all()


def test_costs_and_leads_that_do_not_meet_are_marked():
    """Unknown and early costs, a channel without leads, leads without a cost or outside of all."""
    table = Costs.from_columns(
        cost=[1.0, 2.0, 3.0, 0.0],
        source=["fair", "wbe", "fair", "web"],
        start=[START, START, START - 60, START + 50],
        end=[START + 50, START + 50, START - 20, START + 60],
    )
    book = [*BOOK, ("", 3, 1.0, []), ("web", 90, np.nan, [("Won", 95)])]
    found = channels(leads(book), table, opportunity="Opportunity")
    marks = ["", "not in the history", "before the history", "no leads", "no cost", "no cost"]
    assert marks == found.mark.tolist()
    assert ["", "web"] == found.keys["source"][4:].tolist()
    assert [4, 0, 0, 0, 1, 2] == found.leads.tolist()
    assert np.isnan(found.cost_per_lead[1:]).all()
    assert np.isnan(found.wins.rate[1:4]).all()
    assert np.isnan(found.return_on_wins[1:3]).all()
    assert np.isnan(found.return_on_wins[3])  # nothing was spent, nothing can be divided
    said = " ".join(found.notes)
    assert "wbe" in said
    assert "2 rows have leads and no cost" in said
    assert "1 leads were created outside" in said


def test_unknown_amounts_are_said():
    """An opportunity without an amount counts, its value does not."""
    found = channels(leads([("fair", 0, np.nan, [("Won", 9)])]), costs(), opportunity="Opportunity")
    assert (1, 0.0) == (found.wins.count[0], found.wins.value[0])
    assert any("no known amount" in note for note in found.notes)


def test_a_past_day_and_fewer_keys():
    """On day 15 nothing was won but one; over all channels 140 for 6 leads."""
    past = channels(leads(BOOK), costs(), opportunity="Opportunity", as_of=START + 15)
    assert [1, 0] == past.wins.count.tolist()
    whole = channels(leads(BOOK), costs(), opportunity="Opportunity", by=())
    assert ([140.0], [6]) == (whole.cost.tolist(), whole.leads.tolist())


def test_chunks_give_the_same_table():
    """Summaries of whole deals merge; those of another stage or of other costs do not."""
    whole = fixtures.history()
    table = Costs.from_columns(
        cost=[1e4, 2e4], region=["north", "west"], start="2024-01-01", last="2025-06-30"
    )
    parts = [
        summarize_channels(part, costs=table, opportunity="Propose") for part in whole.chunks(50)
    ]
    merged = parts[0]
    for part in parts[1:]:
        merged = merged.merge(part)
    mine = merged.table().to_columns()
    for name, values in channels(whole, table, opportunity="Propose").to_columns().items():
        if values.dtype.kind == "f":
            np.testing.assert_allclose(values, mine[name], rtol=1e-9)
        else:
            np.testing.assert_array_equal(values, mine[name])
    with pytest.raises(SchemaMismatchError, match="stage"):
        merged.merge(summarize_channels(whole, costs=table, opportunity="Qualify"))
    with pytest.raises(SchemaMismatchError, match="Costs"):
        merged.merge(summarize_channels(whole, costs=table.total(()), opportunity="Propose"))


@pytest.mark.parametrize(("name", "history"), list(fixtures.tiny_histories()))
def test_tiny_histories_are_no_problem(name, history):
    """Nothing fails, and counts are those of the deals."""
    table = Costs.from_columns(cost=[1.0], start="2020-01-01", last="2026-12-31")
    found = channels(history, table, opportunity="Propose")
    assert history.n_deals == found.leads.sum(), name


def test_bad_input_is_refused():
    """Stage, currency, level, cost."""
    with pytest.raises(UnknownStageError, match="Did you mean 'Opportunity'"):
        channels(leads(BOOK), costs(), opportunity="Oportunity")
    with pytest.raises(CurrencyMismatchError):
        channels(leads(BOOK, currency="EUR"), costs(currency="USD"), opportunity="Offer")
    with pytest.raises(ValidationError, match="level"):
        channels(leads(BOOK), costs(), opportunity="Offer", level=1.0)
    with pytest.raises(ValidationError, match="cost must be known"):
        costs(cost=[-1.0, 2.0])
    assert "Costs(2 rows by source, 140.00)" == repr(costs())
    assert [100.0, 40.0] == costs().to_columns()["cost"].tolist()
