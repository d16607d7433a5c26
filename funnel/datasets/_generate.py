"""Simulated histories whose truth is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from funnel.calendars import to_date, to_dates, to_day
from funnel.datasets import _journeys, _log, _rates
from funnel.datasets._truth import ATTRIBUTES, TrueModel
from funnel.datasets._world import World
from funnel.errors import ValidationError
from funnel.kernels.labels import texts
from funnel.stages import ForecastCategory
from funnel.tables import History
from funnel.typing import NO_DAY, DateLike

if TYPE_CHECKING:
    from funnel.datasets._journeys import Deals
    from funnel.datasets._log import Log
    from funnel.typing import IntArray, StringArray

__all__ = ["Simulation", "simulate"]

CURRENCY = "EUR"


@attrs.frozen(eq=False, kw_only=True)
class Simulation:
    """A simulated history with the truth behind it.

    Parameters
    ----------
    history : History
        What a log of the deals would show.
    truth : TrueModel
        A fitted model that knows the true chances; see there what it does about shared shocks.
    world : World
        The parameters.
    """

    history: History
    truth: TrueModel = attrs.field(repr=False)
    world: World = attrs.field(repr=False)

    def to_columns(self) -> dict[str, np.ndarray[Any, Any]]:
        """Return the change log as a system would export it, one value per row by column.

        Returns
        -------
        dict of (r,) ndarray
            ``deal``, ``changed_at``, ``stage`` (the label as of that day: before
            ``Records.renamed_on``, a stage with aliases has the first of them), ``amount``,
            ``currency``, ``expected_close``, ``created``, ``stage_entered``, and the attributes.

        Examples
        --------
        >>> from funnel.datasets import simulate
        >>> columns = simulate(10).to_columns()
        >>> list(columns)[:4]
        ['deal', 'changed_at', 'stage', 'amount']
        """
        history, states = self.history, self.world.funnel.states
        columns = history.to_columns()
        renamed_on = self.world.records.renamed_on
        old = np.zeros(len(history), dtype=np.bool_)
        if renamed_on is not None:
            old = history.at < to_day(renamed_on)
        labels = texts([state.label for state in states])[history.stage]
        before = texts([(*state.aliases, state.label)[0] for state in states])[history.stage]
        pieces = history.pieces
        named = {
            "deal": columns.pop("id"),
            "changed_at": columns.pop("at"),
            "stage": np.where(old, before, labels),
            "amount": columns.pop("amount"),
            "currency": columns.pop("currency"),
            "expected_close": columns.pop("expected_close"),
            "created": columns.pop("created"),
            "stage_entered": to_dates(pieces.entered[pieces.of_row]),
        }
        return named | {name: columns[name] for name in history.schema.attributes}


def simulate(
    deals: int = 2_000,
    *,
    start: DateLike = "2023-01-01",
    end: DateLike = "2026-06-30",
    world: World | None = None,
    rng: np.random.Generator | int = 0,
) -> Simulation:
    """Simulate the history of a company's deals, and keep the truth.

    The default world is a company that sells to companies: five stages, a win rate of about 25 %,
    a sales cycle of about three months, and a median deal of 20,000. It has seasons, a shared
    shock, owners and sources that matter and regions that do not, skipped stages, moves back and
    within a day, holds, reopenings, removals, late entries and a stage that was renamed.

    Parameters
    ----------
    deals : int
        Deals created from `start` to `end`. Older ones that are being worked on when the log begins
        come on top, see `Intake`.
    start, end : date
        First and last observed day.
    world : World, optional
        The truth; ``World()`` by default.
    rng : numpy.random.Generator or int
        The source of randomness, or its seed; one seed gives one history.

    Returns
    -------
    Simulation

    Raises
    ------
    ValidationError
        When `deals` is not a whole number above 0, `world` is no World, the days are in the wrong
        order or out of range, or the seed is not a whole number.

    Examples
    --------
    >>> from funnel.datasets import simulate
    >>> simulation = simulate(100, rng=1)
    >>> simulation.history.schema.attributes
    ('category', 'owner', 'region', 'source')
    """
    if not _is_whole(deals, 1):
        raise ValidationError.from_value("deals", "must be a whole number >= 1", deals, "")
    world = World() if world is None else world
    if not isinstance(world, World):
        raise ValidationError.from_value("world", "must be a World", world, "")
    first, last = _window(world, start, end)
    generator = _generator(rng)
    origin = first - world.intake.warm_up
    months = _rates.months_of(np.array([origin, last]))
    spread = world.seasons.shock
    noise = generator.standard_normal(int(months[1] - months[0]) + 1)
    shocks = np.exp(spread * noise - spread**2 / 2.0)
    calendar = _journeys.clock(world, origin, last, shocks)
    born = _journeys.births(world, int(deals), first - origin, calendar, generator)
    rows = _journeys.journeys(world, born, calendar, generator)
    promised, pushes = _log.promises(world, born, rows, calendar.last, generator)
    full, resumed = _log.merged(rows, promised, pushes)
    seen = _log.seen_from(world, born, full, resumed, start=first - origin, rng=generator)
    history = _history(world, born, seen, generator, days=(origin, first, last))
    truth = TrueModel(world=world, first_month=int(months[0]), path=shocks)
    return Simulation(history=history, truth=truth, world=world)


def _is_whole(value: object, least: int) -> bool:
    """Tell whether a value is a whole number that is large enough."""
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    return whole and bool(value >= least)  # type: ignore[operator]


def _generator(rng: np.random.Generator | int) -> np.random.Generator:
    """Return the generator of a seed; a generator is used as it is."""
    if isinstance(rng, np.random.Generator):
        return rng
    if not _is_whole(rng, 0):
        rule = "must be a numpy Generator or a whole number >= 0"
        raise ValidationError.from_value("rng", rule, rng, "")
    return np.random.default_rng(rng)


def _window(world: World, start: DateLike, end: DateLike) -> tuple[int, int]:
    """Return the first and last day, and demand that all that is simulated has a place."""
    first, last = to_day(start, name="start"), to_day(end, name="end")
    if first > last:
        rule = f"must not be before start ({to_date(first)})"
        raise ValidationError.from_value("end", rule, str(to_date(last)), "")
    if first < world.intake.warm_up:
        rule = f"must leave {world.intake.warm_up} days of warm-up after 1970-01-01"
        raise ValidationError.from_value("start", rule, str(to_date(first)), "")
    return first, last


def _history(
    world: World,
    deals: Deals,
    log: Log,
    rng: np.random.Generator,
    *,
    days: tuple[int, int, int],
) -> History:
    """Write the log as a history; `days` are the clock's origin and the first and last observed."""
    origin, first, last = days
    stage = _state_codes(world, log.situation, rng)
    number = np.cumsum(np.append(False, log.deal[1:] != log.deal[:-1]))
    width = len(str(len(deals.born)))
    ids = texts(f"D{i:0{width}d}" for i in range(1, number[-1] + 2))
    levels: dict[str, Any] = {
        name: texts([level.name for level in getattr(world.mix, field)])[
            deals.levels[field][log.deal]
        ]
        for name, field in ATTRIBUTES
    }
    return History.from_columns(
        funnel=world.funnel,
        id=ids[number],
        stage=stage,
        at=origin + log.day,
        amount=_discounted(world, log, rng),
        created=origin + deals.born[log.deal],
        stage_entered=np.where(log.entered == NO_DAY, NO_DAY, origin + log.entered),
        expected_close=origin + log.due,
        currency=CURRENCY,
        observed_from=to_date(first),
        observed_until=to_date(last),
        category=_categories(world, stage, rng),
        **levels,
    )


def _state_codes(world: World, situation: IntArray, rng: np.random.Generator) -> IntArray:
    """(r,) -> (r,): codes of the funnel's states; losses divide among the lost ones."""
    funnel, n = world.funnel, len(world.stage_codes)
    hold = next((code for code, stage in enumerate(funnel.stages) if stage.on_hold), -1)
    lost = funnel.won_code + 1
    plain = [*world.stage_codes, *[hold] * n, *[lost] * n, funnel.won_code, len(funnel.states) - 1]
    codes = np.array(plain, dtype=np.int16)[situation]
    among = np.searchsorted(np.cumsum(world.moves.lost_shares)[:-1], rng.random(len(codes)))
    return np.where(codes == lost, lost + among, codes).astype(np.int16)


def _discounted(world: World, log: Log, rng: np.random.Generator) -> np.ndarray[Any, Any]:
    """(r,): amounts, less the discount on the rows on which a deal is won."""
    share = 2.0 * world.amounts.discount * rng.random(len(log.amount))
    won = log.situation == 3 * len(world.stage_codes)
    return np.where(won, np.round(log.amount * (1.0 - share), 2), log.amount)


def _categories(world: World, stage: IntArray, rng: np.random.Generator) -> StringArray:
    """(r,): the owner's own forecast category on open rows, now and then one too high."""
    names = [category.value for category in ForecastCategory]
    typed = world.funnel.categories[stage].astype(np.int64)
    counts = (typed > 0) & (rng.random(len(stage)) < world.records.optimism)
    own = np.minimum(typed + counts, len(names) - 1)
    is_open = world.funnel.outcomes[stage] == 0
    return texts([*names, ""])[np.where(is_open, own, -1)]
