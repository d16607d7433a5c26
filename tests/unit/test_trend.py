"""The open pipeline on many days: by hand, and the same as counting each snapshot."""

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
from funnel.kernels import stock, threads
from funnel.kernels.cells import CHUNK
from funnel.metrics import _where
from funnel.metrics.trend import _summarize, pipeline_trend
from funnel.metrics.waterfall import waterfall
from funnel.stages import Outcome
from funnel.testing import fixtures

NAN = float("nan")
LADDER = fn.Funnel(["Qualify", "Propose", fn.Stage("Hold", on_hold=True)])
# deal, day of January 2026, state, amount, owner
ROWS = [
    ("A", 5, "Qualify", 100.0, "Ann"),
    ("A", 20, "Propose", 150.0, "Bo"),
    ("A", 25, "Won", 160.0, "Bo"),
    ("B", 10, "Qualify", NAN, "Ann"),
    ("B", 20, "Hold", 7.0, "Ann"),
    ("C", 20, "Propose", 30.0, ""),
    ("C", 20, "Qualify", 40.0, ""),  # later on the same day
]


def build(rows=ROWS, **changes):
    """Build a history of rows."""
    ids, days, stages, amounts, owners = zip(*rows, strict=True)
    columns = {
        "funnel": LADDER,
        "id": ids,
        "at": [f"2026-01-{day:02}" for day in days],
        "stage": stages,
        "amount": amounts,
        "owner": owners,
        "observed_until": "2026-01-31",
    }
    return fn.History.from_columns(**{**columns, **changes})


def january(*days):
    """Return days of January."""
    return [f"2026-01-{day:02}" for day in days]


def by_hand(history, days):
    """Count each snapshot, the slow way: (k, s) deals, money and deals of unknown amount."""
    found = np.zeros((3, len(days), history.funnel.n_stages))
    for place, day in enumerate(days):
        pipeline = history.snapshot(day)
        for row in np.flatnonzero(pipeline.outcome == Outcome.OPEN).tolist():
            amount, stage = pipeline.amount[row], pipeline.stage[row]
            found[:, place, stage] += (1, 0.0 if np.isnan(amount) else amount, np.isnan(amount))
    return found


def same(found, expected, row=0):
    """Compare a group with (deals, money, unknown)."""
    assert found.count[row].tolist() == expected[0].tolist()
    np.testing.assert_allclose(found.amount[row], expected[1], rtol=1e-12, atol=1e-6)
    assert found.unknown[row].tolist() == expected[2].tolist()


def test_every_day_by_hand():
    """A goes on with another amount and is won; B's is not known before it is put on hold."""
    found = pipeline_trend(build(), january(25, 5, 19, 20, 20))
    assert found.dates.astype(str).tolist() == january(5, 19, 20, 25)  # in order, each once
    assert [[1, 0, 0], [2, 0, 0], [1, 1, 1], [1, 0, 1]] == found.count[0].tolist()
    expected = [[100.0, 0, 0], [100.0, 0, 0], [40.0, 150.0, 7.0], [40.0, 0, 7.0]]
    assert expected == found.amount[0].tolist()
    assert [0, 1, 0, 0] == found.unknown[0].sum(axis=1).tolist()


def test_what_has_gone_leaves_nothing():
    """0.1 + 0.2 - 0.1 - 0.2 is not 0, but no deal has no money."""
    rows = [("A", 1, "Qualify", 0.1, ""), ("B", 2, "Qualify", 0.2, "")]
    rows += [("A", 3, "Lost", 0.1, ""), ("B", 4, "Lost", 0.2, "")]
    assert [0.1, 0.2, 0.0] == pipeline_trend(build(rows), january(1, 3, 4)).amount[0, :, 0].tolist()


def test_no_days():
    """Nothing is asked and nothing told."""
    assert 0 == len(pipeline_trend(build(), []).to_columns()["day"])


def test_an_empty_history():
    """No deals: a row for each day, with nothing in it."""
    found = pipeline_trend(build().select(np.zeros(3, dtype=np.bool_)), january(5, 6))
    assert (1, 2, 3) == found.count.shape
    assert not found.count.any()
    assert ["day", "all"] == str(found).splitlines()[1].split()


@pytest.mark.parametrize("seed", [1, 2])
def test_days_of_a_simulated_company(seed):
    """Day by day the same as the snapshots."""
    history = fn.datasets.simulate(300, rng=seed).history
    days = np.arange("2023-01-01", "2026-06-30", 13, dtype="datetime64[D]")
    same(pipeline_trend(history, days), by_hand(history, days))


@pytest.mark.parametrize("least", [1, threads.LEAST], ids=["halves", "whole"])
def test_rows_beyond_one_chunk(least, monkeypatch):
    """Rows of one deal on both sides of the edges, and several chunks, as a plain loop has them."""
    monkeypatch.setattr(threads, "LEAST", least)
    rng = np.random.default_rng(3)
    rows = 2 * CHUNK + 7
    deal = np.sort(rng.integers(0, rows // 3, rows))
    for edge in (CHUNK, rows // 2):
        deal[edge] = deal[edge - 1]
    at = rng.integers(0, 40, rows)
    at = at[np.lexsort((at, deal))].astype(np.int32)
    amount = np.where(rng.random(rows) < 0.1, NAN, rng.integers(0, 99, rows))
    cell, days = rng.integers(0, 4, rows), np.array([-1, 0, 13, 39, 50], dtype=np.int32)
    found = stock.stock_on(deal, at, amount, days=days, cells=lambda some: cell[some], size=3)
    for place, day in enumerate(days.tolist()):
        known = np.flatnonzero(at <= day)
        holds = known[np.append(deal[known][1:] != deal[known][:-1], True)[: len(known)]]
        holds = holds[cell[holds] < 3]
        missing = np.isnan(amount[holds])
        count = np.bincount(cell[holds], minlength=3)
        assert found.deals[place].tolist() == count.tolist()
        unknown = np.bincount(cell[holds][missing], minlength=3)
        assert found.unknown[place].tolist() == unknown.tolist()
        money = np.bincount(cell[holds], np.nan_to_num(amount[holds]), minlength=3)
        assert found.amount[place].tolist() == money.tolist()  # whole numbers: exact


def test_what_came_and_went_leaves_no_crumbs():
    """0.1 + 0.2 + 0.3 less each of them is not 0 in binary fractions; an empty stage has 0."""
    deal, at = np.array([0, 0, 1, 1, 2, 2]), np.array([1, 5, 1, 6, 1, 7])
    amount, cell = np.array([0.1, 0.1, 0.2, 0.2, 0.3, 0.3]), np.array([0, 1, 0, 1, 0, 1])
    days = np.arange(1, 8)
    found = stock.stock_on(deal, at, amount, days=days, cells=lambda rows: cell[rows], size=1)
    assert 0.0 != (0.1 + 0.2 + 0.3) - 0.1 - 0.2 - 0.3
    assert [3, 3, 3, 3, 2, 1, 0] == found.deals[:, 0].tolist()
    assert 0.0 == found.amount[-1, 0]


def test_groups_are_those_of_each_day():
    """A is Ann's, then Bo's; the unknown owner is a group; C is nobody's."""
    found = pipeline_trend(build(), january(10, 20), by=("owner",))
    columns = found.to_columns()
    assert ["", "Ann", "Bo"] == columns["owner"][::6].tolist()
    # by owner: 10th, 20th of Qualify, Propose, Hold
    assert [[0, 0, 0], [1, 0, 0]] == found.count[0].tolist()
    assert [[2, 0, 0], [0, 0, 1]] == found.count[1].tolist()
    assert [[0, 0, 0], [0, 1, 0]] == found.count[2].tolist()
    assert 190.0 + 7.0 == found.amount[:, 1].sum()
    assert "(unknown)  2026-01-20  1 / 40" in str(found)


def test_a_group_without_deals_has_its_row():
    """Bo has nothing before the 20th, and nobody knows of a third."""
    found = pipeline_trend(build(), january(5), by=("owner",))
    assert [0, 1, 0] == found.count.sum(axis=(1, 2)).tolist()


def test_a_scope_is_a_set_of_values():
    """What Bo has, and what is left when he is not looked at."""
    found = pipeline_trend(build(), january(19, 20), where={"owner": ("Bo",)})
    assert [[0, 0, 0], [0, 1, 0]] == found.count[0].tolist()
    assert "only deals with owner Bo" in str(found)
    both = pipeline_trend(build(), january(20), by=("owner",), where={"owner": ("Ann", "Bo")})
    assert 2 == both.count.sum()


def test_a_scope_with_no_deal():
    """Nobody was in it on that day, or ever open in it."""
    rows = [("A", 5, "Won", 1.0, "Ann"), ("B", 5, "Qualify", 2.0, "Bo")]
    found = pipeline_trend(build(rows), january(5), where={"owner": ("Ann",)})
    assert (1, 1, 3) == found.count.shape
    assert not found.count.any()


def test_the_ends_of_a_waterfall():
    """Its pipeline is without what is on hold."""
    history = build()
    found = pipeline_trend(history, january(10, 20))
    bridge = waterfall(history, *january(10, 20))
    assert bridge.count[0, [0, -1]].tolist() == found.count[0, :, :2].sum(axis=1).tolist()
    assert bridge.amount[0, [0, -1]].tolist() == found.amount[0, :, :2].sum(axis=1).tolist()


def test_amounts_that_are_known_in_the_end_only():
    """As in a snapshot: blank before the last day, and known on it."""
    history = build(known={"amount": "final"})
    days = january(5, 20, 31)
    found = pipeline_trend(history, days)
    same(found, by_hand(history, days))
    assert [1, 3, 0] == found.unknown[0].sum(axis=1).tolist()
    assert "known on the last observed day only" in str(found)
    last = pipeline_trend(history, days[-1:])
    assert [40.0, 0.0, 7.0] == last.amount[0, 0].tolist()
    assert "known on" not in str(last)


def test_unknown_amounts_are_said():
    """B's is not known on the 10th."""
    found = pipeline_trend(build(), january(10, 20))
    assert "* deals whose amount is unknown, up to 1 on a day, count as deals" in str(found)
    assert "unknown" not in str(pipeline_trend(build(), january(20)))


def test_the_text_leaves_empty_stages_out():
    """Nothing is on hold on the 19th; frames have all stages."""
    found = pipeline_trend(build(), january(19))
    assert ["day", "all", "Qualify"] == str(found).splitlines()[1].split()
    assert list(LADDER.ids[:3]) == found.to_columns()["stage"].tolist()
    assert "funnel.PipelineTrend/1" == found.to_dict()["schema"]
    assert "Open pipeline by stage: deals / money, EUR" in str(
        pipeline_trend(build(currency="EUR"), january(19))
    )


def test_any_split_gives_the_same():
    """Chunks of whole deals, of which each has other owners and currencies are one."""
    history = fixtures.history()
    days = np.arange(history.observed_from, history.observed_until + 1, 9).astype("datetime64[D]")
    for scope in ({}, {"by": ("owner",)}):
        whole = pipeline_trend(history, days, **scope)
        parts = pipeline_trend(list(history.chunks(2)), days, **scope)
        assert str(whole) == str(parts)
        assert whole.count.tolist() == parts.count.tolist()


def test_currencies_are_not_added_up():
    """Not within a chunk, and not of two; an amount that is not known has none."""
    mixed = build(currency=["EUR", "EUR", "EUR", "USD", "USD", "EUR", "EUR"])
    with pytest.raises(CurrencyMismatchError):
        pipeline_trend(mixed, january(20))
    with pytest.raises(CurrencyMismatchError):
        pipeline_trend(list(mixed.chunks(1)), january(20))
    assert "EUR" == pipeline_trend(mixed, january(19)).currency  # the dollars are known later


@pytest.mark.parametrize("chunk", [1, 2, 100])
def test_currencies_of_chunks_with_nothing_new(chunk, monkeypatch):
    """Each is found wherever it is; the amounts of B are not known before the 20th."""
    monkeypatch.setattr(_where, "CHUNK", chunk)
    history = build(currency=["EUR", "EUR", "EUR", "USD", "USD", "EUR", None])
    first = history.observed_from  # 5 January
    assert ("EUR",) == _where.currencies(history, first + 14)
    assert ("", "EUR", "USD") == _where.currencies(history, first + 15)


@pytest.mark.parametrize(
    ("days", "scope", "error", "message"),
    [
        (["2025-12-31", "2026-01-10"], {}, ValidationError, "observed_from"),
        (["2026-01-10", "2026-02-20"], {}, LeakError, "observed until"),
        (["2026-01-10", None], {}, ValidationError, "must be given"),
        (["someday"], {}, ValidationError, "days must be a day"),
        ("2026-01-10", {}, ValidationError, "one-dimensional"),
        (["2026-01-10"], {"by": ("ownr",)}, UnknownColumnError, "Did you mean 'owner'"),
        (["2026-01-10"], {"by": "owner"}, ValidationError, "sequence"),
        (["2026-01-10"], {"by": ("amount",)}, ValidationError, "categories"),
        (["2026-01-10"], {"where": {"owner": ("An",)}}, ValidationError, "Did you mean 'Ann'"),
    ],
)
def test_wrong_questions(days, scope, error, message):
    """Each names what is wrong."""
    with pytest.raises(error, match=message):
        pipeline_trend(build(), days, **scope)


def test_columns_without_a_history_cannot_be_a_group():
    """An owner that is known in the end only."""
    with pytest.raises(ValidationError, match="only the last value is known"):
        pipeline_trend(build(known={"owner": "final"}), january(20), by=("owner",))


def test_summaries_of_other_days_do_not_merge():
    """Two lists of days are two questions."""
    first = build().observed_from
    one, other = (
        _summarize(build(), days=np.array([day], dtype=np.int32), by=(), where={})
        for day in (first, first + 1)
    )
    with pytest.raises(SchemaMismatchError, match="same days"):
        one.merge(other)
