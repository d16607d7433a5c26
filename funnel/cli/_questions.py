"""What is asked of a file by each command, beside how it is read.

This module loads nothing of the library, so that ``funnel --help`` is there at once.
"""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated, Any

import attrs
import typer

from funnel.cli._options import Options, Reading


class Period(enum.StrEnum):
    """Periods of the calendar."""

    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"


class Language(enum.StrEnum):
    """In which findings are said."""

    ENGLISH = "en"
    CHINESE = "zh"


class Score(enum.StrEnum):
    """By which forecasters are compared."""

    LOG = "log"
    BRIER = "brier"
    WAPE_OPEN = "wape_open"
    WAPE_TOTAL = "wape_total"
    CRPS_TOTAL = "crps_total"


def _given(text: str, metavar: str, *names: str) -> Any:  # noqa: ANN401 - as typer has it
    """Declare an option whose value is read by the command itself."""
    return typer.Option(*names, help=text, metavar=metavar)


_JSON = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_BY = Annotated[
    list[str] | None,
    _given("Column whose values make groups; more with commas.", "NAME"),
]
_WHERE = Annotated[
    list[str] | None,
    _given("Only deals with this value; more of one column with commas.", "COLUMN=VALUE"),
]
_MODEL = Annotated[str | None, _given("Name of a model, see `funnel models`.", "NAME")]
_PERIODS = Annotated[
    str, typer.Option(help="Quarters, months, weeks or years as 4q, 6m, 13w, 2y; or 30d.")
]


@attrs.frozen(kw_only=True)
class ForecastOptions(Options):
    """What a forecast is asked."""

    model: _MODEL = None
    by: _BY = None
    as_of: Annotated[
        str | None, _given("Forecast from the end of this day; the last one.", "DATE")
    ] = None
    periods: _PERIODS = "4q"
    start: Annotated[
        str | None, _given("A day of the first period; the one after --as-of.", "DATE")
    ] = None
    target: Annotated[
        float | None, typer.Option(help="Show the chance to book at least this much.")
    ] = None
    output: Annotated[
        Path | None, _given("Write forecast.csv and forecast.json there too.", "FOLDER")
    ] = None
    as_json: _JSON = False
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False


@attrs.frozen(kw_only=True)
class CheckOptions(Options):
    """How the findings of a file are shown."""

    as_json: _JSON = False


@attrs.frozen(kw_only=True)
class BacktestOptions(Options):
    """Which forecasts of the past are made and scored."""

    models: Annotated[list[str] | None, _given("Models to try; more with commas.", "NAME,NAME")] = (
        None
    )
    every: Annotated[str, _given("From one forecast to the next, as 7d or 2w.", "LENGTH")] = "1w"
    horizon: Annotated[
        str, _given("What is forecast: days, or the whole period.", "30d|week|month|quarter|year")
    ] = "30d"
    first: Annotated[
        str | None, _given("No forecast is made before; the middle of the record.", "DATE")
    ] = None
    by: _BY = None
    score: Annotated[Score, typer.Option(help="What the best one is best in.")] = Score.LOG
    as_json: _JSON = False


@attrs.frozen(kw_only=True)
class MetricsOptions(Options):
    """How a funnel is measured."""

    by: _BY = None
    period: Annotated[Period | None, typer.Option(help="Rows for each period.")] = None
    within: Annotated[
        int | None, _given("Count what happened within so many days only.", "DAYS")
    ] = None
    as_of: Annotated[str | None, _given("Measure what was known then.", "DATE")] = None
    as_json: _JSON = False


@attrs.frozen(kw_only=True)
class TrendOptions(Options):
    """On which days the open pipeline is counted."""

    start: Annotated[
        str | None, _given("No day before this one; the first one.", "DATE", "--from")
    ] = None
    end: Annotated[
        str | None, _given("Days are counted back from this one; the last one.", "DATE", "--to")
    ] = None
    every: Annotated[str, _given("From one day to the next, as 7d or 4w.", "LENGTH")] = "4w"
    by: _BY = None
    where: _WHERE = None
    as_json: _JSON = False


@attrs.frozen(kw_only=True)
class WaterfallOptions(Options):
    """Between which days a pipeline is compared."""

    start: Annotated[str, _given("From the end of this day.", "DATE", "--from")]
    end: Annotated[str | None, _given("To the end of this day; the last one.", "DATE", "--to")] = (
        None
    )
    by: _BY = None
    where: _WHERE = None
    promised: Annotated[
        str | None, _given("Only deals promised in these periods, as 1q or 3m.", "LENGTH")
    ] = None
    first: Annotated[
        str | None,
        _given("A day of the first period; the one after --from.", "DATE", "--start"),
    ] = None
    deals: Annotated[str | None, _given("List the deals behind a bar.", "BAR")] = None
    as_json: _JSON = False


@attrs.frozen(kw_only=True)
class BridgeOptions(Options):
    """Which two forecasts are compared."""

    start: Annotated[str, _given("The forecast of the end of this day.", "DATE", "--from")]
    end: Annotated[str | None, _given("Beside that of this day; the last one.", "DATE", "--to")] = (
        None
    )
    periods: _PERIODS = "2q"
    first: Annotated[
        str | None,
        _given("A day of the first period; the one after --from.", "DATE", "--start"),
    ] = None
    model: _MODEL = None
    by: _BY = None
    deals: Annotated[str | None, _given("List the deals behind a bar.", "BAR")] = None
    as_json: _JSON = False


@attrs.frozen(kw_only=True)
class WatchOptions(Options):
    """Which deals are watched."""

    rules: Annotated[
        list[str] | None, _given("Rules to check, all by default; more with commas.", "NAME")
    ] = None
    by: Annotated[
        list[str] | None, _given("Column to show, such as owner; more with commas.", "NAME")
    ] = None
    as_of: Annotated[str | None, _given("The list of an earlier day.", "DATE")] = None
    top: Annotated[int, typer.Option(min=1, help="Deals to show.")] = 20
    as_json: _JSON = False


@attrs.frozen(kw_only=True)
class DiagnoseOptions(Options):
    """What a funnel is compared with."""

    standard: Annotated[
        str,
        _given(
            "Deals that come to each stage and are won, as 10:6:3:2; a template; `typed`: the "
            "probabilities and days of --funnel; or `last-year`: the last 365 days against the "
            "365 before.",
            "RATIOS|TEMPLATE|typed|last-year",
        ),
    ]
    days: Annotated[
        str | None, _given("Days that a deal should stay in each stage, as 7,7,14.", "DAYS,DAYS")
    ] = None
    weekly: Annotated[
        float | None, typer.Option(help="Deals that should enter the first stage a week.")
    ] = None
    by: _BY = None
    period: Annotated[Period | None, typer.Option(help="A diagnosis for each period.")] = None
    as_of: Annotated[str | None, _given("Diagnose what was known then.", "DATE")] = None
    findings: Annotated[Language, typer.Option(help="Language of the findings.")] = Language.ENGLISH
    as_json: _JSON = False


@attrs.frozen(kw_only=True)
class PlanOptions(Reading):
    """What a plan starts from."""

    target: Annotated[float | None, typer.Option(help="Money to book.")] = None
    average: Annotated[
        str | None, _given("Money of a won deal; with --shares also NAME=MONEY,...", "MONEY")
    ] = None
    conversions: Annotated[
        str | None,
        _given("From each stage to the next and to won: 0.6,1/2,40% or STAGE=0.6,...", "SHARES"),
    ] = None
    durations: Annotated[
        str | None, _given("Days in each stage: 7,7,14 or STAGE=7,...", "DAYS")
    ] = None
    history: Annotated[
        Path | None,
        _given("Take what is not said from what really happened in this file.", "FILE"),
    ] = None
    since: Annotated[str | None, _given("First day of what really happened.", "DATE")] = None
    until: Annotated[str | None, _given("Last day of what really happened.", "DATE")] = None
    confidence: Annotated[
        float | None,
        typer.Option(
            help="Plan week by week from the open deals of --history, with how long deals take, "
            "so that the target is reached with this probability."
        ),
    ] = None
    model: Annotated[
        str | None, _given("With --confidence: a model of deals, semi-markov by default.", "NAME")
    ] = None
    periods: Annotated[
        str | None, _given("Periods of the target, as 4q, 12m, 13w, 1y or 90d.", "LENGTH")
    ] = None
    start: Annotated[str | None, _given("A day of the first period.", "DATE")] = None
    selling_weeks: Annotated[
        str | None, _given("Weeks in which deals are won, of all periods or each.", "12|12,10,...")
    ] = None
    seasonality: Annotated[
        str | None, _given("Share of each period in the target.", "SHARE,SHARE")
    ] = None
    shares: Annotated[str | None, _given("Share of each product or channel.", "NAME=SHARE,...")] = (
        None
    )
    gross_up: Annotated[
        str | None, _given("From the target to the money of deals, as 1.17 for tax.", "FACTOR")
    ] = None
    rep_capacity: Annotated[float | None, typer.Option(help="New deals of a rep a week.")] = None
    reps: Annotated[float | None, typer.Option(help="Reps that there are.")] = None
    entries: Annotated[float | None, typer.Option(help="New deals that there can be.")] = None
    stock: Annotated[str | None, _given("Deals that a stage can hold.", "STAGE=DEALS")] = None
    as_of: Annotated[
        str | None, _given("Day of the plan; what is too late by then is said.", "DATE")
    ] = None
    solve_for: Annotated[
        str | None,
        _given(
            "Derive from the rest: target, average_amount, conversion:STAGE or duration:STAGE "
            "(written as ? in its list), reps or rep_capacity.",
            "NAME",
        ),
    ] = None
    as_json: _JSON = False
