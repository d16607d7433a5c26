"""What really happened in a window, added up over the chunks of a history."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import attrs
import numpy as np

from funnel.calendars import to_dates
from funnel.errors import CurrencyMismatchError
from funnel.forecasting._chances import joined
from funnel.stages import Outcome
from funnel.summary import summarize

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from funnel.backtesting._windows import Task
    from funnel.summary import HistorySource
    from funnel.tables import History
    from funnel.typing import BoolArray, FloatArray, IntArray, StringArray

__all__ = ["Truth", "truth"]


@attrs.frozen(eq=False)
class Truth:
    """What happened in a window, as it was known when it ended.

    Parameters
    ----------
    keys : tuple of tuple of str
        Groups. A deal belongs to the one it was in at the cutoff; one that did not exist then, to
        the one it was in when the window ended.
    total, open : (g,) float64
        Money booked in the window by all deals, and by those that were open at the cutoff.
    wins : (g,) int64
        Number of deals booked.
    won : (n,) bool
        Which of the deals that were open at the cutoff, sorted by id, were won in the window.
    unknown : int
        Won deals whose amount was never recorded; each counts as the mean of the known ones.
    """

    keys: tuple[tuple[str, ...], ...]
    total: FloatArray
    open: FloatArray
    wins: IntArray
    won: BoolArray
    unknown: int


@attrs.frozen(eq=False)
class _Sums:
    """What happened to some deals.

    Parameters
    ----------
    keys : tuple of tuple of str
        Groups, sorted.
    money : (3, 2, g) float64
        Deals won, known money of them, and number of those without; all, and those open before.
    typical : (2,) float64
        Number and sum of the known amounts of all deals ever won.
    currencies : frozenset of str
        Of the known amounts.
    ids : (n,) str
        Deals that were open before.
    won : (n,) bool
        Were they won in the window?
    """

    keys: tuple[tuple[str, ...], ...]
    money: FloatArray
    typical: FloatArray
    currencies: frozenset[str]
    ids: StringArray
    won: BoolArray

    def merge(self, other: _Sums, /) -> _Sums:
        """Add what happened to other deals."""
        places = (np.arange(len(one.keys)) for one in (self, other))
        one, two = zip((self.keys, other.keys), places, strict=True)
        keys, mine, theirs = joined(one, two)
        money = np.zeros((*self.money.shape[:2], len(keys)))
        money[:, :, mine] += self.money
        money[:, :, theirs] += other.money
        return _Sums(
            keys,
            money,
            self.typical + other.typical,
            self.currencies | other.currencies,
            np.concatenate((self.ids, other.ids)),
            np.concatenate((self.won, other.won)),
        )

    def truth(self) -> Truth:
        """Return all of it."""
        if len(self.currencies) > 1:
            raise CurrencyMismatchError(sorted(self.currencies))
        count, known = self.typical.tolist()
        wins, money, nameless = self.money
        both = money + nameless * (known / count if count else 0.0)
        return Truth(
            keys=self.keys,
            total=both[0],
            open=both[1],
            wins=wins[0].astype(np.int64),
            won=self.won[np.argsort(self.ids, kind="stable")],
            unknown=int(nameless[0].sum()),
        )


def truth(
    source: History | HistorySource,
    task: Task,
    by: tuple[str, ...],
    *,
    executor: Executor | None = None,
) -> Truth:
    """Return what happened in a window.

    Raises
    ------
    CurrencyMismatchError
        When won amounts are of several currencies.
    """
    of_chunk = functools.partial(_sums, task=task, by=by)
    return summarize(source, of_chunk, executor=executor).truth()


def _sums(history: History, *, task: Task, by: tuple[str, ...]) -> _Sums:
    """Return what happened to the deals of a chunk."""
    days = to_dates(np.array([task.cutoff, task.last], dtype=np.int32))
    pipeline, end = history.snapshots(days)
    (ended,) = history.snapshots(days[1:], outcome=Outcome.WON)
    currency = ended.currency  # raises unless there is one
    is_won = end.outcome == Outcome.WON
    won = is_won & (task.horizon.period_of(end.closed_on) == 0)
    known = ~np.isnan(end.amount)
    typical = end.amount[is_won & known]
    before = np.flatnonzero(end.first_seen <= task.cutoff)  # the rows of the earlier snapshot
    is_open = pipeline.outcome == Outcome.OPEN
    keys, group, earlier = joined(end.groups(by), pipeline.groups(by))
    group = group.astype(np.int64)
    group[before] = earlier
    used, group = np.unique(group, return_inverse=True)
    were_open = np.zeros(len(end), dtype=np.bool_)
    were_open[before[is_open]] = True
    amount = np.where(known, end.amount, 0.0)
    money = [
        [
            np.bincount(group, what * rows, minlength=len(used))
            for rows in (np.ones(len(end)), were_open)
        ]
        for what in (won, won * amount, won & ~known)
    ]
    return _Sums(
        tuple(keys[place] for place in used.tolist()),
        np.array(money).reshape(3, 2, len(used)),
        np.array([len(typical), typical.sum()]),
        frozenset({currency} - {""}),
        pipeline.ids[is_open],
        won[were_open],
    )
