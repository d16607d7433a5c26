"""Whether one forecaster is better than another, and what each step of a process adds.

Cutoffs mostly follow one another faster than their windows end, so that their scores are not
independent: `overlap` says how many windows in a row have a day in common.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

import attrs
import numpy as np

from funnel.errors import InsufficientDataError, ValidationError
from funnel.kernels import bootstrap
from funnel.kernels.arrays import frozen
from funnel.kernels.labels import texts
from funnel.metrics import _score_checks as _checks
from funnel.results import ResultTable

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from funnel.typing import FloatArray, StringArray

__all__ = [
    "Comparison",
    "DieboldMariano",
    "ValueAdded",
    "compare",
    "diebold_mariano",
    "overlap_of",
    "value_added",
]

WINDOWS = 5
"""Independent windows that a Diebold-Mariano test needs."""


def overlap_of(horizon: int, step: int, /) -> int:
    """Return how many windows in a row have a day in common: horizon / step, rounded up.

    Parameters
    ----------
    horizon, step : int
        Days of a window, and from one cutoff to the next; both >= 1.

    Examples
    --------
    >>> overlap_of(30, 4), overlap_of(14, 14), overlap_of(7, 30)
    (8, 1, 1)
    """
    return -(-_checks.whole("horizon", horizon) // _checks.whole("step", step))


def _differences(first: object, second: object) -> tuple[FloatArray, FloatArray]:
    """Return the scores of the first, and how much they are above those of the second."""
    ours = _checks.column("first", first)
    return ours, ours - _checks.column("second", second, len(ours))


@attrs.frozen
class Comparison:
    """The difference of the mean scores of two forecasters, first minus second.

    Parameters
    ----------
    estimate : float
        Below 0 where the first is better.
    low, high : float
        Interval of the difference.
    share_below : float
        Share of the draws below 0: how sure it is that the first is better.
    level : float
        Of the interval.
    cutoffs : int
        Number of cutoffs.
    windows : float
        How many independent windows they are worth: cutoffs / overlap.
    """

    estimate: float
    low: float
    high: float
    share_below: float
    level: float
    cutoffs: int
    windows: float

    @property
    def decided(self) -> bool:
        """Whether 0 lies outside of the interval."""
        return self.low > 0.0 or self.high < 0.0

    def __str__(self) -> str:
        """Return the comparison in one line."""
        span = f"{100 * self.level:g} % interval {self.low:+.4g} to {self.high:+.4g}"
        over = f"{self.cutoffs} cutoffs worth {self.windows:.3g} independent windows"
        verdict = "decided" if self.decided else "may be luck"
        return f"{self.estimate:+.4g} ({span}; {over}): {verdict}"


def compare(
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    /,
    *,
    overlap: int,
    weights: npt.ArrayLike | None = None,
    block: int | None = None,
    level: float = 0.9,
    draws: int = 4000,
    rng: np.random.Generator | int = 0,
) -> Comparison:
    """Compare two forecasters at the same cutoffs by a paired moving-block bootstrap.

    Parameters
    ----------
    first, second : (c,) array_like
        Scores of both at each cutoff, in the order of time: means, or sums where `weights` are
        given.
    overlap : int
        How many windows in a row have a day in common, see `overlap_of`.
    weights : (c,) array_like, optional
        What the sums are divided by: the outcomes for a WAPE (with `|median - a|` as sums), the
        number of deals for a mean over all of them. They must be >= 0 and not all 0.
    block : int, optional
        Cutoffs in a block, at least `overlap`, which is the default; fewer than there are cutoffs.
    level : float, default 0.9
        Of the interval.
    draws : int, default 4000
    rng : numpy.random.Generator or int
        Generator or seed: the same one gives the same result.

    Returns
    -------
    Comparison

    Raises
    ------
    InsufficientDataError
        When there are no more cutoffs than one block holds.
    ValidationError
        When arrays differ in length or hold what is not finite.

    Notes
    -----
    Estimate: sum (first - second) / sum weights. Circular blocks of first - second - estimate x
    weight, the first-order change of that ratio, are laid end to end. With few blocks this finds
    only a part of the variance (for blocks as long as the overlap, two thirds at most). The part is
    known where scores correlate by the days that their windows share; the draws are widened by it,
    and by Student's law for its degrees of freedom. Of two equally good forecasters, a 90 %
    interval then leaves 0 out about one time in ten, down to two or three independent windows.

    References
    ----------
    Künsch 1989, doi:10.1214/aos/1176347265; Politis & Romano 1992, "A circular block-resampling
    procedure for stationary data", in: Exploring the Limits of Bootstrap, Wiley.

    Examples
    --------
    >>> worse = [0.31, 0.28, 0.35, 0.30, 0.33, 0.29, 0.34, 0.32]
    >>> better = [0.22, 0.20, 0.27, 0.21, 0.23, 0.22, 0.25, 0.24]
    >>> found = compare(better, worse, overlap=2)
    >>> found.estimate, found.decided, found.share_below > 0.99
    (-0.085, True, True)
    """
    length = _checks.whole("overlap", overlap)
    size = length if block is None else _checks.whole("block", block)
    if size < length:
        raise ValidationError.from_value("block", f"must be >= overlap ({length})", size, "")
    _, gap = _differences(first, second)
    n = len(gap)
    if n <= size:
        raise InsufficientDataError(
            "a comparison over overlapping windows",
            needed=size + 1,
            found=n,
            remedy="Add cutoffs, or shorten the horizon.",
        )
    weight = np.ones(n) if weights is None else _weights(weights, n)
    estimate = float(gap.sum() / weight.sum())
    change = (gap - estimate * weight) * n / weight.sum()
    share = _checks.unit("level", level)
    seeded = _checks.generator(rng)
    found = estimate + bootstrap.mean_deviations(
        change, size, length, _checks.whole("draws", draws), seeded
    )
    low, high = np.quantile(found, [0.5 - share / 2.0, 0.5 + share / 2.0]).tolist()
    below = float(np.mean(found < 0.0))
    return Comparison(estimate, low, high, below, share, n, n / length)


def _weights(values: object, rows: int) -> FloatArray:
    """Return weights >= 0 that are not all 0."""
    found = _checks.column("weights", values, rows)
    _checks.demand("weights", found, found < 0.0, "must be >= 0", "Outcomes are not negative.")
    if not found.any():
        raise ValidationError(
            "weights must not all be 0: a ratio to nothing is not defined.", column="weights"
        )
    return found


@attrs.frozen
class DieboldMariano:
    """A test of whether two forecasters are equally good.

    Parameters
    ----------
    statistic : float
        Below 0 where the first is better.
    p_value : float
        Two-sided, by Student's law with cutoffs - 1 degrees of freedom.
    lag : int
        Up to which autocovariances count.
    cutoffs : int
    tapered : bool
        Whether the autocovariances did not add up to a positive variance, and were tapered.
    """

    statistic: float
    p_value: float
    lag: int
    cutoffs: int
    tapered: bool


def diebold_mariano(
    first: npt.ArrayLike, second: npt.ArrayLike, /, *, overlap: int
) -> DieboldMariano:
    """Test whether the mean scores of two forecasters differ.

    Parameters
    ----------
    first, second : (c,) array_like
        Scores of both at the same cutoffs, in the order of time.
    overlap : int
        How many windows in a row have a day in common, see `overlap_of`; the lag is one less.

    Returns
    -------
    DieboldMariano

    Raises
    ------
    InsufficientDataError
        Below five independent windows (cutoffs / overlap).
    ValidationError
        When arrays differ in length or hold what is not finite, or when one forecaster is better
        by the same at each cutoff, so that there is no variance to judge by.

    Notes
    -----
    With h = overlap and n cutoffs, the mean difference over its standard error times
    sqrt((n + 1 - 2 h + h (h - 1) / n) / n).

    References
    ----------
    Diebold & Mariano 1995, doi:10.1080/07350015.1995.10524599; Harvey, Leybourne & Newbold 1997,
    doi:10.1016/S0169-2070(96)00719-4.

    Examples
    --------
    >>> found = diebold_mariano([1.0, 2.0, 3.0, 2.0, 1.0], [2.0, 2.0, 5.0, 3.0, 2.0], overlap=1)
    >>> found.statistic, found.p_value
    (-3.1623, 0.0341)
    """
    from scipy.special import stdtr  # noqa: PLC0415 - slow to import

    h = _checks.whole("overlap", overlap)
    _, gap = _differences(first, second)
    n = len(gap)
    if n < WINDOWS * h or n < 2:
        raise InsufficientDataError(
            f"cutoffs for a Diebold-Mariano test ({WINDOWS} windows that do not overlap)",
            needed=WINDOWS * h,
            found=n,
            remedy="Add cutoffs, shorten the horizon, or use compare().",
        )
    mean = float(gap.mean())
    if not gap.any():
        return DieboldMariano(0.0, 1.0, h - 1, n, tapered=False)
    variance, tapered = bootstrap.long_run_variance(gap, h - 1)
    if variance <= (1e-12 * mean) ** 2:
        rule = "must not all differ by the same amount"
        raise ValidationError.from_value("first", rule, mean, "There is no luck to test against.")
    small = math.sqrt((n + 1 - 2 * h + h * (h - 1) / n) / n)
    statistic = mean / math.sqrt(variance) * small
    p_value = 2.0 * float(stdtr(n - 1, -abs(statistic)))
    return DieboldMariano(statistic, p_value, h - 1, n, tapered)


@attrs.frozen(eq=False)
class ValueAdded(ResultTable):
    """What each layer of a forecasting process adds, from naive to final.

    Parameters
    ----------
    layer : (m,) str
    error : (m,) float64
    added : (m,) float64
        Error of the layer before minus this one's: below 0 where the layer does harm; NaN for the
        first.
    added_share : (m,) float64
        The same as a share of the error before.
    over_naive, over_naive_share : (m,) float64
        The same against the first layer.
    """

    percents: ClassVar[frozenset[str]] = frozenset({"added_share", "over_naive_share"})

    layer: StringArray = attrs.field(converter=frozen)
    error: FloatArray = attrs.field(converter=frozen)
    added: FloatArray = attrs.field(converter=frozen)
    added_share: FloatArray = attrs.field(converter=frozen)
    over_naive: FloatArray = attrs.field(converter=frozen)
    over_naive_share: FloatArray = attrs.field(converter=frozen)

    @property
    def _title(self) -> str:
        """Return the heading."""
        return "Forecast value added"

    def to_columns(self) -> dict[str, Any]:
        """Return one row for each layer."""
        names = ("layer", "error", "added", "added_share", "over_naive", "over_naive_share")
        return {name: getattr(self, name) for name in names}


def value_added(errors_by_layer: Mapping[str, float], /) -> ValueAdded:
    """Return what each layer of a process adds to the accuracy of the one before, and over naive.

    Parameters
    ----------
    errors_by_layer : mapping of str to float
        An error >= 0 (such as a WAPE) for each layer, the naive forecast first; NaN where it is not
        defined.

    Returns
    -------
    ValueAdded

    Raises
    ------
    InsufficientDataError
        With fewer than two layers.
    ValidationError
        When an error is negative or infinite.

    References
    ----------
    Gilliland 2010, The Business Forecasting Deal, Wiley, chapter 4.

    Examples
    --------
    >>> print(value_added({"run-rate": 0.20, "model": 0.10, "manager": 0.12}))
    Forecast value added
    layer     error  added  added_share  over_naive  over_naive_share
    --------  -----  -----  -----------  ----------  ----------------
    run-rate   0.20      –            –           –                 –
    model      0.10   0.10        50.0%        0.10             50.0%
    manager    0.12  -0.02       -20.0%        0.08             40.0%
    """
    names = texts(list(errors_by_layer))
    if len(names) < 2:
        raise InsufficientDataError(
            "layers of a forecasting process",
            needed=2,
            found=len(names),
            remedy="Give the naive forecast first, then each step.",
        )
    try:
        error = np.array([float(value) for value in errors_by_layer.values()])
    except (TypeError, ValueError):
        raise ValidationError("errors must be numbers.", column="error") from None
    broken = (error < 0.0) | np.isinf(error)
    _checks.demand("error", error, broken, "must be finite and >= 0", "Score each layer.")
    before = np.concatenate(([np.nan], error[:-1]))
    naive = np.concatenate(([np.nan], np.full(len(error) - 1, error[0])))
    added, over = before - error, naive - error
    return ValueAdded(names, error, added, _share(added, before), over, _share(over, naive))


def _share(part: FloatArray, whole: FloatArray) -> FloatArray:
    """Divide; NaN where there is nothing to improve on."""
    return np.asarray(np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0.0))
