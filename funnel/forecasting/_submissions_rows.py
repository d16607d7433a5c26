"""Columns of dated statements about periods: read, spread and checked alike for all such tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from funnel.calendars import to_dates, to_day, to_days
from funnel.errors import ValidationError, did_you_mean
from funnel.kernels.labels import texts
from funnel.typing import NO_DAY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from funnel.calendars import Horizon
    from funnel.typing import BoolArray, DayArray, FloatArray, IntArray, StringArray


def demand_length(name: str, values: np.ndarray[Any, Any], length: int) -> None:
    """Demand one value a row."""
    if len(values) != length:
        rule = f"must hold one value for each of the {length:,} rows"
        raise ValidationError.from_value(name, rule, f"{len(values):,} values", "")


def text_column(name: str, values: Any, length: int) -> StringArray:  # noqa: ANN401 - array-like
    """Return one text a row; a single text stands for all rows."""
    single = isinstance(values, str)
    found = texts([values] * length) if single else texts(np.asarray(values, dtype=object))
    demand_length(name, found, length)
    return texts([cell.strip() for cell in found.tolist()])


def number_column(name: str, values: Any, length: int) -> FloatArray:  # noqa: ANN401 - array-like
    """Return one number a row; None is NaN, and no column at all is NaN throughout."""
    if values is None:
        return np.full(length, np.nan)
    try:
        found = np.array(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        rule, remedy = "must be numbers", "Convert it to float; unknown is NaN."
        raise ValidationError.from_value(name, rule, type(values).__name__, remedy) from error
    if found.ndim != 1:
        raise ValidationError.from_value(name, "must hold one number a row", found.ndim, "")
    demand_length(name, found, length)
    return found


def day_column(name: str, values: Any, length: int) -> DayArray:  # noqa: ANN401 - array-like
    """Return one known day a row; a single day stands for all rows."""
    if isinstance(values, str) or np.ndim(values) == 0:
        return np.full(length, to_day(values, name=name), dtype=np.int32)
    days = to_days(values, name=name)
    demand_length(name, days, length)
    remedy = "Leave out the row, or say the day."
    demand(name, "must be given", days == NO_DAY, lambda _: "no date", remedy)
    return days


def period_columns(
    given: Mapping[str, Any], periods: Horizon | None, length: int
) -> tuple[DayArray, DayArray]:
    """Return the first day of each period and the day after it, whichever way they are given."""
    named = {name for name, values in given.items() if values is not None}
    if named == {"period"} and periods is not None:
        return labelled(text_column("period", given["period"], length), periods)
    if named == {"start", "end"}:
        last, beyond = "end", 0
    elif named == {"start", "last"}:
        last, beyond = "last", 1
    else:
        raise ValidationError.from_value(
            "the period",
            "must be given by start= and end= (the day after), by start= and last= (its last day), "
            "or by period= (labels) with periods= (a Horizon)",
            sorted(named),
            "",
        )
    start = day_column("start", given["start"], length)
    end = (day_column(last, given[last], length) + beyond).astype(np.int32)
    return start, end


def labelled(labels: StringArray, periods: Horizon) -> tuple[DayArray, DayArray]:
    """Look labels up among the periods of a horizon."""
    place = {label: row for row, label in enumerate(periods.labels)}
    row = np.array([place.get(label, -1) for label in labels.tolist()], dtype=np.int64)
    unknown = np.flatnonzero(row < 0)
    hint = did_you_mean(str(labels[unknown[0]]), periods.labels) if len(unknown) else ""
    rule = "must be one of the labels of periods"
    demand("period", rule, row < 0, lambda at: repr(str(labels[at])), hint)
    return periods.edges[:-1][row], periods.edges[1:][row]


def demand(
    column: str, rule: str, broken: BoolArray, shown: Callable[[int], str], remedy: str
) -> None:
    """Raise where rows break a rule; `shown` spells the value of a row out."""
    rows = np.flatnonzero(broken)
    if len(rows):
        first = int(rows[0])
        raise ValidationError.from_rule(
            column,
            rule,
            rows=rows[:100],
            count=len(rows),
            total=len(broken),
            first=f"row {first}, {shown(first)}",
            remedy=remedy,
        )


def demand_periods(start: DayArray, end: DayArray, on: DayArray, *, name: str) -> None:
    """Demand periods of at least one day, and that what is said of one is said before its end."""

    def shown(row: int) -> str:
        """Spell out one row."""
        first, after, day = (str(to_dates(days[[row]])[0]) for days in (start, end, on))
        return f"{first} to {after}, {name} {day}"

    demand("end", "must be after start", end <= start, shown, "Give the day after the period.")
    rule = "must be before the end of the period"
    demand(name, rule, on >= end, shown, "What is said afterwards is no forecast: leave it out.")


def last_of_runs(keys: Sequence[np.ndarray[Any, Any]]) -> BoolArray:
    """(n,) each -> (n,): mask of the last row of each run of rows that agree in every key."""
    last = np.ones(len(keys[0]), dtype=np.bool_)
    if len(last):
        last[:-1] = np.logical_or.reduce([key[1:] != key[:-1] for key in keys])
    return last


def sorted_by(keys: Sequence[np.ndarray[Any, Any]]) -> IntArray:
    """(n,) each -> (n,): order by the first key, then the second …; rows that agree stay in order.

    Texts count by their codes.
    """
    codes = [np.unique(key, return_inverse=True)[1].reshape(len(key)) for key in keys]
    return np.lexsort(codes[::-1])
