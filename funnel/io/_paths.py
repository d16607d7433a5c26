"""The files of a source that is a path, several, or a folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from funnel.errors import ReadError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["files_of", "named"]

ENDINGS = (".funnel", ".parquet", ".pq", ".parq", ".csv", ".csv.gz", ".tsv", ".tsv.gz", ".txt")


def files_of(source: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> list[Path]:
    """Return the files of a source, in the order of their names within a folder."""
    one = isinstance(source, str | os.PathLike)
    given = [Path(source)] if one else [Path(path) for path in source]  # type: ignore[arg-type, union-attr]
    found: list[Path] = []
    for path in given:
        if not path.is_dir():
            found.append(path)
            continue
        inside = sorted(
            entry
            for entry in path.rglob("*")
            if entry.name.lower().endswith(ENDINGS)
            and not any(name.startswith((".", "_")) for name in entry.relative_to(path).parts)
        )
        if not inside:
            msg = f"the folder {path.name!r} must hold files that end with {', '.join(ENDINGS)}."
            raise ReadError(msg)
        found += inside
    if not found:
        msg = "a scan needs at least one file, got none."
        raise ReadError(msg)
    return found


def named(paths: Sequence[Path]) -> list[tuple[str, Path]]:
    """Return files with names that tell them apart."""
    names = [path.name for path in paths]
    if len(set(names)) == len(names):
        return list(zip(names, paths, strict=True))
    return [(str(path), path) for path in paths]
