"""Overrides of managers: what they change, when, and what stays."""

import numpy as np
import pytest

import funnel as fn
from funnel.errors import ValidationError
from funnel.forecasting import DealForecaster, FittedForecaster, Forecaster
from funnel.forecasting.overrides import Overridden, Overrides
from funnel.models.textbook import Textbook

QUARTERS = fn.Horizon.quarters("2026-07-01", 2)
BASE = DealForecaster(Textbook(), arrivals=None)
# Textbook, project ladder: negotiation 70 %, proposal 50 %.


def history(until="2026-07-10"):
    """Open: 100 at 70 % and 200 at 50 % in Q3, 100 at 70 % in Q4; 30 booked in the north."""
    return fn.History.from_columns(
        funnel=fn.Funnel.template("project"),
        id=["A", "B", "C", "W"],
        stage=["negotiation", "proposal", "negotiation", "won"],
        at=["2026-06-01", "2026-06-01", "2026-06-01", "2026-07-02"],
        amount=[100.0, 200.0, 100.0, 30.0],
        expected_close=["2026-08-15", "2026-09-15", "2026-11-15", "2026-07-02"],
        region=["north", "south", "south", "north"],
        team=["x", "x", "y", "y"],
        observed_until=until,
    )


def overrides(**columns):
    """Build overrides of the third quarter by Eve."""
    given = {"made_on": "2026-07-05", "start": "2026-07-01", "end": "2026-10-01", "made_by": "Eve"}
    return Overrides.from_columns(**{**given, **columns})


def layers(table, horizon=QUARTERS, by=()):
    """Forecast with overrides on top of the textbook."""
    past = history()
    return Overridden(BASE, table).fit(past).layers(past.snapshot(), horizon, by=by)


# --- the table -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"amount": [1.0], "factor": [2.0]}, "amount or factor must be given, and not both"),
        ({"amount": [None]}, "amount or factor must be given, and not both"),
        ({"amount": [-1.0]}, "amount must be finite and >= 0"),
        ({"factor": [np.inf]}, "factor must be finite and >= 0"),
        ({"factor": [1.0], "made_by": ""}, "made_by must not be empty"),
        ({"factor": [1.0], "made_on": "2026-10-01"}, "made_on must be before the end"),
        ({"factor": [1.0], "region": "north", "team": ""}, "keys must name a group in full"),
    ],
)
def test_wrong_rows_are_refused(change, message):
    """Each rule names the first row that breaks it."""
    with pytest.raises(ValidationError, match=message):
        overrides(**change)


def test_the_last_of_one_day_counts_and_the_table_is_shown():
    """Two rows of the same day for the total: the second is kept."""
    found = overrides(factor=[0.5, 0.7], reason="storm")
    assert [0.7] == found.factor.tolist()
    assert 1 == found.findings.count("duplicate-override")
    assert "storm" in str(found)
    assert "Overrides(1 rows: 0 of amounts, 1 of factors)" == repr(found)
    assert 0 == len(found.until("2026-07-04"))


# --- the forecaster ------------------------------------------------------------------------------


def test_an_amount_replaces_the_total_of_its_period():
    """Base: 30 booked + 70 + 100 in Q3. Overridden to 115: 85 of 170 are to come, half the sd."""
    found = layers(overrides(amount=[115.0]))
    assert [200.0, 70.0] == pytest.approx(found.base.expected.tolist())
    assert [115.0, 70.0] == pytest.approx(found.after.expected.tolist())
    assert [0.5, 1.0] == pytest.approx((found.after.sd / found.base.sd).tolist())
    assert [30.0, 0.0] == found.after.parts["booked"].expected.tolist()
    assert "textbook+overrides" == found.after.model
    assert "2026-Q3: the total to 115 by Eve" in found.after.notes


def test_a_factor_scales_what_is_still_to_come():
    """30 + 1.2 * 170; an amount below what is booked leaves what is booked, for certain."""
    assert 234.0 == pytest.approx(layers(overrides(factor=[1.2])).after.expected[0])
    floor = layers(overrides(amount=[10.0])).after
    assert (30.0, 0.0) == (floor.expected[0], floor.sd[0])


def test_the_last_override_known_wins():
    """Made on the 3rd, 8th and 12th; on the 10th the second one holds."""
    found = layers(
        overrides(made_on=["2026-07-03", "2026-07-08", "2026-07-12"], amount=[300.0, 230.0, 999.0])
    )
    assert 230.0 == pytest.approx(found.after.expected[0])


def test_later_overrides_change_no_bit():
    """Leak-free: what is made after the day of the forecast is not seen."""
    one = overrides(made_on=["2026-07-05", "2026-07-11"], factor=[0.9, 0.1])
    two = overrides(made_on=["2026-07-05", "2026-07-20"], factor=[0.9, 7.0])
    found = [layers(table).after for table in (one, two)]
    assert found[0].expected.tobytes() == found[1].expected.tobytes()
    assert found[0].sd.tobytes() == found[1].sd.tobytes()


def test_without_overrides_the_forecast_is_the_one_below():
    """Deals and distribution stay; only the name tells the layer."""
    found = layers(overrides(made_on="2026-07-11", factor=[0.5]))
    assert found.base.deals is found.after.deals
    assert ("textbook", "textbook+overrides") == (found.base.model, found.after.model)


def test_overrides_of_other_periods_are_said():
    """July is no period of the horizon; last year's is not spoken of."""
    found = layers(
        overrides(
            start=["2026-07-01", "2025-07-01"],
            end=["2026-08-01", "2025-10-01"],
            made_on="2025-09-01",
            factor=[0.5, 0.5],
        )
    )
    assert found.base.expected.tolist() == found.after.expected.tolist()
    notes = [note for note in found.after.notes if note.startswith("not applied")]
    assert 1 == len(notes)
    assert "the total times 0.5 by Eve, 2026-07-01 to 2026-08-01" in notes[0]


def test_groups_are_overridden_by_name():
    """North: 30 + 70 becomes 30 + 140; the south stays, and the total is their sum."""
    table = overrides(amount=[170.0], region="north")
    found = layers(table, by=("region",)).after
    assert [170.0, 0.0] == pytest.approx(found.group("north").expected.tolist())
    assert [100.0, 70.0] == pytest.approx(found.group("south").expected.tolist())
    total = layers(table)
    assert [270.0, 70.0] == pytest.approx(total.after.expected.tolist())
    # variances: north 0.21 * 100**2 becomes four times as much, south 0.25 * 200**2 stays
    ratio = (4 * 2_100 + 10_000) / (2_100 + 10_000)
    assert [ratio, 1.0] == pytest.approx(((total.after.sd / total.base.sd) ** 2).tolist())


def test_groups_of_other_columns_hold_their_share():
    """By team: the north's 30 lie with y, its 70 with x; both regions of x are added up."""
    found = layers(overrides(amount=[170.0], region="north"), by=("team",)).after
    assert [240.0, 0.0] == pytest.approx(found.group("x").expected.tolist())
    assert [30.0, 70.0] == pytest.approx(found.group("y").expected.tolist())


def test_the_total_is_overridden_after_its_groups():
    """North 170 and south 100 are 240 to come; the total of 150 halves what is to come."""
    table = overrides(
        made_on=["2026-07-06", "2026-07-05"], amount=[170.0, 150.0], region=["north", ""]
    )
    found = layers(table, by=("region",)).after
    assert [30.0 + 70.0, 50.0] == pytest.approx(
        [float(found.group(key).expected[0]) for key in ("north", "south")]
    )


def test_money_where_nothing_was_expected():
    """North expects nothing in Q4: 50 with a standard deviation of 50."""
    table = overrides(start="2026-10-01", end="2027-01-01", amount=[50.0], region="north")
    found = layers(table, by=("region",)).after.group("north")
    assert [100.0, 50.0] == pytest.approx(found.expected.tolist())
    assert 50.0 == pytest.approx(found.sd[1])
    total = layers(table)
    assert [200.0, 120.0] == pytest.approx(total.after.expected.tolist())


def test_unknown_groups_are_said():
    """There is no east."""
    found = layers(overrides(factor=[0.5], region="east"), by=("region",)).after
    assert 200.0 == pytest.approx(found.expected[0])
    assert any("there is no such group: east times 0.5" in note for note in found.notes)


def test_it_is_a_forecaster():
    """It fits, forecasts and names itself; what is none is refused."""
    forecaster = Overridden(BASE, overrides(factor=[0.5]))
    fitted = forecaster.fit(history())
    assert isinstance(forecaster, Forecaster)
    assert isinstance(fitted, FittedForecaster)
    assert fitted.trained_until == fitted.forecaster.trained_until
    assert 30.0 + 85.0 == pytest.approx(
        fitted.forecast(history().snapshot(), QUARTERS, by="region").expected[0]
    )
    assert forecaster.name.endswith("+overrides")
    with pytest.raises(ValidationError, match="Lift a stage model"):
        Overridden(Textbook(), overrides(factor=[0.5]))
