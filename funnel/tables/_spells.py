"""Stays of deals in states: what conversion and duration are measured on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from funnel._display import html_table
from funnel._frames import FrameBackend, to_frame
from funnel.calendars import to_dates
from funnel.kernels.labels import texts
from funnel.stages import Outcome
from funnel.tables import _build

if TYPE_CHECKING:
    from funnel.stages import Funnel
    from funnel.tables.history import History
    from funnel.typing import BoolArray, DayArray, IntArray, StringArray

__all__ = ["FLOWS", "Spells", "spells"]

FLOWS = ("advanced", "won", "lost", "moved back", "on hold", "removed", "still there")
"""What can become of a stay; the counts always add up to the stays that began."""


@attrs.frozen(eq=False, repr=False)
class Spells:
    """One row for each stay of a deal in a state.

    A stay that is interrupted by days on hold is several rows: the first ends in the on-hold
    state, and each continuation is marked `resumed` and begins at the age already reached.

    Parameters
    ----------
    funnel : Funnel
        The ladder.
    ids : (n,) str
        Deals; `deal` points into it.
    deal, stage : (p,) int
        Deal index and state code.
    visit : (p,) int32
        1 for the first visit of the deal to the state, 2 for the second ...
    start, stop : (p,) int32
        First day, and the day on which the deal left; `NO_DAY` while it is still there (censored
        at the end of `observed_until`).
    age : (p,) int32
        Days of the visit before `start`: 0 for a fresh entry, more for a resumed or late-entered
        one, -1 where the day of entry is unknown.
    target : (p,) int32
        The state it went to, -1 while it is still there.
    resumed : (p,) bool
        Does the row continue an earlier one?
    observed_until : int
        The censoring day.
    """

    funnel: Funnel
    ids: StringArray
    deal: IntArray
    stage: IntArray
    visit: IntArray
    start: DayArray
    stop: DayArray
    age: IntArray
    target: IntArray
    resumed: BoolArray
    observed_until: int

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.deal)

    def days(self) -> IntArray:
        """Days from `start` to `stop`, or to the censoring day while the deal is there, (p,)."""
        end = np.where(self.target < 0, self.observed_until, self.stop)
        return (end - self.start.astype(np.int64)).astype(np.int32)

    def flows(self) -> IntArray:
        """Say what became of each row: positions in `FLOWS`, (p,).

        A stay that ends on hold counts as on hold; coming back from hold counts as an advance
        where it leads up the ladder or to the stage that was left, and as a move back otherwise.
        """
        ladder = self.funnel.ladder
        place = ladder[self.stage].astype(np.int32)
        held = np.flatnonzero(self.funnel.on_hold[self.stage])
        if len(held):
            place[held] = self._place_before_hold(held)
        goal = np.where(self.target < 0, self.stage, self.target)
        flow = np.where(ladder[goal] >= place, 0, 3)
        flow = np.where(self.funnel.on_hold[goal], 4, flow)
        outcome = self.funnel.outcomes[goal]
        for code, position in ((Outcome.WON, 1), (Outcome.LOST, 2), (Outcome.REMOVED, 5)):
            flow = np.where(outcome == code, position, flow)
        return np.where(self.target < 0, 6, flow).astype(np.int8)

    def _place_before_hold(self, held: IntArray) -> IntArray:
        """(h,) -> (h,): the ladder position from which held deals came; -1 where unknown."""
        working = np.where(~self.funnel.on_hold[self.stage], np.arange(len(self)), -1)
        source = np.maximum.accumulate(working)[held]
        inside = (source >= 0) & (self.deal[source] == self.deal[held])
        return np.where(inside, self.funnel.ladder[self.stage[source]], -1)

    def flow_table(self) -> IntArray:
        """Count what became of the stays in each state, (n_states, len(FLOWS)).

        Notes
        -----
        Entries of a state = the sum of its row, always.
        """
        width = len(FLOWS)
        key = self.stage.astype(np.int64) * width + self.flows()
        return np.bincount(key, minlength=len(self.funnel.ids) * width).reshape(-1, width)

    def to_columns(self) -> dict[str, np.ndarray[Any, Any]]:
        """Return one value per row by column: ids, dates and names instead of codes."""
        states = texts([*self.funnel.ids, ""])
        return {
            "id": self.ids[self.deal],
            "stage": states[self.stage],
            "visit": self.visit,
            "start": to_dates(self.start),
            "stop": to_dates(self.stop),
            "age": self.age,
            "days": self.days(),
            "target": states[self.target],
            "flow": texts(FLOWS)[self.flows()],
        }

    def to_frame(self, *, backend: FrameBackend = "pandas") -> Any:  # noqa: ANN401 - a native frame
        """Return the rows as a dataframe of `backend`."""
        return to_frame(self.to_columns(), backend)

    def __repr__(self) -> str:
        """Return one line."""
        still = int(np.count_nonzero(self.target < 0))
        return f"Spells({len(self):,} stays of {len(self.ids):,} deals, {still:,} still there)"

    def _repr_html_(self) -> str:
        """Return the first rows for a notebook."""
        return html_table(*_build.preview(self.to_columns()), title=repr(self))


def spells(history: History, /) -> Spells:
    """Cut a history into stays, closed states included (a reopened deal leaves one).

    Parameters
    ----------
    history : History
        Use ``history.until(day)`` for what was known on an earlier day.

    Returns
    -------
    Spells
        Deals first seen in mid-stage enter late: their `age` is the days before the first row, or
        -1 where the day of entry is unknown.

    Examples
    --------
    >>> import funnel as fn
    >>> history = fn.History.from_columns(
    ...     funnel=fn.Funnel(["Qualify", "Propose"]), id=["A", "A", "B"],
    ...     stage=["Qualify", "Propose", "Qualify"], at=["2026-01-05", "2026-01-20", "2026-01-10"],
    ... )
    >>> stays = fn.spells(history)
    >>> stays
    Spells(3 stays of 2 deals, 2 still there)
    >>> stays.days().tolist(), stays.flow_table()[0].tolist()
    ([15, 0, 10], [1, 0, 0, 0, 0, 0, 1])
    """
    pieces = history.pieces
    return Spells(
        funnel=history.funnel,
        ids=history.ids,
        deal=pieces.deal,
        stage=pieces.stage,
        visit=pieces.visit,
        start=pieces.start,
        stop=pieces.stop,
        age=pieces.age,
        target=pieces.target,
        resumed=pieces.resumed,
        observed_until=history.observed_until,
    )
