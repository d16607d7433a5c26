"""What people said they would book, and on which day they said it."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Self

import attrs
import numpy as np

from funnel.calendars import to_date, to_dates, to_day
from funnel.errors import UnknownColumnError, ValidationError
from funnel.forecasting import _submissions_rows as rows_
from funnel.kernels.arrays import frozen
from funnel.kernels.labels import texts
from funnel.results import ResultTable
from funnel.stages import ForecastCategory
from funnel.tables import Findings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from funnel.calendars import Horizon
    from funnel.typing import BoolArray, DateLike, DayArray, FloatArray, IntArray, StringArray

__all__ = ["MANAGERS_CALL", "Submissions"]

MANAGERS_CALL = "manager's call"
"""The kind of a submission that a manager makes on top of those of the team."""

_CALLS = frozenset({"managers call", "manager call", "call", "judgement", "judgment"})
OWN = ("submitted_on", "owner", "kind", "start", "end", "amount")


@functools.cache
def kind_name(text: str) -> str:
    """Return a kind as it is spelt here; what is not one of the usual kinds keeps its name."""
    spelt = " ".join(text.casefold().replace("_", " ").replace("-", " ").split())
    if spelt.replace("'", "").replace("’", "") in _CALLS:
        return MANAGERS_CALL
    try:
        return ForecastCategory.parse(spelt).value
    except ValidationError:
        return spelt


@attrs.frozen(eq=False, repr=False)
class Submissions(ResultTable):
    """Dated forecasts of people: one row for each day, person, kind and period.

    An amount is the person's figure for everything that is booked in the period, from its first
    day on: what has been booked already counts. `until` is the only door to the past.

    Build one with `from_columns`, or read it with `funnel.io.read_submissions`.

    Parameters
    ----------
    submitted_on : (n,) int32
        Day (its end) on which it was said, before the end of the period.
    owner : (n,) str
        Whose bookings it speaks of: a value of the history's column ``"owner"``, or of another
        one (a team's in ``"team"``, for what its manager calls).
    kind : (n,) str
        ``"commit"``, ``"best case"``, ``"pipeline"``, ``"manager's call"``, or a name of your own.
    start, end : (n,) int32
        The period: its first day, and the day after it.
    amount : (n,) float64
        Major units, at least 0.
    attributes : mapping of str to (n,) str
        Further columns, such as the team.
    currency : str
        Of all amounts; ``""`` where it was not said.
    findings : Findings
        What was left out.

    Examples
    --------
    >>> import funnel as fn
    >>> from funnel.forecasting.submissions import Submissions
    >>> submissions = Submissions.from_columns(
    ...     submitted_on=["2026-07-06", "2026-07-13", "2026-07-06"], owner=["Ann", "Ann", "Bo"],
    ...     kind="commit", period="2026-Q3", periods=fn.Horizon.quarters("2026-07-01", 1),
    ...     amount=[100.0, 120.0, 80.0], team="north",
    ... )
    >>> submissions
    Submissions(3 rows, 2 owners, commit, 2026-07-06 to 2026-07-13)
    >>> submissions.until("2026-07-10").amount.tolist()
    [100.0, 80.0]
    >>> quarter = fn.Horizon.quarters("2026-07-01", 1)
    >>> submissions.latest("2026-07-31", quarter).amount.tolist()
    [120.0, 80.0]
    """

    submitted_on: DayArray
    owner: StringArray
    kind: StringArray
    start: DayArray
    end: DayArray
    amount: FloatArray
    attributes: Mapping[str, StringArray]
    currency: str = ""
    findings: Findings = attrs.field(factory=Findings.empty)

    @classmethod
    def from_columns(
        cls,
        *,
        submitted_on: Any,  # noqa: ANN401 - any array-like
        owner: Any,  # noqa: ANN401
        amount: Any,  # noqa: ANN401
        kind: Any = "commit",  # noqa: ANN401
        start: Any = None,  # noqa: ANN401
        end: Any = None,  # noqa: ANN401
        last: Any = None,  # noqa: ANN401
        period: Any = None,  # noqa: ANN401
        periods: Horizon | None = None,
        currency: str = "",
        **attributes: Any,  # noqa: ANN401
    ) -> Self:
        """Build the table from one value per row, in any order.

        Parameters
        ----------
        submitted_on : date or (n,) dates
            Day on which it was said.
        owner : (n,) str
            Whose bookings it speaks of.
        amount : (n,) float
            Major units, of everything booked in the period.
        kind : str or (n,) str
            Case, blanks, hyphens and underscores are free.
        start, end : date or (n,) dates, optional
            First day of the period, and the day after it.
        last : date or (n,) dates, optional
            Last day of the period, instead of `end`.
        period : str or (n,) str, optional
            Labels of `periods`, instead of days.
        periods : Horizon, optional
            The periods behind the labels.
        currency : str, optional
            Of all amounts.
        **attributes : str or (n,) str
            Further columns, such as ``team``.

        Returns
        -------
        Submissions
            Where an owner said two figures of one kind for one period on one day, the last row
            counts, and the others are in ``findings``.

        Raises
        ------
        ValidationError
            When an owner or amount is missing, an amount is negative or infinite, a period is
            empty or unknown, or something was said after the end of its period.
        """
        amounts = np.asarray(amount, dtype=object)
        length = len(amounts) if amounts.ndim else 0
        money = rows_.number_column("amount", amount, length)
        owners = rows_.text_column("owner", owner, length)
        named = rows_.text_column("kind", kind, length)
        on = rows_.day_column("submitted_on", submitted_on, length)
        given = {"start": start, "end": end, "last": last, "period": period}
        first, after = rows_.period_columns(given, periods, length)
        _check(owners, named, money)
        rows_.demand_periods(first, after, on, name="submitted_on")
        table = cls(
            submitted_on=on,
            owner=owners,
            kind=texts([kind_name(name) for name in named.tolist()]),
            start=first,
            end=after,
            amount=money,
            attributes={
                name: rows_.text_column(name, values, length) for name, values in attributes.items()
            },
            currency=currency,
        )
        return table._settled()

    def _settled(self) -> Self:
        """Return the rows in order, of those that contradict one another the last."""
        keys = (self.kind, self.start, self.end, self.owner, self.submitted_on)
        order = rows_.sorted_by(keys)
        counts = rows_.last_of_runs([key[order] for key in keys])
        repeated = np.sort(order[~counts])
        findings = self.findings.add(
            "owner",
            "duplicate-submission",
            "left out: a later row says another figure for the same day",
            repeated,
            self.owner[repeated],
        )
        return attrs.evolve(self.select(order[counts]), findings=findings)

    # -- selections ------------------------------------------------------------------------------

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.amount)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds that occur, sorted."""
        return tuple(sorted(set(self.kind.tolist())))

    def column(self, name: str) -> StringArray:
        """Return the column of texts called `name`, (n,).

        Raises
        ------
        UnknownColumnError
            When there is none.
        """
        columns = {"owner": self.owner, "kind": self.kind, **self.attributes}
        if name not in columns:
            raise UnknownColumnError(name, columns)
        return columns[name]

    def select(self, rows: BoolArray | IntArray) -> Self:
        """Return some rows: a mask (n,), or positions."""
        changed: dict[str, Any] = {name: frozen(getattr(self, name)[rows]) for name in OWN}
        changed["attributes"] = {
            name: frozen(column[rows]) for name, column in self.attributes.items()
        }
        return attrs.evolve(self, **changed)

    def of_kind(self, kind: str) -> Self:
        """Return the submissions of one kind, in any spelling."""
        return self.select(self.kind == kind_name(kind))

    def until(self, day: DateLike) -> Self:
        """Return what had been said at the end of `day`."""
        known = self.select(self.submitted_on <= to_day(day, name="day"))
        return attrs.evolve(known, findings=Findings.empty())

    def latest(self, as_of: DateLike, horizon: Horizon) -> Self:
        """Return the last submission of each owner, kind and period known at the end of `as_of`.

        Only periods that lie within one period of the horizon are there.
        """
        known = self.until(as_of)
        first = horizon.period_of(known.start)
        inside = (first >= 0) & (first == horizon.period_of(known.end - 1))
        return known.select(known.in_force(inside))

    def in_force(self, among: BoolArray) -> IntArray:
        """Return the last row of each owner, kind and period among some rows.

        Parameters
        ----------
        among : (n,) bool
            The rows that had been said by then.

        Returns
        -------
        (m,) int64
            Positions.
        """
        rows = np.flatnonzero(among)
        keys = (self.kind, self.start, self.end, self.owner)
        return rows[rows_.last_of_runs([key[rows] for key in keys])]

    def identical_to(self, other: Submissions) -> bool:
        """Tell whether both hold the same rows."""
        mine, theirs = self.to_columns(), other.to_columns()
        return (
            self.currency == other.currency
            and list(mine) == list(theirs)
            and all(np.array_equal(mine[name], theirs[name]) for name in mine)
        )

    # -- out -------------------------------------------------------------------------------------

    def to_columns(self) -> dict[str, np.ndarray[Any, Any]]:
        """Return one value per row by column; the end of a period is the day after it."""
        return {
            "submitted_on": to_dates(self.submitted_on),
            "owner": self.owner,
            "kind": self.kind,
            "start": to_dates(self.start),
            "end": to_dates(self.end),
            "amount": self.amount,
            **self.attributes,
        }

    @property
    def _title(self) -> str:
        """Return the heading."""
        return repr(self)

    def __repr__(self) -> str:
        """Return one line."""
        if not len(self):
            return "Submissions(0 rows)"
        days = self.submitted_on
        return (
            f"Submissions({len(self):,} rows, {len(set(self.owner.tolist())):,} owners, "
            f"{', '.join(self.kinds)}, {to_date(int(days.min()))} to {to_date(int(days.max()))})"
        )


def _check(owner: StringArray, kind: StringArray, amount: FloatArray) -> None:
    """Demand what every row must say."""

    def shown(row: int) -> str:
        """Spell out one row."""
        return f"{str(owner[row])!r}, {float(amount[row]):,.2f}"

    remedy = "Say whose bookings it speaks of."
    rows_.demand("owner", "must not be empty", owner == "", shown, remedy)
    rows_.demand("kind", "must not be empty", kind == "", shown, "Write 'commit', for instance.")
    remedy = "Leave out the row, or write 0 where nothing was promised."
    rows_.demand("amount", "must be known", np.isnan(amount), shown, remedy)
    broken = (amount < 0.0) | np.isinf(amount)
    rows_.demand("amount", "must be finite and >= 0", broken, shown, "Correct the amount.")
