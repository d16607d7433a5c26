"""Time per deal from 1e5 to 1e8 deals: everything is one pass, so that it hardly changes."""

from __future__ import annotations

import attrs
import data
import rounds
from bench_forecast import expected
from bench_log import measures
from rounds import Contender, Goal


def growth(title, sizes, make, run):
    """Return the table of one call at several sizes, tables that keep nothing of earlier calls."""
    found = {size: make(size) for size in sizes}
    contenders = [
        Contender(
            f"{size:,} deals",
            run,
            "ours",
            fresh=lambda table=table: (attrs.evolve(table),),
            times=1.0 / size,
        )
        for size, table in found.items()
    ]
    goal = Goal(contenders[-1].name, contenders[0].name, at_most=1.3)
    return rounds.measure(title, contenders, [goal], unit="ns/deal", rounds=rounds.FEWEST)


def tables(quick):
    """Yield the growth of a forecast, and of the measures of a change log."""
    sizes = [10**power for power in ((4, 5) if quick else (5, 6, 7, 8))]
    yield growth("Forecast by month, first call, by deal", sizes, data.pipeline, expected)
    sizes = [10**power for power in ((3, 4) if quick else (5, 6, 7))]
    yield growth("Change log to durations and conversions, by deal", sizes, data.history, measures)


if __name__ == "__main__":
    rounds.main(tables)
