"""Rates, seasons and multipliers of a world as arrays: what `simulate` and the true model share.

With S working stages, a deal is in one of ``3 S + 2`` situations: working in stage s (``s``), on
hold from it (``S + s``), lost from it (``2 S + s``), won (``3 S``) or removed (``3 S + 1``). A move
leads to one of these, or back from hold to stage s with the clock going on (``3 S + 2 + s``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from funnel.datasets._parts import Level
    from funnel.datasets._world import World
    from funnel.typing import FloatArray, IntArray

QUARTER_END = 10
"""Days before the end of a quarter on which deals close faster."""


class Rates(NamedTuple):
    """Rates per day, all (bands, 3 S + 2, 4 S + 2); `cap` is the first day of the last band.

    Those of `upward` are multiplied by the pace of the deal, and those of `winning` also by the
    season; every one by the activity of the day.
    """

    n_stages: int
    cap: int
    edges: IntArray
    same_day: float
    upward: FloatArray
    winning: FloatArray
    steady: FloatArray

    @property
    def won(self) -> int:
        """The situation of a won deal."""
        return 3 * self.n_stages

    @property
    def resumed(self) -> int:
        """The first of the moves back from hold."""
        return 3 * self.n_stages + 2


def rates(world: World) -> Rates:
    """Lay out the moves of a world."""
    moves, n = world.moves, len(world.stage_codes)
    held, lost, won, removed, resumed = n, 2 * n, 3 * n, 3 * n + 1, 3 * n + 2
    bands = len(moves.bands) + 1
    upward, winning, steady = (np.zeros((bands, resumed, resumed + n)) for _ in range(3))
    for s in range(n):
        advance = np.array(moves.advance[s])
        for goal, share in ((s + 1, 1.0 - moves.skip), (s + 2, moves.skip)):
            table, target = (upward, goal) if goal < n else (winning, won)
            table[:, s, target] += share * advance
        steady[:, s, lost + s] = moves.lose[s]
        steady[:, s, removed] = moves.remove
        steady[-1, s, held + s] = moves.hold
        if s > 0:
            steady[:, s, s - 1] = moves.back
        steady[:, held + s, resumed + s] = moves.resume
        steady[:, held + s, lost + s] = moves.abandon
        steady[:, lost + s, s] = moves.reopen_lost
    steady[:, won, n - 1] = moves.reopen_won
    return Rates(
        n_stages=n,
        cap=moves.bands[-1] if moves.bands else 0,
        edges=np.array(moves.bands, dtype=np.int64),
        same_day=moves.same_day,
        upward=upward,
        winning=winning,
        steady=steady,
    )


def activity(world: World, days: IntArray) -> FloatArray:
    """(d,) -> (d,): the multiplier of every rate, lower on Saturdays and Sundays."""
    weekday = (days + 3) % 7  # 1970-01-01 was a Thursday; 0 is Monday
    return np.where(weekday >= 5, world.seasons.weekend, 1.0)


def months_of(days: IntArray) -> IntArray:
    """(d,) -> (d,): months since January 1970."""
    return days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)


def season(world: World, days: IntArray, first_month: int, shocks: Sequence[float]) -> FloatArray:
    """(d,) -> (d,): the multiplier of the rates of winning.

    `shocks` are those of the months from `first_month` on; other months have none.
    """
    month = months_of(days)
    quarter = (month // 3 + 1) * 3
    left = quarter.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64) - days
    end = np.where(left <= QUARTER_END, world.seasons.quarter_end, 1.0)
    path = np.array([1.0, *shocks, 1.0])
    shock = path[np.clip(month - first_month + 1, 0, len(path) - 1)]
    factor: FloatArray = np.array(world.seasons.months)[month % 12] * end * shock
    return factor


def arrival_weights(world: World, days: IntArray) -> FloatArray:
    """(d,) -> (d,): how many deals arrive on each day, relative to one another."""
    months = np.array(world.intake.months)[months_of(days) % 12]
    years = (days - days[0]) / 365.25
    weight: FloatArray = (1.0 + world.intake.growth) ** years * months * activity(world, days)
    return weight


def size_class(world: World, amount: FloatArray) -> IntArray:
    """(n,) -> (n,): the size class of each amount."""
    return np.searchsorted(np.array(world.amounts.edges), amount, side="right")


def level_paces(levels: Sequence[Level]) -> FloatArray:
    """Return the multiplier of each level, and 1 at the end for an unknown one."""
    return np.array([*(level.multiplier for level in levels), 1.0])


def level_codes(levels: Sequence[Level], categories: Sequence[str], codes: IntArray) -> IntArray:
    """(n,) -> (n,): codes of a table's categories as positions in `levels`, -1 where unknown."""
    position: Mapping[str, int] = {level.name: i for i, level in enumerate(levels)}
    lookup = np.array([*(position.get(name, -1) for name in categories), -1], dtype=np.int64)
    return lookup[codes]


def paces(world: World, amount: FloatArray, levels: Mapping[str, IntArray]) -> FloatArray:
    """(n,), (n,) each -> (n,): multiplier of the rates of advancing and winning of each deal."""
    sizes = np.array(world.amounts.multipliers)[size_class(world, amount)]
    pace: FloatArray = np.where(np.isnan(amount), 1.0, sizes)
    for name, codes in levels.items():
        pace = pace * level_paces(getattr(world.mix, name))[codes]
    return pace
