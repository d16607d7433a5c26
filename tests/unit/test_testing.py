"""`funnel.testing`: what authors of models call, and the tables behind it."""

from __future__ import annotations

import importlib.util
import sys

import attrs
import hypothesis
import numpy as np
import pytest

from funnel import testing
from funnel.calendars import to_day
from funnel.errors import (
    ConformanceError,
    FunnelError,
    MissingDependencyError,
    ValidationError,
)
from funnel.models.textbook import FittedTextbook, Textbook
from funnel.stages import Outcome
from funnel.tables import spells
from funnel.tables._spells import FLOWS
from funnel.testing import _variations as variations
from funnel.testing import fixtures, strategies
from funnel.typing import NO_DAY

NAMES = tuple(check.__name__ for check in testing.CHECKS)


@attrs.frozen
class Doubled(FittedTextbook):
    """Gives more than certainty."""

    def win_curve(self, pipeline, dates, /):
        return 2.0 * super().win_curve(pipeline, dates)


@attrs.frozen
class TwiceTheTextbook(Textbook):
    name = "test.twice"
    fitted = Doubled

    def estimate(self, summary, /):
        return Doubled(summary.trained_until, self.overdue_after, self.undated_after)

    def without_history(self):
        return Doubled(NO_DAY, self.overdue_after, self.undated_after)


# --- check_model --------------------------------------------------------------------------------


def test_all_failures_are_listed_at_once():
    """An author sees every broken rule in one run, each with what was seen."""
    with pytest.raises(ConformanceError, match=r"^TwiceTheTextbook\(.* of 31 checks:") as caught:
        testing.check_model(TwiceTheTextbook())
    assert "\n- check_curve_range: chances must lie between 0 and 1; " in str(caught.value)
    assert set(caught.value.checks) <= set(NAMES)
    assert "check_curve_range" in caught.value.checks
    assert isinstance(caught.value, FunnelError)
    assert isinstance(caught.value, AssertionError)


def known_failures():
    """Return the checks that the doubled textbook does not pass."""
    with pytest.raises(ConformanceError) as caught:
        testing.check_model(TwiceTheTextbook())
    return dict.fromkeys(caught.value.checks, "twice a chance")


def test_expected_failures_are_reported():
    """A failure that was declared with a reason is no error, and is told."""
    known = known_failures()
    report = testing.check_model(TwiceTheTextbook(), expected_failures=known)
    assert tuple(known.items()) == report.expected
    assert tuple(name for name in NAMES if name not in known) == report.passed
    assert "check_curve_range fails as expected: twice a chance" in str(report)


def test_an_expected_failure_must_fail():
    """A reason that no longer holds is an error, so that the list stays true."""
    known = {"check_no_nan": "amounts are unknown"}
    expected = r"check_no_nan passes, but is expected to fail: amounts are unknown"
    with pytest.raises(ConformanceError, match=expected) as caught:
        testing.check_model(Textbook(), expected_failures=known)
    assert ("check_no_nan",) == caught.value.checks


@pytest.mark.parametrize(
    ("known", "message"),
    [
        ({"check_no_nans": "?"}, r"must name checks.*Did you mean 'check_no_nan'"),
        ({"check_no_nan": " "}, r"must give a reason.*Say in words why check_no_nan fails"),
        ({"check_no_nan": None}, r"must give a reason"),
    ],
)
def test_expected_failures_are_checked(known, message):
    """A check that does not exist, or has no reason, is refused."""
    with pytest.raises(ValidationError, match=message):
        testing.check_model(Textbook(), expected_failures=known)


@pytest.mark.parametrize("wrong", [Textbook, "textbook", Textbook().without_history()])
def test_a_model_is_wanted(wrong):
    """A class, a name or a fitted model is not what can be checked."""
    with pytest.raises(ValidationError, match=r"must be a StageModel.*MyModel\(\), not MyModel"):
        testing.check_model(wrong)


def test_default_cannot_be_changed():
    """The empty list of expected failures is the same for everybody."""
    default = testing.check_model.__kwdefaults__["expected_failures"]
    with pytest.raises(TypeError):
        default["check_no_nan"] = "for all"


# --- parametrize_with_checks --------------------------------------------------------------------


def test_one_case_for_each_model_and_check():
    """Pytest is handed the same list, with readable ids."""
    mark = testing.parametrize_with_checks([Textbook(), Textbook(overdue_after=7)])
    names, cases = mark.args
    assert ("model", "check") == names
    assert 2 * len(NAMES) == len(cases)
    assert cases[0].id == f"{Textbook()!r}-check_frozen_spec"
    assert not any(case.marks for case in cases)


def test_known_failures_are_strict():
    """A known failure that passes fails the test, and only a broken rule counts as one."""
    known = {"check_no_nan": "amounts are unknown"}
    mark = testing.parametrize_with_checks([Textbook()], expected_failures=known)
    marked = [case for case in mark.args[1] if case.marks]
    assert [f"{Textbook()!r}-check_no_nan"] == [case.id for case in marked]
    expected = {"reason": "amounts are unknown", "raises": ConformanceError, "strict": True}
    assert expected == marked[0].marks[0].kwargs


def test_parametrize_checks_its_models():
    """A class in place of a model is noticed when tests are collected."""
    with pytest.raises(ValidationError, match="must be a StageModel"):
        testing.parametrize_with_checks([Textbook])


def test_pytest_is_an_extra(monkeypatch):
    """Without pytest the message says what to install."""
    monkeypatch.setitem(sys.modules, "pytest", None)
    with pytest.raises(MissingDependencyError, match=r"pytest is needed.*salesfunnel\[testing\]"):
        testing.parametrize_with_checks([Textbook()])


# --- fixtures -----------------------------------------------------------------------------------


def test_the_fixture_is_the_same_each_time():
    """Nothing is random, and nothing is shared between two calls."""
    one, two = fixtures.history(), fixtures.history()
    assert one.identical_to(two)
    assert not np.shares_memory(one.at, two.at)


def test_the_fixture_has_every_kind_of_deal():
    """A rule that is about a kind of deal meets one."""
    history = fixtures.history()
    pipeline, stays = history.snapshot(), spells(history)
    flows = dict(zip(FLOWS, stays.flow_table().sum(axis=0).tolist(), strict=True))
    assert min(flows.values()) > 0
    assert {0, 1, 2, 3} == set(pipeline.outcome.tolist())
    assert pipeline.reopened.max() == 1
    assert stays.visit.max() == 2  # came again
    assert stays.resumed.any()  # after a hold
    assert (stays.age > 0).any()  # entered late, on a known day
    assert (stays.age < 0).any()  # entered late, nobody knows when
    assert (stays.days() == 0).any()
    assert np.isnan(pipeline.amount).any()
    assert (pipeline.amount == 0.0).any()
    assert (pipeline.expected_close == NO_DAY).any()
    assert pipeline.pushes.max() >= 1
    assert (pipeline.columns["owner"] == -1).any()
    skipped = (stays.stage == 0) & (stays.target == history.funnel.code("Negotiate"))
    assert skipped.any()
    assert not (stays.stage == history.funnel.code("Pilot")).any()


def test_an_owner_joins_late():
    """There is a name that an earlier cutoff cannot know."""
    history = fixtures.history()
    day = history.observed_until - 200
    zoe = history.schema.column("owner").categories.index("Zoe")
    assert (history.columns["owner"][history.at > day] == zoe).any()
    assert not (history.columns["owner"][history.at <= day] == zoe).any()


@pytest.mark.parametrize("deals", [0, -1, 1.5, True])
def test_a_fixture_needs_deals(deals):
    """The number of deals is checked."""
    with pytest.raises(ValidationError, match="deals must be a whole number >= 1"):
        fixtures.history(deals=deals)


def test_tiny_histories_are_what_they_say():
    """Each has the deals of its name."""
    found = {
        name: history.snapshot().outcome.tolist() for name, history in fixtures.tiny_histories()
    }
    assert [] == found["no deal"]
    assert [Outcome.OPEN] == found["one open deal"]
    assert [Outcome.WON] == found["one won deal"] == found["one deal that was first seen as won"]
    assert [Outcome.LOST] == found["one lost deal"]
    assert [Outcome.REMOVED] == found["one removed deal"]
    assert [Outcome.OPEN] * 3 == found["three open deals"]


# --- variations ---------------------------------------------------------------------------------


def test_later_moves_every_day():
    """A snapshot of the later history is the later snapshot."""
    history = fixtures.history()
    later = variations.history_later(history, 364).snapshot()
    assert variations.pipeline_later(history.snapshot(), 364).identical_to(later)
    assert history.observed_until + 364 == later.as_of


def test_repeated_deals_are_copies():
    """Every deal is there as often as was asked, with the same rows."""
    history = fixtures.history(deals=20)
    three = variations.repeated(history, 3)
    assert 3 * history.n_deals == three.n_deals
    np.testing.assert_array_equal(3 * spells(history).flow_table(), spells(three).flow_table())


def test_new_categories_leave_the_names_of_others():
    """The codes of known names move, their names do not."""
    pipeline = fixtures.history().snapshot()
    before, after = (
        p.to_columns()["owner"] for p in (pipeline, variations.with_new_categories(pipeline))
    )
    old = np.arange(len(pipeline)) % 3 > 0
    assert before[old].tolist() == after[old].tolist()
    assert {variations.NEW} == set(after[~old].tolist())


@pytest.mark.parametrize(
    "change",
    [
        variations.with_future_shuffled,
        variations.with_future_blanked,
        variations.without_future,
    ],
)
def test_another_future_has_the_same_past(change):
    """Up to the cutoff nothing is different, after it something is."""
    history = fixtures.history()
    day = to_day("2025-01-31")
    other = change(history, day)
    assert history.until("2025-01-31").identical_to(other.until("2025-01-31"))
    assert not history.identical_to(other)


# --- strategies ---------------------------------------------------------------------------------


KINDS = {
    "an empty history": lambda h: h.n_deals == 0,
    "a stage skipped": lambda h: bool(
        np.any(h.funnel.ladder[spells(h).target] > h.funnel.ladder[spells(h).stage] + 1)
    ),
    "a stage again": lambda h: bool((spells(h).visit > 1).any()),
    "a hold": lambda h: bool(h.funnel.on_hold[h.stage].any()),
    "a resumed visit": lambda h: bool(spells(h).resumed.any()),
    "a deal reopened": lambda h: bool((h.snapshot().reopened > 0).any()),
    "a deal removed": lambda h: bool((h.snapshot().outcome == Outcome.REMOVED).any()),
    "a late entry": lambda h: bool((spells(h).age > 0).any()),
    "an unknown entry": lambda h: bool((spells(h).age < 0).any()),
    "an unknown amount": lambda h: bool(np.isnan(h.columns["amount"]).any()),
    "two changes on a day": lambda h: bool((np.diff(h.at)[np.diff(h.deal) == 0] == 0).any()),
    "a push": lambda h: bool((h.snapshot().pushes > 0).any()),
}


def seen_in(strategy, kinds, *, examples):
    """Return the kinds that turn up in examples of a strategy, the same ones each time."""
    found = set()

    @hypothesis.settings(
        max_examples=examples, derandomize=True, phases=[hypothesis.Phase.generate]
    )
    @hypothesis.given(strategy)
    def collect(table):
        found.update([kind for kind in set(kinds) - found if kinds[kind](table)])

    collect()
    return found


def test_random_histories_have_every_kind_of_deal():
    """A property is tried on each: the strategy reaches all soon."""
    assert set(KINDS) == seen_in(strategies.histories(), KINDS, examples=200)


def test_random_pipelines_are_snapshots_or_exports():
    """Derived state is known in some and unknown in others; some have no deal."""
    kinds = {
        "known": lambda p: len(p) > 0 and bool((p.visits > 0).all()),
        "unknown": lambda p: len(p) > 0 and bool((p.visits < 0).all()),
        "empty": lambda p: len(p) == 0,
    }
    assert set(kinds) == seen_in(strategies.pipelines(), kinds, examples=100)


def test_random_funnels_have_holds_and_untyped_stages():
    """Stages on hold, without a typed chance, and a second way to lose all turn up."""
    kinds = {
        "on hold": lambda f: bool(f.on_hold.any()),
        "untyped": lambda f: bool(np.isnan(f.probabilities).any()),
        "two ways to lose": lambda f: len(f.lost) == 2,
        "one stage": lambda f: f.n_stages == 1,
    }
    assert set(kinds) == seen_in(strategies.funnels(), kinds, examples=100)


def test_hypothesis_is_an_extra(monkeypatch):
    """Without hypothesis the message says what to install; the checks do not need it."""
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    spec = importlib.util.find_spec("funnel.testing.strategies")
    with pytest.raises(MissingDependencyError, match=r"hypothesis is needed.*\[testing\]"):
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
