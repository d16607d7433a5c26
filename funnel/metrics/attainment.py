"""Plan against actual: targets, attainment, pacing, coverage still needed, and what the gap is."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Self

import attrs
import numpy as np

from funnel.calendars import to_date
from funnel.errors import InsufficientDataError, ValidationError
from funnel.kernels.arrays import frozen
from funnel.metrics import _attainment_coverage
from funnel.metrics._attainment_booked import (
    Attainment,
    AttainmentSummary,
    passed,
    summarize_attainment,
)
from funnel.metrics._attainment_coverage import Coverage
from funnel.metrics._attainment_gap import GapFactors, gap_factors
from funnel.metrics._attainment_rows import PeriodAmounts, read
from funnel.metrics._attainment_sums import currencies, require_one
from funnel.metrics._groups import check_days, check_level
from funnel.metrics._journeys import lives
from funnel.stages import Outcome
from funnel.summary import summarize
from funnel.typing import NO_DAY

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Executor

    import numpy.typing as npt

    from funnel.calendars import Horizon
    from funnel.summary import HistorySource
    from funnel.tables import History, Pipeline
    from funnel.typing import DateLike, FloatArray

__all__ = [
    "Attainment",
    "AttainmentSummary",
    "Coverage",
    "GapFactors",
    "Targets",
    "attainment",
    "booking_profile",
    "coverage_needed",
    "gap_factors",
    "summarize_attainment",
]


@attrs.frozen(eq=False, repr=False)
class Targets(PeriodAmounts):
    """What is to be booked by each group in each period. Build it with `from_columns`.

    Parameters
    ----------
    start, end : (n,) int32
        First day of the period, and the day after it.
    labels : (n,) str
        Names of the periods.
    keys : mapping of str to (n,) str
        The group: values of category columns of the history, such as owner, region or product.
    amount : (n,) float64
        The target in major units, at least 0.
    currency : str
        Of all targets; ``""`` where it was not said.

    Examples
    --------
    >>> import funnel as fn
    >>> quarters = fn.Horizon.quarters("2026-01-01", 2)
    >>> targets = Targets.from_columns(
    ...     target=[100.0, 120.0, 80.0], owner=["Ann", "Ann", "Bo"],
    ...     period=["2026-Q1", "2026-Q2", "2026-Q1"], periods=quarters,
    ... )
    >>> targets
    Targets(3 rows by owner, 300.00)
    >>> targets.total(()).amount.tolist()
    [180.0, 120.0]
    """

    @classmethod
    def from_columns(
        cls,
        *,
        target: Any,  # noqa: ANN401 - any array-like
        start: Any = None,  # noqa: ANN401
        end: Any = None,  # noqa: ANN401
        last: Any = None,  # noqa: ANN401
        period: Any = None,  # noqa: ANN401
        periods: Horizon | None = None,
        currency: str = "",
        **keys: Any,  # noqa: ANN401
    ) -> Self:
        """Build the table from one value per row, in any order.

        Parameters
        ----------
        target : (n,) float
            Major units, at least 0.
        start, end : date or (n,) dates, optional
            First day of the period, and the day after it.
        last : date or (n,) dates, optional
            Last day of the period, instead of `end`.
        period : str or (n,) str, optional
            Labels of `periods`, instead of days.
        periods : Horizon, optional
            The periods behind the labels.
        currency : str, optional
            Of all targets.
        **keys : str or (n,) str
            Category columns of the history, such as ``owner``; an empty text stands for deals
            whose value is unknown.

        Returns
        -------
        Targets

        Raises
        ------
        ValidationError
            When a target is unknown, negative or infinite, a period is empty or unknown, or a
            group has two targets for one day.
        """
        given = {"start": start, "end": end, "last": last, "period": period}
        return cls(**read("target", target, given, periods, keys), currency=currency)

    def to_columns(self) -> dict[str, np.ndarray[Any, Any]]:
        """Return one value per row by column; the end of a period is the day after it."""
        found = PeriodAmounts.to_columns(self)
        found["target"] = found.pop("amount")
        return found


def attainment(
    source: History | HistorySource,
    targets: Targets,
    /,
    *,
    by: Sequence[str] | None = None,
    as_of: DateLike | None = None,
    profile: npt.ArrayLike | None = None,
    executor: Executor | None = None,
) -> Attainment:
    """Compare what was booked with the targets: attainment, pacing and gap.

    Parameters
    ----------
    source : History or HistorySource
        A history, or chunks of whole deals.
    targets : Targets
        Their keys are category columns of the history.
    by : sequence of str, optional
        Keys to keep; targets are added up over the others. All by default.
    as_of : date, optional
        The day (its end) on which all this was known; the last observed day by default.
    profile : (p,) float, optional
        Weights of p equal parts of a period, in which it usually books, see `booking_profile`.
        Without it every day weighs the same.
    executor : Executor, optional
        Where to count chunks.

    Returns
    -------
    Attainment
        One row for each target, in their order, then one for each group and period that booked
        without a target. ``mark`` says which targets are of groups or periods that are not in the
        history: their bookings are unknown (NaN), not 0.

    Raises
    ------
    UnknownColumnError, ValidationError
        When a key is no category column of the history, or `profile` is wrong.
    CurrencyMismatchError
        When bookings and targets are in several currencies.
    LeakError
        When `as_of` is after the history.

    Notes
    -----
    ::

        attainment = booked / target
        pacing     = attainment / share of the period that has passed        (1: on pace)
        gap        = target - booked

    Booked is the money of deals that count as won at `as_of`, net of reopening, on the day of
    winning, for the group in the last row of the deal (`funnel.outcomes`).

    Examples
    --------
    >>> import funnel as fn
    >>> history = fn.History.from_columns(
    ...     funnel=fn.Funnel(["Qualify"]), id=["A", "A"], owner=["Ann", "Ann"],
    ...     at=["2026-01-05", "2026-02-14"], stage=["Qualify", "Won"], amount=[60.0, 60.0],
    ...     observed_from="2026-01-01",
    ... )
    >>> targets = Targets.from_columns(
    ...     target=[100.0], owner="Ann", start="2026-01-01", end="2026-04-01"
    ... )
    >>> found = attainment(history, targets)  # half of the 90 days have passed
    >>> found.attainment.tolist(), found.passed.tolist(), found.pacing.tolist()
    ([0.6], [0.5], [1.2])
    """
    table = targets if by is None else targets.total(by)
    count = functools.partial(summarize_attainment, targets=table, as_of=as_of)
    passed(table.start[:0], table.end[:0], 0, profile)  # fails before anything is counted
    return summarize(source, count, executor=executor).table(profile=profile)


def booking_profile(history: History, periods: Horizon, /, *, parts: int = 13) -> FloatArray:
    """Learn in which parts of a period money is booked: the weights for pacing.

    Parameters
    ----------
    history : History
        Use ``history.until(day)`` for what was known then.
    periods : Horizon
        Past periods that lie within the observed window, for instance eight quarters.
    parts : int
        Equal parts of a period; 13 are the weeks of a quarter.

    Returns
    -------
    (parts,) float64
        Share of the money booked in each part, over all periods; they add up to 1.

    Raises
    ------
    ValidationError
        When a period is not wholly observed, or `parts` is no whole number >= 1.
    InsufficientDataError
        When nothing was booked.
    CurrencyMismatchError
        When bookings are in several currencies.

    Examples
    --------
    >>> import funnel as fn
    >>> from funnel.testing import fixtures
    >>> quarters = fn.Horizon.quarters("2024-01-01", 6)
    >>> profile = booking_profile(fixtures.history(), quarters, parts=3)
    >>> round(float(profile.sum()), 9)
    1.0
    """
    check_days(parts, "parts")
    if parts == 0:
        rule = "must be a whole number >= 1"
        raise ValidationError.from_value("parts", rule, parts, "13 is the default.")
    first, last = history.observed_from, history.observed_until
    if periods.edges[0] < first or periods.edges[-1] > last + 1:
        rule = f"must lie within the observed days, {to_date(first)} to {to_date(last)}"
        raise ValidationError.from_value("periods", rule, periods, "Name past periods only.")
    life = lives(history)
    rows = np.flatnonzero((life.outcome == Outcome.WON) & (life.closed != NO_DAY))
    amount = history.columns["amount"][life.last_row[rows]]
    place = periods.period_of(life.closed[rows])
    used = (place >= 0) & (amount > 0.0)
    rows, amount, place = rows[used], amount[used], place[used]
    if not len(rows):
        raise InsufficientDataError(
            "wins of a known amount in the periods", needed=1, found=0, remedy="Name more periods."
        )
    edges = periods.edges.astype(np.int64)
    day = life.closed[rows] - edges[place]
    part = day * int(parts) // (edges[place + 1] - edges[place])
    require_one(currencies(history, life.last_row[rows]))
    money = np.bincount(part, weights=amount, minlength=int(parts))
    return frozen(money / money.sum())


def coverage_needed(
    pipeline: Pipeline,
    targets: Targets,
    /,
    *,
    chance: npt.ArrayLike,
    by: Sequence[str] | None = None,
    booked: npt.ArrayLike | None = None,
    new: npt.ArrayLike | None = None,
    level: float = 0.95,
) -> Coverage:
    """Say how much open pipeline the targets need, by the conversion of the deals themselves.

    Parameters
    ----------
    pipeline : Pipeline
        All deals on a day; won ones count as booked.
    targets : Targets
        Their keys are category columns of the pipeline.
    chance : (d, p) float
        Chance that each deal of the pipeline is won within each of the p different periods of the
        targets, sorted by their first and last day; (d,) for a single period. With the curve W of
        a fitted model it is ``W(last day) - W(max(day before the first, as_of))``. Values of
        closed deals are not read.
    by : sequence of str, optional
        Keys to keep; targets are added up over the others. All by default.
    booked : (n,) float, optional
        Booked so far, for each target; by default the won deals of the pipeline.
    new : (n,) float, optional
        Expected bookings of deals that are not open yet, for each target; 0 by default.
    level : float
        Level of the intervals.

    Returns
    -------
    Coverage
        One row for each target; with `by`, for each row of ``targets.total(by)``.

    Raises
    ------
    UnknownColumnError, ValidationError
        When a key is no category column, or an array has the wrong shape or values.
    CurrencyMismatchError
        When targets and deals are in several currencies.

    Notes
    -----
    With chances p and amounts a of the open deals of the group::

        conversion      = sum p a / sum a
        gap             = target - booked - new
        needed          = gap / conversion
        coverage        = sum a / gap          needed coverage = 1 / conversion, in place of "3x"

    The interval is Wilson's for as many deals as are worth the open amount, ``(sum a)^2 / sum a^2``
    (Kish 1965, Survey Sampling). It speaks of the chance of single deals, not of an error of the
    model.

    Examples
    --------
    >>> import funnel as fn
    >>> pipeline = fn.Pipeline.from_columns(
    ...     funnel=fn.Funnel(["Qualify"]), as_of="2026-01-31", id=["A", "B", "C"],
    ...     stage=["Qualify", "Qualify", "Won"], amount=[100.0, 300.0, 50.0],
    ...     closed_on=[None, None, "2026-01-20"],
    ... )
    >>> quarter = Targets.from_columns(target=[150.0], start="2026-01-01", end="2026-04-01")
    >>> found = coverage_needed(pipeline, quarter, chance=[0.5, 0.1, 1.0])
    >>> found.conversion.tolist(), found.coverage_needed.tolist(), found.needed.tolist()
    ([0.2], [5.0], [500.0])
    >>> found.coverage.tolist(), found.shortfall.tolist()
    ([4.0], [100.0])
    """
    check_level(level)
    table = targets if by is None else targets.total(by)
    return _attainment_coverage.measure(
        pipeline, table, chance, booked=booked, new=new, level=level
    )
