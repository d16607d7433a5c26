"""A bridge adds up to the cent, whatever the deals did and whatever the forecasts say."""

import math
from itertools import pairwise

import attrs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import funnel as fn
from funnel.forecasting import Forecast, ForecastDeals
from funnel.forecasting._rows import BOOKED, NEW, OPEN, REOPENED
from funnel.forecasting.amounts import Amounts
from funnel.forecasting.bridge import BARS, bridge, bridge_history
from funnel.stages import Outcome
from funnel.testing.strategies import histories

HORIZON = fn.Horizon.quarters("2020-06-01", 3)
CENT = 0.01
PART = {Outcome.OPEN: OPEN, Outcome.WON: BOOKED, Outcome.LOST: REOPENED}


def scripted(pipeline, rng, by):
    """Return a forecast with random chances of the deals, and of some new ones."""
    keys, group = pipeline.groups(by)
    parts = np.array([PART.get(code, -1) for code in pipeline.outcome.tolist()], dtype=np.int8)
    rows = np.flatnonzero(parts >= 0)
    rows = rows[rng.random(len(rows)) < 0.9]  # some lost deals cannot come back
    news = int(rng.integers(0, 3)) if keys else 0
    chance = rng.dirichlet(np.ones(4), len(rows) + news)[:, :3]
    period = HORIZON.period_of(pipeline.closed_on[rows])
    for row in np.flatnonzero(parts[rows] == BOOKED).tolist():
        chance[row] = np.arange(3) == period[row]
    none = np.full(len(rows) + news, -1)
    deals = ForecastDeals(
        ids=np.concatenate((pipeline.ids[rows], np.array(["D0"] * news, dtype=object))),
        chance=chance,
        amount=np.concatenate((pipeline.amount[rows], rng.choice([np.nan, 0.0, 77.7], news))),
        part=np.concatenate((parts[rows], np.full(news, NEW))),
        group=np.concatenate((group[rows], rng.integers(0, max(len(keys), 1), news))),
        category=none,
        promised=none,
    )
    unknown = Amounts(np.array([float(rng.integers(1, 50))]), np.ones(1))
    return Forecast(HORIZON, pipeline.as_of, "EUR", by, keys, deals, unknown, "scripted")


@st.composite
def questions(draw):
    """Draw two days of a history, and forecasts on them; with the old model or without."""
    history = draw(histories(min_deals=1, max_deals=8))
    days = st.integers(history.observed_from, history.observed_until)
    start, end = sorted((draw(days), draw(days)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    by = draw(st.sampled_from([(), ("owner",), ("stage",), ("owner", "stage")]))
    was, now = (history.snapshot(np.datetime64(day, "D")) for day in (start, end))
    same = scripted(now, rng, by) if draw(st.booleans()) else None
    return scripted(was, rng, by), scripted(now, rng, by), was, now, same


def built(question):
    """Return the bridge of a question."""
    before, after, was, now, same = question
    return bridge(before, after, was, now, same_model=same)


@given(questions())
def test_bars_add_up_to_the_cent(question):
    """Start + every bar = end in whole cents, and both are what the forecasts say."""
    before, after, *_ = question
    found = built(question)
    assert found.cents[:, :-1].sum(axis=1).tolist() == found.cents[:, -1].tolist()
    for bar, outlook in ((0, before), (-1, after)):
        for place, key in enumerate(found.keys):
            expected = outlook.group(key).expected if key in outlook.keys else np.zeros(3)
            assert found.amount[place, bar] == pytest.approx(expected, abs=0.51 * CENT)
        missing = set(outlook.keys) - set(found.keys)
        assert not missing or not outlook.by


@given(questions())
def test_deals_add_up_to_their_bar(question):
    """The deals behind a bar change the forecast by as much as the bar says."""
    found = built(question)
    for place, bar in enumerate(BARS[1:-1], start=1):
        deals = found.deals(bar)
        total = np.zeros(found.cents[:, 0].shape)
        np.add.at(total, (deals.group, deals.period), deals.change)
        assert total == pytest.approx(found.amount[:, place], abs=1.01 * CENT)
        number = np.zeros(total.shape, dtype=int)
        real = np.array([not name.startswith("(") for name in deals.ids], dtype=bool)
        pairs = {
            (name, group, period)
            for name, group, period in zip(
                deals.ids[real], deals.group[real], deals.period[real], strict=True
            )
        }
        for _, group, period in pairs:
            number[group, period] += 1
        assert number.tolist() == found.count[:, place].tolist()


@given(questions())
def test_what_goes_from_group_to_group_stays_in_the_whole(question):
    """Nothing is won or lost by being re-owned."""
    deals = built(question).deals("re-owned")
    by_deal = {}
    for name, period, change in zip(deals.ids, deals.period, deals.change, strict=True):
        by_deal.setdefault((name, period), []).append(change)
    assert all(len(changes) == 2 and sum(changes) == 0 for changes in by_deal.values())


def told(name, was, now, before):
    """Say in plain words what happened to a deal, looking at nothing but the deal."""
    first, last = was.get(name), now.get(name)
    if first is None:
        return "created since"
    if last is None or last.outcome is Outcome.REMOVED:
        return "removed"
    if first.outcome is not Outcome.OPEN:
        return told_closed(first, last)
    if last.outcome is Outcome.LOST:
        return "lost"
    if last.outcome is Outcome.WON:
        return told_won(first, last, before)
    return told_open(first, last)


def told_closed(first, last):
    """Say what happened to a deal that had been closed."""
    if first.outcome is Outcome.WON:
        if last.outcome is not Outcome.WON:
            return "no longer won"
        return "days passed" if first.closed_on == last.closed_on else "reopened"
    return "days passed" if last.outcome is Outcome.LOST else "reopened"


def told_won(first, last, before):
    """Say whether a win was early."""
    if last.closed_on >= HORIZON.end:
        return "days passed"
    if last.closed_on < HORIZON.start:
        return "won earlier than expected"
    period = int(HORIZON.period_of([last.closed_on])[0])
    if first.expected_close is not None:
        early = first.expected_close >= HORIZON.ends[period].item()
    else:
        early = math.fsum(before[period + 1 :]) > math.fsum(before[: period + 1])
    return "won earlier than expected" if early else "booked since"


def told_open(first, last):
    """Say what happened to a deal that is still open."""
    stages = first.funnel.stages
    place = {stage.id: number for number, stage in enumerate(stages)}
    old, new = stages[place[first.stage]], stages[place[last.stage]]
    if old.on_hold != new.on_hold:
        return "off hold" if old.on_hold else "on hold"
    if old is not new and not old.on_hold:
        return "moved up" if place[new.id] > place[old.id] else "moved back"
    ends = [deal.expected_close for deal in (first, last)]
    if ends[0] == ends[1]:
        return "days passed"
    pushed = ends[1] is None or (ends[0] is not None and ends[1] > ends[0])
    return "pushed" if pushed else "pulled in"


@given(questions())
def test_each_deal_is_under_what_happened_to_it(question):
    """The same as a plain reading of every single deal."""
    before, _, was, now, _ = question
    found = built(question)
    first, last = ({deal.id: deal for deal in table} for table in (was, now))
    deals = before.deals.select(~before.deals.is_new)
    chance = dict(zip(deals.ids, deals.chance, strict=True))
    common = {"re-owned", "amount changes", "still to come", "not by deal", "model refitted"}
    for bar in set(BARS[1:-1]) - common:
        for name in set(found.deals(bar).ids):
            assert bar == told(name, first, last, chance.get(name, np.zeros(3)))
    for name in found.deals("amount changes").ids:
        assert first[name].amount != last[name].amount


@given(questions())
def test_a_bridge_from_a_forecast_to_itself_is_empty(question):
    """Two equal forecasts of one day have no bars but the ends."""
    before, _, was, *_ = question
    found = bridge(before, before, was, was)
    assert not found.cents[:, 1:-1].any()
    assert len(found.moves.deal) == 0


@given(questions())
def test_the_order_of_the_rows_does_not_matter(question):
    """Deals are found by their ids."""
    before, after, was, now, same = question
    deals = after.deals
    turned = attrs.evolve(after, deals=deals.select(np.arange(len(deals.ids))[::-1]))
    first, last = (table.select(np.arange(len(table))[::-1]) for table in (was, now))
    other = bridge(before, turned, first, last, same_model=same)
    assert built(question).amount == pytest.approx(other.amount, abs=1.01 * CENT)


@pytest.mark.parametrize(
    ("model", "by"),
    [
        ("textbook", ("region", "stage")),
        ("win-rate", ()),
        ("run-rate", ("region",)),
        (fn.forecasting.DealForecaster("semi-markov", spread="independent"), ("region",)),
    ],
)
def test_simulated_companies(model, by):
    """The Monday question twice; the second bridge begins where the first one ended."""
    history = fn.datasets.simulate(250, start="2024-01-01", end="2025-12-31", rng=5).history
    horizon, days = fn.Horizon.quarters("2025-10-01", 2), ("2025-09-14", "2025-10-12", "2025-11-30")
    found = [bridge_history(history, *pair, horizon, model, by=by) for pair in pairwise(days)]
    for each in found:
        assert each.cents[:, :-1].sum(axis=1).tolist() == each.cents[:, -1].tolist()
    one, two = found
    then = fn.forecast(history.until(days[1]), horizon, model, by=by)
    for total, keys in ((one.amount[:, -1], one.keys), (two.amount[:, 0], two.keys)):
        assert total.sum(axis=0) == pytest.approx(then.expected, abs=0.51 * CENT * len(keys))
