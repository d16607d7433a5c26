"""What a rule of the watch list is, and what it sees."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

import attrs
import numpy as np

from funnel.errors import UnknownColumnError, ValidationError
from funnel.stages import Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from funnel.summary import HistorySource
    from funnel.tables import History, Pipeline
    from funnel.typing import BoolArray, FloatArray, IntArray

__all__ = ["Flags", "Severity", "WatchRule", "Watched", "find_column"]

Severity = Literal["info", "warning", "critical"]
"""How bad it is, from the mildest to the worst."""

SEVERITIES = get_args(Severity)


@attrs.frozen(eq=False)
class Watched:
    """What rules look at.

    Parameters
    ----------
    pipeline : Pipeline
        The open deals.
    history : History or None
        The history behind them, up to the same day, where there is one. Of a source in chunks it
        holds the open deals only.
    source : History, HistorySource or None
        All deals, closed ones too; that is `history` unless it is given.
    """

    pipeline: Pipeline
    history: History | None
    source: History | HistorySource | None = attrs.field(
        default=attrs.Factory(lambda self: self.history, takes_self=True)
    )

    @property
    def running(self) -> BoolArray:
        """Deals whose clock runs: those not on hold, (n,)."""
        return np.asarray(~self.pipeline.funnel.on_hold[self.pipeline.stage])


@attrs.frozen(eq=False)
class Flags:
    """The deals that a rule flags.

    Parameters
    ----------
    rows : (m,) int64
        Positions in the watched pipeline.
    value, limit : (m,) float64
        What was measured, and the limit that it breaks; NaN where there is none.
    note : str
        What could not be checked, and why; empty if nothing.
    """

    rows: IntArray
    value: FloatArray
    limit: FloatArray
    note: str = ""

    @classmethod
    def of(
        cls,
        mask: BoolArray,
        *,
        value: FloatArray | IntArray | float = np.nan,
        limit: FloatArray | IntArray | float = np.nan,
        note: str = "",
    ) -> Flags:
        """Flag the deals of a mask (n,); values and limits are of all deals, or the same for all.

        Examples
        --------
        >>> Flags.of(np.array([True, False, True]), value=np.array([5, 6, 7])).value.tolist()
        [5.0, 7.0]
        """
        rows = np.flatnonzero(mask)
        of_all = (
            np.broadcast_to(np.asarray(v, dtype=np.float64), mask.shape) for v in (value, limit)
        )
        measured, allowed = (values[rows] for values in of_all)
        return cls(rows, measured, allowed, note)

    @classmethod
    def none(cls, note: str) -> Flags:
        """Flag nobody, and say why nothing could be checked."""
        return cls(np.empty(0, dtype=np.int64), np.empty(0), np.empty(0), note=note)


def _severity(_: object, __: attrs.Attribute[Any], value: object) -> None:
    """Demand a known severity."""
    if value not in SEVERITIES:
        rule = f"must be one of {', '.join(SEVERITIES)}"
        raise ValidationError.from_value("severity", rule, value, "")


@attrs.frozen(kw_only=True)
class WatchRule(ABC):
    """A rule of the watch list: a frozen object with parameters, that flags open deals.

    A subclass is decorated with ``attrs.frozen(kw_only=True)``, gives `name` and writes `check`. A
    package registers it in the entry-point group ``funnel.rules`` under a name with a prefix, such
    as ``"acme.no-competitor"``.

    Parameters
    ----------
    severity : {"info", "warning", "critical"}
        How bad it is when a deal breaks the rule.

    Examples
    --------
    >>> @attrs.frozen(kw_only=True)
    ... class Huge(WatchRule):
    ...     name = "acme.huge"
    ...     limit: float = 1_000_000.0
    ...     def check(self, watched, /):
    ...         amount = watched.pipeline.amount
    ...         return Flags.of(amount > self.limit, value=amount, limit=self.limit)
    >>> Huge(limit=5e5)
    Huge(severity='warning', limit=500000.0)
    """

    name: ClassVar[str]
    """Under which it is registered and shown."""

    severity: Severity = attrs.field(default="warning", validator=_severity)

    @abstractmethod
    def check(self, watched: Watched, /) -> Flags:
        """Return the deals that break the rule."""


def find_column(
    pipeline: Pipeline, given: str | None, usual: Sequence[str], kinds: Sequence[str]
) -> str:
    """Return the column that is meant: the given one, which must exist, else the first usual one.

    Returns the empty text where none was given and none of the usual ones is there.
    """
    names = pipeline.schema.names
    if given is None:
        found = (n for n in usual if n in names and pipeline.schema.column(n).kind in kinds)
        return next(found, "")
    if given not in names:
        raise UnknownColumnError(given, names)
    kind = pipeline.schema.column(given).kind
    if kind not in kinds:
        rule = f"must name a column of kind {' or '.join(kinds)}"
        raise ValidationError.from_value("column", rule, given, f"It is a {kind} column.")
    return given


def open_deals(pipeline: Pipeline) -> IntArray:
    """Return the rows of the open deals, (m,)."""
    return np.flatnonzero(pipeline.outcome == Outcome.OPEN)
