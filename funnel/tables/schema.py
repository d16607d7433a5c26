"""Which columns a table has, what they mean, and since when their values were known."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Literal, get_args

import attrs
import numpy as np

from funnel.calendars import to_days
from funnel.errors import SchemaMismatchError, UnknownColumnError, ValidationError
from funnel.kernels.labels import factorize, texts
from funnel.tables._names import Coded
from funnel.typing import NO_DAY

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from funnel.stages import Funnel
    from funnel.typing import IntArray

__all__ = ["Column", "Kind", "Known", "Schema"]

Kind = Literal["number", "category", "date"]
"""What the values of a column are."""

Known = Literal["dated", "constant", "final"]
"""Since when the values of a column were known.

``dated`` values have a history, ``constant`` ones never change (the user's claim), and ``final``
ones are only known as they are in the end: in any earlier snapshot they are blank, because they
would give the outcome away.
"""

BLANK: Mapping[str, Any] = {"number": np.nan, "category": -1, "date": NO_DAY}
"""The value that stands for "unknown", by kind."""

DTYPE: Mapping[str, Any] = {"number": np.float64, "category": np.int32, "date": np.int32}
"""How the values of each kind are stored."""

CORE = ("amount", "currency", "expected_close")
"""Columns that every table has, in this order, before its attributes."""


@attrs.frozen
class Column:
    """One column: its kind, since when it is known, and the categories behind its codes.

    Parameters
    ----------
    name : str
        Name of the column.
    kind : {"number", "category", "date"}
        Numbers are float64 (NaN unknown), categories int32 codes (-1 unknown), dates int32 days.
    known : {"dated", "constant", "final"}
        See `Known`.
    categories : tuple of str
        Names behind the codes; empty unless `kind` is ``"category"``.

    Examples
    --------
    >>> Column("owner", "category", categories=("Ann", "Bo"))
    Column(name='owner', kind='category', known='dated', categories=('Ann', 'Bo'))
    """

    name: str
    kind: Kind = attrs.field(validator=attrs.validators.in_(get_args(Kind)))
    known: Known = attrs.field(
        default="dated", kw_only=True, validator=attrs.validators.in_(get_args(Known))
    )
    categories: tuple[str, ...] = attrs.field(default=(), kw_only=True)


def encode(
    values: np.ndarray[Any, Any] | Coded, categories: Iterable[str] = ()
) -> tuple[Any, tuple[str, ...]]:
    """(n,) -> (n,) int32 codes and the categories, `categories` first, then new ones sorted."""
    if isinstance(values, Coded):
        names, place = _used(values)
        codes = values.codes
    else:
        names, codes = factorize(texts(values))
        place = np.arange(len(names) + 1)
    known = {name: code for code, name in enumerate(categories)}
    for name in names:
        if name:
            known.setdefault(name, len(known))
    lookup = np.array([*(known.get(name, -1) for name in names), -1], dtype=np.int32)
    return lookup[place][codes], tuple(known)


def _used(values: Coded) -> tuple[list[str], IntArray]:
    """Return the texts that occur, sorted, and the place of each code among them, -1 for none."""
    used = np.zeros(len(values.distinct) + 1, dtype=np.bool_)
    used[values.codes] = True
    rows = np.flatnonzero(used[:-1])
    names = values.distinct.take(rows).values.tolist()
    order = sorted(range(len(names)), key=names.__getitem__)
    place = np.full(len(used), -1, dtype=np.int32)
    place[rows[order]] = np.arange(len(rows))
    return [names[row] for row in order], place


def infer_kind(values: np.ndarray[Any, Any]) -> Kind:
    """Return the kind that the values of an attribute have by their type."""
    if values.dtype.kind in "iuf":
        return "number"
    return "date" if values.dtype.kind == "M" else "category"


def _fixed_category(column: Column, values: np.ndarray[Any, Any] | Coded) -> np.ndarray[Any, Any]:
    """Encode values with the categories of a given column; new ones are an error."""
    codes, categories = encode(values, column.categories)
    fresh = categories[len(column.categories) :]
    if fresh:
        rows = np.flatnonzero(codes >= len(column.categories))
        msg = (
            f"{column.name} must use the categories of the schema; {len(rows):,} of {len(codes):,} "
            f"rows do not (first: {fresh[0]!r}, row {rows[0]}). Add the category to the schema."
        )
        raise SchemaMismatchError(msg, column=column.name, rows=rows[:100], count=len(rows))
    return np.asarray(codes)


def to_column(
    name: str,
    values: Any,  # noqa: ANN401 - any array-like
    known: Known,
    given: Column | None,
) -> tuple[Column, np.ndarray[Any, Any]]:
    """Store values in the form of their kind; `given` fixes kind and categories."""
    if isinstance(values, Coded):
        return _coded(name, values, known, given)
    array = np.asarray(values)
    kind = given.kind if given is not None else CORE_KIND.get(name) or infer_kind(array)
    if kind == "date":
        return given or Column(name, kind, known=known), to_days(array)
    if kind == "number":
        try:
            numbers = array.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise ValidationError.from_value(
                name, "must be numbers", str(array.dtype), "Convert it to float; unknown is NaN."
            ) from error
        return given or Column(name, kind, known=known), numbers
    return _coded(name, array, known, given)


def _coded(
    name: str, values: np.ndarray[Any, Any] | Coded, known: Known, given: Column | None
) -> tuple[Column, np.ndarray[Any, Any]]:
    """Store names as codes."""
    if given is not None:
        return given, _fixed_category(given, values)
    codes, categories = encode(values)
    return Column(name, "category", known=known, categories=categories), codes


CORE_KIND: Mapping[str, Kind] = {
    "amount": "number",
    "currency": "category",
    "expected_close": "date",
}
"""Kinds of the columns that every table has."""


@attrs.frozen
class Schema:
    """The funnel and the columns of a table; equal in all chunks of one data set.

    Parameters
    ----------
    funnel : Funnel
        The ladder behind the stage codes.
    columns : tuple of Column
        ``amount``, ``currency``, ``expected_close``, then the attributes.

    Examples
    --------
    >>> from funnel.stages import Funnel
    >>> schema = Schema(Funnel(["Qualify"]), (Column("amount", "number"),))
    >>> schema.column("amount").kind
    'number'
    """

    funnel: Funnel
    columns: tuple[Column, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all columns."""
        return tuple(column.name for column in self.columns)

    @property
    def attributes(self) -> tuple[str, ...]:
        """Names of the columns that are not part of every table."""
        return tuple(name for name in self.names if name not in CORE)

    def column(self, name: str) -> Column:
        """Return the column called `name`.

        Raises
        ------
        UnknownColumnError
            When there is none.
        """
        for column in self.columns:
            if column.name == name:
                return column
        raise UnknownColumnError(name, self.names)

    def features(self) -> tuple[str, ...]:
        """Names of the columns that a model may learn from: all that are not ``final``."""
        return tuple(column.name for column in self.columns if column.known != "final")

    def fingerprint(self) -> str:
        """Return a digest that is equal for equal schemas only."""
        columns = [attrs.asdict(column) for column in self.columns]
        text = json.dumps([self.funnel.to_dict(), columns], sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def require_same(self, other: Schema) -> None:
        """Raise unless `other` is the same schema, naming the first difference.

        Raises
        ------
        SchemaMismatchError
        """
        if self == other:
            return
        if self.funnel != other.funnel:
            what = f"the funnels differ: {self.funnel!r} and {other.funnel!r}"
        elif self.names != other.names:
            what = f"the columns differ: {self.names} and {other.names}"
        else:
            name = next(a.name for a, b in zip(self.columns, other.columns, strict=True) if a != b)
            what = f"column {name!r} has other categories or another 'known'"
        msg = f"tables must share one schema; {what}. Read all chunks with schema= of the first."
        raise SchemaMismatchError(msg)
