"""Blend, Calibrated and Auto: they mend what is wrong, choose by the past, and say what they do."""

import pickle
from concurrent.futures import ThreadPoolExecutor
from zlib import crc32

import attrs
import numpy as np
import pytest

import funnel as fn
from funnel.calendars import to_date, to_day
from funnel.combinators import Auto, Blend, Calibrated, Choice
from funnel.combinators._answers import Answers, looked_back
from funnel.combinators._bulk import bulk_closings
from funnel.combinators._kept import Kept
from funnel.combinators._repair import (
    FEWEST,
    LEVEL_SD,
    MEMORY,
    STRENGTH,
    Said,
    Weighing,
    _moments,
    learn,
    weighing,
)
from funnel.combinators._repaired import FittedRepaired
from funnel.combinators._windows import Window, window
from funnel.errors import InsufficientDataError, LeakError, ValidationError
from funnel.forecasting import explain, summarize_closing
from funnel.kernels import levels
from funnel.kernels.stacking import stacked
from funnel.models import StageModel
from funnel.models.semi_markov import SemiMarkov
from funnel.models.win_rate import WinRate
from funnel.testing import fixtures
from funnel.testing.forecasters import random_future

LADDER = fn.Funnel([fn.Stage("Qualify", win_probability=0.3)])
START = np.datetime64("2024-01-01")
LAST = np.datetime64("2026-06-30")
RATE, SHARE = 1.0 / 30.0, 0.4  # of closing a day; of the closed ones that are won
AHEAD = 30
WINS = SHARE * (1.0 - (1.0 - RATE) ** AHEAD)  # chance to be won within a month
MONTH = fn.Horizon.custom(np.array([to_day(LAST) + 1, to_day(LAST) + 1 + AHEAD], dtype=np.int32))
FITS = []


@attrs.frozen
class Fitted:
    """The true chances of `race`, with all logits moved by `by`."""

    by: float
    trained_until: int
    needs: tuple[str, ...] = ()

    def win_curve(self, pipeline, dates, /):
        """A memoryless race: whatever the age of a deal."""
        days = dates.astype(np.int64) - pipeline.as_of
        curve = np.broadcast_to(SHARE * (1.0 - (1.0 - RATE) ** days), (len(pipeline), len(days)))
        is_open = (pipeline.outcome == 0)[:, None]
        return np.where(is_open, levels.shifted(curve, self.by), 0.0)

    def notes(self, pipeline):
        """Say how far it is off."""
        return (f"moved by {self.by:g}, {len(pipeline)} deals",)


@attrs.frozen(slots=False)
class Days:
    """The last day of the history."""

    until: int

    def merge(self, other, /):
        """All chunks have the same."""
        return other


@attrs.frozen
class Biased(StageModel):
    """A model that knows the truth, but for its level; it counts how often it is fitted."""

    by: float = 0.0
    tag: str = ""

    name = "biased"
    fitted = Fitted

    def summarize(self, history, /):
        """Keep the last day."""
        return Days(history.observed_until)

    def estimate(self, summary, /):
        """Count, and know."""
        FITS.append((self.tag, summary.until))
        return Fitted(self.by, summary.until)


@attrs.frozen
class Blind(Biased):
    """A model that gives every deal a chance of its own, drawn at random from its id."""

    name = "blind"

    def estimate(self, summary, /):
        """Draw with the tag as seed."""
        return Guesses(0.0, summary.until)


@attrs.frozen
class Guesses(Fitted):
    """Chances that have nothing to do with the deals."""

    def win_curve(self, pipeline, dates, /):
        """The truth, moved up or down by what the id happens to be."""
        noise = (
            np.array([crc32(name.encode()) % 1000 for name in pipeline.ids.tolist()]) / 250.0 - 2.0
        )
        return levels.shifted(super().win_curve(pipeline, dates), noise[:, None])


def race(deals=1500, seed=0, factor=1.0, **columns):
    """Deals that arrive evenly and close at a constant rate, for `factor` times the amount."""
    rng = np.random.default_rng(seed)
    born = START + rng.integers(0, (LAST - START).astype(int) + 1, deals)
    closed = born + rng.geometric(RATE, deals)
    won = rng.random(deals) < SHARE
    ids = np.array([f"D{i:05}" for i in range(deals)], dtype=object)
    amount = rng.uniform(50.0, 150.0, deals)
    done = closed <= LAST
    return fn.History.from_columns(
        funnel=LADDER,
        id=np.concatenate((ids, ids[done])),
        stage=np.concatenate((np.full(deals, "Qualify", dtype=object),
                              np.where(won, "Won", "Lost").astype(object)[done])),
        at=np.concatenate((born, closed[done])),
        amount=np.concatenate((amount, factor * amount[done])),
        observed_from=str(START),
        observed_until=str(LAST),
        **{name: np.concatenate((v, v[done])) for name, v in columns.items()},
    )  # fmt: skip


@pytest.fixture(scope="module")
def history():
    """Some 50 deals open on each day, and some 600 won."""
    return race()


def open_chance(outlook):
    """Mean chance of open deals."""
    return float(outlook.parts["open"].deals.within.mean())


# --- Calibrated ----------------------------------------------------------------------------------


@pytest.mark.parametrize("by", [-0.8, 0.8])
def test_calibrated_finds_a_level_that_is_wrong_by_a_known_factor(by):
    """Odds wrong by exp(0.8): as much is taken back as windows tell against the prior."""
    deals = 12_000
    history = race(deals)
    fitted = Calibrated(Biased(by), arrivals=None).fit(history)
    pool = fitted.at(MONTH, history.observed_until)
    ((lead, level),) = zip(pool.leads.tolist(), pool.levels.tolist(), strict=True)
    assert AHEAD == lead
    said = float(levels.shifted(np.array([WINS]), by)[0])
    n_open = deals / ((LAST - START).astype(int) + 1) / RATE
    # Windows a quarter of the lead apart (7 days) count by their distance, newer ones more.
    worth = 7 / AHEAD * 0.5 ** (7 * np.arange(16) / (MEMORY * AHEAD))
    told = worth.sum() * n_open * said * (1.0 - said)
    # Three standard errors of what windows tell, shrunk as it is.
    noise = 3.0 * np.sqrt(told) / (told + LEVEL_SD**-2)
    assert -by * told / (told + LEVEL_SD**-2) == pytest.approx(level, abs=noise)
    assert abs(by) / 4.0 < abs(level) < abs(by)
    pipeline = history.snapshot()
    plain = fn.DealForecaster(Biased(by), arrivals=None).fit(history)
    assert said == pytest.approx(open_chance(plain.forecast(pipeline, MONTH)))
    moved = levels.shifted(np.array([said]), level)[0]
    assert moved == pytest.approx(open_chance(fitted.forecast(pipeline, MONTH)))
    assert any("change the odds of winning by" in note for note in pool.notes)


def test_calibrated_leaves_a_model_that_is_right_about_as_it_is(history):
    """Shrunk towards no change: within two standard errors of 0."""
    fitted = Calibrated(Biased(), arrivals=None).fit(history)
    pool = fitted.at(MONTH, history.observed_until)
    assert abs(pool.levels[0]) < 0.3
    assert abs(np.log(pool.money)) < 0.3


def test_calibrated_repairs_levels_by_lead_between_which_they_are_interpolated(history):
    """Chances by period: cumulated, moved at their lead, differenced; never falling."""
    deals = fn.DealForecaster(Biased(), arrivals=None, spread="independent").fit(history)
    pool = FittedRepaired(
        "test", deals, np.array([10, 20]), np.array([0.5, 1.0]), 2.0, None, ("note",)
    )
    edges = to_day(LAST) + np.array([1, 6, 11, 16, 41])
    horizon = fn.Horizon.custom(edges.astype(np.int32))
    pipeline = history.snapshot()
    found = pool.forecast(pipeline, horizon)
    raw = deals.forecast(pipeline, horizon)
    is_open = found.deals.part == 1
    by_then = np.cumsum(raw.deals.chance[is_open], axis=1)
    # 5 and 10 days: 0.5; 15: half-way; 40: as at 20.
    expected = levels.shifted(by_then, np.array([0.5, 0.5, 0.75, 1.0]))
    np.testing.assert_allclose(expected, np.cumsum(found.deals.chance[is_open], axis=1))
    np.testing.assert_allclose(2.0 * raw.deals.amount, found.deals.amount)
    assert ("test", "note") == (found.model, found.notes[-1])
    assert history.observed_until == pool.trained_until


def test_booked_money_is_not_repaired():
    """Only what is not booked yet is multiplied and moved."""
    history = fixtures.history()
    deals = fn.DealForecaster("textbook", arrivals=None, spread="independent").fit(history)
    pool = FittedRepaired(
        "test", deals, np.array([10]), np.ones(1), 3.0, fn.forecasting.Shock(0.2), ()
    )
    edges = [to_day("2025-04-01"), to_day("2026-04-01")]
    year = fn.Horizon.custom(np.array(edges, dtype=np.int32))
    found, raw = (one.forecast(history.snapshot(), year) for one in (pool, deals))
    booked = [one.parts["booked"] for one in (raw, found)]
    assert np.isnan(booked[0].deals.amount).any()  # unknown amounts stay what they were expected
    assert 0.0 < booked[0].expected[0] == pytest.approx(booked[1].expected[0])
    assert booked[0].sd[0] == pytest.approx(booked[1].sd[0])
    assert raw.parts["open"].expected < found.parts["open"].expected / 3.0
    assert found.shock is not None
    assert found.sd > raw.sd


def test_money_that_is_won_for_more_than_was_said_is_repaired():
    """Deals close at 1.5 times their amount: known to the amounts, so that nothing is left over."""
    pool = Calibrated(Biased(), arrivals=None).fit(race(factor=1.5)).at(MONTH, to_day(LAST))
    assert abs(np.log(pool.money)) < 0.25


def test_amounts_unknown_until_late_are_no_error_of_money():
    """A fifth of the deals is worth 400 and shows it when it closes, others 100: 160 on average.

    An unknown amount is expected to be one of those: 400, but for 20 deals that are like all.
    """
    company = race()
    late, is_open = company.deal % 5 == 0, company.stage == 0
    amount = np.where(late, 4.0, 1.0) * company.columns["amount"]
    company = attrs.evolve(
        company,
        columns={**company.columns, "amount": np.where(late & is_open, np.nan, amount)},
    )
    pool = Calibrated(Biased(), arrivals=None).fit(company).at(MONTH, to_day(LAST))
    assert abs(np.log(pool.money)) < 0.15
    assert pool.deals.amounts.unknown.mean > 350.0
    # A past day takes them for what its forecast would have drawn, mean and standard deviation.
    day = to_day("2025-12-31")
    (answers,) = looked_back(company, np.array([day]), (Biased(),), None, np.array([30]))
    drawn = summarize_closing(company.until(to_date(day))).estimate().unknown
    sd = np.sqrt(drawn.weights @ (drawn.atoms - drawn.mean) ** 2)
    past = company.snapshot("2025-12-31")
    nameless = np.isnan(past.select(past.outcome == fn.Outcome.OPEN).amount)
    assert 0 < np.count_nonzero(nameless) < len(nameless)
    assert pytest.approx(drawn.mean) == answers.amount[nameless]
    assert pytest.approx(sd) == answers.spread[nameless]
    assert answers.amount[~nameless].max() < 200.0


def test_money_of_independent_deals_varies_by_their_amounts_too():
    """By hand: 5 + 4; 1/4 100 + 4/25 400 for who wins, 1/2 4 + 1/5 9 for what it is worth."""
    found = _moments(np.array([0.5, 0.2]), np.array([10.0, 20.0]), np.array([2.0, 3.0]))
    assert (9.0, 25.0 + 64.0 + 2.0 + 1.8) == pytest.approx(found)


# --- Blend ---------------------------------------------------------------------------------------


def test_a_blend_gives_its_weight_to_the_better_model(history):
    """The truth against guesses: some 200 deals are enough to tell."""
    fitted = Blend((Blind(), Biased()), arrivals=None).fit(history)
    choice = fitted.choice(MONTH)
    assert ("blind", "biased") == choice.model
    assert choice.weight[1] > 0.7  # 0.5 before any window was seen
    assert choice.log_score[1] < choice.log_score[0]
    assert 1.0 == pytest.approx(choice.weight.sum())


def test_a_blend_of_twins_shares_the_weight(history):
    """Identical chances, identical weights, and the forecast of each alone."""
    twins = Blend((Biased(tag="one"), Biased(tag="two")), arrivals=None).fit(history)
    assert [0.5, 0.5] == twins.choice(MONTH).weight.tolist()
    pipeline = history.snapshot()
    alone = fn.DealForecaster(Biased(), arrivals=None).fit(history).forecast(pipeline, MONTH)
    np.testing.assert_allclose(alone.expected, twins.forecast(pipeline, MONTH).expected)


def test_a_level_that_is_wrong_costs_no_weight(history):
    """What is weighed is how well deals are told apart: the level is another repair's business."""
    fitted = Blend((Biased(1.0), Biased()), arrivals=None).fit(history)
    # Each window's level is found under a prior (sd 1), so that a little of the error is left.
    assert 0.5 == pytest.approx(fitted.choice(MONTH).weight[0], abs=0.1)


def test_the_pool_is_the_mean_of_logits(history):
    """Two models off by +1 and -1 with equal weights give the truth; notes of both are kept."""
    fitted = Blend((Biased(1.0), Biased(-1.0)), arrivals=None, windows=1).fit(history)
    outlook = fitted.forecast(history.snapshot(), MONTH)
    assert WINS == pytest.approx(open_chance(outlook))
    assert {"moved by 1", "moved by -1"} <= {note.split(",")[0] for note in outlook.notes}
    pool = fitted.at(MONTH, history.observed_until).deals.model
    assert () == pool.needs
    assert history.observed_until == pool.trained_until


def test_a_model_alone_is_not_pooled(history):
    """What it can do besides chances is kept: draws of its parameters say how sure it is."""
    short = history.until("2024-02-20")
    horizon = fn.Horizon.custom(np.array([to_day("2024-02-21"), to_day("2024-03-22")], np.int32))
    outlook = (
        Calibrated("semi-markov", arrivals=None).fit(short).forecast(short.snapshot(), horizon)
    )
    assert any("nothing is repaired" in note for note in outlook.notes)
    assert outlook.shock is not None


# --- Auto ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def auto():
    """Auto on a small history with every kind of path."""
    history = fixtures.history(deals=160)
    return Auto(windows=4).fit(history), history


def test_auto_says_what_it_chose_and_why(auto):
    """A table of members with weights and scores, and the repairs as notes of the forecast."""
    fitted, history = auto
    horizon = fn.Horizon.months("2025-07-01", 1)
    choice = fitted.choice(horizon)
    assert isinstance(choice, Choice)
    assert "semi-markov" == choice.model[0]
    assert "hazard-regression" in choice.model
    assert 1.0 == pytest.approx(choice.weight.sum())
    assert np.all(np.isfinite(choice.log_score))
    text = str(choice)
    assert f"Weights from {choice.windows} past windows of {choice.lead} days" in text
    assert any("past windows" in note for note in choice.said)
    assert {"model", "weight", "log_score"} == set(choice.to_frame().columns)
    outlook = fitted.forecast(history.snapshot(), horizon)
    assert set(choice.said) <= set(outlook.notes)
    assert "auto" == outlook.model


def test_auto_falls_back_in_steps():
    """Many windows; too few of them; too little for paths; too little for rates; nothing typed."""
    year = np.datetime64("2024-12-31")
    history = race()

    def said(day, horizon):
        """Forecast at a day."""
        past = history.until(day)
        edges = to_day(day) + 1 + np.array([0, horizon])
        fitted = Auto(arrivals=None).fit(past)
        return fitted.forecast(past.snapshot(), fn.Horizon.custom(edges.astype(np.int32)))

    weighed = said(year, AHEAD)
    assert "auto" == weighed.model
    assert not any("nothing is repaired" in note for note in weighed.notes)
    unweighed = said("2024-02-20", AHEAD)
    assert "auto" == unweighed.model
    assert any("fewer than 3: members have the weights" in note for note in unweighed.notes)


def test_auto_falls_back_to_typed_probabilities():
    """Three days after the beginning nothing is won: each step names its reason."""
    history = race().until(START + 3)
    outlook = Auto().fit(history).forecast(history.snapshot(), MONTH)
    assert "textbook" == outlook.model
    assert outlook.notes[0].startswith("'auto' falls back: ")
    assert outlook.notes[1].startswith("'win-rate' with minimum=20 does not do either: ")
    assert outlook.notes[2].startswith("'win-rate' with minimum=5 does not do either: ")
    assert "new deals are not expected" == outlook.notes[3]


def test_auto_falls_back_to_win_rates(monkeypatch):
    """Where paths cannot be fitted, and rates can."""

    def short(self, source, /, *, executor=None):
        del self, source, executor
        raise InsufficientDataError("paths", needed=9, found=1, remedy="Wait.")

    monkeypatch.setattr(SemiMarkov, "fit", short)
    history = race(300)
    outlook = Auto(arrivals=None).fit(history).forecast(history.snapshot(), MONTH)
    assert "win-rate" == outlook.model
    assert "'auto' falls back: paths: 9 needed, 1 found. Wait." == outlook.notes[0]


def test_auto_needs_history_or_typed_probabilities():
    """Neither: an error, not a number that is made up."""
    history = fn.History.from_columns(
        funnel=fn.Funnel(["Qualify"]), id=["A"], stage=["Qualify"], at=["2026-01-01"], amount=[1.0]
    )
    with pytest.raises(ValidationError, match="win_probability must be typed"):
        Auto().fit(history).forecast(history.snapshot(), MONTH)


def test_members_that_find_too_little_are_left_out_and_said(history):
    """The others go on; where none is left, the reason is raised."""
    strict = WinRate(minimum=10_000)
    fitted = Blend((strict, Biased()), arrivals=None).fit(history)
    outlook = fitted.forecast(history.snapshot(), MONTH)
    assert any(note.startswith("win-rate is left out: ") for note in outlook.notes)
    assert ("biased",) == fitted.choice(MONTH).model
    with pytest.raises(InsufficientDataError):
        Blend((strict,), arrivals=None).fit(history).forecast(history.snapshot(), MONTH)


# --- nothing is scored with what it was chosen on ------------------------------------------------


def some_window(origin, seed, lead=28, deals=30):
    """A past window, and what two models said."""
    rng = np.random.default_rng(seed)
    won = rng.random(deals) < 0.3
    chances = np.clip(rng.uniform(0.1, 0.6, (2, deals, 1)), 0.01, 0.99)
    amount = rng.uniform(50.0, 150.0, deals)
    booked = float(amount[won].sum())
    seen = Window(
        origin,
        np.array([lead]),
        amount,
        np.zeros(deals),
        amount[:, None],
        won[:, None],
        np.full((deals, 1), origin + 1),
        np.array([booked]),
        np.array([0]),
    )
    return Said(seen, chances, np.zeros((2, 1)))


def what_came(history, origin, leads):
    """The window of all deals that were open on a day."""
    pipeline = history.snapshot(np.datetime64(origin, "D"))
    count = int(np.count_nonzero(pipeline.outcome == 0))
    asked = Answers(origin, np.arange(count), 1.0, (), np.full(count, 100.0), np.zeros(count), None)
    return window(history, asked, np.array(leads))


def judged(said, until):
    """What is left over in past windows, by weights that are chosen too."""
    weigh = weighing(said, 0, np.array([0.5, 0.5])).at
    return learn(said, weigh, 0, until=until, worth=100.0)


@pytest.mark.parametrize("changed", [5, 8, 11])
def test_windows_are_judged_by_those_that_had_ended_before(changed):
    """Change windows from one on: expectations for windows that began before its end stay."""
    days = 7 * np.arange(12)
    said = [some_window(int(day), seed) for seed, day in enumerate(days)]
    other = [*said[:changed], *(some_window(int(d), 90) for d in days[changed:])]
    until = int(days[-1]) + 28
    one, two = judged(said, until), judged(other, until)
    # The first four windows begin before any has ended; of window i, place i - 4 is left.
    sure = changed - 4
    assert one.expected[:sure].tobytes() == two.expected[:sure].tobytes()
    assert one.booked[:sure].tobytes() == two.booked[:sure].tobytes()
    # Deals of the changed window are others; later ones are judged by other weights and levels.
    assert not np.array_equal(one.expected[sure:], two.expected[sure:])
    assert one.level != two.level


def test_weights_follow_from_windows_that_have_ended():
    """Fewer than three: the prior. Then the maximum over their sums, overlapping ones in part."""
    slope = np.array([[0.0, 1.0], [0.5, 0.0], [0.0, 2.0], [9.0, 0.0]])
    curvature = np.stack([np.eye(2)] * 4)
    prior = np.array([0.75, 0.25])
    weights = Weighing(prior, np.array([10, 20, 30, 40]), slope, curvature, 0.5)
    assert FEWEST == 3
    assert [0.75, 0.25] == weights.at(29).tolist()
    for day, known in ((39, 3), (40, 4)):
        found = weights.at(day)
        expected = stacked(0.5 * slope[:known].sum(0), 0.5 * known * np.eye(2), prior, STRENGTH)
        assert found.tolist() == expected.tolist()
    assert weights.at(39)[1] > 0.25 > weights.at(40)[1]


def test_bulk_closings_count_less_and_are_said():
    """A clean-up closes 60 deals on one day: the note names it, and its windows are worth less."""
    history = race(deals=3000, seed=4)
    columns = history.to_columns()
    day = START + 700
    is_open = history.snapshot(day).select(history.snapshot(day).outcome == 0)
    some = np.isin(columns["id"], is_open.ids[:60])
    later = some & (columns["at"].astype("datetime64[D]") > day)
    keep = {name: columns[name][~later] for name in ("id", "stage", "at", "amount", "created")}
    extra = {
        "id": is_open.ids[:60],
        "stage": np.array(["Lost"] * 60, dtype=object),
        "at": np.full(60, day),
        "amount": np.full(60, 100.0),
        "created": is_open.created[:60].astype("datetime64[D]"),
    }
    joined = {
        name: np.concatenate([values, np.asarray(extra[name]).astype(values.dtype)])
        for name, values in keep.items()
    }
    cleaned = fn.History.from_columns(funnel=LADDER, observed_until=LAST, **joined)
    assert not len(bulk_closings(history).days)
    found = bulk_closings(cleaned)
    assert found.days.tolist() == [to_day(day)]
    assert found.deals[0] >= 60
    outlook = Blend((Biased(),), arrivals=None).fit(cleaned).forecast(cleaned.snapshot(), MONTH)
    assert any(f"{to_date(to_day(day))}: {found.deals[0]} deals" in note for note in outlook.notes)
    halves = [cleaned.select(np.arange(cleaned.n_deals) % 2 == half) for half in (0, 1)]
    assert bulk_closings(halves).days.tolist() == [to_day(day)]
    seen = what_came(cleaned, to_day(day) - 10, [AHEAD])
    chances = np.full((1, len(seen.amount), 1), WINS)
    plain = Said(seen, chances, np.zeros((2, 1)))
    known = attrs.evolve(plain, bulk=found.days)
    assert plain.dependence(chances[0, :, 0], 0) == 1.0
    assert known.dependence(chances[0, :, 0], 0) > 5.0
    assert np.abs(weighing([known], 0, np.ones(1)).curvature).max() < 1e-9


def test_what_came_of_deals_is_read_at_the_end_of_the_window():
    """A deal that was won in the window and reopened after it was won in it."""
    funnel = fn.Funnel(["Qualify"])
    history = fn.History.from_columns(
        funnel=funnel,
        id=["A", "A", "A", "B"],
        stage=["Qualify", "Won", "Qualify", "Qualify"],
        at=["2026-01-01", "2026-01-11", "2026-02-20", "2026-01-01"],
        amount=[10.0, 9.0, 12.0, 5.0],
        observed_until="2026-06-30",
    )
    origin = to_day("2026-01-05")
    seen = what_came(history, origin, [5, 20, 100])
    assert [[False, True, False], [False, False, False]] == seen.won.tolist()
    assert seen.total.tolist() == [0.0, 9.0, 0.0]
    assert seen.closed_on[0, 1] == origin + 6
    assert seen.booked[0, 1] == 9.0


def test_what_comes_after_the_cutoff_changes_no_weight(history):
    """All that is chosen on a day stays, bit for bit, whatever is changed later."""
    cut = history.observed_until - 200
    horizon = fn.Horizon.custom(np.array([cut + 1, cut + 31], dtype=np.int32))
    blend = Blend((Blind(), Biased()), arrivals=None)
    date = np.datetime64(cut, "D")
    expected = blend.fit(history.until(date)).choice(horizon)
    for seed in range(3):
        other = random_future(history, cut, np.random.default_rng(seed))
        found = blend.fit(other.until(date)).choice(horizon)
        assert expected.weight.tobytes() == found.weight.tobytes()
        assert expected.log_score.tobytes() == found.log_score.tobytes()


# --- nothing is computed twice -------------------------------------------------------------------


def test_a_second_forecast_does_not_fit_again(history):
    """Neither the members nor their past; a later cutoff fits the new origins only."""
    blend = Blend((Biased(tag="first"), Biased(0.1, tag="first")), arrivals=None)
    past = history.until("2026-04-30")

    def fits(source):
        """How many fits a forecast takes, and on which days."""
        before = len(FITS)
        day = source.observed_until
        horizon = fn.Horizon.custom(np.array([day + 1, day + 1 + AHEAD], dtype=np.int32))
        fitted = blend.fit(source)
        fitted.forecast(source.snapshot(), horizon)
        made = FITS[before:]
        fitted.forecast(source.snapshot(), horizon)
        fitted.choice(horizon)
        assert len(FITS) == before + len(made)
        return made

    first = fits(past)
    assert len(first) == 2 * (len({day for _, day in first}))
    assert len({day for _, day in first}) > 10
    assert [("first", past.observed_until)] * 2 == fits(past)  # a new fit, the same origins
    later = history.until("2026-05-14")
    again = fits(later)
    assert 2 < len(again) <= 2 * (1 + 2)  # two weeks: one or two new origins, and today
    assert {day for _, day in again}.isdisjoint({day for _, day in first})


def test_the_past_is_recognised_by_its_content(history):
    """Another history with the same days is another past."""
    model = Biased(tag="content")
    asked = np.array([to_day("2025-12-31")]), (model,), None, np.array([30])
    looked_back(history, *asked)
    count = len(FITS)
    looked_back(history.until("2026-01-31"), *asked)
    looked_back(list(history.chunks(400)), *asked)
    assert len(FITS) == count
    looked_back(race(seed=1), *asked)
    assert len(FITS) == count + 1


def test_answers_are_kept_up_to_a_size():
    """The least used goes first; a copy in another process begins empty."""
    made = []

    def make(value):
        """Remember that it was made."""
        made.append(value)
        return value

    kept = Kept(2)
    for value in (1, 2, 1, 3, 1, 2):
        assert value == kept.get(value, lambda value=value: make(value))
    assert [1, 2, 3, 2] == made
    copy = pickle.loads(pickle.dumps(kept))
    copy.get(1, lambda: make(1))
    assert 5 == len(made)
    heavy = Kept(10, len)
    heavy.get("a", lambda: "x" * 8)
    heavy.get("b", lambda: "x" * 8)
    assert "y" == heavy.get("a", lambda: "y")


# --- sources, threads, other processes -----------------------------------------------------------


@pytest.mark.parametrize(
    "forecaster",
    [
        Blend((Blind(), Biased()), arrivals=None),
        Calibrated(Biased(0.5), arrivals=None),
        Calibrated("win-rate"),
    ],
)
def test_chunks_give_the_result_of_one_history(history, forecaster):
    """Weights, levels and money, up to the order of sums; also by an executor."""
    chunks = list(history.chunks(400))
    one = forecaster.fit(history)
    pipeline = history.snapshot()
    expected = one.forecast(pipeline, MONTH)
    with ThreadPoolExecutor(2) as executor:
        for other in (forecaster.fit(chunks), forecaster.fit(chunks, executor=executor)):
            assert history.observed_until == other.trained_until
            np.testing.assert_allclose(one.choice(MONTH).weight, other.choice(MONTH).weight)
            found = other.forecast(pipeline, MONTH)
            np.testing.assert_allclose(expected.expected, found.expected, rtol=1e-9)
            np.testing.assert_allclose(expected.sd, found.sd, rtol=1e-9)


def test_what_is_fitted_can_be_sent(history):
    """The forecaster for one horizon holds no history; the whole one brings it along."""
    fitted = Calibrated(Biased(0.5)).fit(history)
    pipeline = history.snapshot()
    expected = fitted.forecast(pipeline, MONTH)
    pool = fitted.at(MONTH, history.observed_until)
    sent = pickle.loads(pickle.dumps(pool))
    assert expected.expected.tobytes() == sent.forecast(pipeline, MONTH).expected.tobytes()
    assert len(pickle.dumps(pool)) < len(pickle.dumps(history))
    whole = pickle.loads(pickle.dumps(fitted))
    assert expected.expected.tobytes() == whole.forecast(pipeline, MONTH).expected.tobytes()


# --- bad input -----------------------------------------------------------------------------------


def test_an_earlier_day_is_refused(history):
    """A combination has seen all of its history."""
    fitted = Blend((Biased(), Blind())).fit(history)
    with pytest.raises(LeakError, match="history ends on 2026-06-30"):
        fitted.forecast(history.snapshot("2026-06-29"), MONTH)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Blend(()), "at least one model, and each once"),
        (lambda: Blend(("win-rate", "win-rate")), "each once"),
        (lambda: Blend(("run-rate",)), "stage models or names of them"),
        (lambda: Blend(7), "must be stage models or names"),
        (lambda: Calibrated("auto"), "names of them, got Auto"),
        (lambda: Auto(windows=0), "windows"),
    ],
)
def test_wrong_parameters_are_refused(make, message):
    """Each with a message that names what must hold."""
    with pytest.raises(ValidationError, match=message):
        make()


def test_a_horizon_that_is_over_holds_what_was_booked(history):
    """Nothing is ahead: no window fits, and the booked money is there."""
    past = fn.Horizon.custom(np.array([to_day("2026-05-01"), to_day("2026-06-01")], np.int32))
    outlook = Blend((Biased(), Blind())).fit(history).forecast(history.snapshot(), past)
    won = fn.outcomes(history).booked(*past.edges.tolist())
    assert won == pytest.approx(outlook.expected[0])


def test_one_name_is_a_blend_of_one():
    """A single model, by name or not."""
    assert Blend("win-rate") == Blend((WinRate(),))
    assert "blend" == Blend("win-rate").name


def amounts_of_deals(history, amount):
    """The same history with other amounts."""
    columns = history.to_columns()
    return fn.History.from_columns(
        funnel=history.funnel,
        id=columns["id"],
        stage=columns["stage"],
        at=columns["at"],
        created=columns["created"],
        amount=amount(columns["amount"].copy()),
        observed_until=to_date(history.observed_until),
    )


def half(values):
    """Every other amount is unknown."""
    values[::2] = np.nan
    return values


@pytest.mark.parametrize(("amount", "money"), [(np.zeros_like, False), (half, True)])
def test_windows_without_money_teach_nothing_and_do_not_fail(amount, money):
    """Nothing was expected in any window where all amounts are 0; unknown ones count as drawn."""
    history = amounts_of_deals(fn.datasets.simulate(150, rng=3).history, amount)
    outlook = (
        fn.Calibrated("semi-markov")
        .fit(history)
        .forecast(history.snapshot(), fn.Horizon.months("2026-07-01", 1))
    )
    assert money == (float(outlook.expected[0]) > 0.0)


def test_what_auto_says_of_a_deal_can_be_explained():
    """The chance explained is that of the forecast: pool and level are in it."""
    history = fn.datasets.simulate(150, rng=3).history
    month = fn.Horizon.months("2026-07-01", 1)
    fitted = fn.Calibrated("semi-markov").fit(history)
    pipeline = history.snapshot()
    deal = pipeline.ids[pipeline.outcome == fn.Outcome.OPEN][0]
    found = explain(fitted, pipeline, deal, month)
    rows = fitted.forecast(pipeline, month).deals
    assert pytest.approx(float(rows.within[rows.ids == deal][0])) == found.chance
    kept = explain(fitted.at(month, pipeline.as_of), pipeline, deal, month)
    assert pytest.approx(found.chance) == kept.chance
