"""The parts of a simulated world: how deals move, when, how many, of what kind and worth."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import attrs

from funnel.datasets import _checks as check
from funnel.errors import ValidationError

__all__ = ["Amounts", "Intake", "Level", "Mix", "Moves", "Records", "Seasons"]

Table = tuple[tuple[float, ...], ...]
"""Rates by stage and band."""


@attrs.frozen(kw_only=True)
class Moves:
    """How deals move, as rates per day.

    On a day, a deal that faces rates ``r_1, r_2 ...`` leaves its stage with probability
    ``1 - exp(-(r_1 + r_2 + ...))``, and goes where ``r_j`` leads with probability proportional to
    ``r_j``. A rate or share of 0 switches a kind of move off.

    Parameters
    ----------
    bands : tuple of int
        Days in the stage from which the next column of `advance` and `lose` holds.
    advance, lose : (stages, bands + 1) tuples of float
        Rates of going to the next stage (of being won, from the last one) and of being lost.
    skip : float
        Share of the advances that leave out the next stage.
    same_day : float
        Chance that a deal which has advanced leaves its new stage upwards on the same day.
    back : float
        Rate of going back by one stage.
    hold : float
        Rate of being put on hold, once the last band is reached.
    resume, abandon : float
        Rates at which a deal on hold comes back to its stage, the clock going on where it stopped,
        and is lost.
    remove : float
        Rate at which an open deal is removed.
    reopen_lost, reopen_won : float
        Rates at which a closed deal comes back to the stage that it was lost from, or to the last.
    lost_shares : tuple of float
        How the losses divide among the funnel's lost states.
    """

    bands: tuple[int, ...] = attrs.field(
        default=(7, 21), converter=check.plain, validator=check.rising_days
    )
    advance: Table = attrs.field(
        default=(
            (0.024, 0.074, 0.040),
            (0.020, 0.064, 0.038),
            (0.015, 0.055, 0.033),
            (0.021, 0.070, 0.038),
            (0.060, 0.130, 0.070),
        ),
        converter=check.plain,
        validator=check.rates,
    )
    lose: Table = attrs.field(
        default=(
            (0.016, 0.034, 0.038),
            (0.008, 0.020, 0.024),
            (0.006, 0.020, 0.025),
            (0.005, 0.014, 0.020),
            (0.005, 0.012, 0.020),
        ),
        converter=check.plain,
        validator=check.rates,
    )
    skip: float = attrs.field(default=0.08, converter=check.plain, validator=check.share)
    same_day: float = attrs.field(default=0.03, converter=check.plain, validator=check.share)
    back: float = attrs.field(default=0.002, converter=check.plain, validator=check.rate)
    hold: float = attrs.field(default=0.004, converter=check.plain, validator=check.rate)
    resume: float = attrs.field(default=0.025, converter=check.plain, validator=check.rate)
    abandon: float = attrs.field(default=0.01, converter=check.plain, validator=check.rate)
    remove: float = attrs.field(default=0.0004, converter=check.plain, validator=check.rate)
    reopen_lost: float = attrs.field(default=0.0001, converter=check.plain, validator=check.rate)
    reopen_won: float = attrs.field(default=0.00004, converter=check.plain, validator=check.rate)
    lost_shares: tuple[float, ...] = attrs.field(
        default=(0.7, 0.3), converter=check.plain, validator=check.shares
    )

    def __attrs_post_init__(self) -> None:
        """Demand tables of one shape."""
        width = len(self.bands) + 1
        for name, table in (("advance", self.advance), ("lose", self.lose)):
            if {len(row) for row in table} != {width} or len(table) != len(self.advance):
                rule = f"must have a row for each stage and {width} columns"
                raise ValidationError.from_value(name, rule, table, "Give a rate for every band.")


@attrs.frozen(kw_only=True)
class Seasons:
    """When deals are won, and when anything happens at all; a multiplier of 1 switches off.

    Parameters
    ----------
    months : (12,) tuple of float
        Multipliers of the rates of winning, January first.
    quarter_end : float
        Multiplier of the rates of winning on the last ten days of a calendar quarter.
    weekend : float
        Multiplier of every rate, and of arrivals, on Saturdays and Sundays.
    shock : float
        Standard deviation of the logarithm of a random multiplier of the rates of winning that all
        deals share: one for each calendar month, independent, with mean 1. 0 switches it off.
    """

    months: tuple[float, ...] = attrs.field(
        default=(0.85, 0.95, 1.1, 0.95, 1.0, 1.1, 0.85, 0.75, 1.05, 1.05, 1.1, 1.25),
        converter=check.plain,
        validator=check.months,
    )
    quarter_end: float = attrs.field(default=1.6, converter=check.plain, validator=check.positive)
    weekend: float = attrs.field(default=0.05, converter=check.plain, validator=check.positive)
    shock: float = attrs.field(default=0.1, converter=check.plain, validator=check.rate)


@attrs.frozen(kw_only=True)
class Intake:
    """How deals come in and which of them the log sees.

    Parameters
    ----------
    growth : float
        Change of the number of new deals per year, 0.1 for 10 % more.
    months : (12,) tuple of float
        Multipliers of arrivals, January first.
    entry : tuple of float
        Share of new deals that begin in each stage; missing stages have none.
    warm_up : int
        Days simulated before the log begins. Deals of this time that are open in a stage at the
        end of the first day enter the log late, in mid-stage; 0 switches this off.
    unknown_entry : float
        Share of these, where they have been in the stage for as long as the last of
        ``Moves.bands``, or were on hold, whose day of entry into the stage is not in the log.
        It is never there for those that were on hold.
    """

    growth: float = attrs.field(default=0.1, converter=check.plain, validator=check.growth)
    months: tuple[float, ...] = attrs.field(
        default=(1.05, 1.05, 1.1, 1.0, 1.0, 1.0, 0.85, 0.75, 1.1, 1.1, 1.1, 0.8),
        converter=check.plain,
        validator=check.months,
    )
    entry: tuple[float, ...] = attrs.field(
        default=(0.85, 0.10, 0.05), converter=check.plain, validator=check.shares
    )
    warm_up: int = attrs.field(default=365, converter=check.plain, validator=check.days)
    unknown_entry: float = attrs.field(default=0.5, converter=check.plain, validator=check.share)


@attrs.frozen
class Level:
    """One value of an attribute.

    Parameters
    ----------
    name : str
        Name of the owner, source or region.
    share : float
        Share of the deals that have it.
    multiplier : float
        Multiplier of their rates of advancing and winning.
    """

    name: str = attrs.field(validator=check.text)
    share: float = attrs.field(converter=check.plain, validator=check.share)
    multiplier: float = attrs.field(
        default=1.0, kw_only=True, converter=check.plain, validator=check.positive
    )


def _levels(values: Any) -> Any:  # noqa: ANN401 - what is no list is left to the validator
    """Read levels, also stored ones."""
    if not isinstance(values, list | tuple):
        return values
    stored = {"name", "share", "multiplier"}
    return tuple(
        Level(item["name"], item["share"], multiplier=item["multiplier"])
        if isinstance(item, Mapping) and set(item) == stored
        else item
        for item in values
    )


def _mixed(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """Demand levels of different names whose shares add up to one."""
    levels = value if isinstance(value, tuple) else (None,)
    if not all(isinstance(level, Level) for level in levels):
        raise ValidationError.from_value(attribute.name, "must be a list of Level", value, "")
    names = [level.name for level in levels]
    if len(set(names)) < len(names):
        raise ValidationError.from_value(attribute.name, "must have different names", names, "")
    check.shares(instance, attribute, tuple(level.share for level in levels))


@attrs.frozen(kw_only=True)
class Mix:
    """Of what kind deals are; attributes are drawn independently of one another.

    Parameters
    ----------
    owners, sources, regions : tuple of Level
        Who works on a deal, where it came from, and where the customer is.
    """

    owners: tuple[Level, ...] = attrs.field(
        default=(
            Level("Ana", 0.20, multiplier=1.30),
            Level("Boris", 0.20, multiplier=1.00),
            Level("Chen", 0.20, multiplier=1.00),
            Level("Dilys", 0.15, multiplier=1.15),
            Level("Emre", 0.15, multiplier=0.80),
            Level("Fatou", 0.10, multiplier=0.65),
        ),
        converter=_levels,
        validator=_mixed,
    )
    sources: tuple[Level, ...] = attrs.field(
        default=(
            Level("Website", 0.40, multiplier=0.90),
            Level("Outbound", 0.25, multiplier=0.80),
            Level("Partner", 0.20, multiplier=1.10),
            Level("Referral", 0.15, multiplier=1.50),
        ),
        converter=_levels,
        validator=_mixed,
    )
    regions: tuple[Level, ...] = attrs.field(
        default=(Level("North", 0.5), Level("South", 0.3), Level("West", 0.2)),
        converter=_levels,
        validator=_mixed,
    )


@attrs.frozen(kw_only=True)
class Amounts:
    """What deals are worth, and what that does to their chances.

    The amount at creation is lognormal. It may be revised when the deal advances, within its size
    class only, so that the class of a deal that is open never changes.

    Parameters
    ----------
    median : float
        Median at creation, in major units.
    spread : float
        Standard deviation of its logarithm.
    edges : tuple of float
        Amounts at which the next size class begins.
    multipliers : (edges + 1,) tuple of float
        Multipliers, by size class, of the rates of advancing and winning: with falling ones,
        larger deals are won less often and take longer, so that won amounts differ from lost ones.
    revise : float
        Share of advances at which the amount is revised.
    revision : float
        Standard deviation of the logarithm of a revision.
    discount : float
        Mean share taken off the amount when a deal is won (uniform, from 0 to twice as much).
    """

    median: float = attrs.field(default=20_000.0, converter=check.plain, validator=check.positive)
    spread: float = attrs.field(default=1.0, converter=check.plain, validator=check.rate)
    edges: tuple[float, ...] = attrs.field(
        default=(10_000.0, 50_000.0), converter=check.plain, validator=check.rising
    )
    multipliers: tuple[float, ...] = attrs.field(
        default=(1.25, 1.0, 0.7), converter=check.plain, validator=check.multipliers
    )
    revise: float = attrs.field(default=0.25, converter=check.plain, validator=check.share)
    revision: float = attrs.field(default=0.15, converter=check.plain, validator=check.rate)
    discount: float = attrs.field(default=0.05, converter=check.plain, validator=check.share)

    def __attrs_post_init__(self) -> None:
        """Demand a multiplier per class, and discounts that leave something."""
        if len(self.multipliers) != len(self.edges) + 1:
            rule = f"must have {len(self.edges) + 1} values, one for each size class"
            raise ValidationError.from_value("multipliers", rule, self.multipliers, "")
        if self.discount > 0.5:
            raise ValidationError.from_value("discount", "must be at most 0.5", self.discount, "")


@attrs.frozen(kw_only=True)
class Records:
    """What people write down about deals; none of it bears on what happens.

    Parameters
    ----------
    promise : float
        Median days from the creation to the expected close that is promised then.
    push : float
        Chance per day that the promise of an open deal which is overdue is moved. 0 switches off.
    later : float
        Median days by which it is moved, from the day on which it is moved.
    spread : float
        Standard deviation of the logarithms of both.
    optimism : float
        Share of rows in which the owner puts the deal one forecast category above its stage's.
    renamed_on : date or None
        Before this day, stages with aliases were called by the first one.
    """

    promise: float = attrs.field(default=60.0, converter=check.plain, validator=check.positive)
    push: float = attrs.field(default=0.15, converter=check.plain, validator=check.share)
    later: float = attrs.field(default=30.0, converter=check.plain, validator=check.positive)
    spread: float = attrs.field(default=0.4, converter=check.plain, validator=check.rate)
    optimism: float = attrs.field(default=0.1, converter=check.plain, validator=check.share)
    renamed_on: dt.date | None = attrs.field(
        default=dt.date(2024, 10, 1), converter=check.date, validator=check.optional_date
    )


PARTS: Mapping[str, type[Any]] = {
    "moves": Moves,
    "seasons": Seasons,
    "intake": Intake,
    "mix": Mix,
    "amounts": Amounts,
    "records": Records,
}
"""Names of the parts of a world with their classes."""


def part_from(name: str, stored: object) -> Any:  # noqa: ANN401 - one of the classes above
    """Rebuild a part from plain values, all fields given."""
    kind = PARTS[name]
    fields = sorted(field.name for field in attrs.fields(kind))
    if not isinstance(stored, Mapping) or sorted(stored) != fields:
        raise ValidationError.from_value(name, f"must have the fields {fields}", stored, "")
    return kind(**stored)
