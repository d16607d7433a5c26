"""Ratios of what was booked to what was submitted, and the errors that are left: the arithmetic."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from funnel.forecasting._submissions_past import Past
    from funnel.typing import FloatArray, IntArray

__all__ = ["Shrunk", "Spread", "log_ratios", "shrunk", "spread_of"]

PSEUDO = 0.1  # of a mean submission, added to both sides so that zeros have a logarithm
NOISE, NOISE_WORTH = 0.25, 2.0  # prior of the squared relative error of one person in one period
SPREAD = 0.3  # prior scale of the log bias of a team, and of a person within it
GRID = np.linspace(0.0, 1.2, 25)
SHARED, OWN, SPREAD_WORTH = 0.2**2, 0.4**2, 2.0  # prior squared relative errors, in periods


class Shrunk(NamedTuple):
    """Posterior mean and variance of log ratios, by owner and by team."""

    mean: FloatArray
    variance: FloatArray
    team_mean: FloatArray
    team_variance: FloatArray


def log_ratios(past: Past, owners: int) -> tuple[FloatArray, FloatArray]:
    """Return the log ratio of booked to submitted money of each owner and its variance, (o,) each.

    See `submission_bias` for the formulas; without a past the variance is infinite.
    """
    said = np.bincount(past.owner, past.said, minlength=owners)
    booked = np.bincount(past.owner, past.booked, minlength=owners)
    squares = np.bincount(past.owner, past.said**2, minlength=owners)
    number = np.bincount(past.owner, minlength=owners)
    level = float(np.mean(past.said + past.booked)) / 2.0 if len(past.owner) else 0.0
    pseudo = PSEUDO * (level or 1.0)
    ratio = (booked + pseudo) / (said + pseudo)
    fitted = ratio[past.owner] * past.said
    freedom = len(past.owner) - int(np.count_nonzero(number))
    misses = float(np.sum((past.booked - fitted) ** 2))
    size = (float(np.sum(fitted**2)) + pseudo**2) / max(len(past.owner), 1)
    noise = (misses / size + NOISE_WORTH * NOISE) / (freedom + NOISE_WORTH)
    effective = (said + pseudo) ** 2 / (squares + pseudo**2)
    return np.log(ratio), np.where(number > 0, noise / effective, np.inf)


def shrunk(x: FloatArray, variance: FloatArray, team: IntArray, teams: int) -> Shrunk:
    """(o,), (o,), (o,) -> posterior of the log ratios, averaged over both unknown spreads.

    ``x ~ N(b, variance)``, ``b ~ N(m, s**2)`` within a team, ``m ~ N(0, t**2)``, with half-normal
    priors of scale `SPREAD` for s and t, summed over a grid.
    """
    finite = np.isfinite(variance)
    t2 = (GRID**2)[:, None]
    weight, means, variances, team_means, team_variances = [], [], [], [], []
    for s in GRID.tolist():
        spread = variance + s**2
        precision = 1.0 / spread
        mass = np.bincount(team, precision, minlength=teams)
        pull = np.bincount(team, precision * x, minlength=teams)
        shrink = 1.0 + t2 * mass
        centre, about = t2 * pull / shrink, t2 / shrink
        likelihood = -0.5 * (
            np.sum(np.log(spread[finite]))
            + np.sum(precision * x**2)
            + np.sum(np.log(shrink) - t2 * pull**2 / shrink, axis=1)
        )
        weight.append(likelihood - 0.5 * (s**2 + GRID**2) / SPREAD**2)
        own = s**2 * precision  # what a person's own past counts
        means.append(own * x + (1.0 - own) * centre[:, team])
        variances.append(s**2 * (1.0 - own) + (1.0 - own) ** 2 * about[:, team])
        team_means.append(centre)
        team_variances.append(about)
    chance = np.concatenate(weight)
    chance = np.exp(chance - chance.max())
    chance /= chance.sum()
    return Shrunk(
        *_mixed(chance, np.concatenate(means), np.concatenate(variances)),
        *_mixed(chance, np.concatenate(team_means), np.concatenate(team_variances)),
    )


def _mixed(
    chance: FloatArray, mean: FloatArray, variance: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """(m,), (m, n), (m, n) -> (n,), (n,): mean and variance of a mixture."""
    centre = chance @ mean
    return centre, chance @ (variance + (mean - centre) ** 2)


class Spread(NamedTuple):
    """Squared relative errors: one that all people of a period share, and one of each person."""

    shared: float
    own: float


def spread_of(past: Past, forecast: FloatArray) -> Spread:
    """Split the squared relative error of past forecasts, (m,), into a shared and an own part.

    With forecasts F and errors r, ``k = sum r**2 / sum F**2`` over people and periods,
    ``p = sum (sum r)**2 / sum (sum F)**2`` over periods, and ``h = sum F**2 / sum (sum F)**2``:
    ``E k = own + shared`` and ``E p = h own + shared``. A prior is worth two periods.
    """
    error = past.booked - forecast
    totals = np.bincount(past.period, forecast)
    square = float(np.sum(totals**2))
    if square <= 0.0:
        return Spread(SHARED, OWN)
    each = float(np.sum(error**2)) / float(np.sum(forecast**2))
    together = float(np.sum(np.bincount(past.period, error) ** 2)) / square
    share = float(np.sum(forecast**2)) / square
    shared = each * SHARED / (SHARED + OWN)  # one person a period: only the prior can tell
    if share < 1.0 - 1e-9:
        shared = min(max((together - share * each) / (1.0 - share), 0.0), each)
    periods = past.periods
    return Spread(
        (periods * shared + SPREAD_WORTH * SHARED) / (periods + SPREAD_WORTH),
        (periods * (each - shared) + SPREAD_WORTH * OWN) / (periods + SPREAD_WORTH),
    )
