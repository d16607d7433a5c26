"""Backtests on random histories: what happened, and histories that begin later."""

from __future__ import annotations

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

import funnel as fn
from funnel.backtesting._recent import recent
from funnel.backtesting._truth import truth
from funnel.backtesting._windows import cutoffs_before, tasks
from funnel.calendars import Calendar
from funnel.errors import CurrencyMismatchError
from funnel.models._sojourn_counts import summarize_sojourns
from funnel.stages import Outcome
from funnel.testing import fixtures, strategies
from funnel.testing.forecasters import random_future

HISTORIES = strategies.histories(funnel=fixtures.ladder(), min_deals=1, max_deals=10)


def date(day):
    """A day as numpy has it."""
    return np.datetime64(day, "D")


@st.composite
def days_of(draw, count):
    """A history and so many of its days, in order."""
    history = draw(HISTORIES)
    day = st.integers(history.observed_from, history.observed_until)
    return history, *sorted(draw(st.lists(day, min_size=count, max_size=count)))


@hypothesis.given(days_of(1), st.sampled_from([1, 30, "week", "month", "quarter"]))
def test_actuals_are_what_was_booked_by_the_end_of_the_window(drawn, span):
    """The whole is that of `outcomes`, groups add up to it, open deals are a part of it."""
    history, cutoff = drawn
    found, _ = tasks(history, [date(cutoff)], span, Calendar())
    hypothesis.assume(found)
    (task,) = found
    pipeline = history.snapshot(date(cutoff))
    try:
        whole = truth(history, task, ())
    except CurrencyMismatchError:
        return
    booked = fn.outcomes(history.until(date(task.last)))
    first, end = task.horizon.edges.tolist()
    if not whole.unknown:
        assert booked.booked(first, end) == pytest.approx(whole.total.sum())
    inside = (booked.closed_on >= first) & (booked.closed_on < end)
    assert np.count_nonzero(inside & (booked.outcome == Outcome.WON)) == whole.wins.sum()
    assert np.count_nonzero(pipeline.outcome == Outcome.OPEN) == len(whole.won)
    assert np.all(whole.open <= whole.total)
    assert whole.won.sum() <= whole.wins.sum()
    for by in history.schema.attributes:
        if history.schema.column(by).kind == "category":
            split = truth(history, task, (by,))
            assert whole.total.sum() == pytest.approx(split.total.sum())
            assert whole.open.sum() == pytest.approx(split.open.sum())
            assert np.all(split.open <= split.total * (1.0 + 1e-12))


@hypothesis.given(days_of(2))
def test_a_history_that_begins_later_shows_the_same_deals(drawn):
    """Open ones and those closed since: same stage, closing day and amount on any later day."""
    history, first, day = drawn
    found = recent(history, first)
    assert max(first, history.observed_from) == found.observed_from
    assert not np.any((found.at < found.observed_from) | (found.at > found.observed_until))
    whole, late = history.snapshot(date(day)), found.snapshot(date(day))
    if first == history.observed_from:
        assert late.identical_to(whole)
        return
    still = (whole.outcome == Outcome.OPEN) | (whole.closed_on > first)
    expected = whole.select(np.flatnonzero(still))
    assert expected.ids.tolist() == late.ids.tolist()
    for name in ("stage", "closed_on", "created"):
        assert getattr(expected, name).tolist() == getattr(late, name).tolist()
    assert np.array_equal(expected.amount, late.amount, equal_nan=True)


@hypothesis.given(days_of(2))
def test_cutting_both_ends_commutes(drawn):
    """The window up to a cutoff is the same, whichever end is cut first."""
    history, first, last = drawn
    one = recent(history.until(date(last)), first)
    two = recent(history, first).until(date(last))
    assert one.identical_to(two)


@hypothesis.given(days_of(1))
def test_exposure_of_a_later_begin_is_a_part_of_the_whole(drawn):
    """No day at risk is made up: by stage, never more than in all history."""
    history, first = drawn
    whole = summarize_sojourns(history).exposure.sum(axis=(0, 2))
    late = summarize_sojourns(recent(history, first)).exposure.sum(axis=(0, 2))
    stages = history.funnel.n_stages * 3  # three classes of visit each
    by_stage = [counts[:stages].reshape(-1, 3).sum(axis=1) for counts in (whole, late)]
    assert np.all(by_stage[1] <= by_stage[0])


@hypothesis.given(days_of(1), st.integers(0, 9))
def test_a_random_future_leaves_the_past_as_it_was(drawn, seed):
    """The door to the past shows nothing of it; the history itself is another one."""
    history, cut = drawn
    other = random_future(history, cut, np.random.default_rng(seed))
    assert history.until(date(cut)).identical_to(other.until(date(cut)))
    assert history.snapshot(date(cut)).identical_to(other.snapshot(date(cut)))
    assert len(history) == len(other)


@hypothesis.given(days_of(2), st.sampled_from(["week", "month", "quarter"]), st.integers(0, 13))
def test_cutoffs_before_the_end_of_periods_can_all_be_scored(drawn, unit, weeks):
    """Every one of them has its whole window, with a lead of so many weeks at most."""
    history, first, last = drawn
    history = recent(history, first).until(date(last))
    found, dropped = tasks(history, cutoffs_before(history, unit, weeks=weeks), unit, Calendar())
    assert not dropped
    leads = [task.lead for task in found]
    assert all(lead == 1 or (lead % 7 == 0 and lead <= 7 * weeks) for lead in leads)
    assert all(task.horizon.edges[0] - 1 <= task.cutoff for task in found)
