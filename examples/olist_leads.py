"""Estimate how soon leads become customers where nobody records the ones that are lost.

The "Marketing Funnel by Olist": 8,000 leads of a Brazilian marketplace, of which 842 were won.
A lead has no lost status, so one that is not won is open: it is censored on the last day of the
record, and "share won" means by some age, never "in the end". No win is recorded before December
2017, so that leads of 2017 are won more seldom on record than they were. There are no usable
amounts; each lead counts 1:

    python examples/olist_leads.py ../shared/data/olist_marketing_funnel
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

import funnel as fn
from funnel.metrics.conversion import win_curve

FUNNEL = fn.Funnel(["Lead"], name="leads")
AGES = (30, 90, 180)
CUTOFF = "2018-04-30"
MONTH = fn.Horizon.months("2018-05-01", 1)


def read(folder: Path) -> fn.History:
    """Read each lead with the day on which it was won, if it was."""
    leads = csv.read_csv(folder / "olist_marketing_qualified_leads_dataset.csv")
    deals = csv.read_csv(folder / "olist_closed_deals_dataset.csv").select(["mql_id", "won_date"])
    table = leads.join(deals, "mql_id").sort_by("mql_id")
    won = pc.is_valid(table["won_date"])
    table = table.append_column("stage", pc.if_else(won, "Won", "Lead"))
    table = table.append_column("count", pa.array(np.ones(len(table))))
    return fn.io.read_deals(
        table,
        funnel=FUNNEL,
        id="mql_id",
        stage="stage",
        created="first_contact_date",
        closed="won_date",
        amount="count",
        attributes=("origin",),
        known={"amount": "constant", "origin": "constant"},
        timezone="America/Sao_Paulo",
        source_timezone="America/Sao_Paulo",
    )


def main(folder: Path) -> None:
    """Print the share won by age, and a forecast from a past day beside what then happened."""
    history = read(folder)
    outcomes = fn.outcomes(history)
    won, still_open = outcomes.count(fn.Outcome.WON), outcomes.count(fn.Outcome.OPEN)
    print(history)
    print(f"{len(outcomes):,} leads: {won:,} won, {still_open:,} open, none known to be lost")
    print(history.findings)
    print(f"\n{win_curve(history, ages=AGES)}")
    print(f"\nBy the year of the first contact\n{win_curve(history, ages=AGES, period='year')}")

    known = history.until(CUTOFF)
    print(f"\nWhat was known on {CUTOFF}: {known.snapshot()}")
    print(fn.forecast(known, MONTH))
    pipeline = history.snapshot(CUTOFF)
    later = history.select(~np.isin(history.ids, pipeline.ids))
    start, end = MONTH.edges.tolist()
    everything, new = outcomes.booked(start, end), fn.outcomes(later).booked(start, end)
    print(f"\nWhat then happened in {MONTH.labels[0]}:")
    print(f"  leads open at the cutoff that were won {everything - new:5,.0f}")
    print(f"  leads that came later and were won     {new:5,.0f}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "../shared/data/olist_marketing_funnel"))
