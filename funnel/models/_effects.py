"""Effects of covariates and of the calendar, from spells and the hazards that they multiply."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from funnel.kernels import clock, ridge, scored
from funnel.models._covariates import Term, design, width
from funnel.models._paths import LOSS, WIN, kinds
from funnel.models._sojourns import Layout

if TYPE_CHECKING:
    from funnel.models._spells import Spells
    from funnel.models.semi_markov import FittedSemiMarkov
    from funnel.typing import BoolArray, FloatArray, IntArray

__all__ = ["Estimate", "effects", "pace"]

TURNS = 3  # of effects and hazards
THIN = 20.0  # deals at risk by which the mean of a day leans on the days before


class _Moves(NamedTuple):
    """Moves of a kind: intensity (s, d); by spell, its part unused on the last day, and numbers."""

    rate: FloatArray
    unused: FloatArray
    expected: FloatArray
    seen: FloatArray


class Estimate(NamedTuple):
    """Effects (2, 2 stages, p), their covariances (2, 2 stages, p, p), hazards (s, t, d)."""

    effects: FloatArray
    covariance: FloatArray
    baseline: FloatArray


def _moves(spells: Spells, intensities: tuple[FloatArray, FloatArray], wanted: BoolArray) -> _Moves:
    """Count the moves of a kind, (s, t), that are expected and seen in each spell."""
    _, state, birth, begin, end, target = spells.rows.T
    chosen = wanted.astype(np.float64)
    rate, at_exit = (np.einsum("st,std->sd", chosen, one) for one in intensities)
    spent = np.concatenate((np.zeros((len(rate), 1)), np.cumsum(rate, axis=1)), axis=1)
    moved = target >= 0
    unused = np.where(moved, (rate - at_exit)[state, end - birth], 0.0)
    expected = spent[state, end - birth + 1] - spent[state, begin - birth] - unused
    seen = moved & wanted[state, target]
    return _Moves(rate, unused, np.maximum(expected, 0.0), seen.astype(np.float64))


def effects(
    spells: Spells,
    base: FittedSemiMarkov,
    terms: tuple[Term, ...],
    *,
    half_life: float | None,
    penalty: float | None,
) -> Estimate:
    """Estimate effects, how sure they are, and the hazards of deals without any.

    Deals that are slow stay, so that the hazards of all deals together fall with age where those
    of each do not. In turn, effects are estimated given the hazards of a deal without effects, and
    these are the intensities of all deals over the mean multiplier of those at risk (Breslow).
    """
    layout = Layout(base.funnel)
    phase, begin = spells.rows[:, 0], spells.rows[:, 3]
    columns = design(terms, spells.values(), spells.schema, len(phase))
    widths = [width(term) for term in terms]
    term = np.repeat(np.arange(len(terms)), widths)
    own = np.flatnonzero(np.repeat([kind != "category" for _, _, kind, _ in terms], widths))
    # A spell weighs by its first day, which is known before it ends: by the last one, those that
    # end early would weigh less than those that last.
    ago = base.trained_until - begin
    weight = np.ones(len(ago)) if half_life is None else 0.5 ** (ago / half_life)
    marginal, hazards = scored.intensities(base.hazards)[0], base.hazards
    known: dict[int, ridge.Effects] = {}
    due: dict[int, FloatArray] = {}
    for _ in range(TURNS):
        intensities, factors = scored.intensities(hazards), []
        for kind in (WIN, LOSS):
            moves = _moves(spells, intensities, kinds(layout) == kind)
            known[kind] = ridge.rate_effects(
                columns,
                phase,
                moves.expected * weight,
                moves.seen * weight,
                term=term,
                own=own,
                groups=2 * layout.stages,
                penalty=penalty,
                start=known.get(kind),
            )
            scores = _scores(columns, phase, known[kind].by_group)
            factors.append(np.exp(np.clip(scores, -ridge.LIMIT, ridge.LIMIT)))
            due[kind] = moves.expected * weight * factors[-1]
        divisor = np.ones(marginal.shape)
        for kind, mean in zip(
            (WIN, LOSS), _at_risk(spells, factors, weight, marginal.shape), strict=True
        ):
            np.copyto(divisor, mean[:, None, :], where=(kinds(layout) == kind)[:, :, None])
        hazards = scored.scaled(marginal, 1.0 / divisor)
    covariance = [
        _at_level(known[kind].covariance, columns, phase, due[kind]) for kind in (WIN, LOSS)
    ]
    return Estimate(
        np.stack([known[kind].by_group for kind in (WIN, LOSS)]), np.stack(covariance), hazards
    )


def _at_level(
    covariance: FloatArray, columns: FloatArray, phase: IntArray, due: FloatArray
) -> FloatArray:
    """(g, p, p), (n, p), (n,), (n,) -> (g, p, p): the covariance at a given level.

    How many moves of a phase there are in all is known from the hazards: what effects would add
    to the moves that are due is taken from their constant, the first column.
    """
    found = covariance.copy()
    edges = np.searchsorted(phase, np.arange(len(found) + 1))
    for g, (begin, end) in enumerate(itertools.pairwise(edges.tolist())):
        total = due[begin:end].sum()
        if total > 0.0:
            added = due[begin:end] @ columns[begin:end] / total
            found[g, 0] -= added @ found[g]
            found[g, :, 0] -= found[g] @ added
    return found


def _scores(columns: FloatArray, phase: IntArray, effects: FloatArray) -> FloatArray:
    """(n, p), (n,), (g, p) -> (n,): the score of each row, for rows sorted by phase."""
    edges = np.searchsorted(phase, np.arange(len(effects) + 1))
    parts = itertools.pairwise(edges.tolist())
    return np.concatenate(
        [columns[slice(*part)] @ own for part, own in zip(parts, effects, strict=True)]
    )


def _at_risk(
    spells: Spells, factors: list[FloatArray], weight: FloatArray, shape: tuple[int, ...]
) -> FloatArray:
    """K of (n,), (n,) -> (k, s, d): mean factors of spells at risk, leaning on the days before."""
    states, days = shape[0], shape[2]
    _, state, birth, begin, end, _ = spells.rows.T
    start, stop = state * (days + 1) + begin - birth, state * (days + 1) + end - birth + 1
    size = states * (days + 1)
    *totals, count = (
        np.cumsum(
            (
                np.bincount(start, of, minlength=size) - np.bincount(stop, of, minlength=size)
            ).reshape(states, days + 1),
            axis=1,
        )
        for of in (*(factor * weight for factor in factors), weight)
    )
    total, within = np.stack(totals), count + THIN
    mean = np.ones((len(factors), states, days))
    last = np.ones((len(factors), states))
    for day in range(days):
        last = (total[:, :, day] + THIN * last) / within[:, day]
        mean[:, :, day] = last
    return mean


def pace(
    spells: Spells, base: FittedSemiMarkov, penalty: float | None
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Estimate the pace of the calendar, (7,), (2,), from the moves towards winning.

    And by what wins are multiplied in each phase of the quarter, (6,), from wins on that clock.
    """
    layout = Layout(base.funnel)
    first, due, seen = _by_day(spells, base, kinds(layout) == WIN)
    weekdays, month_end = clock.estimate(first, due, seen, penalty)
    wins = np.broadcast_to(np.arange(layout.targets) == layout.won, kinds(layout).shape)
    first, due, seen = _by_day(spells, base, wins)
    days = np.arange(first, first + len(due))
    due = due * np.diff(clock.passed(weekdays, month_end, first - 1, days), prepend=0.0)
    return weekdays, month_end, clock.phases(first, due, seen)


def _by_day(
    spells: Spells, base: FittedSemiMarkov, wanted: BoolArray
) -> tuple[int, FloatArray, FloatArray]:
    """Return the first day, and the moves of a kind, (s, t), due and seen on each from it on."""
    _, state, birth, begin, end, _ = spells.rows.T
    first = int(begin.min(initial=base.trained_until))
    days = base.trained_until - first + 1
    moves = _moves(spells, scored.intensities(base.hazards), wanted)
    due = clock.expected_by_day(
        moves.rate, state, begin - birth, begin - first, end - first, days=days
    )
    due -= np.bincount(end - first, moves.unused, minlength=days)
    seen = np.bincount(end - first, moves.seen, minlength=days).astype(np.float64)
    return first, np.maximum(due, 0.0), seen
