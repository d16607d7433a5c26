"""The commands; how they read, talk and fail is shared.

Each loads its part of the library when it runs, so that ``funnel --help`` is there at once.
"""
# ruff: noqa: PLC0415 - see above

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from funnel.cli import _questions
from funnel.cli._options import takes_options
from funnel.cli._talk import guarded

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Forecast a sales pipeline from the history of its deals.",
)


def _version(wanted: bool) -> None:
    """Print the version, and leave."""
    if wanted:
        import funnel

        typer.echo(f"funnel {funnel.__version__}")
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
def forecast(options: _questions.ForecastOptions) -> None:
    """Forecast what will be booked in each period."""
    from funnel.cli import _forecast

    _forecast.run(options)


@app.command()
@takes_options
@guarded()
def backtest(options: _questions.BacktestOptions) -> None:
    """Score what models would have forecast in the past by what then happened."""
    from funnel.cli import _backtest

    _backtest.run(options)


@app.command()
@takes_options
@guarded()
def metrics(options: _questions.MetricsOptions) -> None:
    """Measure conversion, win rates, days in stage, sales cycle and velocity."""
    from funnel.cli import _metrics

    _metrics.run(options)


@app.command()
@takes_options
@guarded()
def trend(options: _questions.TrendOptions) -> None:
    """Count the open pipeline by stage on days of the past."""
    from funnel.cli import _trend

    _trend.run(options)


@app.command()
@takes_options
@guarded()
def waterfall(options: _questions.WaterfallOptions) -> None:
    """Say why the open pipeline changed between two days."""
    from funnel.cli import _changes

    _changes.run_waterfall(options)


@app.command()
@takes_options
@guarded()
def bridge(options: _questions.BridgeOptions) -> None:
    """Say why the forecast changed between two days."""
    from funnel.cli import _changes

    _changes.run_bridge(options)


@app.command()
@takes_options
@guarded()
def watch(options: _questions.WatchOptions) -> None:
    """List open deals that somebody should look at, and why."""
    from funnel.cli import _watch

    _watch.run(options)


@app.command()
@takes_options
@guarded()
def diagnose(options: _questions.DiagnoseOptions) -> None:
    """Compare the funnel with a standard one, and name what is wrong."""
    from funnel.cli import _diagnose

    _diagnose.run(options)


@app.command()
@takes_options
@guarded()
def plan(options: _questions.PlanOptions) -> None:
    """Derive the funnel that reaches a target."""
    from funnel.cli import _plan

    _plan.run(options)


@app.command()
@takes_options
@guarded()
def check(options: _questions.CheckOptions) -> None:
    """Read a file, and list what was repaired, left out or doubtful."""
    from funnel.cli import _check

    _check.run(options)


@app.command()
@guarded()
def models(*, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the models, the packages that provide them, and what they do."""
    from funnel.cli import _models

    _models.run(as_json=as_json)


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
    from funnel.cli import _simulate

    _simulate.run(output, deals=deals, seed=seed, start=start, end=end)
