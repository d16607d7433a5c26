"""Days on which many deals were closed at once, as in a clean-up: they say one thing, not many."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from funnel.calendars import to_date
from funnel.kernels.arrivals import bulk_days
from funnel.tables import History

if TYPE_CHECKING:
    from funnel.summary import HistorySource
    from funnel.typing import IntArray

__all__ = ["Bulk", "bulk_closings"]

OFTEN = 30
"""A clean-up may come back after so many days; what happens more often is how a team works."""

TIMES, FLOOR = 3, 10
"""So many times the deals of a busy day, and so many more, are closed at once."""


class Bulk(NamedTuple):
    """Days of bulk closings, ascending, and the number of deals closed on each: (b,), (b,)."""

    days: IntArray
    deals: IntArray

    @property
    def said(self) -> tuple[str, ...]:
        """What a forecast says of them."""
        if not len(self.days):
            return ()
        latest = list(zip(self.days.tolist(), self.deals.tolist(), strict=True))[-3:]
        some = ", ".join(f"{to_date(day)}: {deals:,} deals" for day, deals in latest)
        which = "" if len(self.days) <= len(latest) else f" on {len(self.days):,} days, the latest"
        what = f"many deals were closed at once, as in a clean-up{which} ({some})"
        return (f"{what}: windows that hold such days count less for weights, levels and width",)


def bulk_closings(source: History | HistorySource) -> Bulk:
    """Find the days on which far more deals were closed than on busy days."""
    chunks = (source,) if isinstance(source, History) else source
    first, counts = 0, np.zeros(0, dtype=np.int64)
    for chunk in chunks:
        first = chunk.observed_from
        # The first row of a spell in a closed state is a closing; deals that came closed are not.
        pieces = chunk.pieces
        begins = pieces.closed_on == pieces.start
        day = pieces.start[begins].astype(np.int64) - first
        day = day[day > 0]
        found = np.bincount(day, minlength=chunk.observed_until - first + 1)
        counts = found if not len(counts) else counts + found
    days = np.flatnonzero(bulk_days(counts, every=OFTEN, times=TIMES, floor=FLOOR))
    return Bulk(days + first, counts[days])
