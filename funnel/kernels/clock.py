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

__all__ = [
    "ENDING",
    "PHASES",
    "QUARTER",
    "estimate",
    "expected_by_day",
    "halves",
    "paces",
    "passed",
    "phases",
    "turned",
]

ENDING = 5
"""The last days of a month whose pace is their own."""

SHARE = ENDING * 12 / 365.2425  # of all days

PHASES = 6
"""Of a quarter: the halves of its months."""

HALF = 15  # days of the first half of a month
QUARTER = 92  # days of the longest one: phases matter up to so many days ahead
TINY = 1e-12  # curves end so far below 1
NEGLIGIBLE = 1e-4  # effects that are none
LATEST = 16  # quarters that are looked at, at most: older ones tell less, and each costs time
ROUND = 2  # quarters that must have been seen before phases are told from chance


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
    design = np.stack([*columns, _ends_month(days)], axis=1)
    pace = np.exp(_effects(design, expected, events, np.array([0] * 7 + [1]), penalty))
    other = 1.0 / (1.0 - SHARE + SHARE * pace[7])
    return pace[:7] / pace[:7].mean(), np.array([other, other * pace[7]])


def _effects(
    design: BoolArray,
    expected: FloatArray,
    events: FloatArray,
    term: IntArray,
    penalty: float | None,
) -> FloatArray:
    """(n, p), (n,), (n,), (p,), () -> (p,): logarithms of multipliers of the rate, see `ridge`."""
    effects = ridge.rate_effects(
        design.astype(np.float64),
        np.zeros(len(design), dtype=np.int64),
        expected,
        events,
        term=term,
        own=np.empty(0, dtype=np.int64),
        groups=1,
        penalty=penalty,
    ).by_group[0]
    return np.asarray(np.clip(effects, -ridge.LIMIT, ridge.LIMIT), dtype=np.float64)


def passed(weekdays: FloatArray, month_end: FloatArray, since: int, days: IntArray) -> FloatArray:
    """(7,), (2,), (), (k,) -> (k,): how far the clock goes from the end of `since` to each day."""
    every = np.arange(since + 1, int(days.max(initial=since)) + 1)
    pace = weekdays[_weekday(every)] * month_end[_ends_month(every).astype(np.int64)]
    return np.concatenate(([0.0], np.cumsum(pace)))[days - since]


def halves(days: IntArray) -> IntArray:
    """(n,) -> (n,): halves of months since January 1970; the phase is the rest by `PHASES`."""
    dates = days.astype("datetime64[D]")
    months = dates.astype("datetime64[M]")
    within = (dates - months.astype("datetime64[D]")).astype(np.int64)
    return np.asarray(2 * months.astype(np.int64) + (within >= HALF))


def phases(first: int, expected: FloatArray, events: FloatArray) -> FloatArray:
    """(), (d,), (d,) -> (6,): multipliers by phase of the quarter, with mean 1.

    From events seen and expected on each day from `first` on. Besides its phase, each quarter and
    each half of a month has an effect of its own: what differs from quarter to quarter is no
    pattern, and the phases are shrunk by it, with variances from the data; see `ridge`.
    """
    each = halves(first + np.arange(len(expected)))
    # Before the first event, nothing of the kind was recorded.
    begin = max(int(np.argmax(events > 0.0)), int(np.argmax(each > each[-1] - LATEST * PHASES)))
    each, expected, events = each[begin:], expected[begin:], events[begin:]
    number = np.arange(each[0], each[-1] + 1)
    if len(number) < ROUND * PHASES:
        return np.ones(PHASES)
    due, seen = (np.bincount(each - each[0], of).astype(np.float64) for of in (expected, events))
    quarter = number // PHASES
    design = np.concatenate(
        (
            number[:, None] % PHASES == np.arange(PHASES),
            quarter[:, None] == np.unique(quarter),
            number[:, None] == number,
        ),
        axis=1,
    )
    term = np.repeat(np.arange(3), (PHASES, quarter[-1] - quarter[0] + 1, len(number)))
    effects = _effects(design, due, seen, term, None)[:PHASES]
    if np.abs(effects).max() < NEGLIGIBLE:
        return np.ones(PHASES)
    found = np.exp(effects)
    return np.asarray(found / found.mean())


def turned(factor: FloatArray, curve: FloatArray) -> FloatArray:
    """(k,), (n, k) -> (n, k): curves whose steps, each to a column, are multiplied.

    What is multiplied is the subdistribution hazard of a curve F, ``-d log(1 - F)`` (Fine and Gray
    1999, doi:10.1080/01621459.1999.10474144).
    """
    hazard = np.diff(-np.log1p(-np.minimum(curve, 1.0 - TINY)), axis=1, prepend=0.0)
    return np.asarray(-np.expm1(-np.cumsum(hazard * factor, axis=1)))


def paces(factor: FloatArray, since: int, days: IntArray) -> FloatArray:
    """(6,), (), (k,) -> (k,): mean multipliers of the steps from the end of `since` on.

    A step ends on each of the days, which ascend; one without days has a multiplier of 1.
    """
    every = np.arange(since + 1, int(days.max(initial=since)) + 1)
    total = np.concatenate(([0.0], np.cumsum(factor[halves(every) % PHASES])))
    length = np.diff(days, prepend=since)
    spent = np.diff(total[days - since], prepend=0.0)
    return np.where(length > 0, spent / np.maximum(length, 1), 1.0)
