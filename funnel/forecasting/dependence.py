"""What all deals share: a factor that moves every chance in the same direction."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from funnel.errors import ValidationError

if TYPE_CHECKING:
    import numpy.typing as npt

    from funnel.typing import BoolArray, FloatArray

__all__ = ["Shock", "fit_shock"]

MEDIAN_SQUARE = 0.4549364231195724
"""Median of the square of a standard normal variable."""

FEWEST = 3.0
"""Degrees of freedom of a shock that no window has been seen for."""


WIDEST = 10.0
"""Largest scale: by then the shock is uniform between its ends, and no larger one differs."""

NEGLIGIBLE = 1e-6
"""A shock of a smaller scale is none."""

NORMAL = 1e6
"""Beyond these degrees of freedom a t is taken for normal."""


def _scale(instance: object, attribute: attrs.Attribute[Any], value: float) -> None:
    """Demand a relative error."""
    del instance
    if not 0.0 <= value <= WIDEST:
        rule = f"must be a relative error from 0 to {WIDEST:g}"
        raise ValidationError.from_value(attribute.name, rule, value, "0.1 is 10 %.")


def _heavy(instance: object, attribute: attrs.Attribute[Any], value: float) -> None:
    """Demand degrees of freedom with which the variance is finite."""
    del instance
    if not value > 2.0:
        remedy = "Infinity makes the shock normal."
        raise ValidationError.from_value(attribute.name, "must be a number > 2", value, remedy)


@attrs.frozen
class Shock:
    """A relative error that all deals share, of mean 0: Student's t times a scale.

    It is cut to [-1, 1], so that money is never negative. What it does to each deal, see
    `Forecast.with_shock`.

    Parameters
    ----------
    scale : float
        Standard deviation where it is normal; that of a t is larger by ``sqrt(df / (df - 2))``.
    df : float
        Degrees of freedom, > 2; infinity (the default) makes it normal.

    Examples
    --------
    >>> Shock(0.3, df=6).combined(Shock(0.4))
    Shock(scale=0.5, df=46.296296)
    """

    scale: float = attrs.field(converter=float, validator=_scale)
    df: float = attrs.field(default=math.inf, converter=float, validator=_heavy, kw_only=True)

    @property
    def variance(self) -> float:
        """Variance, with the ends cut off.

        Notes
        -----
        With c = 1 / scale, that of T given ``|T| <= c`` is, times scale squared,
        ``df ((df - 1) / (df - 2) P(|T'| <= c sqrt((df - 2) / df)) / P(|T| <= c) - 1)``, where T'
        has df - 2 degrees of freedom.
        """
        if self.scale < NEGLIGIBLE:
            return 0.0
        from scipy.special import ndtr, stdtr  # noqa: PLC0415 - slow to import

        c = 1.0 / self.scale
        if self.df > NORMAL:
            inside = 1.0 - 2.0 * float(ndtr(-c))
            density = math.exp(-0.5 * c * c) / math.sqrt(2.0 * math.pi)
            return self.scale**2 * (1.0 - 2.0 * c * density / inside)
        df = self.df
        inside = 1.0 - 2.0 * float(stdtr(df, -c))
        lower = 1.0 - 2.0 * float(stdtr(df - 2.0, -c * math.sqrt((df - 2.0) / df)))
        return self.scale**2 * df * ((df - 1.0) / (df - 2.0) * lower / inside - 1.0)

    def scaled(self, factor: float) -> Shock:
        """Return the shock times a factor >= 0."""
        return attrs.evolve(self, scale=min(self.scale * factor, WIDEST))

    def combined(self, other: Shock | None, /) -> Shock:
        """Return the shock that stands for this one and another, independent of it.

        Scales add up in quadrature, and degrees of freedom by the rule of Welch and Satterthwaite:
        ``(v1 + v2)**2 / (v1**2 / df1 + v2**2 / df2)`` with ``v = scale**2``.
        """
        both = [one for one in (self, other) if one is not None and one.scale > 0.0]
        if len(both) < 2:
            return both[0] if both else self
        squares = [one.scale**2 for one in both]
        loss = sum(square**2 / one.df for square, one in zip(squares, both, strict=True))
        df = sum(squares) ** 2 / loss if loss > 0.0 else math.inf
        return Shock(min(math.sqrt(sum(squares)), WIDEST), df=df)


def fit_shock(
    won: npt.ArrayLike,
    expected: npt.ArrayLike,
    within_variance: npt.ArrayLike,
    *,
    weight: npt.ArrayLike = 1.0,
    prior_scale: float = 0.08,
    prior_windows: float = 2.0,
) -> Shock:
    """Return the shock that explains how far past forecasts were off, beyond independent chance.

    Parameters
    ----------
    won : (m,) float
        Money (or deals) won in each of m past windows.
    expected : (m,) float
        What had been expected, > 0.
    within_variance : (m,) float or float
        Squared coefficient of variation of what is won where deals are independent: variance of
        the forecast over its squared mean.
    weight : (m,) float or float
        How much of each window no other covers, in (0, 1]: for windows of H days that begin
        every d days ``min(d / H, 1)``. They add up to the number of windows that count.
    prior_scale, prior_windows : float
        The shock assumed before anything is seen, and how many windows it is worth.

    Returns
    -------
    Shock
        As a relative error of the expected money: what `Forecast.with_shock` takes.

    Raises
    ------
    ValidationError
        When numbers are missing or negative, nothing was expected in some window, a weight is not
        in (0, 1], or lengths differ.

    Notes
    -----
    With r_i = log(won_i / expected_i), v the weighted mean of the variances within, n the sum of
    the weights and s0, n0 the prior::

        scale**2 = (n max(median(r**2) / 0.455 - v, 0) + n0 s0**2) / (n + n0),    df = 3 + n

    0.455 is the median of a chi-squared variable with one degree of freedom. The median (weighted)
    does not mind a window in which nothing was won, nor a single odd one.

    Examples
    --------
    >>> found = fit_shock([90.0, 125.0, 100.0], [100.0, 100.0, 110.0], 0.004)
    >>> round(found.scale, 3), found.df
    (0.122, 6.0)
    """
    money, due, within, share = _windows(won, expected, within_variance, weight)
    prior = _positive("prior_scale", prior_scale) ** 2 * _positive("prior_windows", prior_windows)
    if not len(money):
        return Shock(prior_scale, df=FEWEST)
    with np.errstate(divide="ignore"):
        square = np.log(money / due) ** 2
    count = float(share.sum())
    beyond = _median(square, share) / MEDIAN_SQUARE - float(share @ within) / count
    if not beyond < math.inf:
        msg = "won must be > 0 in more than half of the windows. Use longer windows."
        raise ValidationError(msg, column="won", count=int(np.count_nonzero(money == 0.0)))
    variance = (count * max(beyond, 0.0) + prior) / (count + prior_windows)
    return Shock(min(math.sqrt(variance), WIDEST), df=FEWEST + count)


def _positive(name: str, value: float) -> float:
    """Demand a number > 0."""
    if isinstance(value, bool) or not 0.0 < value < math.inf:
        raise ValidationError.from_value(name, "must be a number > 0", value, "")
    return value


def _windows(
    won: npt.ArrayLike,
    expected: npt.ArrayLike,
    within_variance: npt.ArrayLike,
    weight: npt.ArrayLike,
) -> tuple[FloatArray, ...]:
    """Return the windows as columns of one length, each value checked."""
    columns = {
        "won": np.asarray(won, dtype=np.float64),
        "expected": np.asarray(expected, dtype=np.float64),
        "within_variance": np.asarray(within_variance, dtype=np.float64),
        "weight": np.asarray(weight, dtype=np.float64),
    }
    shape = columns["won"].shape
    for name, values in columns.items():
        may_be_one = name in {"within_variance", "weight"} and values.shape == ()
        if len(shape) != 1 or not (values.shape == shape or may_be_one):
            rule = "must have one number for each window"
            raise ValidationError.from_value(name, rule, values.shape, "")
        columns[name] = np.broadcast_to(values, shape)
    money, due, within, share = columns.values()
    _demand("won", "must be a number >= 0", (money >= 0.0) & (money < np.inf), money)
    _demand("expected", "must be a number > 0", (due > 0.0) & (due < np.inf), due)
    _demand("within_variance", "must be a number >= 0", (within >= 0) & (within < np.inf), within)
    _demand("weight", "must be in (0, 1]", (share > 0.0) & (share <= 1.0), share)
    return money, due, within, share


def _demand(name: str, rule: str, right: BoolArray, values: FloatArray) -> None:
    """Raise when a window breaks a rule."""
    wrong = np.flatnonzero(~right)
    if len(wrong):
        raise ValidationError.from_rule(
            name,
            rule,
            rows=wrong[:100],
            count=len(wrong),
            total=len(values),
            first=f"window {wrong[0]}, {values[wrong[0]]}",
            remedy="Leave such windows out.",
        )


def _median(values: FloatArray, weight: FloatArray) -> float:
    """Return the weighted median: half-way between two values that part the weight in halves."""
    order = np.argsort(values)
    ranked, running = values[order], np.cumsum(weight[order])
    half = 0.5 * running[-1]
    low = int(np.searchsorted(running, half * (1.0 - 1e-12)))
    high = int(np.searchsorted(running, half * (1.0 + 1e-12), side="right"))
    return float(0.5 * (ranked[low] + ranked[min(high, len(ranked) - 1)]))
