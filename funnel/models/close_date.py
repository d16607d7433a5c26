"""When deals close, given when they were promised to: the slippage seen by stage and pushes."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import attrs
import numpy as np

from funnel.calendars import to_dates
from funnel.errors import ExtrapolationWarning, InsufficientDataError, ValidationError
from funnel.kernels import incidence as kernel
from funnel.kernels.arrays import frozen
from funnel.models._references import CENSORED
from funnel.models._slippage import (
    ANY,
    ENTRY,
    GROUPS,
    LATER,
    LEADS,
    NONE,
    OVERDUE,
    PUSHES,
    CloseDateSummary,
    owners_of,
    place,
    summarize_slippage,
)
from funnel.models._validators import positive, whole
from funnel.models.base import FittedModel, StageModel
from funnel.stages import Funnel, Outcome
from funnel.typing import NO_DAY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from funnel.tables import History, Pipeline
    from funnel.typing import BoolArray, DateArray, FloatArray, IntArray

__all__ = ["GROUPS", "CloseDate", "CloseDateSummary", "FittedCloseDate"]

THIN = 30  # deal-days that a bin of pooled hazards rests on at least
WITHIN = 730  # days ahead in which a corrected close date is looked for


def _name(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """Demand the name of a column, or None."""
    del instance
    if value is not None and not (isinstance(value, str) and value):
        rule = "must be the name of a column, or None"
        raise ValidationError.from_value(attribute.name, rule, value, "None leaves owners out.")


@attrs.frozen(eq=False)
class FittedCloseDate:
    """Hazards on the clock of the promise, and multipliers of them; see `CloseDate`.

    Parameters
    ----------
    trained_until : int
        Last day of the history.
    funnel : Funnel
        The ladder.
    hazards : (s, g, 2, d) float64
        Daily hazards of winning and of other closings by stage, group and position.
    known : (g,) bool
        Groups with history enough; deals of others are taken to have no promise.
    pushes : (2, 4, 3) float64
        For winning and for other closings: number observed, number expected, and multiplier of
        deals with 0, 1, 2, 3 or more pushes.
    owner : str
        Column of the owners; empty for none.
    owners : tuple of str
        Their names.
    by_owner : (2, o, 3) float64
        The same for each owner.
    """

    trained_until: int
    funnel: Funnel
    hazards: FloatArray = attrs.field(converter=frozen)
    known: BoolArray = attrs.field(converter=frozen)
    pushes: FloatArray = attrs.field(converter=frozen)
    owner: str
    owners: tuple[str, ...]
    by_owner: FloatArray = attrs.field(converter=frozen)

    needs: ClassVar[tuple[str, ...]] = ()

    def win_curve(self, pipeline: Pipeline, dates: DateArray, /) -> FloatArray:
        """Return the chance to be won by each date given promise, stage, pushes and owner: (n, k).

        Lost deals get 0: reopening is not modelled.
        """
        ahead = dates.astype("datetime64[D]").astype(np.int64) - pipeline.as_of
        chances = np.zeros((len(pipeline), len(ahead)))
        oldest, older = self.hazards.shape[3] - 1, 0
        for cell in self._cells(pipeline):
            chances[cell.rows] = self._curves(cell, ahead)
            older += int(np.count_nonzero(cell.position >= oldest))
        if older:
            message = (
                f"{older:,} open deals are further past their promise than any in history "
                f"({oldest - 1} days on its clock); the last hazard seen is carried on for them"
            )
            warnings.warn(message, ExtrapolationWarning, stacklevel=2)
        return np.clip(np.maximum.accumulate(chances, axis=1), 0.0, 1.0)

    def corrected_close(self, pipeline: Pipeline, /) -> DateArray:
        """Return the day on which each deal is to be expected, if it is won: (n,).

        The median: half of the chance to be won within two years lies before it. NaT for deals
        that are not open, or cannot be won.
        """
        found = np.full(len(pipeline), NO_DAY, dtype=np.int32)
        ahead = 1 + np.arange(WITHIN)
        for cell in self._cells(pipeline):
            distinct, back = np.unique(cell.position, return_inverse=True)
            curves = self._curves(cell._replace(position=distinct), ahead)
            half = ahead[(curves >= 0.5 * curves[:, -1:]).argmax(axis=1)]
            found[cell.rows] = np.where(curves[:, -1] > 0.0, pipeline.as_of + half, NO_DAY)[back]
        return to_dates(found)

    def slippage(self, levels: tuple[float, ...] = (0.1, 0.5, 0.9), /) -> FloatArray:
        """Return quantiles of days won after the promise (negative: before it): (s, 3, q).

        For deals that have just come to a lead of 30, 90 and 180 days, by stage, given that they
        are won within the oldest slippage seen. NaN where the history has no such promises.
        """
        stages, _, _, days = self.hazards.shape
        found = np.full((stages, len(LEADS) - 1, len(levels)), np.nan)
        for column, longest in enumerate(LEADS[1:].tolist()):
            group = OVERDUE + 1 + column
            if not self.known[group]:
                continue
            for stage in range(stages):
                won = kernel.cumulative_incidence(self.hazards[stage, group])[1][0, 1:]
                reached = won >= np.array(levels)[:, None] * won[-1]
                slip = np.arange(days) - 1 - longest
                found[stage, column] = np.where(won[-1] > 0.0, slip[reached.argmax(axis=1)], np.nan)
        return found

    def _multipliers(self, pipeline: Pipeline) -> FloatArray:
        """(n, 2): multipliers of each deal; 1 for pushes and owners that are unknown or new."""
        push = np.where(pipeline.pushes < 0, PUSHES, np.minimum(pipeline.pushes, PUSHES - 1))
        codes, names = owners_of(pipeline.schema, pipeline.columns, self.owner)
        places = {name: code for code, name in enumerate(self.owners)}
        owner = np.array([*(places.get(name, -1) for name in names), -1])[codes]
        one = np.ones((1, 2))
        by_push = np.concatenate((self.pushes[:, :, 2].T, one))
        by_owner = np.concatenate((self.by_owner[:, :, 2].T, one))
        return np.asarray(by_push[push] * by_owner[owner])

    def _cells(self, pipeline: Pipeline) -> Iterator[_Cell]:
        """Yield the open deals that share their hazards."""
        rows = np.flatnonzero(pipeline.outcome == Outcome.OPEN)
        day = np.full(len(rows), pipeline.as_of, dtype=np.int64)
        group, position = place(pipeline.expected_close[rows], day)
        position = np.where(self.known[group], position, 1)
        group = np.where(self.known[group], group, NONE)
        stage = pipeline.stage[rows].astype(np.int64)
        multipliers = self._multipliers(pipeline)[rows]
        levels, level = np.unique(multipliers, axis=0, return_inverse=True)
        key = (stage * len(GROUPS) + group) * len(levels) + level
        order = np.argsort(key, kind="stable")
        edges = np.flatnonzero(np.diff(key[order])) + 1
        for part in np.split(order, edges) if len(order) else ():
            first = part[0]
            at = int(stage[first]), int(group[first])
            yield _Cell(rows[part], position[part], *at, multipliers[first])

    def _curves(self, cell: _Cell, ahead: IntArray) -> FloatArray:
        """Chances of the deals of a cell: (m,), (k,) -> (m, k)."""
        won, other = self.hazards[cell.stage, cell.group] * cell.multipliers[:, None]
        won = np.minimum(won, 1.0)
        hazards = np.stack((won, np.minimum(other, 1.0 - won)))
        survival, incidence = kernel.cumulative_incidence(hazards)
        rates = np.array([hazards[0, -1], hazards[:, -1].sum()])
        return kernel.conditional_incidence(survival, incidence[0], rates, cell.position, ahead)


class _Cell(NamedTuple):
    """Open deals, (m,), that share stage, group and multipliers (2,), and their positions."""

    rows: IntArray
    position: IntArray
    stage: int
    group: int
    multipliers: FloatArray


@attrs.frozen
class CloseDate(StageModel[CloseDateSummary]):
    """The expected close date, corrected by how promises were kept: slippage by stage and pushes.

    Every week of the past, the open deals of that day are grouped by the days that were left to
    their promise (overdue, up to 30, 90, 180 days, later, none), and followed until they are won,
    lost or removed, or last seen. Within a group they run on the clock of slippage s = day -
    promised day, entering it late at minus their lead; overdue ones have a group and clock of
    their own, and deals without a promise (or with one beyond 180 days) run on the days since the
    reference day. For stage k and group g, with n deals at risk and d events at s::

        h_kg(s) = (d_kg(s) + lean h_g(s)) / (n_kg(s) + lean)    to be won, and to close otherwise
        W = sum over s, from now to then, of S(s) m h_won(s)
        S(s) = prod over v, from now to before s, of (1 - m h_won(v) - m' h_other(v))
        m = m_pushes m_owner,  m_j = (wins_j + a) / (expected wins_j + a),  likewise m'

    h_g are the hazards of all stages together, in bins of at least 30 deal-days. `a`, the strength
    of the whole, maximises the gamma-Poisson likelihood of the counts of the levels. Promises are
    those that were known on the reference day: later pushes do not move the clock.

    Parameters
    ----------
    owner : str or None
        Column whose values have multipliers; None, or a column that is not there, leaves it out.
    lean : float
        How many deals at risk of all stages each stage leans on, on every day.
    minimum : int
        Deals needed that closed after a reference day; below it nothing is estimated. A group of
        promises with fewer closings is treated as having no promise.

    Notes
    -----
    Assumes that deals of one stage, with as long to go to their promise and as many pushes, are
    alike, and that owner and pushes change the chances to close on any day by factors. Reference
    days overlap: a deal that is open for ten weeks is counted ten times, so all counts are divided
    by the mean number of reference days per deal before anything leans on anything. It fails where
    promises are set after the fact, or are all of one day; where the column of promises is known
    as ``final`` only, it is not looked at, and all deals count as without a promise. A deal that
    was closed and opened again counts by its first closing; lost deals get 0. Deals more than a
    year overdue count as a year overdue.

    References
    ----------
    .. [1] H. C. van Houwelingen, "Dynamic prediction by landmarking in event history analysis",
       Scandinavian Journal of Statistics 34, 2007,
       https://doi.org/10.1111/j.1467-9469.2006.00529.x.
    .. [2] H. Putter, M. Fiocco, R. B. Geskus, "Tutorial in biostatistics: competing risks and
       multi-state models", Statistics in Medicine 26, 2007, https://doi.org/10.1002/sim.2712.

    Examples
    --------
    >>> import funnel as fn
    >>> deals = [f"D{i}" for i in range(40)]
    >>> history = fn.History.from_columns(  # promised for 1 February, closed 10 days later
    ...     funnel=fn.Funnel(["Qualify"]), id=deals * 2,
    ...     at=["2026-01-01"] * 40 + ["2026-02-11"] * 40, expected_close=["2026-02-01"] * 80,
    ...     stage=["Qualify"] * 40 + ["Won"] * 10 + ["Lost"] * 30, observed_until="2026-02-28",
    ... )
    >>> fitted = CloseDate().fit(history)
    >>> float(fitted.slippage()[0, 0, 1])
    10.0
    """

    owner: str | None = attrs.field(default="owner", kw_only=True, validator=_name)
    lean: float = attrs.field(default=20.0, kw_only=True, validator=positive)
    minimum: int = attrs.field(default=20, kw_only=True, validator=whole)

    name: ClassVar[str] = "close-date"
    fitted: ClassVar[type[FittedModel]] = FittedCloseDate

    def summarize(self, history: History, /) -> CloseDateSummary:
        """Count open deals on reference days, and how they ended."""
        return summarize_slippage(history, self.owner or "")

    def estimate(self, summary: CloseDateSummary, /) -> FittedCloseDate:
        """Estimate hazards by stage and group, then the multipliers of pushes and owners.

        Raises
        ------
        InsufficientDataError
            With fewer than `minimum` deals that closed after a reference day.
        """
        if summary.closed < self.minimum:
            what = "a close-date model needs deals that closed a week or more after they were seen"
            remedy = "Give more history, lower minimum=, or use 'textbook'."
            raise InsufficientDataError(
                what, needed=self.minimum, found=summary.closed, remedy=remedy
            )
        hazards, known = _hazards(summary, self.lean, self.minimum)
        pushes, owners = _multipliers(summary, hazards, known)
        return FittedCloseDate(
            trained_until=summary.trained_until,
            funnel=summary.funnel,
            hazards=hazards,
            known=known,
            pushes=pushes,
            owner=self.owner or "",
            owners=summary.owners,
            by_owner=owners,
        )


def _repeats(summary: CloseDateSummary) -> float:
    """Return the mean number of reference days per deal."""
    entered = (summary.rows[:, 1] == ANY) & (summary.rows[:, 4] == ENTRY)
    return float(summary.counts[entered].sum()) / max(summary.deals, 1)


def _hazards(summary: CloseDateSummary, lean: float, minimum: int) -> tuple[FloatArray, BoolArray]:
    """(s, g, 2, d) hazards of each stage leaning on all, and (g,) which groups are known."""
    stage, groups, _, _, kind, position = summary.rows.T
    shape = (summary.funnel.n_stages, len(GROUPS), ENTRY + 1, int(position.max()) + 1)
    table = np.zeros(shape, dtype=np.int64)
    np.add.at(table, (stage, groups, kind, position), summary.counts)
    risk = kernel.at_risk(table[:, :, ENTRY], table[:, :, :ENTRY]) / _repeats(summary)
    events = table[:, :, :CENSORED] / _repeats(summary)

    def leaning(group: int, whole: FloatArray) -> FloatArray:
        """Hazards of the stages in a group, (s, 2, d)."""
        return (events[:, group] + lean * whole) / (risk[:, group, None] + lean)

    hazards = np.zeros((shape[0], len(GROUPS), CENSORED, shape[3]))
    known = events.sum(axis=(0, 2, 3)) >= minimum
    known[[NONE, ANY]] = True
    hazards[:, ANY] = leaning(ANY, _pooled(events[:, ANY].sum(axis=0), risk[:, ANY].sum(axis=0)))
    for group in range(ANY):
        whole = _pooled(events[:, group].sum(axis=0), risk[:, group].sum(axis=0))
        hazards[:, group] = leaning(group, hazards[:, ANY] if group in {NONE, LATER} else whole)
    return hazards, known


def _pooled(events: FloatArray, risk: FloatArray) -> FloatArray:
    """(c, d), (d,) -> (c, d): hazards that are equal within bins of at least 30 deal-days."""
    before = np.cumsum(risk) - risk
    bins = np.minimum(before // THIN, max(risk.sum() // THIN - 1.0, 0.0)).astype(np.int64)
    exposed = np.bincount(bins, risk)
    found = np.stack([np.bincount(bins, cause) for cause in events])
    return np.divide(found, exposed, out=np.zeros_like(found), where=exposed > 0)[:, bins]


def _multipliers(
    summary: CloseDateSummary, hazards: FloatArray, known: BoolArray
) -> tuple[FloatArray, FloatArray]:
    """(2, 4, 3), (2, o, 3): of pushes, and of owners given the pushes, by cause."""
    stage, group, push, owner, kind, position = summary.rows.T
    weight = np.where(known[group], summary.counts / _repeats(summary), 0.0)
    pushes, owners = [], []
    for cause in range(CENSORED):
        seen = weight * (kind == cause)
        # A deal that leaves adds the hazard of all positions to its last; entering takes it off.
        total = np.cumsum(hazards[:, :, cause], axis=-1)[stage, group, position]
        due = weight * np.where(kind == ENTRY, -total, total)
        pushes.append(_shrunk(push, PUSHES, seen, due))
        pushed = due * np.append(pushes[-1][:, 2], 1.0)[push]
        owners.append(_shrunk(owner, len(summary.owners), seen, pushed))
    return np.stack(pushes), np.stack(owners)


def _shrunk(level: IntArray, levels: int, seen: FloatArray, due: FloatArray) -> FloatArray:
    """(m,), (), (m,), (m,) -> (l, 3): number observed, expected, and multiplier of each level."""
    use = level >= 0
    observed, expected = (
        np.maximum(np.bincount(level[use], part[use], minlength=levels), 0.0)
        for part in (seen, due)
    )
    strength = _strength(observed, expected)
    return np.stack((observed, expected, (observed + strength) / (expected + strength)), axis=1)


def _strength(observed: FloatArray, expected: FloatArray) -> float:
    """(l,), (l,) -> (): prior strength of multipliers, in expected wins.

    Multipliers are gamma with mean 1 and shape a, so that counts are negative binomial; a maximises
    their likelihood on a logarithmic grid from 1 to 1000.
    """

    def likelihood(a: float) -> float:
        """Log likelihood of all levels, up to a constant."""
        return math.fsum(
            math.lgamma(a + o) - math.lgamma(a) + a * math.log(a) - (a + o) * math.log(a + e)
            for o, e in zip(observed.tolist(), expected.tolist(), strict=True)
        )

    grid = np.geomspace(1.0, 1000.0, 61)
    return float(grid[int(np.argmax([likelihood(float(a)) for a in grid]))])
