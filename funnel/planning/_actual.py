"""What a funnel really did in a window: the numbers that a plan for the next one starts from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

import attrs
import numpy as np

from funnel.calendars import Horizon, to_date, to_day
from funnel.errors import InsufficientDataError, ValidationError
from funnel.kernels import survival
from funnel.kernels.arrays import frozen
from funnel.kernels.labels import texts
from funnel.metrics.conversion import conversion
from funnel.planning._givens import ladder
from funnel.results import ResultTable
from funnel.stages import Outcome
from funnel.typing import NO_DAY

if TYPE_CHECKING:
    import datetime as dt

    from funnel.stages import Funnel
    from funnel.tables import History, Pipeline
    from funnel.typing import BoolArray, DateLike, DayArray, FloatArray, IntArray

__all__ = ["ActualFunnel"]

CONVERTED, OTHER, CENSORED = range(3)


@attrs.frozen(eq=False)
class ActualFunnel(ResultTable):
    """What went through a funnel between two days, both included.

    Parameters
    ----------
    funnel : Funnel
        The ladder.
    stages : tuple of str
        Its stages without those on hold or retired, s.
    start, end : date
        First and last day.
    reached : (s,) int64
        Deals that came to the stage or past it for the first time.
    entries : (s,) int64
        Visits that began, see `funnel.metrics.conversion`: a deal that skips the stage makes none,
        one that comes back makes another.
    conversion : (s,) float64
        Of the deals that reached the stage, the share that reaches the next one, the last one to
        won. Open deals are censored (Aalen-Johansen, doi:10.1002/sim.2712).
    days : (s,) float64
        Days of a visit: stock / entries a day (Little's law); 0 where there was none.
    stock : (s,) float64
        Deals in the stage on an average day.
    wins : int
        Deals won, net of reopening.
    revenue, average_amount : float
        Money booked, and its mean over the wins whose amount is known.
    currency : str
        Of the money, ``""`` where none is given.
    """

    percents: ClassVar[frozenset[str]] = frozenset({"conversion"})

    funnel: Funnel
    stages: tuple[str, ...]
    start: dt.date
    end: dt.date
    reached: IntArray
    entries: IntArray
    conversion: FloatArray
    days: FloatArray
    stock: FloatArray
    wins: int
    revenue: float
    average_amount: float
    currency: str

    @classmethod
    def of(
        cls, history: History, /, *, start: DateLike | None = None, end: DateLike | None = None
    ) -> Self:
        """Measure a window of a history; by default all that was observed.

        Raises
        ------
        CurrencyMismatchError
            When won amounts are in several currencies.
        InsufficientDataError
            When nothing was won, or nobody came to a stage or went on from it.
        LeakError, ValidationError
            When a day lies outside of what was observed, or `end` is before `start`.
        """
        known = history if end is None else history.until(end)
        first = history.observed_from if start is None else to_day(start, name="start")
        last = known.observed_until
        if not history.observed_from <= first <= last:
            raise ValidationError.from_value(
                "start",
                f"must lie between {to_date(history.observed_from)} and {to_date(last)}",
                str(start),
                "",
            )
        stages = ladder(known.funnel, ())
        place = known.funnel.ladder[known.funnel.codes(list(stages))]
        reached = _reached(known, place)
        entered = (reached[:-1] >= first) & (reached[:-1] != NO_DAY)
        came = np.count_nonzero(entered, axis=1)
        window = Horizon.custom(np.array([first, last + 1]).astype("datetime64[D]"))
        codes = known.funnel.codes(list(stages))
        moved = conversion(known, period=window)
        entries = (moved.entries - moved.late)[0][codes]
        rates = np.array(
            [_conversion(known, reached[i], reached[i + 1], entered[i]) for i in range(len(stages))]
        )
        for name, count, rate in zip(stages, came.tolist(), rates.tolist(), strict=True):
            if not count or not rate > 0.0:
                raise InsufficientDataError(
                    f"deals that went on from stage {name!r} between {to_date(first)} and "
                    f"{to_date(last)}",
                    needed=1,
                    found=0,
                    remedy="Take a longer window, or leave the stage out of the funnel.",
                )
        held = _deal_days(known, codes, first, last)
        won = _won(known, first)
        money = won.amount[~np.isnan(won.amount)]
        return cls(
            funnel=known.funnel,
            stages=stages,
            start=np.datetime64(first, "D").item(),
            end=np.datetime64(last, "D").item(),
            reached=frozen(came),
            entries=frozen(entries),
            conversion=frozen(rates),
            days=frozen(np.divide(held, entries, out=np.zeros(len(held)), where=entries > 0)),
            stock=frozen(held / (last - first + 1)),
            wins=len(won),
            revenue=float(money.sum()),
            average_amount=float(money.mean()),
            currency=won.currency,
        )

    @property
    def visits(self) -> FloatArray:
        """Entries into each stage per deal that reached it, (s,)."""
        return np.asarray(self.entries / self.reached)

    @property
    def weekly(self) -> FloatArray:
        """Entries into each stage a week, (s,)."""
        return np.asarray(self.entries / (((self.end - self.start).days + 1) / 7))

    def to_columns(self) -> dict[str, Any]:
        """Return one row for each stage."""
        return {
            "stage": texts(self.stages),
            "reached": self.reached,
            "entries": self.entries,
            "weekly": self.weekly,
            "conversion": self.conversion,
            "days": self.days,
            "stock": self.stock,
        }

    @property
    def _title(self) -> str:
        """Return the heading."""
        return f"Actual funnel, {self.start} to {self.end}"

    @property
    def _notes(self) -> tuple[str, ...]:
        """Say what was won."""
        return (
            f"{self.wins:,} won, {self.revenue:,.0f} {self.currency} booked".replace("  ", " "),
        )


def _reached(history: History, place: IntArray) -> DayArray:
    """(s,) -> (s + 1, n): the day on which each deal first came to each stage or past it, and won.

    `NO_DAY` where it never did, or did so before it was first seen.
    """
    pieces = history.pieces
    at = history.funnel.ladder[pieces.stage]
    found = np.full((len(place) + 1, history.n_deals), NO_DAY, dtype=np.int32)
    for row, level in enumerate(place.tolist()):
        there = np.flatnonzero(at >= level)
        deals, index = np.unique(pieces.deal[there], return_index=True)
        first = there[index]
        found[row, deals] = np.where(pieces.age[first] == 0, pieces.start[first], NO_DAY)
    final = history.bounds[1:] - 1
    won = history.funnel.outcomes[history.stage[final]] == Outcome.WON
    found[-1] = np.where(won, pieces.closed_on[pieces.of_row[final]], NO_DAY)
    return found


def _conversion(history: History, here: DayArray, onward: DayArray, used: BoolArray) -> float:
    """(n,) x 3 -> (): Aalen-Johansen share of those that came here which goes on."""
    final = history.bounds[1:] - 1
    pieces = history.pieces
    closed = pieces.closed_on[pieces.of_row[final]]
    begin = here[used].astype(np.int64)
    moved, ended = onward[used] != NO_DAY, closed[used] != NO_DAY
    stop = np.where(ended, closed[used], history.observed_until)
    stop = np.where(moved, onward[used], stop) - begin
    cause = np.where(moved, CONVERTED, np.where(ended, OTHER, CENSORED))
    days = int(stop.max(initial=0)) + 1
    counts = np.bincount(cause * days + stop, minlength=3 * days).reshape(3, days)
    risk = len(begin) - np.concatenate(([0], np.cumsum(counts.sum(axis=0))[:-1]))
    return float(survival.aalen_johansen(counts[:2], risk)[0][CONVERTED, -1])


def _deal_days(history: History, codes: IntArray, first: int, last: int) -> FloatArray:
    """(s,) -> (s,): days that deals were in each stage at the end of, from `first` to `last`."""
    pieces = history.pieces
    stop = np.where(pieces.stop == NO_DAY, last + 1, pieces.stop)
    days = np.minimum(stop, last + 1) - np.maximum(pieces.start, first)
    states = len(history.funnel.ids)
    spent = np.bincount(pieces.stage, np.maximum(days, 0), minlength=states)
    return np.asarray(spent[codes], dtype=np.float64)


def _won(history: History, first: int) -> Pipeline:
    """Return the deals won since a day, which have brought money."""
    pipeline = history.snapshot()
    won = pipeline.select((pipeline.outcome == Outcome.WON) & (pipeline.closed_on >= first))
    if not np.nansum(won.amount) > 0.0:
        raise InsufficientDataError(
            f"won deals with an amount since {to_date(first)}",
            needed=1,
            found=0,
            remedy="Take a longer window, or call plan() with an average amount.",
        )
    return won
