"""A clock that runs at the pace of the calendar: slower at weekends, faster at the end of a month.

The pace of a day is the product of two multipliers, of its weekday and of whether it is one of the
last days of its month. Over many years the mean pace is 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from funnel.kernels import ridge

if TYPE_CHECKING:
    from funnel.typing import BoolArray, FloatArray, IntArray

__all__ = ["ENDING", "estimate", "expected_by_day", "passed"]

ENDING = 5
"""The last days of a month whose pace is their own."""

SHARE = ENDING * 12 / 365.2425  # of all days


def _weekday(days: IntArray) -> IntArray:
    """(n,) -> (n,): 0 for Monday; 1970-01-01 was a Thursday."""
    return (days + 3) % 7


def _ends_month(days: IntArray) -> BoolArray:
    """(n,) -> (n,): tell which days are among the last of their month."""
    following = (days + ENDING).astype("datetime64[D]").astype("datetime64[M]")
    return np.asarray(following != days.astype("datetime64[D]").astype("datetime64[M]"))


def expected_by_day(
    rate: FloatArray, state: IntArray, age: IntArray, begin: IntArray, end: IntArray, *, days: int
) -> FloatArray:
    """(s, d), (n,) x 4, () -> (days,): sum of rates on each day over the spells at risk on it.

    Spells are at risk from day `begin` >= 0, on which they have `age`, to day `end`.
    """
    length = end - begin + 1
    order = np.argsort(-length, kind="stable")
    state, age, begin = state[order], age[order], begin[order]
    found = np.zeros(days)
    lasting = np.searchsorted(-length[order], -np.arange(int(length.max(initial=0))), side="left")
    for step, count in enumerate(lasting.tolist()):
        values = rate[state[:count], age[:count] + step]
        found += np.bincount(begin[:count] + step, values, minlength=days)
    return found


def estimate(
    first: int, expected: FloatArray, events: FloatArray, penalty: float | None
) -> tuple[FloatArray, FloatArray]:
    """(), (d,), (d,), () -> (7,), (2,): pace by weekday, and on other and on last days of months.

    From events seen and expected on each day from `first` on, shrunk to 1; see `ridge`.
    """
    days = first + np.arange(len(expected))
    columns = [_weekday(days) == number for number in range(7)]
    design = np.stack([*columns, _ends_month(days)], axis=1).astype(np.float64)
    term = np.array([0] * 7 + [1])
    effects = ridge.rate_effects(
        design,
        np.zeros(len(days), dtype=np.int64),
        expected,
        events,
        term=term,
        own=np.empty(0, dtype=np.int64),
        groups=1,
        penalty=penalty,
    ).by_group[0]
    pace = np.exp(np.clip(effects, -ridge.LIMIT, ridge.LIMIT))
    other = 1.0 / (1.0 - SHARE + SHARE * pace[7])
    return pace[:7] / pace[:7].mean(), np.array([other, other * pace[7]])


def passed(weekdays: FloatArray, month_end: FloatArray, since: int, days: IntArray) -> FloatArray:
    """(7,), (2,), (), (k,) -> (k,): how far the clock goes from the end of `since` to each day."""
    every = np.arange(since + 1, int(days.max(initial=since)) + 1)
    pace = weekdays[_weekday(every)] * month_end[_ends_month(every).astype(np.int64)]
    return np.concatenate(([0.0], np.cumsum(pace)))[days - since]
