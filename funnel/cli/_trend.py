"""The command that shows the open pipeline on days of the past."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import typer

from funnel.calendars import to_date, to_dates, to_day
from funnel.cli import _output, _screen
from funnel.cli._numbers import length
from funnel.cli._options import listed, valued
from funnel.cli._reading import check_days, read_known
from funnel.errors import ValidationError
from funnel.metrics.trend import pipeline_trend

if TYPE_CHECKING:
    from funnel.cli._questions import TrendOptions


def run(options: TrendOptions) -> None:
    """Read, count day by day and print."""
    check_days({"--from": options.start, "--to": options.end})
    every = length(options.every, "--every")
    by, where = listed(options.by), valued(options.where, "--where")
    history = read_known(options, tuple(dict.fromkeys((*by, *where))))
    first = history.observed_from if options.start is None else to_day(options.start)
    last = history.observed_until if options.end is None else to_day(options.end)
    if first > last:
        rule = f"must not be after --to ({to_date(last)})"
        raise ValidationError.from_value("--from", rule, str(to_date(first)), "")
    days = np.arange(last, first - 1, -every, dtype=np.int32)
    found = pipeline_trend(history, to_dates(days), by=by, where=where)
    if options.as_json:
        typer.echo(_output.to_json(found.to_dict()))
        return
    typer.echo(_screen.page([_screen.result(found, keys=len(by) + 1)]))
