"""The command that forecasts: what it takes, and how its result is shown."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import attrs
import numpy as np
import typer

from funnel.calendars import Horizon, to_day
from funnel.cli import _output
from funnel.cli._options import Options
from funnel.cli._reading import read
from funnel.cli._talk import note, usage
from funnel.forecasting import Forecast
from funnel.forecasting import forecast as forecast_history
from funnel.forecasting.api import DEFAULT
from funnel.models import registry


@attrs.frozen(kw_only=True)
class ForecastOptions(Options):
    """What is asked of a file, beside how it is read."""

    model: Annotated[str, typer.Option(help="Name of a model, see `funnel models`.")] = DEFAULT
    by: Annotated[
        list[str] | None,
        typer.Option(help="Column whose values make groups; more with commas.", metavar="NAME"),
    ] = None
    as_of: Annotated[
        str | None,
        typer.Option(help="Forecast from the end of this day; the last one.", metavar="DATE"),
    ] = None
    periods: Annotated[
        str, typer.Option(help="Quarters, months, weeks or years as 4q, 6m, 13w, 2y; or 30d.")
    ] = "4q"
    start: Annotated[
        str | None,
        typer.Option(help="A day of the first period; the one after --as-of.", metavar="DATE"),
    ] = None
    target: Annotated[
        float | None, typer.Option(help="Show the chance to book at least this much.")
    ] = None
    output: Annotated[
        Path | None,
        typer.Option(help="Write forecast.csv and forecast.json there too.", metavar="FOLDER"),
    ] = None
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False


def run(options: ForecastOptions) -> None:
    """Read, forecast, write and print."""
    _check(options)
    listed = (name.strip() for text in options.by or () for name in text.split(","))
    by = tuple(dict.fromkeys(filter(None, listed)))
    history = read(options, by)
    if len(history.findings):
        note(
            f"findings, of what was repaired, left out or doubtful: {len(history.findings):,}; "
            "`funnel check` with the same options lists them"
        )
    if options.as_of is not None:
        history = history.until(options.as_of)
    with usage("--periods"):
        start = options.start or np.datetime64(history.observed_until + 1, "D")
        horizon = Horizon.parse(options.periods, start)
    outlook = forecast_history(history, horizon, options.model, by=by)
    if options.output is not None:
        written = _output.write_forecast(outlook, options.output, target=options.target)
        note(f"wrote {' and '.join(map(str, written))}")
    _show(outlook, options)


def _check(options: ForecastOptions) -> None:
    """Refuse what is wrong whatever the file holds."""
    if options.as_json and options.as_csv:
        raise typer.BadParameter("choose one of the two", param_hint="--json, --csv")
    if options.target is not None and not math.isfinite(options.target):
        raise typer.BadParameter("must be a finite number", param_hint="--target")
    if options.output is not None and options.file in _output.files_in(options.output):
        raise typer.BadParameter("would overwrite FILE", param_hint="--output")
    with usage("--model"):
        registry.origin(options.model)
    for option, text in (("--as-of", options.as_of), ("--start", options.start)):
        if text is not None:
            with usage(option):
                to_day(text)


def _show(outlook: Forecast, options: ForecastOptions) -> None:
    """Print a forecast; its notes go to stderr where its form has no place for them."""
    if options.as_json:
        typer.echo(_output.to_json(outlook.to_dict(target=options.target)))
    elif options.as_csv:
        for text in outlook.notes:
            note(text)
        typer.echo(_output.to_csv(outlook.to_columns(target=options.target)))
    else:
        typer.echo(outlook.to_text(target=options.target))
