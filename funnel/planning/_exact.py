"""Numbers of a plan: exact fractions inside, floats outside."""

from __future__ import annotations

import functools
import math
import numbers
import operator
from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from funnel.errors import ValidationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["chance", "count", "days", "exact", "plain", "positive", "product", "shown", "to_float"]

MOST_DIGITS = 17  # a float has no more


def _simplest(value: float) -> Fraction:
    """Return a simple fraction that is this float: 0.2 is a fifth, and 2 / 3 two thirds."""
    whole = Fraction(value)
    for digits in range(1, MOST_DIGITS + 1):
        found = whole.limit_denominator(10**digits)
        if float(found) == value:
            return found
    return whole


def exact(value: object, name: str, rule: str, holds: Callable[[Fraction], bool]) -> Fraction:
    """Return a finite number as a fraction, if a rule holds.

    Raises
    ------
    ValidationError
        When it is no number, or breaks the rule.
    """
    number = None if isinstance(value, bool) else value  # True is no share
    found: Fraction | None = None
    if isinstance(number, numbers.Rational):
        found = Fraction(int(number.numerator), int(number.denominator))
    elif isinstance(number, numbers.Real) and math.isfinite(number):
        found = _simplest(float(number))
    if found is not None and holds(found):
        return found
    raise ValidationError.from_value(name, rule, plain(value), "")


def positive(value: object, name: str) -> Fraction:
    """Return a number above 0."""
    return exact(value, name, "must be a finite number above 0", lambda found: found > 0)


def chance(value: object, name: str) -> Fraction:
    """Return a conversion."""
    rule = "must be above 0 and at most 1"
    return exact(value, name, rule, lambda found: 0 < found <= 1)


def days(value: object, name: str) -> Fraction:
    """Return a number of days, 0 included."""
    return exact(value, name, "must be a finite number of days >= 0", lambda found: found >= 0)


def count(value: object, name: str) -> Fraction:
    """Return a number of times, 0 included."""
    return exact(value, name, "must be a finite number >= 0", lambda found: found >= 0)


def product(values: Iterable[Fraction]) -> Fraction:
    """Multiply."""
    return functools.reduce(operator.mul, values, Fraction(1))


def to_float(value: Fraction | None) -> float:
    """Return the nearest float; what is not known is NaN.

    Raises
    ------
    ValidationError
        When it is larger than any float.
    """
    if value is None:
        return math.nan
    try:
        return float(value)
    except OverflowError as error:
        message = "the numbers of the plan must stay below 1e308. Check target and average amount."
        raise ValidationError(message) from error


def plain(value: object) -> Any:  # noqa: ANN401 - as it is, but for the fractions
    """Return what somebody gave as it is read in a message: 1.2, not Fraction(6, 5)."""
    if isinstance(value, Fraction):
        try:
            return value.numerator if value.denominator == 1 else float(value)
        except OverflowError:
            return value
    if isinstance(value, Mapping):
        return {name: plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    return value


def shown(value: Fraction) -> str:
    """Write a number for a message: up to six digits, no more than it has."""
    number = to_float(value)
    return f"{number:,.0f}" if value.denominator == 1 else f"{number:,.6g}"
