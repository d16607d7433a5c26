"""The commands that explain a change: of the open pipeline, and of the forecast."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import typer

from funnel._display import money
from funnel.calendars import Horizon, to_date, to_day
from funnel.cli import _output, _screen
from funnel.cli._options import listed, valued
from funnel.cli._questions import BridgeOptions, WaterfallOptions
from funnel.cli._reading import check_days, check_models, read_known
from funnel.cli._talk import usage
from funnel.errors import did_you_mean
from funnel.forecasting.api import DEFAULT
from funnel.forecasting.bridge import BARS as CAUSES
from funnel.forecasting.bridge import bridge_history
from funnel.metrics.waterfall import BARS, waterfall

if TYPE_CHECKING:
    from collections.abc import Sequence

    from funnel.metrics.waterfall import Waterfall
    from funnel.results import ResultTable

LISTED = 25  # deals behind a bar


def run_waterfall(options: WaterfallOptions) -> None:
    """Read, compare two pipelines and print."""
    check_days({"--from": options.start, "--to": options.end, "--start": options.first})
    _check_bar(options.deals, BARS)
    promised = None
    if options.promised is not None:
        promised = _periods(options.promised, "--promised", options)
    elif options.first is not None:
        raise typer.BadParameter("has no meaning without --promised", param_hint="--start")
    by, where = listed(options.by), valued(options.where, "--where")
    history = read_known(options, tuple(dict.fromkeys((*by, *where))))
    end = options.end or str(to_date(history.observed_until))
    found = waterfall(history, options.start, end, by=by, where=where, promised=promised)
    behind = None if options.deals is None else found.deals(options.deals)
    keys = (*by, *(() if promised is None else ("period",)))
    shown = _side_by_side(found, keys) if keys else _screen.result(found)
    _print(found, behind, shown, as_json=options.as_json, keys=len(keys))


def _periods(text: str, option: str, options: WaterfallOptions | BridgeOptions) -> Horizon:
    """Return the periods that an option speaks of, by default from the day after --from."""
    with usage(option):
        first = options.first or np.datetime64(to_day(options.start) + 1, "D")
        return Horizon.parse(text, first)


def run_bridge(options: BridgeOptions) -> None:
    """Read, compare two forecasts and print."""
    check_days({"--from": options.start, "--to": options.end, "--start": options.first})
    model = options.model or DEFAULT
    check_models("--model", (model,))
    _check_bar(options.deals, CAUSES[1:-1])
    horizon = _periods(options.periods, "--periods", options)
    by = listed(options.by)
    history = read_known(options, by)
    end = options.end or str(to_date(history.observed_until))
    found = bridge_history(history, options.start, end, horizon, model, by=by)
    behind = None if options.deals is None else found.deals(options.deals)
    shown = _screen.result(found, keys=len(by) + 1)
    _print(found, behind, shown, as_json=options.as_json, keys=len(by) + 1)


def _check_bar(bar: str | None, bars: Sequence[str]) -> None:
    """Refuse a bar that there is not."""
    if bar is not None and bar not in bars:
        hint = did_you_mean(bar, bars)
        raise typer.BadParameter(f"got {bar!r}. {hint}", param_hint="--deals")


def _print(
    found: ResultTable, behind: ResultTable | None, shown: str, *, as_json: bool, keys: int
) -> None:
    """Print bars, and the deals behind one of them."""
    if as_json:
        plain: dict[str, Any] = found.to_dict()
        if behind is not None:
            plain["deals"] = behind.to_dict()["rows"]
        typer.echo(_output.to_json(plain))
        return
    typer.echo(_screen.page([shown, "" if behind is None else _largest(behind, keys)]))


def _largest(behind: ResultTable, keys: int) -> str:
    """Show the largest deals behind a bar."""
    headers, rows = behind._cells()  # noqa: SLF001 - a table of this package
    more = len(rows) - LISTED
    notes = [f"{more:,} more are not shown here; --json has all"] if more > 0 else []
    title = behind._title  # noqa: SLF001
    return _screen.table((headers, rows[:LISTED]), title=title, notes=notes, keys=keys)


def _side_by_side(found: Waterfall, by: tuple[str, ...]) -> str:
    """Show groups and periods beside one another, once in money and once in deals."""
    columns = found.to_columns()
    names = [
        " / ".join(part or "(unknown)" for part in key)
        for key in zip(*(columns[name].tolist() for name in by), strict=True)
    ]
    bars = len(BARS)
    groups = [*names[::bars], "all"]
    used = (found.moves.sum(axis=0) > 0) | np.isin(BARS, ("start", "end"))
    parts = []
    for what, values in (("money", found.amount), ("deals", found.count)):
        wide = np.column_stack((values.T, values.sum(axis=0)))[used]
        kept = np.array(BARS)[used].tolist()
        rows = [[bar, *map(money, row)] for bar, row in zip(kept, wide.tolist(), strict=True)]
        parts.append((rows, what))
    title = found._title  # noqa: SLF001 - a table of this package
    sections = [
        _screen.table(
            (["bar", *groups], rows),
            title=f"{title}: {what}",
            notes=found._notes if what == "deals" else (),  # noqa: SLF001
        )
        for rows, what in parts
    ]
    return _screen.page(sections)
