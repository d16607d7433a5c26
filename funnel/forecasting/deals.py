"""Any stage model, lifted to a forecaster of money by period."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from funnel.calendars import Horizon, to_date
from funnel.errors import InsufficientDataError, LeakError, ValidationError
from funnel.forecasting._rows import PARTS, ForecastDeals
from funnel.forecasting.amounts import Amounts, amounts_of, summarize_amounts
from funnel.forecasting.forecast import Forecast
from funnel.models import FittedModel, StageModel, registry
from funnel.stages import Outcome
from funnel.summary import summarize
from funnel.typing import NO_DAY

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Executor

    from funnel.summary import HistorySource
    from funnel.tables import History, Pipeline
    from funnel.typing import BoolArray, FloatArray, IntArray

__all__ = ["DealForecaster", "FittedDealForecaster"]

CHUNK = 65_536  # deals asked of the model at once


def _model(value: str | StageModel[Any]) -> StageModel[Any]:
    """Look a name up; a model stays."""
    model = registry.get(value) if isinstance(value, str) else value
    if not isinstance(model, StageModel):
        raise ValidationError.from_value(
            "model", "must be a stage model or the name of one", value, "See funnel.models.names()."
        )
    return model


@attrs.frozen
class DealForecaster:
    """Forecast by deal: what is booked, and what the open deals will bring.

    Parameters
    ----------
    model : str or StageModel
        The stage model that dates each deal.

    Examples
    --------
    >>> DealForecaster("win-rate")
    DealForecaster(model=WinRate(minimum=20))
    """

    model: StageModel[Any] = attrs.field(converter=_model)

    def fit(
        self, source: History | HistorySource, /, *, executor: Executor | None = None
    ) -> FittedDealForecaster:
        """Fit the stage model, and the amounts that stand for unknown ones.

        Raises
        ------
        InsufficientDataError
            When the model finds too little history.
        CurrencyMismatchError
            When won amounts are of several currencies.
        """
        fitted = self.model.fit(source, executor=executor)
        amounts = summarize(source, summarize_amounts, executor=executor).estimate()
        return FittedDealForecaster(self.model.name, fitted, amounts)

    def without_history(self) -> FittedDealForecaster:
        """Return the forecaster for a model that needs no history, such as ``"textbook"``.

        Raises
        ------
        InsufficientDataError
            When the model has to learn first.
        """
        return FittedDealForecaster(self.model.name, self.model.without_history(), None)


@attrs.frozen(eq=False)
class FittedDealForecaster:
    """A fitted stage model with the distribution of won amounts.

    Parameters
    ----------
    name : str
        Name of the stage model.
    model : FittedModel
        The fitted stage model.
    amounts : Amounts or None
        For deals of unknown amount; None takes the known amounts of the pipeline itself.
    """

    name: str
    model: FittedModel
    amounts: Amounts | None

    @property
    def trained_until(self) -> int:
        """Last day of the history that the model has seen."""
        return self.model.trained_until

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
        keys, group = pipeline.groups(columns)
        chance, part = _chances(self.model, pipeline, horizon)
        counted = np.flatnonzero(part >= 0)
        unknown = self.amounts if self.amounts is not None else amounts_of(pipeline)
        nameless = np.isnan(pipeline.amount[counted])
        if np.any(nameless) and not len(unknown.atoms):
            what = (
                f"{int(nameless.sum()):,} of {len(counted):,} deals have no amount, and known ones"
            )
            remedy = "Give amounts; amount=1 for every deal counts deals."
            raise InsufficientDataError(what, needed=1, found=0, remedy=remedy)
        deals = ForecastDeals(
            ids=pipeline.ids[counted],
            chance=np.asfortranarray(chance[counted]),
            amount=pipeline.amount[counted],
            part=part[counted],
            group=group[counted],
            category=pipeline.category[counted],
            promised=horizon.period_of(pipeline.expected_close)[counted],
        )
        won = pipeline.outcome == Outcome.WON
        notes = _notes(
            self.model, pipeline, won & (pipeline.closed_on == NO_DAY), nameless, unknown
        )
        return Forecast(
            horizon=horizon,
            as_of=pipeline.as_of,
            currency=pipeline.select(counted).currency,
            by=columns,
            keys=keys,
            deals=deals,
            unknown=unknown,
            model=self.name,
            notes=notes,
        )


def _chances(
    model: FittedModel, pipeline: Pipeline, horizon: Horizon
) -> tuple[FloatArray, IntArray]:
    """(n,) -> (n, k), (n,): chances by period, and the part of each deal (-1: not in the forecast).

    Won deals are certain in the period of their closing day; for open and lost ones the chance is
    W(end - 1) - W(max(start - 1, as_of)). Lost deals that cannot come back are left out.
    """
    chance = np.zeros((len(pipeline), len(horizon)))
    part = np.full(len(pipeline), -1, dtype=np.int8)
    period = horizon.period_of(pipeline.closed_on)
    booked = np.flatnonzero((pipeline.outcome == Outcome.WON) & (period >= 0))
    chance[booked, period[booked]] = 1.0
    part[booked] = PARTS.index("booked")
    days = horizon.edges.astype(np.int64) - 1
    ahead = days > pipeline.as_of
    dates = days[ahead].astype("datetime64[D]")
    for outcome, name in ((Outcome.OPEN, "open"), (Outcome.LOST, "reopened")):
        rows = np.flatnonzero(pipeline.outcome == outcome)
        for begin in range(0, len(rows) if len(dates) else 0, CHUNK):
            some = rows[begin : begin + CHUNK]
            won_by = np.zeros((len(some), len(days)))
            won_by[:, ahead] = model.win_curve(pipeline.select(some), dates)
            chance[some] = np.diff(won_by, axis=1)
        part[rows] = PARTS.index(name)
    part[(part == PARTS.index("reopened")) & ~chance.any(axis=1)] = -1
    return chance, part


def _notes(
    model: FittedModel,
    pipeline: Pipeline,
    undated: BoolArray,
    nameless: BoolArray,
    unknown: Amounts,
) -> tuple[str, ...]:
    """Say what was assumed, and which deals were treated in a special way."""
    said = list(getattr(model, "notes", lambda _: ())(pipeline))
    if np.any(undated):
        amount = float(np.nansum(pipeline.amount[undated]))
        said.append(
            f"{int(undated.sum()):,} won deals ({amount:,.0f}) have no closing day and are in no "
            "period"
        )
    if np.any(nameless):
        said.append(
            f"{int(nameless.sum()):,} deals have no amount; each counts as one drawn from won "
            f"deals (mean {unknown.mean:,.0f})"
        )
    return tuple(said)
