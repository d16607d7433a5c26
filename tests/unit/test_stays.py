"""Kinds of stays, counted: the same stays as pieces cut one by one, and the same measures."""

import collections

import attrs
import numpy as np
import pytest

import funnel as fn
from funnel.kernels import stays
from funnel.metrics import _journeys
from funnel.typing import NO_DAY

MEASURES = (fn.metrics.stage_durations, fn.metrics.conversion, fn.metrics.flow_matrix)


def _history(deals, *, on_hold=False):
    """Return a history with loops, skips, rows without a move, and late entries."""
    rng = np.random.default_rng(deals)
    stages = [fn.Stage("A"), fn.Stage("B"), fn.Stage("C", on_hold=on_hold)]
    funnel = fn.Funnel(stages)
    rows = collections.defaultdict(list)
    for deal in range(deals):
        day = int(rng.integers(0, 300))
        entered = [day, day - 7, NO_DAY][rng.integers(0, 3)] if deal % 3 == 0 else day
        for step in range(int(rng.integers(1, 8))):
            rows["id"].append(f"D{deal:03}")
            rows["at"].append(day)
            rows["stage"].append(int(rng.integers(0, len(funnel.ids) - 1)) if step else 0)
            rows["amount"].append(float(step))
            rows["stage_entered"].append(entered)
            day += int(rng.integers(0, 40))
    base = np.datetime64("2024-01-01")
    entered = np.array(rows.pop("stage_entered"))
    dates = base + np.where(entered == NO_DAY, 0, entered)
    dates[entered == NO_DAY] = np.datetime64("NaT")
    rows["at"] = base + np.array(rows["at"])
    return fn.History.from_columns(
        funnel=funnel, **rows, stage_entered=dates, observed_until=base + 700
    )


@pytest.mark.parametrize("chunk", [1, stays.CHUNK])  # several chunks, and one
@pytest.mark.parametrize("deals", [1, 4_000])
def test_kinds_are_the_stays_of_spells(deals, chunk, monkeypatch):
    """`fn.spells` cuts the same log by other code, stay by stay."""
    monkeypatch.setattr(stays, "CHUNK", chunk)
    monkeypatch.setattr(stays, "BLOCK", 100 * chunk)
    history = _history(deals)
    one_by_one = fn.spells(history)
    end = np.where(one_by_one.target < 0, history.observed_until, one_by_one.stop)
    age = np.where(one_by_one.age < 0, -1, one_by_one.age)
    expected = collections.Counter(
        zip(
            one_by_one.stage.tolist(),
            one_by_one.target.tolist(),
            (end - one_by_one.start).tolist(),
            age.tolist(),
            strict=True,
        )
    )
    found = history.stays
    assert ((found.stop == NO_DAY) == (found.target < 0)).all()
    last = np.where(found.target < 0, history.observed_until, found.stop)
    known = found.entered != NO_DAY
    assert (found.before[known] == (found.start - found.entered)[known]).all()
    assert (found.length[known] == (last - found.entered)[known]).all()
    assert (found.length[~known] == -1).all()
    kinds = zip(
        found.stage.tolist(),
        found.target.tolist(),
        (last - found.start).tolist(),
        found.before.tolist(),
        strict=True,
    )
    counted = collections.Counter()
    for kind, count in zip(kinds, found.number.tolist(), strict=True):
        counted[kind] += count
    assert expected == counted


@pytest.mark.parametrize("measure", MEASURES, ids=lambda measure: measure.__name__)
@pytest.mark.parametrize("on_hold", [False, True])
def test_measures_do_not_depend_on_counting(measure, on_hold, monkeypatch):
    """Visits one by one, and kinds of visits with their number, give the same table."""
    history = _history(90, on_hold=on_hold)
    counted = measure(history).to_columns()
    monkeypatch.setattr(stays, "MOST_CELLS", 0)
    one_by_one = measure(history).to_columns()
    assert counted.keys() == one_by_one.keys()
    for name, values in one_by_one.items():
        np.testing.assert_array_equal(values, counted[name], err_msg=name)


def test_conversion_within_days_does_not_depend_on_counting(monkeypatch):
    """The bound cuts kinds of visits as it cuts visits."""
    history = _history(90)
    counted = fn.metrics.conversion(history, within=30)
    monkeypatch.setattr(stays, "MOST_CELLS", 0)
    one_by_one = fn.metrics.conversion(history, within=30)
    for name in ("parts", "late", "young", "rate", "low", "high"):
        np.testing.assert_array_equal(getattr(one_by_one, name), getattr(counted, name))
    assert one_by_one.notes == counted.notes


def test_only_what_nothing_tells_apart_is_counted_together():
    """Groups, periods and stages on hold need visits one by one."""
    history = _history(90)
    scope = fn.metrics._groups.Scope.of(history, (), None, fn.Calendar())
    assert _journeys.counted_visits(history, scope).number is not None
    by_month = fn.metrics._groups.Scope.of(history, (), "month", fn.Calendar())
    assert _journeys.counted_visits(history, by_month).number is None
    held = _history(90, on_hold=True)
    assert _journeys.counted_visits(held, scope).number is None


@pytest.mark.usefixtures("two_threads")
def test_threads_count_the_same_stays(monkeypatch):
    """Blocks of two ranges of rows, more of them than threads."""
    monkeypatch.setattr(stays, "CHUNK", 100)
    monkeypatch.setattr(stays, "BLOCK", 1_000)
    history = _history(2_000)
    found = []
    for number in (1, 2, 5):
        fn.set_threads(number)
        found.append(attrs.evolve(history).stays)
    for more in found[1:]:
        assert all(map(np.array_equal, found[0], more))


@pytest.mark.parametrize("states", [stays.SHORT - 1, stays.SHORT, stays.SHORT + 20, 400])
def test_more_states_than_a_narrow_number_has_room_for(states):
    """States that nobody was in change nothing; moves times days go beyond 2^31."""
    deal, at = np.array([0, 0, 1, 1, 1]), np.array([0, 3, 1, 1, 4]) + 25_000
    stage = np.array([0, 2, 0, 1, 2], dtype=np.int16)

    def counted(stage, states):
        kinds = stays.count_stays(
            deal,
            at.astype(np.int32),
            stage,
            first_entered=np.array([0, 1]) + 25_000,
            states=states,
            since=25_000,
            until=25_005,
        )
        return [column.tolist() for column in kinds]

    expected = counted(stage, 3)
    assert expected == counted(stage, states)
    last = states - 1  # the highest numbers that there are
    expected[0] = [last if one == 2 else one for one in expected[0]]
    expected[1] = [last if one == 2 else one for one in expected[1]]
    assert expected == counted(np.where(stage == 2, last, stage).astype(np.int16), states)


def test_an_empty_log_has_no_stays():
    """No rows, no kinds."""
    nothing = np.empty(0, dtype=np.int32)
    found = stays.count_stays(
        nothing,
        nothing,
        nothing.astype(np.int16),
        first_entered=nothing,
        states=3,
        since=0,
        until=10,
    )
    assert [len(column) for column in found] == [0] * 8
