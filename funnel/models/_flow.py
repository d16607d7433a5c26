"""Stage by stage: how many deals are expected to enter, stay and end on each of the next days."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import numpy as np

from funnel.calendars import to_dates
from funnel.kernels.arrays import frozen
from funnel.models._sojourns import CLASSES
from funnel.results import ResultTable
from funnel.typing import NO_DAY

if TYPE_CHECKING:
    from typing import Any

    from funnel.kernels.flow import Flow
    from funnel.models._sojourns import Layout
    from funnel.typing import FloatArray

__all__ = ["StageFlow", "staged"]


@attrs.frozen(eq=False)
class StageFlow(ResultTable):
    """Expected deals that enter, stay and end on each of some days in a row.

    Parameters
    ----------
    stages : tuple of str
        Ids of the open stages.
    first : int
        The first day, since 1970-01-01; `NO_DAY` where days are counted from an entry, the first
        one being the day of the entry itself.
    entries : (k, stages) float64
        Expected entries into each stage on each day. To be resumed after a hold is no entry.
    occupancy : (k, stages) float64
        Expected deals in each stage at the end of each day.
    advanced : (k, stages) float64
        Expected moves out of each stage up the ladder, skips included, or to won.
    won, lost, removed : (k,) float64
        Expected deals that are won, lost and removed on each day.

    Notes
    -----
    ``occupancy`` at the start, and all entries, ends and lost deals that come back add up: no deal
    gets lost. A deal may enter a stage more than once, and may be lost more than once.

    Examples
    --------
    >>> import funnel as fn
    >>> fitted = fn.models.get("semi-markov").fit(fn.datasets.simulate(500, rng=1).history)
    >>> flow = fitted.fresh_flow("qualify", 400)
    >>> float(flow.entries[0, 0]), bool(0.0 < flow.won.sum() < 1.0)
    (1.0, True)
    """

    stages: tuple[str, ...]
    first: int
    entries: FloatArray = attrs.field(converter=frozen)
    occupancy: FloatArray = attrs.field(converter=frozen)
    advanced: FloatArray = attrs.field(converter=frozen)
    won: FloatArray = attrs.field(converter=frozen)
    lost: FloatArray = attrs.field(converter=frozen)
    removed: FloatArray = attrs.field(converter=frozen)

    def to_columns(self) -> dict[str, Any]:
        """Return one row for each day and stage."""
        days, stages = self.entries.shape
        number = np.repeat(np.arange(days), stages)
        when = number if self.first == NO_DAY else to_dates((self.first + number).astype(np.int32))
        names = np.array(self.stages, dtype=object)
        return {
            "day": when,
            "stage": np.tile(names, days),
            "entries": self.entries.reshape(-1),
            "occupancy": self.occupancy.reshape(-1),
            "advanced": self.advanced.reshape(-1),
        }

    @property
    def _title(self) -> str:
        """Return the heading."""
        return "Expected entries and deals by stage"

    @property
    def _notes(self) -> tuple[str, ...]:
        """Say what becomes of the deals."""
        ends = {"won": self.won, "lost": self.lost, "removed": self.removed}
        shown = ", ".join(f"{float(values.sum()):,.1f} {name}" for name, values in ends.items())
        return (f"expected in all days: {shown}",)


def staged(layout: Layout, found: Flow, first: int) -> StageFlow:
    """Add up the visits to each stage."""
    own = layout.stages * CLASSES
    shape = (len(found.ends), layout.stages, CLASSES)
    return StageFlow(
        stages=tuple(layout.funnel.ids[: layout.stages]),
        first=first,
        entries=found.entries[:, :own].reshape(shape).sum(axis=2),
        occupancy=found.occupancy[:, :own].reshape(shape).sum(axis=2),
        advanced=found.counted[:, :own].reshape(shape).sum(axis=2),
        won=found.ends[:, 0],
        lost=found.entries[:, own:].sum(axis=1),
        removed=found.ends[:, 1],
    )
