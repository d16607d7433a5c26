"""The command that forecasts: what it takes, and how its result is shown."""

from __future__ import annotations

import math

import numpy as np
import typer

from funnel.calendars import Horizon
from funnel.cli import _output
from funnel.cli._options import listed
from funnel.cli._questions import ForecastOptions
from funnel.cli._reading import check_days, check_models, read_known
from funnel.cli._talk import note, usage
from funnel.forecasting import Forecast
from funnel.forecasting import forecast as forecast_history
from funnel.forecasting.api import DEFAULT


def run(options: ForecastOptions) -> None:
    """Read, forecast, write and print."""
    _check(options)
    by = listed(options.by)
    history = read_known(options, by, options.as_of)
    with usage("--periods"):
        start = options.start or np.datetime64(history.observed_until + 1, "D")
        horizon = Horizon.parse(options.periods, start)
    outlook = forecast_history(history, horizon, options.model or DEFAULT, by=by)
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
    check_models("--model", (options.model or DEFAULT,))
    check_days({"--as-of": options.as_of, "--start": options.start})


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
