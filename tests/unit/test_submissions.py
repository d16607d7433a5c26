"""Human forecasts: tables, forecasters and bias, against sums done by hand."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import funnel as fn
from funnel.calendars import to_day
from funnel.errors import (
    CurrencyMismatchError,
    InsufficientDataError,
    LeakError,
    UnknownColumnError,
    ValidationError,
)
from funnel.forecasting import FittedForecaster, Forecaster
from funnel.forecasting._submissions_past import Ledger, Past
from funnel.forecasting._submissions_ratios import GRID, SPREAD, log_ratios, shrunk, spread_of
from funnel.forecasting.submissions import (
    CommitCorrected,
    HumanForecaster,
    Submissions,
    submission_bias,
)
from funnel.kernels.labels import texts

LADDER = fn.Funnel(["Qualify"])
MONTHS = fn.Horizon.months("2026-01-01", 12)
JULY = fn.Horizon.months("2026-07-01", 1)


def table(*rows, **columns):
    """Build submissions from rows of day, owner, label of the month, and amount."""
    on, owner, period, amount = zip(*rows, strict=True)
    return Submissions.from_columns(
        submitted_on=list(on),
        owner=list(owner),
        period=list(period),
        periods=MONTHS,
        amount=list(amount),
        **columns,
    )


def history(*won, until="2026-06-30", **columns):
    """Build a history of won deals (day, owner, amount) and an open one of Zoe's."""
    days, owners, amounts = zip(*won, strict=True)
    return fn.History.from_columns(
        funnel=LADDER,
        id=[*(f"D{row}" for row in range(len(won))), "open"],
        stage=["Won"] * len(won) + ["Qualify"],
        at=[*days, "2026-01-01"],
        amount=[*amounts, 5.0],
        owner=[*owners, "Zoe"],
        observed_from="2026-01-01",
        observed_until=until,
        **columns,
    )


def forecast(forecaster, past, horizon=JULY, **options):
    """Fit and forecast at the end of the history."""
    return forecaster.fit(past).forecast(past.snapshot(), horizon, **options)


def monthly(owners, said, booked, months=6):
    """Each owner says a figure on the first of each month and books another on the 20th."""
    labels = MONTHS.labels[: months + 1]
    rows = [
        (f"{label}-01", owner, label, amount)
        for label in labels
        for owner, amount in zip(owners, said, strict=True)
    ]
    won = [
        (f"{label}-20", owner, amount)
        for label in labels[:months]
        for owner, amount in zip(owners, booked, strict=True)
    ]
    return table(*rows), history(*won, until="2026-07-01")


# --- the table -----------------------------------------------------------------------------------


def test_rows_are_kept_in_order_and_read_only():
    """Sorted by kind, period, owner and day; nobody can write to them."""
    found = table(("2026-02-03", "Bo", "2026-02", 2.0), ("2026-01-03", "Ann", "2026-01", 1.0))
    assert ["Ann", "Bo"] == found.owner.tolist()
    assert [31, 28] == (found.end - found.start).tolist()
    with pytest.raises(ValueError, match="read-only"):
        found.amount[0] = 3.0


def test_periods_are_given_in_three_ways():
    """Labels, the day after, and the last day name the same period."""
    common = {"submitted_on": ["2026-01-03"], "owner": "Ann", "amount": [1.0]}
    one = Submissions.from_columns(**common, start="2026-01-01", end="2026-02-01")
    two = Submissions.from_columns(**common, start=["2026-01-01"], last=["2026-01-31"])
    three = Submissions.from_columns(**common, period="2026-01", periods=MONTHS)
    assert one.identical_to(two)
    assert one.identical_to(three)
    assert not one.identical_to(
        Submissions.from_columns(**common, start="2026-01-01", end="2026-02-01", currency="EUR")
    )


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"start": "2026-01-01"},
        {"period": "2026-01"},
        {"start": "2026-01-01", "end": "2026-02-01", "last": "2026-01-31"},
    ],
)
def test_a_period_is_given_in_one_way(given):
    """Anything else is an error that names the ways."""
    with pytest.raises(ValidationError, match="the period must be given by start="):
        Submissions.from_columns(submitted_on=["2026-01-03"], owner="Ann", amount=[1.0], **given)


@pytest.mark.parametrize(
    ("kind", "spelt"),
    [
        ("Commit", "commit"),
        ("Best_Case", "best case"),
        ("BestCase", "best case"),
        ("Manager’s call", "manager's call"),
        ("manager-call", "manager's call"),
        (" Upside ", "upside"),
    ],
)
def test_kinds_are_spelt_alike(kind, spelt):
    """Case, blanks, hyphens and underscores are free; other names are kept."""
    assert (spelt,) == table(("2026-01-03", "Ann", "2026-01", 1.0), kind=kind).kinds


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"owner": ["Ann", ""]}, "owner must not be empty; 1 of 2 rows breaks this"),
        ({"kind": ["commit", ""]}, "kind must not be empty"),
        ({"amount": [1.0, None]}, "amount must be known; 1 of 2 rows breaks this"),
        ({"amount": [1.0, -2.0]}, r"amount must be finite and >= 0; .*'Bo', -2.00"),
        ({"amount": [1.0, np.inf]}, "amount must be finite and >= 0"),
        ({"amount": ["x", "y"]}, "amount must be numbers"),
        ({"amount": [[1.0], [2.0]]}, "amount must hold one number a row"),
        ({"owner": ["Ann"]}, "owner must hold one value for each of the 2 rows"),
        ({"end": ["2026-02-01", "2026-01-01"]}, "end must be after start"),
        ({"submitted_on": ["2026-01-05", "2026-02-01"]}, "submitted_on must be before the end"),
        ({"submitted_on": ["2026-01-05", None]}, "submitted_on must be given"),
    ],
)
def test_wrong_rows_are_refused(change, message):
    """Each rule names the first row that breaks it."""
    columns = {
        "submitted_on": ["2026-01-05", "2026-01-31"],
        "owner": ["Ann", "Bo"],
        "kind": ["commit", "commit"],
        "start": "2026-01-01",
        "end": ["2026-02-01", "2026-02-01"],
        "amount": [1.0, 2.0],
    }
    with pytest.raises(ValidationError, match=message):
        Submissions.from_columns(**{**columns, **change})


def test_unknown_labels_are_refused():
    """The message proposes the closest one."""
    with pytest.raises(ValidationError, match=r"'2026-1'.* Did you mean '2026-1"):
        table(("2026-01-03", "Ann", "2026-1", 1.0))


def test_the_last_of_one_day_counts_and_the_other_is_reported():
    """Same owner, period, kind and day: row 0 is left out."""
    found = table(("2026-01-03", "Ann", "2026-01", 1.0), ("2026-01-03", "Ann", "2026-01", 2.0))
    assert [2.0] == found.amount.tolist()
    assert [(0, "duplicate-submission", "Ann")] == [
        (finding.row, finding.rule, finding.value) for finding in found.findings
    ]


def test_latest_is_what_was_known():
    """By owner and period, within the periods of the horizon only."""
    found = table(
        ("2026-07-01", "Ann", "2026-07", 1.0),
        ("2026-07-08", "Ann", "2026-07", 2.0),
        ("2026-07-15", "Ann", "2026-07", 3.0),
        ("2026-07-02", "Bo", "2026-07", 4.0),
        ("2026-07-02", "Bo", "2026-08", 5.0),
    )
    assert [2.0, 4.0] == found.latest("2026-07-14", JULY).amount.tolist()
    assert [2.0, 4.0, 5.0] == (
        found.latest("2026-07-14", fn.Horizon.quarters("2026-07-01", 1)).amount.tolist()
    )
    weeks = fn.Horizon.weeks("2026-07-01", 4)
    assert 0 == len(found.latest("2026-07-14", weeks))
    assert "Submissions(0 rows)" == repr(found.until("2026-01-01"))


def test_a_table_is_shown_and_converted():
    """Text, HTML and a dataframe hold every column."""
    found = table(("2026-01-03", "Ann", "2026-01", 1.0), team="north")
    assert "north" in str(found)
    assert "<table>" in found._repr_html_()
    assert ["submitted_on", "owner", "kind", "start", "end", "amount", "team"] == list(
        found.to_frame().columns
    )
    assert ["north"] == found.column("team").tolist()
    with pytest.raises(UnknownColumnError, match="Did you mean 'team'"):
        found.column("teams")


# --- the forecaster ------------------------------------------------------------------------------

WON = (("2026-05-10", "Ann", 80.0), ("2026-06-10", "Bo", 40.0))


def test_the_last_submissions_are_added_up():
    """Ann's second figure and Bo's: 120 + 50."""
    submissions = table(
        ("2026-06-01", "Ann", "2026-07", 100.0),
        ("2026-06-20", "Ann", "2026-07", 120.0),
        ("2026-06-20", "Bo", "2026-07", 50.0),
    )
    forecaster = HumanForecaster(submissions)
    fitted = forecaster.fit(history(*WON))
    assert isinstance(forecaster, Forecaster)
    assert isinstance(fitted, FittedForecaster)
    found = fitted.forecast(history(*WON).snapshot(), JULY)
    assert [170.0] == pytest.approx(found.expected.tolist())
    assert ("commit", "commit") == (forecaster.name, found.model)
    assert to_day("2026-06-30") == fitted.trained_until


def test_the_spread_without_a_past_is_the_prior():
    """Var = 0.4**2 (120**2 + 50**2) + 0.2**2 (170**2), the priors of the docstring."""
    submissions = table(
        ("2026-06-20", "Ann", "2026-07", 120.0), ("2026-06-20", "Bo", "2026-07", 50.0)
    )
    found = forecast(HumanForecaster(submissions), history(*WON))
    assert 0.16 * (120**2 + 50**2) + 0.04 * 170**2 == pytest.approx(float(found.sd[0]) ** 2)
    assert any("rests on 0 past periods" in note for note in found.notes)


def test_what_is_booked_counts_in():
    """In mid-July: Ann has booked more than she said, Bo 10 of 50, and Cy, who says nothing, 7."""
    submissions = table(
        ("2026-06-20", "Ann", "2026-07", 60.0), ("2026-06-20", "Bo", "2026-07", 50.0)
    )
    past = history(
        ("2026-07-03", "Ann", 70.0),
        ("2026-07-05", "Bo", 10.0),
        ("2026-07-06", "Cy", 7.0),
        until="2026-07-15",
    )
    found = forecast(HumanForecaster(submissions), past)
    assert [127.0] == pytest.approx(found.expected.tolist())
    assert [87.0] == found.parts["booked"].expected.tolist()
    by = forecast(HumanForecaster(submissions), past, by=("owner",))
    assert (("Ann",), ("Bo",), ("Cy",), ("Zoe",)) == by.keys
    assert [70.0, 50.0, 7.0, 0.0] == pytest.approx(
        [float(by.group(key).expected[0]) for key in by.keys]
    )


def test_groups_by_a_column_of_the_submissions():
    """Teams as last said: Ann has moved to the south."""
    submissions = table(
        ("2026-06-01", "Ann", "2026-07", 60.0),
        ("2026-06-20", "Ann", "2026-07", 70.0),
        ("2026-06-20", "Bo", "2026-07", 50.0),
        team=["north", "south", "north"],
    )
    found = forecast(HumanForecaster(submissions), history(*WON), by=("team",))
    assert [50.0, 70.0] == pytest.approx(
        [float(found.group(key).expected[0]) for key in ("north", "south")]
    )
    with pytest.raises(UnknownColumnError, match="region"):
        forecast(HumanForecaster(submissions), history(*WON), by=("region",))


def test_periods_are_made_up_of_parts():
    """A quarter of three months; those that have ended are what was booked, not what was said."""
    submissions = table(
        ("2026-06-20", "Ann", "2026-07", 60.0),
        ("2026-06-20", "Ann", "2026-08", 50.0),
        ("2026-06-20", "Ann", "2026-09", 40.0),
        ("2026-06-20", "Bo", "2026-08", 9.0),
    )
    quarter = fn.Horizon.quarters("2026-07-01", 1)
    before = forecast(HumanForecaster(submissions), history(*WON), quarter)
    assert [150.0] == pytest.approx(before.expected.tolist())
    assert any("1 of 2 people" in note and "'Bo'" in note for note in before.notes)
    past = history(("2026-07-10", "Ann", 20.0), ("2026-08-02", "Ann", 30.0), until="2026-08-10")
    during = forecast(HumanForecaster(submissions), past, quarter)
    assert [20.0 + 50.0 + 40.0] == pytest.approx(during.expected.tolist())


def test_the_longest_submission_counts():
    """A figure for the quarter goes before figures for its months."""
    months = table(*(("2026-06-20", "Ann", f"2026-0{month}", 10.0) for month in (7, 8, 9)))
    columns = {name: months.to_columns()[name].tolist() for name in ("start", "end", "amount")}
    both = Submissions.from_columns(
        submitted_on="2026-06-20",
        owner="Ann",
        start=[*columns["start"], "2026-07-01"],
        end=[*columns["end"], "2026-10-01"],
        amount=[*columns["amount"], 99.0],
    )
    quarter = fn.Horizon.quarters("2026-07-01", 1)
    found = forecast(HumanForecaster(both), history(*WON), quarter)
    assert [99.0] == pytest.approx(found.expected.tolist())


def test_a_period_that_has_ended_needs_no_submission():
    """June is what was booked in June, with no spread."""
    submissions = table(("2026-06-20", "Ann", "2026-07", 60.0))
    found = forecast(
        HumanForecaster(submissions), history(*WON), fn.Horizon.months("2026-06-01", 2)
    )
    assert [40.0, 60.0] == pytest.approx(found.expected.tolist())
    assert 0.0 == found.sd[0]


def test_a_period_that_nobody_covers_is_named():
    """August has no submission; the message says which period and as of when."""
    submissions = table(("2026-06-20", "Ann", "2026-07", 60.0))
    message = "no commit that was submitted by 2026-06-30 covers the period '2026-08'"
    with pytest.raises(InsufficientDataError, match=message):
        forecast(HumanForecaster(submissions), history(*WON), fn.Horizon.months("2026-07-01", 2))


def test_unknown_kinds_columns_and_currencies_are_refused():
    """At once, with a hint."""
    submissions = table(("2026-06-20", "Ann", "2026-07", 60.0), currency="EUR")
    with pytest.raises(ValidationError, match="Did you mean 'commit'"):
        HumanForecaster(submissions, kind="comit")
    with pytest.raises(UnknownColumnError, match="rep"):
        HumanForecaster(submissions, column="rep").fit(history(*WON))
    with pytest.raises(ValidationError, match="must be made of categories"):
        HumanForecaster(submissions, column="amount").fit(history(*WON))
    with pytest.raises(CurrencyMismatchError, match="'EUR', 'USD'"):
        HumanForecaster(submissions).fit(history(*WON, currency="USD"))
    mixed = history(*WON, currency=["EUR", "USD", "EUR"])
    with pytest.raises(CurrencyMismatchError, match="'EUR', 'USD'"):
        HumanForecaster(submissions).fit(mixed)
    with pytest.raises(UnknownColumnError, match="team"):
        CommitCorrected(submissions, team="team")
    found = forecast(HumanForecaster(submissions), history(*WON, currency="EUR"))
    assert "EUR" == found.currency


def test_strangers_and_unknown_amounts_are_said():
    """A person without a deal counts as said; a win without an amount counts as 0."""
    submissions = table(("2026-06-20", "Kim", "2026-07", 60.0))
    past = history(("2026-06-20", "Ann", None))
    found = forecast(HumanForecaster(submissions), past)
    assert [60.0] == pytest.approx(found.expected.tolist())
    assert any("1 people who submitted have no deal" in note for note in found.notes)
    assert any("1 won deals have no amount" in note for note in found.notes)


def test_a_fitted_forecaster_does_not_go_back():
    """It has seen what people booked later."""
    submissions = table(("2026-05-20", "Ann", "2026-07", 60.0))
    fitted = HumanForecaster(submissions).fit(history(*WON))
    with pytest.raises(LeakError, match=r"history.until\(as_of\)"):
        fitted.forecast(history(*WON).snapshot("2026-06-01"), JULY)


def test_chunks_and_threads_give_the_same():
    """Bookings merge; the windows of all chunks must agree."""
    submissions, past = monthly(["Ann", "Bo"], [100.0, 80.0], [90.0, 20.0])
    whole = forecast(CommitCorrected(submissions), past)
    with ThreadPoolExecutor(2) as executor:
        fitted = CommitCorrected(submissions).fit(list(past.chunks(3)), executor=executor)
    split = fitted.forecast(past.snapshot(), JULY)
    assert (whole.expected.tolist(), whole.sd.tolist()) == (
        split.expected.tolist(),
        split.sd.tolist(),
    )
    with pytest.raises(ValidationError, match="one observed_from and one observed_until"):
        HumanForecaster(submissions).fit([past, past.until("2026-05-01")])


@pytest.mark.parametrize("forecaster", [HumanForecaster, CommitCorrected])
@pytest.mark.parametrize("seed", range(3))
def test_nothing_of_later_days_is_seen(forecaster, seed):
    """Submissions after the cutoff, and what was booked then, change no bit of the forecast."""
    rng = np.random.default_rng(seed)
    rows = [
        (f"{label}-{day:02d}", owner, later, float(rng.integers(50, 150)))
        for place, label in enumerate(MONTHS.labels)
        for later in MONTHS.labels[place : place + 2]
        for day in (3, 17)
        for owner in ("Ann", "Bo")
    ]
    won = [
        (f"{label}-{day:02d}", owner, float(rng.integers(20, 90)))
        for label in MONTHS.labels
        for day in (9, 23)
        for owner in ("Ann", "Bo")
    ]
    cutoff, horizon = "2026-08-11", fn.Horizon.months("2026-08-01", 2)

    def changed(row):
        """Give what happened after the cutoff another amount."""
        return row if row[0] <= cutoff else (*row[:-1], float(rng.integers(1, 10_000)))

    found = []
    for said, booked in ((rows, won), (list(map(changed, rows)), list(map(changed, won)))):
        past = history(*booked, until="2026-12-31")
        fitted = forecaster(table(*said)).fit(past.until(cutoff))
        outlook = fitted.forecast(past.snapshot(cutoff), horizon, by=("owner",))
        found.append((outlook.expected.tobytes(), outlook.sd.tobytes(), outlook.notes))
    assert found[0] == found[1]


# --- bias ----------------------------------------------------------------------------------------


def test_people_are_corrected_by_their_past():
    """Bo books half of what he says: his figure is between half and all of it, Ann's stays."""
    submissions, past = monthly(["Ann", "Bo"], [100.0, 100.0], [100.0, 50.0])
    found = forecast(CommitCorrected(submissions), past, by=("owner",))
    ann, bo = (float(found.group(name).expected[0]) for name in ("Ann", "Bo"))
    assert 50.0 < bo < 70.0
    assert 90.0 < ann < 101.0
    assert "commit-corrected" == CommitCorrected(submissions).name
    plain = forecast(HumanForecaster(submissions), past)
    assert [200.0] == pytest.approx(plain.expected.tolist())


def test_the_correction_is_that_of_the_bias_table():
    """Submissions on the first day: the lead is the same, so are the ratios."""
    submissions, past = monthly(["Ann", "Bo"], [100.0, 100.0], [100.0, 50.0])
    found = forecast(CommitCorrected(submissions), past, by=("owner",))
    bias = submission_bias(submissions, past)
    assert ["", "Ann", "Bo"] == bias.owner.tolist()
    assert [12, 6, 6] == bias.periods.tolist()
    assert [900.0, 600.0, 300.0] == bias.booked.tolist()
    assert [1200.0, 600.0, 600.0] == bias.submitted.tolist()
    expected = [float(found.group(name).expected[0]) for name in ("Ann", "Bo")]
    assert (100.0 * bias.ratio[1:]).tolist() == pytest.approx(expected)
    assert np.all((bias.low < bias.ratio) & (bias.ratio < bias.high))


def test_bias_by_lead_time_and_team():
    """Two weeks before the end the second figure is in force, four weeks before the first."""
    submissions = table(
        ("2026-01-02", "Ann", "2026-01", 200.0),
        ("2026-01-12", "Ann", "2026-01", 100.0),
        ("2026-01-02", "Bo", "2026-01", 50.0),
        team=["north", "north", "south"],
    )
    past = history(("2026-01-20", "Ann", 100.0), ("2026-01-20", "Bo", 50.0))
    bias = submission_bias(submissions, past, team="team", weeks=(2, 4))
    rows = list(
        zip(
            *(column.tolist() for column in (bias.weeks, bias.team, bias.owner, bias.submitted)),
            strict=True,
        )
    )
    assert [
        (2.0, "north", "", 100.0),
        (2.0, "north", "Ann", 100.0),
        (2.0, "south", "", 50.0),
        (2.0, "south", "Bo", 50.0),
        (4.0, "north", "", 200.0),
        (4.0, "north", "Ann", 200.0),
        (4.0, "south", "", 50.0),
        (4.0, "south", "Bo", 50.0),
    ] == rows
    mean = submission_bias(submissions, past, team="team")
    assert 150.0 == mean.submitted[mean.owner == "Ann"][0]
    assert "80 % intervals" in str(mean)


def test_zeros_have_a_ratio():
    """Nothing booked shrinks towards 0, nothing said and booked is no bias: all is finite."""
    submissions, past = monthly(["Ann", "Bo", "Cy"], [100.0, 0.0, 0.0], [0.0, 0.0, 30.0])
    bias = submission_bias(submissions, past)
    assert np.isfinite([bias.ratio, bias.low, bias.high]).all()
    ratio = dict(zip(bias.owner.tolist(), bias.ratio.tolist(), strict=True))
    assert ratio["Ann"] < ratio["Bo"] < ratio["Cy"]
    nothing, past = monthly(["Ann"], [0.0], [0.0])
    assert [1.0, 1.0] == pytest.approx(submission_bias(nothing, past).ratio.tolist())
    found = forecast(CommitCorrected(nothing), past)
    assert [0.0] == found.expected.tolist()


def test_owners_that_the_history_does_not_know_are_named():
    """How many rows, the first one, and the closest name."""
    submissions = table(
        ("2026-05-03", "Ann", "2026-05", 1.0), ("2026-05-03", "Annn", "2026-05", 1.0)
    )
    message = r"1 of 2 rows breaks this \(first: row 1, 'Annn'\). Did you mean 'Ann'"
    with pytest.raises(ValidationError, match=message):
        submission_bias(submissions, history(*WON))


def test_wrong_arguments_of_the_bias():
    """No period that has ended, odd weeks, and no probability."""
    future = table(("2026-06-03", "Ann", "2026-07", 1.0))
    with pytest.raises(InsufficientDataError, match="seen to their end"):
        submission_bias(future, history(*WON))
    submissions = table(("2026-05-03", "Ann", "2026-05", 1.0))
    for weeks in ((-1,), (1.5,), (True,)):
        with pytest.raises(ValidationError, match="weeks must be whole numbers"):
            submission_bias(submissions, history(*WON), weeks=weeks)
    with pytest.raises(ValidationError, match="coverage"):
        submission_bias(submissions, history(*WON), coverage=1.0)


def test_periods_that_were_not_seen_from_the_beginning_do_not_count():
    """January began before the history."""
    submissions = table(
        ("2026-01-03", "Ann", "2026-01", 1.0), ("2026-05-03", "Ann", "2026-05", 80.0)
    )
    past = history(("2026-01-20", "Ann", 9.0), ("2026-05-10", "Ann", 80.0))
    late = fn.History.from_columns(
        funnel=LADDER,
        id=["A", "B"],
        stage=["Won", "Won"],
        at=["2026-01-20", "2026-05-10"],
        amount=[9.0, 80.0],
        owner=["Ann", "Ann"],
        observed_from="2026-01-15",
        observed_until="2026-06-30",
    )
    assert 2 == submission_bias(submissions, past).periods[0]
    assert 1 == submission_bias(submissions, late).periods[0]


def test_the_lead_time_is_the_same_point_of_the_period():
    """On 1 July the figures of the first day are in force, also in months of 28 and 30 days."""
    submissions, past = monthly(["Ann"], [100.0], [50.0])
    revised = table(
        *(
            (f"{label}-{day}", "Ann", label, said)
            for label in MONTHS.labels[:6]
            for day, said in (("01", 100.0), ("02", 1.0))
        ),
        ("2026-07-01", "Ann", "2026-07", 100.0),
    )
    expected = forecast(CommitCorrected(submissions), past)
    found = forecast(CommitCorrected(revised), past)
    assert expected.expected.tolist() == found.expected.tolist()
    assert expected.sd.tolist() == found.sd.tolist()


# --- arithmetic ----------------------------------------------------------------------------------


def test_log_ratios_by_hand():
    """A mean of 100 gives c = 10; A = S = 200, so x = 0; the residuals are 50 each."""
    past = Past(
        owner=np.array([0, 0]),
        period=np.array([0, 1]),
        said=np.array([100.0, 100.0]),
        so_far=np.zeros(2),
        booked=np.array([50.0, 150.0]),
    )
    x, variance = log_ratios(past, 2)
    size = (2 * 100.0**2 + 10.0**2) / 2
    noise = (2 * 50.0**2 / size + 2 * 0.25) / (1 + 2)
    assert [0.0, 0.0] == pytest.approx(x.tolist())
    assert noise * (2 * 100.0**2 + 10.0**2) / 210.0**2 == pytest.approx(variance[0])
    assert np.inf == variance[1]


def test_shrinkage_agrees_with_dense_normal_algebra():
    """Oracle: posterior of a joint normal at each point of the grid, inverted in full."""
    x, v = np.array([-0.5, 0.2, 0.1]), np.array([0.04, 0.1, 0.02])
    team = np.array([0, 0, 1])
    same = (team[:, None] == team).astype(float)
    weights, means, seconds = [], [], []
    for s in GRID:
        for t in GRID:
            prior = s**2 * np.eye(3) + t**2 * same
            total = prior + np.diag(v)
            gain = prior @ np.linalg.inv(total)
            log = -0.5 * (np.linalg.slogdet(total)[1] + x @ np.linalg.solve(total, x))
            weights.append(log - 0.5 * (s**2 + t**2) / SPREAD**2)
            means.append(gain @ x)
            seconds.append(np.diag(prior - gain @ prior) + (gain @ x) ** 2)
    chance = np.exp(np.array(weights) - max(weights))
    chance /= chance.sum()
    found = shrunk(x, v, team, 2)
    mean = chance @ np.array(means)
    assert mean.tolist() == pytest.approx(found.mean.tolist())
    assert (chance @ np.array(seconds) - mean**2).tolist() == pytest.approx(found.variance.tolist())


def test_somebody_without_a_past_is_like_the_team():
    """An infinite variance leaves the mean of the team, and more doubt than the team's own."""
    x, v = np.array([-0.5, -0.5, 0.0]), np.array([0.01, 0.01, np.inf])
    found = shrunk(x, v, np.zeros(3, int), 1)
    assert found.team_mean[0] == pytest.approx(found.mean[2])
    assert found.variance[2] > found.team_variance[0]


def test_the_error_is_split_into_a_shared_and_an_own_part():
    """All miss by 20 % to the same side in each period: k = p = 0.04, nothing is own."""
    forecasts = np.full(8, 100.0)
    past = Past(
        owner=np.tile(np.arange(4), 2),
        period=np.repeat([0, 1], 4),
        said=forecasts,
        so_far=np.zeros(8),
        booked=np.repeat([80.0, 120.0], 4),
    )
    found = spread_of(past, forecasts)
    # two periods against a prior worth two: half of each
    assert (0.5 * 0.04 + 0.5 * 0.04, 0.5 * 0.16) == pytest.approx((found.shared, found.own))
    split = past._replace(booked=np.tile([80.0, 120.0], 4))
    other = spread_of(split, forecasts)
    assert (0.5 * 0.04, 0.5 * 0.04 + 0.5 * 0.16) == pytest.approx((other.shared, other.own))
    alone = spread_of(past._replace(period=np.arange(8)), forecasts)
    # one person a period: 0.04 is divided as the prior is, 1 to 4, eight periods against two
    assert (0.8 * 0.008 + 0.2 * 0.04, 0.8 * 0.032 + 0.2 * 0.16) == pytest.approx(
        (alone.shared, alone.own)
    )


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 40), st.integers(0, 9)), max_size=30),
    st.integers(-5, 45),
    st.integers(-5, 45),
)
def test_a_ledger_adds_up_what_lies_between(rows, start, stop):
    """Oracle: a sum over the rows."""
    owner = texts([row[0] for row in rows])
    days = np.array([row[1] for row in rows], dtype=np.int32)
    ledger = Ledger.of(owner, days, np.array([float(row[2]) for row in rows]))
    found = ledger.between(ledger.codes(texts(["a", "b", "z"])), start, stop)
    expected = [
        float(sum(row[2] for row in rows if row[0] == name and start <= row[1] < stop))
        for name in ("a", "b", "z")
    ]
    assert expected == found.tolist()
