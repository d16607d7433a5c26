"""From win curves to chances by period, for deals that exist and for cohorts of new ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from funnel.forecasting._rows import BOOKED, NEW, OPEN, REOPENED, ForecastDeals
from funnel.stages import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from funnel.calendars import Horizon
    from funnel.forecasting.amounts import ClosingAmounts
    from funnel.forecasting.arrivals import Cohort
    from funnel.models import FittedModel
    from funnel.tables import Pipeline
    from funnel.typing import DateArray, FloatArray, IntArray

    Curve = Callable[[Pipeline, DateArray], FloatArray]

__all__ = ["book", "chances", "joined", "new_chances", "rows_of"]

CHUNK = 65_536  # deals asked of the model at once


def chances(curve: Curve, pipeline: Pipeline, horizon: Horizon) -> tuple[FloatArray, IntArray]:
    """(n,) -> (n, k), (n,): chances by period, and the part of each deal (-1: not in the forecast).

    `curve` is the `win_curve` of a model.
    Won deals are certain in the period of their closing day; for open and lost ones the chance is
    W(end - 1) - W(max(start - 1, as_of)). Lost deals that cannot come back are left out.
    """
    chance = np.zeros((len(pipeline), len(horizon)))
    part = np.full(len(pipeline), -1, dtype=np.int8)
    book(pipeline, horizon, chance, part)
    days = horizon.edges.astype(np.int64) - 1
    ahead = days > pipeline.as_of
    dates = days[ahead].astype("datetime64[D]")
    alive = (pipeline.outcome == Outcome.OPEN) | (pipeline.outcome == Outcome.LOST)
    rows = np.flatnonzero(alive)
    for begin in range(0, len(rows) if len(dates) else 0, CHUNK):
        some = rows[begin : begin + CHUNK]
        won_by = np.zeros((len(some), len(days)))
        won_by[:, ahead] = curve(pipeline.select(some), dates)
        chance[some] = np.diff(won_by, axis=1)
    part[rows] = np.where(pipeline.outcome[rows] == Outcome.OPEN, OPEN, REOPENED)
    part[(part == REOPENED) & ~chance.any(axis=1)] = -1
    return chance, part


def book(pipeline: Pipeline, horizon: Horizon, chance: FloatArray, part: IntArray) -> None:
    """Make won deals certain in the period of their closing day: (n, k), (n,) are written to."""
    won = np.flatnonzero(pipeline.stage == pipeline.funnel.won_code)
    period = horizon.period_of(pipeline.closed_on[won])
    booked = won[period >= 0]
    chance[booked, period[period >= 0]] = 1.0
    part[booked] = BOOKED


def new_chances(
    model: FittedModel, cohorts: Sequence[Cohort], horizon: Horizon, *, calendar_aware: bool
) -> FloatArray:
    """(c,) cohorts of the same p prototypes -> (p, k): expected number of wins by period.

    A model that does not look at the calendar says the same of each cohort, only later, so that
    it is asked once for all of them.
    """
    prototypes = cohorts[0].pipeline
    weights = [cohort.expected / len(prototypes) for cohort in cohorts]
    if calendar_aware:
        parts = zip(weights, cohorts, strict=True)
        return sum(
            (
                weight * chances(model.win_curve, cohort.pipeline, horizon)[0]
                for weight, cohort in parts
            ),
            start=np.zeros((len(prototypes), len(horizon))),
        )
    days = np.array([cohort.day for cohort in cohorts])
    ahead = np.maximum(horizon.edges.astype(np.int64) - 1 - days[:, None], 0)
    asked, position = np.unique(ahead, return_inverse=True)
    position = position.reshape(ahead.shape)
    curve = np.zeros((len(prototypes), len(asked)))
    alive = np.flatnonzero(
        (prototypes.outcome == Outcome.OPEN) | (prototypes.outcome == Outcome.LOST)
    )
    later = asked > 0
    dates = (prototypes.as_of + asked[later]).astype("datetime64[D]")
    if len(dates):
        curve[np.ix_(alive, later)] = model.win_curve(prototypes.select(alive), dates)
    total = np.zeros((len(prototypes), len(horizon)))
    won = prototypes.outcome == Outcome.WON
    for weight, row, period in zip(weights, position, horizon.period_of(days), strict=True):
        total += weight * np.diff(curve[:, row], axis=1)
        if period >= 0:
            total[won, period] += weight
    return total


def rows_of(
    pipeline: Pipeline,
    chance: FloatArray,
    part: IntArray,
    group: IntArray,
    *,
    horizon: Horizon,
    amounts: ClosingAmounts | None,
) -> ForecastDeals:
    """Return the rows of a forecast, at the amounts of closing; new deals have promised nothing."""
    amount, spread = pipeline.amount, np.zeros(len(pipeline))
    if amounts is not None:
        amount, spread = amounts.at_closing(pipeline)
    promised = horizon.period_of(pipeline.expected_close)
    return ForecastDeals(
        ids=pipeline.ids,
        chance=np.asfortranarray(chance),
        amount=amount,
        part=part.astype(np.int8),
        group=group.astype(np.int32),
        category=pipeline.category,
        promised=np.where(part == NEW, -1, promised).astype(np.int32),
        spread=spread,
    )


def joined(
    one: tuple[tuple[tuple[str, ...], ...], IntArray],
    two: tuple[tuple[tuple[str, ...], ...], IntArray],
) -> tuple[tuple[tuple[str, ...], ...], IntArray, IntArray]:
    """Give the groups of two tables numbers in common: keys and codes -> keys, codes, codes."""
    keys = tuple(sorted({*one[0], *two[0]}))
    place = {key: number for number, key in enumerate(keys)}
    codes = []
    for names, code in (one, two):
        lookup = np.array([place[name] for name in names], dtype=np.int32)
        codes.append(lookup[code] if len(names) else code)
    return keys, codes[0], codes[1]
