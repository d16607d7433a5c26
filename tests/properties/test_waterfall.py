"""A waterfall adds up in deals and cents, for every history, scope and window."""

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

import funnel as fn
from funnel.metrics.waterfall import BARS, waterfall
from funnel.stages import Outcome
from funnel.testing.strategies import histories

SCOPES = st.sampled_from([(), ("owner",), ("currency", "owner")])
WHERE = st.sampled_from([{}, {"owner": ("Ann", "")}, {"currency": ("EUR",)}])
QUARTERS = fn.Horizon.quarters("2020-01-01", 8)
PROMISED = st.sampled_from([None, QUARTERS])
EVERYWHERE = {"by": (), "where": {}, "promised": None}


@st.composite
def questions(draw):
    """Draw a history, two days in it, and a scope that its columns allow."""
    history = draw(histories(min_deals=1, max_deals=8))
    assume(history.observed_from < history.observed_until)
    start = draw(st.integers(history.observed_from, history.observed_until - 1))
    end = draw(st.integers(start + 1, history.observed_until))
    known = set(history.schema.column("owner").categories) | {""}
    where = draw(WHERE)
    if "owner" in where:
        where = {"owner": tuple(sorted(known & set(where["owner"])))}
    scope = {"by": draw(SCOPES), "where": where, "promised": draw(PROMISED)}
    return history, day(start), day(end), scope


def day(number):
    """Return a date."""
    return np.datetime64(number, "D")


def open_in_scope(history, date, scope):
    """Count open deals and their cents in scope by (group, period), by a plain loop."""
    pipeline = history.snapshot(date)
    columns = pipeline.to_columns()
    periods = scope["promised"]
    place = None if periods is None else periods.period_of(pipeline.expected_close)
    found = {}
    for row, deal in enumerate(pipeline.stage.tolist()):
        held = bool(pipeline.funnel.on_hold[deal])
        if pipeline.outcome[row] != Outcome.OPEN or held:
            continue
        if any(columns[name][row] not in wanted for name, wanted in scope["where"].items()):
            continue
        if place is not None and place[row] < 0:
            continue
        label = () if place is None else (periods.labels[place[row]],)
        key = (*(columns[name][row] for name in scope["by"]), *label)
        cents = 0 if np.isnan(columns["amount"][row]) else round(columns["amount"][row] * 100)
        deals, money = found.get(key, (0, 0))
        found[key] = (deals + 1, money + cents)
    return found


def shown(result, scope, bar):
    """Return deals and cents of a bar by (group, period), where there are any."""
    columns = result.to_columns()
    names = [*scope["by"], *(["period"] if scope["promised"] is not None else [])]
    rows = np.flatnonzero(columns["bar"] == bar)
    found = {}
    for row in rows.tolist():
        count, cents = int(columns["deals"][row]), round(columns["amount"][row] * 100)
        if count:
            found[tuple(columns[name][row] for name in names)] = (count, cents)
    return found


@given(questions())
def test_all_bars_add_up(question):
    """Start + every bar = end, in deals, in cents and in unknown amounts, in every cell."""
    history, start, end, scope = question
    found = waterfall(history, start, end, **scope)
    for values in (found.count, found.cents, found.unknown):
        assert values[:, -1].tolist() == values[:, :-1].sum(axis=1).tolist()


@given(questions())
def test_both_ends_are_the_snapshots(question):
    """What is open at start and end is what a loop over the two snapshots counts."""
    history, start, end, scope = question
    found = waterfall(history, start, end, **scope)
    assert open_in_scope(history, start, scope) == shown(found, scope, "start")
    assert open_in_scope(history, end, scope) == shown(found, scope, "end")


@given(questions(), st.data())
def test_windows_add_up(question, data):
    """Two neighbouring windows have the moves of both together, bar by bar."""
    history, start, end, _ = question
    middle = day(data.draw(st.integers(start.astype(int) + 1, end.astype(int))))
    assume(middle < end)
    whole = waterfall(history, start, end, **EVERYWHERE)
    parts = [waterfall(history, *days, **EVERYWHERE) for days in ((start, middle), (middle, end))]
    for name in ("moves", "count", "cents", "unknown"):
        sums = sum(getattr(part, name)[:, 1:-1] for part in parts)
        assert getattr(whole, name)[:, 1:-1].tolist() == sums.tolist()


@given(questions(), st.integers(1, 4))
def test_chunks_add_up(question, size):
    """Any split into whole deals gives the same table, and the same deals behind each bar."""
    history, start, end, scope = question
    whole = waterfall(history, start, end, **scope)
    parts = waterfall(list(history.chunks(size)), start, end, **scope)
    assert str(whole) == str(parts)
    for bar in ("start", "amount up", "won"):
        assert str(whole.deals(bar)) == str(parts.deals(bar))


@given(questions())
def test_groups_add_up_to_the_whole(question):
    """Deals re-owned within the scope cancel out; every other bar is the sum of its groups."""
    history, start, end, scope = question
    groups = waterfall(history, start, end, **{**scope, "by": ("owner",)})
    whole = waterfall(history, start, end, **{**scope, "by": ()})
    k = groups.scope.n_periods
    cents = groups.cents.reshape(-1, k, len(BARS)).sum(axis=0)
    same = ~np.char.startswith(BARS, "re-owned")
    promised = np.isin(BARS, ["pulled in", "pulled out", "pushed in", "pushed out"])
    if k == 1:
        assert whole.cents[:, same].tolist() == cents[:, same].tolist()
    # With periods, a deal that changes owner and promise on one day counts as re-owned.
    assert whole.cents[:, same & ~promised].tolist() == cents[:, same & ~promised].tolist()


@given(questions())
def test_a_scope_is_the_group_of_that_name(question):
    """The waterfall of one owner is the same as a scope and as a group."""
    history, start, end, _ = question
    owners = waterfall(history, start, end, by=("owner",)).to_columns()
    for name in history.schema.column("owner").categories:
        alone = waterfall(history, start, end, where={"owner": (name,)})
        mine = owners["owner"] == name
        assert owners["amount"][mine].tolist() == alone.amount[0].tolist()
        assert owners["deals"][mine].tolist() == alone.count[0].tolist()


@given(questions())
def test_every_win_is_in_the_bar(question):
    """The bar of wins holds each day on which a deal came to be won, by a plain loop."""
    history, start, end, _ = question
    found = waterfall(history, start, end)
    won = {}
    for deal in range(history.n_deals):
        rows = np.flatnonzero(history.deal == deal)
        ends = {int(history.at[row]): int(history.stage[row]) for row in rows}  # last of each day
        before = None
        for at, stage in sorted(ends.items()):
            is_won = stage == history.funnel.won_code
            if is_won and before != stage and start.astype(int) < at <= end.astype(int):
                won[str(history.ids[deal])] = won.get(str(history.ids[deal]), 0) + 1
            before = stage
    behind = found.deals("won")
    assert won == dict(zip(behind.ids.tolist(), behind.moves.tolist(), strict=True))
