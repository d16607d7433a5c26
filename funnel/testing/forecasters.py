"""The contract of forecasters as a list of plain functions, as `funnel.testing.checks` for models.

Each takes a forecaster and raises `ConformanceError` when it breaks its rule; `FORECASTER_CHECKS`
has them all.
"""

from __future__ import annotations

import functools
import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from funnel.calendars import Horizon
from funnel.errors import ConformanceError, InsufficientDataError, LeakError, ValidationError
from funnel.errors import did_you_mean as hint_of
from funnel.forecasting import Forecaster
from funnel.forecasting.api import resolve
from funnel.testing import _variations as variations
from funnel.testing import fixtures
from funnel.testing._support import RELATIVE, BrokenRuleError, described, expect, requires
from funnel.testing.checks import NOTHING, Report
from funnel.typing import NO_DAY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from funnel.forecasting import Forecast
    from funnel.models import StageModel
    from funnel.summary import HistorySource
    from funnel.tables import History

    Check = Callable[[Forecaster], None]

__all__ = [
    "FORECASTER_CHECKS",
    "check_chunks",
    "check_deterministic",
    "check_forecaster",
    "check_groups_add_up",
    "check_leak_error",
    "check_parts_add_up",
    "check_pickled",
    "check_random_future",
    "check_threads",
    "check_tiny",
    "random_future",
]

FUTURES = 3
THREADS = 4
PAST = 150  # days before the end of the fixture, for the cutoff
DAYS = (30, 60)  # lengths of two periods
GROUPS = ("region",)

_demands: Callable[[str], Callable[[Check], Check]] = requires  # type: ignore[assignment]  # of any object


def random_future(history: History, day: int, rng: np.random.Generator) -> History:
    """Return a history in which every row after `day` is something else, at random.

    Parameters
    ----------
    history : History
        At least one row.
    day : int
        Days since 1970-01-01; what was known at its end stays as it is.
    rng : numpy.random.Generator
        Source of chance.

    Returns
    -------
    History
        Days, stages and values of later rows are drawn anew: any state of the funnel, any value
        that the column has somewhere.

    Examples
    --------
    >>> history = fixtures.history()
    >>> cut = history.observed_until - 100
    >>> other = random_future(history, cut, np.random.default_rng(0))
    >>> date = np.datetime64(cut, "D")
    >>> other.until(date).identical_to(history.until(date)), other.identical_to(history)
    (True, False)
    """
    columns = variations.columns_of(history)
    later = np.flatnonzero(history.at > day)
    earliest = np.maximum(history.created[history.deal[later]], day + 1)
    moved = rng.integers(earliest, history.observed_until + 1)
    columns["at"][later] = moved.astype("datetime64[D]")
    columns["stage"][later] = rng.choice(np.array(history.funnel.ids, dtype=object), len(later))
    for name in set(columns) - {"id", "at", "created", "stage", "stage_entered"}:
        columns[name][later] = rng.choice(columns[name], len(later))
    unseen = history.at[history.bounds[:-1]] > day
    columns["stage_entered"][unseen[history.deal]] = np.datetime64("NaT", "D")
    return variations.rebuilt(history, columns, history.schema)


def _horizon(day: int) -> Horizon:
    """Return two periods that begin the day after."""
    return Horizon.custom(np.cumsum([day + 1, *DAYS]).astype(np.int32))


def _at(
    forecaster: Forecaster,
    source: History | HistorySource,
    history: History,
    *,
    by: tuple[str, ...] = (),
) -> Forecast:
    """Fit on `source`, and forecast the last snapshot of `history`."""
    horizon = _horizon(history.observed_until)
    return forecaster.fit(source).forecast(history.snapshot(), horizon, by=by)


@functools.cache
def _past() -> History:
    """Return the fixture as it was known some time ago."""
    history = fixtures.history()
    return history.until(np.datetime64(history.observed_until - PAST, "D"))


def _numbers(outlook: Forecast) -> dict[str, np.ndarray[Any, Any]]:
    """Return what a forecast says; its distribution follows from these."""
    shared = (0.0,) if outlook.shock is None else (outlook.shock.scale, outlook.shock.df)
    return {
        "expected": outlook.expected,
        "sd": outlook.sd,
        "what deals share": np.array([outlook.dispersion, *shared]),
        "chances of deals": outlook.deals.chance,
        "amounts of deals": outlook.deals.amount,
        "spread of amounts": outlook.deals.spread,
        "unknown amounts": outlook.unknown.atoms,
    }


def _expect_same(one: Forecast, two: Forecast, situation: str) -> None:
    """Demand the same forecast, bit for bit."""
    expected, actual = _numbers(one), _numbers(two)
    for name, first in expected.items():
        second = actual[name]
        seen = f"{situation} {name} became {second.tolist()} instead of {first.tolist()}"
        expect(np.array_equal(first, second, equal_nan=True), seen[:400])


@_demands("what happens after the cutoff must not change the forecast by a single bit")
def check_random_future(forecaster: Forecaster) -> None:
    """Demand the same bits whatever comes later, also from one that has seen it before."""
    history, cut = fixtures.history(), _past().observed_until
    expected = _at(forecaster, _past(), _past())
    for seed in range(FUTURES):
        other = random_future(history, cut, np.random.default_rng(seed))
        forecaster.fit(other)
        known = other.until(np.datetime64(cut, "D"))
        _expect_same(expected, _at(forecaster, known, known), f"with future {seed},")


@_demands("one that is fitted on later days must raise LeakError when asked about an earlier one")
def check_leak_error(forecaster: Forecaster) -> None:
    """Demand that a forecaster knows how much it has seen."""
    history = fixtures.history()
    fitted = forecaster.fit(history)
    day = fitted.trained_until
    if day == NO_DAY:
        return
    expect(day <= history.observed_until, f"trained_until was {day!r}, after the history ends")
    earlier = _past()
    if day <= earlier.observed_until:
        return
    try:
        fitted.forecast(earlier.snapshot(), _horizon(earlier.observed_until))
    except LeakError:
        return
    msg = "a forecast was made"
    raise BrokenRuleError(msg)


@_demands("money must be finite and not negative, and the parts must add up to it")
def check_parts_add_up(forecaster: Forecaster) -> None:
    """Demand that booked, open, reopened and new money is all of it."""
    outlook = _at(forecaster, _past(), _past())
    fine = np.isfinite(outlook.expected) & (outlook.expected >= 0.0) & np.isfinite(outlook.sd)
    expect(bool(np.all(fine)), f"expected was {outlook.expected.tolist()}")
    total = sum(part.expected for part in outlook.parts.values())
    seen = f"parts add up to {np.asarray(total).tolist()}, not {outlook.expected.tolist()}"
    expect(np.allclose(total, outlook.expected, rtol=RELATIVE), seen)


@_demands("the forecasts of groups must add up to that of all deals")
def check_groups_add_up(forecaster: Forecaster) -> None:
    """Demand that a split shows the same money."""
    whole = _at(forecaster, _past(), _past())
    split = _at(forecaster, _past(), _past(), by=GROUPS)
    expect(split.by == GROUPS, f"by was {split.by}")
    total = sum((split.group(key).expected for key in split.keys), start=np.zeros(len(DAYS)))
    for name, expected in (("the forecast by group", split), ("the one without", whole)):
        seen = f"groups add up to {total.tolist()}, {name} says {expected.expected.tolist()}"
        expect(np.allclose(total, expected.expected, rtol=1e-6), seen)


@_demands("the same history must give the same forecast, bit for bit")
def check_deterministic(forecaster: Forecaster) -> None:
    """Demand no chance that is not seeded, and no memory of earlier calls."""
    history = _past()
    pipeline, horizon = history.snapshot(), _horizon(history.observed_until)
    fitted = forecaster.fit(history)
    first = fitted.forecast(pipeline, horizon)
    fitted.forecast(pipeline, horizon.whole())
    _expect_same(first, fitted.forecast(pipeline, horizon), "asked again,")
    _expect_same(first, _at(forecaster, history, history), "fitted again,")


@_demands("threads that share a fitted forecaster must get what one of them gets alone")
def check_threads(forecaster: Forecaster) -> None:
    """Demand no scratch space that is shared."""
    history = _past()
    pipeline, day = history.snapshot(), history.observed_until
    horizons = [_horizon(day).whole(), _horizon(day)] * (THREADS // 2)
    alone = [forecaster.fit(history).forecast(pipeline, one) for one in horizons[:2]]
    shared = forecaster.fit(history)
    with ThreadPoolExecutor(THREADS) as executor:
        together = list(executor.map(functools.partial(shared.forecast, pipeline), horizons))
    for place, outlook in enumerate(together):
        _expect_same(alone[place % 2], outlook, f"asked by {THREADS} threads,")


@_demands("a forecaster must be picklable, fitted or not, for executors that run processes")
def check_pickled(forecaster: Forecaster) -> None:
    """Demand that both can be sent to another process, and mean the same there."""
    history = _past()
    pipeline, horizon = history.snapshot(), _horizon(history.observed_until)
    fitted = forecaster.fit(history)
    expected = fitted.forecast(pipeline, horizon)
    sent = pickle.loads(pickle.dumps(fitted))  # noqa: S301 - pickled on this line
    _expect_same(expected, sent.forecast(pipeline, horizon), "sent after fitting,")
    again = pickle.loads(pickle.dumps(forecaster))  # noqa: S301
    _expect_same(expected, _at(again, history, history), "sent before fitting,")


@_demands("a history in chunks must give the forecast of the whole")
def check_chunks(forecaster: Forecaster) -> None:
    """Demand the same money out of core."""
    history = _past()
    whole = _at(forecaster, history, history)
    chunked = _at(forecaster, list(history.chunks(70)), history)
    for name in ("expected", "sd"):
        first, second = getattr(whole, name), getattr(chunked, name)
        seen = f"{name} became {second.tolist()} instead of {first.tolist()}"
        expect(np.allclose(first, second, rtol=1e-6), seen)


@_demands("a forecaster must answer, or raise InsufficientDataError where there is too little")
def check_tiny(forecaster: Forecaster) -> None:
    """Demand no other exception where there is next to nothing to learn from."""
    history = fixtures.history()
    for name, tiny in fixtures.tiny_histories():
        try:
            outlook = _at(forecaster, tiny, history)
        except InsufficientDataError:
            continue
        except Exception as error:
            msg = f"with {name}, {described(error)}"
            raise BrokenRuleError(msg) from error
        expect(bool(np.all(np.isfinite(outlook.expected))), f"with {name}, {outlook.expected}")


FORECASTER_CHECKS: tuple[Check, ...] = (
    check_random_future,
    check_leak_error,
    check_parts_add_up,
    check_groups_add_up,
    check_deterministic,
    check_threads,
    check_pickled,
    check_chunks,
    check_tiny,
)
"""Every check, in the order in which they are run."""


def check_forecaster(
    forecaster: str | StageModel[Any] | Forecaster,
    *,
    expected_failures: Mapping[str, str] = NOTHING,
) -> Report:
    """Run every check on a forecaster.

    Parameters
    ----------
    forecaster : str, StageModel or Forecaster
        Before it is fitted.
    expected_failures : mapping of str to str, optional
        Reasons by name of the checks that it is known not to pass. One that passes nevertheless is
        an error too.

    Returns
    -------
    Report

    Raises
    ------
    ConformanceError
        When a check fails that is expected to pass, or the other way round; all are listed.
    ValidationError
        When it is no forecaster, or `expected_failures` names no check.

    Examples
    --------
    >>> print(check_forecaster("run-rate"))
    RunRate(days=None) passes 9 of 9 checks
    """
    resolved = resolve(forecaster)
    if not isinstance(resolved, Forecaster):
        remedy = "Give it before it is fitted."
        raise ValidationError.from_value("forecaster", "must have a fit()", forecaster, remedy)
    names = [check.__name__ for check in FORECASTER_CHECKS]
    for name in expected_failures:
        if name not in names:
            hint = hint_of(str(name), names)
            raise ValidationError.from_value("expected_failures", "must name checks", name, hint)
    passed, failures = [], {}
    for check in FORECASTER_CHECKS:
        name = check.__name__
        try:
            check(resolved)
        except ConformanceError as error:
            if name not in expected_failures:
                failures[name] = str(error)
            continue
        if name in expected_failures:
            failures[name] = f"{name} passes, but is expected to fail: {expected_failures[name]}"
        passed.append(name)
    if failures:
        raise ConformanceError.from_failures(forecaster, failures, len(FORECASTER_CHECKS))
    expected = tuple((name, expected_failures[name]) for name in names if name in expected_failures)
    return Report(repr(resolved), tuple(passed), expected)
