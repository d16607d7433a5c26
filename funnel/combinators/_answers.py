"""What models would have said on earlier days; computed once and kept."""

from __future__ import annotations

import functools
import itertools
import warnings
from typing import TYPE_CHECKING, Any, TypeVar

import attrs
import numpy as np

from funnel.calendars import Horizon, to_dates
from funnel.combinators._kept import Kept
from funnel.errors import FunnelWarning, InsufficientDataError
from funnel.forecasting import DealForecaster
from funnel.forecasting.amounts import closing_until
from funnel.kernels import keys
from funnel.kernels.arrays import frozen
from funnel.models.base import fits_together
from funnel.snapshots import stacked
from funnel.stages import Outcome
from funnel.summary import summarize_until
from funnel.tables import History
from funnel.tables._past import fingerprints

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence

    from funnel.forecasting import Arrivals, FittedDealForecaster
    from funnel.forecasting.amounts import ClosingAmounts
    from funnel.models import StageModel
    from funnel.summary import HistorySource
    from funnel.tables import Pipeline
    from funnel.typing import FloatArray, IntArray

__all__ = ["Answers", "looked_back"]

KEPT = 256 * 2**20  # bytes of answers that are kept for later calls
MOST = 4096  # open deals that are asked about: more tell no more of a model or of a level

T = TypeVar("T")


@attrs.frozen(eq=False)
class Answers:
    """What would have been said at the end of an origin.

    Parameters
    ----------
    origin : int
    asked : (n,) int64
        Places of the deals that were asked about, among the open ones.
    share : float
        Of the open deals, how many were asked about.
    chances : c of (n, k) float64 or None
        Of each model, for each deal, to be won by each lead; None where it found too little.
    amount, spread : (n,) float64
        Mean and standard deviation of the amounts at closing that were expected of the deals; NaN
        and 0 for unknown ones while nothing was won.
    new : (2, k) float64 or None
        Mean and variance of the money of new deals; None as above, and where none are expected.
    """

    origin: int
    asked: IntArray
    share: float
    chances: tuple[FloatArray | None, ...]
    amount: FloatArray
    spread: FloatArray
    new: FloatArray | None

    @property
    def nbytes(self) -> int:
        """What they take."""
        chances = sum(one.nbytes for one in self.chances if one is not None)
        return self.amount.nbytes + self.spread.nbytes + chances


def looked_back(
    source: History | HistorySource,
    days: IntArray,
    models: Sequence[StageModel[Any]],
    arrivals: Arrivals | None,
    leads: IntArray,
) -> list[Answers]:
    """Return what models would have said at the end of past days, ascending.

    New deals are those of the first model. Answers are kept: later calls with the same past, models
    and leads look back on new days only; what these need is counted once for all of them.
    """
    asked = (tuple(models), arrivals, tuple(leads.tolist()))
    pasts = [(digest, asked) for digest in _digests(source, days)]
    lacking = [place for place, key in enumerate(pasts) if key not in _MEMO]
    made = dict(zip(lacking, _answers(source, days[lacking], models, arrivals, leads), strict=True))
    return [
        _MEMO.get(key, functools.partial(made.__getitem__, place))
        for place, key in enumerate(pasts)
    ]


def _digests(source: History | HistorySource, days: IntArray) -> list[Hashable]:
    """Return fingerprints of all that was known at the end of past days, whatever the chunks."""
    total, schema = np.zeros(len(days), dtype=np.uint64), ""
    for chunk in (source,) if isinstance(source, History) else source:
        total += fingerprints(chunk)[days - chunk.observed_from]
        schema = f"{chunk.schema.fingerprint()} from {chunk.observed_from}"
    return [(schema, *one) for one in zip(days.tolist(), total.tolist(), strict=True)]


@attrs.frozen(eq=False)
class _Deals:
    """Open deals: at most `MOST` of them, their places among all, and the number of all."""

    table: Pipeline
    place: IntArray
    mark: IntArray
    count: int

    @classmethod
    def of(cls, table: Pipeline, place: IntArray, mark: IntArray, count: int) -> _Deals:
        """Keep those that are first by mark, in the order of their places."""
        some = np.sort(np.argsort(mark, kind="stable")[:MOST])
        return cls(table.select(some), place[some], mark[some], count)

    def merge(self, other: _Deals, /) -> _Deals:
        """Add the deals of the next chunk."""
        return self.of(
            stacked(self.table, other.table),
            np.concatenate((self.place, other.place + self.count)),
            np.concatenate((self.mark, other.mark)),
            self.count + other.count,
        )


def _open_until(history: History, days: Sequence[int]) -> Iterator[_Deals]:
    """Yield the deals that were open at the end of each day."""
    for table in history.snapshots(to_dates(np.array(days, np.int32)), outcome=Outcome.OPEN):
        mark = keys.of_names(table.ids.tolist())
        yield _Deals.of(table, np.arange(len(table)), mark, len(table))


def _answers(
    source: History | HistorySource,
    days: IntArray,
    models: Sequence[StageModel[Any]],
    arrivals: Arrivals | None,
    leads: IntArray,
) -> Iterator[Answers]:
    """Fit models on what was known at the end of past days, and ask them."""
    origins = days.tolist()
    arriving: Iterable[Any] = itertools.repeat(None, len(origins))
    if arrivals is not None:
        arriving = summarize_until(source, arrivals.summaries, origins)
    dealing = DealForecaster(models[0], arrivals=arrivals, spread="independent")
    counted = zip(
        origins,
        summarize_until(source, _open_until, origins),
        fits_together(models, source, origins),
        summarize_until(source, closing_until, origins),
        arriving,
        strict=True,
    )
    for day, deals, fits, closing, coming in counted:
        dates = np.datetime64(day, "D") + leads.astype("timedelta64[D]")
        fitted = [_quietly(fit) for fit in fits]
        chances = (
            None if one is None else _quietly(functools.partial(one.win_curve, deals.table, dates))
            for one in fitted
        )
        new = None
        if arrivals is not None and fitted[0] is not None:
            known = fitted[0], closing, coming
            aware = models[0].calendar_aware
            whole = functools.partial(dealing.assembled, *known, calendar_aware=aware)
            new = _quietly(functools.partial(_new, whole, deals.table, leads))
        amount, spread = _worth(closing.estimate(), deals.table)
        yield Answers(
            origin=day,
            asked=deals.place,
            share=len(deals.table) / max(deals.count, 1),
            chances=tuple(None if one is None else frozen(one) for one in chances),
            amount=amount,
            spread=spread,
            new=new,
        )


def _worth(amounts: ClosingAmounts, deals: Pipeline) -> tuple[FloatArray, FloatArray]:
    """(n,), (n,): mean and standard deviation of amounts at closing, as a forecast takes them."""
    mean, sd = amounts.at_closing(deals)
    unknown = amounts.unknown
    if len(unknown.atoms):
        nameless = np.isnan(mean)
        mean = np.where(nameless, unknown.mean, mean)
        sd = np.where(nameless, np.sqrt(max(unknown.square - unknown.mean**2, 0.0)), sd)
    return frozen(mean), frozen(sd)


def _quietly(ask: Callable[[], T]) -> T | None:
    """Return the answer, or None where history was too short; warnings are for the present."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FunnelWarning)
        try:
            return ask()
        except InsufficientDataError:
            return None


def _new(fit: Callable[[], FittedDealForecaster], deals: Pipeline, leads: IntArray) -> FloatArray:
    """(k,) -> (2, k): forecast the new deals of each lead, the window being one period."""
    fitted, nobody = fit(), deals.select(np.empty(0, dtype=np.int64))
    found = []
    for lead in leads.tolist():
        edges = np.array([deals.as_of + 1, deals.as_of + 1 + lead], dtype=np.int32)
        new = fitted.forecast(nobody, Horizon.custom(edges)).parts["new"]
        found.append((new.expected[0], new.sd[0] ** 2))
    return np.array(found).T


def _bytes(answers: Answers) -> int:
    """Return what answers take."""
    return answers.nbytes


_MEMO: Kept[Answers] = Kept(KEPT, _bytes)
