"""Booked money by the rows of a table of targets, and how it is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

import attrs
import numpy as np

from funnel.calendars import to_date, to_dates
from funnel.errors import SchemaMismatchError, ValidationError
from funnel.kernels.labels import texts
from funnel.metrics._ages import ratio
from funnel.metrics._attainment_rows import PeriodAmounts, listed
from funnel.metrics._attainment_sums import CellSums, currencies
from funnel.metrics._journeys import lives
from funnel.results import ResultTable
from funnel.stages import Outcome

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

    import numpy.typing as npt

    from funnel.tables import History, Schema
    from funnel.typing import DateLike, DayArray, FloatArray, IntArray, StringArray

__all__ = ["Attainment", "AttainmentSummary", "passed", "summarize_attainment"]

UNKNOWN, UNSET = "not in the history", "no target"
BEFORE, PARTLY = "before the history", "history begins later"


@attrs.frozen(eq=False)
class AttainmentSummary:
    """Wins, wins of unknown amount, and money by cell of the targets; merges with that of others.

    Parameters
    ----------
    targets : Targets
        The rows.
    schema : Schema
        Columns and categories.
    window : (int, int)
        First and last observed day.
    sums : CellSums
        The sums.
    currencies : frozenset of str
        Of the booked money.
    """

    targets: PeriodAmounts
    schema: Schema
    window: tuple[int, int]
    sums: CellSums
    currencies: frozenset[str]

    def merge(self, other: AttainmentSummary, /) -> AttainmentSummary:
        """Add the sums of other deals.

        Raises
        ------
        SchemaMismatchError
            When the summaries are of different schemas, windows or targets.
        """
        self.schema.require_same(other.schema)
        self.targets.require_same(other.targets)
        if self.window != other.window:
            raise SchemaMismatchError(
                "summaries must be of one observed window; these are not. "
                "Summarize all chunks with the same arguments."
            )
        return attrs.evolve(
            self,
            sums=self.sums.merge(other.sums),
            currencies=self.currencies | other.currencies,
        )

    def table(self, *, profile: npt.ArrayLike | None = None) -> Attainment:
        """Return one row for each target, and for each group that booked without one."""
        self.targets.check_currency(self.currencies)
        first, as_of = self.window
        n = len(self.targets)
        cells, sums = self.sums.shown(n)
        row, keys, target = self.targets.rows_of(cells, self.schema)
        start, end = self.targets.start[row], self.targets.end[row]
        mark = np.full(len(cells), UNSET, dtype=object)
        mark[:n] = np.where(self.targets.own_codes(self.schema)[0] >= 0, "", UNKNOWN)
        unseen = (mark != UNKNOWN) & (start < first)
        mark = np.where(unseen, np.where(end <= first, BEFORE, PARTLY), mark)
        hidden = (mark == UNKNOWN) | (mark == BEFORE)
        found = Attainment(
            keys=keys,
            labels=self.targets.labels[row],
            start=start,
            end=end,
            target=target,
            booked=np.where(hidden, np.nan, sums[:, 2]),
            won=sums[:, 0].astype(np.int64),
            passed=passed(start, end, as_of, profile),
            mark=texts(mark),
            as_of=as_of,
            notes=(),
        )
        return attrs.evolve(found, notes=_said(found, to_date(first), sums[:, 1].sum()))


def _said(found: Attainment, first: dt.date | None, unpriced: float) -> tuple[str, ...]:
    """Say what to mind."""
    notes = []
    for mark, what in (
        (UNKNOWN, "targets of groups that are not in the history"),
        (BEFORE, "rows of periods before the history begins"),
        (PARTLY, f"rows of periods that began before the history, which is from {first}"),
        (UNSET, "rows were booked without a target"),
    ):
        rows = np.flatnonzero(found.mark == mark).tolist()
        if rows:
            columns = (*found.keys.values(), found.labels)
            named = (", ".join(column[row] for column in columns) for row in rows)
            notes.append(f"{len(rows):,} {what}: {listed(named)}")
    if unpriced:
        notes.append(f"{unpriced:,.0f} wins have no known amount: counted as won, not booked")
    return tuple(notes)


def summarize_attainment(
    history: History, /, *, targets: PeriodAmounts, as_of: DateLike | None = None
) -> AttainmentSummary:
    """Add up what the deals of a history, or of a chunk, booked; see `attainment`.

    Examples
    --------
    >>> from funnel.metrics.attainment import Targets
    >>> from funnel.testing import fixtures
    >>> year = Targets.from_columns(target=[1e6], start="2024-01-01", last="2024-12-31")
    >>> summary = summarize_attainment(fixtures.history(), targets=year)
    >>> summary.merge(summary).table().won.tolist()
    [120]
    """
    history = history if as_of is None else history.until(as_of)
    own = targets.own_codes(history.schema)
    life = lives(history)
    won = np.flatnonzero(life.outcome == Outcome.WON)
    rows, days = life.last_row[won], life.closed[won]
    cell = targets.cells(own, targets.codes_of(history.columns, rows, own[1]), days)
    amount = history.columns["amount"][rows]
    unknown = np.isnan(amount)
    money = np.where(unknown, 0.0, amount)
    used = rows[(cell >= 0) & ~unknown]
    return AttainmentSummary(
        targets=targets,
        schema=history.schema,
        window=(history.observed_from, history.observed_until),
        sums=CellSums.of(cell, (np.ones(len(rows)), unknown, money)),
        currencies=currencies(history, used),
    )


def passed(start: DayArray, end: DayArray, as_of: int, profile: npt.ArrayLike | None) -> FloatArray:
    """(n,), (n,) -> (n,): share of each period's weight that lies on or before `as_of`."""
    length = end.astype(np.int64) - start
    part = np.clip((as_of + 1 - start.astype(np.int64)) / length, 0.0, 1.0)
    if profile is None:
        return np.asarray(part)
    weights = np.asarray(profile, dtype=np.float64)
    valid = weights.ndim == 1 and len(weights) and bool(np.all(np.isfinite(weights)))
    if not valid or np.any(weights < 0.0) or not weights.sum() > 0.0:
        rule = "must be weights >= 0 of equal parts of a period, not all 0"
        raise ValidationError.from_value("profile", rule, weights.tolist(), "")
    reached = np.concatenate(([0.0], np.cumsum(weights) / weights.sum()))
    return np.asarray(np.interp(part, np.linspace(0.0, 1.0, len(reached)), reached))


@attrs.frozen(eq=False)
class Attainment(ResultTable):
    """Targets against what was booked, see `attainment`.

    Parameters
    ----------
    keys : mapping of str to (n,) str
        The groups.
    labels : (n,) str
        The periods.
    start, end : (n,) int32
        First day, and the day after the last.
    target, booked : (n,) float64
        Major units; the target is NaN where none was set, booked NaN where nothing can be known.
    won : (n,) int64
        Deals won in the period.
    passed : (n,) float64
        Share of the period, or of the weight of its profile, that has passed.
    mark : (n,) str
        ``""``, ``"not in the history"``, ``"no target"``, ``"before the history"`` or ``"history
        begins later"``.
    as_of : int
        Day (its end) of all this.
    notes : tuple of str
        What to mind.
    expected, low, high : (n,) float64 or None
        A forecast of the whole period, see `with_forecast`.
    """

    percents: ClassVar[frozenset[str]] = frozenset({"attainment", "passed", "pacing"})
    hidden: ClassVar[frozenset[str]] = frozenset({"start", "end"})

    keys: Mapping[str, StringArray]
    labels: StringArray
    start: DayArray
    end: DayArray
    target: FloatArray
    booked: FloatArray
    won: IntArray
    passed: FloatArray
    mark: StringArray
    as_of: int
    notes: tuple[str, ...]
    expected: FloatArray | None = None
    low: FloatArray | None = None
    high: FloatArray | None = None

    @property
    def attainment(self) -> FloatArray:
        """Booked / target; NaN where the target is 0 or unknown, (n,)."""
        return ratio(self.booked, self.target)

    @property
    def pacing(self) -> FloatArray:
        """Attainment / share of the period passed: 1 is on pace; NaN before it begins, (n,)."""
        return ratio(self.attainment, self.passed)

    @property
    def gap(self) -> FloatArray:
        """Target - booked: what is still to be booked; negative beyond the target, (n,)."""
        return self.target - self.booked

    def with_forecast(
        self,
        expected: npt.ArrayLike,
        /,
        *,
        low: npt.ArrayLike | None = None,
        high: npt.ArrayLike | None = None,
    ) -> Self:
        """Put a forecast of everything booked in each period beside the target.

        Parameters
        ----------
        expected : (n,) float
            One number for each row of this table, of the whole period: what has been booked
            counts. NaN where there is no forecast.
        low, high : (n,) float, optional
            An interval, or two other quantiles.

        Raises
        ------
        ValidationError
            When there is not one number a row.
        """
        given = {"expected": expected, "low": low, "high": high}
        found: dict[str, Any] = {}
        for name, values in given.items():
            if values is None:
                continue
            found[name] = np.array(values, dtype=np.float64)
            if found[name].shape != self.target.shape:
                rule = f"must hold one number for each of the {len(self.target):,} rows"
                raise ValidationError.from_value(name, rule, f"shape {found[name].shape}", "")
        return attrs.evolve(self, **found)

    def to_columns(self) -> dict[str, Any]:
        """Return one row for each group and period; `still_missing` is target - expected."""
        found = {
            **self.keys,
            "period": self.labels,
            "start": to_dates(self.start),
            "end": to_dates(self.end),
            "target": self.target,
            "won": self.won,
            "booked": self.booked,
            "attainment": self.attainment,
            "passed": self.passed,
            "pacing": self.pacing,
            "gap": self.gap,
        }
        for name in ("expected", "low", "high"):
            if getattr(self, name) is not None:
                found[name] = getattr(self, name)
        if self.expected is not None:
            found["still_missing"] = self.target - self.expected
        return {**found, "mark": self.mark}

    @property
    def _title(self) -> str:
        """Return the heading."""
        return f"Targets and bookings as of {to_date(self.as_of)}"

    @property
    def _notes(self) -> tuple[str, ...]:
        """Return what to mind."""
        return self.notes
