"""A plan week by week: what entered and was booked, against what was planned, and what it means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import attrs
import numpy as np

from funnel._display import money
from funnel.calendars import Horizon, to_date, to_dates
from funnel.errors import LeakError, ValidationError
from funnel.forecasting import FittedForecaster, Forecaster
from funnel.kernels.arrays import frozen
from funnel.planning._exact import to_float
from funnel.planning._response import weeks_between
from funnel.planning.lagged import InflowPlan
from funnel.planning.plan import Plan
from funnel.results import ResultTable

if TYPE_CHECKING:
    from funnel.tables import History
    from funnel.typing import DateArray, FloatArray, IntArray

__all__ = ["Tracking", "track"]


@attrs.frozen(eq=False)
class Tracking(ResultTable):
    """Actual against plan by week, see `track`.

    Parameters
    ----------
    target : float
        Money of the whole horizon.
    first, last : (v,) datetime64[D]
        First and last day of each week.
    planned, entered : (v,) float64
        New deals of the week, as planned, and as they were created.
    booked : (v,) float64
        Money booked in the horizon by the end of the week, as known then.
    expected : (v,) float64
        Money expected in the whole horizon, at the end of the week.
    probability : (v,) float64
        The chance then to reach the target.
    """

    percents: ClassVar[frozenset[str]] = frozenset({"probability"})

    target: float
    first: DateArray
    last: DateArray
    planned: FloatArray
    entered: FloatArray
    booked: FloatArray
    expected: FloatArray
    probability: FloatArray

    @property
    def behind(self) -> FloatArray:
        """Entries that are missing since the plan began; below 0 where there are more, (v,)."""
        return np.asarray(np.cumsum(self.planned - self.entered))

    def to_columns(self) -> dict[str, Any]:
        """Return one row for each week."""
        return {
            "first": self.first,
            "last": self.last,
            "planned": self.planned,
            "entered": self.entered,
            "behind": self.behind,
            "booked": self.booked,
            "expected": self.expected,
            "probability": self.probability,
        }

    @property
    def _title(self) -> str:
        """Return the heading."""
        return f"Against the plan for {money(self.target)}"


class Course(NamedTuple):
    """What a plan says: target, horizon, first day, and entries of stretches of days."""

    target: float
    horizon: Horizon
    begin: int
    first: IntArray
    end: IntArray
    entries: FloatArray


def track(
    plan: Plan | InflowPlan, history: History, forecaster: Forecaster | FittedForecaster, /
) -> Tracking:
    """Set what happened beside a plan, week by week, with a running chance to reach the target.

    Parameters
    ----------
    plan : Plan or InflowPlan
        With a horizon. A classic plan begins on its `as_of`, or where its horizon begins or the
        first deals are to be created, whichever is earlier.
    history : History
        Until today; nothing after the end of a week is used for it, but that deals of the week
        which were recorded later count as entered.
    forecaster : Forecaster or FittedForecaster
        What says the chance: a forecaster is fitted again on what is known at the end of each week,
        a fitted one is asked as it is.

    Returns
    -------
    Tracking
        The calendar weeks (from Mondays) since the plan that are over, and the one that is not.

    Raises
    ------
    LeakError
        When the fitted forecaster has seen what happened after the end of a week.
    ValidationError
        When the plan has no horizon, the history ends before it begins or begins after it, or
        `forecaster` is none.

    Examples
    --------
    >>> import funnel as fn
    >>> from funnel.planning import plan_inflow
    >>> history = fn.datasets.simulate(1000, rng=1).history
    >>> fitted = fn.DealForecaster("win-rate").fit(history.until("2026-03-31"))
    >>> quarter = fn.Horizon.quarters("2026-04-01", 1)
    >>> known = history.snapshot("2026-03-31")
    >>> ideal = plan_inflow(7e5, fitted, known, quarter, confidence=None)
    >>> found = track(ideal, history.until("2026-04-19"), fitted)
    >>> found.last.astype(str).tolist()
    ['2026-04-05', '2026-04-12', '2026-04-19']
    """
    if not isinstance(forecaster, FittedForecaster | Forecaster):
        rule, remedy = "must be a forecaster", "For instance DealForecaster('semi-markov')."
        raise ValidationError.from_value("forecaster", rule, forecaster, remedy)
    course = _course(plan)
    until = min(history.observed_until, int(course.horizon.edges[-1]) - 1)
    if not history.observed_from <= course.begin <= until:
        begun, seen = to_date(course.begin), to_date(history.observed_until)
        raise ValidationError(
            f"history must have seen the first day of the plan ({begun}); it is observed from "
            f"{to_date(history.observed_from)} until {seen}. Track later, or give a longer one.",
            column="history",
        )
    first, end = weeks_between(course.begin, until + 1, course.begin)
    rows = [_as_of(course, history, forecaster, int(day) - 1) for day in end]
    booked, expected, probability = (frozen(np.array(column)) for column in zip(*rows, strict=True))
    created = np.sort(history.snapshot().created)
    entered = np.searchsorted(created, end) - np.searchsorted(created, first)
    return Tracking(
        course.target,
        to_dates(first.astype(np.int32)),
        to_dates((end - 1).astype(np.int32)),
        _planned(course, first, end),
        entered.astype(np.float64),
        booked,
        expected,
        probability,
    )


def _as_of(
    course: Course, history: History, forecaster: Forecaster | FittedForecaster, day: int
) -> tuple[float, float, float]:
    """Return money booked and expected, and the chance, as known at the end of a day."""
    known = history.until(np.datetime64(day, "D"))
    fitted = forecaster if isinstance(forecaster, FittedForecaster) else forecaster.fit(known)
    if fitted.trained_until > day:
        seen, week = to_date(fitted.trained_until), to_date(day)
        message = f"the forecaster has seen {seen}, after the week that ended on {week}. Fit it on"
        raise LeakError(f"{message} the history until the plan began, or give it unfitted.")
    outlook = fitted.forecast(known.snapshot(), course.horizon).total()
    booked = float(outlook.parts["booked"].expected[0])
    return booked, float(outlook.expected[0]), float(outlook.probability_of(course.target)[0])


def _planned(course: Course, first: IntArray, end: IntArray) -> FloatArray:
    """(v,), (v,) -> (v,): planned entries of weeks, even within each stretch of the plan."""
    shared = np.minimum(end[:, None], course.end) - np.maximum(first[:, None], course.first)
    share = np.maximum(shared, 0) / np.maximum(course.end - course.first, 1)
    return np.asarray(share @ course.entries)


def _course(plan: object) -> Course:
    """Read a plan of either kind."""
    if isinstance(plan, InflowPlan):
        found = plan.inflow.response
        ahead, horizon = ~found.late, plan.outlook.horizon
        begin = plan.inflow.pipeline.as_of + 1
        return Course(
            plan.target, horizon, begin, found.first[ahead], found.end[ahead], plan.entries
        )
    if not isinstance(plan, Plan):
        rule, remedy = "must be a plan", "Make it by plan() or plan_inflow()."
        raise ValidationError.from_value("plan", rule, plan, remedy)
    givens = plan.givens
    if givens.horizon is None:
        message = "a plan must have horizon= to be tracked by week. Give it to plan()."
        raise ValidationError(message, column="horizon")
    edges, k = givens.horizon.edges.tolist(), len(givens.periods)
    pairs = [givens.entry_window(period, 0) for period in range(k)]
    windows = [pair or (edges[i], edges[i + 1] - 1) for i, pair in enumerate(pairs)]
    entries = np.array([to_float(givens.wins_of(i) * givens.per_win[0]) for i in range(k)])
    first, last = np.array(windows, dtype=np.int64).T
    begin = min(int(first[0]), edges[0]) if givens.as_of is None else givens.as_of + 1
    target = to_float(givens.target * givens.gross_up)
    return Course(target, givens.horizon, begin, first, last + 1, entries)
