"""A history as it would be had its recording begun later: what rolling windows are fitted on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import numpy as np

from funnel.kernels import asof, trace
from funnel.kernels.arrays import frozen
from funnel.stages import Outcome
from funnel.tables._subset import subset
from funnel.tables.findings import Findings
from funnel.typing import NO_DAY

if TYPE_CHECKING:
    from funnel.tables import History
    from funnel.typing import BoolArray, IntArray

__all__ = ["recent"]


def recent(history: History, day: int, /) -> History:
    """Return the history as if recording had begun with the state at the end of `day`.

    Deals that were open then have a first row on `day` and enter late, with the days that they
    have been in their stage where these are known. Deals that were closed then are left out until
    they have another outcome. What came before is not known: visits, pushes and reopenings are
    counted anew.
    """
    if day <= history.observed_from:
        return history
    last = asof.last_rows(history.at, history.bounds, day)
    outcome = history.funnel.outcomes
    before = np.where(last >= 0, outcome[history.stage[last]], Outcome.OPEN)
    carried = last[(last >= 0) & (before == Outcome.OPEN)]
    keep = _since(history, day, before)
    keep[carried] = True
    at = history.at.copy()
    at[carried] = day
    rows = np.flatnonzero(keep)
    rows = rows[trace.first_rows(history.deal[rows])]
    deals = np.zeros(history.n_deals, dtype=np.bool_)
    deals[history.deal[rows]] = True
    piece = history.pieces.of_row[rows]
    age = history.pieces.age[piece]
    entered = history.first_entered.copy()
    # Days on hold do not count, so the day of entry is the one from which the age follows.
    entered[deals] = np.where(age < 0, NO_DAY, history.pieces.start[piece] - age)
    begun = attrs.evolve(
        history,
        at=frozen(at),
        first_entered=frozen(entered),
        observed_from=day,
        findings=Findings.empty(),
    )
    columns = {name: values[keep] for name, values in history.columns.items()}
    return subset(begun, deals, keep, columns)


def _since(history: History, day: int, before: IntArray) -> BoolArray:
    """(r,): rows after `day`; of deals that were closed `before`, from another outcome on."""
    later = history.at > day
    other = later & (history.funnel.outcomes[history.stage] != before[history.deal])
    total = np.concatenate(([0], np.cumsum(other)))
    changed = total[1:] > total[history.bounds[:-1]][history.deal]
    was_open = (before == Outcome.OPEN)[history.deal]
    return np.asarray(later & (was_open | changed))
