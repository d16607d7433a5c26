"""Forecast from a deals table, the export that most teams have.

The "CRM Sales Opportunities" of Maven Analytics, 8,800 deals of a fictitious company. It has no
stage history, 500 deals without any date, and value 0 on every lost deal, which would give the
outcome away:

    python examples/crm_opportunities.py ../shared/data/crm_sales_opportunities
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import csv

import funnel as fn

FUNNEL = fn.Funnel(["Prospecting", "Engaging"], name="CRM opportunities")
CUTOFF = "2017-09-30"
QUARTER = fn.Horizon.quarters("2017-10-01", 1)


def read(folder: Path) -> fn.History:
    """Read the deals; the list price of the product is the amount of an open deal."""
    deals = csv.read_csv(folder / "sales_pipeline.csv")
    products = csv.read_csv(folder / "products.csv")
    price = dict(
        zip(products["product"].to_pylist(), products["sales_price"].to_pylist(), strict=True)
    )
    name = deals["product"].to_pylist()
    deals = deals.append_column(
        "list_price", pa.array([price.get(item) for item in name], pa.float64())
    )
    history = fn.io.read_deals(
        deals,
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
    missing = np.flatnonzero([item not in price for item in name])
    findings = history.findings.add(
        "product",
        "no such product in products.csv",
        "left without a list price",
        missing,
        (name[row] for row in missing),
    )
    import attrs

    return attrs.evolve(history, findings=findings)


def main(folder: Path) -> None:
    """Print the counts and findings, and a forecast beside what then happened."""
    history = read(folder)
    outcomes = fn.outcomes(history)
    undated = 8800 - len(outcomes)
    print(history)
    print(
        f"{len(outcomes) + undated:,} deals: {outcomes.count(fn.Outcome.WON):,} won, "
        f"{outcomes.count(fn.Outcome.LOST):,} lost, {undated:,} without any date"
    )
    print(history.findings)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "../shared/data/crm_sales_opportunities"))
