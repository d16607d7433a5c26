"""Fitted models to and from files: JSON for plain values, npz for arrays.

Nothing is pickled here. A fitted `learned` model holds its classifier as pickled bytes, which are
read when it is asked, not when it is loaded: ask only models from files that you trust.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from funnel.errors import ReadError
from funnel.models import registry
from funnel.stages import Funnel

if TYPE_CHECKING:
    import os

    from funnel.models.base import FittedModel

__all__ = ["load", "save"]

SCHEMA = "funnel.FittedModel/1"
META = "__meta__"


def _name_of(fitted: FittedModel) -> str:
    """Return the name of the registered model that made `fitted`."""
    for name in registry.names():
        if getattr(registry.get(name), "fitted", None) is type(fitted):
            return name
    msg = (
        f"{type(fitted).__name__} belongs to no registered model, so it could not be loaded again. "
        f"Register the model under the entry-point group {registry.GROUP!r}."
    )
    raise ReadError(msg)


def save(fitted: FittedModel, path: str | os.PathLike[str], /) -> None:
    """Write a fitted model to one file.

    Parameters
    ----------
    fitted : FittedModel
        An attrs class of scalars, tuples, funnels and arrays, made by a registered model.
    path : path
        The file; it is overwritten.

    Raises
    ------
    ReadError
        When the model is not registered, or holds what neither JSON nor npz can.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from funnel.models import get, load, save
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "model.npz"
    >>> save(get("textbook").without_history(), path)
    >>> load(path)
    FittedTextbook(trained_until=-2147483648, overdue_after=1, undated_after=None)
    """
    plain: dict[str, Any] = {}
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    for field in attrs.fields(type(fitted)):  # type: ignore[arg-type]  # not to be said of a Protocol
        value = getattr(fitted, field.name)
        if isinstance(value, np.ndarray):
            arrays[field.name] = value
        elif isinstance(value, Funnel):
            plain[field.name] = {"funnel": value.to_dict()}
        else:
            plain[field.name] = value
    meta = {"schema": SCHEMA, "model": _name_of(fitted), "values": plain}
    try:
        text = json.dumps(meta, ensure_ascii=False)
    except TypeError as error:
        msg = f"{type(fitted).__name__} holds values that JSON cannot: {error}. Use plain values."
        raise ReadError(msg) from error
    with Path(path).open("wb") as file:
        np.savez(file, allow_pickle=False, **{META: np.array(text)}, **arrays)


def _plain(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Turn lists back into tuples and dicts back into funnels."""
    if isinstance(value, list):
        return tuple(_plain(item) for item in value)
    if isinstance(value, dict) and set(value) == {"funnel"}:
        return Funnel.from_dict(value["funnel"])
    return value


def load(path: str | os.PathLike[str], /) -> FittedModel:
    """Read a fitted model back.

    Raises
    ------
    ReadError
        When the file is not one that `save` wrote.
    UnknownModelError
        When the model that made it is not installed.
    """
    try:
        with np.load(Path(path), allow_pickle=False) as file:
            meta = json.loads(str(file[META]))
            arrays = {name: file[name] for name in file.files if name != META}
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, EOFError) as error:
        msg = f"{str(path)!r} is not a saved model: {error}."
        raise ReadError(msg) from error
    if meta.get("schema") != SCHEMA:
        msg = f"{str(path)!r} has schema {meta.get('schema')!r}, this version reads {SCHEMA!r}."
        raise ReadError(msg)
    for array in arrays.values():
        array.flags.writeable = False
    values = {name: _plain(value) for name, value in meta["values"].items()}
    fitted: FittedModel = registry.get(meta["model"]).fitted(**values, **arrays)
    return fitted
