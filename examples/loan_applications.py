"""Forecast loan applications from a past day, and see what then happened.

The log of the BPI Challenge 2012, a real pipeline of 13,087 applications
(van Dongen, 2012, doi:10.4121/uuid:3926db30-f712-4394-aebc-75976070e91f):

    python examples/loan_applications.py ../shared/data/bpi2012
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

import funnel as fn

STATES = {
    "A_SUBMITTED": "Submitted",
    "A_PREACCEPTED": "Pre-accepted",
    "A_ACCEPTED": "Accepted",
    "O_SENT": "Offer sent",
    "O_SENT_BACK": "Offer returned",
    "A_APPROVED": "Won",
    "A_REGISTERED": "Won",
    "A_ACTIVATED": "Won",
    "A_DECLINED": "Declined",
    "A_CANCELLED": "Cancelled",
}
"""The activities that move an application, and where to."""

FUNNEL = fn.Funnel(
    ["Submitted", "Pre-accepted", "Accepted", "Offer sent", "Offer returned"],
    lost=("Declined", "Cancelled"),
    name="loan application",
)
CUTOFF = "2012-01-31"
MONTH = fn.Horizon.months("2012-02-01", 1)


def read(folder: Path) -> fn.History:
    """Read the first time that each application reaches each state, with its amount."""
    events = csv.read_csv(folder / "events.csv.gz")
    events = events.filter(pc.is_in(events["activity"], pa.array(list(STATES))))
    activity = events["activity"].dictionary_encode().combine_chunks()
    states = pa.array([STATES[name] for name in activity.dictionary.to_pylist()])
    moves = pa.table(
        {
            "case_id": events["case_id"],
            "state": states.take(activity.indices),
            "timestamp": events["timestamp"],
            "seq": events["seq"],
        }
    )
    first = moves.group_by(["case_id", "state"]).aggregate([("timestamp", "min"), ("seq", "min")])
    cases = csv.read_csv(folder / "cases.csv.gz").select(["case_id", "amount"])
    return fn.io.read_history(
        first.join(cases, "case_id"),
        funnel=FUNNEL,
        id="case_id",
        stage="state",
        at="timestamp_min",
        seq="seq_min",
        amount="amount",
        known={"amount": "constant"},
        timezone="Europe/Amsterdam",
    )


def main(folder: Path) -> None:
    """Print the counts, and a forecast from a past cutoff beside what then happened."""
    history = read(folder)
    outcomes = fn.outcomes(history)
    won, lost, still_open = (
        outcomes.count(kind) for kind in (fn.Outcome.WON, fn.Outcome.LOST, fn.Outcome.OPEN)
    )
    print(history)
    print(f"{len(outcomes):,} applications: {won:,} won, {lost:,} lost, {still_open:,} open")
    for state, stays in zip(FUNNEL.stages, fn.spells(history).flow_table(), strict=False):
        print(f"  {state.id:15} entered {stays.sum():6,}")
    if len(history.findings):
        print(history.findings)

    known = history.until(CUTOFF)
    print(f"\nWhat was known on {CUTOFF}: {known.snapshot()}")
    outlook = fn.forecast(known, MONTH)
    print(outlook)
    pipeline = history.snapshot(CUTOFF)
    was_open = pipeline.select(pipeline.outcome == fn.Outcome.OPEN).ids
    start, end = MONTH.edges.tolist()
    later = history.select(~np.isin(history.ids, was_open))
    everything, new = outcomes.booked(start, end), fn.outcomes(later).booked(start, end)
    print(f"\nWhat then happened in {MONTH.labels[0]}:")
    print(f"  won by applications open at the cutoff {everything - new:14,.0f}")
    print(f"  won by applications that came later    {new:14,.0f}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "../shared/data/bpi2012"))
