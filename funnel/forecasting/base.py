"""What a forecaster is: it answers what will be booked in each period."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Executor

    from funnel.calendars import Horizon
    from funnel.forecasting.forecast import Forecast
    from funnel.models import FittedModel
    from funnel.summary import HistorySource
    from funnel.tables import History, Pipeline

__all__ = ["FittedForecaster", "ForHorizon", "Forecaster", "HasFits", "HasStageModel"]


@runtime_checkable
class FittedForecaster(Protocol):
    """A forecaster that has learnt what it needs; frozen and thread-safe."""

    @property
    def trained_until(self) -> int:
        """Last day (since 1970-01-01) of the history it has seen; `NO_DAY` where it saw none."""
        ...

    def forecast(
        self, pipeline: Pipeline, horizon: Horizon, /, *, by: Sequence[str] = ()
    ) -> Forecast:
        """Forecast what is booked in each period, as known at the end of ``pipeline.as_of``.

        Raises
        ------
        LeakError
            When ``pipeline.as_of`` is before `trained_until`.
        """
        ...


@runtime_checkable
class HasStageModel(Protocol):
    """A fitted forecaster that looks at deals, so that its chances can be explained."""

    def stage_model(self, last: int, as_of: int, /) -> FittedModel:
        """Return the stage model behind forecasts made at the end of `as_of` for days to `last`."""
        ...


@runtime_checkable
class ForHorizon(Protocol):
    """A fitted forecaster that makes one for each horizon, and needs its history for that."""

    def at(self, horizon: Horizon, as_of: int, /) -> FittedForecaster:
        """Return the forecaster for one horizon, which holds no history."""
        ...


@runtime_checkable
class Forecaster(Protocol):
    """A forecaster before it is fitted: parameters only."""

    def fit(
        self, source: History | HistorySource, /, *, executor: Executor | None = None
    ) -> FittedForecaster:
        """Learn from a history, or from chunks of one."""
        ...


@runtime_checkable
class HasFits(Forecaster, Protocol):
    """Optional: a forecaster that can be fitted on many earlier days for little more than once."""

    def fits(
        self,
        source: History | HistorySource,
        days: Sequence[int],
        /,
        *,
        executor: Executor | None = None,
    ) -> Iterator[Callable[[], FittedForecaster]]:
        """Yield, for each of many days, a call that fits on what was known at its end.

        `days` ascend; each call gives what ``fit(history.until(day))`` gives, bit for bit.
        """
        ...
