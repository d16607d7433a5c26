"""Waterfalls of scripted histories, in which every bar is known by hand."""

import numpy as np
import pytest

import funnel as fn
from funnel.errors import (
    CurrencyMismatchError,
    LeakError,
    SchemaMismatchError,
    UnknownColumnError,
    ValidationError,
)
from funnel.metrics.waterfall import BARS, _summarize, waterfall

NAN = float("nan")
LADDER = fn.Funnel(["Qualify", fn.Stage("Hold", on_hold=True)], lost=("Lost", "Cancelled"))
# deal, day of January 2026, state, amount, owner, expected close
ROWS = [
    ("amount", 1, "Qualify", 100.0, "Ann", "2026-02-10"),
    ("amount", 12, "Qualify", 130.5, "Ann", "2026-02-10"),
    ("amount", 14, "Qualify", 120.25, "Ann", "2026-02-10"),
    ("created", 15, "Qualify", 10.0, "Ann", "2026-02-10"),
    ("hold", 1, "Qualify", 7.0, "Ann", "2026-02-10"),
    ("hold", 13, "Hold", 9.0, "Ann", "2026-02-10"),
    ("known", 1, "Qualify", NAN, "Ann", "2026-02-10"),
    ("known", 13, "Qualify", 40.0, "Ann", "2026-02-10"),
    ("unknown", 1, "Qualify", 41.0, "Ann", "2026-02-10"),
    ("unknown", 13, "Qualify", NAN, "Ann", "2026-02-10"),
    ("lost", 1, "Qualify", 20.0, "Ann", "2026-02-10"),
    ("lost", 13, "Lost", 0.0, "Ann", "2026-02-10"),
    ("moved", 1, "Qualify", 30.0, "Ann", "2026-02-10"),
    ("moved", 13, "Qualify", 33.0, "Bo", "2026-02-10"),
    ("off hold", 1, "Hold", 8.0, "Ann", "2026-02-10"),
    ("off hold", 13, "Qualify", 8.0, "Ann", "2026-02-10"),
    ("pulled", 1, "Qualify", 50.0, "Ann", "2026-04-10"),
    ("pulled", 13, "Qualify", 50.0, "Ann", "2026-02-20"),
    ("pushed", 1, "Qualify", 60.0, "Ann", "2026-02-10"),
    ("pushed", 13, "Qualify", 60.0, "Ann", "2026-05-10"),
    ("quick", 13, "Won", 5.0, "Ann", "2026-02-10"),
    ("removed", 1, "Qualify", 70.0, "Ann", "2026-02-10"),
    ("removed", 13, "Removed", 70.0, "Ann", "2026-02-10"),
    ("reopened", 1, "Lost", 80.0, "Ann", "2026-02-10"),
    ("reopened", 13, "Qualify", 81.0, "Ann", "2026-02-10"),
    ("won", 1, "Qualify", 90.0, "Ann", "2026-02-10"),
    ("won", 13, "Won", 95.0, "Ann", "2026-02-10"),
]
DAYS = ("2026-01-10", "2026-01-20")


def build(rows=ROWS, **changes):
    """Build a history of rows."""
    ids, days, stages, amounts, owners, promises = zip(*rows, strict=True)
    columns = {
        "funnel": LADDER,
        "id": ids,
        "at": [f"2026-01-{day:02}" for day in days],
        "stage": stages,
        "amount": amounts,
        "owner": owners,
        "expected_close": promises,
        "observed_until": "2026-01-31",
    }
    return fn.History.from_columns(**{**columns, **changes})


def bars(found, row=0):
    """Return (deals, amount) of the bars in which something moved."""
    columns = (found.moves, found.count, found.amount)
    values = zip(BARS, *(column[row].tolist() for column in columns), strict=True)
    return {name: (deals, amount) for name, moves, deals, amount in values if moves}


def test_every_bar_has_its_deal():
    """One deal for each bar; the amounts are those of the script."""
    assert bars(waterfall(build(), *DAYS)) == {
        # amount 100, hold 7, known ?, unknown 41, lost 20, moved 30, pulled 50, pushed 60,
        # removed 70, won 90
        "start": (10, 468.0),
        "created": (2, 15.0),  # created 10, and quick 5: a win passes through
        "reopened": (1, 81.0),
        "off hold": (1, 8.0),
        "amount known": (0, 40.0),
        "amount up": (0, 38.5),  # 30.5, moved 3, won 5
        "amount down": (0, -10.25),
        "amount unknown": (0, -41.0),
        "on hold": (-1, -7.0),  # with the amount before
        "won": (-2, -100.0),  # with the amount booked: 95 and 5
        "lost": (-1, -20.0),  # with the amount before, not the 0 that was written down
        "removed": (-1, -70.0),
        "end": (9, 402.25),
    }


def test_deals_change_owner():
    """A deal goes with its old amount, and changes it with its new owner."""
    found = waterfall(build(), *DAYS, by=("owner",))
    assert ["Ann", "Bo"] == found.to_columns()["owner"][:: len(BARS)].tolist()
    assert bars(found, 0)["re-owned out"] == (-1, -30.0)
    assert bars(found, 1) == {
        "re-owned in": (1, 30.0),
        "amount up": (0, 3.0),
        "end": (1, 33.0),
    }


def test_promises_move_between_periods():
    """Pulled and pushed, out of one quarter and into another."""
    quarters = fn.Horizon.quarters("2026-01-01", 2)
    found = waterfall(build(), *DAYS, promised=quarters)
    first, second = bars(found, 0), bars(found, 1)
    assert (first["pulled in"], first["pushed out"]) == ((1, 50.0), (-1, -60.0))
    assert (second["pulled out"], second["pushed in"]) == ((-1, -50.0), (1, 60.0))
    assert ["2026-Q1", "2026-Q2"] == found.to_columns()["period"][:: len(BARS)].tolist()
    assert "observed" not in found.to_columns()


def test_a_promise_that_is_taken_back_is_pushed():
    """No promise counts as the latest day of all."""
    rows = [
        ("A", 1, "Qualify", 5.0, "Ann", "2026-02-10"),
        ("A", 13, "Qualify", 5.0, "Ann", None),
        ("B", 1, "Qualify", 6.0, "Ann", None),
        ("B", 13, "Qualify", 6.0, "Ann", "2026-02-10"),
    ]
    found = bars(waterfall(build(rows), *DAYS, promised=fn.Horizon.quarters("2026-01-01", 1)))
    assert found["pushed out"] == (-1, -5.0)
    assert found["pulled in"] == (1, 6.0)


def test_a_scope_is_a_set_of_values():
    """Deals that come to have a value of the scope are re-owned in."""
    found = waterfall(build(), *DAYS, where={"owner": ("Bo",)})
    assert bars(found) == {"re-owned in": (1, 30.0), "amount up": (0, 3.0), "end": (1, 33.0)}


def test_a_group_without_deals_has_its_row():
    """Bo has no deal at all before the 13th."""
    found = waterfall(build(), "2026-01-05", "2026-01-12", by=("owner",))
    assert bars(found, 1) == {}
    assert 2 == len(found.cells)


def test_deals_behind_a_bar():
    """The largest change first, and each with its moves."""
    found = waterfall(build(), *DAYS)
    assert ["won", "quick"] == found.deals("won").ids.tolist()
    assert [-95.0, -5.0] == found.deals("won").amount.tolist()
    assert [1, -1] == [
        int(found.deals(bar).unknown[0]) for bar in ("amount unknown", "amount known")
    ]
    assert 0 == len(found.deals("currency effect").ids)
    assert "Deals behind 'won'" in str(found.deals("won"))
    with pytest.raises(ValidationError, match="Did you mean 'won'"):
        found.deals("wun")


def test_the_text_leaves_empty_bars_out():
    """What did not move anywhere is not shown; both ends are, and what has to be known."""
    text = str(waterfall(build(), *DAYS))
    assert "currency effect" not in text
    assert "unknown count as deals, and as no money" in text
    assert "Open pipeline from 2026-01-10 to 2026-01-20" in text
    assert waterfall(build(), *DAYS).to_dict()["schema"] == "funnel.Waterfall/1"


def test_deals_recorded_late_are_said():
    """A deal that is older than the first day and was written down after it."""
    rows = [("A", 15, "Qualify", 5.0, "Ann", None)]
    found = waterfall(build(rows, created=["2026-01-02"], observed_from="2026-01-01"), *DAYS)
    assert bars(found)["created"] == (1, 5.0)
    assert "1 deals under 'created' are older" in str(found)


def test_amounts_that_are_known_in_the_end_only():
    """A win's amount is known once it is booked; that of an open deal on the last day only."""
    rows = [
        ("A", 1, "Qualify", 5.0, "Ann", None),
        ("B", 1, "Qualify", 6.0, "Ann", None),
        ("B", 13, "Won", 6.0, "Ann", None),
    ]
    history = build(rows, known={"amount": "final"})
    before = bars(waterfall(history, *DAYS))
    assert before["won"] == (-1, -6.0)
    assert before["end"] == (1, 0.0)
    assert bars(waterfall(history, "2026-01-20", "2026-01-31")) == {
        "start": (1, 0.0),
        "amount known": (0, 5.0),
        "end": (1, 5.0),
    }


EURO = [
    ("A", 1, "Qualify", 100.0, "Ann", None),
    ("A", 13, "Qualify", 150.0, "Ann", None),
    ("B", 1, "Qualify", 10.0, "Ann", None),
]
RATES = {"EUR": {"2026-01-01": 1.0, "2026-01-12": 1.1, "2026-01-20": 1.2}}


def test_the_currency_effect_of_rates():
    """100 and 10 at 1.0; A gains 10 by the rate of the 13th, then 50 x 1.1; then 160 x 0.1."""
    found = waterfall(build(EURO, currency="EUR"), *DAYS, rates=RATES, to="USD")
    assert bars(found) == {
        "start": (2, 110.0),
        "amount up": (0, 55.0),
        # A: 100 x 0.1 on the 13th, 150 x 0.1 on the 20th; B: 10 x 0.2
        "currency effect": (0, 27.0),
        "end": (2, 192.0),  # (150 + 10) x 1.2
    }
    assert "USD" == found.currency


def test_the_currency_effect_of_a_converted_history():
    """Between two rows of a deal only: 100 x 0.1, then 50 x 1.1."""
    converted = build(EURO, currency="EUR").convert(RATES, to="USD", on="row")
    found = bars(waterfall(converted, *DAYS))
    assert found["currency effect"] == (0, 10.0)
    assert found["amount up"] == (0, 55.0)


def test_currencies_are_not_added_up():
    """Two currencies need rates, and rates need the name of the common one."""
    mixed = build(EURO, currency=["EUR", "EUR", "USD"])
    with pytest.raises(CurrencyMismatchError):
        waterfall(mixed, *DAYS)
    assert waterfall(mixed, *DAYS, rates=RATES, to="USD").amount[0, 0] == 110.0
    with pytest.raises(ValidationError, match="together with rates"):
        waterfall(mixed, *DAYS, rates=RATES)


@pytest.mark.parametrize(
    ("days", "scope", "error", "message"),
    [
        (("2025-12-31", "2026-01-20"), {}, ValidationError, "observed_from"),
        (("2026-01-10", "2026-02-20"), {}, LeakError, "observed until"),
        (("2026-01-10", "2026-01-10"), {}, ValidationError, "must be after start"),
        (DAYS, {"by": ("ownr",)}, UnknownColumnError, "Did you mean 'owner'"),
        (DAYS, {"by": "owner"}, ValidationError, "sequence"),
        (DAYS, {"by": ("amount",)}, ValidationError, "categories"),
        (DAYS, {"where": {"amount": ("1",)}}, ValidationError, "categories"),
        (DAYS, {"where": {"owner": "Ann"}}, ValidationError, "into a tuple"),
        (DAYS, {"where": {"owner": ("Anne",)}}, ValidationError, "Did you mean 'Ann'"),
    ],
)
def test_wrong_questions(days, scope, error, message):
    """Each names what is wrong."""
    with pytest.raises(error, match=message):
        waterfall(build(), *days, **scope)


def test_columns_without_a_history_cannot_be_a_scope():
    """An owner that is known in the end only, or promises that are."""
    history = build(known={"owner": "final", "expected_close": "final"})
    for scope in ({"by": ("owner",)}, {"promised": fn.Horizon.quarters("2026-01-01", 1)}):
        with pytest.raises(ValidationError, match="only the last value is known"):
            waterfall(history, *DAYS, **scope)


def test_amounts_too_large_for_cents():
    """What an int64 cannot add up is refused."""
    with pytest.raises(ValidationError, match="must add up to less than"):
        waterfall(build([("A", 1, "Qualify", 1e17, "Ann", None)]), *DAYS)


def test_summaries_of_other_days_do_not_merge():
    """Two windows are two questions."""
    scope = {"by": (), "where": {}, "promised": None, "money": None}
    one, other = (
        _summarize(build(), start=start, end="2026-01-20", **scope)
        for start in ("2026-01-10", "2026-01-11")
    )
    with pytest.raises(SchemaMismatchError, match="same two days"):
        one.merge(other)


def test_an_empty_history():
    """No deals: two empty ends."""
    history = build().select(np.zeros(14, dtype=np.bool_))
    assert bars(waterfall(history, *DAYS)) == {}
