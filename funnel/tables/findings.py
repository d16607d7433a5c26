"""What was repaired, left out or doubtful when a table was read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Self

import attrs
import numpy as np

from funnel._display import html_table, text_table
from funnel._frames import FrameBackend, to_frame
from funnel.errors import ValidationError
from funnel.kernels.labels import texts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Finding", "Findings", "Group"]

SHOWN = 5  # examples named in a line of the summary


class Finding(NamedTuple):
    """One repaired or doubtful value.

    ``row`` counts the rows of the source from 0, its header left out; -1 speaks of the whole table.
    """

    row: int
    column: str
    rule: str
    value: str
    action: str


@attrs.frozen(eq=False)
class Group:
    """All findings of one rule in one column, with what was done about them.

    Parameters
    ----------
    column, rule, action : str
        Where, what, and what was done.
    rows : (m,) int64
        Rows of the source, from 0.
    values : (m,) str
        The offending values as they were read.
    """

    column: str
    rule: str
    action: str
    rows: np.ndarray[Any, Any]
    values: np.ndarray[Any, Any]


@attrs.frozen(eq=False)
class Findings:
    """A tidy list of findings, grouped by rule.

    Examples
    --------
    >>> import numpy as np
    >>> findings = Findings.empty().add("amount", "amount-negative", "set to unknown", [3], ["-5"])
    >>> len(findings), findings.count("amount-negative")
    (1, 1)
    >>> next(iter(findings))
    Finding(row=3, column='amount', rule='amount-negative', value='-5', action='set to unknown')
    """

    groups: tuple[Group, ...]

    @classmethod
    def empty(cls) -> Self:
        """Return no findings."""
        return cls(())

    def add(
        self, column: str, rule: str, action: str, rows: Iterable[int], values: Iterable[object]
    ) -> Self:
        """Return these findings and one more group; no rows add nothing."""
        where = np.array(list(rows) if not isinstance(rows, np.ndarray) else rows, dtype=np.int64)
        if not len(where):
            return self
        return type(self)((*self.groups, Group(column, rule, action, where, texts(values))))

    def __add__(self, other: Findings) -> Self:
        """Return both, one after the other."""
        return type(self)((*self.groups, *other.groups))

    def __len__(self) -> int:
        """Count all findings."""
        return sum(len(group.rows) for group in self.groups)

    def __iter__(self) -> Iterator[Finding]:
        """Yield one `Finding` for each value."""
        for group in self.groups:
            for row, value in zip(group.rows.tolist(), group.values.tolist(), strict=True):
                yield Finding(row, group.column, group.rule, value, group.action)

    def count(self, rule: str) -> int:
        """Count the findings of one rule."""
        return sum(len(group.rows) for group in self.groups if group.rule == rule)

    def raise_first(self) -> None:
        """Raise on the first finding, if there is one; reading with ``strict=True`` does this.

        Raises
        ------
        ValidationError
        """
        if self.groups:
            group = self.groups[0]
            msg = (
                f"{group.column}: {group.rule} in {len(group.rows):,} rows (first: row "
                f"{group.rows[0]}, {str(group.values[0])!r}). Without strict=True it would be "
                f"{group.action}."
            )
            raise ValidationError(
                msg, column=group.column, rows=group.rows[:100], count=len(group.rows)
            )

    def _rows(self) -> list[list[str]]:
        """One line of the summary for each group."""
        return [
            [
                group.column,
                group.rule,
                f"{len(group.rows):,}",
                ", ".join(
                    f"row {row}: {value}" if row >= 0 else str(value)
                    for row, value in zip(
                        group.rows[:SHOWN].tolist(), group.values[:SHOWN].tolist(), strict=True
                    )
                ),
                group.action,
            ]
            for group in self.groups
        ]

    def __str__(self) -> str:
        """Return a summary by rule."""
        if not self.groups:
            return "no findings"
        return text_table(["column", "rule", "rows", "for instance", "what was done"], self._rows())

    def __repr__(self) -> str:
        """Return one line."""
        return f"Findings({len(self):,} values, {len(self.groups)} rules)"

    def _repr_html_(self) -> str:
        """Return the summary for a notebook."""
        headers = ["column", "rule", "rows", "for instance", "what was done"]
        return html_table(headers, self._rows(), title=repr(self))

    def to_frame(self, *, backend: FrameBackend = "pandas") -> Any:  # noqa: ANN401 - a native frame
        """Return one row for each finding as a dataframe of `backend`.

        Raises
        ------
        MissingDependencyError
            When narwhals or the library is not installed.
        """
        rows = list(self)
        names = Finding._fields
        columns = {name: np.array([getattr(row, name) for row in rows]) for name in names}
        return to_frame(columns, backend)
