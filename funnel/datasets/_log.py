"""What a log shows of simulated deals: promises, and deals that are first seen in mid-stage."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from funnel.typing import NO_DAY

if TYPE_CHECKING:
    from funnel.datasets._journeys import Deals, Rows
    from funnel.datasets._parts import Records
    from funnel.datasets._world import World
    from funnel.typing import BoolArray, FloatArray, IntArray

LONGEST = 3_650
"""Days that a promise lies ahead at most."""


class Pushes(NamedTuple):
    """Promises that were moved, (p,) each: deal, day of the move, and the day promised then."""

    deal: IntArray
    day: IntArray
    due: IntArray


class Log(NamedTuple):
    """Rows of a log, sorted by deal and time, (r,) each.

    `entered` is the day on which the situation was entered, `NO_DAY` where the log does not tell;
    `due` is the promised day.
    """

    deal: IntArray
    day: IntArray
    situation: IntArray
    amount: FloatArray
    entered: IntArray
    due: IntArray


def _ahead(records: Records, median: float, size: int, rng: np.random.Generator) -> IntArray:
    """(size,): days from the day of a promise to the promised day."""
    days = median * np.exp(records.spread * rng.standard_normal(size))
    return np.clip(np.round(days), 1, LONGEST).astype(np.int64)


def promises(
    world: World, deals: Deals, rows: Rows, last: int, rng: np.random.Generator
) -> tuple[IntArray, Pushes]:
    """Return the first promise of each deal, (n,), and how overdue ones were moved while open."""
    records, is_open = world.records, _is_open(world, rows.situation)
    first = deals.born + _ahead(records, records.promise, len(deals.born), rng)
    overdue, who = first, np.arange(len(first))
    key = rows.deal * (last + 1) + rows.day
    following = _next_open(rows.deal, is_open)
    none = np.empty(0, dtype=np.int64)
    found = [Pushes(none, none, none)]
    while records.push > 0.0 and len(who):
        wait = rng.geometric(records.push, size=len(who))
        day = overdue + np.clip(wait, 1, last + 1)  # a tiny chance gives days that overflow
        seen = day <= last
        who, day, overdue = who[seen], day[seen], overdue[seen]
        row = np.searchsorted(key, who * (last + 1) + day, side="right") - 1
        due = day + _ahead(records, records.later, len(who), rng)
        pushed = is_open[row]
        found.append(Pushes(who[pushed], day[pushed], due[pushed]))
        # A closed deal is left alone until it is reopened.
        again = following[row]
        overdue = np.where(pushed, due, np.maximum(overdue, rows.day[again]))
        stays = pushed | (again >= 0)
        who, overdue = who[stays], overdue[stays]
    return first, Pushes._make(np.concatenate(column) for column in zip(*found, strict=True))


def _is_open(world: World, situation: IntArray) -> BoolArray:
    """(m,) -> (m,): tell whether a deal in this situation is open."""
    return situation < 2 * len(world.stage_codes)


def _next_open(deal: IntArray, is_open: BoolArray) -> IntArray:
    """(r,) -> (r,): the next row of the same deal, after this one, that is open; -1 for none."""
    n = len(deal)
    position = np.append(np.where(is_open, np.arange(n), n), n)
    following = np.minimum.accumulate(position[::-1])[::-1][1:]
    same = np.append(deal, -1)[following] == deal
    return np.where(same, following, -1)


def merged(rows: Rows, first: IntArray, pushes: Pushes) -> tuple[Log, BoolArray]:
    """Put moves and pushes in order; returns the log, and which rows came back from hold."""
    deal = np.concatenate((rows.deal, pushes.deal))
    day = np.concatenate((rows.day, pushes.day))
    born = np.append(True, rows.deal[1:] != rows.deal[:-1])
    due = np.concatenate((np.where(born, first[rows.deal], -1), pushes.due))
    order = np.lexsort((day, deal))  # stable: what is promised follows the moves of the day
    move = np.cumsum(order < len(rows.deal)) - 1
    due = due[order]
    promise = np.maximum.accumulate(np.where(due >= 0, np.arange(len(due)), 0))
    log = Log(
        deal=deal[order],
        day=day[order],
        situation=rows.situation[move],
        amount=rows.amount[move],
        entered=rows.day[move],
        due=due[promise],
    )
    return log, rows.resumed[move]


def seen_from(
    world: World,
    deals: Deals,
    log: Log,
    resumed: BoolArray,
    *,
    start: int,
    rng: np.random.Generator,
) -> Log:
    """Begin the log on day `start`: older deals that are being worked on then enter in mid-stage.

    Older deals that are closed or on hold at the end of that day are left out.
    """
    n, bands = len(world.stage_codes), world.moves.bands
    early = (deals.born[log.deal] < start) & (log.day <= start)
    goes_on = np.append(early[1:] & (log.deal[1:] == log.deal[:-1]), False)
    entry = early & ~goes_on & (log.situation < n)
    in_log = deals.born >= start
    in_log[log.deal[entry]] = True
    keep = in_log[log.deal] & (~early | entry)
    long_ago = start - log.entered >= (bands[-1] if bands else 0)
    lost = long_ago & (rng.random(len(log.deal)) < world.intake.unknown_entry)
    entered = np.where(entry & (resumed | lost), NO_DAY, log.entered)
    whole = log._replace(day=np.where(entry, start, log.day), entered=entered)
    return Log._make(column[keep] for column in whole)
