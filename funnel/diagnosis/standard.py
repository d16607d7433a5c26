"""The standard funnel: how many deals should be where, go on, and how long they should stay."""

from __future__ import annotations

import itertools
import math
import numbers
from typing import TYPE_CHECKING, Any, Self

import attrs
import numpy as np

from funnel.errors import InsufficientDataError, ValidationError, did_you_mean
from funnel.kernels.labels import texts
from funnel.metrics.conversion import conversion
from funnel.metrics.durations import stage_durations
from funnel.results import ResultTable
from funnel.stages import Funnel

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from funnel.calendars import Horizon
    from funnel.tables import History
    from funnel.typing import FloatArray

__all__ = ["StandardFunnel"]

SCHEMA = "funnel.StandardFunnel/1"
SHAPES: Mapping[str, tuple[float, ...]] = {"small-project": (10, 6, 3, 2)}
"""Shapes that the trade states for a ladder, won last; all others follow from probabilities."""


def _is_number(value: object) -> bool:
    """Tell whether a value is a finite number."""
    is_real = not isinstance(value, bool) and isinstance(value, numbers.Real)
    return is_real and math.isfinite(value)  # type: ignore[arg-type]


def _as_texts(values: Iterable[str]) -> tuple[str, ...]:
    """Store names."""
    return (values,) if isinstance(values, str) else tuple(values)


def _as_floats(values: Iterable[float] | float) -> tuple[float, ...]:
    """Store numbers."""
    return (values,) if isinstance(values, int | float) else tuple(values)


def _check_stages(_: StandardFunnel, __: attrs.Attribute[Any], value: tuple[Any, ...]) -> None:
    """Demand names, each once."""
    if not value or len(set(value)) < len(value) or not all(isinstance(v, str) for v in value):
        raise ValidationError.from_value("stages", "must be names, each once", value, "")


def _check_conversions(
    standard: StandardFunnel, __: attrs.Attribute[Any], value: tuple[float, ...]
) -> None:
    """Demand one share for each stage."""
    _check_count("conversions", value, standard.stages)
    for stage, rate in zip(standard.stages, value, strict=True):
        if not _is_number(rate) or not 0.0 < rate <= 1.0:
            rule = "must be above 0 and at most 1"
            raise ValidationError.from_value(f"conversion of {stage!r}", rule, rate, "")


def _check_days(
    standard: StandardFunnel, __: attrs.Attribute[Any], value: tuple[float, ...] | None
) -> None:
    """Demand days for each stage, or none at all."""
    if value is None:
        return
    _check_count("days", value, standard.stages)
    for stage, stay in zip(standard.stages, value, strict=True):
        if not _is_number(stay) or not stay > 0.0:
            rule = "must be a number of days above 0"
            raise ValidationError.from_value(f"days of {stage!r}", rule, stay, "")


def _check_count(name: str, value: tuple[float, ...], stages: tuple[str, ...]) -> None:
    """Demand one number for each stage."""
    if len(value) != len(stages):
        rule = f"must have one number for each of {len(stages)} stages {stages}"
        raise ValidationError.from_value(name, rule, value, "")


def _check_weekly(_: StandardFunnel, __: attrs.Attribute[Any], value: float | None) -> None:
    """Demand a number above 0, or none."""
    if value is not None and not (_is_number(value) and value > 0.0):
        rule, remedy = "must be a number above 0", "Leave it out where there is no standard."
        raise ValidationError.from_value("weekly_entries", rule, value, remedy)


@attrs.frozen
class StandardFunnel(ResultTable):
    """What a healthy funnel looks like (标准漏斗).

    Parameters
    ----------
    stages : sequence of str, (s,)
        Stages that are judged, from top to bottom, by any name that the funnel knows.
    conversions : sequence of float, (s,)
        From each stage to the next, the last one to won; in (0, 1].
    days : sequence of float, (s,), optional
        Days that a deal stays, above 0.
    weekly_entries : float, optional
        Deals that enter the first stage in a week, above 0.

    Raises
    ------
    ValidationError
        When a number is out of range, or there is not one for each stage.

    Examples
    --------
    Ten enter, six come to the second stage, three to the third, two are won:

    >>> standard = StandardFunnel.from_ratios([10, 6, 3, 2], days=[7, 7, 7], weekly_entries=50)
    >>> standard.stock.tolist()
    [50.0, 30.0, 15.0]
    """

    stages: tuple[str, ...] = attrs.field(converter=_as_texts, validator=_check_stages)
    conversions: tuple[float, ...] = attrs.field(converter=_as_floats, validator=_check_conversions)
    days: tuple[float, ...] | None = attrs.field(
        default=None,
        converter=attrs.converters.optional(_as_floats),
        validator=_check_days,
        kw_only=True,
    )
    weekly_entries: float | None = attrs.field(default=None, validator=_check_weekly, kw_only=True)

    # -- where a standard comes from -------------------------------------------------------------

    @classmethod
    def from_ratios(
        cls,
        ratios: Sequence[float],
        /,
        *,
        stages: Sequence[str] | None = None,
        days: Sequence[float] | None = None,
        weekly_entries: float | None = None,
    ) -> Self:
        """Build a standard from a shape such as 10 : 6 : 3 : 2, won last.

        Parameters
        ----------
        ratios : sequence of float, (s + 1,)
            Deals that come to each stage, and that are won; none larger than the one before.
        stages : sequence of str, (s,), optional
            ``"Stage 1"`` ... by default.
        days, weekly_entries : optional
            As for the class.

        Raises
        ------
        ValidationError
            When there are fewer than two ratios, one is not above 0, or they increase.

        Examples
        --------
        >>> StandardFunnel.from_ratios([10, 5], stages=["Qualify"]).conversions
        (0.5,)
        """
        shape = _as_floats(ratios)
        falling = all(after <= before for before, after in itertools.pairwise(shape))
        if len(shape) < 2 or not all(_is_number(r) and r > 0.0 for r in shape) or not falling:
            rule = "must be at least two numbers above 0, none larger than the one before"
            raise ValidationError.from_value("ratios", rule, shape, "For instance (10, 6, 3, 2).")
        names = stages or [f"Stage {place}" for place in range(1, len(shape))]
        rates = [after / before for before, after in itertools.pairwise(shape)]
        return cls(names, rates, days=days, weekly_entries=weekly_entries)

    @classmethod
    def from_funnel(cls, funnel: Funnel, /, *, weekly_entries: float | None = None) -> Self:
        """Build a standard from the typed win probabilities and standard days of a ladder.

        The conversion of a stage is its probability over that of the next stage, won being 1.
        Stages with a probability of 0 are not part of the standard (nobody sells to them yet), nor
        are those on hold or retired; the days are left out unless all have some.

        Raises
        ------
        ValidationError
            When a stage has no probability, or a larger one than the next.

        Examples
        --------
        >>> standard = StandardFunnel.from_funnel(Funnel.template("project"))
        >>> standard.stages[0], standard.conversions[0]
        ('potential', 0.5)
        """
        found = [
            stage
            for stage in funnel.states[: funnel.n_stages]
            if not (stage.on_hold or stage.retired or stage.win_probability == 0.0)
        ]
        missing = [stage.id for stage in found if stage.win_probability is None]
        if missing or not found:
            rule, remedy = "must be typed for every stage", "Use from_ratios or from_history."
            raise ValidationError.from_value("win_probability", rule, missing, remedy)
        chances = [*(stage.win_probability or 0.0 for stage in found), 1.0]
        if any(after < before for before, after in itertools.pairwise(chances)):
            rule, remedy = "must not fall from stage to stage", "Use from_ratios."
            raise ValidationError.from_value("win_probability", rule, chances[:-1], remedy)
        days = [stage.standard_days for stage in found if stage.standard_days is not None]
        return cls(
            [stage.id for stage in found],
            [before / after for before, after in itertools.pairwise(chances)],
            days=days if len(days) == len(found) else None,
            weekly_entries=weekly_entries,
        )

    @classmethod
    def from_template(cls, name: str, /, *, weekly_entries: float | None = None) -> Self:
        """Build a standard from a ready ladder: by its stated shape, else by its probabilities.

        Raises
        ------
        ValidationError
            When there is no such template, or it states neither.

        Examples
        --------
        >>> StandardFunnel.from_template("small-project").conversions
        (0.6, 0.5, 0.66...)
        """
        funnel = Funnel.template(name)
        if name not in SHAPES:
            return cls.from_funnel(funnel, weekly_entries=weekly_entries)
        return cls.from_ratios(
            SHAPES[name],
            stages=funnel.ids[: funnel.n_stages],
            days=funnel.standard_days[: funnel.n_stages].tolist(),
            weekly_entries=weekly_entries,
        )

    @classmethod
    def from_history(cls, history: History, /, *, period: Horizon | None = None) -> Self:
        """Take what the funnel really did as the standard, for instance last year.

        Parameters
        ----------
        history : History
            Use ``history.until(day)`` to leave out what came later.
        period : Horizon, optional
            One period, in which deals entered the stages; all that was observed by default.

        Returns
        -------
        StandardFunnel
            Of the stages that were entered, without those on hold or retired. Open deals are
            censored, see `funnel.metrics.conversion` and `funnel.metrics.durations`.

        Raises
        ------
        InsufficientDataError
            When nobody went on from a stage that was entered, or nobody entered any.
        ValidationError
            When there are several periods.

        Examples
        --------
        >>> from funnel.testing import fixtures
        >>> StandardFunnel.from_history(fixtures.history()).stages
        ('Qualify', 'Propose', 'Negotiate')
        """
        if period is not None and len(period) > 1:
            rule, remedy = "must be one period", "Use period.whole()."
            raise ValidationError.from_value("period", rule, period, remedy)
        moved = conversion(history, period=period)
        stays = stage_durations(history, period=period)
        states = history.funnel.states[: history.funnel.n_stages]
        entered = moved.entries[0]
        used = [
            place
            for place, stage in enumerate(states)
            if entered[place] and not (stage.on_hold or stage.retired)
        ]
        rates, days = moved.rate[0][used], stays.restricted_mean[0][used]
        unusable = [
            states[place].id for place, rate in zip(used, rates, strict=True) if not rate > 0
        ]
        if unusable or not used:
            what = f"deals that went on from {', '.join(unusable) or 'any stage'}"
            remedy = "Take a longer period."
            raise InsufficientDataError(what, needed=1, found=0, remedy=remedy)
        n_days = history.observed_until - history.observed_from + 1
        if period is not None:
            n_days = round(float(moved.scope.observed()[0]) * int(np.diff(period.edges)[0]))
        timed = bool(np.all(days > 0.0))
        return cls(
            [states[place].id for place in used],
            np.minimum(rates, 1.0).tolist(),
            days=days.tolist() if timed else None,
            weekly_entries=float(entered[used[0]]) * 7 / n_days,
        )

    def scaled(self, factor: float) -> Self:
        """Return the standard with that many times the entries: for one of eight reps, 1 / 8.

        Raises
        ------
        ValidationError
            When the factor is not above 0, or the standard has no `weekly_entries`.

        Examples
        --------
        >>> StandardFunnel(["A"], [0.5], days=[7], weekly_entries=40).scaled(1 / 8).weekly_entries
        5.0
        """
        if self.weekly_entries is None or not _is_number(factor) or not factor > 0.0:
            rule = "must be a number above 0, of a standard with weekly_entries"
            raise ValidationError.from_value("factor", rule, factor, "")
        return attrs.evolve(self, weekly_entries=self.weekly_entries * factor)

    # -- what follows from it --------------------------------------------------------------------

    @property
    def ratios(self) -> FloatArray:
        """Deals that come to each stage and are won, for one that enters the first, (s + 1,)."""
        return np.concatenate(([1.0], np.cumprod(self.conversions)))

    @property
    def shape(self) -> FloatArray:
        """Share of the stages in all deals that the funnel holds, (s,); ratios x days.

        Without days every stage is taken to last equally long.
        """
        held = self.ratios[:-1] * (1.0 if self.days is None else np.array(self.days))
        return np.asarray(held / held.sum())

    @property
    def stock(self) -> FloatArray:
        """Deals that each stage holds, (s,): entries a day x days; NaN where one is not known."""
        if self.days is None or self.weekly_entries is None:
            return np.full(len(self.stages), np.nan)
        return np.asarray(self.weekly_entries * self.ratios[:-1] * np.array(self.days) / 7.0)

    def to_columns(self) -> dict[str, Any]:
        """Return one row for each stage."""
        weekly = np.nan if self.weekly_entries is None else self.weekly_entries
        n = len(self.stages)
        return {
            "stage": texts(self.stages),
            "conversion": np.array(self.conversions),
            "days": np.full(n, np.nan) if self.days is None else np.array(self.days),
            "weekly": weekly * self.ratios[:-1],
            "stock": self.stock,
        }

    @property
    def _title(self) -> str:
        """Return the heading."""
        return "Standard funnel"

    # -- storage ---------------------------------------------------------------------------------

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Self:
        """Rebuild a standard: ``schema``, ``stages``, ``conversions``, and what else is known.

        Raises
        ------
        ValidationError
            When the schema is another one, or a field is unknown, missing or wrong.

        Examples
        --------
        >>> plain = {"schema": "funnel.StandardFunnel/1", "stages": ["A"], "conversions": [0.5]}
        >>> StandardFunnel.from_dict(plain)
        StandardFunnel(stages=('A',), conversions=(0.5,), days=None, weekly_entries=None)
        """
        fields = dict(plain)
        if fields.pop("schema", None) != SCHEMA:
            raise ValidationError.from_value("schema", f"must be {SCHEMA!r}", plain, "")
        known = [field.name for field in attrs.fields(cls)]
        for name in fields:
            if name not in known:
                raise ValidationError.from_value(
                    "standard", "must have no other field", name, did_you_mean(name, known)
                )
        return cls(**{"stages": (), "conversions": (), **fields})

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types, with the schema version inside."""
        plain = {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in attrs.asdict(self).items()
        }
        return {"schema": SCHEMA, **plain}
