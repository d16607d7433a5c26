"""Concentration against closed forms."""

import math

import numpy as np
import pytest

import funnel as fn
from funnel.errors import CurrencyMismatchError, UnknownColumnError, ValidationError
from funnel.metrics.concentration import concentration


def pipeline(amounts, *, stage=None, **columns):
    """Return a snapshot of deals with such amounts."""
    n = len(amounts)
    return fn.Pipeline.from_columns(
        funnel=fn.Funnel(["Qualify"]),
        as_of="2026-06-30",
        id=[f"D{i}" for i in range(n)],
        stage=stage or ["Qualify"] * n,
        amount=amounts,
        **columns,
    )


@pytest.mark.parametrize("n", [1, 4, 25])
def test_equal_deals_count_in_full(n):
    """Equal deals count in full by both measures, and k of n hold k / n."""
    found = concentration(pipeline([7.0] * n), per=())
    assert np.allclose([found.effective[0], found.effective_entropy[0]], n)
    assert np.allclose(found.shares[0], np.minimum([1, 5, 10], n) / n)


def test_unequal_deals():
    """Shares 1/2, 1/4, 1/4: squares add up to 3/8, and the entropy is 1.5 bits."""
    found = concentration(pipeline([50.0, 25.0, 25.0]), per=(), top=(1, 2))
    assert np.allclose(found.effective, 8 / 3)
    assert np.allclose(found.effective_entropy, 2**1.5)
    assert np.allclose(found.shares, [[0.5, 0.75]])
    assert [50.0] == found.without_largest.tolist()


def test_each_column_is_looked_at_by_itself():
    """Owners 3 : 1, customers 2 : 2, of which one is unknown."""
    deals = pipeline([1.0] * 4, owner=["Ann"] * 3 + ["Bo"], customer=["X", "X", "", ""])
    found = concentration(deals, per=("owner", "customer"))
    assert ("deal", "owner", "customer") == found.per
    assert [4, 2, 2] == found.units.tolist()
    assert np.allclose(found.effective, [4.0, 1 / (9 / 16 + 1 / 16), 2.0])
    assert ["D0", "Ann", "(unknown)"] == found.largest.tolist()
    assert [3.0, 1.0, 2.0] == found.without_largest.tolist()


def test_groups_and_promised_periods_have_rows():
    """By hand, by region and quarter: north 3 : 1 in Q3 and nothing in Q4; west has no deal."""
    quarters = fn.Horizon.quarters("2026-07-01", 2)
    deals = pipeline(
        [30.0, 10.0, 8.0, 5.0, 99.0],
        stage=["Qualify"] * 4 + ["Lost"],
        region=["north", "north", "south", "south", "west"],
        owner=["Ann", "Bo", "Ann", "Ann", "Bo"],
        expected_close=["2026-08-01", "2026-09-01", "2026-11-01", None, "2026-08-01"],
    )
    found = concentration(deals, by=("region",), promised=quarters, top=(1,))
    columns = found.to_columns()
    names = ("region", "period", "per", "deals", "top_1", "largest")
    rows = {row[:3]: row[3:] for row in zip(*(columns[name] for name in names), strict=True)}
    assert (2, 0.75, "D0") == rows["north", "2026-Q3", "deal"]
    assert (2, 0.75, "Ann") == rows["north", "2026-Q3", "owner"]
    assert (1, 1.0, "D2") == rows["south", "2026-Q4", "deal"]
    n, share, name = rows["west", "2026-Q3", "deal"]
    assert (0, "") == (n, name)
    assert np.isnan(share)
    assert ("1 open deals are promised for no period of the table",) == found.notes
    assert 12 == len(rows)


def test_chances_make_it_expected_money():
    """100 x 0.1 against 20 x 0.5: equal."""
    deals = pipeline([100.0, 20.0, 1e9], stage=["Qualify", "Qualify", "Lost"])
    found = concentration(deals, per=(), chance=[0.1, 0.5, math.nan])
    assert np.allclose(found.effective, 2.0)
    assert np.isclose(found.money, 20.0)


def test_what_is_not_known_is_said():
    """Unknown amounts are left out with a note."""
    text = str(concentration(pipeline([10.0, math.nan], currency="EUR"), per=()))
    assert "1 open deals without an amount are left out" in text
    assert "Concentration of 10 EUR, as of 2026-06-30" in text
    assert "100.0%" in text


@pytest.mark.parametrize("amounts", [[], [0.0, 0.0], [math.nan]])
def test_no_money_at_all(amounts):
    """Shares of nothing are unknown."""
    found = concentration(pipeline(amounts), per=())
    assert np.isnan(found.shares).all()
    assert np.isnan(found.effective).all()
    assert [0.0] == found.without_largest.tolist()


@pytest.mark.parametrize(
    ("question", "error", "message"),
    [
        ({}, UnknownColumnError, "owner"),
        ({"per": "owner"}, ValidationError, "into a tuple"),
        ({"per": ("amount",)}, ValidationError, "categories"),
        ({"per": (), "chance": [0.5]}, ValidationError, "one value per deal"),
        ({"per": (), "chance": [0.5, 1.5]}, ValidationError, "1 of 2 rows breaks this.*'D1'"),
        ({"per": (), "chance": [0.5, math.nan]}, ValidationError, "between 0 and 1"),
        ({"per": (), "top": ()}, ValidationError, "rising"),
        ({"per": (), "top": (5, 1)}, ValidationError, "rising"),
        ({"per": (), "top": (0, 1)}, ValidationError, "rising"),
    ],
)
def test_wrong_questions(question, error, message):
    """Each names what is wrong."""
    with pytest.raises(error, match=message):
        concentration(pipeline([1.0, 2.0]), **question)


def test_currencies_are_not_added_up():
    """One currency, or an error."""
    with pytest.raises(CurrencyMismatchError):
        concentration(pipeline([1.0, 2.0], currency=["EUR", "USD"]), per=())
