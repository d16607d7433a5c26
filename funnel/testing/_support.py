"""What all checks share: how they state a rule, ask a model, and compare its answers."""

from __future__ import annotations

import functools
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from funnel.errors import ConformanceError, FunnelWarning
from funnel.testing import fixtures

if TYPE_CHECKING:
    from collections.abc import Callable

    from funnel.models import FittedModel, StageModel
    from funnel.tables import Pipeline
    from funnel.typing import FloatArray

    Check = Callable[[StageModel[Any]], None]
    """A rule that every stage model keeps: raises `ConformanceError` unless it is kept."""

RELATIVE, ABSOLUTE = 1e-9, 1e-12  # sums of floats depend on their order


class BrokenRuleError(Exception):
    """What a check has seen and must not be; `requires` makes the message of it."""


def expect(holds: bool, seen: str) -> None:  # noqa: FBT001 - the condition of an assertion
    """Raise unless the condition holds, saying what was seen."""
    if not holds:
        raise BrokenRuleError(seen)


def described(error: Exception) -> str:
    """Name an exception and what it says."""
    return f"{type(error).__name__} was raised: {error}"


def requires(rule: str) -> Callable[[Check], Check]:
    """Make a check of a function: whatever it raises says that the model breaks `rule`.

    Warnings of this library are no fault of a model and are not shown.
    """

    def decorate(check: Check) -> Check:
        """Wrap the function."""

        @functools.wraps(check)
        def checked(model: StageModel[Any]) -> None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FunnelWarning)
                try:
                    check(model)
                except BrokenRuleError as broken:
                    raise ConformanceError.from_check(check.__name__, rule, str(broken)) from None
                except Exception as error:
                    seen = described(error)
                    raise ConformanceError.from_check(check.__name__, rule, seen) from error

        return checked

    return decorate


def ask(fitted: FittedModel, pipeline: Pipeline) -> FloatArray:
    """Return the curves of a pipeline on the dates of the fixtures."""
    return fitted.win_curve(pipeline, fixtures.dates(pipeline.as_of))


def fit_and_ask(model: StageModel[Any]) -> FloatArray:
    """Return the curves of the fixture, fitted on its history."""
    history = fixtures.history()
    return ask(model.fit(history), history.snapshot())


def expect_valid(curve: FloatArray, pipeline: Pipeline, situation: str) -> None:
    """Demand chances: one per deal and date, finite, in [0, 1], never falling."""
    shape = (len(pipeline), len(fixtures.dates(0)))
    expect(np.shape(curve) == shape, f"{situation} the shape is {np.shape(curve)}, not {shape}")
    faults = (
        ("not finite", ~np.isfinite(curve)),
        ("below 0 or above 1", (curve < 0.0) | (curve > 1.0)),
        ("falling", np.diff(curve, axis=1, prepend=curve[:, :1]) < 0.0),
    )
    for fault, mask in faults:
        expect_none(mask, curve, pipeline, f"{situation} chances are {fault}")


def expect_none(mask: Any, curve: FloatArray, pipeline: Pipeline, seen: str) -> None:  # noqa: ANN401
    """Demand that no chance is marked; the first that is gets named."""
    if np.any(mask):
        row, column = np.argwhere(mask)[0].tolist()
        raise BrokenRuleError(
            f"{seen}: {np.count_nonzero(mask):,} of {curve.size:,} (first: deal "
            f"{str(pipeline.ids[row])!r}, date {column}, {float(curve[row, column])!r})"
        )


def expect_same(
    expected: FloatArray,
    actual: FloatArray,
    pipeline: Pipeline,
    situation: str,
    *,
    exact: bool = False,
) -> None:
    """Demand the same curves: bit for bit, or up to the order of float sums."""
    shapes = f"{situation} the shape is {np.shape(actual)} instead of {np.shape(expected)}"
    expect(np.shape(actual) == np.shape(expected), shapes)
    rtol, atol = (0.0, 0.0) if exact else (RELATIVE, ABSOLUTE)
    off = ~np.isclose(actual, expected, rtol=rtol, atol=atol, equal_nan=True)
    if np.any(off):
        row, column = np.argwhere(off)[0].tolist()
        raise BrokenRuleError(
            f"{situation} {np.count_nonzero(off):,} of {off.size:,} chances differ (first: deal "
            f"{str(pipeline.ids[row])!r}, date {column}, {float(actual[row, column])!r} instead of "
            f"{float(expected[row, column])!r})"
        )
