"""What a user's type checker sees: checked by mypy and pyright, never run."""

from __future__ import annotations

import datetime as dt
from typing import ClassVar, assert_type

import attrs
import numpy as np
import numpy.typing as npt

import funnel as fn
from funnel.errors import FunnelError, UnknownStageError, ValidationError
from funnel.forecasting import FittedForecaster, Forecaster
from funnel.models import FittedModel, StageModel
from funnel.typing import NO_DAY, DateArray, DayArray, FloatArray


def errors_carry_data() -> None:
    """Attributes of errors are typed, and one root catches all."""
    try:
        raise UnknownStageError("Proposel", ["Qualify", "Propose"])
    except FunnelError as error:
        assert_type(error, FunnelError)

    wrong = ValidationError.from_value("amount", "must be >= 0", -5.0, "Correct it.")
    assert_type(wrong, ValidationError)
    assert_type(wrong.column, str | None)
    assert_type(wrong.rows, tuple[int, ...])


def days_of(days: DayArray) -> None:
    """Aliases are plain numpy arrays."""
    assert_type(days, npt.NDArray[np.int32])
    assert_type(np.equal(days, NO_DAY).any(), np.bool_)


def from_history_to_forecast(history: fn.History) -> None:
    """The way from a history to numbers is typed from end to end."""
    known = history.until("2026-06-30")
    assert_type(known, fn.History)
    assert_type(known.snapshot(dt.date(2026, 6, 30)), fn.Pipeline)
    outlook = fn.forecast(known, fn.Horizon.quarters("2026-07-01", 4), by=("region",))
    assert_type(outlook, fn.Forecast)
    assert_type(outlook.expected, npt.NDArray[np.float64])
    assert_type(outlook.interval(0.8), tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]])
    assert_type(outlook.parts["open"].total(), fn.Forecast)
    assert_type(fn.outcomes(history).closed_on, npt.NDArray[np.int32])
    for deal in history.snapshot():
        assert_type(deal, fn.Opportunity)
        assert_type(deal.amount, float | None)
        assert_type(deal.outcome, fn.Outcome)


def forecasters_are_structural(fitted: FittedForecaster) -> None:
    """Anything with a `forecast` method of the right shape is a forecaster."""
    assert_type(fitted.trained_until, int)
    lifted = fn.DealForecaster("win-rate")
    forecaster: Forecaster = lifted
    del forecaster


@attrs.frozen
class Days:
    """A summary, as a plugin author writes it."""

    n: int

    def merge(self, other: Days, /) -> Days:
        """Add up."""
        return Days(self.n + other.n)


@attrs.frozen
class FittedNever:
    """A fitted model: no deal is ever won."""

    trained_until: int
    needs: tuple[str, ...] = ()

    def win_curve(self, pipeline: fn.Pipeline, dates: DateArray, /) -> FloatArray:
        """Return zeros."""
        return np.zeros((len(pipeline), len(dates)))


@attrs.frozen
class Never(StageModel[Days]):
    """A stage model."""

    name: ClassVar[str] = "acme.never"
    fitted: ClassVar[type[FittedModel]] = FittedNever

    def summarize(self, history: fn.History, /) -> Days:
        """Keep the last day."""
        return Days(history.observed_until)

    def estimate(self, summary: Days, /) -> FittedNever:
        """Return the model."""
        return FittedNever(summary.n)


def plugins_are_models(history: fn.History) -> None:
    """A plugin's model is taken wherever a built-in one is."""
    assert_type(fn.forecast(history, fn.Horizon.months("2026-07-01", 3), Never()), fn.Forecast)
    assert_type(Never().fit([history]), FittedModel)
