"""What is measured of a funnel, in the same form for a history and for a snapshot."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import numpy as np

from funnel.diagnosis._intervals import Bounds, mean_days
from funnel.errors import ValidationError
from funnel.kernels import survival
from funnel.kernels.labels import texts
from funnel.metrics.conversion import stage_table
from funnel.metrics.durations import summarize_durations
from funnel.stages import Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from funnel.calendars import Horizon, Unit
    from funnel.metrics.durations import DurationSummary
    from funnel.tables import History, Pipeline
    from funnel.typing import FloatArray, IntArray, StringArray

__all__ = ["Measured", "of_history", "of_pipeline"]


@attrs.frozen(eq=False)
class Measured:
    """Measures by cell (group and period, c) and stage (s); NaN unknown.

    Parameters
    ----------
    keys : dict of str to (c,) str
        Columns that name the cells.
    stock : (c, s) float64
        Deals in each stage at the end.
    entries : (c, s) float64
        Deals that entered each stage.
    watched : (c,) float64
        Days in which they did.
    conversion, days : Bounds of (c, s) float64
        Share that goes on, and mean days of a stay; of a snapshot, mean days so far.
    notes : tuple of str
        What has to be said.
    """

    keys: dict[str, StringArray]
    stock: FloatArray
    entries: FloatArray
    watched: FloatArray
    conversion: Bounds
    days: Bounds
    notes: tuple[str, ...]


def of_history(
    history: History,
    codes: IntArray,
    *,
    by: Sequence[str],
    period: Unit | Horizon | None,
    level: float,
) -> Measured:
    """Measure the stages `codes` (s,) of a history."""
    sheet = stage_table(history, by=by, period=period, level=level)
    moved, scope = sheet.entered, sheet.scope
    keys = scope.columns(moved.cells)
    keys.pop("observed", None)
    if scope.periods is None:
        watched = np.full(len(moved.cells), scope.window[1] - scope.window[0] + 1.0)
    else:
        lengths = scope.observed() * np.diff(scope.periods.edges)
        watched = lengths[moved.cells % scope.n_periods]
    entries = moved.entries[:, codes].astype(np.float64)
    entries[watched == 0.0] = np.nan
    stays = summarize_durations(history, by=by, period=period)
    return Measured(
        keys=keys,
        stock=sheet.there[:, codes],
        entries=entries,
        watched=watched,
        conversion=Bounds(moved.rate[:, codes], moved.low[:, codes], moved.high[:, codes]),
        days=_stays(stays, moved.cells, codes, level),
        notes=moved.notes,
    )


def _stays(summary: DurationSummary, cells: IntArray, codes: IntArray, level: float) -> Bounds:
    """(c,), (s,) -> (c, s) x 3: Kaplan-Meier mean of the stays, up to the highest age seen."""
    states = len(summary.scope.funnel.ids)
    order = np.argsort(codes)
    where = (cells[:, None] * states + codes[order]).ravel()
    mean, variance = np.full((2, len(where)), np.nan)
    exits, exposure = np.zeros((2, len(where)))
    for place, here in enumerate(where.tolist()):
        for _, events, risk in summary.ages.blocks(np.array([here])):
            if not risk.any():
                continue
            curve, spread = survival.kaplan_meier(events[:, 0], risk)
            area, area_variance = survival.restricted_mean(curve, spread)
            end = int(np.flatnonzero(risk[0])[-1])
            mean[place], variance[place] = area[0, end], area_variance[0, end]
            exits[place] = events.sum()
            exposure[place] = risk.sum() - events.sum()
    found = mean_days(mean, variance, exits, exposure, level)
    back = np.argsort(order)
    return Bounds(*(part.reshape(len(cells), -1)[:, back] for part in found))


def of_pipeline(
    pipeline: Pipeline, codes: IntArray, *, by: Sequence[str], level: float
) -> Measured:
    """Measure the stages `codes` (s,) of a snapshot: stock, and days of the open deals so far."""
    from scipy.special import stdtrit  # noqa: PLC0415 - slow to import

    if isinstance(by, str):
        remedy = f"Put the single column into a tuple: by=({by!r},)."
        raise ValidationError.from_value("by", "must be a sequence of columns", by, remedy)
    deals = pipeline.select(pipeline.outcome == Outcome.OPEN)
    names, group = deals.groups(by) if by else (((),), np.zeros(len(deals), dtype=np.int32))
    place = np.full(len(pipeline.funnel.ids), -1)
    place[codes] = np.arange(len(codes))
    stage = place[deals.stage]
    shape = (len(names), len(codes))
    cell = group * len(codes) + stage
    known = (stage >= 0) & (deals.days_in_stage >= 0)
    age = deals.days_in_stage[known].astype(np.float64)

    def sums(rows: np.ndarray, weights: FloatArray | None = None) -> FloatArray:
        """Add up by group and stage."""
        found = np.bincount(cell[rows], weights, minlength=shape[0] * shape[1])
        return found.astype(np.float64).reshape(shape)

    n = sums(known)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = sums(known, age) / n
        spread = np.maximum(sums(known, age**2) / n - mean**2, 0.0)
        reach = stdtrit(n - 1.0, 0.5 + level / 2.0) * np.sqrt(spread / (n - 1.0))
    reach = np.where(n > 1.0, reach, np.where(n == 1.0, np.inf, np.nan))
    unknown = np.full(shape, np.nan)
    # Those who are there have not left yet, so being there for few days is no sign of speed.
    days = Bounds(mean, np.maximum(mean - reach, 0.0), np.where(n > 0, np.inf, np.nan))
    return Measured(
        keys={name: texts([key[i] for key in names]) for i, name in enumerate(by)},
        stock=sums(stage >= 0),
        entries=unknown,
        watched=np.full(shape[0], np.nan),
        conversion=Bounds(unknown, unknown, unknown),
        days=days,
        notes=(
            "a snapshot shows no inflow and no conversion: width is the stock of the first stage",
            "days are those so far",
        ),
    )
