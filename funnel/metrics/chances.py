"""Scores of chances of being won.

Outcomes (won or not) come first, then the chances, deal by deal; chances are those of being won
within the window that the outcome speaks of. `DealScores` holds the same as sums that add up over
chunks and cutoffs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import attrs
import numpy as np

from funnel.errors import ValidationError
from funnel.kernels import calibration
from funnel.kernels.arrays import frozen
from funnel.metrics import _score_checks as _checks
from funnel.results import ResultTable

if TYPE_CHECKING:
    import numpy.typing as npt

    from funnel.typing import BoolArray, FloatArray

__all__ = [
    "CLIP",
    "BrierDecomposition",
    "CalibrationCurve",
    "auc",
    "brier_decomposition",
    "brier_score",
    "calibration_curve",
    "calibration_error",
    "log_score",
]

CLIP = 0.001
"""The log score takes chances as at least this, and at most 1 minus it."""


@attrs.frozen
class BrierDecomposition:
    """What a Brier score is made of, within bins of similar chances.

    Parameters
    ----------
    reliability : float
        Mean squared distance of chances and shares won of the bins: 0 where calibrated.
    resolution : float
        Variance of the shares won between bins: the more, the better.
    uncertainty : float
        Variance of the outcomes, which no forecaster can change.
    within_variance, within_covariance : float
        Variance of the chances within bins, and twice their covariance with the outcomes.

    References
    ----------
    Murphy 1973, doi:10.1175/1520-0450(1973)012<0595:ANVPOT>2.0.CO;2; Stephenson, Coelho & Jolliffe
    2008, doi:10.1175/2007WAF2006116.1.
    """

    reliability: float
    resolution: float
    uncertainty: float
    within_variance: float
    within_covariance: float

    @property
    def generalised_resolution(self) -> float:
        """Resolution with the terms within bins, which hardly depends on the bins."""
        return self.resolution - self.within_variance + self.within_covariance

    @property
    def brier(self) -> float:
        """The Brier score: reliability - generalised resolution + uncertainty, exactly."""
        return self.reliability - self.generalised_resolution + self.uncertainty


@attrs.frozen(eq=False)
class CalibrationCurve(ResultTable):
    """Chances given, and shares won, in bins of about equal numbers of deals.

    Parameters
    ----------
    predicted, observed : (b,) float64
        Mean chance and share won of each bin, by increasing chance.
    low, high : (b,) float64
        Wilson interval of the share won.
    deals : (b,) int64
        Number of deals.
    level : float
        Of the intervals.
    """

    percents: ClassVar[frozenset[str]] = frozenset({"predicted", "observed", "low", "high"})

    predicted: FloatArray = attrs.field(converter=frozen)
    observed: FloatArray = attrs.field(converter=frozen)
    low: FloatArray = attrs.field(converter=frozen)
    high: FloatArray = attrs.field(converter=frozen)
    deals: np.ndarray[Any, Any] = attrs.field(converter=frozen)
    level: float

    @property
    def _notes(self) -> tuple[str, ...]:
        """Say what the interval is."""
        return (f"low and high: {100 * self.level:g} % Wilson interval of the share won",)

    def to_columns(self) -> dict[str, Any]:
        """Return one row for each bin."""
        names = ("predicted", "observed", "low", "high", "deals")
        return {name: getattr(self, name) for name in names}


def curve_of(cells: FloatArray, bins: int, level: float) -> CalibrationCurve:
    """Return the curve of sums by cell."""
    from statistics import NormalDist  # noqa: PLC0415  (it loads decimal and fractions)

    share = _checks.unit("level", level)
    joined = calibration.equal_count_bins(cells, _checks.whole("bins", bins))
    number, won, chance = joined[0], joined[1], joined[2]
    z = NormalDist().inv_cdf(0.5 + share / 2.0)
    low, high = calibration.wilson(won, number, z)
    deals = number.astype(np.int64)
    return CalibrationCurve(chance / number, won / number, low, high, deals, share)


def decomposition_of(cells: FloatArray, bins: int) -> BrierDecomposition:
    """Return the decomposition of sums by cell."""
    joined = calibration.equal_count_bins(cells, _checks.whole("bins", bins))
    return BrierDecomposition(*calibration.brier_terms(joined).tolist())


def _pair(won: object, chance: object) -> tuple[BoolArray, FloatArray]:
    """Return outcomes and chances."""
    outcome = _checks.wins(won)
    return outcome, _checks.chances("chance", chance, len(outcome))


def brier_score(won: npt.ArrayLike, chance: npt.ArrayLike, /) -> float:
    """Return the Brier score, the mean of (p - won)^2.

    Parameters
    ----------
    won : (n,) array_like of bool
    chance : (n,) array_like
        In [0, 1].

    Returns
    -------
    float
        0 for perfect, 0.25 for 0.5 always.

    Raises
    ------
    ValidationError
        When arrays differ in length, or chances are none.
    InsufficientDataError
        Without rows.

    References
    ----------
    Brier 1950, doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2.

    Examples
    --------
    >>> brier_score([True, False], [0.8, 0.4])
    0.1
    """
    outcome, probability = _pair(won, chance)
    return float(np.square(probability - outcome).mean())


def log_score(won: npt.ArrayLike, chance: npt.ArrayLike, /, *, clip: float = CLIP) -> float:
    """Return the log score, minus the mean logarithm of the chance given to what happened.

    Parameters
    ----------
    won : (n,) array_like of bool
    chance : (n,) array_like
        In [0, 1].
    clip : float, default 0.001
        Chances are taken as at least this and at most 1 minus it, so that one slip of the pen does
        not decide everything.

    Returns
    -------
    float
        In natural units, 0 for perfect, 0.693 for 0.5 always.

    References
    ----------
    Good 1952, doi:10.1111/j.2517-6161.1952.tb00104.x.

    Examples
    --------
    >>> log_score([True, False], [0.5, 0.5])
    0.6931
    >>> log_score([True], [0.0])
    6.9077
    """
    outcome, probability = _pair(won, chance)
    return float(calibration.log_loss(outcome, probability, _clip(clip)).mean())


def _clip(value: float) -> float:
    """Demand a share below one half."""
    if not _checks.unit("clip", value) < 0.5:
        raise ValidationError.from_value("clip", "must lie between 0 and 0.5", value, "")
    return value


def auc(won: npt.ArrayLike, chance: npt.ArrayLike, /) -> float:
    """Return the chance that a won deal was ranked above a lost one; ties count half, exactly.

    Parameters
    ----------
    won : (n,) array_like of bool
    chance : (n,) array_like
        In [0, 1].

    Returns
    -------
    float
        1 for perfect, 0.5 for luck; NaN where all or none were won. It does not see whether chances
        are too high or too low.

    References
    ----------
    Hanley & McNeil 1982, doi:10.1148/radiology.143.1.7063747.

    Examples
    --------
    >>> auc([True, False, False], [0.5, 0.5, 0.1])
    0.75
    """
    return calibration.auc(calibration.exact_cells(*_pair(won, chance)))


def brier_decomposition(
    won: npt.ArrayLike, chance: npt.ArrayLike, /, *, bins: int = 10
) -> BrierDecomposition:
    """Return the parts of the Brier score, in bins of about equal numbers of deals.

    Parameters
    ----------
    won : (n,) array_like of bool
    chance : (n,) array_like
        In [0, 1]; deals of one chance stay in one bin.
    bins : int, default 10

    Returns
    -------
    BrierDecomposition
        Its parts add up to the Brier score, whatever the bins.

    Examples
    --------
    >>> parts = brier_decomposition([True, False, False, False], [0.5, 0.5, 0.0, 0.0])
    >>> parts.reliability, parts.resolution, parts.uncertainty, parts.brier
    (0.0, 0.0625, 0.1875, 0.125)
    """
    return decomposition_of(calibration.exact_cells(*_pair(won, chance)), bins)


def calibration_curve(
    won: npt.ArrayLike, chance: npt.ArrayLike, /, *, bins: int = 10, level: float = 0.9
) -> CalibrationCurve:
    """Return chances given and shares won, in bins of about equal numbers of deals.

    Parameters
    ----------
    won : (n,) array_like of bool
    chance : (n,) array_like
        In [0, 1]; deals of one chance stay in one bin.
    bins : int, default 10
        At most.
    level : float, default 0.9
        Of the Wilson intervals (Wilson 1927, doi:10.2307/2276774).

    Examples
    --------
    >>> print(calibration_curve([True, False, False, False], [0.5, 0.5, 0.0, 0.0]))
    predicted  observed    low   high  deals
    ---------  --------  -----  -----  -----
         0.0%      0.0%   0.0%  57.5%      2
        50.0%     50.0%  12.1%  87.9%      2
    * low and high: 90 % Wilson interval of the share won
    """
    return curve_of(calibration.exact_cells(*_pair(won, chance)), bins, level)


def calibration_error(won: npt.ArrayLike, chance: npt.ArrayLike, /, *, bins: int = 10) -> float:
    """Return the mean distance of chance and share won over bins, weighted by their deals.

    Parameters
    ----------
    won : (n,) array_like of bool
    chance : (n,) array_like
        In [0, 1]; deals of one chance stay in one bin.
    bins : int, default 10
        Of about equal numbers of deals. Even right chances give an error above 0, the more so the
        fewer deals a bin holds.

    References
    ----------
    Naeini, Cooper & Hauskrecht 2015, doi:10.1609/aaai.v29i1.9602.

    Examples
    --------
    >>> calibration_error([True, False, False, False], [0.75, 0.75, 0.0, 0.0])
    0.125
    """
    cells = calibration.exact_cells(*_pair(won, chance))
    return calibration.calibration_gap(
        calibration.equal_count_bins(cells, _checks.whole("bins", bins))
    )
