"""The standard funnel: how many deals should be where, go on, and how long they should stay."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Self

import attrs
import numpy as np

from funnel.diagnosis import _fields as fields
from funnel.diagnosis import _learnt
from funnel.errors import ValidationError, did_you_mean
from funnel.kernels.labels import texts
from funnel.results import ResultTable
from funnel.stages import Funnel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from funnel.calendars import Horizon
    from funnel.models import FittedModel
    from funnel.tables import History
    from funnel.typing import FloatArray

__all__ = ["StandardFunnel"]

SCHEMA = "funnel.StandardFunnel/1"
SHAPES: Mapping[str, tuple[float, ...]] = {"small-project": (10, 6, 3, 2)}
"""Shapes that the trade states for a ladder, won last; all others follow from probabilities."""


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
    entries : sequence of float, (s,), optional
        Entries into each stage for one into the first, above 0. By default deals pass stage by
        stage, and these are the products of the conversions; where deals enter later, skip stages
        or come back, they are others.

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

    stages: tuple[str, ...] = attrs.field(converter=fields.as_texts, validator=fields.check_stages)
    conversions: tuple[float, ...] = attrs.field(
        converter=fields.as_floats, validator=fields.check_conversions
    )
    days: tuple[float, ...] | None = attrs.field(
        default=None,
        converter=attrs.converters.optional(fields.as_floats),
        validator=fields.check_days,
        kw_only=True,
    )
    weekly_entries: float | None = attrs.field(
        default=None, validator=fields.check_weekly, kw_only=True
    )
    entries: tuple[float, ...] | None = attrs.field(
        default=None,
        converter=attrs.converters.optional(fields.as_floats),
        validator=fields.check_entries,
        kw_only=True,
    )

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
        shape = fields.as_floats(ratios)
        falling = all(after <= before for before, after in itertools.pairwise(shape))
        if len(shape) < 2 or not all(fields.is_number(r) and r > 0.0 for r in shape) or not falling:
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
            censored, see `funnel.metrics.conversion` and `funnel.metrics.durations`. Entries are
            those that were counted: deals that skip stages, come back or begin in a later stage
            are in them.

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
        return cls(**_learnt.of_history(history, period))

    @classmethod
    def from_model(cls, fitted: FittedModel, /, *, weekly_entries: float | None = None) -> Self:
        """Take what a fitted model of paths expects of deals that enter the first stage.

        Unlike counts, a model knows what becomes of deals that are still open, and may weigh recent
        history more.

        Parameters
        ----------
        fitted : FittedModel
            With `funnel.models.HasFlow`: ``"semi-markov"``, ``"stage-duration"`` or
            ``"parametric"``.
        weekly_entries : float, optional
            As for the class.

        Returns
        -------
        StandardFunnel
            Of the stages that are entered, without those on hold or retired: expected visits, the
            share of them that goes on up the ladder or is won, and the days that they last, within
            four years. All deals begin in the first stage; where many begin later, `from_history`
            counts them.

        Raises
        ------
        InsufficientDataError
            When no deal is expected to go on from a stage.
        ValidationError
            When the model does not follow deals from stage to stage.

        Examples
        --------
        >>> import funnel as fn
        >>> history = fn.datasets.simulate(500, rng=1).history
        >>> fitted = fn.models.get("semi-markov").fit(history)
        >>> StandardFunnel.from_model(fitted, weekly_entries=20).stages[:2]
        ('qualify', 'discover')
        """
        return cls(**_learnt.of_model(fitted), weekly_entries=weekly_entries)

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
        if self.weekly_entries is None or not fields.is_number(factor) or not factor > 0.0:
            rule = "must be a number above 0, of a standard with weekly_entries"
            raise ValidationError.from_value("factor", rule, factor, "")
        return attrs.evolve(self, weekly_entries=self.weekly_entries * factor)

    # -- what follows from it --------------------------------------------------------------------

    @property
    def ratios(self) -> FloatArray:
        """Entries into each stage, and wins from the last, for one into the first, (s + 1,)."""
        if self.entries is None:
            return np.concatenate(([1.0], np.cumprod(self.conversions)))
        return np.array([*self.entries, self.entries[-1] * self.conversions[-1]])

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
        StandardFunnel(stages=('A',), conversions=(0.5,), days=None, weekly_entries=None, \
entries=None)
        """
        given = dict(plain)
        if given.pop("schema", None) != SCHEMA:
            raise ValidationError.from_value("schema", f"must be {SCHEMA!r}", plain, "")
        known = [field.name for field in attrs.fields(cls)]
        for name in given:
            if name not in known:
                raise ValidationError.from_value(
                    "standard", "must have no other field", name, did_you_mean(name, known)
                )
        return cls(**{"stages": (), "conversions": (), **given})

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types, with the schema version inside."""
        plain = {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in attrs.asdict(self).items()
        }
        return {"schema": SCHEMA, **plain}
