"""The command that lists the deals to look at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import typer

from funnel._display import money, percent
from funnel.cli import _output, _screen
from funnel.cli._options import listed
from funnel.cli._questions import WatchOptions
from funnel.cli._reading import check_days, read_known
from funnel.errors import did_you_mean
from funnel.metrics.watch import rule_names, watch

if TYPE_CHECKING:
    from funnel.metrics.watch import WatchList

GRADES = ("critical", "warning", "info")
LEAST = 24  # columns that the reasons need


def run(options: WatchOptions) -> None:
    """Read, check and print."""
    check_days({"--as-of": options.as_of})
    rules = listed(options.rules)
    for name in rules:
        if name not in rule_names():
            hint = did_you_mean(name, rule_names())
            raise typer.BadParameter(f"got {name!r}. {hint}", param_hint="--rules")
    by = listed(options.by)
    history = read_known(options, by, options.as_of)
    found = watch(history, rules=rules or None, by=by)
    if options.as_json:
        typer.echo(_output.to_json({**found.to_dict(), "counts": found.counts()}))
    else:
        typer.echo(_screen.page([_summary(found), _deals(found, options.top)]))


def _summary(found: WatchList) -> str:
    """Show what each rule finds."""
    rows = []
    for name, count in found.counts().items():
        mine = found.rule == name
        stake = float(np.nansum(found.at_stake[mine]))
        if count:
            rows.append([name, str(found.severity[mine][0]), f"{count:,}", money(stake)])
    rows.sort(key=lambda row: GRADES.index(row[1]))
    none = [name for name, count in found.counts().items() if not count]
    notes = [*([f"no deal: {', '.join(none)}"] if none else [])]
    notes += [text for text in found._notes if "not shown" not in text]  # noqa: SLF001 - ours
    headers = ["rule", "severity", "deals", "at stake"]
    title = found._title  # noqa: SLF001
    return _screen.table((headers, rows), title=title, notes=notes)


def _deals(found: WatchList, top: int) -> str:
    """Show the deals with the most expected money, one row each, with all that is wrong."""
    places: dict[str, list[int]] = {}
    for place, deal in enumerate(found.ids.tolist()):
        places.setdefault(deal, []).append(place)
    if not places:
        return ""
    headers = ["deal", *found.groups, "stage", "amount", "chance", "at stake"]
    cells, reasons = [], []
    for mine in list(places.values())[:top]:
        cells.append(_cells(found, mine[0]))
        mine.sort(key=lambda place: GRADES.index(found.severity[place]))
        reasons.append([_reason(found, place) for place in mine])
    used = sum(max(map(len, column)) + 2 for column in zip(headers, *cells, strict=True))
    rows = []
    for row, why in zip(cells, reasons, strict=True):
        first, *others = _screen.folded(why, max(_screen.WIDTH - used, LEAST))
        rows.append([*row, first])
        rows += [["" for _ in row] + [line] for line in others]
    rest = len(places) - top
    notes = [f"{rest:,} more deals; --top shows more, --json all"] if rest > 0 else []
    notes.append("!: critical; numbers: what was measured / the limit, in days, times or stages")
    return _screen.table(
        ([*headers, "why"], rows), title="The most expected money first", notes=notes
    )


def _cells(found: WatchList, row: int) -> list[str]:
    """Show a deal."""
    groups = (values[row] or "(unknown)" for values in found.groups.values())
    amount, chance, stake = (v[row] for v in (found.amount, found.chance, found.at_stake))
    return [
        found.ids[row],
        *groups,
        found.stage[row],
        money(float(amount)),
        percent(float(chance)),
        money(float(stake)),
    ]


def _reason(found: WatchList, row: int) -> str:
    """Say which rule a deal breaks, and by how much."""
    urgent = "!" if found.severity[row] == "critical" else ""
    parts = [money(value) for value in (found.value[row], found.limit[row]) if value == value]  # noqa: PLR0124
    return " ".join(filter(None, (f"{found.rule[row]}{urgent}", "/".join(parts))))
