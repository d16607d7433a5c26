"""Converters and validators of the edges and labels of a horizon."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from funnel.calendars._days import to_dates, to_days
from funnel.errors import ValidationError
from funnel.typing import NO_DAY

if TYPE_CHECKING:
    import attrs
    import numpy.typing as npt

    from funnel.calendars._horizon import Horizon
    from funnel.typing import DateLike, DayArray


def as_edges(values: npt.ArrayLike | Sequence[DateLike]) -> DayArray:
    """Convert edges to an array of our own that nobody can write to."""
    edges = np.array(to_days(values, name="edges"), dtype=np.int32)
    edges.setflags(write=False)
    return edges


def as_labels(values: Iterable[str]) -> tuple[str, ...]:
    """Convert labels to a tuple."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise ValidationError.from_value(
            "labels", "must be a sequence of strings", values, "Put a single label into a list."
        )
    return tuple(values)


def check_edges(_: Horizon, __: attrs.Attribute[DayArray], edges: DayArray) -> None:
    """At least one period, all edges given, each after the one before."""
    if len(edges) < 2:
        raise ValidationError(
            f"edges must bound at least one period, got {len(edges)} of the 2 dates that it takes. "
            "Give the first day of every period, and the day after the last.",
            column="edges",
        )
    missing = np.flatnonzero(edges == NO_DAY)
    unsorted = 1 + np.flatnonzero(np.diff(edges.astype(np.int64)) <= 0)
    for rows, rule in ((missing, "must be given"), (unsorted, "must each be after the one before")):
        if len(rows):
            raise ValidationError.from_rule(
                "edges",
                rule,
                rows=rows[:100],
                count=len(rows),
                total=len(edges),
                first=f"row {rows[0]}, {to_dates(edges[rows[:1]])[0]}",
                remedy="Give the first day of every period, and the day after the last.",
            )


def _is_name(label: object) -> bool:
    """Tell whether a label is a string with something in it."""
    return isinstance(label, str) and label != ""


def check_labels(
    horizon: Horizon, _: attrs.Attribute[tuple[str, ...]], labels: tuple[str, ...]
) -> None:
    """One non-empty label for every period, and no two alike."""
    if len(labels) != len(horizon):
        raise ValidationError(
            f"labels must name every period once, got {len(labels)} and not {len(horizon)}. "
            "Give one label fewer than there are edges.",
            column="labels",
        )
    unnamed = [row for row, label in enumerate(labels) if not _is_name(label)]
    times = Counter(label for label in labels if _is_name(label))
    repeated = [row for row, label in enumerate(labels) if _is_name(label) and times[label] > 1]
    for rows, rule in ((unnamed, "must be non-empty strings"), (repeated, "must be unique")):
        if rows:
            raise ValidationError.from_rule(
                "labels",
                rule,
                rows=rows,
                count=len(rows),
                total=len(labels),
                first=f"row {rows[0]}, {labels[rows[0]]!r}",
                remedy="Give every period a name of its own.",
            )
