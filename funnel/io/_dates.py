"""Columns of dates and time stamps as days of the business time zone.

Texts are read in the forms that are written the same way everywhere (``2026-06-30``,
``2026-06-30T14:05:00Z``, ``2026/6/30``, ``2026年6月30日``, ``20260630``, ``30 Jun 2026``,
milliseconds since 1970), and as ``30/06/2026`` or ``06/30/2026`` where the column itself shows
which one it is. Nothing is guessed: what can be read in two ways is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import attrs
import numpy as np

from funnel.errors import ReadError
from funnel.io import _zones
from funnel.io._arrow import Arrow, arrow, is_text, mask, numbers, to_text
from funnel.io._datetexts import Stamps, read_texts
from funnel.tables import Findings
from funnel.typing import NO_DAY

if TYPE_CHECKING:
    from funnel.typing import BoolArray, DayArray, IntArray

_FORMS = "Write dates as YYYY-MM-DD."


@attrs.frozen
class Clock:
    """How the dates of a source are to be understood.

    Parameters
    ----------
    timezone : str
        Business time zone, in which time stamps are cut to days.
    source_timezone : str or None
        Zone of time stamps that name none; the business zone by default.
    day_first : bool or None
        Whether 03/04/2026 is 3 April; None leaves it to the column.
    """

    timezone: str = "UTC"
    source_timezone: str | None = None
    day_first: bool | None = None

    def __attrs_post_init__(self) -> None:
        """Check the zones, also where no time stamp needs them."""
        for name in ("timezone", "source_timezone"):
            value = getattr(self, name)
            if value not in {None, "UTC"}:
                _zones.zone(value, parameter=name)


class Moments(NamedTuple):
    """Days, and the moments behind them where they are known more finely."""

    day: DayArray
    time: IntArray | None


def read_moments(
    column: Arrow, header: str, *, name: str, clock: Clock, action: str
) -> tuple[Moments, Findings]:
    """Read a column of dates; what is none is reported as `action` and left without a day."""
    if arrow().types.is_date(column.type):
        days = numbers(column.cast(arrow().date32()).cast(arrow().int32()), NO_DAY)
        return Moments(days, None), Findings.empty()
    stamps = _stamps(column, header, name, clock)
    bad = np.flatnonzero(stamps.odd)
    # A column that is mostly filled, and never with a date, is another column.
    if 2 * len(bad) > len(column) and not stamps.known.any():
        msg = (
            f"column {header!r} holds no dates, so it cannot be {name} "
            f"(first: {column[int(bad[0])].as_py()!r:.60}, row {bad[0]}). {_FORMS}"
        )
        raise ReadError(msg)
    spelt = column.take(arrow().array(bad)).to_pylist()
    findings = Findings.empty().add(name, f"{name}-unreadable", action, bad, spelt)
    return _place(stamps, clock), findings


def _stamps(column: Arrow, header: str, name: str, clock: Clock) -> Stamps:
    """Read a column of any type that can hold dates."""
    pa = arrow()
    kind = column.type
    if pa.types.is_null(kind):
        return Stamps.blank(len(column))
    if is_text(kind):
        return read_texts(column, header, day_first=clock.day_first)
    if pa.types.is_temporal(kind):
        return _from_temporal(column)
    if pa.types.is_boolean(kind):
        msg = f"column {header!r} must hold dates for {name}, and holds {kind}. {_FORMS}"
        raise ReadError(msg)
    # Whole numbers: milliseconds or seconds since 1970, or YYYYMMDD.
    return read_texts(to_text(column), header, day_first=None)


def _from_temporal(column: Arrow) -> Stamps:
    """Read typed time stamps."""
    pa = arrow()
    known = mask(column.is_valid())
    none = np.zeros(len(column), dtype=np.bool_)
    micros = column.cast(pa.timestamp("us", column.type.tz), safe=False).cast(pa.int64())
    found = numbers(micros, 0)
    zoned = known & (column.type.tz is not None)
    # A column that is midnight throughout holds dates, in a frame library without a type for them.
    timed = known & (zoned | (found % _zones.DAY != 0).any())
    return Stamps(found, known, none, timed, zoned)


def _place(stamps: Stamps, clock: Clock) -> Moments:
    """Cut moments to days in the business zone; dates without a time stay the day they name."""
    moments, source = stamps.micros, clock.source_timezone
    utc: BoolArray = stamps.zoned
    if source is not None and source != clock.timezone:
        naive = stamps.timed & ~stamps.zoned
        moments = moments.copy()
        moments[naive] = _zones.to_utc(moments[naive], source)
        utc = utc | naive
    wall = moments
    if utc.any():
        wall = moments.copy()
        wall[utc] = _zones.to_wall(moments[utc], clock.timezone)
    days = np.empty(len(wall), dtype=np.int32)
    np.floor_divide(wall, _zones.DAY, out=days, casting="unsafe")
    days[~stamps.known] = NO_DAY
    if not stamps.timed.any():
        return Moments(days, None)
    # UTC orders changes rightly where the clock is put back, if every moment is known in it.
    return Moments(days, moments if utc[stamps.known].all() else wall)
