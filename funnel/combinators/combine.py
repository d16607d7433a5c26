"""Forecasters made of others: `Calibrated`, `Blend`, and `Auto`, the default."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from funnel.combinators._rolling import FittedCombination, Member, Recipe
from funnel.errors import InsufficientDataError, ValidationError
from funnel.forecasting import Arrivals, DealForecaster
from funnel.models import StageModel, registry
from funnel.models._validators import whole
from funnel.models.win_rate import WinRate

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from funnel.forecasting import FittedForecaster
    from funnel.summary import HistorySource
    from funnel.tables import History

__all__ = ["Auto", "Blend", "Calibrated"]

USUAL, FEW = 20, 5  # closed deals that `win-rate` wants as a fallback, first and last
SAMPLE = 20_000  # deals from which `hazard-regression` estimates effects, at each origin
WINDOWS = 16
"""Past windows that are looked at, a quarter of the horizon apart: four horizons back."""


def _models(value: object) -> tuple[StageModel[Any], ...]:
    """Look names up; models stay."""
    given = (value,) if isinstance(value, str | StageModel) else value
    if not isinstance(given, Sequence):
        raise ValidationError.from_value("models", "must be stage models or names", value, "")
    found = tuple(registry.get(one) if isinstance(one, str) else one for one in given)
    for one in found:
        if not isinstance(one, StageModel):
            rule = "must be stage models or names of them"
            raise ValidationError.from_value("models", rule, one, "See funnel.models.names().")
    return found


def _model(value: object) -> StageModel[Any]:
    """Look one name up."""
    return _models((value,))[0]


def _some(instance: object, attribute: attrs.Attribute[Any], value: tuple[object, ...]) -> None:
    """Demand at least one model, each once."""
    del instance
    if not value or len(set(value)) < len(value):
        rule = "must be at least one model, and each once"
        raise ValidationError.from_value(attribute.name, rule, value, "")


@attrs.frozen
class Blend:
    """Several stage models, pooled by how well they told deals apart in the past.

    The logits of the models' chances are averaged (a logarithmic pool). The weights w are those
    with which the pool, not each model by itself, would have done best (stacking): the maximum of::

        sum over past windows of the log likelihood of the pool + 3 sum over models of log(w) / c

    where windows that overlap count in part, and the level of each window is free. The likelihood
    is taken to the second order in w.
    Windows are past origins, a quarter of the horizon apart; at each, every model is fitted on
    what was known then. Answers are kept, so that a later forecast fits the new origins only.

    Parameters
    ----------
    models : sequence of str or StageModel
        The members.
    arrivals : Arrivals or None
        How deals that do not exist yet are expected; None leaves them out.
    windows : int
        Past windows that are looked at, at most.

    References
    ----------
    .. [1] C. Genest, J. V. Zidek, "Combining probability distributions", Statistical Science 1,
       1986, https://doi.org/10.1214/ss/1177013825.
    .. [2] Y. Yao, A. Vehtari, D. Simpson, A. Gelman, "Using stacking to average Bayesian
       predictive distributions", Bayesian Analysis 13, 2018, https://doi.org/10.1214/17-BA1091.

    Examples
    --------
    >>> import funnel as fn
    >>> history = fn.datasets.simulate(200, rng=1).history
    >>> blend = Blend(("semi-markov", "win-rate"), windows=4)
    >>> choice = blend.fit(history).choice(fn.Horizon.months("2026-07-01", 1))
    >>> round(float(choice.weight.sum()), 6), len(choice.model)
    (1.0, 2)
    """

    models: tuple[StageModel[Any], ...] = attrs.field(converter=_models, validator=_some)
    arrivals: Arrivals | None = attrs.field(factory=Arrivals, kw_only=True)
    windows: int = attrs.field(default=WINDOWS, kw_only=True, validator=whole)

    name: ClassVar[str] = "blend"

    def fit(
        self, source: History | HistorySource, /, *, executor: Executor | None = None
    ) -> FittedCombination:
        """Take the history; models are fitted once the horizon is known."""
        members = tuple(Member(model) for model in self.models)
        recipe = Recipe(
            self.name, members, self.arrivals, self.windows, weighed=True, repaired=False
        )
        return FittedCombination(recipe, source, executor)


@attrs.frozen
class Calibrated:
    """A stage model, repaired by how its own forecasts turned out, for each lead time.

    At past origins the model is fitted on what was known then, and its forecasts are compared
    with what came of them:

    * level: what must be added to the logits of deals that exist for the expected number of wins
      to be right (deals that do not exist yet are left as they are);
    * money: won over expected money, given the number won;
    * width: a shock that all deals share, from what is left over (see `fit_shock`).

    Level and money are means over windows of random effects (variance of independent deals, and
    between windows), newer windows counting more (half-life four horizons), overlapping ones in
    part, shrunk towards no change (prior standard deviations 0.1 of logits and 0.15 of money). With
    fewer than three windows nothing is repaired, and the forecast says so.

    Parameters
    ----------
    model : str or StageModel
        The model.
    arrivals : Arrivals or None
        How deals that do not exist yet are expected; None leaves them out.
    windows : int
        Past windows that are looked at, at most.

    References
    ----------
    .. [1] J. Platt, "Probabilistic outputs for support vector machines", Advances in Large Margin
       Classifiers, 1999; here the intercept only.
    .. [2] R. DerSimonian, N. Laird, "Meta-analysis in clinical trials", Controlled Clinical Trials
       7, 1986, https://doi.org/10.1016/0197-2456(86)90046-2.

    Examples
    --------
    >>> import funnel as fn
    >>> history = fn.datasets.simulate(200, rng=1).history
    >>> outlook = Calibrated("win-rate", windows=4).fit(history).forecast(
    ...     history.snapshot(), fn.Horizon.months("2026-07-01", 1)
    ... )
    >>> outlook.model
    'calibrated'
    """

    model: StageModel[Any] = attrs.field(converter=_model)
    arrivals: Arrivals | None = attrs.field(factory=Arrivals, kw_only=True)
    windows: int = attrs.field(default=WINDOWS, kw_only=True, validator=whole)

    name: ClassVar[str] = "calibrated"

    def fit(
        self, source: History | HistorySource, /, *, executor: Executor | None = None
    ) -> FittedCombination:
        """Take the history; the model is fitted once the horizon is known."""
        recipe = Recipe(
            self.name,
            (Member(self.model),),
            self.arrivals,
            self.windows,
            weighed=False,
            repaired=True,
        )
        return FittedCombination(recipe, source, executor)


@attrs.frozen
class Auto:
    """The default: models of the path of a deal, weighed, pooled and repaired by what came true.

    Members are ``semi-markov``, on all history and with half-lives of 8, 4 and 2 horizons, and
    ``hazard-regression``, whose effects rest on 20,000 deals at most. They are weighed as in
    `Blend`, before any window 80 % for
    ``hazard-regression`` (which falls back to ``semi-markov`` by itself where covariates say
    nothing), and the pool is repaired as in `Calibrated`. Weights and repairs for a window use
    windows that had ended before it only.

    It falls back in steps, and the forecast says to which: with fewer than three past windows to
    the members as they are, unweighed and unrepaired; where history is too short for them to
    ``win-rate``, from five closed deals on; and with fewer to ``textbook``, the probabilities typed
    for stages.

    Parameters
    ----------
    arrivals : Arrivals or None
        How deals that do not exist yet are expected; None leaves them out.
    windows : int
        Past windows that are looked at, at most.

    Examples
    --------
    >>> import funnel as fn
    >>> history = fn.testing.fixtures.history(deals=160)
    >>> fitted = Auto(windows=4).fit(history)
    >>> choice = fitted.choice(fn.Horizon.months("2025-07-01", 1))
    >>> choice.model[0], choice.windows
    ('semi-markov', 4)
    """

    arrivals: Arrivals | None = attrs.field(factory=Arrivals, kw_only=True)
    windows: int = attrs.field(default=WINDOWS, kw_only=True, validator=whole)

    name: ClassVar[str] = "auto"

    def fit(
        self, source: History | HistorySource, /, *, executor: Executor | None = None
    ) -> FittedForecaster:
        """Take the history; members are fitted once the horizon is known.

        Where the history is too short for members and for ``win-rate``, a forecast needs a
        probability that was typed for each stage with open deals, and raises ValidationError
        without.
        """
        plain = registry.get("semi-markov")
        try:
            plain.fit(source, executor=executor)
        except InsufficientDataError as error:
            return self._fallback(source, executor, error)
        members = (
            Member(plain, 0.1),
            *(Member(plain, 0.1 / 3.0, memory) for memory in (8.0, 4.0, 2.0)),
            Member(attrs.evolve(registry.get("hazard-regression"), sample=SAMPLE), 0.8),
        )
        recipe = Recipe(
            self.name, members, self.arrivals, self.windows, weighed=True, repaired=True
        )
        return FittedCombination(recipe, source, executor)

    def _fallback(
        self,
        source: History | HistorySource,
        executor: Executor | None,
        reason: InsufficientDataError,
    ) -> FittedForecaster:
        """Return the first simpler forecaster that has enough history, and say why."""
        said: tuple[str, ...] = (f"'auto' falls back: {reason}",)
        for minimum in (USUAL, FEW):
            forecaster = DealForecaster(WinRate(minimum=minimum), arrivals=self.arrivals)
            try:
                fitted = forecaster.fit(source, executor=executor)
            except InsufficientDataError as error:
                said = (*said, f"'win-rate' with minimum={minimum} does not do either: {error}")
            else:
                return attrs.evolve(fitted, notes=(*said, *fitted.notes))
        fitted = DealForecaster("textbook", arrivals=None).fit(source, executor=executor)
        said = (*said, "new deals are not expected")
        return attrs.evolve(fitted, notes=(*said, *fitted.notes))
