"""The truth behind simulated deals, as one specification that can be stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import attrs

from funnel.datasets._parts import (
    PARTS,
    Amounts,
    Intake,
    Level,
    Mix,
    Moves,
    Records,
    Seasons,
    part_from,
)
from funnel.errors import ValidationError
from funnel.stages import ForecastCategory, Funnel, Stage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["World"]

SCHEMA = "funnel.World/1"


def _stage(name: str, probability: float, days: int, category: str, *aliases: str) -> Stage:
    """Make a working stage with a timeout of twice its standard days."""
    return Stage(
        name.lower(),
        label=name,
        aliases=aliases,
        win_probability=probability,
        standard_days=days,
        timeout_days=2 * days,
        category=ForecastCategory.parse(category),
    )


def _business_to_business() -> Funnel:
    """Make the ladder of a company that sells to companies, its probabilities typed too high."""
    return Funnel(
        [
            _stage("Qualify", 0.25, 14, "pipeline"),
            _stage("Discover", 0.4, 21, "pipeline"),
            _stage("Proposal", 0.6, 21, "best case", "Quote"),
            _stage("Negotiate", 0.8, 21, "best case"),
            _stage("Contract", 0.95, 14, "commit"),
            Stage(
                "on-hold", label="On hold", category="omitted", win_probability=0.3, on_hold=True
            ),
        ],
        won="Won",
        lost=("Lost", "No decision"),
        removed="Removed",
    )


def _kind(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """Demand the class that belongs to a field."""
    del instance
    kind = PARTS.get(attribute.name, Funnel)
    if not isinstance(value, kind):
        raise ValidationError.from_value(attribute.name, f"must be a {kind.__name__}", value, "")


@attrs.frozen(kw_only=True)
class World:
    """What is true of simulated deals: the parameters of `simulate` and of the true model.

    A deal has been in its stage for some days. Each day it may advance, win, be lost, move back,
    be put on hold or be removed, at rates that depend on its stage, on the days it has been there
    and on its owner, source, region and size; winning also depends on the month, the end of the
    quarter and a shock that all deals share. Nothing else matters: expected closes, categories and
    earlier moves follow from the deals and do not drive them.

    Parameters
    ----------
    funnel : Funnel
        The ladder. Its working stages (all but those on hold), from the bottom up, have the rows
        of `moves`; typed probabilities and standard days play no part.
    moves : Moves
        How deals move.
    seasons : Seasons
        When deals are won.
    intake : Intake
        How deals come in.
    mix : Mix
        Owners, sources and regions.
    amounts : Amounts
        What deals are worth.
    records : Records
        What people write down.

    Raises
    ------
    ValidationError
        When a part is wrong in itself, or does not fit the funnel.

    Examples
    --------
    >>> from funnel.datasets import Seasons, World
    >>> world = World(seasons=Seasons(shock=0.3))
    >>> World.from_dict(world.to_dict()) == world
    True
    """

    funnel: Funnel = attrs.field(factory=_business_to_business, validator=_kind)
    moves: Moves = attrs.field(factory=Moves, validator=_kind)
    seasons: Seasons = attrs.field(factory=Seasons, validator=_kind)
    intake: Intake = attrs.field(factory=Intake, validator=_kind)
    mix: Mix = attrs.field(factory=Mix, validator=_kind)
    amounts: Amounts = attrs.field(factory=Amounts, validator=_kind)
    records: Records = attrs.field(factory=Records, validator=_kind)

    def __attrs_post_init__(self) -> None:
        """Demand that the parts fit the funnel."""
        moves, stages, lost = self.moves, len(self.stage_codes), len(self.funnel.lost)
        held = any(stage.on_hold for stage in self.funnel.stages)
        for fits, name, rule, value in (
            (len(moves.advance) == stages, "advance", f"must have {stages} rows", moves.advance),
            (
                len(self.intake.entry) <= stages,
                "entry",
                f"must have at most {stages} shares",
                self.intake.entry,
            ),
            (
                len(moves.lost_shares) == lost,
                "lost_shares",
                f"must have {lost} shares",
                moves.lost_shares,
            ),
            (held or moves.hold == 0.0, "hold", "must be 0 without an on-hold stage", moves.hold),
        ):
            if not fits:
                raise ValidationError.from_value(
                    name,
                    rule,
                    value,
                    f"The funnel has {stages} working stages, {lost} lost states.",
                )

    @property
    def stage_codes(self) -> tuple[int, ...]:
        """Codes of the working stages, from the bottom of the ladder up."""
        return tuple(code for code, stage in enumerate(self.funnel.stages) if not stage.on_hold)

    @classmethod
    def simple(
        cls, *, advance: Sequence[float] = (0.05, 0.04), lose: Sequence[float] = (0.03, 0.02)
    ) -> Self:
        """Return a world of constant rates and nothing else, to be compared with closed forms.

        No seasons, shocks, weekends, covariates, skips, moves back, holds, reopenings, removals or
        late entries; amounts and expected closes are there and play no part.

        Parameters
        ----------
        advance, lose : (stages,) sequence of float
            Rates per day by stage.

        Examples
        --------
        >>> world = World.simple(advance=(0.02,), lose=(0.06,))
        >>> world.funnel.stages[0].label, world.moves.advance
        ('Stage 1', ((0.02,),))
        """
        even = (1.0,) * 12
        return cls(
            funnel=Funnel([f"Stage {i + 1}" for i in range(len(advance))], won="Won", lost="Lost"),
            moves=Moves(
                bands=(),
                advance=[[rate] for rate in advance],
                lose=[[rate] for rate in lose],
                skip=0.0,
                same_day=0.0,
                back=0.0,
                hold=0.0,
                remove=0.0,
                reopen_lost=0.0,
                reopen_won=0.0,
                lost_shares=(1.0,),
            ),
            seasons=Seasons(months=even, quarter_end=1.0, weekend=1.0, shock=0.0),
            intake=Intake(growth=0.0, months=even, entry=(1.0,), warm_up=0),
            mix=Mix(
                owners=(Level("Ana", 1.0),),
                sources=(Level("Website", 1.0),),
                regions=(Level("North", 1.0),),
            ),
            amounts=Amounts(edges=(), multipliers=(1.0,), revise=0.0, discount=0.0),
            records=Records(push=0.0, optimism=0.0, renamed_on=None),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types, with the schema version inside."""
        parts = {name: attrs.asdict(getattr(self, name)) for name in PARTS}
        renamed_on = self.records.renamed_on
        parts["records"]["renamed_on"] = None if renamed_on is None else renamed_on.isoformat()
        return {"schema": SCHEMA, "funnel": self.funnel.to_dict(), **parts}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any], /) -> Self:
        """Rebuild a world from `to_dict`.

        Raises
        ------
        ValidationError
            When the schema is another one or a field is unknown or missing.
        """
        fields = dict(stored)
        if (schema := fields.pop("schema", None)) != SCHEMA:
            raise ValidationError.from_value("schema", f"must be {SCHEMA!r}", schema, "")
        if sorted(fields) != sorted(("funnel", *PARTS)):
            known = sorted(("funnel", *PARTS))
            raise ValidationError.from_value("world", f"must have {known}", sorted(fields), "")
        parts = {name: part_from(name, fields[name]) for name in PARTS}
        return cls(funnel=Funnel.from_dict(fields["funnel"]), **parts)
