"""From the open pipeline of one day to that of another: every reason for the difference."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import attrs
import numpy as np

from funnel.calendars import to_date
from funnel.errors import CurrencyMismatchError, SchemaMismatchError, ValidationError
from funnel.kernels.arrays import frozen
from funnel.metrics._groups import STANDARD, Scope
from funnel.metrics._waterfall_moves import (
    BAR,
    BARS,
    Moves,
    find_moves,
)
from funnel.metrics._waterfall_tables import Waterfall, WaterfallDeals
from funnel.metrics._where import (
    EVERYWHERE,
    currencies,
    dated,
    require_history,
    scope_mask,
    scope_notes,
)
from funnel.summary import summarize
from funnel.tables._past import observed_day

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from concurrent.futures import Executor

    from funnel.calendars import Horizon
    from funnel.summary import HistorySource
    from funnel.tables import History
    from funnel.tables.currency import Rates
    from funnel.typing import DateLike

__all__ = ["BARS", "Waterfall", "WaterfallDeals", "WaterfallSummary", "waterfall"]


@attrs.frozen(eq=False)
class WaterfallSummary:
    """The moves of some deals between two days; merges with those of other deals."""

    scope: Scope
    start: int
    end: int
    currencies: tuple[str, ...]
    moves: Moves
    late: int

    def merge(self, other: WaterfallSummary, /) -> WaterfallSummary:
        """Add the moves of other deals.

        Raises
        ------
        SchemaMismatchError
            When the summaries are of different schemas, days, columns or periods.
        """
        self.scope.require_same(other.scope)
        if (self.start, self.end) != (other.start, other.end):
            msg = "summaries must be of the same two days. Summarize all chunks alike."
            raise SchemaMismatchError(msg)
        return attrs.evolve(
            self,
            currencies=tuple(sorted({*self.currencies, *other.currencies})),
            moves=self.moves.merge(other.moves),
            late=self.late + other.late,
        )

    def table(self) -> Waterfall:
        """Return the waterfall.

        Raises
        ------
        CurrencyMismatchError
            When amounts are of several currencies.
        """
        if len(self.currencies) > 1:
            raise CurrencyMismatchError(self.currencies)
        cells = self.scope.shown(np.unique(self.moves.cell // self.scope.n_periods))
        moves, count, cents, unknown = self.moves.totals(cells)
        notes = []
        if self.late:
            notes.append(
                f"{self.late:,} deals under 'created' are older than the first day, "
                "and were recorded after it"
            )
        if unknown[:, [0, -1]].any():
            notes.append("deals whose amount is unknown count as deals, and as no money")
        return Waterfall(
            scope=self.scope,
            start=self.start,
            end=self.end,
            currency=self.currencies[0] if self.currencies else "",
            cells=frozen(cells),
            moves=frozen(moves),
            count=frozen(count),
            cents=frozen(cents),
            unknown=frozen(unknown),
            detail=self.moves,
            notes=tuple(notes),
        )


def _summarize(
    history: History,
    *,
    start: DateLike,
    end: DateLike,
    by: Sequence[str],
    where: Mapping[str, Sequence[str]],
    promised: Horizon | None,
    money: tuple[Rates, str] | None,
) -> WaterfallSummary:
    """List the moves of one chunk."""
    first, last = _window(history, start, end)
    scope = Scope.of(history, by, promised, STANDARD)
    for name in by:
        dated(history, name, "by")
    if promised is not None:
        require_history(history, "expected_close", "promised")
    mask = scope_mask(history, where)
    moves = find_moves(history, first, last, scope=scope, mask=mask, money=money)
    fresh = np.unique(moves.deal[moves.bar == BAR["created"]])
    return WaterfallSummary(
        scope=scope,
        start=first,
        end=last,
        currencies=currencies(history, last) if money is None else (money[1],),
        moves=moves,
        late=int(np.count_nonzero(history.created[fresh] <= first)),
    )


def _window(history: History, start: DateLike, end: DateLike) -> tuple[int, int]:
    """Return the two days after checking that both were observed, the first one before."""
    first, last = observed_day(history, start), observed_day(history, end)
    if first >= last:
        rule = f"must be after start ({to_date(first)})"
        raise ValidationError.from_value("end", rule, str(to_date(last)), "")
    return first, last


def waterfall(
    source: History | HistorySource,
    start: DateLike,
    end: DateLike,
    /,
    *,
    by: Sequence[str] = (),
    where: Mapping[str, Sequence[str]] = EVERYWHERE,
    promised: Horizon | None = None,
    rates: Rates | None = None,
    to: str = "",
    executor: Executor | None = None,
) -> Waterfall:
    """Explain the difference between the open pipelines of two days, exactly.

    Parameters
    ----------
    source : History or HistorySource
        A history, or chunks of whole deals.
    start, end : date
        Two observed days; the pipelines are those at their ends.
    by : sequence of str
        Category columns: a waterfall for each group. Deals that go from one to another are
        re-owned out of the one and in to the other.
    where : mapping of str to sequence of str
        The scope, values by column: ``{"region": ("north",)}``. Deals that come to have or lose
        such a value are re-owned in or out.
    promised : Horizon, optional
        Only deals promised (expected to close) in these periods: a waterfall for each. Deals
        whose promise moves are pulled to an earlier day, or pushed to a later one; no promise
        counts as the latest day of all.
    rates : mapping, optional
        Units of `to` for one unit of each other currency, by day, see `History.convert`. Every
        state is worth what its day says, and what the rates alone change is the bar
        ``"currency effect"``.
    to : str
        The currency of the result, needed with `rates`.
    executor : concurrent.futures.Executor, optional
        Where chunks are summarized.

    Returns
    -------
    Waterfall

    Raises
    ------
    UnknownColumnError
        When a column is not in the table.
    ValidationError
        When a column is not made of categories, or only its last value is known; a value of
        `where` does not occur; `start` is not before `end` or before `observed_from`.
    LeakError
        When `end` is after `observed_until`.
    CurrencyMismatchError
        When amounts are of several currencies and there are no `rates`.

    Notes
    -----
    The pipeline are the open deals that are not on hold. Each deal is followed from day to day, so
    that waterfalls of neighbouring windows add up to that of both; several changes on one day
    count as one, from the end of the day before to the end of the day::

        start + created + reopened + off hold + re-owned in + pulled in + pushed in
              + amount known + amount up + currency effect + amount down + amount unknown
              + pulled out + pushed out + re-owned out + on hold + won + lost + removed = end

    (bars that take away are negative), in deals, in whole cents (each amount is rounded to one
    before anything is added up) and in deals of unknown amount, for every group and period.

    A deal that moves to another group or period takes its old amount with it, and changes it
    there. A deal is won with its new amount (what was booked), and lost, removed or put on hold
    with its old one. A deal that is created, reopened or taken off hold and closed on one day
    passes through the pipeline: ``won`` holds every win. An amount that becomes known or unknown
    is neither up nor down but a bar of its own. In a history that was converted row by row, the
    currency effect is what the rate changed between two rows of a deal.

    Examples
    --------
    >>> import funnel as fn
    >>> history = fn.History.from_columns(
    ...     funnel=fn.Funnel(["Qualify", "Propose"]),
    ...     id=["A", "A", "B", "B", "C"],
    ...     stage=["Qualify", "Won", "Qualify", "Propose", "Qualify"],
    ...     at=["2026-01-05", "2026-02-10", "2026-01-07", "2026-02-12", "2026-02-20"],
    ...     amount=[100.0, 110.0, 80.0, 60.0, 30.0],
    ... )
    >>> found = waterfall(history, "2026-01-31", "2026-02-20")
    >>> print(found)
    Open pipeline from 2026-01-31 to 2026-02-20
    bar          moves  deals  amount  unknown
    -----------  -----  -----  ------  -------
    start            2      2     180        0
    created          1      1      30        0
    amount up        1      0      10        0
    amount down      1      0     -20        0
    won              1     -1    -110        0
    end              2      2      90        0
    >>> found.deals("won").ids.tolist()
    ['A']
    """
    if (rates is None) != (not to):
        rule = "must be given together with rates, and only then"
        raise ValidationError.from_value("to", rule, to, "to='EUR' names the common currency.")
    count = functools.partial(
        _summarize,
        start=start,
        end=end,
        by=by,
        where=where,
        promised=promised,
        money=None if rates is None else (rates, to),
    )
    found = summarize(source, count, executor=executor).table()
    return attrs.evolve(found, notes=(*scope_notes(where), *found.notes))
