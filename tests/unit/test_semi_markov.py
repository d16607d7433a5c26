"""The semi-Markov model against closed forms and against simulated worlds with a known truth."""

import numpy as np
import pytest

import funnel as fn
from funnel.errors import ExtrapolationWarning, InsufficientDataError, ValidationError
from funnel.models._sojourn_counts import summarize_sojourns
from funnel.models._sojourns import CLASSES, Layout
from funnel.models.semi_markov import SemiMarkov

TWO = fn.Funnel(["Qualify", "Propose"])
START = np.datetime64("2024-01-01")


def chain(n, seed, funnel=TWO):
    """Deals of constant hazards: qualify 0.1 a day (0.7 on, 0.3 lost), propose 0.05 (0.4 won)."""
    rng = np.random.default_rng(seed)
    born = rng.integers(0, 300, n)
    first = rng.geometric(0.1, n) - 1
    on = rng.random(n) < 0.7
    second = rng.geometric(0.05, n) - 1
    won = rng.random(n) < 0.4
    deal = np.arange(n)
    parts = [
        (deal, born, "Qualify"),
        (deal[on], (born + first)[on], "Propose"),
        (deal[~on], (born + first)[~on], "Lost"),
        (deal[on & won], (born + first + second)[on & won], "Won"),
        (deal[on & ~won], (born + first + second)[on & ~won], "Lost"),
    ]
    day = np.concatenate([part[1] for part in parts])
    seen = day <= 365
    return fn.History.from_columns(
        funnel=funnel,
        id=np.concatenate([part[0] for part in parts])[seen],
        stage=np.concatenate([np.full(len(part[0]), part[2], dtype=object) for part in parts])[
            seen
        ],
        at=START + day[seen],
        observed_until=START + 365,
    )


def deal_in(stage, age, **changes):
    """One open deal of a stage and age at the end of the simulated year."""
    columns = {
        "funnel": TWO,
        "as_of": START + 365,
        "id": ["A"],
        "stage": [stage],
        "stage_entered": [np.datetime64("NaT") if age is None else START + 365 - age],
    }
    return fn.Pipeline.from_columns(**{**columns, **changes})


def test_constant_hazards_give_the_closed_form():
    """From propose: 0.4 (1 - 0.95^h); unknown age and any age are the same, up to sampling."""
    fitted = SemiMarkov().fit(chain(40_000, 1))
    dates = START + 365 + np.array([7, 30, 90])
    expected = 0.4 * (1 - 0.95 ** np.array([7, 30, 90]))
    for age in (0, 20, 60, None):
        found = fitted.win_curve(deal_in("Propose", age), dates)[0]
        assert pytest.approx(expected, abs=0.02) == found
    # From qualify: 0.7 x 0.4 of those who leave, in the end.
    far = fitted.win_curve(deal_in("Qualify", 3), np.array([START + 2000]))
    assert pytest.approx(0.28, abs=0.01) == far[0, 0]


@pytest.mark.deep
def test_error_falls_with_the_root_of_the_deals():
    """Over 1,000 / 10,000 / 100,000 deals the mean error falls about threefold a step."""
    dates = START + 365 + np.array([14, 30, 60])
    truth = 0.4 * (1 - 0.95 ** np.array([14, 30, 60]))
    errors = []
    for n in (1_000, 10_000, 100_000):
        found = [
            SemiMarkov().fit(chain(n, seed)).win_curve(deal_in("Propose", 5), dates)[0]
            for seed in range(4)
        ]
        errors.append(np.sqrt(np.mean((np.array(found) - truth) ** 2)))
    assert errors[1] < errors[0] / 1.5
    assert errors[2] < errors[1] / 1.5
    assert errors[2] < errors[0] / 5


def test_the_visit_is_part_of_the_state():
    """First visits to propose always go back and second ones always win: they are told apart."""
    n = 400
    ids = np.arange(n)
    rows = [("Qualify", 0), ("Propose", 5), ("Qualify", 10), ("Propose", 15), ("Won", 20)]
    history = fn.History.from_columns(
        funnel=TWO,
        id=np.tile(ids, len(rows)),
        stage=np.repeat([stage for stage, _ in rows], n),
        at=START + np.repeat([day for _, day in rows], n),
        observed_until=START + 365,
    )
    fitted = SemiMarkov().fit(history)
    early, late = history.snapshot(START + 7), history.snapshot(START + 17)
    assert fitted.win_curve(early, np.array([START + 14])).max() < 0.1
    assert fitted.win_curve(late, np.array([START + 24])).min() > 0.9


def test_holds_stop_the_clock():
    """Ten days of propose before winning, with a hold of 20 days after the fourth: still ten."""
    funnel = fn.Funnel(["Propose", fn.Stage("Hold", on_hold=True)])
    n = 200
    rows = [("Propose", 0), ("Hold", 4), ("Propose", 24), ("Won", 30)]
    history = fn.History.from_columns(
        funnel=funnel,
        id=np.tile(np.arange(n), len(rows)),
        stage=np.repeat([stage for stage, _ in rows], n),
        at=START + np.repeat([day for _, day in rows], n),
        observed_until=START + 60,
    )
    fitted = SemiMarkov().fit(history)
    held = history.snapshot(START + 10)
    found = fitted.win_curve(held, START + np.array([24, 29, 30, 40]))[0]
    assert pytest.approx([0.0, 0.0, 1.0, 1.0], abs=0.05) == found
    back = history.snapshot(START + 26)
    assert 6 == back.days_in_stage[0]
    assert (
        pytest.approx([0.0, 1.0], abs=0.05) == fitted.win_curve(back, START + np.array([29, 30]))[0]
    )


def test_lost_deals_may_come_back():
    """Half of the lost deals are reopened on day 10 and won on day 20 after the loss."""
    n = 200
    ids = np.arange(n)
    back = ids[: n // 2]
    history = fn.History.from_columns(
        funnel=TWO,
        id=np.concatenate((ids, ids, back, back)),
        stage=["Qualify"] * n + ["Lost"] * n + ["Qualify"] * (n // 2) + ["Won"] * (n // 2),
        at=START + np.repeat([0, 5, 15, 25], [n, n, n // 2, n // 2]),
        observed_until=START + 60,
    )
    fitted = SemiMarkov(lean=0.01).fit(history)
    lost = history.snapshot(START + 10)
    found = fitted.win_curve(lost, START + np.array([14, 24, 25]))[0]
    assert pytest.approx([0.0, 0.0, 0.5], abs=0.05) == found
    won = history.snapshot(START + 30)
    assert 0.0 == fitted.win_curve(won, np.array([START + 60]))[: n // 2].max()


def test_recency_follows_drift():
    """Hazards triple half way: a short half-life finds the new ones, no half-life does not."""
    rng = np.random.default_rng(2)
    n = 20_000
    born = rng.integers(0, 700, n)
    wait = np.where(born < 350, rng.geometric(0.02, n), rng.geometric(0.06, n))
    seen = born + wait <= 730
    history = fn.History.from_columns(
        funnel=TWO,
        id=np.concatenate((np.arange(n), np.arange(n)[seen])),
        stage=["Propose"] * n + ["Won"] * int(seen.sum()),
        at=START + np.concatenate((born, (born + wait)[seen])),
        observed_until=START + 730,
    )
    deal = deal_in("Propose", 2, as_of=START + 730, stage_entered=[START + 728])
    week = np.array([START + 737])
    recent = SemiMarkov(half_life=60.0).fit(history).win_curve(deal, week)[0, 0]
    flat = SemiMarkov().fit(history).win_curve(deal, week)[0, 0]
    truth = 1 - 0.94**7
    assert abs(recent - truth) < 0.03 < abs(flat - truth)


def test_the_truth_of_simulated_worlds():
    """Mean chances agree with the true model within 3 points, and single deals rank alike."""
    world = fn.datasets.simulate(20_000, rng=5)
    cut = "2025-06-30"
    pipeline = world.history.snapshot(cut)
    pipeline = pipeline.select(pipeline.outcome == fn.Outcome.OPEN)
    dates = np.array(["2025-07-31", "2025-09-30"], dtype="datetime64[D]")
    fitted = SemiMarkov().fit(world.history.until(cut))
    found, truth = fitted.win_curve(pipeline, dates), world.truth.win_curve(pipeline, dates)
    assert pytest.approx(truth.mean(axis=0), abs=0.03) == found.mean(axis=0)
    assert np.corrcoef(found[:, 0], truth[:, 0])[0, 1] > 0.7


def test_summaries_add_up_over_chunks_of_any_size():
    """Exposure and moves of the whole = those of its chunks, bit for bit."""
    history = fn.datasets.simulate(300, rng=3).history
    whole = summarize_sojourns(history)
    for size in (7, 100, 1000):
        parts = [summarize_sojourns(part) for part in history.chunks(size)]
        merged = parts[0]
        for part in parts[1:]:
            merged = part.merge(merged)
        assert np.array_equal(whole.exposure, merged.exposure)
        assert np.array_equal(whole.moves, merged.moves)
        assert np.array_equal(whole.counts, merged.counts)
        assert np.array_equal(whole.resumed, merged.resumed)
    with pytest.raises(ValidationError, match="one funnel and one observed_until"):
        whole.merge(summarize_sojourns(history.until("2025-01-01")))


def test_states_are_numbered_by_stage_and_visit():
    """Two stages, three classes each, then lost; resumed, won and removed are targets only."""
    layout = Layout(TWO)
    assert (2 * CLASSES + 1, 7, 9, 10, 11) == (
        layout.states,
        layout.resumed,
        layout.won,
        layout.removed,
        layout.targets,
    )
    assert [0, 2, 2, 3, -1, 6, -1] == layout.state(
        np.array([0, 0, 0, 1, 2, 3, 4]), np.array([1, 3, 9, -1, 1, 1, 1])
    ).tolist()


def test_what_cannot_be_answered():
    """Too little history, odd parameters, and deals beyond the data."""
    with pytest.raises(InsufficientDataError, match="needs moves out of open stages"):
        SemiMarkov().fit(chain(10, 1))
    for odd in ({"half_life": 0.0}, {"lean": -1.0}, {"minimum": None}, {"half_life": True}):
        with pytest.raises(ValidationError, match="must be a number > 0"):
            SemiMarkov(**odd)
    fitted = SemiMarkov().fit(chain(500, 1))
    with pytest.warns(ExtrapolationWarning, match="1 open deals are in their stage for longer"):
        fitted.win_curve(deal_in("Propose", 5000), np.array([START + 400]))
    none = fitted.win_curve(deal_in("Propose", 3), np.empty(0, dtype="datetime64[D]"))
    assert (1, 0) == none.shape
