"""Who won, who lost, when, and for how much: the one definition of a win."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from funnel._display import html_table
from funnel._frames import FrameBackend, to_frame
from funnel.calendars import to_dates
from funnel.kernels.arrays import frozen
from funnel.kernels.labels import texts
from funnel.stages import Outcome
from funnel.tables import _build

if TYPE_CHECKING:
    from funnel.tables.history import History
    from funnel.typing import DayArray, FloatArray, IntArray, StringArray

__all__ = ["Outcomes", "outcomes"]


@attrs.frozen(eq=False, repr=False)
class Outcomes:
    """How each deal stands in the end, one row per deal.

    Parameters
    ----------
    ids : (n,) str
        Deals.
    outcome : (n,) int8
        Codes of `Outcome`.
    closed_on : (n,) int32
        Day on which the deal was won, lost or removed; `NO_DAY` while open, also after a reopening.
    amount : (n,) float64
        The amount as it stands: what was booked where the deal is won.
    reopened : (n,) int32
        How often the deal had been closed and was opened again.
    """

    ids: StringArray
    outcome: IntArray
    closed_on: DayArray
    amount: FloatArray
    reopened: IntArray

    def __len__(self) -> int:
        """Return the number of deals."""
        return len(self.ids)

    def count(self, outcome: Outcome) -> int:
        """Count the deals of one outcome."""
        return int(np.count_nonzero(self.outcome == outcome))

    def booked(self, start: int, end: int) -> float:
        """Sum the known amounts won on the days ``start .. end - 1``."""
        inside = (self.outcome == Outcome.WON) & (self.closed_on >= start) & (self.closed_on < end)
        return float(np.nansum(self.amount[inside]))

    def to_columns(self) -> dict[str, np.ndarray[Any, Any]]:
        """Return one value per deal by column."""
        return {
            "id": self.ids,
            "outcome": texts([outcome.name.lower() for outcome in Outcome])[self.outcome],
            "closed_on": to_dates(self.closed_on),
            "amount": self.amount,
            "reopened": self.reopened,
        }

    def to_frame(self, *, backend: FrameBackend = "pandas") -> Any:  # noqa: ANN401 - a native frame
        """Return the outcomes as a dataframe of `backend`."""
        return to_frame(self.to_columns(), backend)

    def __repr__(self) -> str:
        """Return one line."""
        found = ", ".join(f"{self.count(outcome):,} {outcome.name.lower()}" for outcome in Outcome)
        return f"Outcomes({len(self):,} deals: {found})"

    def _repr_html_(self) -> str:
        """Return the first outcomes for a notebook."""
        return html_table(*_build.preview(self.to_columns()), title=repr(self))


def outcomes(history: History, /) -> Outcomes:
    """Say how each deal stands at the end of ``history.observed_until``, net of reopening.

    Parameters
    ----------
    history : History
        Use ``history.until(day)`` for the outcomes as they stood on an earlier day.

    Returns
    -------
    Outcomes
        A deal that was won, reopened and is open again is open and has no closing day; one that
        was won twice counts once, on the later day.

    Examples
    --------
    >>> import funnel as fn
    >>> history = fn.History.from_columns(
    ...     funnel=fn.Funnel(["Qualify"]), id=["A", "A", "A"], stage=["Qualify", "Won", "Qualify"],
    ...     at=["2026-01-05", "2026-02-10", "2026-02-20"], amount=[10.0, 10.0, 10.0],
    ... )
    >>> fn.outcomes(history)
    Outcomes(1 deals: 1 open, 0 won, 0 lost, 0 removed)
    >>> fn.outcomes(history.until("2026-02-10"))
    Outcomes(1 deals: 0 open, 1 won, 0 lost, 0 removed)
    """
    pieces = history.pieces
    last = history.bounds[1:] - 1
    piece = pieces.of_row[last]
    return Outcomes(
        ids=history.ids,
        outcome=frozen(history.funnel.outcomes[history.stage[last]]),
        closed_on=frozen(pieces.closed_on[piece]),
        amount=frozen(history.columns["amount"][last]),
        reopened=frozen(pieces.reopened[piece]),
    )
