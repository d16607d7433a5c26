"""Golden C of the domain: a trade fair costs 50,000 and brings 20 leads, of which 5 convert.

Cost per lead 2,500, lead to opportunity 25 %, return = value of those opportunities / 50,000.
"""

import numpy as np

import funnel as fn
from funnel.metrics.channels import Costs, channels

LEADS = [f"L{i:02}" for i in range(20)]
VALUES = [10_000.0, 20_000.0, 30_000.0, 40_000.0, 50_000.0]


def fair(extra=0):
    """20 leads of January, 5 opportunities a month later; `extra` young leads of a web form."""
    young = [f"W{i:02}" for i in range(extra)]
    amount = [*VALUES, *([0.0] * 15)]
    return fn.History.from_columns(
        funnel=fn.Funnel(["Lead", "Opportunity"]),
        id=[*LEADS, *LEADS[:5], *young],
        stage=["Lead"] * 20 + ["Opportunity"] * 5 + ["Lead"] * extra,
        at=["2026-01-10"] * 20 + ["2026-02-10"] * 5 + ["2026-03-10"] * extra,
        amount=[*amount, *VALUES, *([0.0] * extra)],
        source=["展会"] * 25 + ["web"] * extra,
        observed_until="2026-03-31",
    )


COSTS = Costs.from_columns(
    cost=[50_000.0], source=["展会"], start="2026-01-01", last="2026-03-31", currency=""
)


def test_the_trade_fair():
    """To the last digit: 2,500 a lead, 25 %, 150,000 / 50,000 = 3."""
    found = channels(fair(), COSTS, opportunity="Opportunity")
    assert [20] == found.leads.tolist()
    assert [5] == found.opportunities.count.tolist()
    assert [2500.0] == found.cost_per_lead.tolist()
    assert [0.25] == found.opportunities.rate.tolist()
    assert [150_000.0] == found.opportunities.value.tolist()
    assert [3.0] == found.return_on_opportunities.tolist()
    assert [10_000.0] == found.cost_per_opportunity.tolist()


def test_leads_that_are_old_enough_are_not_corrected():
    """All 20 leads have the highest age seen: their maturity is 1."""
    found = channels(fair(), COSTS, opportunity="Opportunity")
    assert [1.0] == found.opportunities.maturity.tolist()
    assert [0.25] == found.opportunities.final_rate.tolist()
    assert [5.0] == found.opportunities.final_count.tolist()
    assert [3.0] == found.final_return_on_opportunities.tolist()


def test_young_leads_change_nothing_for_the_fair():
    """Web leads of 21 days, before anybody converts (day 31), have had no time: NaN, not 0."""
    found = channels(fair(extra=4), COSTS, opportunity="Opportunity")
    assert ["展会", "web"] == found.keys["source"].tolist()
    assert [0.25, 0.0] == found.opportunities.rate.tolist()
    assert [1.0, 0.0] == found.opportunities.maturity.tolist()
    np.testing.assert_array_equal([0.25, np.nan], found.opportunities.final_rate)
    assert [2500.0] == found.cost_per_lead[:1].tolist()
    assert ["", "no cost"] == found.mark.tolist()
