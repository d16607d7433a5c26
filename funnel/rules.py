"""One table of rules for an opportunity, used for scalars and for whole columns alike.

A rule is a vectorised predicate over named columns (days as int32, amounts as float64).
`Opportunity` checks itself as a table of one row, so that object and table cannot disagree;
readers use the same rules to report findings instead of raising.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from funnel.errors import ValidationError
from funnel.typing import NO_DAY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Protocol

    from funnel.typing import BoolArray, IntArray

    class Named(Protocol):
        """Names by row."""

        def __len__(self) -> int: ...

        def __getitem__(self, row: int, /) -> Any: ...  # noqa: ANN401 - arrays do not say


__all__ = ["FIRST_DAY", "LAST_DAY", "RULES", "Rule", "check", "violations"]

FIRST_DAY = 0
"""1970-01-01, the first day a table accepts."""

LAST_DAY = 47_481
"""2099-12-31, the last day a table accepts: a later one is a slip of the pen (2215 for 2015)."""


@attrs.frozen
class Rule:
    """What must hold for every row.

    Parameters
    ----------
    name : str
        Short name used in findings, for instance ``"amount-negative"``.
    column : str
        The column at fault.
    needs : tuple of str
        Columns that the predicate reads; the rule is skipped where one is absent.
    requirement : str
        What must hold, in words.
    remedy : str
        What the user can do.
    broken : callable
        ``{name: (n,)} -> (n,)`` mask of the offending rows.
    """

    name: str
    column: str
    needs: tuple[str, ...]
    requirement: str
    remedy: str
    broken: Callable[[Mapping[str, np.ndarray[Any, Any]]], BoolArray]


def _implausible(column: str) -> Rule:
    """Make the rule that a date column lies in the accepted range."""

    def broken(table: Mapping[str, np.ndarray[Any, Any]]) -> BoolArray:
        """Return rows outside of the range; no date is fine."""
        days = table[column]
        return np.asarray(((days < FIRST_DAY) | (days > LAST_DAY)) & (days != NO_DAY))

    return Rule(
        f"{column}-implausible",
        column,
        (column,),
        "must lie between 1970-01-01 and 2099-12-31",
        "Correct the date.",
        broken,
    )


def _after(column: str, other: str, remedy: str) -> Rule:
    """Make the rule that one date is not after another."""

    def broken(table: Mapping[str, np.ndarray[Any, Any]]) -> BoolArray:
        """Return rows in the wrong order; a missing date breaks nothing."""
        days, limit = table[column], table[other]
        return np.asarray((days > limit) & (days != NO_DAY) & (limit != NO_DAY))

    return Rule(
        f"{column}-after-{other}",
        column,
        (column, other),
        f"must not be after {other}",
        remedy,
        broken,
    )


def _infinite_amount(table: Mapping[str, np.ndarray[Any, Any]]) -> BoolArray:
    """Return rows whose amount is infinite."""
    return np.asarray(np.isinf(table["amount"]))


def _negative_amount(table: Mapping[str, np.ndarray[Any, Any]]) -> BoolArray:
    """Return rows whose amount is below zero."""
    return np.asarray(np.less(table["amount"], 0.0) & np.isfinite(table["amount"]))


RULES: tuple[Rule, ...] = (
    *(
        _implausible(column)
        for column in (
            "at",
            "created",
            "stage_entered",
            "expected_close",
            "closed_on",
            "first_seen",
        )
    ),
    _after("created", "at", "A change cannot precede the creation of its deal."),
    _after("created", "as_of", "Leave out deals that do not exist yet, or move as_of."),
    _after("stage_entered", "as_of", "Leave out what happened later, or move as_of."),
    _after("stage_entered", "at", "The stage of a row was entered on or before its day."),
    _after(
        "closed_on", "as_of", "A deal that is still open has an expected close, not a closing day."
    ),
    _after("created", "stage_entered", "A stage cannot be entered before the deal exists."),
    _after("created", "closed_on", "A deal cannot close before it exists."),
    Rule(
        "amount-infinite",
        "amount",
        ("amount",),
        "must be finite, or NaN where it is unknown",
        "Correct the amount, or leave it empty.",
        _infinite_amount,
    ),
    Rule(
        "amount-negative",
        "amount",
        ("amount",),
        "must be >= 0",
        "Correct the amount; book refunds and credits outside of the funnel.",
        _negative_amount,
    ),
)
"""Every rule, in the order in which they are checked."""


def violations(
    table: Mapping[str, np.ndarray[Any, Any]],
) -> Iterator[tuple[Rule, np.ndarray[Any, Any]]]:
    """Yield every broken rule with the positions of the rows that break it.

    Parameters
    ----------
    table : mapping of str to ndarray, each (n,)
        Columns by name; a column of length 1 is compared with every row.

    Yields
    ------
    rule : Rule
    rows : (m,) int64
        Positions of the offenders, m >= 1.

    Examples
    --------
    >>> import numpy as np
    >>> for rule, rows in violations({"amount": np.array([5.0, -1.0, np.nan])}):
    ...     print(rule.name, rows.tolist())
    amount-negative [1]
    """
    for rule in RULES:
        if all(name in table for name in rule.needs):
            rows = np.flatnonzero(rule.broken(table))
            if len(rows):
                yield rule, rows


def _shown(table: Mapping[str, np.ndarray[Any, Any]], column: str, row: int) -> str:
    """Return the offending value as a reader would write it."""
    value = table[column][row]
    if column == "amount":
        return f"{float(value):,.2f}"
    return str(np.datetime64(int(value), "D"))


def check(
    table: Mapping[str, np.ndarray[Any, Any]], ids: Named, deal: IntArray | None = None
) -> None:
    """Raise on the first broken rule.

    Parameters
    ----------
    table : mapping of str to ndarray, each (n,)
        Columns by name.
    ids : (n,) or (m,) str
        The deal of each row, for the message: an array, or anything with a length that gives one.
    deal : (n,) int, optional
        Which of `ids` each row belongs to, where that is not told by their order.

    Raises
    ------
    ValidationError
        With the rule, the number of rows, the first offender, and what to do.

    Examples
    --------
    >>> import numpy as np
    >>> check({"amount": np.array([5.0, -1.0])}, np.array(["OPP-1", "OPP-2"]))
    Traceback (most recent call last):
        ...
    funnel.errors.ValidationError: amount must be >= 0; 1 of 2 rows breaks this (first: 'OPP-2', \
row 1, -1.00). Correct the amount; book refunds and credits outside of the funnel.
    """
    for rule, rows in violations(table):
        row = int(rows[0])
        name = str(ids[row if deal is None else int(deal[row])])
        raise ValidationError.from_rule(
            rule.column,
            rule.requirement,
            rows=rows[:100],
            count=len(rows),
            total=len(ids if deal is None else deal),
            first=f"{name!r}, row {row}, {_shown(table, rule.column, row)}",
            remedy=rule.remedy,
        )
