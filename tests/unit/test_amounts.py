"""The amount at closing: closed forms of ratios, shrinkage and segments; what changes nothing."""

from __future__ import annotations

import attrs
import numpy as np
import pytest

import funnel as fn
from funnel import datasets
from funnel.errors import CurrencyMismatchError, UnknownColumnError, ValidationError
from funnel.forecasting._amount_changes import PRIOR, credibility, effects
from funnel.forecasting.amounts import (
    ClosingSummary,
    amounts_of,
    summarize_amounts,
    summarize_closing,
)
from funnel.kernels.compound import deal_law
from funnel.testing import fixtures

LADDER = fn.Funnel(["Qualify", "Propose", "Negotiate"], won="Won", lost="Lost")


def day(number):
    """Return the day of this number of 2026."""
    return np.datetime64("2026-01-01") + number


def log(*deals, until=300, **options):
    """Return a history of deals, each a list of (stage, day, amount[, owner])."""
    rows = [(f"D{i:04}", *row) for i, deal in enumerate(deals) for row in deal]
    columns = {
        name: [row[place] for row in rows]
        for place, name in enumerate(("id", "stage", "at", "amount", "owner")[: len(rows[0])])
    }
    columns["at"] = np.array([day(number) for number in columns["at"]])
    return fn.History.from_columns(
        funnel=LADDER, **columns, observed_from=day(0), observed_until=day(until), **options
    )


def pipeline(stages, amounts, **options):
    """Return a pipeline of deals in these stages."""
    ids = [f"P{i}" for i in range(len(stages))]
    return fn.Pipeline.from_columns(
        funnel=LADDER, as_of=day(300), id=ids, stage=stages, amount=amounts, **options
    )


def discounted(n, share=0.9):
    """Return n deals that change their amount to `share` between Propose and the win."""
    return [
        [("Qualify", i, 100.0), ("Propose", i + 5, 100.0), ("Won", i + 9, 100.0 * share)]
        for i in range(n)
    ]


EVERY = ["Qualify", "Propose", "Negotiate", "Lost", "Won"]


# --- closed forms --------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 20, 180])
def test_a_discount_is_believed_by_the_number_of_wins(n):
    """Each deal loses 10 % from both stages: mean 1 - 0.1 n / (n + 20), by hand."""
    fitted = summarize_closing(log(*discounted(n))).estimate()
    mean, sd = fitted.at_closing(pipeline(EVERY, [1_000.0] * 5))
    away = -0.1 * n / (n + 20)
    ratio = 1_000.0 * (1 + away)
    assert [ratio, ratio, ratio, ratio, 1_000.0] == pytest.approx(mean.tolist())
    # about the mean: n deals at (0.1 + away) each, and 20 more without spread; then once more
    common = n * (0.1 + away) ** 2 / (n + 20)
    stage = (n * (0.1 + away) ** 2 + 20 * common) / (n + 20)
    squares = [stage, stage, common, common, 0.0]
    assert (1_000.0 * np.sqrt(squares)).tolist() == pytest.approx(sd.tolist())


def test_a_stage_after_the_discount_keeps_its_amounts():
    """Propose loses 10 % and Negotiate nothing, 100 deals each: each leans on both by 20."""
    deals = [
        [("Propose", i, 100.0), ("Negotiate", i + 5, 90.0), ("Won", i + 9, 90.0)]
        for i in range(100)
    ]
    fitted = summarize_closing(log(*deals)).estimate()
    mean, _ = fitted.at_closing(pipeline(["Qualify", "Propose", "Negotiate"], [1.0] * 3))
    common = -0.05 * 100 / 120
    expected = [1 + common, 1 + (100 * -0.1 + 20 * common) / 120, 1 + 20 * common / 120]
    assert expected == pytest.approx(mean.tolist())


def test_growth_counts_by_the_days_that_an_amount_stood():
    """30 days at 100 and 10 at 200, booked at 200: changes of 1 and 0, on average 0.75."""
    deals = [[("Propose", 0, 100.0), ("Propose", 30, 200.0), ("Won", 40, 200.0)]] * 80
    summary = summarize_closing(log(*deals))
    assert [80.0, 60.0, 60.0] == pytest.approx(summary.changes.sums[0, :3].tolist())
    mean, _ = summary.estimate().at_closing(pipeline(["Propose"], [100.0]))
    assert 100.0 * (1 + 0.75 * 80 / 100) == pytest.approx(mean[0])


def test_mean_and_variance_converge_to_those_of_a_known_world():
    """Discounts uniform on 0..20 %: mean 0.9, sd 0.2 / sqrt(12), within 4 standard errors."""
    amounts = datasets.Amounts(edges=(), multipliers=(1.0,), revise=0.0, discount=0.1)
    world = attrs.evolve(datasets.World.simple(), amounts=amounts)
    history = datasets.simulate(20_000, world=world, rng=4).history
    summary = summarize_closing(history)
    fitted = summary.estimate()
    stages = list(world.funnel.ids[:2])
    deals = fn.Pipeline.from_columns(
        funnel=world.funnel, as_of="2026-06-30", id=stages, stage=stages, amount=[1.0, 1.0]
    )
    mean, sd = fitted.at_closing(deals)
    true = 0.2 / 12**0.5
    wins = summary.changes.deals
    assert wins > 4_000
    # shrinkage moves the mean by at most 0.1 * 20 / wins
    assert [0.9, 0.9] == pytest.approx(mean, abs=4 * true / wins**0.5 + 2 / wins)
    assert [true, true] == pytest.approx(sd, rel=0.03)


def test_an_unchanged_amount_changes_no_bit():
    """Mean and sd are the amounts themselves and 0, and the law is the same array by array."""
    deals = [[("Propose", i, 0.1 * i + 7.3), ("Won", i + 3, 0.1 * i + 7.3)] for i in range(50)]
    fitted = summarize_closing(log(*deals)).estimate()
    amounts = np.random.default_rng(1).lognormal(8.0, 1.0, 200)
    mean, sd = fitted.at_closing(pipeline(["Propose"] * 200, amounts))
    assert amounts.tolist() == mean.tolist()
    assert not sd.any()
    chance = np.linspace(0.05, 0.9, 200)
    for before, after in zip(
        deal_law(0.0, chance, amounts), deal_law(0.0, chance, mean, sd=sd), strict=True
    ):
        assert np.array_equal(before, after)


def test_a_deal_that_doubled_with_a_chance_of_one_half_has_that_spread():
    """100 deals at 1 or 2 times the amount: mean 1.5, sd 0.5, each leaning on 20 unchanged ones."""
    deals = [[("Propose", 0, 10.0), ("Won", 5, 10.0 * (1 + i % 2))] for i in range(100)]
    mean, sd = summarize_closing(log(*deals)).estimate().at_closing(pipeline(["Propose"], [1.0]))
    away = 0.5 * 100 / 120
    squares = 100 * (0.5 - 2 * away * 0.5 + away**2)
    assert 1 + away == pytest.approx(mean[0])
    assert (squares + 20 * squares / 120) / 120 == pytest.approx(sd[0] ** 2)


# --- what counts ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "deal",
    [
        [("Propose", 3, 100.0), ("Won", 3, 50.0)],  # nobody could have asked before
        [("Propose", 3, 0.0), ("Won", 9, 50.0)],  # no ratio
        [("Propose", 3, 100.0), ("Won", 9, np.nan)],  # nothing booked
        [("Propose", 3, 100.0), ("Lost", 9, 50.0)],
        [("Propose", 3, 100.0), ("Propose", 9, 50.0)],  # young: still open
        [("Propose", 3, 100.0), ("Won", 9, 100.0), ("Propose", 20, 50.0)],  # won, then not
    ],
)
def test_deals_that_say_nothing_do_not_count(deal):
    """No cell, and a ratio of exactly 1."""
    summary = summarize_closing(log(deal))
    assert ((), 0) == (summary.changes.keys, summary.changes.deals)
    mean, sd = summary.estimate().at_closing(pipeline(["Propose"], [7.0]))
    assert ([7.0], [0.0]) == (mean.tolist(), sd.tolist())


@pytest.mark.parametrize("known", ["final", "constant"])
def test_amounts_without_a_history_teach_nothing(known):
    """A final amount stands in each row; a constant one never changes."""
    same = [[("Propose", i, 100.0), ("Won", i + 9, 100.0)] for i in range(30)]
    history = log(*same, known={"amount": known})
    assert 0 == summarize_closing(history).changes.deals
    assert 0 == summarize_closing(history.until(day(20))).changes.deals


def test_a_lost_deal_that_came_back_teaches_of_lost_deals():
    """Lost at 100, won at 80: the change since the loss counts for the state Lost."""
    deals = [
        [
            ("Propose", i, 100.0),
            ("Lost", i + 5, 100.0),
            ("Propose", i + 9, 80.0),
            ("Won", i + 12, 80.0),
        ]
        for i in range(200)
    ]
    summary = summarize_closing(log(*deals))
    assert (("Lost",), ("Propose",)) == summary.changes.keys
    # in Propose 5 days at -0.2 and 3 days at 0
    n, lost, _ = summary.changes.sums[0, :3]
    assert [200.0, -40.0, -25.0] == pytest.approx([n, lost, summary.changes.sums[1, 1]])


def test_unknown_amounts_stay_unknown():
    """NaN has no ratio; its spread is that of the distribution it is drawn from."""
    fitted = summarize_closing(log(*discounted(50))).estimate()
    mean, sd = fitted.at_closing(pipeline(["Propose", "Propose"], [np.nan, 10.0]))
    assert [True, False] == np.isnan(mean).tolist()
    assert 0.0 == sd[0]
    assert sd[1] > 0.0
    assert 90.0 == pytest.approx(fitted.unknown.mean)


def test_a_placeholder_is_no_price():
    """Booked at 1,000 times as much counts as tenfold, and a note says how often."""
    deals = [*discounted(10, 1.0), [("Propose", 1, 1.0), ("Propose", 5, 1.0), ("Won", 9, 1_000.0)]]
    summary = summarize_closing(log(*deals))
    fitted = summary.estimate()
    assert 9.0 == summary.changes.sums[:, 1].sum()
    said = "1 of 11 won deals were booked at more than 10 times the amount known before"
    assert [said] == [note.partition(";")[0] for note in fitted.notes]
    assert () == summarize_closing(log(*discounted(10))).estimate().notes


def test_the_ratio_never_uses_what_happened_after_the_cutoff():
    """Two histories that part on day 50 give the same amounts at closing as of day 50."""
    early, late = discounted(30), [[("Propose", 60, 9.0), ("Won", 70, 900.0)]] * 40
    one = log(*early, [("Propose", 20, 5.0), ("Won", 51, 500.0)], *late).until(day(50))
    two = log(*early, [("Propose", 20, 5.0), ("Lost", 90, 5.0)]).until(day(50))
    asked = pipeline(EVERY, [100.0] * 5)
    answers = [summarize_closing(history).estimate().at_closing(asked) for history in (one, two)]
    for mine, theirs in zip(*answers, strict=True):
        assert np.array_equal(mine, theirs)


def test_several_currencies_are_an_error():
    """Booked amounts in two currencies cannot be one distribution."""
    deals = [[("Propose", 1, 10.0), ("Won", 5, 10.0)]] * 2
    summary = summarize_closing(log(*deals, currency=["EUR", "EUR", "USD", "USD"]))
    with pytest.raises(CurrencyMismatchError, match="'EUR', 'USD'"):
        summary.estimate()


def test_an_amount_in_another_currency_than_booked_is_not_compared():
    """100 EUR booked as 160 USD is no growth."""
    deals = [[("Propose", 1, 100.0), ("Won", 5, 160.0)]] * 2
    summary = summarize_closing(log(*deals, currency=["EUR", "USD"] * 2))
    assert 0 == summary.changes.deals


# --- segments ------------------------------------------------------------------------------------


def owned(n, share, owner):
    """Return n deals of an owner that close at `share` of their amount."""
    return [
        [("Propose", i, 100.0, owner), ("Won", i + 5 + i % 3, 100.0 * share, owner)]
        for i in range(n)
    ]


def test_segments_differ_where_the_evidence_is_there():
    """Ann gives 20 %, Bo nothing, 100 deals each: each leans on the stage as if by 20 deals."""
    history = log(*owned(100, 0.8, "Ann"), *owned(100, 1.0, "Bo"))
    fitted = summarize_closing(history, by="owner").estimate()
    deals = pipeline(["Propose"] * 4, [1.0] * 4, owner=["Ann", "Bo", "Zoe", ""])
    mean, _ = fitted.at_closing(deals)
    stage = -0.1 * 200 / 220
    ann, bo = ((100 * away - 100 * stage) / 120 for away in (-0.2, 0.0))
    expected = [1 + stage + ann, 1 + stage + bo, 1 + stage, 1 + stage]
    assert expected == pytest.approx(mean.tolist())
    with pytest.raises(UnknownColumnError, match="owner"):
        fitted.at_closing(pipeline(["Propose"], [1.0]))


def test_segments_that_do_not_differ_add_nothing():
    """Both close at 90 % or 100 % in turn: the difference is chance, and pooled."""
    mixed = [deal for n in range(50) for deal in owned(1, 0.9 + 0.1 * (n % 2), "Ann")]
    mixed += [deal for n in range(50) for deal in owned(1, 0.9 + 0.1 * (n % 2), "Bo")]
    fitted = summarize_closing(log(*mixed), by=("owner",)).estimate()
    assert {("Ann",): 0.0, ("Bo",): 0.0} == fitted.change.segments


def test_a_mean_is_never_negative():
    """A segment that gives everything away, beside one that gives nothing."""
    deals = pipeline(["Propose"], [5.0], owner=["Ann"])
    history = log(*owned(250, 0.0, "Ann"), *owned(20, 1.0, "Bo"), *owned(20, 2.0, "Cy"))
    mean, _ = summarize_closing(history, by=("owner",)).estimate().at_closing(deals)
    assert 0.0 <= mean[0] < 0.5


def test_segments_must_be_categories_that_are_known_while_open():
    """Numbers, and what is only known in the end, make no segments."""
    history = log(*owned(3, 0.9, "Ann"), known={"owner": "final"})
    with pytest.raises(ValidationError, match="known while a deal is open"):
        summarize_closing(history, by=("owner",))
    with pytest.raises(ValidationError, match="categories"):
        summarize_closing(history, by=("amount",))
    with pytest.raises(UnknownColumnError, match="region"):
        summarize_closing(history, by=("region",))


# --- unknown amounts -----------------------------------------------------------------------------


def test_amounts_that_are_unknown_until_late_have_a_scale_of_their_own():
    """20 of 40 wins had no amount in Qualify and were booked at 30, the others at 10: mean 20.

    An unknown amount is one of the former or of 20 that are like all: (30 + 20) / 2.
    """
    deals = [[("Qualify", 1, np.nan), ("Propose", 5, 30.0), ("Won", 9, 30.0)]] * 20
    deals += [[("Qualify", 1, 10.0), ("Propose", 5, 10.0), ("Won", 9, 10.0)]] * 20
    fitted = summarize_closing(log(*deals)).estimate()
    scale = fitted.unknown_scale(pipeline(["Qualify"], [np.nan]))
    assert 25.0 == pytest.approx(fitted.unknown.mean)
    assert 1 + 0.5 * (30 / 25 - 1) == pytest.approx(scale[0])
    always = summarize_closing(log(*discounted(5))).estimate()
    assert [1.0] * 5 == always.unknown_scale(pipeline(EVERY, [np.nan] * 5)).tolist()


def test_a_history_without_wins_has_no_amounts():
    """Nothing to draw from, and nothing changed."""
    fitted = summarize_closing(log([("Propose", 1, np.nan)])).estimate()
    mean, sd = fitted.at_closing(pipeline(EVERY, [3.0] * 5))
    assert np.isnan(fitted.unknown.mean)
    assert np.isnan(fitted.unknown.square)
    assert ([3.0] * 5, [0.0] * 5) == (mean.tolist(), sd.tolist())


def test_the_distribution_of_won_amounts_keeps_their_mean():
    """Zero, small and huge amounts: the mean over the atoms is exact."""
    worth = [0.0, 1e-9, 3.0, 1e20, 50.0]
    deals = [[("Propose", i, w), ("Won", i + 2, w)] for i, w in enumerate(worth)]
    found = summarize_amounts(log(*deals)).estimate()
    assert np.mean(worth) == pytest.approx(found.mean)
    assert 1.0 == pytest.approx(found.weights.sum())
    taken = amounts_of(pipeline(["Propose", "Won", "Lost"], [1.0, 3.0, 99.0]))
    assert 2.0 == pytest.approx(taken.mean)
    assert 5.0 == pytest.approx(taken.square)  # the mean of 1 and 9


# --- summaries -----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [3, 40])
@pytest.mark.parametrize("make", [fixtures.history, lambda: datasets.simulate(300).history])
def test_chunks_give_the_same_sums_whatever_the_split(make, size):
    """Counts to the last one, sums to 1e-12, in any order."""
    history = make()
    whole = summarize_closing(history, by=("owner",))
    parts = [summarize_closing(chunk, by=("owner",)) for chunk in history.chunks(size)]
    for ordered in (parts, parts[::-1]):
        merged = ordered[0]
        for part in ordered[1:]:
            merged = merged.merge(part)
        for mine, theirs in ((merged.changes, whole.changes), (merged.unknown, whole.unknown)):
            assert (theirs.keys, theirs.deals) == (mine.keys, mine.deals)
            assert theirs.sums[:, 0].tolist() == mine.sums[:, 0].tolist()
            assert theirs.sums == pytest.approx(mine.sums, rel=1e-12, abs=1e-12)
            assert theirs.capped == mine.capped
        assert whole.booked.counts.tolist() == merged.booked.counts.tolist()
        assert whole.late.counts.tolist() == merged.late.counts.tolist()
    assert whole.changes.deals > 20


def test_other_segments_do_not_merge():
    """Sums by owner and sums of all are not one table."""
    history = fixtures.history()
    with pytest.raises(ValidationError, match="same segments"):
        summarize_closing(history).merge(summarize_closing(history, by=("owner",)))


def test_the_ratios_are_a_table_in_the_order_of_the_stages():
    """Both stages with the ratio of `at_closing`, then what holds elsewhere; notes below."""
    fitted = summarize_closing(log(*discounted(20))).estimate()
    table = attrs.evolve(fitted, notes=("so far",)).by_stage(LADDER)
    found = table.to_columns()
    assert ["Qualify", "Propose", "(other)"] == found["stage"].tolist()
    assert [20, 20, 0] == found["deals"].tolist()
    mean, sd = fitted.at_closing(pipeline(["Qualify", "Propose", "Negotiate"], [1.0] * 3))
    assert mean.tolist() == pytest.approx(found["ratio"].tolist())
    assert sd.tolist() == pytest.approx(found["sd"].tolist())
    assert "* so far" in str(table)
    assert str(table).startswith("Booked amounts over those known before")


def test_merging_nothing_changes_nothing():
    """A chunk without wins is the neutral element."""
    some, none = (
        summarize_closing(log(*discounted(9))),
        summarize_closing(log([("Propose", 1, 2.0)])),
    )
    both = none.merge(some)
    assert isinstance(both, ClosingSummary)
    assert some.changes.sums.tolist() == both.changes.sums.tolist()


# --- credibility ---------------------------------------------------------------------------------


def test_credibility_is_the_ratio_of_variances():
    """Ten groups of 1,000 with means of variance 1 within which values vary by 400: k near 400."""
    rng = np.random.default_rng(5)
    values = rng.normal(rng.normal(0.0, 1.0, (200, 1)), 20.0, (200, 4_000))
    count = np.full(200, 4_000.0)
    found = credibility(count, values.sum(axis=1), (values**2).sum(axis=1))
    # the variance of 200 means is known to 10 %, three standard errors
    assert 400.0 == pytest.approx(found, rel=0.33)


@pytest.mark.parametrize(
    ("count", "total", "square", "expected"),
    [
        ([5.0], [1.0], [9.0], np.inf),  # one group
        ([1.0, 1.0], [1.0, 2.0], [1.0, 4.0], np.inf),  # no spread within
        ([50.0, 50.0], [0.0, 50.0], [0.0, 50.0], PRIOR),  # nothing but difference
        ([50.0, 50.0], [10.0, 10.0], [50.0, 50.0], np.inf),  # no difference
        ([], [], [], np.inf),
    ],
)
def test_credibility_at_its_ends(count, total, square, expected):
    """At least 20 observations, and infinite where groups do not differ."""
    assert expected == credibility(np.array(count), np.array(total), np.array(square))


def test_effects_of_nothing_are_none():
    """No cell: mean and variance 0."""
    nothing = effects(summarize_closing(log([("Propose", 1, 2.0)])).changes)
    assert ([0.0, 0.0], {}, {}) == (nothing.common.tolist(), nothing.stages, nothing.segments)
