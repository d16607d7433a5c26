"""Submissions in force as a forecast, corrected or not, with the spread of the past."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

import attrs
import numpy as np

from funnel.calendars import to_date
from funnel.errors import CurrencyMismatchError, LeakError, UnknownColumnError
from funnel.forecasting._submissions_bias import teams_of
from funnel.forecasting._submissions_cover import cover
from funnel.forecasting._submissions_past import Ledger, WonDeals, observed, past_of
from funnel.forecasting._submissions_ratios import Shrunk, Spread, log_ratios, shrunk, spread_of
from funnel.forecasting.forecast import Forecast
from funnel.kernels.labels import texts
from funnel.stages import Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from funnel.calendars import Horizon
    from funnel.forecasting._submissions_cover import Cell
    from funnel.forecasting._submissions_table import Submissions
    from funnel.tables import Pipeline
    from funnel.typing import FloatArray, IntArray

__all__ = ["FittedHumanForecaster"]

FEW = 4  # past periods below which the spread is mostly a prior


class _Learnt(NamedTuple):
    """What the past says at one lead time: bias by owner, spread, and the periods behind it."""

    bias: Shrunk
    spread: Spread
    periods: int


class _Scene(NamedTuple):
    """What a forecast is made of: submissions, bookings, and the people with their groups."""

    as_of: int
    known: Submissions
    ledger: Ledger
    code: IntArray
    group: IntArray
    groups: int


@attrs.frozen(eq=False)
class FittedHumanForecaster:
    """Submissions of one kind, and what the people behind them have booked.

    Parameters
    ----------
    name : str
        The name in tables.
    submissions : Submissions
        Of one kind and of all times; `forecast` sees those made by `as_of`, and learns from those
        of periods that had ended by `trained_until`.
    won : WonDeals
        What was booked.
    column : str
        Column with the owners of deals.
    corrects : bool
        Are submissions multiplied by the ratios of the past?
    team : str or None
        Column of the submissions by which people are pooled.
    """

    name: str
    submissions: Submissions
    won: WonDeals = attrs.field(repr=False)
    column: str = attrs.field(default="owner", kw_only=True)
    corrects: bool = attrs.field(default=False, kw_only=True)
    team: str | None = attrs.field(default=None, kw_only=True)

    def __attrs_post_init__(self) -> None:
        """Demand one currency."""
        _one_currency(self.submissions.currency, self.won.currency)

    @property
    def trained_until(self) -> int:
        """Last day of the history."""
        return self.won.window[1]

    def forecast(
        self, pipeline: Pipeline, horizon: Horizon, /, *, by: Sequence[str] = ()
    ) -> Forecast:
        """Forecast what is booked in each period.

        Parameters
        ----------
        pipeline : Pipeline
            Says what is booked so far; open deals play no part.
        horizon : Horizon
            k periods: those of the submissions, or made up of them.
        by : sequence of str
            The owners' column, or columns of the submissions (the last value of each owner counts).

        Returns
        -------
        Forecast

        Raises
        ------
        LeakError
            When ``pipeline.as_of`` is before the last day of the history.
        InsufficientDataError
            When no submission covers a period.
        UnknownColumnError
            When a `by` column is neither.
        CurrencyMismatchError
            When amounts are of several currencies.
        """
        if pipeline.as_of < self.trained_until:
            msg = (
                f"what people booked is known until {to_date(self.trained_until)}, so it must not "
                f"be used as of {to_date(pipeline.as_of)}. Fit on history.until(as_of)."
            )
            raise LeakError(msg)
        columns = (by,) if isinstance(by, str) else tuple(by)
        known = self.submissions.select(self.submissions.submitted_on <= pipeline.as_of)
        ledger = Ledger.of_pipeline(pipeline, self.column)
        every, _ = pipeline.groups((self.column,))
        listed = {key[0] for key in every} if self.column in columns else set(ledger.names)
        owners = sorted({*known.owner.tolist(), *listed})
        keys, group = self._groups(known, owners, columns)
        found = cover(known, horizon, pipeline.as_of, owners, kind=self.name)
        codes = ledger.codes(texts(owners))
        scene = _Scene(pipeline.as_of, known, ledger, codes, group, len(keys))
        mean, variance = np.zeros((2, len(keys), len(horizon)))
        learnt = [self._learn(known, owners, cell, pipeline.as_of) for cell in found.cells]
        for cell, past in zip(found.cells, learnt, strict=True):
            more, spread = _moments(scene, cell, past)
            mean[:, cell.period] += more
            variance[:, cell.period] += spread
        won = pipeline.select(pipeline.outcome == Outcome.WON)
        fewest = min((past.periods for past in learnt), default=FEW)
        return Forecast.from_moments(
            horizon=horizon,
            as_of=pipeline.as_of,
            currency=_one_currency(self.submissions.currency, self.won.currency, won.currency),
            by=columns,
            keys=keys,
            booked=_booked(scene, horizon),
            mean=mean,
            variance=variance,
            model=self.name,
            notes=(*found.notes, *self._notes(known, ledger, fewest)),
        )

    def _groups(
        self, known: Submissions, owners: list[str], by: tuple[str, ...]
    ) -> tuple[tuple[tuple[str, ...], ...], IntArray]:
        """Return the groups, sorted, and that of each owner."""
        values = []
        for name in by:
            if name == self.column:
                values.append(owners)
            elif name in known.attributes:
                named, place = teams_of(known, owners, name)
                values.append([named[code] for code in place.tolist()])
            else:
                raise UnknownColumnError(name, (self.column, *known.attributes))
        of_owner = list(zip(*values, strict=True)) if by else [()] * len(owners)
        keys = tuple(sorted(set(of_owner))) if by else ((),)
        place_of = {key: row for row, key in enumerate(keys)}
        return keys, np.array([place_of[key] for key in of_owner], dtype=np.int64)

    def _learn(self, known: Submissions, owners: list[str], cell: Cell, as_of: int) -> _Learnt:
        """Return what periods that had ended say of periods like this one, so far ahead."""
        n = len(owners)
        ended = self.submissions.select(observed(self.submissions, self.won.window))
        past = past_of(
            ended,
            self.won.ledger,
            [name if name in self.won.owners else "" for name in owners],
            self.won.window,
            lead=cell.end - 1 - as_of,
            length=cell.end - cell.start,
        )
        bias = Shrunk(np.zeros(n), np.zeros(n), np.zeros(1), np.zeros(1))
        if self.corrects:
            teams, place = teams_of(known, owners, self.team)
            bias = shrunk(*log_ratios(past, n), place, len(teams))
        figure = np.maximum(past.said * np.exp(bias.mean[past.owner]), past.so_far)
        return _Learnt(bias, spread_of(past, figure), past.periods)

    def _notes(self, known: Submissions, ledger: Ledger, fewest: int) -> tuple[str, ...]:
        """Say what the forecast rests on."""
        said = []
        strangers = sorted(set(known.owner.tolist()) - self.won.owners)
        if strangers:
            said.append(
                f"{len(strangers):,} people who submitted have no deal in the history (first: "
                f"{strangers[0]!r}); nothing is known of their past"
            )
        if fewest < FEW:
            said.append(
                f"the spread rests on {fewest:,} past periods of this lead time and on a prior"
            )
        if ledger.unknown:
            said.append(f"{ledger.unknown:,} won deals have no amount and count as 0")
        return tuple(said)


def _booked(scene: _Scene, horizon: Horizon) -> FloatArray:
    """Return what each group has booked so far in each period, (g, k)."""
    columns = []
    for start, end in itertools.pairwise(horizon.edges.tolist()):
        money = scene.ledger.between(scene.code, start, min(end, scene.as_of + 1))
        columns.append(np.bincount(scene.group, money, minlength=scene.groups))
    return np.stack(columns, axis=1)


def _moments(scene: _Scene, cell: Cell, past: _Learnt) -> tuple[FloatArray, FloatArray]:
    """Return mean and variance of what the groups have still to book of one cell, (g,) each."""
    so_far = scene.ledger.between(scene.code[cell.owner], cell.start, scene.as_of + 1)
    said = scene.known.amount[cell.rows] * np.exp(past.bias.mean[cell.owner])
    figure = np.maximum(said, so_far)
    own = figure**2 * (past.spread.own + past.bias.variance[cell.owner])

    def by_group(values: FloatArray) -> FloatArray:
        """Add up."""
        return np.bincount(scene.group[cell.owner], values, scene.groups).astype(np.float64)

    variance = by_group(own) + past.spread.shared * by_group(figure) ** 2
    return by_group(figure - so_far), variance


def _one_currency(*named: str) -> str:
    """Return the one currency that is named, ``""`` where none is."""
    found = sorted(set(named) - {""})
    if len(found) > 1:
        raise CurrencyMismatchError(found)
    return found[0] if found else ""
