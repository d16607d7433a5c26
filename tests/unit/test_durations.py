"""Days in stages and between events, against closed forms and counting by hand."""

import numpy as np
import pytest

import funnel as fn
from funnel.errors import UnknownStageError, ValidationError
from funnel.metrics.durations import (
    sales_cycle,
    stage_durations,
    summarize_durations,
    time_between,
)
from funnel.testing import fixtures

START = np.datetime64("2026-01-01")
HELD = fn.Funnel(["Qualify", "Propose", fn.Stage("Hold", on_hold=True)])


def walk(paths, *, until=100, **columns):
    """One deal per path: pairs of state and day."""
    rows = [(f"D{i:05}", state, day) for i, path in enumerate(paths) for state, day in path]
    return fn.History.from_columns(
        funnel=HELD,
        id=[row[0] for row in rows],
        stage=[row[1] for row in rows],
        at=START + np.array([row[2] for row in rows]),
        observed_from=START,
        observed_until=START + until,
        **columns,
    )


def test_open_stays_are_censored():
    """Kaplan-Meier by hand: 1/3 leave on day 10, the rest on day 30; one was seen for 20 days."""
    history = walk(
        [[("Qualify", 0), ("Won", 10)], [("Qualify", 80)], [("Qualify", 0), ("Lost", 30)]]
    )
    found = stage_durations(history, shares=(0.3, 0.5))
    assert [10.0, 30.0] == found.days[0, 0].tolist()
    assert pytest.approx(10 + 20 * 2 / 3) == found.restricted_mean[0, 0]
    assert (3, 2) == (found.stays[0, 0], found.left[0, 0])
    assert np.isnan(found.restricted_mean[0, 1])
    assert "p50" in str(found)


def test_a_mean_that_is_only_a_lower_bound_is_said():
    """One of three leaves on day 10 and two stay for 100 days: at least (10 + 2 * 100) / 3."""
    stays = [[("Qualify", 0), ("Won", 10)], *[[("Qualify", 0)]] * 2]
    found = stage_durations(walk(stays))
    assert pytest.approx((10 + 2 * 100) / 3) == found.restricted_mean[0, 0]
    note = (
        "the restricted mean is a lower bound of the mean where some stays outlast `up_to`: Qualify"
    )
    assert note in found.notes
    assert note in str(found)
    # The curve is 1 for 10 days and 2/3 for 90 more, with Greenwood's variance 2/27: that of the
    # area is 90^2 times it.
    assert (100.0, pytest.approx(2 / 3)) == (found.up_to[0, 0], found.outlasting[0, 0])
    half = 1.959964 * 90 * np.sqrt(2 / 27)
    assert pytest.approx(70 - half, rel=1e-6) == found.mean_low[0, 0]
    assert pytest.approx(70 + half, rel=1e-6) == found.mean_high[0, 0]
    ended = stage_durations(walk(stays[:1]))
    assert (10.0, 0.0) == (ended.up_to[0, 0], ended.outlasting[0, 0])
    assert not any("lower bound" in note for note in ended.notes)


def test_the_note_names_few_rows_of_many():
    """Four owners with an open stay each: three are named, with group and period."""
    owners = ["", "Ann", "Bo", "Cy"]
    history = walk([[("Qualify", 0)]] * 4, owner=owners)
    found = stage_durations(history, by=("owner",), period=fn.Horizon.quarters("2026-01-01", 1))
    [note] = [note for note in found.notes if "lower bound" in note]
    label = found.to_columns()["period"][0]
    named = ", ".join(f"{owner} / {label} / Qualify" for owner in ("(unknown)", "Ann", "Bo"))
    assert note.endswith(f": {named} and 1 more")


def test_stages_on_hold_are_counted_and_not_named():
    """A deal that is still on hold bounds the mean of that row alone."""
    found = stage_durations(walk([[("Hold", 0)]]))
    assert any(note.endswith(": stages on hold, in 1 rows") for note in found.notes)


def test_a_quantile_that_was_not_reached_is_infinite():
    """One of three has left: no median; a frame says unknown."""
    found = stage_durations(walk([[("Qualify", 0), ("Won", 10)], *[[("Qualify", 0)]] * 2]))
    assert np.inf == found.days[0, 0, 0]
    assert np.isnan(found.to_columns()["p50"][0])


def test_days_on_hold_do_not_count():
    """10 days, 30 on hold, 5 days: one stay of 15; in all 15 + 7 with the second visit."""
    path = [("Qualify", 0), ("Hold", 10), ("Qualify", 40), ("Propose", 45), ("Qualify", 50)]
    history = walk([[*path, ("Won", 57)]])
    per_visit = stage_durations(history, shares=(0.5, 0.9))
    assert [7.0, 15.0] == per_visit.days[0, 0].tolist()
    per_deal = stage_durations(history, per="deal")
    assert [22.0, 22.0] == per_deal.days[0, 0].tolist()
    assert 30.0 == per_visit.days[0, 2, 0]  # the stay on hold itself


def test_the_total_of_an_open_deal_is_censored():
    """It has left the stage, and may come back."""
    history = walk([[("Qualify", 0), ("Propose", 10)], [("Qualify", 0), ("Won", 20)]])
    assert (2, 1) == (
        stage_durations(history).left[0, 0],
        stage_durations(history, per="deal").left[0, 0],
    )
    assert 20.0 == stage_durations(history, per="deal").days[0, 0, 0]


def test_late_stays_are_at_risk_from_when_they_were_seen():
    """Seen after 20 days, left after 30: nobody was at risk before, half left by day 25."""
    history = fn.History.from_columns(
        funnel=HELD,
        id=["A", "A", "B", "B", "U", "U"],
        stage=["Qualify", "Propose", "Qualify", "Won", "Qualify", "Won"],
        at=START + np.array([0, 10, 0, 5, 0, 1]),
        created=START - np.array([20] * 4 + [30] * 2),
        stage_entered=[*[START - 20] * 4, *[np.datetime64("NaT")] * 2],
    )
    found = stage_durations(history, shares=(0.5, 0.9))
    assert [25.0, 30.0] == found.days[0, 0].tolist()
    assert 3 == found.stays[0, 0]
    assert any("unknown day" in note for note in found.notes)
    per_deal = stage_durations(history, per="deal", shares=(0.5, 0.9))
    assert [25.0, np.inf] == per_deal.days[0, 0].tolist()  # A is open: it may come back
    assert 1 == time_between(history, "Qualify", "Propose").arrived[0, 0]
    assert any("left out" in note for note in time_between(history, "Qualify", "Won").notes)


def test_a_geometric_stay_has_its_quantiles():
    """P(T <= t) = 1 - 0.95^(t + 1): median 13, 90 % by day 44 (closed form), in the interval."""
    rng = np.random.default_rng(5)
    wait, born = rng.geometric(0.05, 3000) - 1, rng.integers(0, 300, 3000)
    n = np.arange(3000)
    seen = born + wait <= 320
    history = fn.History.from_columns(
        funnel=HELD,
        id=[*n, *n[seen]],
        stage=["Qualify"] * 3000 + ["Won"] * int(seen.sum()),
        at=START + np.concatenate((born, (born + wait)[seen])),
        observed_until=START + 320,
    )
    found = stage_durations(history)
    assert pytest.approx([13.0, 44.0], abs=2) == found.days[0, 0]
    assert (found.low[0, 0] <= [13, 44]).all()
    assert (found.high[0, 0] >= [13, 44]).all()
    cycle = sales_cycle(history, shares=(0.5,))
    assert pytest.approx(13.0, abs=2) == cycle.days[0, 0, 0]


def test_the_cycle_of_won_and_lost_deals_apart():
    """Three won after 10, 20 and 30 days, two lost after 5 and 50: plain medians."""
    paths = [("Won", 10), ("Won", 20), ("Won", 30), ("Lost", 5), ("Lost", 50)]
    history = walk([[("Qualify", 0), end] for end in paths])
    found = sales_cycle(history, shares=(0.5,))
    assert [20.0, 5.0] == found.days[0, :, 0].tolist()
    assert [[3, 2]] == found.arrived.tolist()
    assert pytest.approx([0.6, 0.4]) == found.chance[0]
    assert ["won", "lost"] == found.to_columns()["to"].tolist()
    assert "Days until the event" in str(found)


def test_slow_wins_are_not_underrated():
    """Of old deals half win after 10, half after 60 days; young ones were seen for 20 days."""
    old = [[("Qualify", 0), ("Won", day)] for day in (10, 60)] * 50
    young = [[("Qualify", 80), ("Won", 90)], [("Qualify", 80)]] * 50
    found = sales_cycle(walk(old + young), shares=(0.5, 0.6))
    # The plain quantile of the won at 60 % would be 10: 100 of 150 wins took 10 days.
    assert [10.0, 60.0] == found.days[0, 0].tolist()


def test_between_states_takes_the_first_entry_and_the_next_arrival():
    """A comes twice to Qualify and is won after all; B is lost, which competes; C is open."""
    history = walk(
        [
            [("Qualify", 0), ("Propose", 10), ("Qualify", 20), ("Propose", 25), ("Won", 40)],
            [("Qualify", 0), ("Lost", 30)],
            [("Qualify", 95)],
            [("Propose", 0), ("Won", 3)],
        ]
    )
    found = time_between(history, "Qualify", "Won", shares=(0.5,))
    assert (3, 1) == (found.started[0], found.arrived[0, 0])
    assert 40.0 == found.days[0, 0, 0]
    assert pytest.approx(0.5) == found.chance[0, 0]
    assert 10.0 == time_between(history, "Qualify", "Propose").days[0, 0, 0]
    nobody = time_between(history, "Hold", "Won")
    assert 0 == nobody.started[0]
    assert np.isnan(nobody.days).all()


def test_chunks_merge_to_the_whole():
    """Any split into whole deals gives the same table, to the last bit."""
    history = fixtures.history()
    for function, names, arguments in (
        (stage_durations, (), {}),
        (stage_durations, (), {"per": "deal"}),
        (time_between, ("Qualify", "Won"), {}),
        (sales_cycle, (), {}),
    ):
        asked = {"by": ("owner",), "period": "quarter", **arguments}
        whole = function(history, *names, **asked)
        parts = function(list(history.chunks(37)), *names, **asked).to_columns()
        for name, values in whole.to_columns().items():
            np.testing.assert_array_equal(values, parts[name])


def test_what_began_outside_of_the_periods_is_said():
    """Nothing is left out in silence."""
    history = walk([[("Qualify", 0), ("Won", 10)]])
    later = fn.Horizon.months("2026-03-01", 1)
    for found in (stage_durations(history, period=later), sales_cycle(history, period=later)):
        assert any("outside of the periods" in note for note in found.notes)


def test_wrong_arguments_are_refused():
    """By name, with what would be right."""
    history = fixtures.history(deals=20)
    with pytest.raises(ValidationError, match="shares"):
        stage_durations(history, shares=(0.5, 1.0))
    with pytest.raises(ValidationError, match="per"):
        summarize_durations(history, per="week")
    with pytest.raises(UnknownStageError, match="Did you mean 'Propose'"):
        time_between(history, "Qualify", "Proposal")


def test_an_empty_history_gives_empty_rows():
    """No deal: zeros and unknown days, no error."""
    history = fixtures.history(deals=20)
    history = history.select(np.zeros(history.n_deals, dtype=bool))
    assert np.isnan(stage_durations(history).days).all()
    assert np.isnan(stage_durations(history, per="deal").days).all()
    assert np.isnan(sales_cycle(history).days).all()
    assert np.isnan(time_between(history, "Qualify", "Won").days).all()
