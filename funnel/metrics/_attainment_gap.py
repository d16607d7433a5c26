"""What a gap to plan is made of: leads, conversion, amount and cycle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from funnel.errors import ValidationError
from funnel.kernels.labels import texts
from funnel.metrics._lmdi import FACTORS, decompose, product
from funnel.results import ResultTable

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from funnel.typing import FloatArray, StringArray

__all__ = ["GapFactors", "gap_factors"]

NAMES = ("leads", "conversion", "amount", "cycle")


@attrs.frozen(eq=False)
class GapFactors(ResultTable):
    """A gap to plan, split into its factors, see `gap_factors`.

    Parameters
    ----------
    names : (g,) str
        Groups or periods.
    target, booked : (g,) float64
        Major units.
    parts : (g, 4) float64
        What leads, conversion, amount and cycle contribute; positive is missing.
    """

    names: StringArray
    target: FloatArray
    booked: FloatArray
    parts: FloatArray

    @property
    def gap(self) -> FloatArray:
        """Target - booked, (g,)."""
        return self.target - self.booked

    @property
    def other(self) -> FloatArray:
        """What the four factors do not explain: gap - their sum, (g,)."""
        return np.asarray(self.gap - self.parts.sum(axis=1))

    def to_columns(self) -> dict[str, Any]:
        """Return one row for each group or period."""
        return {
            "name": self.names,
            "target": self.target,
            "booked": self.booked,
            **{name: self.parts[:, at] for at, name in enumerate(NAMES)},
            "other": self.other,
            "gap": self.gap,
        }

    @property
    def _title(self) -> str:
        """Return the heading."""
        return "Gap to plan by factor; positive is missing"


def _amounts(name: str, values: npt.ArrayLike, shape: tuple[int, ...]) -> FloatArray:
    """Return one amount a group."""
    found = np.array(values, dtype=np.float64)
    if found.shape != shape:
        rule = f"must hold one amount for each of the {shape[0]:,} groups"
        raise ValidationError.from_value(name, rule, f"shape {found.shape}", "")
    return found


def gap_factors(
    plan: npt.ArrayLike,
    actual: npt.ArrayLike,
    /,
    *,
    days: float,
    names: Sequence[str] | None = None,
    target: npt.ArrayLike | None = None,
    booked: npt.ArrayLike | None = None,
) -> GapFactors:
    """Split a gap to plan exactly into leads, conversion, amount and cycle.

    Parameters
    ----------
    plan, actual : (g, 4) float
        Deals in work, win rate, mean amount of a win, and cycle in days, as planned and as they
        were, for each group or period; not negative. ``sales_velocity(...).factors`` is such an
        array.
    days : float
        Length of the period, in the days in which the cycle is given.
    names : (g,) str, optional
        Names of the groups; 1, 2, ... by default.
    target, booked : (g,) float, optional
        Target and bookings; by default what the factors make.

    Returns
    -------
    GapFactors
        ``leads + conversion + amount + cycle + other = target - booked``. `other` is what the
        factors do not make of target and bookings, for instance deals that came from earlier
        periods; 0 where these are left out.

    Raises
    ------
    ValidationError
        When shapes are wrong, a factor is negative, or `days` is not above 0.

    Notes
    -----
    The factors make ``days x leads x conversion x amount / cycle`` (by Little's law, with leads
    the deals in work on an average day). The difference is split by the logarithmic mean Divisia
    index, see `funnel.metrics.velocity.decompose`.

    References
    ----------
    .. [1] B. W. Ang, "The LMDI approach to decomposition analysis: a practical guide", Energy
       Policy 33, 2005, https://doi.org/10.1016/j.enpol.2003.10.010.

    Examples
    --------
    Half of the leads at twice the amount, but the cycle takes 45 days in place of 30:

    >>> found = gap_factors([[20, 0.25, 100, 30]], [[10, 0.25, 200, 45]], days=90)
    >>> found.gap.tolist(), found.parts.sum(axis=1).tolist(), found.other.tolist()
    ([500.0], [500.0...], [0.0])
    >>> found.parts[0].round(1).tolist()
    [854.8, 0.0, -854.8, 500.0]
    """
    if isinstance(days, bool) or not 0.0 < days < np.inf:
        raise ValidationError.from_value("days", "must be above 0", days, "90 for a quarter.")
    sides = [np.array(side, dtype=np.float64) for side in (plan, actual)]
    if sides[0].ndim != 2 or sides[0].shape != sides[1].shape or sides[0].shape[1] != len(FACTORS):
        shapes, remedy = tuple(side.shape for side in sides), f"The columns are {NAMES}."
        rule = "must both be of shape (groups, 4)"
        raise ValidationError.from_value("plan, actual", rule, shapes, remedy)
    parts = days * decompose(sides[1], sides[0])
    shape = parts.shape[:1]
    numbered = [str(row + 1) for row in range(shape[0])]
    named = texts(numbered if names is None else list(names))
    if named.shape != shape:
        rule = f"must hold one name for each of the {shape[0]:,} groups"
        raise ValidationError.from_value("names", rule, f"{len(named):,} names", "")
    made = [days * product(side) for side in sides]
    return GapFactors(
        names=named,
        target=made[0] if target is None else _amounts("target", target, shape),
        booked=made[1] if booked is None else _amounts("booked", booked, shape),
        parts=parts,
    )
