"""The command that reads a file, and says what it found."""

from __future__ import annotations

import attrs
import typer

from funnel.cli import _output
from funnel.cli._questions import CheckOptions
from funnel.cli._reading import read
from funnel.cli._talk import fail


def run(options: CheckOptions) -> None:
    """Read and print."""
    history = read(attrs.evolve(options, strict=False))
    if options.as_json:
        typer.echo(_output.to_json([finding._asdict() for finding in history.findings]))
    else:
        typer.echo(f"{history!r}\n{history.findings}")
    if options.strict and len(history.findings):
        fail(f"--strict accepts no findings, and there are {len(history.findings):,}.")
