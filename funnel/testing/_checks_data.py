"""Checks against data as they come: little, unknown, new, moved in time, or with another future."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from funnel.errors import InsufficientDataError
from funnel.testing import _variations as variations
from funnel.testing import fixtures
from funnel.testing._support import (
    BrokenRuleError,
    ask,
    described,
    expect,
    expect_same,
    expect_valid,
    requires,
)
from funnel.typing import NO_DAY

if TYPE_CHECKING:
    from collections.abc import Callable

    from funnel.models import FittedModel, StageModel
    from funnel.tables import History, Pipeline

YEAR = 364  # days; whole weeks, so that weekdays stay
PAST = 200  # days before the end of the fixture, for cutoffs


@requires("a model must predict, or raise InsufficientDataError where there is too little history")
def check_tiny_history(model: StageModel[Any]) -> None:
    """Demand no other exception, and no chance that is made up of 0 / 0."""
    pipeline = fixtures.history().snapshot()
    situations: list[tuple[str, Callable[[], FittedModel]]] = [
        ("no history", model.without_history)
    ]
    for name, tiny in fixtures.tiny_histories():
        situations.append((name, lambda tiny=tiny: model.fit(tiny)))  # type: ignore[misc]
    for name, fit in situations:
        try:
            expect_valid(ask(fit(), pipeline), pipeline, f"with {name},")
        except InsufficientDataError:
            continue
        except BrokenRuleError:
            raise
        except Exception as error:
            msg = f"with {name}, {described(error)}"
            raise BrokenRuleError(msg) from error


@requires("deals with an owner or region that history has not seen must get a chance like others")
def check_unseen_category(model: StageModel[Any]) -> None:
    """Demand names, not codes: tomorrow's pipeline has new owners, and other codes for the old."""
    history = fixtures.history()
    fitted, pipeline = model.fit(history), history.snapshot()
    newer = variations.with_new_categories(pipeline)
    curve = ask(fitted, newer)
    expect_valid(curve, newer, "with new names")
    old = np.flatnonzero(np.arange(len(pipeline)) % 3)
    situation = "for deals whose names are known, but have other codes,"
    expect_same(ask(fitted, pipeline)[old], curve[old], pipeline.select(old), situation)


@requires("deals in a stage without history must get a chance, or InsufficientDataError be raised")
def check_unseen_stage(model: StageModel[Any]) -> None:
    """Demand an answer for the stage that was added to the ladder yesterday."""
    history = fixtures.history()
    pipeline = variations.with_open_in(history.snapshot(), "Pilot")
    try:
        curve = ask(model.fit(history), pipeline)
    except InsufficientDataError:
        return
    expect_valid(curve, pipeline, "in the stage 'Pilot', which no deal has entered,")


@requires("deals that are older than any in history must get a chance like others")
def check_old_deals(model: StageModel[Any]) -> None:
    """Demand an answer beyond the oldest age that was seen: there is always such a deal."""
    history = fixtures.history()
    pipeline = variations.with_older_deals(history.snapshot(), 10 * YEAR)
    expect_valid(ask(model.fit(history), pipeline), pipeline, "ten years older")


@requires("whatever a fitted model does not list in `needs` may be unknown for every deal")
def check_unknown_state(model: StageModel[Any]) -> None:
    """Demand chances for a single export, which cannot tell visits, pushes or days of entry.

    What `needs` does list may still be unknown for some of the deals.
    """
    history = fixtures.history()
    fitted, pipeline = model.fit(history), history.snapshot()
    pipeline.require(*fitted.needs)
    export = variations.with_unknown(pipeline, known=fitted.needs)
    expect_valid(ask(fitted, export), export, f"with only {fitted.needs} known")


@requires("moving all days by 364 must move the curves and nothing else; or set calendar_aware")
def check_date_shift(model: StageModel[Any]) -> None:
    """Demand that differences of days count, unless the model says that it is calendar-aware."""
    if model.calendar_aware:
        return
    history = fixtures.history()
    pipeline = history.snapshot()
    later = variations.pipeline_later(pipeline, YEAR)
    fitted = model.fit(variations.history_later(history, YEAR))
    expect_same(ask(model.fit(history), pipeline), ask(fitted, later), later, "364 days later")


@requires("what happened after the cutoff must not change what is said at the cutoff")
def check_no_future(model: StageModel[Any]) -> None:
    """Demand the same curves whatever comes later, also from a model that has seen it before."""
    history = fixtures.history()
    cut = history.observed_until - PAST
    curve, pipeline = _at(model, history, cut)
    for situation, other, exact in (
        ("with the later rows shuffled", variations.with_future_shuffled(history, cut), True),
        ("with the later rows blanked", variations.with_future_blanked(history, cut), True),
        ("without the later rows and their names", variations.without_future(history, cut), False),
    ):
        model.fit(other)
        again, _ = _at(model, other, cut)
        expect_same(curve, again, pipeline, situation, exact=exact)


@requires("fits on many past days must be those on history.until(day), bit for bit")
def check_many_days(model: StageModel[Any]) -> None:
    """Demand that what is counted once for many days is what was known on each."""
    history = fixtures.history()
    days = [history.observed_until - back for back in (2 * PAST, PAST, PAST - 1, 0)]
    for source, exact in ((history, True), (list(history.chunks(100)), False)):
        for day, fit in zip(days, model.fits(source, days), strict=True):
            curve, pipeline = _at(model, history, day)
            situation = f"on {np.datetime64(day, 'D')}"
            expect_same(curve, ask(fit(), pipeline), pipeline, situation, exact=exact)


def _at(model: StageModel[Any], history: History, day: int) -> tuple[Any, Pipeline]:
    """Return what a model says at the end of a past day, and the pipeline of that day."""
    date = np.datetime64(day, "D")
    pipeline = history.snapshot(date)
    return ask(model.fit(history.until(date)), pipeline), pipeline


@requires("trained_until must be the last observed day of the history, or NO_DAY without one")
def check_trained_until(model: StageModel[Any]) -> None:
    """Demand the day by which a forecaster notices that a model has seen the future."""
    history = fixtures.history()
    earlier = history.until(np.datetime64(history.observed_until - PAST, "D"))
    for source, last in (
        (history, history.observed_until),
        (list(history.chunks(100)), history.observed_until),
        (earlier, earlier.observed_until),
    ):
        day = model.fit(source).trained_until
        expect(day == last, f"it was {day!r}, where observed_until was {last}")
    try:
        day = model.without_history().trained_until
    except InsufficientDataError:
        return
    expect(day == NO_DAY, f"without history it was {day!r}")
