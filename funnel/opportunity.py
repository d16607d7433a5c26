"""One deal as a value: what an application shows, stores or builds by hand."""

from __future__ import annotations

import datetime as dt
import types
from typing import TYPE_CHECKING, Any, Self

import attrs
import numpy as np

from funnel import rules
from funnel.calendars import to_date, to_day
from funnel.errors import ValidationError
from funnel.stages import Funnel, Outcome
from funnel.typing import NO_DAY, DateLike

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Opportunity"]

SCHEMA = "funnel.Opportunity/1"
DATES = ("created", "stage_entered", "closed_on", "first_seen", "expected_close")


def _date(value: DateLike | None) -> dt.date | None:
    """Convert to a date; None stays."""
    return None if value is None else to_date(to_day(value))


def _amount(value: float | None) -> float | None:
    """Convert to a float; unknown is None."""
    if value is None:
        return None
    number = float(value)
    return None if np.isnan(number) else number


def _attributes(value: Mapping[str, str | float | dt.date | None]) -> Mapping[str, Any]:
    """Freeze a copy of the mapping."""
    return types.MappingProxyType(dict(value))


def _id(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """Demand a non-empty text."""
    del instance, attribute
    if not isinstance(value, str) or not value.strip():
        raise ValidationError.from_value("id", "must be a non-empty text", value, "Name the deal.")


@attrs.frozen(kw_only=True)
class Opportunity:
    """The state of one deal at the end of the day `as_of`.

    It holds values and checks them; all arithmetic is done on tables (`Pipeline`).

    Parameters
    ----------
    id : str
        Name of the deal, unique in its table.
    funnel : Funnel
        The ladder that `stage` belongs to.
    as_of : date
        The day (its end) on which all this was known.
    stage : str
        Id, label or alias of a stage; stored as the stable id.
    amount : float, optional
        Major units of `currency`; None is unknown, 0 is zero.
    currency : str, optional
        Currency code.
    created, stage_entered, closed_on, first_seen : date, optional
        `closed_on` is the day on which a closed deal was won, lost or removed.
    expected_close : date, optional
        The promise; it is never overwritten by what happened.
    days_in_stage : int, optional
        Days spent in the stage by the end of `as_of`, days on hold left out.
    visits, pushes, reopened : int, optional
        Visits to the stage so far, times the promise moved later, times the deal was reopened.
    previous_stage, furthest_stage : str, optional
        The stage before, and the furthest one reached.
    attributes : mapping, optional
        Further columns (owner, category, region ...): text, number or date.

    Raises
    ------
    ValidationError
        When a rule of `funnel.rules` is broken.
    UnknownStageError
        When a stage is not part of the funnel.

    Examples
    --------
    >>> import datetime as dt
    >>> from funnel import Funnel, Opportunity
    >>> deal = Opportunity(
    ...     id="OPP-1", funnel=Funnel(["Qualify", "Propose"]), as_of=dt.date(2026, 6, 30),
    ...     stage="Propose", amount=1000, created=dt.date(2026, 6, 1),
    ... )
    >>> deal.outcome
    <Outcome.OPEN: 0>
    >>> Opportunity.from_dict(deal.to_dict()) == deal
    True
    """

    id: str = attrs.field(validator=_id)
    funnel: Funnel = attrs.field(validator=attrs.validators.instance_of(Funnel))
    as_of: dt.date = attrs.field(converter=_date)
    stage: str
    amount: float | None = attrs.field(default=None, converter=_amount)
    currency: str | None = None
    created: dt.date | None = attrs.field(default=None, converter=_date)
    stage_entered: dt.date | None = attrs.field(default=None, converter=_date)
    expected_close: dt.date | None = attrs.field(default=None, converter=_date)
    closed_on: dt.date | None = attrs.field(default=None, converter=_date)
    first_seen: dt.date | None = attrs.field(default=None, converter=_date)
    days_in_stage: int | None = None
    visits: int | None = None
    pushes: int | None = None
    reopened: int | None = None
    previous_stage: str | None = None
    furthest_stage: str | None = None
    attributes: Mapping[str, str | float | dt.date | None] = attrs.field(
        factory=dict, converter=_attributes, hash=False
    )

    def __attrs_post_init__(self) -> None:
        """Resolve stage names to ids and check the rules."""
        for name in ("stage", "previous_stage", "furthest_stage"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, self.funnel.stage(value).id)
        for name in ("days_in_stage", "visits", "pushes", "reopened"):
            count = getattr(self, name)
            if count is not None and (isinstance(count, bool) or int(count) != count or count < 0):
                raise ValidationError.from_value(
                    name, "must be a whole number >= 0", count, "Leave it out where it is unknown."
                )
        table: dict[str, np.ndarray[Any, Any]] = {
            name: np.array([NO_DAY if (day := getattr(self, name)) is None else to_day(day)])
            for name in (*DATES, "as_of")
        }
        table["amount"] = np.array([np.nan if self.amount is None else self.amount])
        rules.check(table, np.array([self.id]))

    @property
    def outcome(self) -> Outcome:
        """Whether the deal is open, won, lost or removed."""
        return Outcome(int(self.funnel.outcomes[self.funnel.code(self.stage)]))

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types, with the schema version inside."""
        plain = attrs.asdict(self, recurse=False)
        plain["funnel"] = self.funnel.to_dict()
        for name in (*DATES, "as_of"):
            plain[name] = None if plain[name] is None else plain[name].isoformat()
        plain["attributes"] = {
            name: {"date": value.isoformat()} if isinstance(value, dt.date) else value
            for name, value in self.attributes.items()
        }
        return {"schema": SCHEMA, **plain}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Self:
        """Rebuild an opportunity from `to_dict`.

        Raises
        ------
        ValidationError
            When the schema is another one or a field is unknown or missing.
        """
        fields = dict(plain)
        if (schema := fields.pop("schema", None)) != SCHEMA:
            raise ValidationError.from_value("schema", f"must be {SCHEMA!r}", schema, "")
        known = {field.name for field in attrs.fields(cls)}
        odd = sorted(fields.keys() - known) or sorted(
            {"id", "funnel", "as_of", "stage"} - fields.keys()
        )
        if odd:
            raise ValidationError.from_value("field", "is unknown or missing", odd[0], "")
        fields["funnel"] = Funnel.from_dict(fields["funnel"])
        fields["attributes"] = {
            name: dt.date.fromisoformat(value["date"]) if isinstance(value, dict) else value
            for name, value in fields.get("attributes", {}).items()
        }
        return cls(**fields)
