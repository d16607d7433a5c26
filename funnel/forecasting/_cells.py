"""The deals that exist, by cell of their model, and one by one where somebody asks."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from funnel.forecasting._blocks import Block, at, days_since_won, filled, with_groups
from funnel.forecasting._chances import book, chances, rows_of
from funnel.forecasting._lots import Lots, joined, powers
from funnel.forecasting._parts import BOOKED, OPEN, REOPENED
from funnel.kernels import compound
from funnel.kernels.cells import COUNT, UNKNOWN, gather
from funnel.models._cells import curves, places
from funnel.models.base import HasCells
from funnel.stages import Outcome
from funnel.tables.codes import span
from funnel.tables.groups import numbers_of_groups, rows_of_group
from funnel.tables.sums import (
    blocks,
    cell_sums,
    common_unit_of,
    kept,
    largest_deals,
    view,
)
from funnel.typing import NO_DAY

if TYPE_CHECKING:
    from collections.abc import Callable

    from funnel.calendars import Horizon
    from funnel.forecasting._rows import ForecastDeals
    from funnel.forecasting.amounts import ClosingAmounts
    from funnel.models import FittedModel
    from funnel.tables import Pipeline
    from funnel.typing import DateArray, FloatArray, IntArray

    Ask = Callable[[Any, IntArray, DateArray], FloatArray]
    States = tuple[FloatArray, IntArray, IntArray]

__all__ = ["Source"]

MOST = 1 << 18
"""Most cells times groups by which deals are added up together."""


SAMPLE = 4_096
"""Deals that mostly suffice to show that amounts have no common unit that matters."""


@attrs.frozen(eq=False, slots=False)
class Source:
    """What says all about the deals that exist.

    Parameters
    ----------
    model : FittedModel
    pipeline : Pipeline
    horizon : Horizon
    amounts : ClosingAmounts or None
    by : tuple of str
        Columns of the groups.
    numbers : (g,) int64
        The number of each group of the pipeline among those of the forecast.
    """

    model: FittedModel
    pipeline: Pipeline
    horizon: Horizon
    amounts: ClosingAmounts | None
    by: tuple[str, ...]
    numbers: IntArray

    @functools.cached_property
    def cells(self) -> HasCells | None:
        """The model, where sums by cell of it say all: amounts must not differ by segment."""
        plain = self.amounts is None or not self.amounts.change.segments
        return self.model if isinstance(self.model, HasCells) and plain else None

    @functools.cached_property
    def money(self) -> Lots:
        """The lots in which there is money, or a deal of unknown amount."""
        return self._lots((1, UNKNOWN))

    @functools.cached_property
    def lots(self) -> Lots:
        """All lots."""
        return self._lots((COUNT,))

    def undated(self) -> tuple[int, float]:
        """Return number and amount of won deals whose day is not known."""

        def count() -> tuple[int, float]:
            number, amount = 0, 0.0
            for _, deals in blocks(self.pipeline):
                won = deals.stage == deals.funnel.won_code
                won &= deals.closed_on == NO_DAY
                if won.any():
                    number += int(won.sum())
                    amount += float(np.nansum(deals.amount[won]))
            return number, amount

        if span(self.pipeline, "stage")[1] < self.pipeline.funnel.won_code:
            return 0, 0.0
        return kept(self.pipeline, "undated", count)  # type: ignore[no-any-return]

    def currency(self) -> str:
        """Return the one currency of all known amounts in the forecast."""
        first, last = map(int, span(self.pipeline, "currency"))
        if first < last:  # those left out may be of another one
            return self.pipeline.select(self._counted[0]).currency
        known = self.money.power(1).any() or bool(
            np.any(self.lots.power(COUNT) > self.lots.power(UNKNOWN))
        )
        names = self.pipeline.schema.column("currency").categories
        return names[last] if known and last >= 0 else ""

    def open_money(self, typical: float) -> tuple[FloatArray, Ask]:
        """Return what open deals are worth, by cell or one by one, and what asks a model of them.

        Deals of unknown amount are worth `typical`. The model has the cells of this one.
        """
        if self.cells is None:
            deals = self.pipeline.select(self.pipeline.outcome == Outcome.OPEN)
            mean = deals.amount if self.amounts is None else self.amounts.at_closing(deals)[0]

            def of_deals(model: Any, rows: IntArray, dates: DateArray) -> FloatArray:  # noqa: ANN401
                return np.asarray(model.win_curve(deals.select(rows), dates)[:, 0])

            return np.where(np.isnan(mean), typical, mean), of_deals
        own = self.cells
        sums = [cell_sums(self.pipeline, own.numbering, own.cells, order) for order in (1, UNKNOWN)]
        cell = filled(sums)
        known, nameless = (at(some, cell) for some in sums)
        stage = own.cell_stages(cell, self.pipeline)
        is_open = self.pipeline.funnel.outcomes[stage] == Outcome.OPEN
        cell, stage = cell[is_open], stage[is_open]
        worth = known[is_open] * self.closing()[0][stage]
        if nameless.any():
            worth = worth + nameless[is_open] * typical

        def of_cells(model: Any, rows: IntArray, dates: DateArray) -> FloatArray:  # noqa: ANN401
            return np.asarray(model.cell_curves(cell[rows], self.pipeline, dates)[:, 0])

        return worth, of_cells

    # -- one by one ------------------------------------------------------------------------------

    def table(self, group: int | None = None) -> ForecastDeals:
        """Return the deals one by one; those of one group as of the only one."""
        if group is None:
            return self._all
        own = np.flatnonzero(self.numbers == group).tolist()
        if not own or len(self.pipeline) <= compound.LARGE_BOOK:
            return self._all.of_group(group)
        deals = self.pipeline.select(rows_of_group(self.pipeline, self.by, own[0]))
        return self._rows(deals, np.zeros(len(deals), dtype=np.int64), *self._chances(deals))

    @functools.cached_property
    def _all(self) -> ForecastDeals:
        """All deals, one by one."""
        group = self.numbers[self.pipeline.groups(self.by)[1]]
        return self._rows(self.pipeline, group, *self._counted)

    @functools.cached_property
    def _counted(self) -> tuple[IntArray, FloatArray, IntArray]:
        """Rows of the deals that are in the forecast, their chances and parts."""
        return self._chances(self.pipeline)

    def _chances(self, deals: Pipeline) -> tuple[IntArray, FloatArray, IntArray]:
        """Return rows, chances and parts of the deals that are in the forecast."""
        if self.cells is None:
            chance, part = chances(self.model.win_curve, deals, self.horizon)
        else:
            found, place = places(self.cells, deals)
            by_cell, parts, _ = self._open_states(self.cells, found)
            chance = gather(np.append(by_cell, np.zeros((1, by_cell.shape[1])), axis=0), place)
            part = np.append(parts, -1)[place]
            book(deals, self.horizon, chance, part)
        counted = np.flatnonzero(part >= 0)
        return counted, chance[counted], part[counted]

    def _rows(
        self, deals: Pipeline, group: IntArray, rows: IntArray, chance: FloatArray, part: IntArray
    ) -> ForecastDeals:
        """Return some deals as rows of a forecast."""
        return rows_of(
            deals.select(rows),
            chance,
            part,
            group[rows],
            horizon=self.horizon,
            amounts=self.amounts,
        )

    # -- a few of them ---------------------------------------------------------------------------

    def largest(self, count: int) -> Lots:
        """Return the deals of the largest amounts, so many, each as a lot of its own."""
        if count not in self._tops:
            self._tops[count] = self._some(f"largest {count}", largest_deals(self.pipeline, count))
        return self._tops[count]

    @functools.cached_property
    def _tops(self) -> dict[int, Lots]:
        """What `largest` has returned."""
        return {}

    @functools.cached_property
    def sample(self) -> Lots:
        """Some deals, at even steps of the table, each as a lot of its own."""
        return self._some("sample", np.arange(0, len(self.pipeline), self.step))

    @property
    def step(self) -> int:
        """How many deals each of the sample stands for."""
        return max(len(self.pipeline) // SAMPLE, 1)

    def floor(self, count: int) -> float:
        """Return an amount that no deal closes above but those in `largest`."""
        if count >= len(self.pipeline):
            return 0.0
        smallest = largest_deals(self.pipeline, count)[-1:]
        return float(self.pipeline.amount[smallest].sum() * self._factors()[1].max())

    def unit(self, *, vague: bool) -> float:
        """Return the unit of the amounts at closing, which may vary as their stage says."""
        unit = common_unit_of(self.pipeline)
        if unit == 0.0:
            return 0.0
        factors = self._factors() if vague else self.closing()[:1]
        return compound.common_unit(unit * np.append(factors, 1.0))

    def _factors(self) -> tuple[FloatArray, FloatArray]:
        """(states,), (states,): factors of the amounts at closing, lowest and highest."""
        mean, ratio = self.closing()
        wide = ratio >= 1.0  # such an amount is 0 or larger
        low, high = np.where(wide, 0.0, 1.0 - ratio), np.where(wide, 1.0 + ratio**2, 1.0 + ratio)
        return mean * low, mean * high

    def _some(self, name: str, rows: IntArray) -> Lots:
        """Return some deals, each as a lot of its own, but those that are won: they are certain."""
        block = self.blocks()[0]

        def search() -> tuple[IntArray, IntArray, IntArray, Callable[[int], FloatArray]]:
            """Find their cells, the place of each among them, their groups and amounts."""
            deals = view(self.pipeline, rows)
            cell = block.cells(deals)
            there = np.flatnonzero(cell >= 0)
            number = numbers_of_groups(self.pipeline, self.by)(deals)[there]
            found, place = np.unique(cell[there], return_inverse=True)
            return found, place, number, powers(deals.amount[there])

        cells, place, number, power = kept(self.pipeline, (name, block.numbering, self.by), search)
        return self._told(block.states(cells), place, self.numbers[number], power)

    # -- by cell ---------------------------------------------------------------------------------

    @functools.cached_property
    def apart(self) -> bool:
        """Whether groups are too many to be told apart by cell."""
        own = self.cells
        if own is None or not self.by:
            return False
        return len(self.numbers) * len(cell_sums(self.pipeline, own.numbering, own.cells, 1)) > MOST

    def _lots(self, orders: tuple[int, ...]) -> Lots:
        """Return the lots that any of these sums knows of."""
        if self.cells is None:
            return self.table().lots
        return joined([self._of_block(block, orders) for block in self.blocks()])

    def blocks(self) -> tuple[Block, ...]:
        """Return the deals whose chance the model knows, and those that are won, by cell."""
        own = self.cells
        if own is None:
            return ()
        open_ = Block(own.numbering, own.cells, functools.partial(self._open_states, own))
        if int(self.horizon.edges[0]) > self.pipeline.as_of:
            return (open_,)
        return open_, Block("days since won", days_since_won, self._won_states)

    def filled(self, block: Block) -> IntArray:
        """Return the cells of a block in which there is money, or a deal of unknown amount."""
        return filled(
            [
                cell_sums(self.pipeline, block.numbering, block.cells, order)
                for order in (1, UNKNOWN)
            ]
        )

    def _open_states(self, own: HasCells, cells: IntArray) -> States:
        """Return chances, parts and stages of cells of the model; the last ones are kept."""
        last: tuple[IntArray, States] | None = self.__dict__.get("_last")
        if last is None or not np.array_equal(last[0], cells):
            last = self.__dict__["_last"] = cells, self._states_of(own, cells)
        return last[1]

    def _states_of(self, own: HasCells, cells: IntArray) -> States:
        """Ask the model about cells."""
        days = self.horizon.edges.astype(np.int64) - 1
        past = int(np.searchsorted(days, self.pipeline.as_of, side="right"))
        won_by = np.zeros((len(cells), len(days)))
        if past < len(days) and len(cells):
            dates = days[past:].astype("datetime64[D]")
            won_by[:, past:] = curves(own, self.pipeline, cells, dates)[:-1]
        chance = won_by[:, 1:] - won_by[:, :-1]
        stage = own.cell_stages(cells, self.pipeline)
        outcome = self.pipeline.funnel.outcomes[stage]
        part = np.where(outcome == Outcome.OPEN, OPEN, -1)
        lost = np.flatnonzero(outcome == Outcome.LOST)
        part[lost[chance[lost].any(axis=1)]] = REOPENED
        return chance, part, stage

    def _won_states(self, cells: IntArray) -> tuple[FloatArray, IntArray, IntArray]:
        """Return chances, parts and stages of cells of won deals."""
        period = self.horizon.period_of(self.pipeline.as_of - cells)
        chance = (period[:, None] == np.arange(len(self.horizon))).astype(np.float64)
        won = np.full(len(cells), self.pipeline.funnel.won_code)
        return chance, np.where(period >= 0, BOOKED, -1), won

    def _of_block(self, block: Block, orders: tuple[int, ...]) -> Lots:
        """Return the lots of one kind of cells that any of these sums knows of."""
        numbering, cells, size = block.numbering, block.cells, 1
        told = bool(self.by) and not self.apart
        if told:
            numbering, size = (numbering, self.by), max(len(self.numbers), 1)
            cells = with_groups(block.cells, numbers_of_groups(self.pipeline, self.by), size)
        keys = filled([cell_sums(self.pipeline, numbering, cells, order) for order in orders])
        cell = keys // size
        first = np.diff(cell, prepend=-1) > 0
        group = self.numbers[keys % size] if told else np.zeros(len(keys), dtype=np.int64)

        def power(order: int) -> FloatArray:
            """Return the sums of the lots."""
            return at(cell_sums(self.pipeline, numbering, cells, order), keys)

        return self._told(block.states(cell[first]), np.cumsum(first) - 1, group, power)

    def _told(
        self,
        states: tuple[FloatArray, IntArray, IntArray],
        place: IntArray,
        group: IntArray,
        power: Callable[[int], FloatArray],
    ) -> Lots:
        """Return lots at the amounts of closing, at places among the states of cells."""
        chance, part, stage = states
        there = np.flatnonzero(part[place] >= 0)
        place = place[there]
        chance, part, stage = chance[place], part[place], stage[place]
        mean, ratio = (column[stage] for column in self.closing())
        booked = part == BOOKED
        mean, ratio = np.where(booked, 1.0, mean), np.where(booked, 0.0, ratio)

        @functools.cache
        def at_closing(order: int) -> FloatArray:
            """Return the sums of powers of the amounts at closing."""
            some = power(order)[there]
            for _ in range(order):  # not at all for numbers of deals
                some = some * mean
            return some

        within = chance @ np.ones(chance.shape[1])  # far faster than a sum along few columns
        response = np.where(booked, 0.0, 1.0 - np.minimum(within, 1.0))
        return Lots(chance, part.astype(np.int8), group[there], response, ratio, at_closing)

    def closing(self) -> tuple[FloatArray, FloatArray]:
        """(states,), (states,): factor of the amounts at closing, and their relative deviation."""
        if self.amounts is None:
            states = len(self.pipeline.funnel.ids)
            return np.ones(states), np.zeros(states)
        change, sd = self.amounts.change.by_stage(self.pipeline.funnel)
        mean = 1.0 + change
        return mean, np.divide(sd, mean, out=np.zeros(len(mean)), where=mean > 0.0)
