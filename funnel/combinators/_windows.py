"""What models would have said on earlier days, and what then happened; computed once and kept."""

from __future__ import annotations

import functools
import hashlib
import warnings
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from funnel.calendars import Horizon
from funnel.combinators._kept import Kept
from funnel.errors import FunnelWarning, InsufficientDataError
from funnel.forecasting import DealForecaster, summarize_closing
from funnel.kernels.arrays import frozen
from funnel.stages import Outcome
from funnel.summary import summarize
from funnel.tables import History, outcomes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from funnel.forecasting import Arrivals
    from funnel.models import StageModel
    from funnel.summary import HistorySource
    from funnel.typing import BoolArray, FloatArray, IntArray

__all__ = ["Past", "Window", "chances_at", "new_at", "origins", "window"]

KEPT = 256 * 2**20  # bytes of past chances that are kept for later calls


@attrs.frozen(eq=False, slots=False)
class Past:
    """A source as it was known at the end of a day: chunks, cut there."""

    source: History | HistorySource
    day: int

    def __iter__(self) -> Iterator[History]:
        """Yield the chunks, cut at the day; a history in memory is cut once."""
        if isinstance(self.source, History):
            return iter(self._held)
        day = np.datetime64(self.day, "D")
        return (chunk.until(day) for chunk in self.source)

    @functools.cached_property
    def _held(self) -> tuple[History, ...]:
        """A history in memory, cut; chunks are cut as they are read."""
        day = np.datetime64(self.day, "D")
        return (self.source.until(day),) if isinstance(self.source, History) else ()

    @functools.cached_property
    def digest(self) -> bytes:
        """A fingerprint of all that a model may read, but for the ids."""
        found = hashlib.blake2b(digest_size=16)
        for chunk in self:
            found.update(chunk.schema.fingerprint().encode())
            found.update(f"{chunk.observed_from} {chunk.observed_until} {len(chunk)}".encode())
            columns = [chunk.columns[name] for name in sorted(chunk.columns)]
            days = (chunk.created, chunk.first_entered, chunk.deal, chunk.at, chunk.stage)
            for column in (*days, *columns):
                found.update(np.ascontiguousarray(column).data)
        return found.digest()


@attrs.frozen(eq=False)
class Window:
    """The days after an origin: what was open then, and what came of it.

    Parameters
    ----------
    origin : int
        The forecast would have been made at the end of this day.
    leads : (k,) int64
        Days ahead; the window of a lead ends on ``origin + lead``.
    amount : (n,) float64
        Of the deals that were open, at closing, as expected then; NaN unknown.
    booked : (n,) float64
        Their amounts as booked, for those that were won.
    won : (n, k) bool
        Were they won by the end of each window?
    total : (k,) float64
        Known money booked in each window by all deals, also those that came later.
    unknown : (k,) int64
        Number of deals won in each window whose amount is not known.
    """

    origin: int
    leads: IntArray
    amount: FloatArray
    booked: FloatArray
    won: BoolArray
    total: FloatArray
    unknown: IntArray

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


def window(past: Past, leads: IntArray) -> Window:
    """Collect what was open at the end of the past, and what came of it as its source knows."""
    amount = _MEMO.get(("amount", past.digest), functools.partial(_amounts, past))
    parts = [_part(chunk, past.day, leads) for chunk in _chunks(past.source)]
    booked, won, total, unknown = zip(*parts, strict=True)
    return Window(
        past.day,
        leads,
        np.empty(0) if amount is None else amount,
        np.concatenate(booked),
        np.concatenate(won),
        np.sum(total, axis=0),
        np.sum(unknown, axis=0),
    )


def _chunks(source: History | HistorySource) -> Sequence[History] | HistorySource:
    """Return a source as chunks."""
    return (source,) if isinstance(source, History) else source


def _part(
    history: History, origin: int, leads: IntArray
) -> tuple[FloatArray, BoolArray, FloatArray, IntArray]:
    """Return the later fields of `Window` for one chunk."""
    pipeline = history.snapshot(np.datetime64(origin, "D"))
    known = np.flatnonzero(history.at[history.bounds[:-1]] <= origin)  # the rows of the snapshot
    is_open = pipeline.outcome == Outcome.OPEN
    found = outcomes(history)
    later = (found.outcome == Outcome.WON) & (found.closed_on > origin)
    by_then = later[:, None] & (found.closed_on[:, None] <= origin + leads)
    total = np.nan_to_num(found.amount) @ by_then
    unknown = np.isnan(found.amount).astype(np.int64) @ by_then
    rows = known[is_open]
    return found.amount[rows], by_then[rows], total, unknown


def chances_at(past: Past, model: StageModel[Any], leads: IntArray) -> FloatArray | None:
    """Return what `model` would have said then of the deals that were open: (n, k).

    None where it found too little history. The answer is kept: a later call with the same past,
    model and leads does not fit again.
    """
    key = ("open", past.digest, model, tuple(leads.tolist()))
    return _MEMO.get(key, functools.partial(_open, past, model, leads))


def new_at(
    past: Past, model: StageModel[Any], arrivals: Arrivals, leads: IntArray
) -> FloatArray | None:
    """Return mean and variance of the money of new deals, as expected then: (2, k).

    None where there was too little history; kept as `chances_at` is.
    """
    key = ("new", past.digest, model, arrivals, tuple(leads.tolist()))
    return _MEMO.get(key, functools.partial(_new, past, model, arrivals, leads))


def _amounts(past: Past) -> FloatArray:
    """Return the amounts at closing that were expected of the deals open at the end of the past."""
    closing = summarize(past, summarize_closing).estimate()
    pipelines = [chunk.snapshot() for chunk in past]
    return frozen(
        np.concatenate(
            [closing.at_closing(one.select(one.outcome == Outcome.OPEN))[0] for one in pipelines]
        )
    )


def _quietly(ask: Callable[[], FloatArray]) -> FloatArray | None:
    """Return the answer, or None where history was too short; warnings are for the present."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FunnelWarning)
        try:
            return frozen(ask())
        except InsufficientDataError:
            return None


def _open(past: Past, model: StageModel[Any], leads: IntArray) -> FloatArray | None:
    """Fit `model` on the past and ask it for the deals open at its end."""

    def ask() -> FloatArray:
        """Ask for each chunk."""
        fitted = model.fit(past)
        dates = np.datetime64(past.day, "D") + leads.astype("timedelta64[D]")
        pipelines = [chunk.snapshot() for chunk in past]
        return np.concatenate(
            [fitted.win_curve(one.select(one.outcome == Outcome.OPEN), dates) for one in pipelines]
        )

    return _quietly(ask)


def _new(
    past: Past, model: StageModel[Any], arrivals: Arrivals, leads: IntArray
) -> FloatArray | None:
    """Forecast the new deals of each lead."""

    def ask() -> FloatArray:
        """Ask for each lead, the window being one period."""
        fitted = DealForecaster(model, arrivals=arrivals, spread="independent").fit(past)
        nobody = next(iter(past)).snapshot().select(np.empty(0, dtype=np.int64))
        found = []
        for lead in leads.tolist():
            edges = np.array([past.day + 1, past.day + 1 + lead], dtype=np.int32)
            new = fitted.forecast(nobody, Horizon.custom(edges)).parts["new"]
            found.append((new.expected[0], new.sd[0] ** 2))
        return np.array(found).T

    return _quietly(ask)


def _bytes(answer: FloatArray | None) -> int:
    """Return what an answer takes."""
    return 0 if answer is None else answer.nbytes


_MEMO: Kept[FloatArray | None] = Kept(KEPT, _bytes)
