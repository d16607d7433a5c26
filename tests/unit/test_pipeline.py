"""Pipelines from a single export, and single deals as values."""

import datetime as dt
import json

import attrs
import numpy as np
import pytest

import funnel as fn
from funnel.errors import UnknownColumnError, UnknownStageError, ValidationError
from funnel.typing import NO_DAY

FUNNEL = fn.Funnel(
    [fn.Stage("Qualify", category="pipeline"), fn.Stage("Propose", category="commit")]
)
COLUMNS = {
    "funnel": FUNNEL,
    "as_of": "2026-06-30",
    "id": ["A", "B", "C", "D"],
    "stage": ["Propose", "Qualify", "Won", "Lost"],
    "amount": [100.0, np.nan, 30.0, 0.0],
    "created": ["2026-05-01", "2026-06-01", "2026-01-01", "2026-01-01"],
    "stage_entered": ["2026-06-01", "NaT", "2026-06-20", "2026-03-01"],
    "expected_close": ["2026-08-01", "NaT", "2026-06-15", "2026-06-15"],
    "currency": "EUR",
    "owner": ["Ann", "Bo", "Ann", ""],
    "seats": [5, 7, 1, 2],
    "signed": np.array(["2026-01-01", "NaT", "NaT", "NaT"], dtype="datetime64[D]"),
}


def pipeline(**changes):
    """The four deals above, with some arguments replaced."""
    return fn.Pipeline.from_columns(**{**COLUMNS, **changes})


def test_what_is_known_of_each_deal():
    """Days in stage count to the end of as_of; closed deals closed on entering their state."""
    table = pipeline()
    assert [29, -1, 10, 121] == table.days_in_stage.tolist()
    assert ["NaT", "NaT", "2026-06-20", "2026-03-01"] == table.to_columns()["closed_on"].astype(
        str
    ).tolist()
    assert [0, 0, 1, 2] == table.outcome.tolist()
    assert [-1] * 4 == table.pushes.tolist()
    assert "Pipeline(4 deals as of 2026-06-30, 2 open, 1 won, 1 lost)" == repr(table)
    assert ["category", "number", "date"] == [
        table.schema.column(name).kind for name in ("owner", "seats", "signed")
    ]


def test_a_given_closing_day_counts_before_the_stage_entry():
    """Open deals have no closing day, whatever is given."""
    table = pipeline(closed_on=["2026-06-01", "NaT", "2026-06-05", "NaT"])
    assert [True, True, False, False] == (table.closed_on == NO_DAY).tolist()
    assert "2026-06-05" == str(table[2].closed_on)


def test_stage_codes_are_accepted():
    """Applications may keep codes; a code that does not exist is an error."""
    assert pipeline(stage=[1, 0, 2, 3]).identical_to(pipeline())
    with pytest.raises(UnknownStageError, match=r"1 of 4 rows breaks this .first: '9', row 3"):
        pipeline(stage=[1, 0, 2, 9])


def test_deals_round_trip_through_objects_and_json():
    """list(pipeline) and back is the same table; so is each deal through JSON."""
    table = pipeline()
    deals = list(table)
    assert "Propose" == deals[0].stage
    assert None is deals[1].amount
    assert {"owner": "Ann", "seats": 5.0, "signed": dt.date(2026, 1, 1)} == dict(
        deals[0].attributes
    )
    assert table.identical_to(fn.Pipeline.from_opportunities(deals))
    again = [fn.Opportunity.from_dict(json.loads(json.dumps(deal.to_dict()))) for deal in deals]
    assert deals == again
    assert table[-1] == deals[3]
    with pytest.raises(IndexError):
        table[4]


def test_derived_state_round_trips():
    """Visits, pushes and stages reached survive the way through objects."""
    history = fn.History.from_columns(
        funnel=FUNNEL,
        id=["A"] * 3,
        stage=["Qualify", "Propose", "Qualify"],
        at=["2026-01-01", "2026-01-05", "2026-01-09"],
        expected_close=["2026-02-01", "2026-03-01", "2026-03-01"],
    )
    table = history.snapshot()
    again = fn.Pipeline.from_opportunities(list(table))
    assert table.identical_to(again)
    assert ([2], [1]) == (again.visits.tolist(), again.pushes.tolist())


def test_no_deals_at_all():
    """An empty list needs to be told its funnel and day."""
    none = fn.Pipeline.from_opportunities([], funnel=FUNNEL, as_of="2026-06-30")
    assert 0 == len(none)
    with pytest.raises(ValidationError, match="An empty list needs"):
        fn.Pipeline.from_opportunities([])
    other = attrs.evolve(pipeline()[0], as_of=dt.date(2026, 7, 1))
    with pytest.raises(ValidationError, match="2 days among 2 deals"):
        fn.Pipeline.from_opportunities([pipeline()[0], other])


def test_groups_are_sorted_and_unknown_is_a_group():
    """Every deal is in a group; several columns make keys of several values."""
    keys, codes = pipeline().groups(["owner"])
    assert ((("",), ("Ann",), ("Bo",)), [1, 2, 1, 0]) == (keys, codes.tolist())
    keys, codes = pipeline().groups(["stage", "owner"])
    assert (("Propose", "Ann"), ("Qualify", "Bo")) == (keys[1], keys[2])
    assert (((),), [0] * 4) == (pipeline().groups([])[0], pipeline().groups([])[1].tolist())
    with pytest.raises(ValidationError, match="'seats' is a number column"):
        pipeline().groups(["seats"])
    with pytest.raises(UnknownColumnError, match="Did you mean 'owner'"):
        pipeline().groups(["ownr"])


def test_own_category_before_that_of_the_stage():
    """A deal's own forecast category counts; without one its stage's."""
    table = pipeline(category=["Best Case", "", "", ""])
    names = [*fn.ForecastCategory, None]
    assert ["best case", "pipeline", None, None] == [names[code] for code in table.category]
    assert ["commit", "pipeline", None, None] == [names[code] for code in pipeline().category]


def test_require_names_what_is_missing():
    """A model's needs are checked before it is asked."""
    pipeline().require("stage_entered", "amount", "owner", "expected_close", "stage")
    with pytest.raises(ValidationError, match="visits is needed by the model"):
        pipeline().require("visits")
    with pytest.raises(ValidationError, match="amount is needed"):
        pipeline(amount=None).require("amount")
    with pytest.raises(UnknownColumnError):
        pipeline().require("region")
    pipeline().select(np.zeros(4, dtype=bool)).require("visits")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"id": ["A", "B", "A", "A"]}, "1 of 2 deals are there more than once .first: 'A', 3 rows"),
        ({"stage": ["Won"]}, "stage must have one value per row"),
        ({"created": ["2027-01-01"] * 4}, "created must not be after as_of; 4 of 4"),
        (
            {"stage_entered": ["2026-04-01", "NaT", "NaT", "NaT"]},
            "created must not be after stage_entered",
        ),
        ({"closed_on": ["NaT", "NaT", "2026-07-01", "NaT"]}, "closed_on must not be after as_of"),
        ({"amount": [-1.0, 1.0, 1.0, 1.0]}, r"first: 'A', row 0, -1.00"),
        ({"expected_close": ["2215-01-01", "NaT", "NaT", "NaT"]}, "2099-12-31"),
        ({"as_of": "30.06.2026"}, "as_of"),
        ({"amount": np.ones((4, 1))}, "amount must have one value per row"),
    ],
)
def test_bad_columns_are_refused_in_one_sentence(changes, words):
    """The message says what must hold and names the first offender."""
    with pytest.raises(ValidationError, match=words):
        pipeline(**changes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"id": " "}, "id must be a non-empty text"),
        ({"amount": -1.0}, "amount must be >= 0"),
        ({"pushes": -1}, "pushes must be a whole number"),
        ({"visits": 1.5}, "visits must be a whole number"),
        ({"reopened": True}, "reopened must be a whole number"),
        ({"created": "2026-07-01"}, "created must not be after as_of"),
        ({"closed_on": "2026-07-01"}, "still open"),
    ],
)
def test_one_deal_obeys_the_same_rules(changes, words):
    """Object and table share one table of rules."""
    base = {"id": "A", "funnel": FUNNEL, "as_of": "2026-06-30", "stage": "Qualify"}
    with pytest.raises(ValidationError, match=words):
        fn.Opportunity(**{**base, **changes})


def test_a_deal_is_a_value():
    """Equal by value, hashable, with NaN as unknown and stages by any of their names."""
    one = fn.Opportunity(
        id="A", funnel=FUNNEL, as_of="2026-06-30", stage="qualify", amount=float("nan")
    )
    assert "Qualify" == one.stage
    assert None is one.amount
    assert fn.Outcome.OPEN is one.outcome
    assert 1 == len({one, fn.Opportunity.from_dict(one.to_dict())})
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        one.amount = 1.0
    with pytest.raises(UnknownStageError):
        attrs.evolve(one, previous_stage="Nowhere")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"schema": "funnel.Opportunity/9"}, "schema must be 'funnel.Opportunity/1'"),
        ({"colour": 1}, "'colour'"),
    ],
)
def test_stored_deals_of_another_version_are_refused(change, words):
    """The schema version is checked, and unknown fields are named."""
    plain = {**pipeline()[0].to_dict(), **change}
    with pytest.raises(ValidationError, match=words):
        fn.Opportunity.from_dict(plain)
    with pytest.raises(ValidationError, match="'stage'"):
        fn.Opportunity.from_dict({k: v for k, v in pipeline()[0].to_dict().items() if k != "stage"})
