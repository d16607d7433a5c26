"""The one question that a stage model answers, and the class that a plugin author writes."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, ClassVar, Generic, Protocol, TypeVar, runtime_checkable

from funnel.errors import InsufficientDataError
from funnel.summary import Summary, summarize

if TYPE_CHECKING:
    from collections.abc import Mapping
    from concurrent.futures import Executor

    import numpy as np

    from funnel.models._flow import StageFlow
    from funnel.stages import Funnel
    from funnel.summary import HistorySource
    from funnel.tables import History, Pipeline
    from funnel.typing import DateArray, FloatArray, IntArray

__all__ = ["FittedModel", "HasCells", "HasDraw", "HasFlow", "HasLevers", "StageModel"]

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

    def fit(
        self, source: History | HistorySource, /, *, executor: Executor | None = None
    ) -> FittedModel:
        """Summarise every chunk and estimate once; a model may override it to take more passes."""
        return self.estimate(summarize(source, self.summarize, executor=executor))

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


@runtime_checkable
class HasCells(FittedModel, Protocol):
    """Optional: a fitted model with few distinct curves, so that sums go by cell.

    Deals in one cell have the same curve at any date: ``model.win_curve(pipeline, dates)[i]`` is
    the row of ``model.cell_curves(cells, pipeline.as_of, dates)`` that belongs to deal i.
    """

    def cells(self, pipeline: Pipeline, /) -> IntArray:
        """Return the cell of each deal: (n,) numbers >= 0; -1 where the chance is 0 for ever."""
        ...

    def cell_curves(self, cells: IntArray, as_of: int, dates: DateArray, /) -> FloatArray:
        """Return the win curves of cells: (c,), (), (k,) -> (c, k).

        `cells` are numbers that `cells` gave, ascending, each once.
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
