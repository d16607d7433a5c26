"""Texts to moments: one pattern for each way in which dates are written."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from funnel.errors import ReadError
from funnel.io._arrow import Arrow, arrow, encode, mask, numbers, one_of, parsed
from funnel.io._texts import BLANKS
from funnel.io._zones import DAY, SECOND

if TYPE_CHECKING:
    from funnel.typing import BoolArray, IntArray

_TIME = (
    r"(?:(?:T| |, ?)(?P<hour>\d{1,2}):(?P<minute>\d{2})"
    r"(?::(?P<second>\d{2})(?:[.,](?P<fraction>\d{1,9}))?)?"
    r" ?(?P<half>[AaPp][Mm])? ?(?P<zone>Z|z|UTC|GMT|[+-]\d{2}:?\d{2})?)?$"
)
_MONTHS = (
    "jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|"
    "sep(?:t|tember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?"
)
_STARTS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_PATTERNS = (
    r"^(?P<year>\d{4})(?:-|/|\.|年) ?(?P<month>\d{1,2})(?:-|/|\.|月) ?(?P<day>\d{1,2})日?" + _TIME,
    r"^(?P<year>(?:19|20)\d{2})(?P<month>\d{2})(?P<day>\d{2})" + _TIME,
    rf"^(?P<day>\d{{1,2}})[- ](?P<name>(?i:{_MONTHS}))\.?[-, ] ?(?P<year>\d{{4}})" + _TIME,
    rf"^(?P<name>(?i:{_MONTHS}))\.? (?P<day>\d{{1,2}}),? (?P<year>\d{{4}})" + _TIME,
    r"^(?P<one>\d{1,2})[-/.](?P<two>\d{1,2})[-/.](?P<year>\d{4})" + _TIME,
)
_EPOCH = r"^(?:\d{10}|\d{12,13})$"  # seconds, or milliseconds since 1973
_SERIAL = r"^[2-7]\d{4}(?:\.\d+)?$"  # what Excel counts 1954 to 2119 by
_ISO = r"^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?"


class Stamps(NamedTuple):
    """Moments as read: microseconds, and what is known about each of them; all (n,).

    ``odd`` marks what is no date, ``timed`` what has a time of day, and ``zoned`` what is in UTC.
    """

    micros: IntArray
    known: BoolArray
    odd: BoolArray
    timed: BoolArray
    zoned: BoolArray

    @classmethod
    def blank(cls, length: int) -> Stamps:
        """Return moments of which nothing is known yet."""
        flags = np.zeros((4, length), dtype=np.bool_)
        known, odd, timed, zoned = flags[0], flags[1], flags[2], flags[3]
        return cls(np.zeros(length, dtype=np.int64), known, odd, timed, zoned)

    def take(self, codes: IntArray) -> Stamps:
        """Return the moment of each code; -1 is no date."""
        flags = (self.known, self.odd, self.timed, self.zoned)
        known, odd, timed, zoned = (np.append(flag, False)[codes] for flag in flags)
        return Stamps(np.append(self.micros, 0)[codes], known, odd, timed, zoned)

    def fill(
        self,
        rows: IntArray | slice,
        micros: IntArray,
        timed: BoolArray | bool,  # noqa: FBT001 - one for all
        zoned: BoolArray | bool,  # noqa: FBT001
    ) -> None:
        """Write down what was read in some rows."""
        self.micros[rows], self.known[rows] = micros, True
        self.timed[rows], self.zoned[rows] = timed, zoned


def read_texts(texts: Arrow, header: str, *, day_first: bool | None) -> Stamps:
    """Read (n,) texts; a column of clean ISO dates takes a short way."""
    compute = arrow().compute
    empty = compute.equal(texts, "")
    filled = compute.if_else(empty, None, texts) if mask(empty).any() else texts
    found = Stamps.blank(len(texts))
    if _read_iso(filled, mask(filled.is_valid()), found):
        return found
    codes, distinct = encode(filled)
    return _read_distinct(distinct, header, day_first=day_first).take(codes)


def _read_iso(texts: Arrow, rows: BoolArray, found: Stamps) -> bool:
    """Read rows that are ISO dates throughout, or ISO time stamps throughout; else nothing."""
    pa = arrow()
    every = bool(rows.all())
    where = slice(None) if every else np.flatnonzero(rows)
    given = texts if every else texts.filter(pa.array(rows))
    shortest = pa.compute.min(pa.compute.binary_length(given)).as_py() or 0
    kinds = (pa.timestamp("us"), pa.timestamp("us", "UTC"))
    for kind in kinds if shortest > len("2026-06-30") else (pa.date32(),):
        cast = parsed(given, kind)
        if cast is None:
            continue
        timed = kind in kinds
        plain = numbers(cast.cast(pa.int64() if timed else pa.int32()), 0)
        micros = plain if timed else plain.astype(np.int64) * DAY
        found.fill(where, micros, timed, kind == kinds[1])
        return True
    return False


def _read_distinct(texts: Arrow, header: str, *, day_first: bool | None) -> Stamps:
    """Read distinct texts, each by the first pattern that fits it."""
    pa = arrow()
    compute = pa.compute
    texts = compute.utf8_trim_whitespace(compute.utf8_normalize(texts, form="NFKC"))
    filled = ~one_of(compute.utf8_lower(texts), ("", *BLANKS))
    found = Stamps.blank(len(texts))
    for zone in ("$", r"(?:Z|[+-]\d{2}:\d{2})$"):
        _read_iso(texts, mask(compute.match_substring_regex(texts, _ISO + zone)), found)
    _read_epoch(texts, found)
    for pattern in _PATTERNS:
        left = np.flatnonzero(filled & ~found.known)
        if len(left):
            part = texts.take(pa.array(left))
            _read_pattern(part, left, pattern, found, header=header, day_first=day_first)
    np.copyto(found.odd, filled & ~found.known)
    if found.odd.any():
        _refuse_serials(texts.filter(pa.array(found.odd)), header)
    return found


def _read_pattern(
    texts: Arrow,
    rows: IntArray,
    pattern: str,
    found: Stamps,
    *,
    header: str,
    day_first: bool | None,
) -> None:
    """Read those texts that fit one pattern."""
    pa = arrow()
    parts = pa.compute.extract_regex(texts, pattern=pattern)
    fits = mask(parts.is_valid())
    if not fits.any():
        return
    parts, rows = parts.filter(pa.array(fits)), rows[fits]
    if "(?P<one>" in pattern:
        one, two = _whole(parts, "one"), _whole(parts, "two")
        if day_first is None:
            day_first = _is_day_first(one, two, texts.filter(pa.array(fits)), header)
        day, month = (one, two) if day_first else (two, one)
    elif "(?P<name>" in pattern:
        starts = pa.compute.utf8_lower(pa.compute.utf8_slice_codeunits(_part(parts, "name"), 0, 3))
        known = pa.array(_STARTS, starts.type)
        month = numbers(pa.compute.index_in(starts, value_set=known), -1).astype(np.int64) + 1
        day = _whole(parts, "day")
    else:
        month, day = _whole(parts, "month"), _whole(parts, "day")
    days, right = _days(_whole(parts, "year"), month, day)
    clock, timed, zoned, on_time = _clock(parts)
    right &= on_time
    micros = days * DAY + clock
    found.fill(rows[right], micros[right], timed[right], zoned[right])


def _is_day_first(one: IntArray, two: IntArray, texts: Arrow, header: str) -> bool:
    """Tell from the values of a column which of its two first numbers is the day."""
    by_day, by_month = np.flatnonzero(one > 12), np.flatnonzero(two > 12)
    if len(by_day) and len(by_month):
        msg = (
            f"column {header!r} mixes dates that begin with the day "
            f"({texts[int(by_day[0])].as_py()!r}) and with the month "
            f"({texts[int(by_month[0])].as_py()!r}). Pass day_first=True or False to say which is "
            "right; the others become findings."
        )
        raise ReadError(msg)
    either = np.flatnonzero(one != two)
    if len(by_day) or len(by_month) or not len(either):
        return len(by_day) > 0
    text = texts[int(either[0])].as_py()
    day, month = one[either[0]], two[either[0]]
    msg = (
        f"column {header!r} is ambiguous: {text!r} can be day {day} of month {month} or day "
        f"{month} of month {day}, and no other value decides it. Pass day_first=True or False."
    )
    raise ReadError(msg)


def _part(parts: Arrow, name: str) -> Arrow:
    """Return what one group of a pattern has caught."""
    return arrow().compute.struct_field(parts, name)


def _whole(parts: Arrow, name: str) -> IntArray:
    """Return the number in one group of a pattern; 0 where it caught nothing."""
    pa = arrow()
    text = _part(parts, name)
    text = pa.compute.if_else(pa.compute.equal(text, ""), "0", text)
    return numbers(text.cast(pa.int64()), 0)


def _days(year: IntArray, month: IntArray, day: IntArray) -> tuple[IntArray, BoolArray]:
    """(n,), (n,), (n,) -> (n,), (n,): days since 1970-01-01, and whether there is such a day."""
    right = (year >= 1) & (month >= 1) & (month <= 12) & (day >= 1)
    months = np.where(right, (year - 1970) * 12 + month - 1, 0)
    first, following = (
        shifted.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
        for shifted in (months, months + 1)
    )
    days = first + day - 1
    return days, right & (days < following)


def _clock(parts: Arrow) -> tuple[IntArray, BoolArray, BoolArray, BoolArray]:
    """Return microseconds since midnight UTC, and masks: has a time, has a zone, is a time."""
    compute = arrow().compute
    hour, minute, second = (_whole(parts, name) for name in ("hour", "minute", "second"))
    half = compute.utf8_lower(_part(parts, "half"))
    morning, evening = mask(compute.equal(half, "am")), mask(compute.equal(half, "pm"))
    right = np.where(morning | evening, (hour >= 1) & (hour <= 12), hour < 24)
    right &= (minute < 60) & (second < 60)
    hour = np.where(morning | evening, hour % 12 + 12 * evening, hour)
    fraction = compute.utf8_rpad(_part(parts, "fraction"), width=6, padding="0")
    fraction = compute.utf8_slice_codeunits(fraction, start=0, stop=6)
    micros = numbers(fraction.cast("int64"), 0)
    zone = _part(parts, "zone")
    zoned = mask(compute.not_equal(zone, ""))
    digits = compute.replace_substring_regex(zone, pattern="[^0-9]", replacement="")
    digits = compute.if_else(compute.equal(digits, ""), "0", digits)
    ahead = numbers(digits.cast("int64"), 0)
    behind = mask(compute.starts_with(zone, "-"))
    minutes = np.where(behind, -1, 1) * (ahead // 100 * 60 + ahead % 100)
    seconds = (hour * 60 + minute - minutes) * 60 + second
    timed = mask(compute.not_equal(_part(parts, "hour"), ""))
    return seconds * SECOND + micros, timed, zoned, right


def _read_epoch(texts: Arrow, found: Stamps) -> None:
    """Read seconds and milliseconds since 1970."""
    pa = arrow()
    fits = mask(pa.compute.match_substring_regex(texts, _EPOCH))
    if fits.any():
        values = numbers(texts.filter(pa.array(fits)).cast(pa.int64()), 0)
        micros = np.where(values < 10**10, values * SECOND, values * 1_000)
        true = np.ones(len(values), dtype=np.bool_)
        found.fill(np.flatnonzero(fits), micros, true, true)


def _refuse_serials(texts: Arrow, header: str) -> None:
    """Raise for a day number of Excel, which counts from 1900 or from 1904."""
    serials = texts.filter(arrow().compute.match_substring_regex(texts, _SERIAL))
    if len(serials):
        serial = float(serials[0].as_py())
        day = np.datetime64("1899-12-30") + np.timedelta64(int(serial), "D")
        msg = (
            f"column {header!r} holds day numbers of Excel such as {serial:g}, which is "
            f"{day} or, by the other of its two calendars, "
            "1,462 days later. Format the column as dates (YYYY-MM-DD) and export it again."
        )
        raise ReadError(msg)
