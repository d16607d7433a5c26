"""The command that measures a funnel: conversion, win rates, days, cycle and velocity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from funnel.cli import _output, _screen
from funnel.cli._options import listed
from funnel.cli._questions import MetricsOptions
from funnel.cli._reading import check_days, read_known
from funnel.metrics.conversion import conversion, loss_reasons, win_rates
from funnel.metrics.durations import sales_cycle, stage_durations
from funnel.metrics.league import league
from funnel.metrics.velocity import sales_velocity

if TYPE_CHECKING:
    from funnel.results import ResultTable
    from funnel.tables import History

INTERVAL = "95% interval"
ENTRIES = {
    "entered": "{entries}",
    "advanced": "{advanced}",
    "won": "{won}",
    "lost": "{lost}",
    "back": "{moved_back}",
    "on hold": "{on_hold}",
    "removed": "{removed}",
    "still there": "{still_there}",
    "goes on": "{rate}",
    INTERVAL: "{low} – {high}",
}
WINS = {
    "created": "{created}",
    "won": "{won}",
    "lost": "{lost}",
    "removed": "{removed}",
    "open": "{open}",
    "win rate": "{rate}",
    INTERVAL: "{low} – {high}",
    "won/closed": "{won_of_closed}",
    "won/created": "{won_of_created}",
}
STAYS = {
    "stays": "{stays}",
    "left": "{left}",
    "median": "{p50}",
    INTERVAL: "{p50_low} – {p50_high}",
    "P90": "{p90}",
    f"{INTERVAL} ": "{p90_low} – {p90_high}",
    "restricted mean": "{restricted_mean}",
    "up to": "{up_to}",
}
CYCLE = {
    "deals": "{started}",
    "arrived": "{arrived}",
    "chance": "{chance}",
    "median": "{p50}",
    INTERVAL: "{p50_low} – {p50_high}",
    "P90": "{p90}",
    f"{INTERVAL} ": "{p90_low} – {p90_high}",
}
VELOCITY = {
    "won": "{won}",
    "created": "{number}",
    "win rate": "{win_rate}",
    "amount": "{amount}",
    "cycle (days)": "{cycle}",
    "money a day": "{velocity}",
    INTERVAL: "{low} – {high}",
}
CHANGE = {
    "before": "{before}",
    "created": "{number}",
    "win rate": "{win_rate}",
    "amount": "{amount}",
    "cycle": "{cycle}",
    "after": "{after}",
}
LEAGUE = {
    "rank": "{rank}",
    "deals": "{deals}",
    "won": "{won}",
    "lost": "{lost}",
    "open": "{open}",
    "as counted": "{raw}",
    "win rate": "{rate}",
    INTERVAL: "{low} – {high}",
}
LOSSES = {"lost": "{lost}", "of all lost": "{share}"}

GOES_ON = "goes on: share that advances or is won; deals that are still there count as undecided"
WIN_RATE = (
    "win rate: of a deal that is created, open deals counted as undecided; won/closed and "
    "won/created are what is usually quoted, and mislead while deals are open"
)
SHRUNK = "groups with few deals are drawn towards all together, as far as chance demands"


def run(options: MetricsOptions) -> None:
    """Read, measure and print."""
    check_days({"--as-of": options.as_of})
    if options.within is not None and options.within < 0:
        raise typer.BadParameter("must not be below 0", param_hint="--within")
    by = listed(options.by)
    history = read_known(options, by, options.as_of)
    found = _measured(history, by, options)
    if options.as_json:
        typer.echo(_output.to_json({name: table.to_dict() for name, table in found.items()}))
        return
    keys = [*by, *(["period"] if options.period is not None else [])]
    typer.echo(_screen.page(_grouped(found, history, keys) if keys else _whole(found)))


def _measured(
    history: History, by: tuple[str, ...], options: MetricsOptions
) -> dict[str, ResultTable]:
    """Return all tables by name."""
    rows: dict[str, Any] = {"by": by}
    if options.period is not None:
        rows["period"] = options.period.value
    found: dict[str, ResultTable] = {
        "win_rates": win_rates(history, within=options.within, **rows),
        "conversion": conversion(history, within=options.within, **rows),
        "days_in_stage": stage_durations(history, **rows),
        "sales_cycle": sales_cycle(history, **rows),
    }
    velocity = sales_velocity(history, **rows)
    found["velocity"] = velocity
    if options.period is not None:
        found["velocity_change"] = velocity.change()
    if by and options.period is None:
        found["league"] = league(history, within=options.within, **rows)
    if not by and options.period is None:
        found["losses"] = loss_reasons(history)
    return found


def _section(
    table: ResultTable,
    wanted: dict[str, str],
    keys: list[str],
    *,
    title: str = "",
    notes: tuple[str, ...] = (),
    whole: tuple[str, ...] = (),
) -> str:
    """Show some columns of a table; its notes follow."""
    title, said = title or table._title, (*notes, *table._notes)  # noqa: SLF001 - of this package
    cells = _screen.columns(table, wanted, keys, whole=whole)
    return _screen.table(cells, title=title, notes=said, keys=len(keys))


def _whole(found: dict[str, ResultTable]) -> list[str]:
    """Show a funnel as a whole, stage by stage."""
    sections = [
        _section(found["win_rates"], WINS, [], notes=(WIN_RATE,)),
        _section(
            found["conversion"],
            ENTRIES,
            ["stage"],
            title="What became of entries",
            notes=(GOES_ON,),
        ),
        _section(found["days_in_stage"], STAYS, ["stage"]),
        _section(found["sales_cycle"], CYCLE, ["to"], title="Days from creation to the end"),
        _section(found["velocity"], VELOCITY, [], whole=("cycle",)),
    ]
    reasons = found["losses"]
    if len(reasons.to_columns()["reason"]) > 1:
        sections.append(_section(reasons, LOSSES, ["reason"]))
    return sections


def _grouped(found: dict[str, ResultTable], history: History, keys: list[str]) -> list[str]:
    """Show groups and periods down, and stages across."""
    held = {stage.id for stage in history.funnel.stages if stage.on_hold}
    sections = []
    if "league" in found:
        sections.append(_section(found["league"], LEAGUE, keys, notes=(SHRUNK,)))
    else:
        sections.append(_section(found["win_rates"], WINS, keys, notes=(WIN_RATE,)))
    for name, cell, title in (
        ("conversion", "{rate} ({entries})", "Share that goes on (of so many that entered)"),
        ("days_in_stage", "{p50}", "Median days in stage"),
    ):
        cells = _screen.columns(found[name], {"cell": cell}, [*keys, "stage"])
        headers, rows = _screen.spread(cells, "stage")
        kept = [place for place, header in enumerate(headers) if header not in held]
        some = [[row[place] for place in kept] for row in rows]
        cells = [headers[place] for place in kept], some
        notes = found[name]._notes  # noqa: SLF001 - of this package
        sections.append(_screen.table(cells, title=title, notes=notes, keys=len(keys)))
    headers, rows = _screen.columns(found["sales_cycle"], CYCLE, ["to", *keys])
    won = [row[1:] for row in rows if row[0] == "won"]
    title = "Days from creation to won"
    sections.append(_screen.table((headers[1:], won), title=title, keys=len(keys)))
    sections.append(_section(found["velocity"], VELOCITY, keys, whole=("cycle",)))
    if "velocity_change" in found:
        sections.append(_section(found["velocity_change"], CHANGE, keys))
    return sections
