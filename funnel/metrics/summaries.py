"""Scores as sums: those of parts, chunks and cutoffs merge to those of the whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import numpy as np

from funnel.errors import SchemaMismatchError, ValidationError
from funnel.kernels import calibration, scores
from funnel.kernels.arrays import frozen
from funnel.metrics import _score_checks as _checks
from funnel.metrics.chances import CLIP, curve_of, decomposition_of
from funnel.metrics.noise import floor_of_mean

if TYPE_CHECKING:
    import numpy.typing as npt

    from funnel.metrics.chances import BrierDecomposition, CalibrationCurve
    from funnel.metrics.noise import NoiseFloor
    from funnel.typing import FloatArray

__all__ = ["DealScores", "MoneyScores"]

NAN = float("nan")


@attrs.frozen(eq=False)
class MoneyScores:
    """How good forecasts of money or counts were, as sums that add up.

    Make it with `measure`; `merge` adds the outcomes of another chunk or cutoff. What is not
    defined is NaN, and `undefined` says why.

    Parameters
    ----------
    levels : tuple of float
        Levels of the quantiles that were scored.
    totals : (6,) float64
        Number of outcomes, their sum, the sum of mean forecasts, of `|median - a|`, of
        (mean - a)^2, and of the CRPS (NaN where a part came without).
    by_level : (3, q) float64
        For each level the sum of pinball losses, and the numbers of outcomes below the quantile and
        up to it.

    Examples
    --------
    >>> first = MoneyScores.measure([100.0], median=[80.0], mean=[90.0])
    >>> both = first.merge(MoneyScores.measure([300.0], median=[320.0], mean=[350.0]))
    >>> both.count, both.wape, both.bias
    (2, 0.1, 0.1)
    >>> none = MoneyScores.measure([0.0], median=[5.0], mean=[5.0])
    >>> none.wape, none.undefined["wape"]
    (nan, 'the outcomes add up to 0')
    """

    levels: tuple[float, ...]
    totals: FloatArray = attrs.field(converter=frozen)
    by_level: FloatArray = attrs.field(converter=frozen)

    @classmethod
    def measure(
        cls,
        actual: npt.ArrayLike,
        /,
        *,
        median: npt.ArrayLike,
        mean: npt.ArrayLike,
        quantiles: npt.ArrayLike | None = None,
        levels: npt.ArrayLike | None = None,
        crps: npt.ArrayLike | None = None,
    ) -> MoneyScores:
        """Score forecasts, row by row; no rows are fine.

        Parameters
        ----------
        actual : (n,) array_like
        median, mean : (n,) array_like
            Of the forecasts; the same for a forecaster that states one number.
        quantiles : (n, q) array_like, optional
            At `levels`, for pinball loss, intervals and coverage.
        levels : (q,) array_like, optional
            Increasing, each between 0 and 1; with `quantiles` only.
        crps : (n,) array_like, optional
            From `funnel.metrics.scores`.

        Raises
        ------
        ValidationError
            When arrays differ in length or hold what is not finite.
        """
        outcome = _checks.column("actual", actual, empty=True)
        n = len(outcome)
        middle, expected = _checks.column("median", median, n), _checks.column("mean", mean, n)
        score = NAN if crps is None and n else 0.0
        if crps is not None:
            score = float(_checks.column("crps", crps, n).sum())
        totals = (n, outcome.sum(), expected.sum(), np.abs(middle - outcome).sum())
        squares = np.square(expected - outcome).sum()
        if (quantiles is None) != (levels is None):
            raise ValidationError(
                "quantiles and levels must be given together: a level says what a quantile is.",
                column="levels",
            )
        if quantiles is None:
            return cls((), np.array([*totals, squares, score]), np.zeros((3, 0)))
        grid = _checks.levels("levels", levels)
        found = _checks.quantiles(quantiles, n, len(grid))
        by_level = (
            scores.pinball(outcome, found, grid).sum(axis=0),
            (outcome[:, None] < found).sum(axis=0),
            (outcome[:, None] <= found).sum(axis=0),
        )
        return cls(
            tuple(grid.tolist()),
            np.array([*totals, squares, score]),
            np.stack(by_level).astype(np.float64),
        )

    def merge(self, other: MoneyScores, /) -> MoneyScores:
        """Add the outcomes of another part.

        Raises
        ------
        SchemaMismatchError
            When other quantiles were scored there.
        """
        if self.levels != other.levels:
            raise SchemaMismatchError(
                f"levels must be the same to be merged, got {self.levels} and {other.levels}. "
                "Score both parts with the same levels.",
                column="levels",
            )
        return MoneyScores(self.levels, self.totals + other.totals, self.by_level + other.by_level)

    @property
    def count(self) -> int:
        """Number of outcomes."""
        return int(self.totals[0])

    @property
    def wape(self) -> float:
        """Sum of `|median - a|` over the sum of outcomes."""
        return scores.ratio(self.totals[3], self.totals[1])

    @property
    def bias(self) -> float:
        """Sum of mean - a over the sum of outcomes."""
        return scores.ratio(self.totals[2] - self.totals[1], self.totals[1])

    @property
    def mae(self) -> float:
        """Mean of `|median - a|`; over a naive forecast's on the past it is the MASE."""
        return scores.ratio(self.totals[3], self.totals[0])

    @property
    def rmse(self) -> float:
        """Root mean square of mean - a; over a naive forecast's on the past it is the RMSSE."""
        return float(np.sqrt(scores.ratio(self.totals[4], self.totals[0])))

    @property
    def crps(self) -> float:
        """Mean continuous ranked probability score."""
        return scores.ratio(self.totals[5], self.totals[0])

    @property
    def weighted_interval_score(self) -> float:
        """Twice the mean pinball loss over all levels (which are meant to be symmetric)."""
        return scores.ratio(2.0 * self.by_level[0].sum(), self.totals[0] * len(self.levels))

    @property
    def undefined(self) -> dict[str, str]:
        """Reasons, by name, for scores that are NaN."""
        if not self.count:
            names = ("wape", "bias", "mae", "rmse", "crps", "weighted_interval_score")
            return dict.fromkeys(names, "there are no outcomes")
        found: dict[str, str] = {}
        if not self.totals[1] > 0.0:
            reason = f"the outcomes add up to {self.totals[1]:,.12g}"
            found.update(wape=reason, bias=reason)
        if np.isnan(self.totals[5]):
            found["crps"] = "some outcomes were scored without their CRPS"
        if not self.levels:
            found["weighted_interval_score"] = "no quantiles were scored"
        return found

    def pinball_loss(self, level: float, /) -> float:
        """Return the mean pinball loss of the quantile at a level."""
        return scores.ratio(self.by_level[0, self._position(level)], self.totals[0])

    def interval_score(self, level: float, /) -> float:
        """Return the mean score of the central interval, from the losses of its two ends."""
        losses = self.by_level[0, self._ends(level)].sum()
        return scores.ratio(2.0 / (1.0 - level) * losses, self.totals[0])

    def coverage(self, level: float, /) -> float:
        """Return the share of outcomes in the central interval, both ends included."""
        low, high = self._ends(level)
        return scores.ratio(self.by_level[2, high] - self.by_level[1, low], self.totals[0])

    def _ends(self, level: float) -> list[int]:
        """Return the positions of the two ends of a central interval."""
        share = _checks.unit("level", level)
        return [self._position((1.0 - share) / 2.0), self._position((1.0 + share) / 2.0)]

    def _position(self, level: float) -> int:
        """Return the position of a level."""
        near = np.flatnonzero(np.abs(np.array(self.levels) - level) < 1e-9)
        if not len(near):
            raise ValidationError.from_value(
                "level", f"needs quantiles at scored levels {self.levels}", level, ""
            )
        return int(near[0])


@attrs.frozen(eq=False)
class DealScores:
    """How good chances of being won were, as sums that add up.

    Make it with `measure`; `merge` adds the deals of another chunk or cutoff. Brier score, log
    score and the parts of the Brier score are exact; for the AUC, chances within one of 1,024 cells
    (0.0015 wide in the middle, finer towards 0 and 1) count as ties. Without deals, and for an AUC
    without won or without lost ones, scores are NaN, and `undefined` says why.

    Parameters
    ----------
    cells : (5, 1024) float64
        Sums by cell of chance: see `funnel.kernels.calibration`.
    totals : (4,) float64
        Sums of the log score, of what is expected of it where the chances are right, and of the
        variances of Brier and log score then.

    Examples
    --------
    >>> first = DealScores.measure([True], [0.8])
    >>> both = first.merge(DealScores.measure([False], [0.4]))
    >>> both.count, both.brier, both.log, both.auc
    (2, 0.1, 0.3669, 1.0)
    """

    cells: FloatArray = attrs.field(converter=frozen)
    totals: FloatArray = attrs.field(converter=frozen)

    @classmethod
    def measure(cls, won: npt.ArrayLike, chance: npt.ArrayLike, /) -> DealScores:
        """Score chances, deal by deal; no deals are fine.

        Parameters
        ----------
        won : (n,) array_like of bool
        chance : (n,) array_like
            In [0, 1]; the log score clips them at 0.001 and 0.999.

        Raises
        ------
        ValidationError
            When arrays differ in length, or chances are none.
        """
        p = _checks.chances("chance", chance, empty=True)
        outcome = _checks.wins(won, len(p))
        totals = (
            calibration.log_loss(outcome, p, CLIP),
            calibration.entropy(p, CLIP),
            calibration.brier_variance(p),
            calibration.log_variance(p, CLIP),
        )
        return cls(calibration.grid_cells(outcome, p), np.array([t.sum() for t in totals]))

    def merge(self, other: DealScores, /) -> DealScores:
        """Add the deals of another part."""
        return DealScores(self.cells + other.cells, self.totals + other.totals)

    @property
    def count(self) -> int:
        """Number of deals."""
        return int(self.cells[0].sum())

    @property
    def wins(self) -> int:
        """Number of deals won."""
        return int(self.cells[1].sum())

    @property
    def brier(self) -> float:
        """Mean of (p - won)^2."""
        _, won, _, square, hits = self.cells.sum(axis=1)
        return scores.ratio(square - 2.0 * hits + won, self.count)

    @property
    def log(self) -> float:
        """Minus the mean logarithm of the chance given to what happened."""
        return scores.ratio(self.totals[0], self.count)

    @property
    def auc(self) -> float:
        """Chance that a won deal was ranked above a lost one."""
        return calibration.auc(self.cells)

    @property
    def undefined(self) -> dict[str, str]:
        """Reasons, by name, for scores that are NaN."""
        if not self.count:
            return dict.fromkeys(("brier", "log", "auc"), "there are no deals")
        if self.wins in {0, self.count}:
            return {"auc": f"{'none' if not self.wins else 'all'} of the deals were won"}
        return {}

    def brier_noise(self, *, overlap: int = 1) -> NoiseFloor:
        """Return the Brier score to be expected where the chances are right, see `brier_noise`."""
        _, _, chance, square, _ = self.cells.sum(axis=1)
        return floor_of_mean(float(chance - square), self.totals[2], self.count, overlap)

    def log_noise(self, *, overlap: int = 1) -> NoiseFloor:
        """Return the log score to be expected where the chances are right, see `log_noise`."""
        return floor_of_mean(self.totals[1], self.totals[3], self.count, overlap)

    def decomposition(self, *, bins: int = 10) -> BrierDecomposition:
        """Return the parts of the Brier score, see `brier_decomposition`."""
        return decomposition_of(self._some(), bins)

    def calibration(self, *, bins: int = 10, level: float = 0.9) -> CalibrationCurve:
        """Return chances given and shares won, see `calibration_curve`."""
        return curve_of(self._some(), bins, level)

    def calibration_error(self, *, bins: int = 10) -> float:
        """Return the mean distance of chance and share won, see `calibration_error`."""
        joined = calibration.equal_count_bins(self._some(), _checks.whole("bins", bins))
        return calibration.calibration_gap(joined)

    def _some(self) -> FloatArray:
        """Return the cells where there are deals."""
        return _checks.some("the calibration of chances", self.cells, self.count)
