"""Targets, attainment, pacing, coverage and gaps by hand, and their bad input."""

import numpy as np
import pytest

import funnel as fn
from funnel.errors import (
    CurrencyMismatchError,
    InsufficientDataError,
    LeakError,
    SchemaMismatchError,
    UnknownColumnError,
    ValidationError,
)
from funnel.metrics.attainment import (
    Targets,
    attainment,
    booking_profile,
    coverage_needed,
    gap_factors,
    summarize_attainment,
)
from funnel.metrics.velocity import decompose
from funnel.testing import fixtures

LADDER = fn.Funnel(["Qualify"])
QUARTERS = fn.Horizon.quarters("2026-01-01", 2)


def history(wins, *, until="2026-06-30", start="2026-01-01", **columns):
    """One deal per (day won, amount, owner); day None stays open."""
    rows = []
    for i, (day, amount, owner) in enumerate(wins):
        rows.append((f"D{i}", "Qualify", start, amount, owner))
        if day:
            rows.append((f"D{i}", "Won", day, amount, owner))
    names = ("id", "stage", "at", "amount", "owner")
    given = {name: [row[at] for row in rows] for at, name in enumerate(names)}
    return fn.History.from_columns(
        funnel=LADDER, observed_from=start, observed_until=until, **given, **columns
    )


BOOK = [
    ("2026-02-14", 60.0, "Ann"),
    ("2026-05-01", 50.0, "Ann"),
    ("2026-03-31", 30.0, "Bo"),
    (None, 999.0, "Bo"),
]


def targets(**changes):
    """Ann and Bo, two quarters."""
    given = {
        "target": [100.0, 120.0, 80.0],
        "owner": ["Ann", "Ann", "Bo"],
        "period": ["2026-Q1", "2026-Q2", "2026-Q1"],
        "periods": QUARTERS,
    }
    return Targets.from_columns(**{**given, **changes})


def test_booked_money_is_set_against_its_target():
    """Ann 60 of 100 and 50 of 120, Bo 30 of 80, won on the last day of the quarter."""
    found = attainment(history(BOOK), targets())
    assert [60.0, 50.0, 30.0] == found.booked.tolist()
    assert [1, 1, 1] == found.won.tolist()
    assert pytest.approx([0.6, 50 / 120, 0.375]) == found.attainment
    assert [40.0, 70.0, 50.0] == found.gap.tolist()
    assert ["", "", ""] == found.mark.tolist()
    assert () == found.notes
    assert "Targets and bookings as of 2026-06-30" in str(found)


def test_pacing_is_attainment_by_the_share_of_days_passed():
    """By the end of 14 February 45 of 90 days of the first quarter have passed."""
    found = attainment(history(BOOK), targets(), as_of="2026-02-14")
    assert [60.0, 0.0, 0.0] == found.booked.tolist()
    assert [0.5, 0.0, 0.5] == found.passed.tolist()
    np.testing.assert_allclose([1.2, np.nan, 0.0], found.pacing)


def test_a_profile_says_when_periods_book():
    """Halves that weigh 1 and 3: half of the days is a quarter of the weight."""
    found = attainment(history(BOOK), targets(), as_of="2026-02-14", profile=[1, 3])
    assert [0.25, 0.0, 0.25] == found.passed.tolist()
    assert pytest.approx(2.4) == found.pacing[0]
    for wrong in ([], [-1.0, 2.0], [0.0, 0.0], [np.nan], 3.0):
        with pytest.raises(ValidationError, match="profile"):
            attainment(history(BOOK), targets(), profile=wrong)


def test_targets_add_up_over_the_keys_that_are_left_out():
    """Both quarters: 180 and 120 against 90 and 50."""
    found = attainment(history(BOOK), targets(), by=())
    assert [180.0, 120.0] == found.target.tolist()
    assert [90.0, 50.0] == found.booked.tolist()
    two = targets(product=["x", "y", "x"])
    assert [100.0, 120.0, 80.0] == two.total(("owner",)).amount.tolist()
    assert ["x", "x", "y"] == two.total(("product", "owner")).keys["product"].tolist()
    with pytest.raises(UnknownColumnError, match="Did you mean 'owner'"):
        attainment(history(BOOK), targets(), by=("owners",))
    with pytest.raises(ValidationError, match="tuple"):
        targets().total("owner")


def test_groups_that_are_not_in_the_history_are_marked():
    """Zed's bookings are unknown, not 0; an owner without wins has booked 0."""
    book = [("2026-02-14", 60.0, "Ann"), (None, 5.0, "Bo")]
    table = targets(owner=["Ann", "Zed", "Bo"])
    found = attainment(history(book), table)
    np.testing.assert_array_equal([60.0, np.nan, 0.0], found.booked)
    np.testing.assert_allclose([0.6, np.nan, 0.0], found.attainment)
    assert ["", "not in the history", ""] == found.mark.tolist()
    assert any("Zed, 2026-Q2" in note for note in found.notes)


def test_bookings_without_a_target_have_rows():
    """Cy and an unknown owner booked in the first quarter, Bo in the second."""
    book = [
        *BOOK,
        ("2026-03-01", 7.0, "Cy"),
        ("2026-01-02", 1.0, ""),
        ("2026-04-01", 9.0, "Bo"),
        ("2026-08-01", 5.0, "Ann"),
    ]
    found = attainment(history(book, until="2026-12-31"), targets())
    extra = found.mark == "no target"
    assert [False] * 3 + [True] * 3 == extra.tolist()
    rows = list(
        zip(found.keys["owner"][extra], found.labels[extra], found.booked[extra], strict=True)
    )
    assert [("", "2026-Q1", 1.0), ("Cy", "2026-Q1", 7.0), ("Bo", "2026-Q2", 9.0)] == rows
    assert np.isnan(found.target[extra]).all()
    assert np.isnan(found.attainment[extra]).all()
    assert any("3 rows were booked without a target" in note for note in found.notes)


def test_a_key_of_the_empty_text_is_the_unknown_group():
    """A target for deals of an unknown owner."""
    table = Targets.from_columns(target=[2.0], owner=[""], start="2026-01-01", last="2026-03-31")
    found = attainment(history([("2026-01-02", 1.0, ""), ("2026-01-02", 8.0, "Ann")]), table)
    assert [1.0, 8.0] == found.booked.tolist()
    assert ["2026-01-01 to 2026-03-31"] * 2 == found.labels.tolist()


def test_periods_before_the_history_are_unknown():
    """A year earlier nothing was recorded; the year itself in part."""
    years = fn.Horizon.custom(["2024-01-01", "2025-01-01", "2027-01-01"], labels=["past", "now"])
    table = Targets.from_columns(target=[5.0, 5.0], period=["past", "now"], periods=years)
    found = attainment(history(BOOK), table)
    np.testing.assert_array_equal([np.nan, 140.0], found.booked)
    assert ["before the history", "history begins later"] == found.mark.tolist()
    assert 2 == len(found.notes)


def test_unknown_amounts_are_said_and_zero_targets_are_no_denominator():
    """One win without an amount; a target of 0."""
    table = Targets.from_columns(target=[0.0], start="2026-01-01", last="2026-12-31")
    found = attainment(history([("2026-02-01", np.nan, "Ann")]), table)
    assert ([1], [0.0]) == (found.won.tolist(), found.booked.tolist())
    assert np.isnan(found.attainment[0])
    assert any("no known amount" in note for note in found.notes)


def test_currencies_must_agree():
    """Among bookings, and between bookings and targets."""
    book = BOOK[:2]
    mixed = history(book, currency=["EUR", "EUR", "USD", "USD"])
    with pytest.raises(CurrencyMismatchError):
        attainment(mixed, targets())
    with pytest.raises(CurrencyMismatchError, match="GBP"):
        attainment(history(book, currency="EUR"), targets(currency="GBP"))
    assert [60.0] == attainment(mixed, targets(currency="EUR"), as_of="2026-02-20").booked[
        :1
    ].tolist()


def test_a_forecast_stands_beside_the_target():
    """110 and 100 expected of 100 and 120: 10 more and 20 less."""
    found = attainment(history(BOOK), targets()).with_forecast(
        [110.0, 100.0, np.nan], low=[90.0, 80.0, np.nan], high=[130.0, 120.0, np.nan]
    )
    np.testing.assert_array_equal([-10.0, 20.0, np.nan], found.to_columns()["still_missing"])
    assert {"low", "high"} <= set(found.to_columns())
    with pytest.raises(ValidationError, match="each of the 3 rows"):
        found.with_forecast([1.0])


def test_chunks_give_the_same_table():
    """Summaries of whole deals merge; those of other targets or windows do not."""
    whole = fixtures.history()
    months = fn.Horizon.months("2024-01-01", 12)
    table = Targets.from_columns(
        target=np.arange(24.0),
        region=np.repeat(["north", "nowhere"], 12),
        period=list(months.labels) * 2,
        periods=months,
    )
    parts = [summarize_attainment(part, targets=table) for part in whole.chunks(40)]
    merged = parts[0]
    for part in parts[1:]:
        merged = merged.merge(part)
    mine, theirs = merged.table().to_columns(), attainment(whole, table).to_columns()
    for name in ("region", "period", "won", "mark"):
        np.testing.assert_array_equal(theirs[name], mine[name])
    np.testing.assert_allclose(theirs["booked"], mine["booked"], rtol=1e-12)
    booked = fn.outcomes(whole).booked(*fn.Horizon.years("2024-01-01", 1).edges.tolist())
    assert pytest.approx(booked) == np.nansum(mine["booked"])
    with pytest.raises(SchemaMismatchError, match="Targets"):
        merged.merge(summarize_attainment(whole, targets=table.total(("region",)).total(())))
    with pytest.raises(SchemaMismatchError, match="window"):
        merged.merge(summarize_attainment(whole, targets=table, as_of="2025-01-01"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"target": [1.0, -1.0, 2.0]}, "known, finite and >= 0; 1 of 3"),
        ({"target": [1.0, np.nan, 2.0]}, "known, finite"),
        ({"target": ["a", "b", "c"]}, "must be numbers"),
        ({"target": 3.0}, "one number a row"),
        ({"owner": ["Ann", "Ann"]}, "one value for each of the 3 rows"),
        ({"period": ["2026-Q1", "2026-Q1", "2026-Q1"]}, "must not overlap"),
        ({"period": ["2026-Q1", "2026-Q9", "2026-Q1"]}, "Did you mean"),
        ({"periods": None}, "must be given by start="),
        ({"start": "2026-01-01"}, "must be given by start="),
    ],
)
def test_wrong_targets_are_refused(changes, message):
    """Each message says what must hold."""
    with pytest.raises(ValidationError, match=message):
        targets(**changes)


def test_wrong_days_are_refused():
    """A period that ends before it begins, a day that is missing."""
    with pytest.raises(ValidationError, match="before start"):
        Targets.from_columns(target=[1.0], start="2026-02-01", last="2026-01-01")
    with pytest.raises(ValidationError, match="given"):
        Targets.from_columns(target=[1.0], start=[None], last=["2026-01-01"])
    with pytest.raises(ValidationError, match="overlap"):
        Targets.from_columns(
            target=[1.0, 2.0], start=["2026-01-01", "2026-02-01"], last="2026-03-31"
        )


def test_wrong_columns_and_days_of_the_question_are_refused():
    """A key that is no column, one that is no category, a day after the history."""
    with pytest.raises(UnknownColumnError, match="Did you mean 'owner'"):
        attainment(
            history(BOOK),
            Targets.from_columns(target=[1.0], ovner="Ann", start="2026-01-01", last="2026-02-01"),
        )
    with pytest.raises(ValidationError, match="number column"):
        attainment(
            history(BOOK),
            Targets.from_columns(target=[1.0], amount="9", start="2026-01-01", last="2026-02-01"),
        )
    with pytest.raises(LeakError):
        attainment(history(BOOK), targets(), as_of="2027-01-01")


def test_targets_show_themselves():
    """One line, and columns under their own name."""
    assert "Targets(3 rows by owner, 300.00)" == repr(targets())
    assert [100.0, 120.0, 80.0] == targets().to_columns()["target"].tolist()
    assert "Targets(1 rows, 1.00)" in str(
        Targets.from_columns(target=[1.0], start="2026-01-01", end="2026-02-01")
    )


def test_a_table_without_rows_books_nothing():
    """No target, no row."""
    empty = Targets.from_columns(target=[], start=[], end=[])
    assert [] == attainment(history(BOOK), empty).booked.tolist()


def test_the_profile_of_the_past_is_learnt():
    """Ann's 60 of day 45 in the second third, Bo's 30 on the last day: 0, 2/3, 1/3."""
    found = booking_profile(history(BOOK), fn.Horizon.quarters("2026-01-01", 1), parts=3)
    assert pytest.approx([0.0, 60 / 90, 30 / 90]) == found
    with pytest.raises(ValidationError, match="observed days"):
        booking_profile(history(BOOK), fn.Horizon.quarters("2026-01-01", 3))
    with pytest.raises(ValidationError, match="parts"):
        booking_profile(history(BOOK), QUARTERS, parts=0)
    with pytest.raises(InsufficientDataError):
        booking_profile(history([(None, 1.0, "Ann")]), QUARTERS)
    with pytest.raises(CurrencyMismatchError):
        booking_profile(history(BOOK[:2], currency=["EUR", "EUR", "USD", "USD"]), QUARTERS)


# --- coverage ------------------------------------------------------------------------------------


def pipeline(**changes):
    """Ann has 100 and 300 open and 50 won, Bo 80 open and an unknown amount, Cy 10."""
    given = {
        "funnel": LADDER,
        "as_of": "2026-01-31",
        "id": list("ABCDEF"),
        "stage": ["Qualify", "Qualify", "Won", "Qualify", "Qualify", "Qualify"],
        "amount": [100.0, 300.0, 50.0, 80.0, np.nan, 10.0],
        "closed_on": [None, None, "2026-01-20", None, None, None],
        "owner": ["Ann", "Ann", "Ann", "Bo", "Bo", "Cy"],
    }
    return fn.Pipeline.from_columns(**{**given, **changes})


CHANCE = np.array([[0.5, 0.2], [0.1, 0.3], [np.nan, np.nan], [0.0, 0.5], [0.5, 0.5], [1.0, 0.0]])


def test_coverage_follows_from_the_conversion_of_the_deals():
    """(0.5 x 100 + 0.1 x 300) / 400 = 0.2: a gap of 50 needs 250, not three times 50."""
    found = coverage_needed(pipeline(), targets(), chance=CHANCE)
    assert [50.0, 0.0, 0.0] == found.booked.tolist()
    np.testing.assert_allclose([0.2, 110 / 400, 0.0], found.conversion)
    np.testing.assert_allclose([50.0, 120.0, 80.0], found.gap)
    np.testing.assert_allclose([250.0, 120 / (110 / 400), np.nan], found.needed)
    np.testing.assert_allclose([8.0, 400 / 120, 1.0], found.coverage)
    np.testing.assert_allclose([5.0, 400 / 110, np.nan], found.coverage_needed)
    np.testing.assert_allclose([-150.0, 120 / 0.275 - 400, np.nan], found.shortfall)
    assert [2, 2, 1] == found.deals.tolist()
    assert (found.low < found.conversion + 1e-12).all()
    assert (found.conversion < found.high).all()
    columns = found.to_columns()
    assert columns["needed_low"][0] < 250.0 < columns["needed_high"][0]
    assert any("1 open deals have no known amount" in note for note in found.notes)
    assert any("1 open deals are of groups without a target" in note for note in found.notes)
    assert "as of 2026-01-31" in str(found)


def test_the_interval_is_wilsons_for_the_weight_of_the_deals():
    """400^2 / (100^2 + 300^2) = 1.6 deals of which 0.32 are won; z = 1 at level 0.6827."""
    found = coverage_needed(pipeline(), targets(), chance=CHANCE, level=0.6826894921370859)
    n, p = 1.6, 0.2
    half = np.sqrt(p * (1 - p) / n + 1 / (4 * n * n)) / (1 + 1 / n)
    centre = (p + 1 / (2 * n)) / (1 + 1 / n)
    assert pytest.approx((centre - half, centre + half)) == (found.low[0], found.high[0])


def test_new_deals_and_given_bookings_lower_the_gap():
    """100 - 70 - 20 = 10; nothing is needed where the target is reached."""
    found = coverage_needed(
        pipeline(), targets(), chance=CHANCE, booked=[70.0, 200.0, 0.0], new=[20.0, 0.0, 0.0]
    )
    np.testing.assert_allclose([10.0, -80.0, 80.0], found.gap)
    np.testing.assert_allclose([50.0, 0.0, np.nan], found.needed)
    assert np.isnan(found.coverage[1])


def test_groups_and_periods_without_deals_are_marked():
    """Zed is not in the pipeline; a period that is over; nobody is open."""
    table = targets(owner=["Zed", "Ann", "Bo"])
    found = coverage_needed(pipeline(as_of="2026-04-30"), table, chance=CHANCE)
    assert ["not in the pipeline", "", "period is over"] == found.mark.tolist()
    assert np.isnan(found.open_amount[0])
    assert np.isnan(found.conversion[[0, 2]]).all()
    assert np.isnan(found.to_columns()["needed_high"][[0, 2]]).all()
    assert any("not in the pipeline" in note for note in found.notes)
    closed = pipeline(stage=["Lost"] * 6, closed_on=None, stage_entered=["2026-01-20"] * 6)
    none = coverage_needed(closed, targets(), chance=CHANCE)
    assert [0, 0, 0] == none.deals.tolist()
    assert np.isnan(none.conversion).all()
    assert any("no won deals" in note for note in none.notes)


def test_one_period_takes_one_chance_a_deal():
    """All owners: (50 + 30 + 0 + 10) / 490."""
    quarter = Targets.from_columns(target=[200.0], start="2026-01-01", end="2026-04-01")
    found = coverage_needed(pipeline(), quarter, chance=CHANCE[:, 0])
    assert pytest.approx(90 / 490) == found.conversion[0]
    same = coverage_needed(
        pipeline(), targets(period=["2026-Q1", "2026-Q2", "2026-Q1"]), by=(), chance=CHANCE
    )
    assert pytest.approx(90 / 490) == same.conversion[0]


def test_wrong_chances_and_amounts_are_refused():
    """Shapes, ranges, currencies."""
    with pytest.raises(ValidationError, match=r"shape \(6, 2\)"):
        coverage_needed(pipeline(), targets(), chance=CHANCE[:, 0])
    with pytest.raises(ValidationError, match="'A', row 0"):
        coverage_needed(pipeline(), targets(), chance=CHANCE + 0.6)
    with pytest.raises(ValidationError, match="booked"):
        coverage_needed(pipeline(), targets(), chance=CHANCE, booked=[1.0])
    with pytest.raises(ValidationError, match="new"):
        coverage_needed(pipeline(), targets(), chance=CHANCE, new=[1.0, np.nan, 2.0])
    with pytest.raises(CurrencyMismatchError):
        coverage_needed(pipeline(currency="EUR"), targets(currency="USD"), chance=CHANCE)


# --- factors of a gap ----------------------------------------------------------------------------


def test_the_parts_of_a_gap_add_up():
    """Against the index of Ang 2005 itself, and with what the factors do not make."""
    rng = np.random.default_rng(5)
    plan, actual = rng.lognormal(size=(2, 50, 4))
    found = gap_factors(plan, actual, days=90)
    np.testing.assert_allclose(found.gap, found.parts.sum(axis=1), rtol=1e-9)
    np.testing.assert_allclose(90 * decompose(actual, plan), found.parts)
    np.testing.assert_allclose(0.0, found.other, atol=1e-6 * np.abs(found.gap).max())
    given = gap_factors(plan, actual, days=90, target=np.full(50, 9.0), booked=np.full(50, 4.0))
    np.testing.assert_allclose(5.0, given.parts.sum(axis=1) + given.other)
    assert [*map(str, range(1, 51))] == given.to_columns()["name"].tolist()


def test_one_factor_takes_the_whole_gap():
    """Plan 90 x 20 x 0.25 x 100 / 30 = 1500; a cycle twice as long makes 750."""
    found = gap_factors([[20, 0.25, 100, 30]], [[20, 0.25, 100, 60]], days=90, names=["Ann"])
    np.testing.assert_allclose([[0.0, 0.0, 0.0, 750.0]], found.parts)
    assert "Ann" in str(found)
    assert pytest.approx(1500.0) == found.target[0]


def test_wrong_factors_are_refused():
    """Shapes, days, names, amounts."""
    four = [[20, 0.25, 100, 30]]
    with pytest.raises(ValidationError, match="shape"):
        gap_factors(four, four[0], days=90)
    with pytest.raises(ValidationError, match="days"):
        gap_factors(four, four, days=0)
    with pytest.raises(ValidationError, match="names"):
        gap_factors(four, four, days=90, names=["a", "b"])
    with pytest.raises(ValidationError, match="target"):
        gap_factors(four, four, days=90, target=[1.0, 2.0])


def test_more_groups_than_fit_are_refused():
    """Six columns of 60 categories are 61**6 combinations."""
    names = np.array([f"n{i}" for i in range(60)])
    keys = {f"k{i}": names for i in range(6)}
    table = Targets.from_columns(
        target=[1.0], start="2026-01-01", last="2026-02-01", **dict.fromkeys(keys, "n0")
    )
    deals = fn.Pipeline.from_columns(
        funnel=LADDER, as_of="2026-01-31", id=np.arange(60), stage=["Qualify"] * 60, **keys
    )
    with pytest.raises(ValidationError, match="combinations"):
        coverage_needed(deals, table, chance=np.zeros(60))


def test_a_column_of_columns_is_refused():
    """Two owners a row."""
    with pytest.raises(ValidationError, match="owner must hold one value"):
        targets(owner=[["Ann", "Bo"]] * 3)


def test_a_forecast_may_come_without_an_interval():
    """Only the mean."""
    found = attainment(history(BOOK), targets()).with_forecast([1.0, 2.0, 3.0])
    assert "low" not in found.to_columns()
