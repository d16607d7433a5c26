"""Time stamps between UTC and the wall clock of a time zone, for whole columns.

The rules come from `zoneinfo`: the same on every system, also where pyarrow finds no database of
zones. Time stamps are microseconds since 1970-01-01T00:00.
"""

from __future__ import annotations

import datetime as dt
import functools
import zoneinfo
from typing import TYPE_CHECKING

import numpy as np

from funnel.errors import ValidationError, did_you_mean
from funnel.rules import FIRST_DAY, LAST_DAY

if TYPE_CHECKING:
    from funnel.typing import IntArray

SECOND = 1_000_000
DAY = 86_400 * SECOND
_STEP = 7 * 86_400  # seconds; no zone has changed its clock twice within a week since 1970
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def zone(name: str, *, parameter: str) -> zoneinfo.ZoneInfo:
    """Return a time zone by its name in the tz database."""
    try:
        return zoneinfo.ZoneInfo(name)
    except (LookupError, ValueError, OSError, TypeError, AttributeError) as error:
        known = sorted(zoneinfo.available_timezones())
        hint = did_you_mean(str(name), known) if known else "Install the package tzdata."
        raise ValidationError.from_value(
            parameter, "must be a time zone such as 'Europe/Berlin'", name, hint
        ) from error


def _offset(where: zoneinfo.ZoneInfo, second: int) -> int:
    """Return the seconds by which the wall clock is ahead of UTC at one moment."""
    offset = (_EPOCH + dt.timedelta(seconds=second)).astimezone(where).utcoffset()
    return 0 if offset is None else int(offset.total_seconds())


@functools.lru_cache(maxsize=32)
def _transitions(name: str, first: int, last: int) -> tuple[IntArray, IntArray]:
    """Return the moments between two seconds since which an offset holds, and the offsets."""
    where = zone(name, parameter="timezone")
    starts, offsets = [first], [_offset(where, first)]
    for begin in range(first, last, _STEP):
        low, high = begin, min(begin + _STEP, last)
        found = _offset(where, high)
        if found == offsets[-1]:
            continue
        while high - low > 1:
            middle = (low + high) // 2
            if _offset(where, middle) == found:
                high = middle
            else:
                low = middle
        starts.append(high)
        offsets.append(found)
    return np.array(starts) * SECOND, np.array(offsets) * SECOND


def _offsets(moments: IntArray, name: str) -> IntArray:
    """(n,) -> (n,): how far the wall clock is ahead of UTC, in microseconds."""
    days = np.clip(moments // DAY, FIRST_DAY - 1, LAST_DAY + 1)
    # Whole years, so that few distinct spans are worked out and kept.
    first, last = (int(day) // 366 * 366 for day in (days.min() - 366, days.max() + 732))
    starts, offsets = _transitions(name, first * 86_400, last * 86_400)
    found: IntArray = offsets[np.maximum(np.searchsorted(starts, moments, side="right") - 1, 0)]
    return found


def to_wall(moments: IntArray, name: str) -> IntArray:
    """(n,) -> (n,): moments in UTC as the wall clock of a zone shows them."""
    if not len(moments) or name == "UTC":
        return moments
    wall: IntArray = moments + _offsets(moments, name)
    return wall


def to_utc(wall: IntArray, name: str) -> IntArray:
    """(n,) -> (n,): wall clock readings as moments in UTC.

    An hour that the clock shows twice is taken for its first, one that it skips for the hour after.
    """
    if not len(wall) or name == "UTC":
        return wall
    before = wall - _offsets(wall - DAY, name)
    after = wall - _offsets(wall + DAY, name)
    # The offset of the day before holds until the change; a reading is after it only where the
    # later offset is the one in force at the moment that it gives.
    late = (_offsets(before, name) != wall - before) & (_offsets(after, name) == wall - after)
    moments: IntArray = np.where(late, after, before)
    return moments
