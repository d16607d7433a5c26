"""Forecast from a deals table, the export that most teams have.

The "CRM Sales Opportunities" of Maven Analytics, 8,800 deals of a fictitious company. It has no
stage history, 500 deals without any date, and value 0 on every lost deal, which would give the
outcome away:

    python examples/crm_opportunities.py ../shared/data/crm_sales_opportunities
"""

from __future__ import annotations

import sys
from pathlib import Path

import attrs
import numpy as np
import pyarrow as pa
from pyarrow import csv

import funnel as fn

FUNNEL = fn.Funnel(["Prospecting", "Engaging"], name="CRM opportunities")
CUTOFF = "2017-09-30"
QUARTER = fn.Horizon.quarters("2017-10-01", 1)


def read(folder: Path) -> fn.History:
    """Read the deals; the list price of its product is the amount of an open deal."""
    deals = csv.read_csv(folder / "sales_pipeline.csv")
    table = csv.read_csv(folder / "products.csv")
    price = dict(zip(table["product"].to_pylist(), table["sales_price"].to_pylist(), strict=True))
    product = deals["product"].to_pylist()
    listed = pa.array([price.get(name) for name in product], pa.float64())
    history = fn.io.read_deals(
        deals.append_column("list_price", listed),
        funnel=FUNNEL,
        id="opportunity_id",
        stage="deal_stage",
        created="engage_date",
        closed="close_date",
        amount="list_price",
        booked_amount="close_value",
        attributes=("sales_agent", "product"),
        known={"amount": "constant", "sales_agent": "constant", "product": "constant"},
        entry_stage="Engaging",
        observed_until="2017-12-31",
    )
    unlisted = np.flatnonzero([name not in price for name in product])
    findings = history.findings.add(
        "product",
        "not-in-products.csv",
        "left without a list price",
        unlisted,
        (product[row] for row in unlisted),
    )
    return attrs.evolve(history, findings=findings)


def main(folder: Path) -> None:
    """Print the counts and findings, and a forecast beside what then happened."""
    history = read(folder)
    outcomes = fn.outcomes(history)
    won, lost = outcomes.count(fn.Outcome.WON), outcomes.count(fn.Outcome.LOST)
    undated = history.findings.count("no-date")
    print(history)
    print(
        f"{len(outcomes) + undated:,} deals: {won:,} won, {lost:,} lost, "
        f"{outcomes.count(fn.Outcome.OPEN):,} open, {undated:,} without any date"
    )
    print(f"won value {outcomes.booked(0, outcomes.closed_on.max() + 1):,.0f}")
    print(history.findings)

    pipeline = history.snapshot(CUTOFF)
    zeros = int(np.count_nonzero(pipeline.amount == 0.0))
    print(f"\nWhat was known on {CUTOFF}: {pipeline}")
    print(f"amounts of 0 in that snapshot, which would tell the lost deals: {zeros}")
    print(fn.forecast(history.until(CUTOFF), QUARTER))
    is_open = pipeline.outcome == fn.Outcome.OPEN
    later = history.select(~np.isin(history.ids, pipeline.ids[is_open]))
    start, end = QUARTER.edges.tolist()
    everything, new = outcomes.booked(start, end), fn.outcomes(later).booked(start, end)
    print(f"\nWhat then happened in {QUARTER.labels[0]}:")
    print(f"  won by deals open at the cutoff {everything - new:12,.0f}")
    print(f"  won by deals that came later    {new:12,.0f}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "../shared/data/crm_sales_opportunities"))
