"""Tables of amounts by group and period, such as targets and costs: read, checked, looked up."""

from __future__ import annotations

import math
import types
from typing import TYPE_CHECKING, Any, Self

import attrs
import numpy as np

from funnel.calendars import to_date, to_dates, to_day, to_days
from funnel.errors import (
    SchemaMismatchError,
    UnknownColumnError,
    ValidationError,
    did_you_mean,
)
from funnel.kernels.arrays import frozen
from funnel.kernels.labels import factorize, texts
from funnel.metrics._attainment_sums import require_one
from funnel.results import ResultTable
from funnel.typing import NO_DAY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from funnel.calendars import Horizon
    from funnel.tables import Schema
    from funnel.typing import BoolArray, DayArray, FloatArray, IntArray, StringArray

__all__ = ["PeriodAmounts", "demand", "group_codes", "listed", "read", "text_column"]

MOST_GROUPS = 2**30  # leaves room for the day in one 64-bit key
DAYS = 2**33  # more than there are days


def listed(names: Iterable[str], most: int = 6) -> str:
    """Write names one after another, the first of many."""
    shown = [repr(name) if name else "(unknown)" for name in dict.fromkeys(names)]
    return ", ".join(shown[:most]) + (", ..." if len(shown) > most else "")


def demand(
    column: str, rule: str, broken: BoolArray, shown: Callable[[int], str], remedy: str
) -> None:
    """Raise where rows break a rule; `shown` spells the value of a row out."""
    rows = np.flatnonzero(broken)
    if len(rows):
        first = int(rows[0])
        raise ValidationError.from_rule(
            column,
            rule,
            rows=rows[:100],
            count=len(rows),
            total=len(broken),
            first=f"row {first}, {shown(first)}",
            remedy=remedy,
        )


def _demand_length(name: str, found: np.ndarray[Any, Any], n: int) -> None:
    """Demand one value a row."""
    if found.shape != (n,):
        rule = f"must hold one value for each of the {n:,} rows"
        raise ValidationError.from_value(name, rule, f"shape {found.shape}", "")


def text_column(name: str, values: Any, n: int) -> StringArray:  # noqa: ANN401 - array-like
    """Return one text a row, without blanks around it; a single text stands for all rows."""
    cells = [values] * n if isinstance(values, str) else np.asarray(values, dtype=object)
    if np.ndim(cells) == 1:
        cells = texts(cells)
    _demand_length(name, np.asarray(cells, dtype=object), n)
    return texts(map(str.strip, cells))


def _number_column(name: str, values: Any) -> FloatArray:  # noqa: ANN401 - array-like
    """Return amounts that are known, finite and not negative."""
    try:
        found = np.array(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        rule, remedy = "must be numbers", "Convert it to float."
        raise ValidationError.from_value(name, rule, type(values).__name__, remedy) from error
    if found.ndim != 1:
        rule = "must hold one number a row"
        raise ValidationError.from_value(name, rule, f"shape {found.shape}", "")
    broken = ~(np.isfinite(found) & (found >= 0.0))
    remedy = "Leave out the row, or correct the amount."
    demand(name, "must be known, finite and >= 0", broken, lambda row: f"{found[row]:,}", remedy)
    return found


def _day_column(name: str, values: Any, n: int) -> DayArray:  # noqa: ANN401 - array-like
    """Return one known day a row; a single day stands for all rows."""
    if isinstance(values, str) or np.ndim(values) == 0:
        return np.full(n, to_day(values, name=name), dtype=np.int32)
    days = to_days(values, name=name)
    _demand_length(name, days, n)
    demand(name, "must be given", days == NO_DAY, lambda _: "no date", "Say the day.")
    return days


def _periods(
    given: Mapping[str, Any], periods: Horizon | None, n: int
) -> tuple[DayArray, DayArray, StringArray]:
    """Return first days, days after, and names of periods, whichever way they are given."""
    named = {name for name, values in given.items() if values is not None}
    if named == {"period"} and periods is not None:
        labels = text_column("period", given["period"], n)
        place = {label: at for at, label in enumerate(periods.labels)}
        row = np.array([place.get(label, -1) for label in labels.tolist()], dtype=np.int64)
        unknown = labels[row < 0]
        hint = did_you_mean(unknown[0], periods.labels) if len(unknown) else ""
        rule = "must be one of the labels of periods"
        demand("period", rule, row < 0, lambda at: repr(labels[at]), hint)
        return periods.edges[:-1][row], periods.edges[1:][row], labels
    if named not in ({"start", "end"}, {"start", "last"}) or periods is not None:
        rule = (
            "must be given by start= and end= (the day after), by start= and last= (its last day), "
            "or by period= (labels) with periods= (a Horizon)"
        )
        raise ValidationError.from_value("the period", rule, sorted(named), "")
    start = _day_column("start", given["start"], n)
    last = "end" if "end" in named else "last"
    end = (_day_column(last, given[last], n) + (last == "last")).astype(np.int32)

    def shown(row: int) -> str:
        """Spell out one period."""
        return f"{to_date(int(start[row]))} to {to_date(int(end[row]))}"

    demand(last, "must not be before start", end <= start, shown, "Correct the period.")
    spans = zip(to_dates(start), to_dates(end - 1), strict=True)
    return start, end, texts([f"{first} to {final}" for first, final in spans])


def read(
    name: str,
    amount: Any,  # noqa: ANN401 - array-like
    given: Mapping[str, Any],
    periods: Horizon | None,
    keys: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the fields of a `PeriodAmounts` from one value per row."""
    money = _number_column(name, amount)
    start, end, labels = _periods(given, periods, len(money))
    columns = {key: text_column(key, values, len(money)) for key, values in keys.items()}
    return {"start": start, "end": end, "labels": labels, "keys": columns, "amount": money}


def group_codes(keys: Mapping[str, StringArray], n: int) -> tuple[list[tuple[str, ...]], IntArray]:
    """{name: (n,)} -> (g), (n,): the different groups, sorted, and the group of each row."""
    joined = np.empty(n, dtype=object)
    joined[:] = list(zip(*(column.tolist() for column in keys.values()), strict=True)) or [()] * n
    return factorize(joined)  # type: ignore[return-value]  # tuples of texts sort as texts do


def _owned(keys: Mapping[str, StringArray]) -> Mapping[str, StringArray]:
    """Own the columns of keys."""
    return types.MappingProxyType({name: frozen(column) for name, column in keys.items()})


@attrs.frozen(eq=False, repr=False)
class PeriodAmounts(ResultTable):
    """One amount for each group and period; the periods of a group do not overlap."""

    start: DayArray = attrs.field(converter=frozen)
    end: DayArray = attrs.field(converter=frozen)
    labels: StringArray = attrs.field(converter=frozen)
    keys: Mapping[str, StringArray] = attrs.field(converter=_owned)
    amount: FloatArray = attrs.field(converter=frozen)
    currency: str = ""

    def __attrs_post_init__(self) -> None:
        """Demand that no day of a group has two amounts."""
        group = group_codes(self.keys, len(self))[1]
        order = np.lexsort((self.start, group))
        again = np.zeros(len(self), dtype=np.bool_)
        first, then = order[:-1], order[1:]
        again[then] = (group[first] == group[then]) & (self.start[then] < self.end[first])

        def shown(row: int) -> str:
            """Spell out one row."""
            return f"{', '.join((*self.group(row), self.labels[row]))!r}"

        remedy = "Keep one row for each group and period; put months and quarters in two tables."
        demand("period", "must not overlap another one of its group", again, shown, remedy)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.amount)

    def group(self, row: int) -> tuple[str, ...]:
        """Return the values of the keys in one row."""
        return tuple(column[row] for column in self.keys.values())

    def total(self, by: Sequence[str], /) -> Self:
        """Add the amounts up over all keys that are not in `by`; rows sorted by group and period.

        Raises
        ------
        UnknownColumnError
            When a name is not one of the keys.
        ValidationError
            When `by` is a single text, or periods that are added up differ and overlap.
        """
        if isinstance(by, str):
            remedy = f"Put the single column into a tuple: by=({by!r},)."
            raise ValidationError.from_value("by", "must be a sequence of columns", by, remedy)
        for name in by:
            if name not in self.keys:
                raise UnknownColumnError(name, self.keys)
        keys = {name: self.keys[name] for name in by}
        group = group_codes(keys, len(self))[1].astype(np.int64)
        rows = np.stack((group, self.start, self.end), axis=1)
        _, first, place = np.unique(rows, axis=0, return_index=True, return_inverse=True)
        return attrs.evolve(
            self,
            **{name: getattr(self, name)[first] for name in ("start", "end", "labels")},
            keys={name: column[first] for name, column in keys.items()},
            amount=np.bincount(place.ravel(), weights=self.amount, minlength=len(first)),
        )

    def periods(self) -> tuple[IntArray, IntArray]:
        """(n,) -> (p,), (n,): a row of each different period, in time; the period of each row."""
        spans = np.stack((self.start, self.end), axis=1)
        _, first, place = np.unique(spans, axis=0, return_index=True, return_inverse=True)
        return first, place.ravel()

    def own_codes(self, schema: Schema) -> tuple[IntArray, tuple[int, ...]]:
        """(n,), (k): the group of each row by the categories of a schema; -1 where not in it."""
        code, sizes = np.zeros(len(self), dtype=np.int64), []
        known = np.ones(len(self), dtype=np.bool_)
        for name, values in self.keys.items():
            column = schema.column(name)
            if column.kind != "category":
                rule, remedy = "must name columns of categories", f"It is a {column.kind} column."
                raise ValidationError.from_value("by", rule, name, remedy)
            place = {"": 0, **{text: at + 1 for at, text in enumerate(column.categories)}}
            found = np.array([place.get(text, -1) for text in values.tolist()], dtype=np.int64)
            sizes.append(len(column.categories) + 1)
            known &= found >= 0
            code = code * sizes[-1] + found
        if math.prod(sizes) > MOST_GROUPS:
            rule = "must not have more than 2**30 combinations of categories"
            raise ValidationError.from_value("by", rule, tuple(self.keys), "Name fewer columns.")
        return np.where(known, code, -1), tuple(sizes)

    def codes_of(self, columns: Mapping[str, Any], rows: Any, sizes: Sequence[int]) -> IntArray:  # noqa: ANN401
        """(m,) -> (m,): the group of rows of a table, as `own_codes` counts them."""
        code = np.zeros(np.shape(rows), dtype=np.int64)
        for name, size in zip(self.keys, sizes, strict=True):
            code = code * size + columns[name][rows] + 1
        return code

    def locate(self, own: IntArray, groups: IntArray, days: DayArray) -> IntArray:
        """(n,), (m,), (m,) -> (m,): the row for each group and day, -1 where there is none."""
        rows = np.flatnonzero(own >= 0)
        begin = own[rows] * DAYS + self.start[rows] - NO_DAY
        rows = rows[np.argsort(begin)]
        asked = groups * DAYS + days - NO_DAY
        place = np.searchsorted(np.sort(begin), asked, side="right") - 1
        if not len(rows):
            return np.full(len(groups), -1, dtype=np.int64)
        found = rows[np.maximum(place, 0)]
        inside = (place >= 0) & (own[found] == groups) & (days < self.end[found])
        return np.where(inside, found, -1)

    def cells(
        self, own: tuple[IntArray, tuple[int, ...]], groups: IntArray, days: DayArray
    ) -> IntArray:
        """(m,), (m,) -> (m,): the row, or n + period x groups + group where none was given.

        -1 on days that lie in no period of the table. `own` is what `own_codes` gave.
        """
        codes, sizes = own
        found = self.locate(codes, groups, days)
        for period, row in enumerate(self.periods()[0].tolist()):
            inside = (found < 0) & (days >= self.start[row]) & (days < self.end[row])
            found = np.where(inside, len(self) + period * math.prod(sizes) + groups, found)
        return found

    def rows_of(
        self, cells: IntArray, schema: Schema
    ) -> tuple[IntArray, dict[str, StringArray], FloatArray]:
        """(c,) -> (c,), {name: (c,)}, (c,): row of the period, group and amount of each cell.

        The amount is NaN where none was given.
        """
        n, sizes = len(self), self.own_codes(schema)[1]
        period, group = np.divmod(np.maximum(cells - n, 0), math.prod(sizes))
        given = cells < n
        distinct = np.append(self.periods()[0], 0)
        row = np.where(given, cells, distinct[np.where(given, -1, period)])
        keys, money = {}, np.append(self.amount, np.nan)[np.where(given, cells, -1)]
        extra = [self.names_of(schema, code) for code in group[~given].tolist()]
        for at, (name, column) in enumerate(self.keys.items()):
            found = np.empty(len(cells), dtype=object)
            found[given] = column[cells[given]]
            found[~given] = [names[at] for names in extra]
            keys[name] = texts(found)
        return row, keys, money

    def names_of(self, schema: Schema, code: int) -> tuple[str, ...]:
        """Return the values of the keys behind a group that `codes_of` gave."""
        found = []
        for name in reversed(tuple(self.keys)):
            categories = schema.column(name).categories
            code, digit = divmod(code, len(categories) + 1)
            found.append(("", *categories)[digit])
        return tuple(reversed(found))

    def check_currency(self, others: Iterable[str]) -> None:
        """Demand one currency of all amounts that are compared."""
        require_one({self.currency, *others} - {""})

    def require_same(self, other: PeriodAmounts) -> None:
        """Raise unless both hold the same rows.

        Raises
        ------
        SchemaMismatchError
        """
        mine, theirs = self.to_columns(), other.to_columns()
        if list(mine) != list(theirs) or not all(
            np.array_equal(mine[name], theirs[name]) for name in mine
        ):
            name = type(self).__name__
            raise SchemaMismatchError(
                f"summaries must be of one table of {name}; these are not. "
                "Summarize all chunks with the same arguments."
            )

    def to_columns(self) -> dict[str, np.ndarray[Any, Any]]:
        """Return one value per row by column; the end of a period is the day after it."""
        return {
            **self.keys,
            "period": self.labels,
            "start": to_dates(self.start),
            "end": to_dates(self.end),
            "amount": self.amount,
        }

    def __repr__(self) -> str:
        """Return one line."""
        keys = f" by {', '.join(self.keys)}" if self.keys else ""
        return f"{type(self).__name__}({len(self):,} rows{keys}, {self.amount.sum():,.2f})"

    @property
    def _title(self) -> str:
        """Return the heading."""
        return repr(self)
