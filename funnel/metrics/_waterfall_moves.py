"""Every move of every deal into, within and out of the open pipeline between two days."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import attrs
import numpy as np

from funnel.errors import ValidationError
from funnel.kernels import asof, trace
from funnel.kernels.arrays import frozen
from funnel.tables.currency import convert
from funnel.typing import NO_DAY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from funnel.metrics._groups import Scope
    from funnel.tables import History
    from funnel.tables.currency import Rates
    from funnel.typing import BoolArray, FloatArray, IntArray, StringArray

    Entry = tuple[IntArray, IntArray, IntArray, IntArray, IntArray, IntArray]

__all__ = ["BARS", "Moves", "find_moves"]

BARS = (
    "start",
    "created",
    "reopened",
    "off hold",
    "re-owned in",
    "pulled in",
    "pushed in",
    "amount known",
    "amount up",
    "currency effect",
    "amount down",
    "amount unknown",
    "pulled out",
    "pushed out",
    "re-owned out",
    "on hold",
    "won",
    "lost",
    "removed",
    "end",
)
"""The bars of a waterfall, in their order; all between the first and the last add up to it."""

BAR = {name: place for place, name in enumerate(BARS)}

ACTIVE, WON, LOST, REMOVED, HELD, ABSENT = range(6)  # the first four are codes of Outcome
ENTERED_BY = np.array([-1, *[BAR["reopened"]] * 3, BAR["off hold"], BAR["created"]], dtype=np.int64)
LEFT_BY = np.array([-1, *(BAR[name] for name in ("won", "lost", "removed", "on hold")), -1])

MINOR = 100  # cents of a major unit
MOST = 2**62  # cents that an int64 adds up with room to spare


@attrs.frozen(eq=False)
class Moves:
    """One entry for each move of a deal, (m,) each; merges with the moves of other deals.

    ``deals``, ``cents`` and ``unknown`` say by how much the move changes the number of deals,
    their money, and the number of those whose amount is unknown.
    """

    ids: StringArray
    deal: IntArray = attrs.field(converter=frozen)
    cell: IntArray = attrs.field(converter=frozen)
    bar: IntArray = attrs.field(converter=frozen)
    deals: IntArray = attrs.field(converter=frozen)
    cents: IntArray = attrs.field(converter=frozen)
    unknown: IntArray = attrs.field(converter=frozen)

    def merge(self, other: Moves, /) -> Moves:
        """Put the moves of other deals behind these."""
        names = ("cell", "bar", "deals", "cents", "unknown")
        joined = {n: np.concatenate((getattr(self, n), getattr(other, n))) for n in names}
        deal = np.concatenate((self.deal, other.deal + len(self.ids)))
        return Moves(np.concatenate((self.ids, other.ids)), deal, **joined)

    def totals(self, cells: IntArray) -> IntArray:
        """(c,) -> (4, c, b): moves, and changes of deals, cents and unknown amounts by bar."""
        place = np.searchsorted(cells, self.cell) * len(BARS) + self.bar
        found = np.zeros((4, len(cells) * len(BARS)), dtype=np.int64)
        ones = np.ones(len(place), dtype=np.int64)
        for into, values in zip(found, (ones, self.deals, self.cents, self.unknown), strict=True):
            np.add.at(into, place, values)
        return found.reshape(4, len(cells), len(BARS))


class _Points(NamedTuple):
    """States of deals at the end of days on which something can have changed, (p,) each.

    Of each deal: its state on the first day, after each day with a change, and on the last day.
    """

    kind: IntArray  # 0 first day, 1 change, 2 last day
    row: IntArray
    day: IntArray
    deal: IntArray
    status: IntArray
    group: IntArray  # -1: out of scope
    place: IntArray  # period of the promise, -1 in none
    promise: IntArray
    amount: FloatArray


def _known_amounts(history: History, rows: IntArray, *, at_end: bool) -> FloatArray:
    """(m,) -> (m,): amounts as a snapshot would show them; ``final`` ones only where booked."""
    amount = history.columns["amount"][rows]
    if at_end or history.schema.column("amount").known != "final":
        return amount
    last = rows == history.bounds[1:][history.deal[rows]] - 1
    booked = last & (history.stage[rows] == history.funnel.won_code)
    return np.where(booked, amount, np.nan)


def _status(history: History) -> IntArray:
    """Return what each state is for the open pipeline, (s,)."""
    funnel = history.funnel
    return np.where(funnel.on_hold, HELD, funnel.outcomes).astype(np.int64)


def _points(history: History, start: int, end: int, scope: Scope, mask: BoolArray) -> _Points:
    """Collect the states between which deals moved."""
    first, last = asof.rows_on(history.deal, history.at, (start, end))
    ends_day = trace.last_of_day(history.deal, history.at)
    within = np.flatnonzero(ends_day & (history.at > start) & (history.at <= end))
    blocks = (first, within, last)
    row = np.concatenate(blocks)
    kind = np.repeat(np.arange(3), [len(block) for block in blocks])
    amount = np.concatenate(
        [
            _known_amounts(history, rows, at_end=number == 2 and end == history.observed_until)
            for number, rows in enumerate(blocks)
        ]
    )
    order = np.argsort(row * 3 + kind)
    row, kind = row[order], kind[order]
    promise = history.columns["expected_close"][row].astype(np.int64)
    periods = scope.periods
    return _Points(
        kind=kind,
        row=row,
        day=np.where(kind == 0, start, np.where(kind == 2, end, history.at[row])),
        deal=history.deal[row].astype(np.int64),
        status=_status(history)[history.stage[row]],
        group=np.where(mask[row], scope.groups(history, row), -1),
        place=np.zeros_like(row) if periods is None else periods.period_of(promise),
        promise=np.where(promise == NO_DAY, -NO_DAY, promise),
        amount=amount[order],
    )


def _valued(
    history: History, points: _Points, money: tuple[Rates, str] | None
) -> tuple[FloatArray, FloatArray]:
    """Return amounts in one currency (p,), and as they are at the rates of the next point (p,)."""
    after = np.minimum(np.arange(len(points.row)) + 1, max(len(points.row) - 1, 0))
    if money is not None:
        rates, to = money
        codes = history.columns["currency"][points.row]
        columns = {"amount": points.amount, "currency": codes}
        # The next point of the last one of a deal is of another deal: nobody asks for its value.
        later = np.where(points.kind == 2, points.day, points.day[after])
        now, then = (
            convert(history.schema, columns, days.astype(np.int32), rates, to=to, on="row")[1]
            for days in (points.day, later)
        )
        return now["amount"], then["amount"]
    if "amount_original" not in history.schema.names:
        return points.amount, points.amount
    plain = history.columns["amount_original"][points.row]
    codes = history.columns["currency_original"][points.row]
    new, due = points.amount[after], plain[after]
    same = (codes == codes[after]) & (due > 0.0) & ~np.isnan(new)
    rate = np.divide(new, due, out=np.zeros(len(new)), where=same)
    moved = np.where(plain == due, new, plain * rate)  # exactly the new amount, not nearly
    return points.amount, np.where(same, moved, points.amount)


def _cents(amount: FloatArray) -> IntArray:
    """(m,) -> (m,): whole minor units, unknown amounts as 0."""
    return np.rint(np.nan_to_num(amount) * MINOR).astype(np.int64)


class _Steps(NamedTuple):
    """What lies between two neighbouring points of a deal, (t,) each."""

    deal: IntArray
    old: IntArray  # status before, `ABSENT` where the deal was not known
    new: IntArray
    here: IntArray  # cell before
    there: IntArray
    inward: IntArray  # the bar by which a deal that stays open comes into another cell
    outward: IntArray
    held: FloatArray  # amount before, at the rates of then
    was: FloatArray  # the same at the rates of now
    now: FloatArray


def find_moves(
    history: History,
    start: int,
    end: int,
    *,
    scope: Scope,
    mask: BoolArray,
    money: tuple[Rates, str] | None,
) -> Moves:
    """List the moves between the ends of two days; what is open at both ends counts as one too."""
    points = _points(history, start, end, scope, mask)
    value, later = _valued(history, points, money)
    for amounts in (value, later):
        if np.nansum(amounts) * MINOR > MOST:
            rule = f"must add up to less than {MOST / MINOR:,.0f}"
            raise ValidationError.from_value("amount", rule, float(np.nansum(amounts)), "")
    inside = (points.group >= 0) & (points.place >= 0)
    cell = np.where(inside, points.group * scope.n_periods + points.place, -1)
    after = np.flatnonzero(points.kind > 0)
    known = np.concatenate(([False], points.deal[1:] == points.deal[:-1]))[after]
    before = np.where(known, after - 1, after)
    inward, outward = _reasons(points, before, after)
    steps = _Steps(
        deal=points.deal[after],
        old=np.where(known, points.status[before], ABSENT),
        new=points.status[after],
        here=cell[before],
        there=cell[after],
        inward=inward,
        outward=outward,
        held=value[before],
        was=later[before],
        now=value[after],
    )
    entries = [*_entries(steps), *_open_at(points, cell, value)]
    columns = [np.concatenate(parts) for parts in zip(*entries, strict=True)]
    return Moves(history.ids, *columns)


def _entries(steps: _Steps) -> Iterator[Entry]:
    """Yield the moves of each kind, in the order in which they happen within a step."""
    old, new, here, there = steps.old, steps.new, steps.here, steps.there
    active = old == ACTIVE
    closed, closes = ((state >= WON) & (state <= REMOVED) for state in (old, new))
    # From closed to closed nothing passes through the pipeline, but every win counts.
    enters = (old != new) & ~active & ~(closed & closes & (new != WON))
    leaves = (old != new) & (new != ACTIVE) & (active | enters)
    yield _crossing(steps, enters, there, ENTERED_BY[old], steps.now, sign=+1)

    revalued = active & (_cents(steps.was) != _cents(steps.held))
    effect = np.full(len(old), BAR["currency effect"])
    yield _change(steps, revalued, here, effect, (steps.held, steps.was))

    moved = active & (here != there)
    yield _crossing(steps, moved, here, steps.outward, steps.was, sign=-1)
    yield _crossing(steps, moved, there, steps.inward, steps.was, sign=+1)

    bar = _amount_bar(steps.was, steps.now)
    stays = active & ((new == ACTIVE) | (new == WON)) & (bar >= 0)
    yield _change(steps, stays, there, bar, (steps.was, steps.now))

    amount = np.where(active & (new != WON), steps.was, steps.now)
    yield _crossing(steps, leaves, there, LEFT_BY[new], amount, sign=-1)


def _crossing(
    steps: _Steps, which: BoolArray, cell: IntArray, bar: IntArray, amount: FloatArray, *, sign: int
) -> Entry:
    """Note deals that come into a cell (+1) or leave it (-1)."""
    at = np.flatnonzero(which & (cell >= 0))
    deals = np.full(len(at), sign, dtype=np.int64)
    unknown = sign * np.isnan(amount[at]).astype(np.int64)
    return steps.deal[at], cell[at], bar[at], deals, sign * _cents(amount[at]), unknown


def _change(
    steps: _Steps,
    which: BoolArray,
    cell: IntArray,
    bar: IntArray,
    amounts: tuple[FloatArray, FloatArray],
) -> Entry:
    """Note amounts that change while the deal stays in its cell."""
    was, now = amounts
    at = np.flatnonzero(which & (cell >= 0))
    unknown = np.isnan(now[at]).astype(np.int64) - np.isnan(was[at])
    nobody = np.zeros(len(at), dtype=np.int64)
    return steps.deal[at], cell[at], bar[at], nobody, _cents(now[at]) - _cents(was[at]), unknown


def _reasons(points: _Points, before: IntArray, after: IntArray) -> tuple[IntArray, IntArray]:
    """(t,), (t,) -> (t,), (t,): the bars by which a deal comes into a cell and leaves another."""
    owned = points.group[before] == points.group[after]
    later = points.promise[after] > points.promise[before]
    inward = np.where(later, BAR["pushed in"], BAR["pulled in"])
    outward = np.where(later, BAR["pushed out"], BAR["pulled out"])
    return (
        np.where(owned, inward, BAR["re-owned in"]),
        np.where(owned, outward, BAR["re-owned out"]),
    )


def _amount_bar(was: FloatArray, now: FloatArray) -> IntArray:
    """(t,), (t,) -> (t,): the bar of a change of amount, -1 where there is none."""
    difference = _cents(now) - _cents(was)
    bar = np.where(difference > 0, BAR["amount up"], BAR["amount down"])
    bar = np.where(difference == 0, -1, bar)
    lost, found = np.isnan(now) & ~np.isnan(was), np.isnan(was) & ~np.isnan(now)
    return np.where(lost, BAR["amount unknown"], np.where(found, BAR["amount known"], bar))


def _open_at(points: _Points, cell: IntArray, value: FloatArray) -> Iterator[Entry]:
    """Yield what is open on the first and on the last day, in the form of moves."""
    for kind, bar in ((0, "start"), (2, "end")):
        at = np.flatnonzero((points.kind == kind) & (points.status == ACTIVE) & (cell >= 0))
        ones = np.ones(len(at), dtype=np.int64)
        unknown = np.isnan(value[at]).astype(np.int64)
        yield points.deal[at], cell[at], ones * BAR[bar], ones, _cents(value[at]), unknown
