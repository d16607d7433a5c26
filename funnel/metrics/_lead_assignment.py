"""Who gets which lead: ordered rules, and turns by capacity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from funnel.calendars import to_date
from funnel.errors import ValidationError
from funnel.kernels.labels import texts
from funnel.metrics._groups import check_days
from funnel.results import ResultTable
from funnel.stages import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from funnel.metrics._lead_scores import LeadScores
    from funnel.tables import Pipeline
    from funnel.typing import BoolArray, IntArray, StringArray

__all__ = ["AssignmentRule", "LeadAssignments", "assign_leads"]

BAND = "band"
NO_RULE, NO_CAPACITY = "no rule", "no capacity"


def _conditions(where: Mapping[str, Iterable[str] | str]) -> tuple[tuple[str, frozenset[str]], ...]:
    """Keep conditions as pairs, so that the rule is hashable; a text stands for itself."""
    return tuple(
        (column, frozenset((values,) if isinstance(values, str) else values))
        for column, values in dict(where).items()
    )


def _owners(owners: Iterable[str] | str) -> tuple[str, ...]:
    """Keep owners in order; a text is one owner."""
    return (owners,) if isinstance(owners, str) else tuple(owners)


def _check_owners(
    instance: object, attribute: attrs.Attribute[Any], value: tuple[Any, ...]
) -> None:
    """Demand owners, each once."""
    del instance
    if not value or len(set(value)) < len(value) or not all(value):
        rule = "must name at least one owner, each once"
        raise ValidationError.from_value(attribute.name, rule, value, "")


@attrs.frozen
class AssignmentRule:
    """Leads of some kind go to some people, in turns.

    Parameters
    ----------
    to : str or iterable of str
        Who gets them, in this order.
    where : mapping of str to values
        Values of category columns, such as region or industry, one or several for each; all
        columns must agree. ``"band"`` is the grade of a scorecard. Empty: every lead.
    name : str
        What the rule is called; ``"rule 1"``, ``"rule 2"``, ... by default.

    Examples
    --------
    >>> AssignmentRule(["Ann", "Bo"], where={"region": "north"}).to
    ('Ann', 'Bo')
    """

    to: tuple[str, ...] = attrs.field(converter=_owners, validator=_check_owners)
    where: tuple[tuple[str, frozenset[str]], ...] = attrs.field(
        factory=dict, kw_only=True, converter=_conditions
    )
    name: str = attrs.field(default="", kw_only=True)

    def matches(self, pipeline: Pipeline, bands: StringArray | None) -> BoolArray:
        """Tell which deals the rule is for, (n,)."""
        found = np.ones(len(pipeline), dtype=np.bool_)
        for name, values in self.where:
            if name == BAND and bands is not None:
                found &= np.isin(bands, list(values))
                continue
            column = pipeline.schema.column(name)
            if column.kind != "category":
                rule, remedy = "must name category columns", f"It is a {column.kind} column."
                raise ValidationError.from_value("where", rule, name, remedy)
            wanted = np.array([text in values for text in (*column.categories, "")])
            found &= wanted[pipeline.columns[name]]
        return found


@attrs.frozen(eq=False, repr=False)
class LeadAssignments(ResultTable):
    """Who gets which lead, see `assign_leads`.

    Parameters
    ----------
    ids : (n,) str
        Open deals.
    owner, rule : (n,) str
        Who gets each, and by which rule; ``""`` where nobody does.
    mark : (n,) str
        ``""``, ``"no rule"`` or ``"no capacity"``.
    loads : mapping of str to int
        Leads by owner, of all owners of the rules.
    as_of : int
        Day (its end) of the pipeline.
    """

    ids: StringArray
    owner: StringArray
    rule: StringArray
    mark: StringArray
    loads: Mapping[str, int]
    as_of: int

    @property
    def unassigned(self) -> StringArray:
        """Leads that nobody gets, (m,)."""
        return np.asarray(self.ids[self.owner == ""])

    def to_columns(self) -> dict[str, Any]:
        """Return one row for each lead."""
        return {"id": self.ids, "owner": self.owner, "rule": self.rule, "mark": self.mark}

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        """Show leads by owner; frames and JSON hold every lead."""
        rows = [[name, f"{n:,}"] for name, n in self.loads.items()]
        return ["owner", "leads"], rows

    def __repr__(self) -> str:
        """Return one line."""
        gone = len(self.unassigned)
        n, day = len(self.ids), to_date(self.as_of)
        return f"LeadAssignments({n:,} leads as of {day}, {gone:,} unassigned)"

    @property
    def _title(self) -> str:
        """Return the heading."""
        return repr(self)

    @property
    def _notes(self) -> tuple[str, ...]:
        """Say who is left over."""
        found = []
        for mark in (NO_RULE, NO_CAPACITY):
            rows = np.flatnonzero(self.mark == mark)
            if len(rows):
                first = str(self.ids[rows[0]])
                found.append(f"{len(rows):,} leads are unassigned: {mark} (first: {first!r})")
        return tuple(found)


def _check_capacity(
    capacity: Mapping[str, int] | None, rules: Sequence[AssignmentRule]
) -> dict[str, int] | None:
    """Return how many leads each owner can take; every owner of the rules must have a number."""
    if capacity is None:
        return None
    for owner in (owner for rule in rules for owner in rule.to):
        if owner not in capacity:
            rule, remedy = "must say a number for every owner of the rules", f"Add {owner!r}."
            raise ValidationError.from_value("capacity", rule, dict(capacity), remedy)
    for owner, number in capacity.items():
        check_days(number, f"capacity of {owner!r}")
    return dict(capacity)


def _turns(limits: Sequence[int], n: int) -> IntArray:
    """(k,) -> (m,): whose turn it is for each of at most `n` leads, everybody by their limit.

    Turn t of somebody who can take c comes at (t + 1/2) / c of the way.
    """
    limit = np.array(limits, dtype=np.int64)
    # Of the first n turns nobody has more than a share in proportion, and two.
    most = limit * (n + len(limit)) // max(int(limit.sum()), 1) + 2
    counts = np.minimum(limit, most)
    who = np.repeat(np.arange(len(limit)), counts)
    turn = np.arange(len(who)) - np.repeat(np.cumsum(counts) - counts, counts)
    at = (turn + 0.5) / limit[who]
    return who[np.lexsort((who, at))][:n]


def assign_leads(
    pipeline: Pipeline,
    rules: Iterable[AssignmentRule],
    /,
    *,
    capacity: Mapping[str, int] | None = None,
    scores: LeadScores | None = None,
) -> LeadAssignments:
    """Assign open deals to people by ordered rules, in turns.

    Parameters
    ----------
    pipeline : Pipeline
        The leads: all its open deals. Select those that are new with ``pipeline.select``.
    rules : iterable of AssignmentRule
        The first rule that matches a lead and has room for it counts.
    capacity : mapping of str to int, optional
        How many leads each owner can take, over all rules; without it there is no limit.
    scores : LeadScores, optional
        Of the same pipeline: the best leads are assigned first, and rules may ask for ``"band"``.
        Otherwise leads come in the order of the pipeline.

    Returns
    -------
    LeadAssignments
        The same one for the same input, always.

    Raises
    ------
    UnknownColumnError, ValidationError
        When a column of a rule does not exist or is not made of categories, an owner has no
        capacity, or the scores are of other deals.

    Notes
    -----
    Without capacities owners take turns in their order, beginning with the first one at each rule.
    With capacities the turns are in proportion to what each can still take at that rule, so that
    all become full at the same time. Leads beyond that go on to the next rule that matches.

    Examples
    --------
    >>> import funnel as fn
    >>> pipeline = fn.Pipeline.from_columns(
    ...     funnel=fn.Funnel(["Lead"]), as_of="2026-06-30", id=["L1", "L2", "L3", "L4"],
    ...     stage=["Lead"] * 4, region=["north", "north", "south", "north"],
    ... )
    >>> found = assign_leads(pipeline, [AssignmentRule(["Ann", "Bo"], where={"region": "north"})])
    >>> found.owner.tolist(), found.mark.tolist()
    (['Ann', 'Bo', '', 'Ann'], ['', '', 'no rule', ''])
    """
    rules = tuple(rules)
    left = _check_capacity(capacity, rules)
    if scores is not None and not np.array_equal(scores.ids, pipeline.ids):
        what, remedy = "must be of the same deals as the pipeline", "Apply the scorecard to it."
        raise ValidationError.from_value("scores", what, scores, remedy)
    bands = None if scores is None else scores.band
    queue = np.arange(len(pipeline)) if scores is None else np.argsort(-scores.score, kind="stable")
    queue = queue[pipeline.outcome[queue] == Outcome.OPEN]
    owner, by = (np.full(len(pipeline), "", dtype=object) for _ in range(2))
    matched = np.zeros(len(pipeline), dtype=np.bool_)
    loads = {name: 0 for rule in rules for name in rule.to}
    for number, rule in enumerate(rules, start=1):
        matching = rule.matches(pipeline, bands)
        matched |= matching
        waiting = queue[matching[queue] & (owner[queue] == "")]
        limits = [len(waiting) if left is None else left[name] for name in rule.to]
        who = _turns(limits, len(waiting))
        owner[waiting[: len(who)]] = texts(rule.to)[who]
        by[waiting[: len(who)]] = rule.name or f"rule {number}"
        for name, n in zip(rule.to, np.bincount(who, minlength=len(rule.to)).tolist(), strict=True):
            loads[name] += n
            if left is not None:
                left[name] -= n
    rows = np.sort(queue)
    mark = np.where(owner != "", "", np.where(matched, NO_CAPACITY, NO_RULE)).astype(object)
    return LeadAssignments(
        ids=pipeline.ids[rows],
        owner=texts(owner[rows]),
        rule=texts(by[rows]),
        mark=texts(mark[rows]),
        loads=loads,
        as_of=pipeline.as_of,
    )
