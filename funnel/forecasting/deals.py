"""Any stage model, lifted to a forecaster of money by period."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Literal, get_args

import attrs
import numpy as np

from funnel.calendars import to_date
from funnel.errors import InsufficientDataError, LeakError, ValidationError
from funnel.forecasting._books import book_of
from funnel.forecasting._cells import Source
from funnel.forecasting._chances import joined, new_chances, rows_of
from funnel.forecasting._parameters import parameter_shock
from funnel.forecasting._rows import NEW
from funnel.forecasting.amounts import Amounts, amounts_of, closing_until, summarize_closing
from funnel.forecasting.arrivals import Arrivals
from funnel.forecasting.basis import Basis
from funnel.forecasting.forecast import Forecast
from funnel.kernels.cells import UNKNOWN
from funnel.models import FittedModel, StageModel, registry
from funnel.models.base import HasDraw
from funnel.summary import summarize, summarize_until
from funnel.tables.groups import used_groups

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from concurrent.futures import Executor

    from funnel.calendars import Horizon
    from funnel.forecasting._books import Book
    from funnel.forecasting.amounts import ClosingAmounts, ClosingSummary
    from funnel.forecasting.arrivals import ArrivalSummary, FittedArrivals
    from funnel.summary import HistorySource
    from funnel.tables import History, Pipeline
    from funnel.typing import IntArray

__all__ = ["DealForecaster", "FittedDealForecaster"]

Spread = Literal["parameters", "independent"]


def _model(value: str | StageModel[Any]) -> StageModel[Any]:
    """Look a name up; a model stays."""
    model = registry.get(value) if isinstance(value, str) else value
    if not isinstance(model, StageModel):
        raise ValidationError.from_value(
            "model", "must be a stage model or the name of one", value, "See funnel.models.names()."
        )
    return model


def _spread(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """Demand one of the two words."""
    del instance
    if value not in get_args(Spread):
        rule = 'must be "parameters" or "independent"'
        raise ValidationError.from_value(attribute.name, rule, value, "")


@attrs.frozen
class DealForecaster:
    """Forecast by deal: what is booked, open, reopened, and not yet created.

    Parameters
    ----------
    model : str or StageModel
        The stage model that dates each deal.
    arrivals : Arrivals or None
        How deals that do not exist yet are expected; None leaves them out. Where the history is
        too short for it, they are left out too, and the forecast notes it.
    spread : {"parameters", "independent"}
        What open deals share. ``"parameters"``: the stage model's parameters, which are not known
        for sure: draws of them say how far the expected money may be off, and that error becomes
        the `shock` of the forecast. ``"independent"``: nothing, so that intervals are too narrow.
        A model that cannot draw its parameters leaves deals independent, and the forecast notes it.

    Examples
    --------
    >>> DealForecaster("win-rate", arrivals=None)
    DealForecaster(model=WinRate(minimum=20), arrivals=None, spread='parameters')
    """

    model: StageModel[Any] = attrs.field(converter=_model)
    arrivals: Arrivals | None = attrs.field(factory=Arrivals, kw_only=True)
    spread: Spread = attrs.field(default="parameters", kw_only=True, validator=_spread)

    def fit(
        self, source: History | HistorySource, /, *, executor: Executor | None = None
    ) -> FittedDealForecaster:
        """Fit the stage model, the arrivals, and the amounts that stand for unknown ones.

        Raises
        ------
        InsufficientDataError
            When the model finds too little history.
        CurrencyMismatchError
            When won amounts are of several currencies.
        """
        fitted = self.model.fit(source, executor=executor)
        return self.around(
            fitted, source, calendar_aware=self.model.calendar_aware, executor=executor
        )

    def around(
        self,
        fitted: FittedModel,
        source: History | HistorySource,
        /,
        *,
        calendar_aware: bool,
        executor: Executor | None = None,
    ) -> FittedDealForecaster:
        """Return the forecaster for a stage model that is fitted already.

        Parameters
        ----------
        fitted : FittedModel
            It takes the place of the fitted `model`.
        source : History or HistorySource
            For amounts and arrivals.
        calendar_aware : bool
            Does the answer of `fitted` depend on the date itself?
        executor : concurrent.futures.Executor, optional
            Where chunks are summarised.
        """
        closing = summarize(source, summarize_closing, executor=executor)
        arriving = None
        if self.arrivals is not None:
            arriving = summarize(source, self.arrivals.summarize, executor=executor)
        return self.assembled(fitted, closing, arriving, calendar_aware=calendar_aware)

    def fits(
        self,
        source: History | HistorySource,
        days: Sequence[int],
        /,
        *,
        executor: Executor | None = None,
    ) -> Iterator[Callable[[], FittedDealForecaster]]:
        """Yield, for each of many days, a call that fits on what was known at its end.

        What can be counted once for all days is; see `StageModel.fits`.
        """
        models = self.model.fits(source, days, executor=executor)
        closing = summarize_until(source, closing_until, days, executor=executor)
        arriving: Iterable[ArrivalSummary | None] = (None for _ in days)
        if self.arrivals is not None:
            arriving = summarize_until(source, self.arrivals.summaries, days, executor=executor)
        for model, one, other in zip(models, closing, arriving, strict=True):
            yield functools.partial(self._fitted, model, one, other)

    def _fitted(
        self,
        model: Callable[[], FittedModel],
        closing: ClosingSummary,
        arriving: ArrivalSummary | None,
    ) -> FittedDealForecaster:
        """Fit the model now."""
        return self.assembled(model(), closing, arriving, calendar_aware=self.model.calendar_aware)

    def assembled(
        self,
        fitted: FittedModel,
        closing: ClosingSummary,
        arriving: ArrivalSummary | None,
        /,
        *,
        calendar_aware: bool,
    ) -> FittedDealForecaster:
        """Return the forecaster for a fitted stage model and summaries of amounts and arrivals."""
        amounts = closing.estimate()
        arrivals: FittedArrivals | None = None
        notes = amounts.notes
        if self.arrivals is not None and arriving is not None:
            try:
                arrivals = self.arrivals.estimate(arriving)
            except InsufficientDataError as error:
                notes = (*notes, f"deals that do not exist yet are left out: {error}")
        return FittedDealForecaster(
            self.model.name,
            fitted,
            amounts,
            arrivals,
            calendar_aware=calendar_aware,
            spread=self.spread,
            notes=notes,
        )

    def without_history(self) -> FittedDealForecaster:
        """Return the forecaster for a model that needs no history, such as ``"textbook"``.

        Raises
        ------
        InsufficientDataError
            When the model has to learn first.
        """
        model = self.model.without_history()
        return FittedDealForecaster(self.model.name, model, spread=self.spread)


@attrs.frozen(eq=False)
class FittedDealForecaster:
    """A fitted stage model with the distribution of won amounts and the arrivals of deals.

    Parameters
    ----------
    name : str
        Name of the stage model.
    model : FittedModel
        The fitted stage model.
    amounts : ClosingAmounts or None
        At which amounts deals close; None takes amounts as they are, and for unknown ones the known
        amounts of the pipeline itself.
    arrivals : FittedArrivals or None
        Deals that do not exist yet; None leaves them out.
    calendar_aware : bool
        Does the model's answer depend on the date itself?
    spread : {"parameters", "independent"}
        What open deals share, see `DealForecaster`.
    notes : tuple of str
        What was found while fitting.
    """

    name: str
    model: FittedModel
    amounts: ClosingAmounts | None = None
    arrivals: FittedArrivals | None = None
    calendar_aware: bool = attrs.field(default=False, kw_only=True)
    spread: Spread = attrs.field(default="parameters", kw_only=True, validator=_spread)
    notes: tuple[str, ...] = attrs.field(default=(), kw_only=True)

    @property
    def trained_until(self) -> int:
        """Last day of the history that the model has seen."""
        return self.model.trained_until

    def stage_model(self, last: int, as_of: int, /) -> FittedModel:
        """Return the stage model, which is the same for all days."""
        del last, as_of
        return self.model

    def basis(self, pipeline: Pipeline, horizon: Horizon, /) -> Basis:
        """Return what a plan of new deals needs to know for a horizon."""
        alone = attrs.evolve(self, arrivals=None, spread="independent", notes=())
        return Basis(self, alone.forecast(pipeline, horizon))

    def forecast(
        self, pipeline: Pipeline, horizon: Horizon, /, *, by: Sequence[str] = ()
    ) -> Forecast:
        """Forecast what is booked in each period.

        Parameters
        ----------
        pipeline : Pipeline
            The state of the deals on the day of the forecast.
        horizon : Horizon
            k periods; one that began before `as_of` holds what is booked in it so far.
        by : sequence of str
            Category columns (or ``"stage"``) whose values make groups.

        Returns
        -------
        Forecast

        Raises
        ------
        LeakError
            When ``pipeline.as_of`` is before the last day the model was trained on.
        InsufficientDataError
            When amounts are unknown and there is none to learn from.
        CurrencyMismatchError
            When amounts are of several currencies.
        UnknownColumnError
            When a `by` column does not exist.
        """
        if pipeline.as_of < self.trained_until:
            msg = (
                f"the model was trained on history until {to_date(self.trained_until)}, so it must "
                f"not forecast as of {to_date(pipeline.as_of)}: it has seen what happened since. "
                "Fit it on history.until(as_of)."
            )
            raise LeakError(msg)
        pipeline.require(*self.model.needs)
        columns = (by,) if isinstance(by, str) else tuple(by)
        keys, source, book = self._deals(pipeline, horizon, columns)
        nameless = int(book.money.power(UNKNOWN).sum())
        unknown = (
            Amounts(np.empty(0), np.empty(0)) if self.amounts is None else self.amounts.unknown
        )
        if nameless and not len(unknown.atoms):  # nothing of known amount was won yet
            unknown = amounts_of(pipeline)
        if nameless and not len(unknown.atoms):
            what = (
                f"{nameless:,} of {len(book):,} deals have no amount, and open or won deals of "
                "known amount"
            )
            remedy = "Give amounts; amount=1 for every deal counts deals."
            raise InsufficientDataError(what, needed=1, found=0, remedy=remedy)
        outlook = Forecast(
            horizon=horizon,
            as_of=pipeline.as_of,
            currency=source.currency(),
            by=columns,
            keys=keys,
            deals=book,
            unknown=unknown,
            model=self.name,
            dispersion=0.0
            if self.arrivals is None
            else self.arrivals.dispersion + self.arrivals.uncertainty,
            notes=(*self.notes, *self._notes(source, unknown)),
        )
        return self._shared(outlook, source)

    def _shared(self, outlook: Forecast, source: Source) -> Forecast:
        """Add what open deals share: the error of the model's parameters."""
        if self.spread == "independent":
            return outlook
        if not isinstance(self.model, HasDraw):
            note = "the model does not say how sure its parameters are: deals count as independent"
            return attrs.evolve(outlook, notes=(*outlook.notes, note))
        shock = parameter_shock(self.model, source, outlook.unknown.mean)
        return outlook if shock is None else outlook.with_shock(shock, part="open")

    def _deals(
        self, pipeline: Pipeline, horizon: Horizon, by: tuple[str, ...]
    ) -> tuple[tuple[tuple[str, ...], ...], Source, Book]:
        """Return the groups, the deals that exist, and these together with new ones."""
        keys = used_groups(pipeline, by)
        numbers: IntArray = np.arange(len(keys))
        end = int(horizon.edges[-1])
        cohorts = () if self.arrivals is None else self.arrivals.cohorts(pipeline.as_of, end)
        if not cohorts:
            source = Source(self.model, pipeline, horizon, self.amounts, by, numbers)
            return keys, source, book_of(source)
        prototypes = cohorts[0].pipeline
        keys, numbers, theirs = joined((keys, numbers), prototypes.groups(by))
        source = Source(self.model, pipeline, horizon, self.amounts, by, numbers)
        number = new_chances(self.model, cohorts, horizon, calendar_aware=self.calendar_aware)
        fruitful = np.flatnonzero(number.any(axis=1))
        new = rows_of(
            prototypes.select(fruitful),
            number[fruitful],
            np.full(len(fruitful), NEW),
            theirs[fruitful],
            horizon=horizon,
            amounts=self.amounts,
        )
        return keys, source, book_of(source, new)

    def _notes(self, source: Source, unknown: Amounts) -> tuple[str, ...]:
        """Say what was assumed, and which deals were treated in a special way."""
        said = list(getattr(self.model, "notes", lambda _: ())(source.pipeline))
        undated, amount = source.undated()
        if undated:
            said.append(
                f"{undated:,} won deals ({amount:,.0f}) have no closing day and are in no period"
            )
        nameless = int(source.money.power(UNKNOWN).sum())
        if nameless:
            said.append(
                f"{nameless:,} deals have no amount; each counts as one drawn from those known "
                f"(mean {unknown.mean:,.0f})"
            )
        return (*said, *(() if self.arrivals is None else self.arrivals.notes))
