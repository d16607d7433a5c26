"""What a history and a pipeline share: they are shown, travel, and are saved and opened again."""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Self

import attrs
import numpy as np

from funnel._frames import FrameBackend, to_frame
from funnel.kernels.arrays import frozen
from funnel.stages import Funnel
from funnel.tables._files import Stored, write
from funnel.tables._names import Names, Packed
from funnel.tables.findings import Findings, Group
from funnel.tables.schema import Column, Schema

if TYPE_CHECKING:
    import os

    from funnel.typing import StringArray

__all__ = ["Deferred", "Table"]

Array = np.ndarray[Any, Any]


class Table:
    """Columns of deals: what `History` and `Pipeline` have in common.

    A saved table is one file: little-endian arrays that are mapped into memory, a description in
    JSON, and checksums. Nothing in it is run when it is opened.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import funnel as fn
    >>> history = fn.datasets.simulate(100, rng=1).history
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "deals.funnel"
    >>> history.save(path)
    >>> fn.History.open(path).identical_to(history)
    True
    """

    schema: Schema
    columns: Mapping[str, Array]
    _ids: Names

    @property
    def funnel(self) -> Funnel:
        """The ladder."""
        return self.schema.funnel

    @functools.cached_property
    def ids(self) -> StringArray:
        """Names of the deals, (n,)."""
        return self._ids.values

    def to_columns(self) -> dict[str, Array]:
        """Return columns as users read them."""
        raise NotImplementedError

    def to_frame(self, *, backend: FrameBackend = "pandas") -> Any:  # noqa: ANN401 - a native frame
        """Return the rows as a dataframe of `backend`.

        Raises
        ------
        MissingDependencyError
            When narwhals or the library is not installed.
        """
        return to_frame(self.to_columns(), backend)

    # -- files -----------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str], /) -> None:
        """Write the table to one file, which is opened again in a millisecond.

        The file is written beside its place and then put there, so that others see the old file or
        the new one, and never a part.

        Parameters
        ----------
        path : path
            The file; it is replaced.

        Raises
        ------
        ValidationError
            When the file cannot be written.
        """
        values: dict[str, Any] = {}
        arrays: dict[str, Array] = {}
        for field in attrs.fields(type(self)):  # type: ignore[arg-type] # its subclasses are
            _put(field.name, getattr(self, field.name), values, arrays)
        write(path, type(self).__name__, values, arrays)

    @classmethod
    def open(cls, path: str | os.PathLike[str], /) -> Self:
        """Open a table that was saved; its arrays are read when they are first asked for.

        What is read is compared with the checksums in the file, so that opening takes no longer
        for a large table, and a changed byte is an error before its value can be used.

        Parameters
        ----------
        path : path
            The file. `save` may replace it while it is open: tables that are open keep what they
            had. Other programs must not write into it.

        Returns
        -------
        History or Pipeline
            The class that is asked.

        Raises
        ------
        ReadError
            When the file is not one of these, holds another table, was cut off or changed, or was
            written by a later version in a format that this one does not know. Damage in the
            middle of the file raises when the array there is first asked for.
        """
        file = Stored(path, cls.__name__)
        try:
            fields = {field.name for field in attrs.fields(cls)}  # type: ignore[arg-type] # the same
            plain = {name: value for name, value in file.values.items() if name in fields}
            plain["schema"] = _schema(file.values["schema"])
        except (KeyError, TypeError) as error:
            raise file.damaged(repr(error)) from error
        return cls._deferred(functools.partial(_get, file), **plain)

    @classmethod
    def _deferred(cls, read: Callable[[str], Any], **known: Any) -> Self:  # noqa: ANN401 - fields
        """Return a table of some fields; the others are read by name when first asked for."""
        table = cls.__new__(cls)
        table.__dict__.update(known, _read=read)
        return table

    if not TYPE_CHECKING:  # a type checker would take any name for one that is there

        def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - a field
            """Read a field that was left for later."""
            read = self.__dict__.get("_read")
            if read is None or name not in attrs.fields_dict(type(self)):
                msg = f"{type(self).__name__!r} object has no attribute {name!r}"
                raise AttributeError(msg)
            value = self.__dict__[name] = read(name)
            return value

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel between processes."""
        fields = attrs.fields(type(self))  # type: ignore[arg-type] # its subclasses are
        values = {field.name: getattr(self, field.name) for field in fields}
        return _restored, (type(self), {**values, "columns": dict(values["columns"])})


def _restored(cls: type[Table], values: Mapping[str, Any]) -> Table:
    """Rebuild a table in another process; on the way its arrays have become writable."""
    table = cls.__new__(cls)
    columns = {name: frozen(column) for name, column in values["columns"].items()}
    owned = {k: frozen(v) if isinstance(v, np.ndarray) else v for k, v in values.items()}
    table.__dict__.update(owned, columns=types.MappingProxyType(columns))
    return table


# -- fields to and from a file --------------------------------------------------------------------


def _put(name: str, value: Any, values: dict[str, Any], arrays: dict[str, Array]) -> None:  # noqa: ANN401
    """Add a field to what a file shall hold."""
    if isinstance(value, np.ndarray):
        arrays[name] = value
    elif isinstance(value, Names):
        arrays[f"{name}/text"], arrays[f"{name}/bounds"] = value.packed()
    elif isinstance(value, Mapping):
        arrays.update({f"{name}/{key}": column for key, column in value.items()})
    elif isinstance(value, Schema):
        columns = [attrs.asdict(column) for column in value.columns]
        values[name] = {"funnel": value.funnel.to_dict(), "columns": columns}
    elif isinstance(value, Findings):
        groups = [(group.column, group.rule, group.action) for group in value.groups]
        values["groups"] = groups
        for number, group in enumerate(value.groups):
            arrays[f"{name}/{number}/rows"] = group.rows
            _put(f"{name}/{number}/values", Names(group.values), values, arrays)
    else:
        values[name] = value


def _get(file: Stored, name: str) -> Any:  # noqa: ANN401 - a field
    """Read a field from a file."""
    if name == "_ids":
        return _names(file, name)
    if name == "columns":
        names = [column["name"] for column in file.values["schema"]["columns"]]
        return Deferred(names, lambda column: file.array(f"columns/{column}"))
    if name == "findings":
        groups = enumerate(file.values["groups"])
        return Findings(tuple(_group(file, f"{name}/{number}", *told) for number, told in groups))
    return file.array(name)


def _group(file: Stored, name: str, column: str, rule: str, action: str) -> Group:
    """Read the findings of one rule."""
    rows, values = file.array(f"{name}/rows"), _names(file, f"{name}/values").values
    return Group(column, rule, action, rows, values)


def _names(file: Stored, name: str) -> Names:
    """Read texts, without making them `str` yet."""
    return Names(Packed(file.array(f"{name}/text"), file.array(f"{name}/bounds")))


def _schema(plain: Mapping[str, Any]) -> Schema:
    """Rebuild a schema from plain values."""
    columns = (
        Column(**{**column, "categories": tuple(column["categories"])})
        for column in plain["columns"]
    )
    return Schema(Funnel.from_dict(plain["funnel"]), tuple(columns))


class Deferred(Mapping[str, Array]):
    """Columns, each of which is read when it is first asked for."""

    def __init__(self, names: Iterable[str], read: Callable[[str], Array]) -> None:
        """Tell the names, and how a column is read."""
        self._read = read
        self._found: dict[str, Array | None] = dict.fromkeys(names)

    def __getitem__(self, name: str) -> Array:
        """Return a column."""
        found = self._found[name]
        if found is None:
            found = self._found[name] = self._read(name)
        return found

    def __iter__(self) -> Iterator[str]:
        """Yield the names."""
        return iter(self._found)

    def __len__(self) -> int:
        """Return the number of columns."""
        return len(self._found)
