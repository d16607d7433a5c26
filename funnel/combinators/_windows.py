"""Past windows: where they begin, and what happened in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import numpy as np

from funnel.kernels import asof
from funnel.stages import Outcome
from funnel.tables import History

if TYPE_CHECKING:
    from funnel.combinators._answers import Answers
    from funnel.summary import HistorySource
    from funnel.typing import BoolArray, DayArray, FloatArray, IntArray

__all__ = ["Window", "origins", "window"]


@attrs.frozen(eq=False)
class Window:
    """The days after an origin: what was open then, and what came of it.

    Parameters
    ----------
    origin : int
        The forecast would have been made at the end of this day.
    leads : (k,) int64
        Days ahead; the window of a lead ends on ``origin + lead``.
    amount, spread : (n,) float64
        Of the deals that were open, at closing, as expected then: mean, NaN unknown, and standard
        deviation.
    booked : (n, k) float64
        Their amounts as booked by the end of each window, for those that were won.
    won : (n, k) bool
        Were they won by the end of each window, and not reopened in it?
    closed_on : (n, k) int32
        Day on which they were closed, won or not, as seen at the end of each window; NO_DAY for
        those that were open.
    total : (k,) float64
        Known money booked in each window by all deals, also those that came later.
    unknown : (k,) int64
        Number of deals won in each window whose amount is not known.
    share : float
        Of the deals that were open, how many are among the n.
    """

    origin: int
    leads: IntArray
    amount: FloatArray
    spread: FloatArray
    booked: FloatArray
    won: BoolArray
    closed_on: DayArray
    total: FloatArray
    unknown: IntArray
    share: float = 1.0

    def complete(self, until: int) -> BoolArray:
        """Tell which windows have ended by the day `until`, (k,)."""
        return np.asarray(self.origin + self.leads <= until)


def origins(first: int, last: int, lead: int, most: int, *, shortest: int) -> IntArray:
    """Return up to `most` days, a quarter of `lead` apart, with windows that end by `last`.

    They lie on one grid of days, whatever `last` is, so that later calls find earlier ones done.
    The latest have seen the end of windows of `shortest` days only.
    """
    step = max(lead // 4, 1)
    earliest = first + max(2 * lead // 3, step)
    grid = np.arange(-(-earliest // step), (last - shortest) // step + 1) * step
    return grid[-most:]


def window(source: History | HistorySource, answers: Answers, leads: IntArray) -> Window:
    """Collect what came of the deals that were open at an origin, as the source knows it.

    It is read at the end of each window, as it was known then: a deal that was won within it
    counts, whatever was done with it later.
    """
    chunks = (source,) if isinstance(source, History) else source
    parts = [_part(chunk, answers.origin, leads) for chunk in chunks]
    booked, won, closed_on, total, unknown = zip(*parts, strict=True)
    return Window(
        answers.origin,
        leads,
        answers.amount,
        answers.spread,
        np.concatenate(booked)[answers.asked],
        np.concatenate(won)[answers.asked],
        np.concatenate(closed_on)[answers.asked],
        np.sum(total, axis=0),
        np.sum(unknown, axis=0),
        answers.share,
    )


def _part(
    history: History, origin: int, leads: IntArray
) -> tuple[FloatArray, BoolArray, DayArray, FloatArray, IntArray]:
    """Return the later fields of `Window` for one chunk."""
    pieces, outcome = history.pieces, history.funnel.outcomes
    first = asof.last_rows(history.at, history.bounds, origin)
    rows = np.flatnonzero((first >= 0) & (outcome[history.stage[first]] == Outcome.OPEN))
    booked, won, closed_on, total, unknown = [], [], [], [], []
    for end in (origin + leads).tolist():
        last = asof.last_rows(history.at, history.bounds, end)
        amount, day = history.columns["amount"][last], pieces.closed_on[pieces.of_row[last]]
        is_won = (last >= 0) & (outcome[history.stage[last]] == Outcome.WON) & (day > origin)
        booked.append(amount[rows])
        won.append(is_won[rows])
        closed_on.append(day[rows])
        total.append(float(np.nansum(amount[is_won])))
        unknown.append(int(np.count_nonzero(np.isnan(amount[is_won]))))
    columns = (np.stack(one, axis=1) for one in (booked, won, closed_on))
    return (*columns, np.array(total), np.array(unknown))  # type: ignore[return-value]
