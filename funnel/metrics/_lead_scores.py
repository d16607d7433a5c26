"""Points for the fit of a lead, added to a score and cut into grades with deadlines."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from funnel.calendars import to_date, to_dates
from funnel.errors import ValidationError, did_you_mean
from funnel.kernels.labels import texts
from funnel.results import ResultTable
from funnel.typing import NO_DAY

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from funnel.tables import Pipeline, Schema
    from funnel.typing import DayArray, FloatArray, IntArray, StringArray

__all__ = ["BANDS", "Band", "LeadScores", "NumberPoints", "Scorecard", "ValuePoints"]

SHOWN = 20


def _number(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """Demand a finite number."""
    del instance
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value):  # type: ignore[arg-type]
        raise ValidationError.from_value(attribute.name, "must be a finite number", value, "")


def _points_by_value(points: Mapping[str, float]) -> tuple[tuple[str, float], ...]:
    """Keep a mapping as pairs, so that the rule is hashable."""
    return tuple(dict(points).items())


def _steps(steps: Mapping[float, float]) -> tuple[tuple[float, float], ...]:
    """Keep thresholds and their points, the lowest threshold first."""
    return tuple(sorted(dict(steps).items()))


def _pairs(instance: object, attribute: attrs.Attribute[Any], value: tuple[Any, ...]) -> None:
    """Demand at least one pair, with numbers for points."""
    if not value:
        raise ValidationError.from_value(attribute.name, "must not be empty", value, "")
    for _, points in value:
        _number(instance, attribute, points)


def _thresholds(instance: object, attribute: attrs.Attribute[Any], value: tuple[Any, ...]) -> None:
    """Demand pairs of numbers."""
    _pairs(instance, attribute, value)
    for threshold, _ in value:
        _number(instance, attribute, threshold)


@attrs.frozen
class ValuePoints:
    """Points for the value of a category column.

    Parameters
    ----------
    column : str
        Such as industry.
    points : mapping of str to float
        Points by value.
    otherwise : float
        Points for any other value.
    unknown : float
        Points where the value is unknown.

    Examples
    --------
    >>> ValuePoints("industry", {"bank": 20, "retail": 10}).points
    (('bank', 20), ('retail', 10))
    """

    column: str
    points: tuple[tuple[str, float], ...] = attrs.field(
        converter=_points_by_value, validator=_pairs
    )
    otherwise: float = attrs.field(default=0.0, kw_only=True, validator=_number)
    unknown: float = attrs.field(default=0.0, kw_only=True, validator=_number)

    def score(self, schema: Schema, columns: Mapping[str, Any]) -> tuple[FloatArray, str]:
        """Return the points of each row, (n,), and a note on what never applies."""
        column = schema.column(self.column)
        if column.kind != "category":
            rule = "must be a category column for ValuePoints"
            remedy = f"It is a {column.kind} column: use NumberPoints."
            raise ValidationError.from_value("column", rule, self.column, remedy)
        by_value = dict(self.points)
        found = [by_value.get(name, self.otherwise) for name in column.categories]
        absent = [name for name in by_value if name not in column.categories]
        note = ""
        if absent:
            hint = did_you_mean(absent[0], column.categories)
            note = f"{self.column} is never {absent[0]!r}: these points do not apply. {hint}"
        return np.array([*found, self.unknown], dtype=np.float64)[columns[self.column]], note


@attrs.frozen
class NumberPoints:
    """Points for a number that reaches thresholds; the highest one reached counts.

    Parameters
    ----------
    column : str
        A number column, such as employees, or ``"amount"``.
    at_least : mapping of float to float
        Points by threshold.
    below : float
        Points under the lowest threshold.
    unknown : float
        Points where the number is unknown.

    Examples
    --------
    >>> NumberPoints("employees", {1000: 30, 100: 15}).at_least
    ((100, 15), (1000, 30))
    """

    column: str
    at_least: tuple[tuple[float, float], ...] = attrs.field(converter=_steps, validator=_thresholds)
    below: float = attrs.field(default=0.0, kw_only=True, validator=_number)
    unknown: float = attrs.field(default=0.0, kw_only=True, validator=_number)

    def score(self, schema: Schema, columns: Mapping[str, Any]) -> tuple[FloatArray, str]:
        """Return the points of each row, (n,), and no note."""
        column = schema.column(self.column)
        if column.kind != "number":
            rule = "must be a number column for NumberPoints"
            remedy = f"It is a {column.kind} column."
            raise ValidationError.from_value("column", rule, self.column, remedy)
        values = columns[self.column]
        thresholds, points = zip(*self.at_least, strict=True)
        step = np.searchsorted(np.array(thresholds, dtype=np.float64), values, side="right")
        found = np.array([self.below, *points], dtype=np.float64)[step]
        return np.where(np.isnan(values), self.unknown, found), ""


def _deadline(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """Demand a whole number of days, or None."""
    del instance
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool) and value >= 0
    if value is not None and not whole:
        rule, remedy = "must be a whole number >= 0, or None", "None sets no deadline."
        raise ValidationError.from_value(attribute.name, rule, value, remedy)


def _not_nan(instance: object, attribute: attrs.Attribute[Any], value: float) -> None:
    """Demand a number, which may be minus infinity."""
    if value != -math.inf:
        _number(instance, attribute, value)


@attrs.frozen
class Band:
    """A grade of leads.

    Parameters
    ----------
    name : str
        Such as ``"A"``.
    at_least : float
        Lowest score.
    days : int, optional
        Days from creation within which a lead is to be followed up; None sets no deadline.

    Examples
    --------
    >>> Band("A", at_least=70, days=7)
    Band(name='A', at_least=70, days=7)
    """

    name: str
    at_least: float = attrs.field(kw_only=True, validator=_not_nan)
    days: int | None = attrs.field(default=None, kw_only=True, validator=_deadline)


BANDS = (
    Band("A", at_least=70.0, days=7),
    Band("B", at_least=40.0, days=14),
    Band("C", at_least=-math.inf),
)
"""A within a week, B within two, C is nurtured; of a scorecard with 100 points."""


def _sorted_bands(bands: Iterable[Band]) -> tuple[Band, ...]:
    """Order bands, the highest first."""
    return tuple(sorted(bands, key=lambda band: -band.at_least))


def _check_bands(instance: object, attribute: attrs.Attribute[Any], bands: tuple[Any, ...]) -> None:
    """Demand bands of different names and lowest scores."""
    del instance
    names, lowest = ({getattr(band, what) for band in bands} for what in ("name", "at_least"))
    if not bands or len(names) < len(bands) or len(lowest) < len(bands):
        rule = "must have different names and lowest scores, and be at least one"
        raise ValidationError.from_value(attribute.name, rule, bands, "")


def _check_rules(instance: object, attribute: attrs.Attribute[Any], rules: tuple[Any, ...]) -> None:
    """Demand rules, one for each column."""
    del instance
    known = all(isinstance(rule, ValuePoints | NumberPoints) for rule in rules)
    if not rules or not known or len({rule.column for rule in rules}) < len(rules):
        what = "must be ValuePoints or NumberPoints, at least one, and one for each column"
        raise ValidationError.from_value(attribute.name, what, rules, "")


@attrs.frozen
class Scorecard:
    """Rules that give points, and the bands into which their sum is cut.

    Parameters
    ----------
    rules : iterable of ValuePoints or NumberPoints
        One for each column.
    bands : iterable of Band
        Grades; a score under the lowest has none.

    Examples
    --------
    >>> import funnel as fn
    >>> card = Scorecard(
    ...     [ValuePoints("industry", {"bank": 40}), NumberPoints("employees", {100: 20, 1000: 40})],
    ... )
    >>> pipeline = fn.Pipeline.from_columns(
    ...     funnel=fn.Funnel(["Lead"]), as_of="2026-06-30", id=["L1", "L2"], stage=["Lead", "Lead"],
    ...     created=["2026-06-25", "2026-06-01"], industry=["bank", "retail"],
    ...     employees=[5000.0, 150.0],
    ... )
    >>> found = card.apply(pipeline)
    >>> found.score.tolist(), found.band.tolist(), found.to_columns()["due"].astype(str).tolist()
    ([80.0, 20.0], ['A', 'C'], ['2026-07-02', 'NaT'])
    """

    rules: tuple[ValuePoints | NumberPoints, ...] = attrs.field(
        converter=tuple, validator=_check_rules
    )
    bands: tuple[Band, ...] = attrs.field(
        default=BANDS, kw_only=True, converter=_sorted_bands, validator=_check_bands
    )

    def points(
        self, schema: Schema, columns: Mapping[str, Any]
    ) -> tuple[FloatArray, tuple[str, ...]]:
        """Return the points of each row by rule, (n, r), and notes; see `apply`."""
        found = [rule.score(schema, columns) for rule in self.rules]
        return np.stack([points for points, _ in found], axis=1), tuple(
            note for _, note in found if note
        )

    def grades(self, score: FloatArray) -> IntArray:
        """Return the position of the band of each score, (n,); -1 under the lowest."""
        lowest = np.array([band.at_least for band in reversed(self.bands)])
        reached = np.searchsorted(lowest, score, side="right")
        return np.where(reached > 0, len(self.bands) - reached, -1)

    def deadlines(self, grade: IntArray) -> IntArray:
        """Return the days that each band of `grades` allows, (n,); -1 without a deadline."""
        days = [-1 if band.days is None else band.days for band in self.bands]
        return np.array([*days, -1], dtype=np.int64)[grade]

    def apply(self, pipeline: Pipeline, /) -> LeadScores:
        """Score every deal of a pipeline, as it was known on its day.

        Raises
        ------
        UnknownColumnError, ValidationError
            When a column does not exist, or is of the wrong kind for its rule.
        """
        points, notes = self.points(pipeline.schema, pipeline.columns)
        grade = self.grades(points.sum(axis=1))
        days = self.deadlines(grade)
        created = pipeline.created.astype(np.int64)
        due = np.where((created == NO_DAY) | (days < 0), NO_DAY, created + days)
        lost = int(np.count_nonzero(grade < 0))
        if lost:
            notes = (*notes, f"{lost:,} scores are under the lowest band")
        return LeadScores(
            scorecard=self,
            ids=pipeline.ids,
            points=points,
            grade=grade,
            due=due.astype(np.int32),
            as_of=pipeline.as_of,
            notes=notes,
        )


@attrs.frozen(eq=False, repr=False)
class LeadScores(ResultTable):
    """Scores, grades and deadlines of leads, see `Scorecard`.

    Parameters
    ----------
    scorecard : Scorecard
        The rules.
    ids : (n,) str
        Deals, in the order of the pipeline.
    points : (n, r) float64
        Points by rule.
    grade : (n,) int64
        Position of the band in ``scorecard.bands``; -1 under the lowest.
    due : (n,) int32
        Last day on which the follow-up is in time; `NO_DAY` without a deadline.
    as_of : int
        Day (its end) of the pipeline.
    notes : tuple of str
        What to mind.
    """

    scorecard: Scorecard
    ids: StringArray
    points: FloatArray
    grade: IntArray
    due: DayArray
    as_of: int
    notes: tuple[str, ...]

    @property
    def score(self) -> FloatArray:
        """Sum of the points, (n,)."""
        return np.asarray(self.points.sum(axis=1))

    @property
    def band(self) -> StringArray:
        """Name of the band, (n,); ``""`` under the lowest."""
        return texts([*(band.name for band in self.scorecard.bands), ""])[self.grade]

    def counts(self) -> dict[str, int]:
        """Return the number of leads in each band, the highest first."""
        found = np.bincount(self.grade[self.grade >= 0], minlength=len(self.scorecard.bands))
        return {band.name: n for band, n in zip(self.scorecard.bands, found.tolist(), strict=True)}

    def best(self, n: int, /) -> LeadScores:
        """Return the `n` leads of the highest score; of equal ones the first."""
        rows = np.argsort(-self.score, kind="stable")[:n]
        fields = ("ids", "points", "grade", "due")
        return attrs.evolve(self, **{name: getattr(self, name)[rows] for name in fields})

    def to_columns(self) -> dict[str, Any]:
        """Return one row for each lead."""
        rules = self.scorecard.rules
        return {
            "id": self.ids,
            **{f"{rule.column}_points": self.points[:, at] for at, rule in enumerate(rules)},
            "score": self.score,
            "band": self.band,
            "due": to_dates(self.due),
        }

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        """Show the best leads only; frames and JSON hold all."""
        return ResultTable._cells(self if len(self.ids) <= SHOWN else self.best(SHOWN))  # noqa: SLF001

    def __repr__(self) -> str:
        """Return one line."""
        bands = ", ".join(f"{n:,} {name}" for name, n in self.counts().items())
        return f"LeadScores({len(self.ids):,} leads as of {to_date(self.as_of)}: {bands})"

    @property
    def _title(self) -> str:
        """Return the heading."""
        return repr(self)

    @property
    def _notes(self) -> tuple[str, ...]:
        """Return what to mind."""
        return self.notes
