"""Plan back the money of January 2012 from what was known the day before, and see what came.

The log of the BPI Challenge 2012, see `loan_applications.py`:

    python examples/plan_loans.py ../shared/data/bpi2012
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

from loan_applications import read

import funnel as fn
from funnel.errors import ExtrapolationWarning
from funnel.planning import plan_inflow, track

CUTOFF = "2011-12-31"
JANUARY = fn.Horizon.months("2012-01-01", 1)
LEVEL = 0.9


def main(folder: Path) -> None:
    """Print the plan, what came, and why they differ."""
    warnings.simplefilter("ignore", ExtrapolationWarning)
    history = read(folder)
    start, end = JANUARY.edges.tolist()
    target = fn.outcomes(history).booked(start, end)
    known = history.until(CUTOFF)
    pipeline = known.snapshot()
    fitted = fn.DealForecaster("semi-markov").fit(known)
    print(f"Won in {JANUARY.labels[0]}: {target:,.0f}. Known on {CUTOFF}: {pipeline}\n")

    median = plan_inflow(target, fitted, pipeline, JANUARY, confidence=0.5)
    low, high = median.interval(LEVEL)
    days = history.snapshot().created
    came = (days >= start) & (days < end)
    count, planned = int(came.sum()), float(median.entries.sum())
    print(median)
    where = "inside" if low <= count <= high else "outside"
    print(f"\nApplications needed: {planned:,.0f}, {LEVEL:.0%} between {low:,.0f} and {high:,.0f}")
    print(f"Applications that came: {count:,}, {where} of it")
    usual = fitted.arrivals.rates(start, end).sum()
    print(f"Applications forecast, whatever the target: {usual:,.0f}")

    new = fn.outcomes(history.select(came)).booked(start, end)
    parts = median.outlook.parts
    old = float(parts["open"].expected.sum() + parts["reopened"].expected.sum())
    each, really = float(parts["new"].expected.sum()) / planned, new / count
    older, newer = (old - target + new) / each, count - new / each
    print("\nWhy that differs from the median of the plan, in applications:")
    print(f"  older ones brought {target - new:,.0f}, {old:,.0f} were expected: {older:+,.0f}")
    print(f"  new ones brought {really:,.0f} each, {each:,.0f} were expected: {newer:+,.0f}")
    print(f"  what the median aims at is not the target: {count - planned - older - newer:+,.0f}")
    print(f"  in all {count - planned:+,.0f}\n")

    print(track(median, history.until(JANUARY.end), fitted))
    print()
    print(median.elasticities())


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "../shared/data/bpi2012"))
