"""The contract of stage models as a list of plain functions.

Each takes a model and raises `ConformanceError` when the model breaks its rule; `CHECKS` has them
all. A plugin gets new checks by upgrading.
"""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Any

import attrs

from funnel.errors import ConformanceError, MissingDependencyError, ValidationError, did_you_mean
from funnel.models import StageModel
from funnel.testing._checks_code import (
    check_frozen_fitted,
    check_frozen_spec,
    check_no_row_loop,
    check_pickles,
    check_repr_round_trips,
    check_saves_and_loads,
    check_thread_safe,
)
from funnel.testing._checks_curve import (
    check_arrays_untouched,
    check_closed_rows,
    check_curve_monotone,
    check_curve_range,
    check_curve_shape,
    check_dates_independent,
    check_empty_pipeline,
    check_no_nan,
    check_rows_independent,
)
from funnel.testing._checks_data import (
    check_date_shift,
    check_many_days,
    check_no_future,
    check_old_deals,
    check_tiny_history,
    check_trained_until,
    check_unknown_state,
    check_unseen_category,
    check_unseen_stage,
)
from funnel.testing._checks_summary import (
    check_chunk_invariant,
    check_merge_associative,
    check_merge_commutative,
    check_merge_identity,
    check_merge_pure,
    check_pure_summarize,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pytest

    from funnel.testing._support import Check

__all__ = [
    "CHECKS",
    "Report",
    "check_arrays_untouched",
    "check_chunk_invariant",
    "check_closed_rows",
    "check_curve_monotone",
    "check_curve_range",
    "check_curve_shape",
    "check_date_shift",
    "check_dates_independent",
    "check_empty_pipeline",
    "check_frozen_fitted",
    "check_frozen_spec",
    "check_many_days",
    "check_merge_associative",
    "check_merge_commutative",
    "check_merge_identity",
    "check_merge_pure",
    "check_model",
    "check_no_future",
    "check_no_nan",
    "check_no_row_loop",
    "check_old_deals",
    "check_pickles",
    "check_pure_summarize",
    "check_repr_round_trips",
    "check_rows_independent",
    "check_saves_and_loads",
    "check_thread_safe",
    "check_tiny_history",
    "check_trained_until",
    "check_unknown_state",
    "check_unseen_category",
    "check_unseen_stage",
    "parametrize_with_checks",
]

CHECKS: tuple[Check, ...] = (
    check_frozen_spec,
    check_repr_round_trips,
    check_pure_summarize,
    check_merge_identity,
    check_merge_commutative,
    check_merge_associative,
    check_merge_pure,
    check_chunk_invariant,
    check_frozen_fitted,
    check_trained_until,
    check_curve_shape,
    check_curve_range,
    check_curve_monotone,
    check_no_nan,
    check_closed_rows,
    check_empty_pipeline,
    check_rows_independent,
    check_dates_independent,
    check_arrays_untouched,
    check_tiny_history,
    check_unseen_category,
    check_unseen_stage,
    check_old_deals,
    check_unknown_state,
    check_date_shift,
    check_no_future,
    check_many_days,
    check_saves_and_loads,
    check_pickles,
    check_thread_safe,
    check_no_row_loop,
)
"""Every check, in the order in which they are run."""

NOTHING: Mapping[str, str] = types.MappingProxyType({})


@attrs.frozen
class Report:
    """What `check_model` found, where nothing was unexpected.

    Parameters
    ----------
    model : str
        The ``repr`` of the model.
    passed : tuple of str
        Checks that it passes.
    expected : tuple of (str, str)
        Checks that it does not pass, as was said, each with its reason.

    Examples
    --------
    >>> print(Report("Boosted()", ("check_no_nan",), (("check_no_row_loop", "calls a solver"),)))
    Boosted() passes 1 of 2 checks
    - check_no_row_loop fails as expected: calls a solver
    """

    model: str
    passed: tuple[str, ...]
    expected: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        """Return a line, and one for each expected failure."""
        total = len(self.passed) + len(self.expected)
        head = f"{self.model} passes {len(self.passed)} of {total} checks"
        said = [f"{name} fails as expected: {reason}" for name, reason in self.expected]
        return "\n- ".join([head, *said])


def _check_arguments(model: object, expected_failures: Mapping[str, object]) -> None:
    """Demand a model, and expected failures that are checks, each with a reason."""
    if not isinstance(model, StageModel):
        remedy = "Pass the model with its parameters: MyModel(), not MyModel or a fitted one."
        raise ValidationError.from_value("model", "must be a StageModel", model, remedy)
    names = [check.__name__ for check in CHECKS]
    for name, reason in expected_failures.items():
        if name not in names:
            hint = did_you_mean(str(name), names)
            raise ValidationError.from_value("expected_failures", "must name checks", name, hint)
        if not isinstance(reason, str) or not reason.strip():
            remedy = f"Say in words why {name} fails."
            rule = "must give a reason for each check"
            raise ValidationError.from_value("expected_failures", rule, reason, remedy)


def check_model(
    model: StageModel[Any], *, expected_failures: Mapping[str, str] = NOTHING
) -> Report:
    """Run every check on a model.

    Parameters
    ----------
    model : StageModel
        The model with its parameters.
    expected_failures : mapping of str to str, optional
        Reasons by name of the checks that the model is known not to pass. One that passes
        nevertheless is an error too, so that the list does not outlive its reasons.

    Returns
    -------
    Report

    Raises
    ------
    ConformanceError
        When a check fails that is expected to pass, or the other way round; all of them are
        listed, each with its rule and what was seen.
    ValidationError
        When `model` is no model, or `expected_failures` names no check or gives no reason.

    Examples
    --------
    >>> import funnel as fn
    >>> print(check_model(fn.models.get("textbook")))
    Textbook(overdue_after=1, undated_after=None) passes 31 of 31 checks
    """
    _check_arguments(model, expected_failures)
    passed, failures = [], {}
    for check in CHECKS:
        name = check.__name__
        try:
            check(model)
        except ConformanceError as error:
            if name not in expected_failures:
                failures[name] = str(error)
            continue
        if name in expected_failures:
            failures[name] = f"{name} passes, but is expected to fail: {expected_failures[name]}"
        passed.append(name)
    if failures:
        raise ConformanceError.from_failures(model, failures, len(CHECKS))
    names = [check.__name__ for check in CHECKS if check.__name__ in expected_failures]
    expected = tuple((name, expected_failures[name]) for name in names)
    return Report(repr(model), tuple(passed), expected)


def parametrize_with_checks(
    models: Iterable[StageModel[Any]], *, expected_failures: Mapping[str, str] = NOTHING
) -> pytest.MarkDecorator:
    """Let pytest run a test once for each model and check, as ``test(model, check)``.

    Parameters
    ----------
    models : iterable of StageModel
        Models with their parameters.
    expected_failures : mapping of str to str, optional
        Reasons by name of the checks that none of the models passes; a strict ``xfail``.

    Returns
    -------
    pytest.MarkDecorator

    Raises
    ------
    MissingDependencyError
        When pytest is not installed.
    ValidationError
        As `check_model`.

    Examples
    --------
    >>> import funnel as fn
    >>> @parametrize_with_checks([fn.models.get("textbook")])
    ... def test_contract(model, check):
    ...     check(model)
    """
    try:
        import pytest  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise MissingDependencyError("pytest", "testing") from error
    marks = {
        name: pytest.mark.xfail(reason=reason, raises=ConformanceError, strict=True)
        for name, reason in expected_failures.items()
    }
    cases = []
    for model in models:
        _check_arguments(model, expected_failures)
        for check in CHECKS:
            name = check.__name__
            known = [marks[name]] if name in marks else []
            cases.append(pytest.param(model, check, marks=known, id=f"{model!r}-{name}"))
    return pytest.mark.parametrize(("model", "check"), cases)
