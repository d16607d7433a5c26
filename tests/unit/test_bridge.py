"""The bridge between two forecasts: every bar by hand, the deals behind it, and wrong questions."""

import json

import attrs
import numpy as np
import pytest

import funnel as fn
from funnel.errors import (
    CurrencyMismatchError,
    LeakError,
    SchemaMismatchError,
    UnknownModelError,
    ValidationError,
)
from funnel.forecasting.bridge import BARS, bridge, bridge_history
from funnel.typing import NO_DAY

LADDER = fn.Funnel(
    [
        fn.Stage("Qualify", win_probability=0.2),
        fn.Stage("Propose", win_probability=0.5),
        fn.Stage("Hold", win_probability=0.1, on_hold=True),
    ]
)
QUARTERS = fn.Horizon.quarters("2026-07-01", 2)
SHORT = fn.Horizon.custom(["2026-08-05", "2026-08-15"])
FIRST, LAST = "2026-07-31", "2026-08-31"
Q3, Q4 = "2026-09-10", "2026-11-10"


def pipeline(as_of, *deals, **more):
    """Build a pipeline from (id, stage, amount, promise, closed or None)."""
    ids, stages, amounts, promises, closed = zip(*deals, strict=True)
    return fn.Pipeline.from_columns(
        funnel=LADDER,
        as_of=as_of,
        id=list(ids),
        stage=list(stages),
        amount=[np.nan if amount is None else float(amount) for amount in amounts],
        expected_close=np.array(promises, dtype="datetime64[D]"),
        closed_on=np.array(closed, dtype="datetime64[D]"),
        **more,
    )


def textbook(pipeline, horizon=QUARTERS, by=()):
    """Forecast with typed probabilities: all of a deal's chance is in its promised period."""
    return fn.forecast(pipeline, horizon, "textbook", by=by)


def bars(found, group=0):
    """Return the bars that are not zero, by name."""
    amounts = dict(zip(BARS, found.amount[group].tolist(), strict=True))
    return {name: values for name, values in amounts.items() if any(values)}


def changed(before, after, horizon=QUARTERS):
    """Return the bars of one deal; None is a deal that is not there."""
    other = ("Z", "Lost", 1, Q3, "2026-01-10")
    was = pipeline(FIRST, other, *([("A", *before)] if before else []))
    now = pipeline(LAST, other, *([("A", *after)] if after else []))
    one, two = textbook(was, horizon), textbook(now, horizon)
    found = bars(bridge(one, two, was, now, same_model=two))
    start, end = found.pop("start", [0.0] * len(horizon)), found.pop("end", [0.0] * len(horizon))
    assert one.expected.tolist() == start
    assert two.expected.tolist() == end
    return found


OPEN = ("Propose", 100, Q3, None)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        # Chance 0.5 of 100 becomes 1 of 100.
        (OPEN, ("Won", 100, Q3, "2026-08-20"), {"booked since": [50, 0]}),
        # Promised for Q4, where 50 were expected, booked in Q3.
        (
            ("Propose", 100, Q4, None),
            ("Won", 100, Q4, "2026-08-20"),
            {"won earlier than expected": [100, -50]},
        ),
        # The last day of Q3 is in it, the first of Q4 is not.
        (
            ("Propose", 100, "2026-09-30", None),
            ("Won", 100, "2026-09-30", "2026-08-20"),
            {"booked since": [50, 0]},
        ),
        (
            ("Propose", 100, "2026-10-01", None),
            ("Won", 100, "2026-10-01", "2026-08-20"),
            {"won earlier than expected": [100, -50]},
        ),
        # An amount is changed first, at the old chance: 0.5 * (120 - 100), then 0.5 * 120.
        (
            OPEN,
            ("Won", 120, Q3, "2026-08-20"),
            {"amount changes": [10, 0], "booked since": [60, 0]},
        ),
        (OPEN, ("Lost", 100, Q3, "2026-08-20"), {"lost": [-50, 0]}),
        (OPEN, ("Removed", 100, Q3, "2026-08-20"), {"removed": [-50, 0]}),
        (OPEN, None, {"removed": [-50, 0]}),
        (("Lost", 100, Q3, "2026-07-10"), OPEN, {"reopened": [50, 0]}),
        (
            ("Lost", 100, Q3, "2026-07-10"),
            ("Won", 100, Q3, "2026-08-10"),
            {"reopened": [100, 0]},
        ),
        (("Removed", 100, Q3, "2026-07-10"), OPEN, {"reopened": [50, 0]}),
        # Won once more, on a later day: the money is booked in another quarter.
        (
            ("Won", 100, Q3, "2026-06-10"),
            ("Won", 100, Q3, "2026-08-10"),
            {"reopened": [100, 0]},
        ),
        (("Won", 100, Q3, "2026-07-10"), OPEN, {"no longer won": [-50, 0]}),
        (
            ("Won", 100, Q3, "2026-07-10"),
            ("Lost", 100, Q3, "2026-08-10"),
            {"no longer won": [-100, 0]},
        ),
        (("Qualify", 100, Q3, None), OPEN, {"moved up": [30, 0]}),
        # A stage counts before a promise.
        (("Qualify", 100, Q3, None), ("Propose", 100, Q4, None), {"moved up": [-20, 50]}),
        (OPEN, ("Qualify", 100, Q3, None), {"moved back": [-30, 0]}),
        (OPEN, ("Hold", 100, Q3, None), {"on hold": [-40, 0]}),
        (("Hold", 100, Q3, None), OPEN, {"off hold": [40, 0]}),
        (OPEN, ("Propose", 100, Q4, None), {"pushed": [-50, 50]}),
        (("Propose", 100, Q4, None), OPEN, {"pulled in": [50, -50]}),
        # Promised for a day after the last period, on both days.
        (
            ("Propose", 100, "2027-02-01", None),
            ("Propose", 100, "2027-02-01", None),
            {},
        ),
        (None, OPEN, {"created since": [50, 0]}),
        (None, ("Won", 100, Q3, "2026-08-20"), {"created since": [100, 0]}),
        (OPEN, ("Propose", 140, Q3, None), {"amount changes": [20, 0]}),
    ],
)
def test_each_bar_of_one_deal(before, after, expected):
    """One deal makes the bars that its two states call for, and they add up."""
    assert expected == changed(before, after)


@pytest.mark.parametrize(
    ("closed", "expected"),
    [
        ("2026-08-04", {"won earlier than expected": [-50]}),
        ("2026-08-05", {"booked since": [50]}),  # the first day of the period
        ("2026-08-14", {"booked since": [50]}),  # the last one
        ("2026-08-15", {"days passed": [-50]}),
    ],
)
def test_wins_at_the_edges_of_the_horizon(closed, expected):
    """A deal won outside of the periods takes away what they expected of it."""
    before, after = ("Propose", 100, "2026-08-10", None), ("Won", 100, "2026-08-10", closed)
    assert expected == changed(before, after, SHORT)


def test_a_win_without_a_closing_day():
    """Nobody can say when it was won: it is in no period, and not earlier than expected."""
    was, now = (
        pipeline(FIRST, ("A", *OPEN)),
        pipeline(LAST, ("A", "Won", 100, Q3, None)),
    )
    assert int(now.closed_on[0]) == NO_DAY
    found = bridge(textbook(was), textbook(now), was, now)
    assert bars(found) == {"start": [50, 0], "booked since": [-50, 0]}


def with_chance(outlook, chance):
    """Return the forecast with other chances of its deals."""
    return attrs.evolve(outlook, deals=attrs.evolve(outlook.deals, chance=np.array(chance)))


@pytest.mark.parametrize(
    ("chance", "bar"),
    [
        ([0.2, 0.3], "won earlier than expected"),
        ([0.3, 0.2], "booked since"),
        ([0.25, 0.25], "booked since"),
    ],
)
def test_without_a_promise_the_forecast_says_what_was_expected(chance, bar):
    """A deal without a promise is early where later periods had the larger chance."""
    was = pipeline(FIRST, ("A", "Propose", 100, Q3, None))
    nothing = np.full(1, NO_DAY, dtype=np.int32)
    was = attrs.evolve(was, columns={**was.columns, "expected_close": nothing})
    now = pipeline(LAST, ("A", "Won", 100, None, "2026-08-20"))
    before = with_chance(textbook(pipeline(FIRST, ("A", *OPEN))), [chance])
    found = bars(bridge(before, textbook(now), was, now))
    assert found[bar] == [100.0 * (1 - chance[0]), -100.0 * chance[1]]


@pytest.mark.parametrize(
    ("first", "last", "bar"),
    [(None, Q3, "pulled in"), (Q3, None, "pushed"), (None, None, "days passed")],
)
def test_no_promise_is_the_latest_of_all(first, last, bar):
    """A promise that appears is pulled in, one that vanishes is pushed."""
    was = pipeline(FIRST, ("A", "Propose", 100, first, None))
    now = pipeline(LAST, ("A", "Propose", 100, last, None))
    base = textbook(pipeline(FIRST, ("A", *OPEN)))
    after = attrs.evolve(with_chance(base, [[0.1, 0.0]]), as_of=now.as_of)
    found = bars(bridge(base, after, was, now, same_model=after))
    assert found == {"start": [50, 0], bar: [-40, 0], "end": [10, 0]}


def test_lost_deals_may_come_back():
    """What a lost deal is still expected to bring stays in the forecast."""
    was, now = pipeline(FIRST, ("A", *OPEN)), pipeline(LAST, ("A", "Lost", 100, Q3, "2026-08-20"))
    before = textbook(was)
    back = with_chance(before, [[0.0, 0.05]])
    after = attrs.evolve(back, as_of=now.as_of)
    found = bars(bridge(before, after, was, now))
    assert found == {"start": [50, 0], "lost": [-50, 5], "end": [0, 5]}
    again = pipeline(LAST, ("A", "Lost", 100, Q3, "2026-07-20"))
    earlier = pipeline(FIRST, ("A", "Lost", 100, Q3, "2026-07-20"))
    waned = attrs.evolve(with_chance(before, [[0.0, 0.02]]), as_of=now.as_of)
    found = bars(bridge(back, waned, earlier, again))
    assert found == {"start": [0, 5], "days passed": [0, -3], "end": [0, 2]}


def test_an_unknown_amount_that_becomes_known_is_an_amount_change():
    """It counted as the mean of the known ones: (60 + 100) / 2 = 80 at the chance 0.5."""
    others = (("B", "Propose", 60, Q3, None), ("C", "Propose", 100, Q3, None))
    was = pipeline(FIRST, ("A", "Propose", None, Q3, None), *others)
    now = pipeline(LAST, ("A", "Propose", 200, Q3, None), *others)
    after = textbook(now)
    found = bridge(textbook(was), after, was, now, same_model=after)
    assert bars(found) == {"start": [120, 0], "amount changes": [60, 0], "end": [180, 0]}
    assert found.deals("amount changes").ids.tolist() == ["A"]


def test_another_mean_of_unknown_amounts_is_no_amount_change():
    """A deal whose own amount stays unknown did nothing."""
    unknown = ("A", "Propose", None, Q3, None)
    was = pipeline(FIRST, unknown, ("B", "Propose", 60, Q3, None))
    now = pipeline(LAST, unknown, ("B", "Propose", 100, Q3, None))
    found = bridge(textbook(was), textbook(now), was, now)
    assert bars(found) == {
        "start": [60, 0],
        "amount changes": [20, 0],
        "days passed": [20, 0],
        "end": [100, 0],
    }
    assert found.deals("days passed").ids.tolist() == ["A"]


# -- groups ---------------------------------------------------------------------------------------


def regions(as_of, *deals):
    """Build a pipeline with a region for each deal, the last value of a row."""
    return pipeline(as_of, *(deal[:-1] for deal in deals), region=[deal[-1] for deal in deals])


def test_deals_that_change_the_group_take_their_money_along():
    """The old contribution leaves one group for the other, and changes there."""
    was = regions(FIRST, ("A", *OPEN, "north"), ("B", *OPEN, "south"))
    now = regions(LAST, ("A", "Won", 100, Q3, "2026-08-20", "south"), ("B", *OPEN, "south"))
    before, after = textbook(was, by=("region",)), textbook(now, by=("region",))
    found = bridge(before, after, was, now, same_model=after)
    assert (("north",), ("south",)) == found.keys
    assert bars(found) == {"start": [50, 0], "re-owned": [-50, 0]}
    assert bars(found, 1) == {
        "start": [50, 0],
        "re-owned": [50, 0],
        "booked since": [50, 0],
        "end": [150, 0],
    }
    columns = found.deals("re-owned").to_columns()
    assert columns["region"].tolist() == ["north", "south"]
    assert columns["change"].tolist() == [-50.0, 50.0]
    assert columns["deal"].tolist() == ["A", "A"]


def test_lost_deals_leave_from_the_group_they_were_in():
    """What is not in the second forecast has no other group there."""
    was = regions(FIRST, ("A", *OPEN, "north"))
    now = regions(LAST, ("A", "Lost", 100, Q3, "2026-08-20", "south"), ("B", *OPEN, "south"))
    found = bridge(textbook(was, by=("region",)), textbook(now, by=("region",)), was, now)
    assert bars(found) == {"start": [50, 0], "lost": [-50, 0]}
    assert bars(found, 1) == {"created since": [50, 0], "end": [50, 0]}


def test_a_chance_that_only_the_refitted_model_sees_is_in_the_group_of_its_day():
    """The old model gave up the lost deal, the new one sees it come back in its new group."""
    was = regions(FIRST, ("A", *OPEN, "north"))
    now = regions(LAST, ("A", "Lost", 100, Q3, "2026-08-20", "south"))
    before, same = textbook(was, by=("region",)), textbook(now, by=("region",))
    after = attrs.evolve(before, as_of=now.as_of, keys=(("south",),))
    found = bridge(before, after, was, now, same_model=same)
    assert bars(found) == {"start": [50, 0], "lost": [-50, 0]}
    assert bars(found, 1) == {"model refitted": [50, 0], "end": [50, 0]}


# -- models ---------------------------------------------------------------------------------------


def test_the_refitted_model_has_a_bar_of_its_own():
    """From the old model on the new day to the new one."""
    was, now = pipeline(FIRST, ("A", *OPEN)), pipeline(LAST, ("A", *OPEN))
    before = textbook(was)
    same = attrs.evolve(with_chance(before, [[0.4, 0.0]]), as_of=now.as_of)
    after = attrs.evolve(with_chance(before, [[0.3, 0.3]]), as_of=now.as_of, model="other")
    found = bridge(before, after, was, now, same_model=same)
    assert bars(found) == {
        "start": [50, 0],
        "days passed": [-10, 0],
        "model refitted": [-10, 30],
        "end": [30, 30],
    }
    assert found.notes == ()
    merged = bridge(before, after, was, now)
    assert bars(merged) == {"start": [50, 0], "days passed": [-20, 30], "end": [30, 30]}
    assert "same_model=" in merged.notes[0]
    assert "from 'textbook' to 'other', 2026-07-31 to 2026-08-31" in str(found)


def test_two_models_on_one_day_differ_by_the_model_alone():
    """Deals that only one of them holds are part of it."""
    deals = pipeline(FIRST, ("A", *OPEN), ("B", "Lost", 100, Q3, "2026-07-10"))
    one = textbook(deals)
    more = attrs.evolve(one.deals, ids=np.array(["B"], dtype=object))
    two = attrs.evolve(one, deals=one.deals.with_rows(more), model="hopeful")
    found = bridge(one, two, deals, deals)
    assert bars(found) == {"start": [50, 0], "model refitted": [50, 0], "end": [100, 0]}
    assert found.deals("model refitted").ids.tolist() == ["B"]
    assert found.notes == ()
    assert str(found).startswith(
        "Change of the forecast from 'textbook' to 'hopeful', 2026-07-31\n"
    )


def test_nothing_changed():
    """The cents of two equal forecasts are kept: 0.5 * 0.5 = 0.25."""
    deals = pipeline(FIRST, ("A", "Propose", 0.5, Q3, None))
    found = bridge(textbook(deals), textbook(deals), deals, deals)
    assert bars(found) == {"start": [0.25, 0], "end": [0.25, 0]}


def test_corrected_deals_of_one_day_are_bridged_with_the_old_model_on_the_new_deals():
    """With same_model, what the pipelines say counts, even of one day."""
    was, now = pipeline(FIRST, ("A", *OPEN)), pipeline(FIRST, ("A", "Propose", 140, Q3, None))
    after = textbook(now)
    found = bridge(textbook(was), after, was, now, same_model=after)
    assert bars(found) == {"start": [50, 0], "amount changes": [20, 0], "end": [70, 0]}
    with pytest.raises(ValidationError, match="Where the deals were corrected, give same_model="):
        bridge(textbook(was), after, was, now)
    again = pipeline(FIRST, ("A", "Propose", 140, Q3, None))  # another object, the same deals
    assert bars(bridge(after, after, now, again)) == {"start": [70, 0], "end": [70, 0]}


def totals(pipeline, booked, mean, keys=((),), by=()):
    """Return a forecast that knows no deals."""
    booked, mean = np.array(booked, dtype=float), np.array(mean, dtype=float)
    return fn.Forecast.from_moments(
        QUARTERS,
        pipeline.as_of,
        "",
        by=by,
        keys=keys,
        booked=booked,
        mean=mean,
        variance=mean * 10,
        model="run-rate",
    )


def test_forecasts_of_totals_have_two_bars():
    """Booked money is not told apart by deal; what is still to come is."""
    was, now = pipeline(FIRST, ("A", *OPEN)), pipeline(LAST, ("A", *OPEN))
    before = totals(was, [[10, 0]], [[40, 50]])
    after = totals(now, [[25, 0]], [[20, 45]])
    found = bridge(before, after, was, now, same_model=after)
    assert bars(found) == {
        "start": [50, 50],
        "still to come": [-20, -5],
        "not by deal": [15, 0],
        "end": [45, 45],
    }
    assert found.deals("not by deal").ids.tolist() == ["(not by deal)"]
    assert found.deals("still to come").ids.tolist() == ["(new deals)"] * 2
    assert found.count.sum() == 0  # no deals


def test_a_forecast_by_deal_and_one_of_totals():
    """Between two models of one day everything is the model."""
    deals = pipeline(FIRST, ("A", *OPEN))
    found = bridge(textbook(deals), totals(deals, [[10, 0]], [[30, 40]]), deals, deals)
    assert bars(found) == {"start": [50, 0], "model refitted": [-10, 40], "end": [40, 40]}
    detail = found.deals("model refitted").to_columns()
    assert detail["deal"].tolist() == ["A", "(new deals)", "(new deals)", "(not by deal)"]
    assert detail["change"].tolist() == pytest.approx([-50, 40, 30, 10])


# -- what is seen ---------------------------------------------------------------------------------


def example():
    """Return a bridge of three deals in two quarters."""
    was = pipeline(FIRST, ("A", *OPEN), ("B", *OPEN), ("C", *OPEN), created=["2026-05-01"] * 3)
    now = pipeline(
        LAST,
        ("A", "Won", 100, Q3, "2026-08-20"),
        ("B", "Propose", 100, Q4, None),
        ("C", "Propose", 100, Q4, None),
        ("D", "Propose", 33.33, Q3, None),
        ("E", "Propose", 10, Q3, None),
        created=["2026-05-01"] * 4 + ["2026-08-15"],
    )
    return bridge(textbook(was), textbook(now), was, now)


def test_shown_as_text():
    """Periods stand side by side; empty bars are left out; notes follow."""
    expected = """\
Change of the forecast by 'textbook', 2026-07-31 to 2026-08-31
bar            2026-Q3  2026-Q4  total
-------------  -------  -------  -----
start              150        0    150
booked since        50        0     50
pushed            -100      100      0
created since    21.66        0  21.66
end                122      100    222
"""
    # 100 + 0.5 * 33.33 + 0.5 * 10 = 121.665 is rounded half to even; money >= 100 has no cents.
    shown = str(example())
    assert shown.startswith(expected)
    assert "1 deals under 'created since' are older than the first day" in shown
    assert repr(example()) == "Bridge(2026-07-31 to 2026-08-31, 150 to 222, 2 periods)"


def test_groups_are_shown_with_all_of_them_below():
    """Each group has its block, the last is the sum."""
    was = regions(FIRST, ("A", *OPEN, "north"), ("B", *OPEN, ""))
    now = regions(LAST, ("A", "Lost", 100, Q3, "2026-08-20", "north"), ("B", *OPEN, ""))
    quarter = fn.Horizon.quarters("2026-07-01", 1)
    before, after = (textbook(deals, quarter, by=("region",)) for deals in (was, now))
    found = bridge(before, after, was, now, same_model=after)
    assert str(found).splitlines()[1:] == [
        "region     bar    2026-Q3",
        "---------  -----  -------",
        "(unknown)  start       50",
        "(unknown)  lost         0",
        "(unknown)  end         50",
        "north      start       50",
        "north      lost       -50",
        "north      end          0",
        "all        start      100",
        "all        lost       -50",
        "all        end         50",
    ]
    assert repr(found) == (
        "Bridge(2026-07-31 to 2026-08-31, 100 to 50, 1 periods, 2 groups by region)"
    )
    assert "<caption>Change of the forecast" in found._repr_html_()


def test_columns_have_a_row_for_each_group_period_and_bar():
    """Also for bars that are empty."""
    columns = example().to_columns()
    rows = list(zip(*(values.tolist() for values in columns.values()), strict=True))
    assert list(columns) == ["period", "bar", "deals", "amount"]
    assert len(rows) == 2 * len(BARS)
    assert ("2026-Q3", "pushed", 2, -100.0) in rows
    assert ("2026-Q4", "pushed", 2, 100.0) in rows
    assert ("2026-Q3", "start", 3, 150.0) in rows
    assert ("2026-Q4", "end", 2, 100.0) in rows


def test_plain_json_types():
    """Rows and notes, and what was asked."""
    found = json.loads(json.dumps(example().to_dict()))
    assert found["schema"] == "funnel.Bridge/1"
    assert (found["start"], found["end"], found["currency"]) == (FIRST, LAST, "")
    assert found["models"] == ["textbook", "textbook"]
    assert fn.Horizon.from_dict(found["horizon"]) == QUARTERS
    assert found["rows"][0] == {"period": "2026-Q3", "bar": "start", "deals": 3, "amount": 150.0}


def test_deals_behind_a_bar_the_largest_change_first():
    """A deal has a row for each period in which it changed."""
    found = example().deals("pushed")
    columns = found.to_columns()
    assert list(columns) == ["period", "deal", "before", "after", "change"]
    assert columns["deal"].tolist() == ["B", "B", "C", "C"]
    assert columns["period"].tolist() == ["2026-Q3", "2026-Q4"] * 2
    assert columns["change"].tolist() == [-50.0, 50.0] * 2
    assert str(found).startswith("Deals behind 'pushed'\n")
    assert example().deals("created since").ids.tolist() == ["D", "E"]
    assert len(example().deals("lost").ids) == 0


@pytest.mark.parametrize("bar", ["push", "start", "end"])
def test_there_is_no_such_bar(bar):
    """The forecasts themselves are no change."""
    with pytest.raises(ValidationError, match="bar must be a change of the bridge"):
        example().deals(bar)


def test_no_deals_at_all():
    """Two empty pipelines make a bridge of nothing, with and without groups."""
    empty = pipeline(FIRST, ("A", *OPEN), region="north").select(np.zeros(1, dtype=bool))
    later = attrs.evolve(empty, as_of=empty.as_of + 1)
    for by, shape in (((), (1, len(BARS), 2)), (("region",), (0, len(BARS), 2))):
        found = bridge(textbook(empty, by=by), textbook(later, by=by), empty, later)
        assert shape == found.cents.shape
        assert not found.cents.any()
        assert "start" in str(found)


# -- wrong questions ------------------------------------------------------------------------------


def test_wrong_pairs_of_forecasts():
    """Periods, groups and days must fit."""
    was, now = regions(FIRST, ("A", *OPEN, "north")), regions(LAST, ("A", *OPEN, "north"))
    before, after = textbook(was), textbook(now)
    with pytest.raises(ValidationError, match="after must not be made before the day of `before`"):
        bridge(after, before, now, was)
    other = textbook(now, fn.Horizon.quarters("2026-07-01", 3))
    with pytest.raises(ValidationError, match="after must be of the periods of `before`"):
        bridge(before, other, was, now)
    with pytest.raises(ValidationError, match="after must have the groups of `before`"):
        bridge(before, textbook(now, by=("region",)), was, now)
    with pytest.raises(ValidationError, match="same_model must be of the periods"):
        bridge(before, after, was, now, same_model=other)
    with pytest.raises(ValidationError, match="same_model must be made on the day of `after`"):
        bridge(before, after, was, now, same_model=before)


def test_wrong_pipelines():
    """They are those of the forecasts."""
    was, now = pipeline(FIRST, ("A", *OPEN)), pipeline(LAST, ("A", *OPEN), ("B", *OPEN))
    before, after = textbook(was), textbook(now)
    with pytest.raises(ValidationError, match="was must be of the day of its forecast"):
        bridge(before, after, now, now)
    with pytest.raises(ValidationError, match="now must be of the day of its forecast"):
        bridge(before, after, was, was)
    few = now.select(np.array([True, False]))
    with pytest.raises(ValidationError, match=r"after must be .* 1 of 2 rows .*first: 'B'") as info:
        bridge(before, after, was, few)
    assert info.value.rows == (1,)
    ladder = fn.Funnel(["Qualify", "Propose"])
    other = attrs.evolve(now, schema=attrs.evolve(now.schema, funnel=ladder))
    with pytest.raises(SchemaMismatchError, match="one funnel"):
        bridge(before, after, was, other)


def test_each_deal_is_there_once():
    """A repeated row would count twice, and stand for one deal."""
    was, now = pipeline(FIRST, ("A", *OPEN)), pipeline(LAST, ("A", *OPEN))
    before, after = textbook(was), textbook(now)
    twice = attrs.evolve(after, deals=after.deals.with_rows(after.deals))
    with pytest.raises(ValidationError, match="after must hold each deal once; 1 of 2 rows"):
        bridge(before, twice, was, now)


def test_same_model_has_the_groups_of_after():
    """Both are made of the deals of `now`."""
    was, now = regions(FIRST, ("A", *OPEN, "north")), regions(LAST, ("A", *OPEN, "north"))
    before, after = textbook(was, by=("region",)), textbook(now, by=("region",))
    odd = attrs.evolve(after, keys=(("south",),))
    with pytest.raises(ValidationError, match="same_model must have the deals of `after` in"):
        bridge(before, after, was, now, same_model=odd)


def test_currencies():
    """Money of two currencies has no difference; a forecast without known amounts is of any."""
    was = pipeline(FIRST, ("A", *OPEN), currency="EUR")
    now = pipeline(LAST, ("A", *OPEN), currency="USD")
    with pytest.raises(CurrencyMismatchError, match="'EUR', 'USD'"):
        bridge(textbook(was), textbook(now), was, now)
    now = pipeline(LAST, ("A", *OPEN))
    with pytest.raises(CurrencyMismatchError, match="'', 'EUR'"):
        bridge(textbook(was), textbook(now), was, now)
    gone = pipeline(LAST, ("A", "Lost", 100, Q3, "2026-08-20"), currency="EUR")
    found = bridge(textbook(was), textbook(gone), was, gone)
    assert found.currency == "EUR"
    assert "2026-08-31, EUR" in str(found)


# -- from a history -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def history():
    """Return two years of deals."""
    return fn.datasets.simulate(300, start="2024-01-01", end="2025-12-31", rng=2).history


QUARTER = fn.Horizon.quarters("2025-10-01", 1)


def test_one_call_makes_the_three_forecasts(history):
    """It is the bridge of the forecasts made by hand."""
    found = bridge_history(history, "2025-10-31", "2025-11-30", QUARTER, "win-rate", by=("region",))
    model = fn.forecasting.DealForecaster("win-rate")
    then, since = history.until("2025-10-31"), history.until("2025-11-30")
    was, now = then.snapshot(), since.snapshot()
    old, new = model.fit(then), model.fit(since)
    before, same, after = (
        old.forecast(was, QUARTER, by=("region",)),
        old.forecast(now, QUARTER, by=("region",)),
        new.forecast(now, QUARTER, by=("region",)),
    )
    expected = bridge(before, after, was, now, same_model=same)
    assert expected.cents.tolist() == found.cents.tolist()
    assert found.cents[:, BARS.index("model refitted")].any()
    assert found.cents[:, BARS.index("still to come")].any()


def test_a_fitted_forecaster_is_not_fitted_again(history):
    """Its model does not change."""
    fitted = fn.forecasting.DealForecaster("win-rate").fit(history.until("2025-10-31"))
    found = bridge_history(history, "2025-10-31", "2025-11-30", QUARTER, fitted)
    assert not found.cents[:, BARS.index("model refitted")].any()
    with pytest.raises(LeakError):
        bridge_history(history, "2025-09-30", "2025-11-30", QUARTER, fitted)


def test_wrong_days_and_names(history):
    """The days are observed, in their order."""
    with pytest.raises(ValidationError, match=r"end must be after start \(2025-11-30\)"):
        bridge_history(history, "2025-11-30", "2025-11-30", QUARTER)
    with pytest.raises(LeakError, match="observed until 2025-12-31"):
        bridge_history(history, "2025-11-30", "2026-11-30", QUARTER)
    with pytest.raises(UnknownModelError, match="win-rate"):
        bridge_history(history, "2025-10-31", "2025-11-30", QUARTER, "win-rates")
