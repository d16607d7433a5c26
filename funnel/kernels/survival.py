"""Curves with their uncertainty from counts by age: survival, hazard, incidence, durations.

All take events and subjects at risk on each day of age, as `exposure` and `incidence.at_risk` count
them: late entry and censoring come in through the risk sets, ties are exact, and leading axes hold
groups. As in `incidence`, element t of a curve speaks of the ages 0 .. t - 1, that is of the time
up to the end of day t - 1, and element 0 of the time before anything could happen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from funnel.typing import BoolArray, FloatArray, IntArray

__all__ = [
    "Increments",
    "Scale",
    "aalen_johansen",
    "bounds",
    "kaplan_meier",
    "nelson_aalen",
    "quantiles",
    "restricted_mean",
]

Increments = Literal["greenwood", "aalen"]
"""How the events of one day vary: multinomially (exact with ties), or as Poisson counts."""

Scale = Literal["plain", "log", "log-log", "cloglog", "arcsine"]
"""The scale on which an interval is symmetric."""

ROUNDING = 1e-12
"""What is 1 / 2, or 1, in exact arithmetic may miss it by its last digits."""


def _ratio(part: FloatArray, whole: FloatArray) -> FloatArray:
    """Divide, with 0 where there is nothing to divide by."""
    out = np.zeros(np.broadcast_shapes(part.shape, whole.shape))
    return np.divide(part, whole, out=out, where=whole > 0.0)


def _sums(daily: FloatArray) -> FloatArray:
    """(..., d) -> (..., d + 1): sum over the days before each age."""
    return np.concatenate((np.zeros_like(daily[..., :1]), np.cumsum(daily, axis=-1)), axis=-1)


def _survival(hazard: FloatArray) -> FloatArray:
    """(..., d) -> (..., d + 1): chance to be still there before each age."""
    return np.concatenate(
        (np.ones_like(hazard[..., :1]), np.cumprod(1.0 - hazard, axis=-1)), axis=-1
    )


def _floats(*counts: FloatArray | IntArray) -> tuple[FloatArray, ...]:
    """Return counts as floats: products of three counts overflow integers."""
    return tuple(np.asarray(count, dtype=np.float64) for count in counts)


def kaplan_meier(
    events: FloatArray | IntArray, risk: FloatArray | IntArray
) -> tuple[FloatArray, FloatArray]:
    """(..., d), (..., d) -> (..., d + 1), (..., d + 1): survival before each age, its variance.

    With d(u) events among n(u) at risk on day u (Kaplan & Meier 1958,
    doi:10.1080/01621459.1958.10501452; the variance is Greenwood's of 1926)::

        S(t) = prod over u < t of (1 - d(u) / n(u))
        Var S(t) = S(t)^2 sum over u < t of d(u) / (n(u) (n(u) - d(u)))

    Days with nobody at risk change nothing. Where all have left, survival and variance are 0.
    Valid if who enters late or is censored is like the others at risk on that day.

    Examples
    --------
    Four deals: one leaves on day 0, two on day 2, and one is still there:

    >>> survival, variance = kaplan_meier(np.array([1, 0, 2]), np.array([4, 3, 3]))
    >>> survival.tolist(), variance.tolist()
    ([1.0, 0.75, 0.75, 0.25], [0.0, 0.046875, 0.046875, 0.046875])
    """
    events, risk = _floats(events, risk)
    survival = _survival(_ratio(events, risk))
    return survival, survival**2 * _sums(_ratio(events, risk * (risk - events)))


def nelson_aalen(
    events: FloatArray | IntArray,
    risk: FloatArray | IntArray,
    *,
    increments: Increments = "greenwood",
) -> tuple[FloatArray, FloatArray]:
    """(..., d), (..., d) -> (..., d + 1), (..., d + 1): cumulative hazard, its variance.

    ``A(t) = sum over u < t of d(u) / n(u)`` (Aalen 1978, doi:10.1214/aos/1176344247); the variance
    sums ``d (n - d) / n^3`` with `increments` "greenwood" and ``d / n^2`` with "aalen", which is
    meant for untied data (Andersen, Borgan, Gill & Keiding 1993, equations 4.1.7 and 4.1.6).

    Examples
    --------
    >>> hazard, variance = nelson_aalen(np.array([1, 0, 2]), np.array([4, 3, 4]))
    >>> hazard.tolist(), variance.tolist()
    ([0.0, 0.25, 0.25, 0.75], [0.0, 0.046875, 0.046875, 0.109375])
    """
    events, risk = _floats(events, risk)
    left = risk - events if increments == "greenwood" else risk
    return _sums(_ratio(events, risk)), _sums(_ratio(events * left, risk * risk * risk))


def aalen_johansen(
    events: FloatArray | IntArray,
    risk: FloatArray | IntArray,
    *,
    increments: Increments = "greenwood",
) -> tuple[FloatArray, FloatArray]:
    """(..., c, d), (..., d) -> (..., c, d + 1) x 2: incidence of each cause, its variance.

    ``F_c(t) = sum over u < t of S(u) h_c(u)`` with ``h_c = d_c / n`` and S the survival of all
    causes together, before u (Aalen & Johansen 1978, Scandinavian Journal of Statistics 5, 141;
    Putter, Fiocco & Geskus 2007, doi:10.1002/sim.2712).

    The variance is that of the delta method in the daily hazards, which are taken as uncorrelated
    between days and on one day to have::

        Cov(h_j, h_k) = d_j ([j = k] n - d_k) / n^3     increments="greenwood"
        Cov(h_j, h_k) = d_j [j = k] / n^2               increments="aalen"

    The first is exact with ties and for one cause alone gives Greenwood's variance. It is that of
    R's `etm`, of `mstate` with `vartype="greenwood"`, of lifelines, and "Dinse_Approx" of
    scikit-survival (Dinse & Larson 1986, doi:10.1093/biomet/73.2.379)::

        sum over u < t of (F_c(t) - F_c(u + 1))^2 d / (n (n - d)) + S(u)^2 d_c (n - d_c) / n^3
            - 2 (F_c(t) - F_c(u + 1)) S(u) d_c / n^2

    Without late entry the infinitesimal jackknife of `survfit` is the same number. The second is
    that of `mstate` with `vartype="aalen"`. (R's `cmprsk` and "Aalen" of scikit-survival have
    n - 1 in places of n and are a third kind.) Where all at risk have left, nothing changes later.

    Examples
    --------
    Ten leave on ten days, won and lost in turn; without censoring F (1 - F) / n:

    >>> events = np.array([[1, 0] * 5, [0, 1] * 5])
    >>> incidence, variance = aalen_johansen(events, np.arange(10, 0, -1))
    >>> incidence[0, [1, 2, 3, 10]].tolist()
    [0.1, 0.1, 0.2, 0.5]
    >>> variance[0, [1, 2, 3, 10]].tolist()
    [0.009, 0.009, 0.016, 0.025]
    """
    events, risk = _floats(events, risk[..., None, :])
    total = events.sum(axis=-2, keepdims=True)
    staying = risk - total
    exact = increments == "greenwood"
    hazards = _ratio(events, risk)
    survival = _survival(_ratio(total, risk))[..., :-1]
    weight = risk if exact else staying
    # Var S = S^2 spread, and Cov(F_c, S) = S joint: both before day u, and both plain sums.
    spread = _sums(_ratio(total, staying * weight))[..., :-1]
    joint = _sums(survival * (hazards * spread - _ratio(events, risk * weight)))[..., :-1]
    own = _ratio(events * (risk - events if exact else risk), risk * risk * risk)
    steps = survival * (2.0 * hazards * joint + survival * (hazards**2 * spread + own))
    # A variance that is 0 when all have left may come out as minus the last digit.
    return _sums(survival * hazards), np.maximum(_sums(steps), 0.0)


def _plain(p: FloatArray, reach: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return p -+ z se."""
    return p - reach, p + reach


def _log(p: FloatArray, reach: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return p exp(-+ z se / p)."""
    factor = np.exp(reach / p)
    return p / factor, p * factor


def _log_log(p: FloatArray, reach: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return p to the power of exp(+- z se / (p |log p|))."""
    log = np.log(p)
    power = np.exp(reach / (-p * log))
    return np.exp(log * power), np.exp(log / power)


def _complementary(p: FloatArray, reach: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the log-log interval of 1 - p, turned round."""
    low, high = _log_log(1.0 - p, reach)
    return 1.0 - high, 1.0 - low


def _arcsine(p: FloatArray, reach: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return sin^2 of arcsin sqrt(p) -+ z se / (2 sqrt(p (1 - p)))."""
    centre, half = np.arcsin(np.sqrt(p)), reach / (2.0 * np.sqrt(p * (1.0 - p)))
    low, high = np.maximum(centre - half, 0.0), np.minimum(centre + half, np.pi / 2.0)
    return np.sin(low) ** 2, np.sin(high) ** 2


SCALES: dict[str, Callable[[FloatArray, FloatArray], tuple[FloatArray, FloatArray]]] = {
    "plain": _plain,
    "log": _log,
    "log-log": _log_log,
    "cloglog": _complementary,
    "arcsine": _arcsine,
}


def bounds(
    estimate: FloatArray, variance: FloatArray, *, level: float = 0.95, scale: Scale = "log-log"
) -> tuple[FloatArray, FloatArray]:
    """(...), (...) -> (...), (...): lower and upper confidence bounds of a probability.

    Symmetric on a scale g: g(p) -+ z g'(p) se, with z the normal quantile for `level`, turned back
    and cut to [0, 1]. g is p ("plain"), log p, log(-log p), log(-log(1 - p)) ("cloglog": that of
    the opposite), or arcsin sqrt(p). "log-log" and "arcsine" hold their level with far fewer
    subjects than "plain" (Borgan & Liestol 1990, Scandinavian Journal of Statistics 17, 35).
    An estimate of 0 or 1 is its own bound: there the variance says nothing.

    Examples
    --------
    >>> low, high = bounds(np.array([0.0, 0.5]), np.array([0.0, 0.01]))
    >>> low.tolist(), high.tolist()
    ([0.0, 0.29517...], [0.0, 0.67452...])
    """
    from statistics import NormalDist  # noqa: PLC0415  (it loads decimal and fractions)

    inside: BoolArray = (estimate > ROUNDING) & (estimate < 1.0 - ROUNDING)
    reach = NormalDist().inv_cdf(0.5 + level / 2.0) * np.sqrt(variance)
    with np.errstate(over="ignore"):  # an infinite reach is a bound at 0 or 1
        low, high = SCALES[scale](np.where(inside, estimate, 0.5), reach)
    return (
        np.clip(np.where(inside, low, estimate), 0.0, 1.0),
        np.clip(np.where(inside, high, estimate), 0.0, 1.0),
    )


def _first_at(curve: FloatArray, targets: FloatArray) -> FloatArray:
    """(..., d + 1), (q,) -> (..., q): the first day by whose end a curve is as low as a target."""
    found = curve[..., None, :] <= targets[:, None] + ROUNDING
    return np.where(found.any(axis=-1), found.argmax(axis=-1) - 1.0, np.inf)


def quantiles(
    survival: FloatArray,
    variance: FloatArray,
    shares: FloatArray,
    *,
    level: float = 0.95,
    scale: Scale = "log-log",
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """(..., d + 1) x 2, (q,) -> (..., q) x 3: days until a share has left, lower, upper bound.

    The first day t with S(end of t) <= 1 - share; infinity if that was never seen. The bounds are
    the first days by which the lower and the upper bound of S are as low (Brookmeyer & Crowley
    1982, doi:10.2307/2530286, on any `scale`). Takes what `kaplan_meier` gives; a share lies
    strictly between 0 and 1, and 0.5 asks for the median. A curve that falls to 0 has no upper
    bound there, so a bound may be infinite although all have left. (Where the curve is level at
    exactly 1 - share, R's `quantile` gives the middle of that level instead of its first day.)

    Examples
    --------
    Ten deals that stay 0 .. 9 days: half of them have left by the end of day 4.

    >>> curve = kaplan_meier(np.ones(10), np.arange(10, 0, -1))
    >>> [days.tolist() for days in quantiles(*curve, np.array([0.5, 0.9]))]
    [[4.0, 8.0], [0.0, 6.0], [7.0, inf]]
    """
    low, high = bounds(survival, variance, level=level, scale=scale)
    high = np.where(survival > 0.0, high, 1.0)
    targets = 1.0 - shares
    return _first_at(survival, targets), _first_at(low, targets), _first_at(high, targets)


def restricted_mean(survival: FloatArray, variance: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(..., d + 1) x 2 -> (..., d + 1) x 2: mean days within each horizon, its variance.

    Element t is the mean of min(T, t), ``sum over u <= t of S(u)`` with element u of `survival`,
    whose variance is the sum of all ``Cov(S(u), S(v)) = Var S(u) S(v) / S(u)``, u <= v. That is
    ``sum over u of (area from u to t)^2 d / (n (n - d))`` of Kaplan & Meier 1958
    (doi:10.1080/01621459.1958.10501452), for all horizons at once. Unlike the mean, it needs
    nothing beyond the horizon. Takes what `kaplan_meier` gives.

    Examples
    --------
    Ten deals that stay 0 .. 9 days: their mean is 4.5, its variance 8.25 / 10.

    >>> mean, variance = restricted_mean(*kaplan_meier(np.ones(10), np.arange(10, 0, -1)))
    >>> mean[[1, 10]].tolist(), variance[[1, 10]].tolist()
    ([0.9, 4.5], [0.009, 0.825])
    """
    curve, spread = survival[..., 1:], variance[..., 1:]
    earlier = _sums(_ratio(spread, curve))[..., :-1]
    return _sums(curve), _sums(spread + 2.0 * curve * earlier)
