"""A forecast: for each period the distribution of what is booked, and the deals behind it."""

from __future__ import annotations

import functools
from numbers import Real
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from funnel._frames import FrameBackend, to_frame
from funnel.calendars import Horizon, to_date
from funnel.errors import ValidationError
from funnel.forecasting import _books, _joint, _laws, _moments, _tables, _variants
from funnel.forecasting import sources as _sources
from funnel.kernels import compound

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from funnel.forecasting._books import Book
    from funnel.forecasting._joint import JointProbability
    from funnel.forecasting._moments import Variance
    from funnel.forecasting._rows import ForecastDeals
    from funnel.forecasting._tables import LargestDeals, RollUp
    from funnel.forecasting.amounts import Amounts
    from funnel.forecasting.dependence import Shock
    from funnel.forecasting.sources import DecidingDeals, Sources
    from funnel.kernels.compound import Law
    from funnel.typing import FloatArray

__all__ = ["Forecast"]


@attrs.frozen(eq=False, repr=False, slots=False)
class Forecast:
    """What will be booked in each period of a horizon, as a distribution.

    Each deal is booked in one period at most, for its amount (or, where that is unknown, for one
    drawn from won deals). New deals come in Poisson numbers (with no limit: the quantile of 1 is
    infinite) whose level is shared (`dispersion`). A `shock` moves the chances of all deals in one
    direction; given both, deals are independent. The distribution is exact for small books (see
    `method` and `error`), up to the few states that stand for what is shared. Every selection
    (`parts`, `group`, `between`, `total`) has a law of its own: quantiles are never added up.

    Parameters
    ----------
    horizon : Horizon
        k half-open periods.
    as_of : int
        The day (its end, since 1970-01-01) at which it was made.
    currency : str
        Of all amounts.
    by : tuple of str
        Columns that make the groups.
    keys : tuple of tuple of str
        One key for each group.
    deals : ForecastDeals
        The deals behind it.
    unknown : Amounts
        The distribution for unknown amounts.
    model : str
        What made it.
    dispersion : float
        Variance of a factor, Gamma with mean 1, that all new deals of the horizon share.
    shock : Shock or None
        What all deals share: in a state s of it, a deal is won with the chance
        ``p (1 + s response)``, and new deals come in numbers ``1 + s`` times as large. Set it by
        `with_shock`, which takes it as an error of the expected money.
    notes : tuple of str
        Assumptions, and deals that were left out or treated in a special way.

    Examples
    --------
    >>> import funnel as fn
    >>> pipeline = fn.Pipeline.from_columns(
    ...     funnel=fn.Funnel.template("project"), as_of="2026-06-30",
    ...     id=["A", "B"], stage=["proposal", "negotiation"], amount=[100.0, 200.0],
    ...     expected_close=["2026-07-15", "2026-11-01"],
    ... )
    >>> outlook = fn.forecast(pipeline, fn.Horizon.quarters("2026-07-01", 2), "textbook")
    >>> outlook.expected.tolist()
    [50.0, 140.0]
    >>> outlook.probability_of(100).tolist()
    [0.5, 0.7]
    >>> outlook.total().probability_of(200).tolist()
    [0.7]
    """

    horizon: Horizon
    as_of: int
    currency: str
    by: tuple[str, ...]
    keys: tuple[tuple[str, ...], ...]
    book: Book = attrs.field(alias="deals")
    unknown: Amounts
    model: str
    dispersion: float = 0.0
    shock: Shock | None = None
    notes: tuple[str, ...] = ()

    @classmethod
    def from_moments(
        cls,
        horizon: Horizon,
        as_of: int,
        currency: str,
        *,
        by: tuple[str, ...],
        keys: tuple[tuple[str, ...], ...],
        booked: FloatArray,
        mean: FloatArray,
        variance: FloatArray,
        model: str,
        notes: tuple[str, ...] = (),
    ) -> Forecast:
        """Return a forecast of totals, for forecasters that do not look at deals.

        Parameters
        ----------
        booked, mean, variance : (g, k) float64
            Money booked so far, and mean and variance of what is still to come, by group and
            period.

        Notes
        -----
        What is to come is a Poisson number, with mean ``mean**2 / variance``, of deals of the size
        ``variance / mean``: mean and variance are exact, and money is never negative. Periods and
        groups are independent. A variance of 0 makes the money certain.
        """
        deals, no_amounts = _laws.from_moments(booked, mean, variance, model)
        return cls(horizon, as_of, currency, by, keys, deals, no_amounts, model, notes=notes)

    @property
    def deals(self) -> ForecastDeals:
        """The deals behind it, one by one; where there are many, this takes time and memory."""
        return self.book.rows

    @functools.cached_property
    def expected(self) -> FloatArray:
        """Expected booked money by period, (k,), in major units of `currency`."""
        return _moments.expected(self.book.money, self.unknown)

    @functools.cached_property
    def expected_by_group(self) -> FloatArray:
        """Expected booked money by group, in the order of `keys`, and period: (g, k)."""
        return _books.expected_by_group(self.book, len(self.keys), self.unknown)

    @functools.cached_property
    def sd(self) -> FloatArray:
        """Standard deviation of the booked money by period, (k,)."""
        return np.sqrt(self._variance.total)

    @functools.cached_property
    def _variance(self) -> Variance:
        """The variance of each period, split by its sources."""
        return _moments.variance(self.book.money, self.unknown, self.shock, self.dispersion)

    @property
    def expected_wins(self) -> FloatArray:
        """Expected number of deals booked by period, (k,)."""
        return _moments.wins(self.book.lots)

    # -- distribution ----------------------------------------------------------------------------

    @functools.cached_property
    def laws(self) -> tuple[Law, ...]:
        """The distribution of each period."""
        return tuple(
            _laws.law(self.book.merged(period, period), self.unknown, self.shock, self.dispersion)
            for period in range(len(self.horizon))
        )

    @property
    def method(self) -> tuple[str, ...]:
        """How each distribution was computed: enumeration, lattice or cos (a Fourier series)."""
        return tuple(law.method for law in self.laws)

    @property
    def error(self) -> FloatArray:
        """Bound or estimate of the numerical error in probability by period, (k,)."""
        return np.array([law.error for law in self.laws])

    def quantile(self, q: float) -> FloatArray:
        """Return the smallest amount that is not exceeded with probability `q`, by period: (k,).

        Raises
        ------
        ValidationError
            When `q` is not one number between 0 and 1.
        """
        if not isinstance(q, Real) or not 0.0 <= q <= 1.0:
            raise ValidationError.from_value("q", "must be one number from 0 to 1", q, "")
        level = np.array([q])
        return np.array([compound.quantile(law, level)[0] for law in self.laws])

    def interval(self, level: float) -> tuple[FloatArray, FloatArray]:
        """Return the central interval with probability `level`, by period: (k,), (k,)."""
        if not isinstance(level, Real) or not 0.0 < level < 1.0:
            raise ValidationError.from_value("level", "must be one number inside (0, 1)", level, "")
        return self.quantile((1.0 - level) / 2.0), self.quantile((1.0 + level) / 2.0)

    def probability_of(self, target: float | Sequence[float] | FloatArray) -> FloatArray:
        """Return the chance to book at least `target` in each period, (k,).

        Parameters
        ----------
        target : float or (k,) float
            One target for every period, or one for each.

        Raises
        ------
        ValidationError
            When a target is NaN, or their number is not that of the periods.
        """
        targets = self._targets(target)
        pairs = zip(self.laws, targets, strict=True)
        return np.array([compound.survival(law, goal[None])[0] for law, goal in pairs])

    def _targets(self, target: float | Sequence[float] | FloatArray) -> FloatArray:
        """Return one target for each period."""
        targets, k = np.asarray(target, dtype=np.float64), len(self.horizon)
        if targets.shape not in {(), (k,)} or np.isnan(targets).any():
            rule = f"must be one number or {k}, one for each period"
            raise ValidationError.from_value("target", rule, target, "")
        return np.broadcast_to(targets, k)

    def simulate(self, draws: int, *, rng: np.random.Generator | int = 0) -> FloatArray:
        """Draw the booked money of all periods jointly: (draws, k).

        A deal is booked in one period at most, and periods share what deals share, so that sums
        over periods have the law of `total`. `rng` is the source of chance, or the seed of one.

        Raises
        ------
        ValidationError
            When `draws` is not a whole number >= 1.
        """
        return _joint.simulate(self, draws, rng)[:, 0]

    def simulate_groups(self, draws: int, *, rng: np.random.Generator | int = 0) -> FloatArray:
        """Draw the booked money of all groups and periods jointly: (draws, g, k).

        See `simulate`.
        """
        return _joint.simulate(self, draws, rng, groups=True)

    def probability_of_all(
        self,
        targets: float | Sequence[float] | FloatArray,
        *,
        draws: int = 20_000,
        rng: np.random.Generator | int = 0,
    ) -> JointProbability:
        """Return the chance that every period reaches its target, by simulation.

        It is not the product of `probability_of`: periods share deals, and what deals share.
        `targets` are as there, `draws` and `rng` as in `simulate`.
        """
        return _joint.reached(self, self._targets(targets), draws, rng)

    # -- uncertainty -----------------------------------------------------------------------------

    def with_shock(self, shock: Shock | None, *, part: str | None = None) -> Forecast:
        """Return the forecast with an error that all deals share, added to what they share so far.

        Parameters
        ----------
        shock : Shock or None
            The relative error of the expected money still to come within the horizon, as
            `fit_shock` finds it. None takes every shock away: deals are independent (but for the
            level of new ones).
        part : str or None
            The part (``"open"``, ``"reopened"`` or ``"new"``) of whose expected money this is the
            error; the others move with it. By default all together.

        Notes
        -----
        The expected money stays the same. As deals that are nearly certain hardly move, `shock` is
        larger than the error of the money: ``sum(a W) / sum(a W (1 - W))`` times, over deals of
        amount a and chance W within the horizon. It is cut to [-1, 1], and a note says so where
        that matters. Shocks of several origins add up in quadrature.
        """
        return _variants.with_shock(self, shock, part=part)

    def sources(self) -> Sources:
        """Return where expected money and uncertainty of the whole horizon come from, exactly."""
        return _sources.sources(self)

    def deciding(self, target: float, n: int = 10) -> DecidingDeals:
        """Return the deals on which it depends most whether the whole horizon reaches a target.

        Of the `n` deals that bring most variance, the chance of the target given that the deal is
        won, and that it is not, as exact as `probability_of`.
        """
        return _sources.deciding(self, target, n)

    # -- selections ------------------------------------------------------------------------------

    @property
    def parts(self) -> Mapping[str, Forecast]:
        """The forecast of each part, by name."""
        return _variants.parts(self)

    def group(self, key: str | Sequence[str]) -> Forecast:
        """Return the forecast of one group.

        Parameters
        ----------
        key : str or sequence of str
            The values of the `by` columns, in their order.

        Raises
        ------
        UnknownColumnError
            When there is no such group; the message suggests close ones.
        """
        return _variants.group(self, key)

    def total(self) -> Forecast:
        """Return the forecast of the whole horizon as one period."""
        whole = self.book.merged(0, len(self.horizon) - 1)
        return attrs.evolve(self, horizon=self.horizon.whole(), deals=whole)

    def between(self, first: str, last: str) -> Forecast:
        """Return the forecast of some consecutive periods as one.

        `first` and `last` are the labels of the first and the last of them.

        Raises
        ------
        ValidationError
            When there is no such period, or `last` is before `first`.
        """
        return _variants.between(self, first, last)

    def largest(self, n: int = 10) -> LargestDeals:
        """Return the deals that contribute most to the expected money of the whole horizon."""
        return _tables.largest(self, n)

    def roll_up(self, *, cumulative: bool = False) -> RollUp:
        """Return open money by forecast category and promised period, as sales teams report it.

        Parameters
        ----------
        cumulative : bool
            Exclusive by default: each category holds its own deals. Cumulative: commit includes
            what is booked, best case includes commit, pipeline includes best case.

        Notes
        -----
        A deal's own category counts before that of its stage. Omitted deals never count.
        """
        return _tables.roll_up(self, cumulative=cumulative)

    # -- out -------------------------------------------------------------------------------------

    def to_columns(self, *, target: float | None = None) -> dict[str, np.ndarray[Any, Any]]:
        """Return one row for each group and period, the groups' totals and the grand total last.

        Columns: the `by` columns, ``period``, ``start``, ``end``, the parts, ``expected``,
        ``sd``, ``p10``, ``p50``, ``p90`` and, with a `target`, ``probability``.
        """
        return _tables.to_columns(self, target)

    def to_frame(self, *, target: float | None = None, backend: FrameBackend = "pandas") -> Any:  # noqa: ANN401
        """Return `to_columns` as a dataframe of `backend`.

        Raises
        ------
        MissingDependencyError
            When narwhals or the library is not installed.
        """
        return to_frame(self.to_columns(target=target), backend)

    def to_dict(self, *, target: float | None = None) -> dict[str, Any]:
        """Return plain JSON types: the table of `to_columns`, the notes, and a schema version."""
        return _tables.to_dict(self, target)

    def to_text(self, *, target: float | None = None) -> str:
        """Return the forecast as a plain-text table with its notes."""
        return _tables.to_text(self, target)

    def __str__(self) -> str:
        """Return the plain-text table."""
        return self.to_text()

    def __repr__(self) -> str:
        """Return one line."""
        groups = f", {len(self.keys)} groups by {', '.join(self.by)}" if self.by else ""
        return (
            f"Forecast({self.model!r} as of {to_date(self.as_of)}, {len(self.horizon)} periods "
            f"from {self.horizon.start}{groups}, {len(self.book):,} deals)"
        )

    def _repr_html_(self) -> str:
        """Return the table for a notebook."""
        return _tables.to_html(self)
