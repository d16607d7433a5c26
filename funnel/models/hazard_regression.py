"""Which deals move faster: multipliers of semi-Markov hazards by amount, attributes and past."""

from __future__ import annotations

import functools
import warnings
from typing import TYPE_CHECKING, ClassVar, Self

import attrs
import numpy as np

from funnel.errors import ExtrapolationWarning
from funnel.kernels import clock, scored, threads
from funnel.kernels.arrays import frozen
from funnel.kernels.ridge import LIMIT
from funnel.models._covariates import Term, design, from_pipeline, terms_of, width
from funnel.models._effects import effects, pace
from funnel.models._hazards import draw_states
from funnel.models._levers import changed
from funnel.models._paths import Ahead
from funnel.models._sojourns import Layout
from funnel.models._spells import Spells, spells_until, summarize_spells
from funnel.models._validators import positive, whole
from funnel.models.base import FittedModel, StageModel
from funnel.models.semi_markov import FittedSemiMarkov, SemiMarkov
from funnel.stages import Funnel, Outcome

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Mapping, Sequence
    from typing import Self

    from funnel.tables import History, Pipeline
    from funnel.typing import DateArray, FloatArray, IntArray

__all__ = ["FittedHazardRegression", "HazardRegression"]

CELLS = 4_000_000  # numbers held at a time: deals x targets x days


@attrs.frozen(eq=False)
class FittedHazardRegression:
    """Daily hazards, and the effects of what is known of a deal; see `HazardRegression`.

    Parameters
    ----------
    trained_until : int
        Last day of the history.
    funnel : Funnel
        The ladder.
    terms : tuple
        A constant, and covariates as (``"column"`` or ``"state"``, name, kind, knots or levels).
    effects : (2, 2 stages, p) float64
        Logarithms of multipliers by column of the terms: of moves towards winning, and of losing
        or removal; on the day a stage is entered and on later ones, for each stage in turn.
    weekdays : (7,) float64
        Pace of the clock by weekday, Monday first; their mean is 1.
    month_end : (2,) float64
        Pace on other days, and on the last five days of a month.
    phases : (6,) float64
        By what wins are multiplied in the halves of the months of a quarter; their mean is 1.
    baseline : (s, t, d) float64
        Hazards of a deal without effects: what they multiply.
    hazards : (s, t, d) float64
        As in `FittedSemiMarkov`: those of all deals together.
    occupied : (s, d) float64
        As in `FittedSemiMarkov`.
    resumed : (stages, d) float64
        As in `FittedSemiMarkov`.
    covariance : (2, 2 stages, p, p) float64
        Of `effects`, at the level that the hazards have.
    lean : float
        As in `FittedSemiMarkov`.
    """

    trained_until: int
    funnel: Funnel
    terms: tuple[Term, ...]
    effects: FloatArray = attrs.field(converter=frozen)
    weekdays: FloatArray = attrs.field(converter=frozen)
    month_end: FloatArray = attrs.field(converter=frozen)
    phases: FloatArray = attrs.field(converter=frozen)
    baseline: FloatArray = attrs.field(converter=frozen)
    hazards: FloatArray = attrs.field(converter=frozen)
    occupied: FloatArray = attrs.field(converter=frozen)
    resumed: FloatArray = attrs.field(converter=frozen)
    covariance: FloatArray = attrs.field(converter=frozen)
    lean: float

    needs: ClassVar[tuple[str, ...]] = ()

    @property
    def follows_quarter(self) -> bool:
        """Tell whether wins are more frequent in some phases of the quarter."""
        return bool(np.any(self.phases != 1.0))

    def win_curve(self, pipeline: Pipeline, dates: DateArray, /) -> FloatArray:
        """Return the chance to be won by each date, given what is known of each deal: (n, k).

        Deals that have been in their stage since an unknown day, and lost ones, have the chances
        of the semi-Markov model on the same clock.

        Raises
        ------
        ValidationError
            When a column is of another kind than in the history.
        """
        if not len(pipeline) or not len(dates):
            return np.zeros((len(pipeline), len(dates)))
        days = dates.astype("datetime64[D]").astype(np.int64)
        if not self.follows_quarter:
            return self._on_clock(pipeline, days)
        # Steps in which the multiplier changes are taken apart where they matter: beyond a quarter
        # their mean will do.
        near = np.arange(pipeline.as_of, min(int(days[-1]), pipeline.as_of + clock.QUARTER) + 1)
        ends = near[:-1][np.diff(clock.halves(near)) > 0]
        steps = np.union1d(days, ends[ends > pipeline.as_of])
        factor = clock.paces(self.phases, pipeline.as_of, steps)
        curve = clock.turned(factor, self._on_clock(pipeline, steps))
        return curve[:, np.searchsorted(steps, days)]

    def _on_clock(self, pipeline: Pipeline, days: IntArray) -> FloatArray:
        """Return the chance to be won by each day where the quarter does not matter: (n, k)."""
        passed = clock.passed(self.weekdays, self.month_end, pipeline.as_of, days)
        whole = np.floor(passed).astype(np.int64)
        ahead = np.unique(np.concatenate((whole, whole + 1)))
        known = (pipeline.outcome == Outcome.OPEN) & (pipeline.days_in_stage >= 0)
        daily = np.zeros((len(pipeline), len(ahead)))
        daily[known] = self._with_effects(pipeline.select(known), ahead)
        daily[~known] = self.without_effects().win_curve(
            pipeline.select(~known), np.datetime64(pipeline.as_of, "D") + ahead
        )
        before = np.searchsorted(ahead, whole)
        later = daily[:, before + 1] - daily[:, before]
        curve = daily[:, before] + (passed - whole) * later
        self._warn(pipeline)
        return np.clip(np.maximum.accumulate(curve, axis=1), 0.0, 1.0)

    def without_effects(self) -> FittedSemiMarkov:
        """Return the semi-Markov model of all deals together."""
        return FittedSemiMarkov(
            trained_until=self.trained_until,
            funnel=self.funnel,
            hazards=self.hazards,
            occupied=self.occupied,
            resumed=self.resumed,
        )

    @functools.cached_property
    def _roots(self) -> FloatArray:
        """(2, 2 stages, p, p): roots of the covariances, slow to find and for draws only."""
        values, vectors = np.linalg.eigh(self.covariance)
        return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0))[..., None, :])

    def draw(self, rng: np.random.Generator, /) -> Self:
        """Return the model with one draw of its hazards and effects, given the history.

        Hazards are drawn as by `FittedSemiMarkov.draw`, and those of a deal without effects change
        in the same proportion. Effects are normal around the estimate (Laplace's approximation,
        given their variances), each kind of move by itself; what they would add to the number of
        moves is the business of the hazards, and taken from their constant. The effects of all
        stages move together. The pace of the calendar is kept.

        Parameters
        ----------
        rng : numpy.random.Generator
            Where the numbers come from.
        """
        layout = Layout(self.funnel)
        hazards = draw_states(layout, self.hazards, self.occupied, self.lean, rng)
        seen = self.hazards > 0.0
        factor = np.divide(hazards, self.hazards, out=np.ones_like(hazards), where=seen)
        number = rng.standard_normal((len(self.effects), self.effects.shape[-1]))
        return attrs.evolve(
            self,
            hazards=hazards,
            baseline=scored.scaled(scored.intensities(self.baseline)[0], factor),
            effects=self.effects + np.einsum("kgpq,kq->kgp", self._roots, number),
        )

    @property
    def levers(self) -> tuple[str, ...]:
        """Stages whose conversions and durations `under` can change."""
        return self.without_effects().levers

    def under(self, conversions: Mapping[str, float], durations: Mapping[str, float], /) -> Self:
        """Return the model with conversions and durations of stages times factors.

        The hazards of all deals together and the baseline change as those of `FittedSemiMarkov`
        do; the effects of a deal multiply what is changed, so that the conversion of a deal with
        strong effects changes by a little more or less than the factor.

        Raises
        ------
        UnknownStageError, ValidationError
            As for `FittedSemiMarkov.under`.
        """
        layout = Layout(self.funnel)
        hazards = changed(layout, self.hazards, conversions, durations)
        baseline = changed(layout, self.baseline, conversions, durations)
        return attrs.evolve(self, hazards=hazards, baseline=baseline)

    def scores(self, pipeline: Pipeline, /) -> FloatArray:
        """Return logarithms of the multipliers in the stage that each deal is in: (n, 2).

        Of moves towards winning, and of losing or removal; 0 for deals that are not open.
        """
        is_open = pipeline.outcome == Outcome.OPEN
        phase = np.where(is_open, 2 * pipeline.stage.astype(np.int64) + 1, 0)
        found = np.einsum("np,gnp->ng", self._design(pipeline), self.effects[:, phase])
        return np.asarray(np.clip(found, -LIMIT, LIMIT) * is_open[:, None])

    def _design(self, pipeline: Pipeline) -> FloatArray:
        """(n, p): the columns of all terms."""
        values = from_pipeline(pipeline, self.terms)
        return design(self.terms, values, pipeline.schema, len(pipeline))

    def _with_effects(self, pipeline: Pipeline, ahead: IntArray) -> FloatArray:
        """(k,) -> (n, k): chances of open deals whose days in the stage are known."""
        found = np.zeros((len(pipeline), len(ahead)))
        if not len(pipeline):
            return found
        # What a deal is like stays; how long it took and where it came from are of this stage.
        widths = [width(term) for term in self.terms]
        lasting = np.repeat([term[0] != "state" for term in self.terms], widths).astype(np.bool_)
        columns = self._design(pipeline)[:, lasting]
        later = np.einsum("np,gsp->ngs", columns, self.effects[:, :, lasting])
        model, days = Ahead(Layout(self.funnel), self.baseline, self.resumed), int(ahead[-1])
        state, now = model.layout.of(pipeline), self.scores(pipeline)
        points, number, weight = model.nodes(later)
        fresh = model.fresh(points, days)
        step = max(CELLS // (len(model.used) * days), 1)

        def some(first: int, last: int) -> None:
            for part in (slice(row, row + step) for row in range(first * step, last * step, step)):
                age = pipeline.days_in_stage[part].astype(np.int64)
                leaving = model.leaving(state[part], age, now[part], days)
                found[part] = scored.sojourn_wins(
                    leaving, number[part], weight[part], fresh, ahead, won=model.won
                )

        threads.shared(some, -(-len(pipeline) // step), least=1)
        return found

    def _warn(self, pipeline: Pipeline) -> None:
        """Say how many open deals are older than any in history."""
        days = self.hazards.shape[2]
        is_open = pipeline.outcome == Outcome.OPEN
        older = int(np.count_nonzero(is_open & (pipeline.days_in_stage >= days)))
        if older:
            message = (
                f"{older:,} open deals are in their stage for longer than any in history "
                f"({days - 1} days); the last hazard seen is carried on for them"
            )
            warnings.warn(message, ExtrapolationWarning, stacklevel=3)


@attrs.frozen
class HazardRegression(StageModel[Spells]):
    """Competing hazards with covariates: semi-Markov hazards, multiplied by what a deal is like.

    On day u in state s (stage and visit), a deal with covariates x leaves with probability
    ``1 - exp(-sum over t of L(t))`` and goes to target t in proportion to ``L(t) = l(s, t, u)
    exp(x . b(k, s))``. The intensities l are those of `SemiMarkov` over the mean multiplier of the
    deals at risk (a Breslow estimate, in turns with b); the effects b are two sets, one
    of moves towards winning (up the ladder, or won) and one of losing and removal; other moves are
    not multiplied. With all effects 0 it is `SemiMarkov`.

    Covariates are all columns that are not ``final``, as they stood on each day: numbers have a
    hat at each decile and a flag for unknown ones, so that effects may bend; categories have an
    effect for each level. Days from creation to stage entry (with the days in the stage: the age
    of the deal), pushes, reopenings and the stage before count too. A number has effects of its
    own in each stage, on the day of entry and on later days, which lean on a shared effect. Levels
    that history has not seen, and unknown derived state, have no effect.

    Effects are shrunk: each covariate has a variance, and so has each of its deviations by stage,
    estimated by the fixed point ``variance = |b|^2 / (effective degrees of freedom + 1)``. Where
    there is little history, or no effect, it goes to 0 and `SemiMarkov` is left.

    Weekdays and the end of the month set the pace of a clock, again by shrunk multipliers: the
    curve at a date is the semi-Markov one after as many days as the clock has gone. The phase of
    the quarter (the halves of its months, each seen twice at least) multiplies the subdistribution
    hazard of being won [5]_, as far as it does so in one quarter as in the next; beyond 92 days
    ahead it is the mean multiplier that counts. Months are those of the calendar, so that fiscal
    quarters of three whole months are followed too, and quarters of weeks (4-4-5) roughly.

    Parameters
    ----------
    ridge : float or None
        One over the variance of all effects but those of the quarter; None estimates variances.
    half_life : float or None
        Days after which exposure and moves count half; None weighs all history alike.
    lean : float
        How many deals at risk of its stage each class of visit leans on, see `SemiMarkov`.
    minimum : int
        Moves out of open stages needed in all; below it nothing is estimated.
    sample : int
        Deals from which effects are estimated, at most: those that are first by a hash of the id,
        whatever the order and the split of the deals.

    Notes
    -----
    It assumes that effects multiply, do not depend on the days in the stage after the first, and
    that columns stay what they are: a column that is often changed late (a typed close date, a
    category that follows the stage) says less about later stages than it is taken to. It fails
    where a column is edited because the deal was lost or won. Later stages have one pair of
    multipliers, the mean over the stages weighted by the moves expected there, and chances are
    mixed between multipliers a quarter apart in the logarithm. A clock is exact where hazards do
    not depend on age, and close where they change slowly within a week.

    The summary keeps a line for each row of history in an open stage, of `sample` deals at most:
    hazards rest on all deals, effects on these.

    References
    ----------
    .. [1] P. D. Allison, "Discrete-time methods for the analysis of event histories", Sociological
       Methodology 13, 1982, https://doi.org/10.2307/270718.
    .. [2] G. Tutz, M. Schmid, "Modeling discrete time-to-event data", Springer, 2016,
       https://doi.org/10.1007/978-3-319-28158-2.
    .. [3] R. L. Prentice, L. A. Gloeckler, "Regression analysis of grouped survival data with
       application to breast cancer data", Biometrics 34, 1978, https://doi.org/10.2307/2529588.
    .. [4] R. Schall, "Estimation in generalized linear models with random effects", Biometrika 78,
       1991, https://doi.org/10.1093/biomet/78.4.719.
    .. [5] J. P. Fine, R. J. Gray, "A proportional hazards model for the subdistribution of a
       competing risk", Journal of the American Statistical Association 94, 1999,
       https://doi.org/10.1080/01621459.1999.10474144.

    Examples
    --------
    Of the small deals, 90 of 100 are won; of the large ones, 10 of 100:

    >>> import numpy as np
    >>> import funnel as fn
    >>> deals = [f"D{i:03}" for i in range(200)]
    >>> ends = ["Won"] * 90 + ["Lost"] * 10 + ["Won"] * 10 + ["Lost"] * 90
    >>> history = fn.History.from_columns(
    ...     funnel=fn.Funnel(["Qualify"]), id=deals * 2, stage=["Qualify"] * 200 + ends,
    ...     at=["2026-01-01"] * 200 + ["2026-01-11"] * 200, amount=([1.0] * 100 + [9.0] * 100) * 2,
    ... )
    >>> pipeline = fn.Pipeline.from_columns(
    ...     funnel=history.funnel, as_of="2026-01-01", id=["small", "large"], amount=[1.0, 9.0],
    ...     stage=["Qualify"] * 2, stage_entered=["2026-01-01"] * 2,
    ... )
    >>> fitted = HazardRegression().fit(history)
    >>> march = np.array(["2026-03-01"], dtype="datetime64[D]")
    >>> fitted.win_curve(pipeline, march).round(1).tolist()
    [[0.9], [0.1]]
    """

    ridge: float | None = attrs.field(default=None, kw_only=True, validator=positive)
    half_life: float | None = attrs.field(default=None, kw_only=True, validator=positive)
    lean: float = attrs.field(default=20.0, kw_only=True, validator=positive)
    minimum: int = attrs.field(default=20, kw_only=True, validator=positive)
    sample: int = attrs.field(default=100_000, kw_only=True, validator=whole)

    name: ClassVar[str] = "hazard-regression"
    fitted: ClassVar[type[FittedModel]] = FittedHazardRegression
    calendar_aware: ClassVar[bool] = True

    def summarize(self, history: History, /) -> Spells:
        """Cut the history into spells, and count exposure and moves."""
        return summarize_spells(history, sample=self.sample)

    @property
    def counts(self) -> Hashable:
        """Deals are cut into spells alike, whatever is made of them."""
        return "spells", self.sample

    def summaries(self, history: History, days: Sequence[int], /) -> Iterator[Spells]:
        """Count exposure and moves once for all days, and cut some deals into spells."""
        return spells_until(history, days, sample=self.sample)

    def estimate(self, summary: Spells, /) -> FittedHazardRegression:
        """Estimate semi-Markov hazards, then the effects that multiply them.

        Raises
        ------
        InsufficientDataError
            With fewer than `minimum` moves out of open stages.
        """
        model = SemiMarkov(half_life=self.half_life, lean=self.lean, minimum=self.minimum)
        base, spells = model.estimate(summary.sojourns), summary.ordered()
        terms = terms_of(spells)
        found = effects(spells, base, terms, half_life=self.half_life, penalty=self.ridge)
        weekdays, month_end, phases = pace(spells, base, self.ridge)
        return FittedHazardRegression(
            trained_until=base.trained_until,
            funnel=base.funnel,
            terms=terms,
            effects=found.effects,
            weekdays=weekdays,
            month_end=month_end,
            phases=phases,
            baseline=found.baseline,
            hazards=base.hazards,
            occupied=base.occupied,
            resumed=base.resumed,
            covariance=found.covariance,
            lean=base.lean,
        )
