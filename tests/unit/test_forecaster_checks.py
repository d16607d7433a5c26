"""The checks of forecasters: each catches the forecaster that breaks its rule."""

import functools
import itertools
import threading

import attrs
import numpy as np
import pytest

import funnel as fn
from funnel.errors import ConformanceError, LeakError, UnknownModelError, ValidationError
from funnel.forecasting import Forecast
from funnel.testing import FORECASTER_CHECKS, check_forecaster, forecasters

SEEN = []
NUMBERS = itertools.count(1)
BUSY = threading.Lock()


@attrs.frozen(eq=False)
class Says:
    """A fitted forecaster: money as `rule` says, for each group."""

    rule: object
    trained_until: int
    wins: int

    def forecast(self, pipeline, horizon, /, *, by=()):
        """Refuse earlier days, then ask the rule for each group."""
        if pipeline.as_of < self.trained_until and self.rule is not blind:
            msg = "too early"
            raise LeakError(msg)
        keys = pipeline.groups(by)[0] or ((),)
        mean = np.array([[self.rule(self, pipeline, keys)] * len(horizon)] * len(keys))
        return Forecast.from_moments(
            horizon, pipeline.as_of, "EUR", by=tuple(by), keys=keys, booked=0.0 * mean,
            mean=mean, variance=mean * 10.0, model="says",
        )  # fmt: skip


@attrs.frozen
class Rule:
    """A forecaster of a rule."""

    rule: object

    def fit(self, source, /, *, executor=None):
        """Count the wins of the first chunk."""
        del executor
        first = source if isinstance(source, fn.History) else next(iter(source))
        wins = fn.outcomes(first).count(fn.Outcome.WON)
        SEEN.append(int(first.at.sum(dtype=np.int64)))
        return Says(self.rule, first.observed_until, wins)


def right(fitted, pipeline, keys):
    """The same money in all, whatever the groups."""
    return 100.0 / len(keys)


def peeks(fitted, pipeline, keys):
    """The days of the history before, which differ with every random future."""
    return float(SEEN[-2] if len(SEEN) > 1 else 0) / len(keys)


def blind(fitted, pipeline, keys):
    """Right, but for days that it should refuse (see `Says`)."""
    return 100.0 / len(keys)


def endless(fitted, pipeline, keys):
    """Not a number."""
    return np.inf


def each(fitted, pipeline, keys):
    """As much for each group as for all."""
    return 100.0


def fickle(fitted, pipeline, keys):
    """Another number each time."""
    return float(next(NUMBERS))


def racing(fitted, pipeline, keys):
    """Another answer in any thread but the first."""
    return 100.0 / len(keys) + (threading.current_thread() is not threading.main_thread())


def by_chunk(fitted, pipeline, keys):
    """What the first chunk holds."""
    return (1.0 + fitted.wins) / len(keys)


def fragile(fitted, pipeline, keys):
    """An answer where there is much history only."""
    return 100.0 / len(keys) / (fitted.wins if fitted.wins < 2 else 1)


def name_of(check):
    """A check by its name."""
    return check.__name__


def broken(rule):
    """Names of the checks that a rule does not pass."""
    try:
        check_forecaster(Rule(rule))
    except ConformanceError as error:
        return set(error.checks)
    return set()


@pytest.mark.parametrize(
    ("rule", "check"),
    [
        (blind, "check_leak_error"),
        (endless, "check_parts_add_up"),
        (each, "check_groups_add_up"),
        (fickle, "check_deterministic"),
        (racing, "check_threads"),
        (by_chunk, "check_chunks"),
        (fragile, "check_tiny"),
        (peeks, "check_random_future"),
        (lambda *_: 1.0, "check_pickled"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_each_check_catches_who_breaks_its_rule(rule, check):
    """The check fails, with its rule and what was seen."""
    assert check in broken(rule)


def test_a_forecaster_that_keeps_all_rules_passes():
    """Also one of another package."""
    report = check_forecaster(Rule(right))
    assert tuple(map(name_of, FORECASTER_CHECKS)) == report.passed
    assert f"passes {len(FORECASTER_CHECKS)} of {len(FORECASTER_CHECKS)} checks" in str(report)


def test_expected_failures_need_to_fail():
    """Known ones are listed with their reason; one that passes is an error."""
    report = check_forecaster(Rule(each), expected_failures={"check_groups_add_up": "no groups"})
    assert (("check_groups_add_up", "no groups"),) == report.expected
    with pytest.raises(ConformanceError, match="passes, but is expected to fail: no groups"):
        check_forecaster(Rule(right), expected_failures={"check_groups_add_up": "no groups"})


def test_wrong_arguments_are_refused():
    """What is fitted, what is no forecaster, and checks that do not exist."""
    history = fn.testing.fixtures.history()
    with pytest.raises(ValidationError, match="Give it before it is fitted"):
        check_forecaster(Rule(right).fit(history))
    with pytest.raises(UnknownModelError):
        check_forecaster("run-rat")
    with pytest.raises(ValidationError, match="Did you mean 'check_chunks'"):
        check_forecaster("run-rate", expected_failures={"check_chunk": "?"})


def test_a_forecaster_without_history_need_not_refuse_any_day():
    """`NO_DAY`, and a day before the cutoff of the check, are no leaks."""
    for day in (fn.typing.NO_DAY, 0):
        fixed = functools.partial(Says, blind, day, 0)

        @attrs.frozen
        class Fixed:
            """Fitted on nothing."""

            def fit(self, source, /, *, executor=None):
                """Return the same, whatever the history."""
                del source, executor
                return fixed()  # noqa: B023 - used in this round only

        forecasters.check_leak_error(Fixed())
