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
    found = concentration(pipeline([7.0] * n), by=())
    assert np.allclose([found.effective[0], found.effective_entropy[0]], n)
    assert np.allclose(found.shares[0], np.minimum([1, 5, 10], n) / n)


def test_unequal_deals():
    """Shares 1/2, 1/4, 1/4: squares add up to 3/8, and the entropy is 1.5 bits."""
    found = concentration(pipeline([50.0, 25.0, 25.0]), by=(), top=(1, 2))
    assert np.allclose(found.effective, 8 / 3)
    assert np.allclose(found.effective_entropy, 2**1.5)
    assert np.allclose(found.shares, [[0.5, 0.75]])
    assert [50.0] == found.without_largest.tolist()


def test_each_column_is_looked_at_by_itself():
    """Owners 3 : 1, customers 2 : 2, of which one is unknown."""
    deals = pipeline([1.0] * 4, owner=["Ann"] * 3 + ["Bo"], customer=["X", "X", "", ""])
    found = concentration(deals, by=("owner", "customer"))
    assert ("deal", "owner", "customer") == found.per
    assert [4, 2, 2] == found.units.tolist()
    assert np.allclose(found.effective, [4.0, 1 / (9 / 16 + 1 / 16), 2.0])
    assert ["D0", "Ann", "(unknown)"] == found.largest.tolist()
    assert [3.0, 1.0, 2.0] == found.without_largest.tolist()


def test_chances_make_it_expected_money():
    """100 x 0.1 against 20 x 0.5: equal."""
    deals = pipeline([100.0, 20.0, 1e9], stage=["Qualify", "Qualify", "Lost"])
    found = concentration(deals, by=(), chance=[0.1, 0.5, math.nan])
    assert np.allclose(found.effective, 2.0)
    assert np.isclose(found.money, 20.0)


def test_what_is_not_known_is_said():
    """Unknown amounts are left out with a note."""
    text = str(concentration(pipeline([10.0, math.nan], currency="EUR"), by=()))
    assert "1 open deals without an amount are left out" in text
    assert "Concentration of 10 EUR, as of 2026-06-30" in text
    assert "100.0%" in text


@pytest.mark.parametrize("amounts", [[], [0.0, 0.0], [math.nan]])
def test_no_money_at_all(amounts):
    """Shares of nothing are unknown."""
    found = concentration(pipeline(amounts), by=())
    assert np.isnan(found.shares).all()
    assert np.isnan(found.effective).all()
    assert [0.0] == found.without_largest.tolist()


@pytest.mark.parametrize(
    ("question", "error", "message"),
    [
        ({}, UnknownColumnError, "owner"),
        ({"by": "owner"}, ValidationError, "into a tuple"),
        ({"by": ("amount",)}, ValidationError, "categories"),
        ({"by": (), "chance": [0.5]}, ValidationError, "one value per deal"),
        ({"by": (), "chance": [0.5, 1.5]}, ValidationError, "1 of 2 rows breaks this.*'D1'"),
        ({"by": (), "chance": [0.5, math.nan]}, ValidationError, "between 0 and 1"),
        ({"by": (), "top": ()}, ValidationError, "rising"),
        ({"by": (), "top": (5, 1)}, ValidationError, "rising"),
        ({"by": (), "top": (0, 1)}, ValidationError, "rising"),
    ],
)
def test_wrong_questions(question, error, message):
    """Each names what is wrong."""
    with pytest.raises(error, match=message):
        concentration(pipeline([1.0, 2.0]), **question)


def test_currencies_are_not_added_up():
    """One currency, or an error."""
    with pytest.raises(CurrencyMismatchError):
        concentration(pipeline([1.0, 2.0], currency=["EUR", "USD"]), by=())
