"""From one forecast to another by hypothetical ones between them: what each step changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from funnel.errors import ValidationError
from funnel.forecasting._bridge_causes import BAR, BARS, at, causes
from funnel.forecasting._moments import amount_moments
from funnel.kernels.arrays import frozen
from funnel.kernels.labels import factorize, places_among, texts
from funnel.typing import NO_DAY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from funnel.forecasting.forecast import Forecast
    from funnel.tables import Pipeline
    from funnel.typing import BoolArray, FloatArray, IntArray, StringArray

__all__ = ["MINOR", "REST", "Moves", "Named", "Steps", "find_steps"]

MINOR = 100
"""Money is added up in hundredths of a major unit."""

REST = ("(new deals)", "(not by deal)")
"""What stands for rows of a forecast that are no deals: new ones, and totals."""

Keys = tuple[tuple[str, ...], ...]


class Named(NamedTuple):
    """A forecast, and the parameter that it was given as."""

    name: str
    forecast: Forecast


class Moves(NamedTuple):
    """What each step changes, one row for each deal, bar and group.

    Attributes
    ----------
    deal : (m,) int64
        Position in `Steps.ids`.
    bar, group : (m,) int64
        Positions in `BARS` and in the keys.
    before, after : (m, k) float64
        What the deal contributes to the expected money before and after the step.
    """

    deal: IntArray
    bar: IntArray
    group: IntArray
    before: FloatArray
    after: FloatArray

    @classmethod
    def joined(cls, moves: Sequence[Moves]) -> Moves:
        """Put moves together, those left out that change nothing."""
        every = cls(*(np.concatenate(column) for column in zip(*moves, strict=True)))
        change = np.any(every.before != every.after, axis=1)
        return cls(*(frozen(column[change]) for column in every))


class Steps(NamedTuple):
    """A bridge in numbers.

    Attributes
    ----------
    keys : tuple of tuple of str
        The groups of all forecasts, g.
    cents, counts : (g, b, k) int64
        Change of the expected money in hundredths, and the number of deals behind it; the
        forecasts themselves in the first and the last bar.
    ids : (u,) str
        Deals, those of `REST` last.
    moves : Moves
    late : int
        Deals older than the first day that were recorded after it.
    """

    keys: Keys
    cents: IntArray
    counts: IntArray
    ids: StringArray
    moves: Moves
    late: int


class _Side(NamedTuple):
    """A forecast, deal by deal: (u, k), (u,), (u,), and the rows that are no deals: (2, g, k).

    The group is -1 where the forecast does not hold the deal.
    """

    chance: FloatArray
    amount: FloatArray
    group: IntArray
    rest: FloatArray

    @property
    def value(self) -> FloatArray:
        """What each deal contributes to the expected money, (u, k)."""
        return self.chance * self.amount[:, None]

    def total(self) -> FloatArray:
        """Return the expected money by group and period, (g, k)."""
        deals = _by_group(self.value, self.group, self.rest.shape[1])
        return np.asarray(self.rest.sum(axis=0) + deals)


class _Deals(NamedTuple):
    """The deals of some forecasts: ids (u,), their rows in both pipelines, and of each forecast.

    `places` is, for every row of a forecast, the position of its deal among `ids`; -1 for the
    first of `REST`, -2 for the second.
    """

    ids: StringArray
    rows: tuple[IntArray, IntArray]
    places: tuple[IntArray, ...]


NEW_DEALS, NO_DEAL = -1, -2


def find_steps(named: tuple[Named, Named, Named], was: Pipeline, now: Pipeline) -> Steps:
    """Go from the first forecast to the last; the one between is the old model on the new day."""
    by_deal = _deals(named, was, now)
    keys = _keys(named)
    one, two, three = (
        _side(item.forecast, place, len(by_deal.ids), keys)
        for item, place in zip(named, by_deal.places, strict=True)
    )
    held = np.flatnonzero((two.group >= 0) & (three.group >= 0) & (two.group != three.group))
    if len(held):
        rule = "must have the deals of `after` in the same groups"
        raise ValidationError.from_value(named[1].name, rule, by_deal.ids[held[0]], "")
    horizon = named[0].forecast.horizon
    cause = causes(was, now, by_deal.rows, horizon, one.chance)
    known = at(was.amount, by_deal.rows[0], np.nan), at(now.amount, by_deal.rows[1], np.nan)
    priced = (known[0] != known[1]) & ~(np.isnan(known[0]) & np.isnan(known[1]))
    moves = Moves.joined(
        [*_deal_moves(one, two, three, cause, priced), *_rest_moves(one, two, three)]
    )
    first, last = by_deal.rows
    created = at(now.created, last, NO_DAY)[(first < 0) & (three.group >= 0)]
    return Steps(
        keys,
        *_totals(moves, one, three),
        ids=frozen(np.concatenate((by_deal.ids, texts(REST)))),
        moves=moves,
        late=int(np.count_nonzero((created != NO_DAY) & (created <= was.as_of))),
    )


def _keys(named: Sequence[Named]) -> Keys:
    """Return the groups of all forecasts; without columns there is one."""
    found = {key for item in named for key in item.forecast.keys}
    return tuple(sorted(found)) if named[0].forecast.by else ((),)


# -- one deal, one row ----------------------------------------------------------------------------


def _deals(named: Sequence[Named], was: Pipeline, now: Pipeline) -> _Deals:
    """Find the deals of all forecasts in both pipelines."""
    rows = [item.forecast.deals for item in named]
    deals = [np.flatnonzero(~row.is_new) for row in rows]
    columns = [row.ids[some] for row, some in zip(rows, deals, strict=True)]
    names, codes = factorize(np.concatenate(columns))
    asked = np.split(codes, np.cumsum([len(column) for column in columns])[:-1])
    lookups = []
    for pipeline in (was, now):
        code = places_among(names, pipeline.ids)
        known = np.flatnonzero(code >= 0)
        lookup = np.full(len(names), -1)
        lookup[code[known]] = known
        lookups.append(lookup)
    owner = (lookups[0], lookups[1], lookups[1])
    are_deals = [_checked(*item) for item in zip(named, asked, owner, strict=True)]
    used = np.unique(np.concatenate([code[ok] for code, ok in zip(asked, are_deals, strict=True)]))
    position = np.full(len(names), NO_DEAL)
    position[used] = np.arange(len(used))
    places = []
    for row, some, code in zip(rows, deals, asked, strict=True):
        place = np.full(len(row.ids), NEW_DEALS)
        place[some] = position[code]
        places.append(place)
    ids = texts(names)[used]
    return _Deals(ids, (lookups[0][used], lookups[1][used]), tuple(places))


def _checked(item: Named, codes: IntArray, lookup: IntArray) -> BoolArray:
    """(m,): which rows are deals of the pipeline: all of them, or (of a forecast of totals) none.

    Demand that each deal is there once.
    """
    known = lookup[codes] >= 0
    ids = item.forecast.deals.ids[~item.forecast.deals.is_new]
    if not known.any() and len(np.unique(codes)) <= 1:
        return known
    if not known.all():
        unknown = np.flatnonzero(~known)
        raise ValidationError.from_rule(
            item.name,
            "must be a forecast of the deals of its pipeline",
            rows=unknown,
            count=len(unknown),
            total=len(known),
            first=repr(ids[unknown[0]]),
            remedy="Give the pipeline that it was made of.",
        )
    once = np.unique(codes, return_index=True)[1]
    if len(once) < len(codes):
        twice = np.setdiff1d(np.arange(len(codes)), once)
        raise ValidationError.from_rule(
            item.name,
            "must hold each deal once",
            rows=twice,
            count=len(twice),
            total=len(codes),
            first=repr(ids[twice[0]]),
            remedy="Leave repeated rows out.",
        )
    return known


def _side(forecast: Forecast, place: IntArray, deals: int, keys: Keys) -> _Side:
    """Line a forecast up with the deals of all."""
    position = {key: number for number, key in enumerate(keys)}
    lookup = np.array([position[key] for key in forecast.keys], dtype=np.int64)
    rows, k = forecast.deals, len(forecast.horizon)
    group = lookup[rows.group] if len(lookup) else rows.group.astype(np.int64)
    mean = amount_moments(rows, forecast.unknown)[0]
    there = place >= 0
    chance, amount = np.zeros((deals, k)), np.zeros(deals)
    where = np.full(deals, -1)
    chance[place[there]] = rows.chance[there]
    amount[place[there]] = mean[there]
    where[place[there]] = group[there]
    rest = np.stack(
        [
            _by_group((rows.chance * mean[:, None])[some], group[some], len(keys))
            for some in (place == NEW_DEALS, place == NO_DEAL)
        ]
    )
    return _Side(chance, amount, where, rest)


def _by_group(values: FloatArray, group: IntArray, groups: int) -> FloatArray:
    """(n, k), (n,) -> (g, k): add up by group; -1 is none."""
    some = group >= 0
    columns = values[some].T
    found = [np.bincount(group[some], column, minlength=groups) for column in columns]
    return np.stack(found, axis=1).astype(np.float64)  # sums of no rows are integers


# -- steps ----------------------------------------------------------------------------------------


def _deal_moves(
    one: _Side, two: _Side, three: _Side, cause: IntArray, priced: BoolArray
) -> list[Moves]:
    """List the moves of single deals, step by step."""
    there = (one.group >= 0) & (two.group >= 0)
    moved = np.flatnonzero(there & (one.group != two.group))
    start = one.value
    nothing = np.zeros((len(moved), start.shape[1]))
    owned = np.full(len(moved), BAR["re-owned"])
    repriced = np.where((there & priced)[:, None], one.chance * two.amount[:, None], start)
    every = np.arange(len(cause))
    group = np.where(two.group >= 0, two.group, one.group)
    final = np.where(three.group >= 0, three.group, group)
    return [
        Moves(moved, owned, one.group[moved], start[moved], nothing),
        Moves(moved, owned, two.group[moved], nothing, start[moved]),
        Moves(every, np.full_like(cause, BAR["amount changes"]), group, start, repriced),
        Moves(every, cause, group, repriced, two.value),
        Moves(every, np.full_like(cause, BAR["model refitted"]), final, two.value, three.value),
    ]


def _rest_moves(one: _Side, two: _Side, three: _Side) -> list[Moves]:
    """List the moves of what is no deal, by group."""
    groups, deals = one.rest.shape[1], len(one.group)
    every = np.arange(groups)
    found = []
    for number, name in enumerate(("still to come", "not by deal")):
        for bar, first, last in ((name, one, two), ("model refitted", two, three)):
            deal, code = np.full(groups, deals + number), np.full(groups, BAR[bar])
            found.append(Moves(deal, code, every, first.rest[number], last.rest[number]))
    return found


def _totals(moves: Moves, one: _Side, three: _Side) -> tuple[IntArray, IntArray]:
    """(g, b, k), (g, b, k): money in hundredths, and deals, of each bar.

    What is rounded are the forecasts between the steps, so that bars add up whatever they are.
    """
    groups, k = one.rest.shape[1:]
    cell = moves.group * len(BARS) + moves.bar
    size = groups * len(BARS)
    real = moves.deal < len(one.group)
    change = moves.after - moves.before
    money = _by_group(change, cell, size).reshape(groups, len(BARS), k)
    count = _by_group((change != 0.0) * real[:, None], cell, size).reshape(money.shape)
    money[:, 0] = one.total()
    reached = _cents(np.cumsum(money[:, :-1], axis=1))
    cents = np.diff(reached, axis=1, prepend=0)
    for bar, side in ((0, one), (-1, three)):
        count[:, bar] = _by_group((side.value != 0.0).astype(np.float64), side.group, groups)
    # Each deal has two moves of the bar where it changes the group, one in either.
    cents = np.concatenate((cents, reached[:, -1:]), axis=1)
    return frozen(cents), frozen(np.rint(count).astype(np.int64))


def _cents(money: FloatArray) -> IntArray:
    """Round to hundredths; sums in another order, which differ in the last bits, round alike."""
    return np.rint(np.round(MINOR * money, 4)).astype(np.int64)
