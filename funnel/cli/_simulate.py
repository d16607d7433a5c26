"""A simulated change log as files: the log, and its ladder of stages beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from funnel.cli._talk import usage
from funnel.datasets import simulate as simulated
from funnel.errors import MissingDependencyError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from funnel.datasets import Simulation


def run(output: Path, *, deals: int, seed: int, start: str, end: str) -> None:
    """Simulate, write and say where."""
    if output.suffix.lower() != ".csv":
        raise typer.BadParameter("must end in .csv", param_hint="--output")
    with usage("--deals, --seed, --start, --end"):
        simulation = simulated(deals, start=start, end=end, rng=seed)
    write_simulation(simulation, output)
    typer.echo(f"{simulation.history!r}\nwrote {output} and {ladder_beside(output)}")


def ladder_beside(log: Path) -> Path:
    """Return where the ladder of a log is written."""
    return log.with_name("funnel.json")


def write_simulation(simulation: Simulation, log: Path) -> None:
    """Write the log and its ladder; the folder is made if missing.

    An older log is replaced, for its name was given. A ladder that somebody has typed is not.
    """
    ladder, text = ladder_beside(log), simulation.world.funnel.to_json() + "\n"
    if ladder.exists() and ladder.read_bytes() != text.encode():
        msg = (
            f"{ladder} must not be overwritten; it is not the ladder of the simulation. "
            "Remove it, or write to another folder."
        )
        raise FileExistsError(msg)
    log.parent.mkdir(parents=True, exist_ok=True)
    _write_csv(simulation.to_columns(), log)
    ladder.write_text(text, encoding="utf-8", newline="\n")


def _write_csv(columns: dict[str, np.ndarray[Any, Any]], path: Path) -> None:
    """Write columns; what is not known is empty."""
    try:
        import pyarrow as pa  # noqa: PLC0415 - takes half a second to load
        from pyarrow import csv  # noqa: PLC0415
    except ImportError as error:
        raise MissingDependencyError("pyarrow", "arrow") from error
    arrays = {name: _plain(values) for name, values in columns.items()}
    csv.write_csv(pa.table(arrays), path)


def _plain(values: np.ndarray[Any, Any]) -> Any:  # noqa: ANN401 - an array of pyarrow
    """Return an array as pyarrow takes it: NaN and the empty text are null."""
    import pyarrow as pa  # noqa: PLC0415

    if values.dtype.kind == "O":
        return pa.array([text or None for text in values.tolist()], pa.string())
    return pa.array(values, from_pandas=True)
