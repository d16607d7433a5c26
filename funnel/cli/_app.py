"""The commands; how they read, talk and fail is shared."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import attrs
import typer

import funnel as fn
from funnel.cli import _forecast, _output, _simulate
from funnel.cli._options import Options, takes_options
from funnel.cli._reading import read
from funnel.cli._talk import fail, guarded, usage
from funnel.errors import FunnelError
from funnel.models import registry

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Forecast a sales pipeline from the history of its deals.",
)


def _version(wanted: bool) -> None:
    """Print the version, and leave."""
    if wanted:
        typer.echo(f"funnel {fn.__version__}")
        raise typer.Exit


@app.callback()
def _top(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Take what stands before the name of a command."""
    del version  # its callback has answered


@app.command()
@takes_options
@guarded()
def forecast(options: _forecast.ForecastOptions) -> None:
    """Forecast what will be booked in each period."""
    _forecast.run(options)


@attrs.frozen(kw_only=True)
class CheckOptions(Options):
    """How the findings of a file are shown, beside how it is read."""

    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False


@app.command()
@takes_options
@guarded()
def check(options: CheckOptions) -> None:
    """Read a file, and list what was repaired, left out or doubtful."""
    history = read(attrs.evolve(options, strict=False))
    if options.as_json:
        typer.echo(_output.to_json([finding._asdict() for finding in history.findings]))
    else:
        typer.echo(f"{history!r}\n{history.findings}")
    if options.strict and len(history.findings):
        fail(f"--strict accepts no findings, and there are {len(history.findings):,}.")


@app.command()
@guarded()
def models(*, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the models, the packages that provide them, and what they do."""
    found = [_described(name) for name in registry.names()]
    typer.echo(_output.to_json(found) if as_json else _output.to_table(found))


def _described(name: str) -> dict[str, str]:
    """Describe one model; one that cannot be loaded does not hide the others."""
    try:
        summary = (type(registry.get(name)).__doc__ or "").strip().partition("\n")[0]
    except FunnelError as error:
        summary = f"broken: {error}"
    return {"model": name, "package": registry.origin(name), "summary": summary}


@app.command()
@guarded()
def simulate(
    *,
    output: Annotated[
        Path, typer.Option(help="Change log to write; funnel.json beside it.", metavar="FILE.csv")
    ],
    deals: Annotated[int, typer.Option(help="Deals created in the window.")] = 2_000,
    seed: Annotated[int, typer.Option(help="One seed gives one history.")] = 0,
    start: Annotated[str, typer.Option(help="First day.", metavar="DATE")] = "2023-01-01",
    end: Annotated[str, typer.Option(help="Last day.", metavar="DATE")] = "2026-06-30",
) -> None:
    """Simulate the deals of a company, to try things out."""
    if output.suffix.lower() != ".csv":
        raise typer.BadParameter("must end in .csv", param_hint="--output")
    with usage("--deals, --seed, --start, --end"):
        simulation = fn.datasets.simulate(deals, start=start, end=end, rng=seed)
    _simulate.write_simulation(simulation, output)
    typer.echo(f"{simulation.history!r}\nwrote {output} and {_simulate.ladder_beside(output)}")
