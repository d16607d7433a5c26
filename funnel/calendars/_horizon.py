"""The periods that a forecast is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import attrs
import numpy as np

from funnel.calendars._calendar import Calendar
from funnel.calendars._days import date_of, to_dates, to_day, to_days
from funnel.calendars._edges import as_edges, as_labels, check_edges, check_labels
from funnel.calendars._periods import check_count, parse_length, period_label
from funnel.calendars._schema import fields_of, strings_of

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import numpy.typing as npt

    from funnel.calendars._periods import Unit
    from funnel.typing import DateArray, DateLike, DayArray, IntArray

_SCHEMA = "funnel.Horizon/1"
_STANDARD = Calendar()


@attrs.frozen(repr=False)
class Horizon:
    """Contiguous periods, each half-open: a period contains its first day, not its last edge.

    Parameters
    ----------
    edges : (k + 1,) array-like of dates
        First day of every period, and the day after the last; increasing.
        Kept as int32 days since 1970-01-01, owned and read-only.
    labels : iterable of str, (k,)
        A unique name for each period.

    Raises
    ------
    ValidationError
        If there is no period, an edge is missing or not after the one before, or the labels are
        too many, too few, empty or not unique.

    Examples
    --------
    >>> quarters = Horizon.quarters("2026-08-15", 4)
    >>> quarters
    Horizon(4 periods, 2026-07-01 to 2027-07-01)
    >>> quarters.labels
    ('2026-Q3', '2026-Q4', '2027-Q1', '2027-Q2')
    >>> quarters.period_of(["2026-06-30", "2026-07-01", "2027-06-30", "2027-07-01"]).tolist()
    [-1, 0, 3, -1]
    """

    edges: DayArray = attrs.field(converter=as_edges, validator=check_edges, eq=np.ndarray.tobytes)
    labels: tuple[str, ...] = attrs.field(converter=as_labels, validator=check_labels, kw_only=True)

    @classmethod
    def days(cls, start: DateLike, n: int) -> Self:
        """Return one period of `n` days that starts on `start`.

        Parameters
        ----------
        start : date
            The first day.
        n : int
            Length of the period in days.

        Returns
        -------
        Horizon
            Of one period.

        Raises
        ------
        ValidationError
            If the date or the number is wrong.

        Examples
        --------
        >>> Horizon.days("2026-07-01", 30).labels
        ('2026-07-01 +30d',)
        """
        first = to_day(start, name="start")
        days = check_count(n, first)
        edges = np.array([first, first + days])
        return cls(edges, labels=(f"{np.datetime64(first, 'D')} +{days}d",))

    @classmethod
    def weeks(cls, start: DateLike, n: int, *, calendar: Calendar = _STANDARD) -> Self:
        """Return `n` weeks, of which the first contains `start`.

        Parameters
        ----------
        start : date
            Any day of the first week.
        n : int
            How many weeks.
        calendar : Calendar
            Says on which day a week starts.

        Returns
        -------
        Horizon
            Labelled by ISO week where weeks start on Monday, by first day where they do not.

        Raises
        ------
        ValidationError
            If the date or the number is wrong.

        Examples
        --------
        >>> Horizon.weeks("2026-07-01", 2).labels
        ('2026-W27', '2026-W28')
        """
        return cls._periods(start, n, "week", calendar)

    @classmethod
    def months(cls, start: DateLike, n: int, *, calendar: Calendar = _STANDARD) -> Self:
        """Return `n` months, of which the first contains `start`.

        Parameters
        ----------
        start : date
            Any day of the first month.
        n : int
            How many months.
        calendar : Calendar
            Says whether months are calendar months or 4-4-5 weeks.

        Returns
        -------
        Horizon
            Labelled as ``2026-07``, or ``FY2027-P01`` with a pattern.

        Raises
        ------
        ValidationError
            If the date or the number is wrong.

        Examples
        --------
        >>> Horizon.months("2026-12-24", 2).labels
        ('2026-12', '2027-01')
        """
        return cls._periods(start, n, "month", calendar)

    @classmethod
    def quarters(cls, start: DateLike, n: int, *, calendar: Calendar = _STANDARD) -> Self:
        """Return `n` quarters of the fiscal year, of which the first contains `start`.

        Parameters
        ----------
        start : date
            Any day of the first quarter.
        n : int
            How many quarters.
        calendar : Calendar
            Says when the fiscal year starts.

        Returns
        -------
        Horizon
            Labelled as ``2026-Q3``, or ``FY2027-Q1`` where the fiscal year is not the calendar's.

        Raises
        ------
        ValidationError
            If the date or the number is wrong.

        Examples
        --------
        >>> Horizon.quarters("2026-07-01", 2, calendar=Calendar(fiscal_year_start=7)).labels
        ('FY2027-Q1', 'FY2027-Q2')
        """
        return cls._periods(start, n, "quarter", calendar)

    @classmethod
    def years(cls, start: DateLike, n: int, *, calendar: Calendar = _STANDARD) -> Self:
        """Return `n` fiscal years, of which the first contains `start`.

        Parameters
        ----------
        start : date
            Any day of the first year.
        n : int
            How many years.
        calendar : Calendar
            Says when the fiscal year starts.

        Returns
        -------
        Horizon
            Labelled as ``2026``, or ``FY2027`` where the fiscal year is not the calendar's.

        Raises
        ------
        ValidationError
            If the date or the number is wrong.

        Examples
        --------
        >>> Horizon.years("2026-07-01", 2)
        Horizon(2 periods, 2026-01-01 to 2028-01-01)
        """
        return cls._periods(start, n, "year", calendar)

    @classmethod
    def custom(
        cls, edges: npt.ArrayLike | Sequence[DateLike], *, labels: Iterable[str] | None = None
    ) -> Self:
        """Return the periods between given dates.

        Parameters
        ----------
        edges : (k + 1,) array-like of dates
            First day of every period, and the day after the last; increasing.
        labels : iterable of str, (k,), or None
            Names of the periods; None names each by its first day.

        Returns
        -------
        Horizon

        Raises
        ------
        ValidationError
            As for `Horizon` itself.

        Examples
        --------
        >>> Horizon.custom(["2026-07-01", "2026-07-15", "2026-08-01"]).labels
        ('2026-07-01', '2026-07-15')
        """
        days = to_days(edges, name="edges")
        names = to_dates(days[:-1]).astype(str).tolist() if labels is None else labels
        return cls(days, labels=names)

    @classmethod
    def parse(cls, text: str, start: DateLike, *, calendar: Calendar = _STANDARD) -> Self:
        """Return the periods that a short text asks for.

        Parameters
        ----------
        text : str
            A number and a unit: ``4q``, ``6m``, ``13w``, ``2y`` or, for one period, ``30d``.
        start : date
            Any day of the first period; the first day itself for ``d``.
        calendar : Calendar
            Says when weeks and fiscal years start.

        Returns
        -------
        Horizon

        Raises
        ------
        ValidationError
            If the text or the date is wrong.

        Examples
        --------
        >>> Horizon.parse("6m", "2026-07-01")
        Horizon(6 periods, 2026-07-01 to 2027-01-01)
        """
        n, unit = parse_length(text)
        return cls.days(start, n) if unit == "day" else cls._periods(start, n, unit, calendar)

    @classmethod
    def _periods(cls, start: DateLike, n: int, unit: Unit, calendar: Calendar) -> Self:
        """Return labelled periods of one kind."""
        edges = calendar.periods(start, n, unit)
        return cls(
            edges, labels=[period_label(calendar, first, unit) for first in edges[:-1].tolist()]
        )

    @property
    def start(self) -> dt.date:
        """First day of the first period."""
        return date_of(self.edges[0])

    @property
    def end(self) -> dt.date:
        """Day after the last period."""
        return date_of(self.edges[-1])

    @property
    def starts(self) -> DateArray:
        """First day of each period, (k,) datetime64[D]."""
        return to_dates(self.edges[:-1])

    @property
    def ends(self) -> DateArray:
        """Day after each period, (k,) datetime64[D]."""
        return to_dates(self.edges[1:])

    def period_of(self, days: npt.ArrayLike | Sequence[DateLike | None]) -> IntArray:
        """Return the period in which each day lies.

        Parameters
        ----------
        days : (n,) array-like
            Dates, or days since 1970-01-01; no date lies in no period.

        Returns
        -------
        (n,) int64
            Position of the period, -1 outside of the horizon.

        Raises
        ------
        ValidationError
            If some of the values are no dates.

        Examples
        --------
        >>> Horizon.months("2026-07-01", 2).period_of(["2026-08-31", "2026-09-01"]).tolist()
        [1, -1]
        """
        position = np.searchsorted(self.edges, to_days(days, name="days"), side="right") - 1
        return np.where(position < len(self), position, -1)

    def whole(self) -> Self:
        """Return one period from start to end.

        Returns
        -------
        Horizon
            Labelled by the first and the last period; a single period stays as it is.

        Examples
        --------
        >>> Horizon.quarters("2026-07-01", 4).whole().labels
        ('2026-Q3 to 2027-Q2',)
        """
        if len(self) == 1:
            return self
        return type(self)(self.edges[[0, -1]], labels=(f"{self.labels[0]} to {self.labels[-1]}",))

    def __len__(self) -> int:
        """Return the number of periods."""
        return len(self.edges) - 1

    def __iter__(self) -> Iterator[tuple[str, dt.date, dt.date]]:
        """Yield label, first day and the day after the last, period by period."""
        return zip(self.labels, self.starts.tolist(), self.ends.tolist(), strict=True)

    def __repr__(self) -> str:
        """Return the number of periods, and what they cover."""
        periods = f"{len(self):,} period{'s' if len(self) > 1 else ''}"
        return f"Horizon({periods}, {self.start} to {self.end})"

    def to_dict(self) -> dict[str, object]:
        """Return the horizon as plain types, fit for JSON.

        Returns
        -------
        dict
            With the key ``"schema"``; dates are ISO strings.

        Examples
        --------
        >>> Horizon.years("2026-07-01", 1).to_dict()
        {'schema': 'funnel.Horizon/1', 'edges': ['2026-01-01', '2027-01-01'], 'labels': ['2026']}
        """
        edges = to_dates(self.edges).astype(str).tolist()
        return {"schema": _SCHEMA, "edges": edges, "labels": list(self.labels)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Build a horizon from what `to_dict` returned.

        Parameters
        ----------
        data : mapping
            Edges and labels with the key ``"schema"``.

        Returns
        -------
        Horizon

        Raises
        ------
        ValidationError
            If the schema is another one, or a field is missing, unknown or wrong.

        Examples
        --------
        >>> Horizon.from_dict(Horizon.months("2026-07-01", 3).to_dict())
        Horizon(3 periods, 2026-07-01 to 2026-10-01)
        """
        fields = fields_of(data, _SCHEMA, ("edges", "labels"))
        return cls(
            strings_of(fields["edges"], "edges"), labels=strings_of(fields["labels"], "labels")
        )
