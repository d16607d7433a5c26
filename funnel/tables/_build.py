"""Columns in, checked and owned arrays out: what `History` and `Pipeline` share."""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Any, NamedTuple

import attrs
import numpy as np

from funnel import rules
from funnel.calendars import to_date, to_dates, to_day, to_days
from funnel.errors import SchemaMismatchError, ValidationError
from funnel.kernels import trace
from funnel.kernels.arrays import frozen
from funnel.kernels.labels import texts
from funnel.kernels.order import by_code
from funnel.stages import ForecastCategory
from funnel.tables._names import Names, coded_ids
from funnel.tables.schema import BLANK, CORE, CORE_KIND, DTYPE, Column, Schema, to_column
from funnel.typing import NO_DAY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from funnel.stages import Funnel
    from funnel.tables.history import History
    from funnel.tables.schema import Known
    from funnel.typing import BoolArray, DateLike, DayArray, IntArray

    Array = np.ndarray[Any, Any]

HEAD = 5  # rows shown in a notebook


class Rows(NamedTuple):
    """Sorted, checked rows of a history."""

    schema: Schema
    ids: Names
    created: DayArray
    first_entered: DayArray
    deal: IntArray
    at: DayArray
    stage: IntArray
    columns: Mapping[str, Array]


def require_lengths(columns: Mapping[str, Any], length: int) -> None:
    """Demand that all given columns have one value per row."""
    for name, values in columns.items():
        if values is not None and np.shape(values) != (length,):
            raise ValidationError.from_value(
                name, f"must have one value per row ({length:,})", np.shape(values), ""
            )


def state_columns(
    values: Mapping[str, Any], length: int, known: Mapping[str, Known], schema: Schema | None
) -> tuple[tuple[Column, ...], dict[str, Array]]:
    """Store the core columns and attributes; absent core columns are unknown throughout."""
    if schema is not None and (odd := set(values) - set(schema.names)):
        msg = f"column {min(odd)!r} is not in the schema, which has {schema.names}."
        raise SchemaMismatchError(msg, column=min(odd))
    if odd := set(known) - {*values, *CORE}:
        raise ValidationError.from_value("known", "must name columns of the table", min(odd), "")
    order = schema.names if schema else (*CORE, *sorted(set(values) - set(CORE)))
    columns, arrays = [], {}
    for name in order:
        given = schema.column(name) if schema else None
        value = values.get(name)
        if isinstance(value, str):
            value = np.full(length, value, dtype=object)
        if value is None:
            kind = given.kind if given else CORE_KIND.get(name, "category")
            column = given or Column(name, kind, known=known.get(name, "dated"))
            array = np.full(length, BLANK[kind], dtype=DTYPE[kind])
        else:
            column, array = to_column(name, value, known.get(name, "dated"), given)
        if name == "category":
            _check_categories(column)
        columns.append(column)
        arrays[name] = array
    return tuple(columns), arrays


def _check_categories(column: Column) -> None:
    """Demand that a deal's own forecast category is one of the known ones."""
    for name in column.categories:
        ForecastCategory.parse(name)


def rows(
    funnel: Funnel,
    frame: Mapping[str, Any],
    values: Mapping[str, Any],
    *,
    seq: Any,  # noqa: ANN401 - any array-like
    known: Mapping[str, Known],
    schema: Schema | None,
) -> Rows:
    """Check, sort and encode the rows of a change log."""
    ids = coded_ids(frame["id"])
    names, deal = ids.distinct, ids.codes
    require_lengths({**frame, "seq": seq}, len(deal))
    require_lengths({k: v for k, v in values.items() if not isinstance(v, str)}, len(deal))
    stage = funnel.codes(np.asarray(frame["stage"])).astype(np.int16, copy=False)
    at = to_days(np.asarray(frame["at"]))
    created, entered = (
        np.full(len(deal), NO_DAY, dtype=np.int32) if frame[name] is None else to_days(frame[name])
        for name in ("created", "stage_entered")
    )
    undated = np.flatnonzero(at == NO_DAY)
    if len(undated):
        raise ValidationError.from_rule(
            "at",
            "must be a date in every row",
            rows=undated[:100],
            count=len(undated),
            total=len(deal),
            first=f"{names[deal[undated[0]]]!r}, row {undated[0]}",
            remedy="Leave rows without a date out; readers report them as findings.",
        )
    columns, arrays = state_columns(values, len(deal), known, schema)
    table = {"at": at, "created": created, "amount": arrays["amount"]}
    rules.check({**table, "expected_close": arrays["expected_close"]}, names, deal)

    order = _order(deal, at, seq)
    if order is not None:
        deal, at, stage = deal[order], at[order], stage[order]
        created, entered = created[order], entered[order]
        arrays = {name: column[order] for name, column in arrays.items()}
    first = np.flatnonzero(trace.first_rows(deal))
    began = entered[first]
    oldest = np.where(began == NO_DAY, at[first], np.minimum(began, at[first]))
    born = _one_per_deal(created, deal, names, oldest)
    rules.check({"stage_entered": began, "at": at[first], "created": born}, names)
    began = np.where((began == NO_DAY) & (born == at[first]), born, began)
    new_schema = schema or Schema(funnel, columns)
    if schema is not None and schema.funnel != funnel:
        msg = f"the schema is of another funnel: {schema.funnel!r}, not {funnel!r}."
        raise SchemaMismatchError(msg)
    return Rows(
        schema=new_schema,
        ids=names,
        created=frozen(born),
        first_entered=frozen(began.astype(np.int32, copy=False)),
        deal=frozen(deal),
        at=frozen(at),
        stage=frozen(stage),
        columns=types.MappingProxyType(_by_known(new_schema, arrays, deal, names)),
    )


def _order(deal: IntArray, at: DayArray, seq: Any) -> IntArray | None:  # noqa: ANN401 - any array-like
    """(r,), (r,), (r,) -> (r,): the order by deal, day and `seq`; None where rows are in it."""
    if seq is not None:
        return np.lexsort((np.asarray(seq), at, deal))
    ahead = np.diff(deal)
    if not (ahead < 0).any() and not ((ahead == 0) & (at[1:] < at[:-1])).any():
        return None
    return by_code(deal, before=by_code(at - at.min()))


def _one_per_deal(created: DayArray, deal: IntArray, ids: Names, seen: DayArray) -> DayArray:
    """(r,), (r,), (n,), (n,) -> (n,): the creation day of each deal; rows must agree."""
    known = created != NO_DAY
    if not known.any():
        return seen
    born = np.full(len(ids), NO_DAY, dtype=np.int32)
    born[deal[known]] = created[known]
    odd = np.flatnonzero(known & (created != born[deal]))
    if len(odd):
        raise ValidationError.from_rule(
            "created",
            "must be the same day in all rows of a deal",
            rows=odd[:100],
            count=len(odd),
            total=len(deal),
            first=f"{ids[deal[odd[0]]]!r}, {to_date(int(created[odd[0]]))} and "
            f"{to_date(int(born[deal[odd[0]]]))}",
            remedy="Keep the day on which the deal was created.",
        )
    return np.where(born == NO_DAY, seen, born).astype(np.int32)


def _by_known(
    schema: Schema, arrays: Mapping[str, Array], deal: IntArray, ids: Names
) -> dict[str, Array]:
    """Keep ``final`` values on the last row only; check that ``constant`` ones are."""
    first = trace.first_rows(deal)
    last = np.concatenate((first[1:], [True])) if len(first) else first
    stored = {}
    for column in schema.columns:
        values = arrays[column.name]
        if column.known == "final":
            values = np.where(last, values, BLANK[column.kind]).astype(DTYPE[column.kind])
        elif column.known == "constant":
            start = values[np.flatnonzero(first)][deal]
            same = (values == start) | ((values != values) & (start != start))  # noqa: PLR0124 - NaN
            odd = np.flatnonzero(~same)
            if len(odd):
                raise ValidationError.from_rule(
                    column.name,
                    "is said to be constant and must not change",
                    rows=odd[:100],
                    count=len(odd),
                    total=len(deal),
                    first=repr(ids[deal[odd[0]]]),
                    remedy="Call it 'dated', or correct the rows.",
                )
        stored[column.name] = frozen(values)
    return stored


def window(
    at: DayArray, observed_from: DateLike | None, observed_until: DateLike | None
) -> tuple[int, int]:
    """Return the observed window, and demand that all rows lie in it."""
    if not len(at) and (observed_from is None or observed_until is None):
        msg = "a history without rows needs observed_from and observed_until."
        raise ValidationError(msg)
    first = int(at.min()) if observed_from is None else to_day(observed_from, name="observed_from")
    last = (
        int(at.max()) if observed_until is None else to_day(observed_until, name="observed_until")
    )
    if first > last:
        raise ValidationError.from_value(
            "observed_from",
            f"must not be after observed_until ({to_date(last)})",
            str(to_date(first)),
            "",
        )
    outside = np.flatnonzero((at < first) | (at > last))
    if len(outside):
        msg = (
            f"all changes must lie between {to_date(first)} and {to_date(last)}; "
            f"{len(outside):,} of {len(at):,} rows do not "
            f"(first: {to_date(int(at[outside[0]]))}). Widen the window."
        )
        raise ValidationError(msg, column="at", rows=outside[:100], count=len(outside))
    return first, last


def concat(parts: Sequence[History]) -> History:
    """Join chunks that share schema and window, sorted by deal id."""
    if not parts:
        msg = "concat needs at least one chunk, got none."
        raise SchemaMismatchError(msg)
    head = parts[0]
    for part in parts[1:]:
        head.schema.require_same(part.schema)
        theirs = (part.observed_from, part.observed_until, part.timezone)
        if theirs != (head.observed_from, head.observed_until, head.timezone):
            msg = (
                "chunks must share observed_from, observed_until and timezone; "
                f"{head!r} and {part!r} do not. Pass them explicitly when reading."
            )
            raise SchemaMismatchError(msg)
    ids = np.concatenate([part.ids for part in parts])
    order = np.argsort(ids, kind="stable")
    ranked = ids[order]
    twice = np.flatnonzero(ranked[1:] == ranked[:-1])
    if len(twice):
        msg = (
            f"a chunk must hold whole deals; {len(twice):,} are in two chunks "
            f"(first: {str(ranked[twice[0]])!r}). Partition the rows by id first."
        )
        raise SchemaMismatchError(msg, column="id", count=len(twice))
    rank = np.empty(len(ids), dtype=np.int32)
    rank[order] = np.arange(len(ids))
    offsets = np.cumsum([0, *(part.n_deals for part in parts)])
    deal = np.concatenate(
        [rank[part.deal + offset] for part, offset in zip(parts, offsets[:-1], strict=True)]
    )
    rows_order = np.argsort(deal, kind="stable")

    def per_row(name: str) -> Array:
        """Join one column of rows."""
        return frozen(np.concatenate([part.columns[name] for part in parts])[rows_order])

    return attrs.evolve(
        head,
        ids=frozen(ranked),
        created=frozen(np.concatenate([part.created for part in parts])[order]),
        first_entered=frozen(np.concatenate([part.first_entered for part in parts])[order]),
        deal=frozen(deal[rows_order]),
        at=frozen(np.concatenate([part.at for part in parts])[rows_order]),
        stage=frozen(np.concatenate([part.stage for part in parts])[rows_order]),
        columns=types.MappingProxyType({name: per_row(name) for name in head.schema.names}),
        findings=sum((part.findings for part in parts[1:]), head.findings),
    )


def decoded(schema: Schema, columns: Mapping[str, Array]) -> dict[str, Array]:
    """Return values as users read them: names (empty where unknown) and dates instead of codes."""
    plain = {}
    for column in schema.columns:
        values = columns[column.name]
        if column.kind == "category":
            values = texts([*column.categories, ""])[values]
        elif column.kind == "date":
            values = to_dates(values)
        plain[column.name] = values
    return plain


def same_columns(mine: Mapping[str, Array], theirs: Mapping[str, Array]) -> bool:
    """Tell whether two tables show the same values; unknown equals unknown."""
    if mine.keys() != theirs.keys():
        return False
    for name, left in mine.items():
        right = theirs[name]
        if left.shape != right.shape or left.dtype.kind != right.dtype.kind:
            return False
        same: BoolArray = left == right
        if left.dtype.kind in "fM":
            same = same | ((left != left) & (right != right))  # noqa: PLR0124 - NaN and NaT
        if not np.all(same):
            return False
    return True


def preview(columns: Mapping[str, Array]) -> tuple[list[str], list[list[str]]]:
    """Return headers and the first rows as text."""
    shown = {
        name: ["" if text in {"NaT", "nan"} else text for text in map(str, values[:HEAD].tolist())]
        for name, values in columns.items()
    }
    return list(shown), [list(row) for row in zip(*shown.values(), strict=True)]
