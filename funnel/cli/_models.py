"""The command that lists the models."""

from __future__ import annotations

import typer

from funnel.cli import _output
from funnel.errors import FunnelError
from funnel.models import registry


def run(*, as_json: bool) -> None:
    """List and print."""
    found = [_described(name) for name in registry.names()]
    typer.echo(_output.to_json(found) if as_json else _output.to_table(found))


def _described(name: str) -> dict[str, str]:
    """Describe one model; one that cannot be loaded does not hide the others."""
    try:
        summary = (type(registry.get(name)).__doc__ or "").strip().partition("\n")[0]
    except FunnelError as error:
        summary = f"broken: {error}"
    return {"model": name, "package": registry.origin(name), "summary": summary}
