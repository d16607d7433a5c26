"""The one question that a stage model answers, and the class that a plugin author writes."""

from __future__ import annotations

import abc
import functools
import operator
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar, runtime_checkable

import numpy as np

from funnel.errors import InsufficientDataError
from funnel.summary import MappedSource, Summary, summarize, summarize_until

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
    from concurrent.futures import Executor

    from funnel.models._flow import StageFlow
    from funnel.stages import Funnel
    from funnel.summary import HistorySource
    from funnel.tables import History, Pipeline
    from funnel.typing import DateArray, FloatArray, IntArray

__all__ = [
    "FittedModel",
    "HasCells",
    "HasDraw",
    "HasFlow",
    "HasLevers",
    "StageModel",
    "fits_together",
]

S = TypeVar("S", bound=Summary)


@runtime_checkable
class FittedModel(Protocol):
    """What a stage model knows after it was fitted: frozen, thread-safe, made of plain values.

    Write it as an ``attrs.frozen`` class of scalars, tuples and arrays, so that it can be saved.
    """

    @property
    def trained_until(self) -> int:
        """Last day (since 1970-01-01) of the history it has seen; `NO_DAY` where it saw none."""
        ...

    @property
    def needs(self) -> tuple[str, ...]:
        """Columns and derived state of a pipeline that it reads and that must be known."""
        ...

    def win_curve(self, pipeline: Pipeline, dates: DateArray, /) -> FloatArray:
        """Return the chance that each deal is won on or before each date: (n,), (k,) -> (n, k).

        Given what is known at the end of ``pipeline.as_of``; `dates` are later and ascending. Rows
        are independent of one another, lie in [0, 1] and never fall from one date to the next.
        Lost rows hold the chance of being reopened and won (0 where it is not modelled); removed
        and won rows are never asked and hold 0.
        """
        ...


class StageModel(abc.ABC, Generic[S]):
    """A stage model before it is fitted: a frozen, hashable set of parameters.

    Subclass it as an ``attrs.frozen`` class with a default for every parameter, name it, and write
    `summarize` and `estimate`; ``funnel.testing.check_model`` says whether it keeps the contract.

    Examples
    --------
    >>> import funnel as fn
    >>> isinstance(fn.models.get("win-rate"), StageModel)
    True
    """

    name: ClassVar[str]
    """The name under which the model is registered; plugins use a prefix (``acme.boosted``)."""

    fitted: ClassVar[type[FittedModel]]
    """The class that `estimate` returns; it is what a saved model is loaded into."""

    calendar_aware: ClassVar[bool] = False
    """Does the answer depend on the date itself (season, weekday), not only on time differences?"""

    expects_new_deals: ClassVar[bool] = True
    """Does a forecast that names the model include deals which do not exist yet?"""

    @abc.abstractmethod
    def summarize(self, history: History, /) -> S:
        """Reduce a chunk of whole deals to a summary that merges."""

    @abc.abstractmethod
    def estimate(self, summary: S, /) -> FittedModel:
        """Turn the summary of all deals into a fitted model.

        Raises
        ------
        InsufficientDataError
            When there is too little history; a number is never made up.
        """

    def summaries(self, history: History, days: Sequence[int], /) -> Iterator[S]:
        """Yield the summary of ``history.until(day)`` for each of many days, ascending.

        Override it where one pass over a chunk can count for all days; the summaries must be the
        same, bit for bit.
        """
        return (self.summarize(history.until(np.datetime64(day, "D"))) for day in days)

    def fit(
        self, source: History | HistorySource, /, *, executor: Executor | None = None
    ) -> FittedModel:
        """Summarise every chunk and estimate once; a model may override it to take more passes."""
        return self.estimate(summarize(source, self.summarize, executor=executor))

    @property
    def counts(self) -> Hashable:
        """What the summary depends on: models that have the same can be estimated from one.

        The model itself by default.
        """
        return self

    def fits(
        self,
        source: History | HistorySource,
        days: Sequence[int],
        /,
        *,
        executor: Executor | None = None,
    ) -> Iterator[Callable[[], FittedModel]]:
        """Yield, for each of many days, a call that fits the model on what was known at its end.

        A model with `summaries` of its own counts once for all days; others are fitted anew on
        ``history.until(day)``.

        Parameters
        ----------
        source : History or HistorySource
            The whole log.
        days : sequence of int
            Ascending days since 1970-01-01.
        executor : concurrent.futures.Executor, optional
            Where chunks are summarised; in this thread by default.
        """
        return (one for (one,) in fits_together((self,), source, days, executor=executor))

    def without_history(self) -> FittedModel:
        """Return the model as it stands before it has seen any history.

        Raises
        ------
        InsufficientDataError
            When the model has to learn first, which is the default.
        """
        what = f"model {self.name!r} learns from history"
        raise InsufficientDataError(
            what,
            needed=1,
            found=0,
            remedy="Fit it on a History, or use 'textbook', which works from typed probabilities.",
        )


def fits_together(
    models: Sequence[StageModel[Any]],
    source: History | HistorySource,
    days: Sequence[int],
    /,
    *,
    executor: Executor | None = None,
) -> Iterator[tuple[Callable[[], FittedModel], ...]]:
    """Yield, for each day, a call for each model, as `StageModel.fits`; summaries are shared."""
    streams: dict[Hashable, Iterator[Any]] = {}
    for model in models:
        if _counts_once(model) and model.counts not in streams:
            streams[model.counts] = summarize_until(
                source, model.summaries, days, executor=executor
            )
    for day in days:
        summaries = {counts: next(stream) for counts, stream in streams.items()}
        yield tuple(
            functools.partial(model.estimate, summaries[model.counts])
            if _counts_once(model)
            else functools.partial(model.fit, _past(source, day), executor=executor)
            for model in models
        )


def _past(source: History | HistorySource, day: int) -> MappedSource:
    """Return a source as it was known at the end of a day."""
    return MappedSource(source, operator.methodcaller("until", np.datetime64(day, "D")))


def _counts_once(model: StageModel[Any]) -> bool:
    """Tell whether a model counts once for many days, and takes no passes of its own."""
    mine = type(model)
    return mine.summaries is not StageModel.summaries and mine.fit is StageModel.fit


@runtime_checkable
class HasCells(FittedModel, Protocol):
    """Optional: a fitted model with few distinct curves, so that sums go by cell.

    Deals in one cell are in one stage and have the same curve at any date:
    ``model.win_curve(pipeline, dates)[i]`` is the row of
    ``model.cell_curves(cells, pipeline, dates)`` that belongs to deal i. So forecasts add up the
    deals by cell, once for each table, and never look at all of them again.
    """

    @property
    def numbering(self) -> Hashable:
        """What the numbers of cells mean; equal where `cells` gives equal numbers to all deals."""
        ...

    def check(self, pipeline: Pipeline, /) -> None:
        """Raise or warn of what `win_curve` would raise or warn of."""
        ...

    def cells(self, pipeline: Pipeline, /) -> IntArray:
        """Return the cell of each deal: (n,) numbers >= 0; -1 where the chance is 0 for ever."""
        ...

    def cell_stages(self, cells: IntArray, pipeline: Pipeline, /) -> IntArray:
        """Return the code of the stage that the deals of each cell are in: (c,) -> (c,)."""
        ...

    def cell_curves(self, cells: IntArray, pipeline: Pipeline, dates: DateArray, /) -> FloatArray:
        """Return the win curves of cells: (c,), (k,) -> (c, k).

        `cells` are numbers that `cells` gave, ascending, each once. Of the `pipeline` only the day
        and the funnel matter.
        """
        ...


@runtime_checkable
class HasDraw(FittedModel, Protocol):
    """Optional: a fitted model that knows how uncertain its parameters are."""

    def draw(self, rng: np.random.Generator, /) -> FittedModel:
        """Return one draw of the parameters, given the history; on average they are its own."""
        ...


@runtime_checkable
class HasFlow(FittedModel, Protocol):
    """Optional: a fitted model of the whole path, which plans need stage by stage."""

    @property
    def funnel(self) -> Funnel:
        """The ladder."""
        ...

    def stage_flow(self, pipeline: Pipeline, days: int, /) -> StageFlow:
        """Return what is expected of the deals of a pipeline on each of the next days."""
        ...

    def fresh_flow(self, stage: str, days: int, /) -> StageFlow:
        """Return what is expected of one deal that enters a stage, from the day of its entry."""
        ...


@runtime_checkable
class HasLevers(FittedModel, Protocol):
    """Optional: a fitted model with conversions and durations of stages, to ask what if."""

    @property
    def levers(self) -> tuple[str, ...]:
        """Stages whose conversions and durations can be changed."""
        ...

    def under(
        self, conversions: Mapping[str, float], durations: Mapping[str, float], /
    ) -> FittedModel:
        """Return the model with conversions and durations of stages times factors above 0.

        Raises
        ------
        UnknownStageError
            When the funnel has no such stage.
        ValidationError
            When a stage is not an open one, or its conversion would exceed 1.
        """
        ...
