"""Columns to a dataframe of the caller's library, through narwhals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from funnel.errors import MissingDependencyError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

FrameBackend = Literal["pandas", "polars", "pyarrow"]
"""The dataframe libraries that results can be turned into."""


def _plain(values: np.ndarray[Any, Any]) -> Any:  # noqa: ANN401 - what narwhals accepts differs by dtype
    """Return values that every dataframe library takes: lists of texts, no day-unit dates."""
    if values.dtype.kind == "O":
        return values.tolist()
    if values.dtype.kind == "M":
        return values.astype("datetime64[ms]")
    return values


def to_frame(columns: Mapping[str, np.ndarray[Any, Any]], backend: FrameBackend) -> Any:  # noqa: ANN401
    """Build a native dataframe of `backend` from named columns of one length."""
    try:
        import narwhals as nw  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise MissingDependencyError("narwhals", "frames") from error
    try:
        frame = nw.from_dict(
            {name: _plain(column) for name, column in columns.items()}, backend=backend
        )
    except ModuleNotFoundError as error:
        raise MissingDependencyError(backend, "frames") from error
    return frame.to_native()
