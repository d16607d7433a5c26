"""The command that plans: a target, and the funnel that reaches it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
import typer

from funnel._display import money, percent
from funnel.calendars import Horizon
from funnel.cli import _inflow, _ladder, _numbers, _output, _screen
from funnel.cli._headers import option as option_of
from funnel.cli._options import Options, Reading
from funnel.cli._questions import PlanOptions
from funnel.cli._reading import check_days, read_known
from funnel.cli._talk import usage
from funnel.planning import ActualFunnel, Plan, plan

if TYPE_CHECKING:
    pass

STAGES = {
    "to next": "{conversion}",
    "visits": "{visits}",
    "days": "{days}",
    "entries": "{entries}",
    "a week": "{weekly}",
    "stock": "{stock}",
    "at peak": "{peak_stock}",
    "days to win": "{lead_days}",
}
BESIDE = {
    "a week": "{weekly_actual}",
    "planned": "{weekly_ideal}",
    "to next": "{conversion_actual}",
    "planned ": "{conversion_ideal}",
    "days": "{days_actual}",
    "planned  ": "{days_ideal}",
    "stock": "{stock_actual}",
    "planned   ": "{stock_ideal}",
}
VISITS = (
    "to next: of the deals that come to the stage or past it",
    "visits: entries for each of them, fewer where deals skip the stage, more where they come back",
)
CLASSIC_ONLY = (
    *("average", "conversions", "durations", "since", "until", "selling_weeks", "shares"),
    *("gross_up", "rep_capacity", "reps", "entries", "stock", "solve_for"),
)


def run(options: PlanOptions) -> None:
    """Read, plan and print."""
    _check(options)
    given = _given(options)
    if options.confidence is not None and options.history is not None:
        history = read_known(_file(options, options.history), (), options.as_of)
        _inflow.run(options, history, given.get("seasonality"))
        return
    if options.history is None:
        if options.funnel is not None:
            given["funnel"] = _ladder.load(options.funnel, options.language)
        with usage("plan"):
            ideal = plan(options.target, **given)
    else:
        history = read_known(_file(options, options.history))
        actual = ActualFunnel.of(history, start=options.since, end=options.until)
        ideal = plan(options.target, **_filled(given, actual, options))
        ideal = attrs.evolve(ideal, actual=actual)
    typer.echo(_output.to_json(_plain(ideal)) if options.as_json else _text(ideal, options))


# --- what is given -------------------------------------------------------------------------------


def _check(options: PlanOptions) -> None:
    """Refuse options that do not go together, whatever a file holds."""
    days = {"--since": options.since, "--until": options.until}
    check_days({**days, "--start": options.start, "--as-of": options.as_of})
    if options.target is None and options.solve_for != "target":
        rule = "is needed, unless --solve-for target asks for it"
        raise typer.BadParameter(rule, param_hint="--target")
    if options.confidence is not None:
        if not 0.0 < options.confidence < 1.0:
            raise typer.BadParameter("must lie between 0 and 1", param_hint="--confidence")
        _refuse(options, CLASSIC_ONLY, "has no meaning with --confidence")
    elif options.model is not None:
        raise typer.BadParameter("needs --confidence", param_hint="--model")
    if options.history is None:
        reading = {field.name for field in attrs.fields(Reading)} - {"funnel", "language"}
        wanted = ("confidence", "since", "until", *sorted(reading))
        _refuse(options, wanted, "needs --history")
        if options.conversions is None:
            rule = "is needed, or --history to measure them"
            raise typer.BadParameter(rule, param_hint="--conversions")
        if options.language is not None and options.funnel is None:
            raise typer.BadParameter("needs a template", param_hint="--language")
        if options.periods is not None and options.start is None:
            raise typer.BadParameter("is needed with --periods", param_hint="--start")
    if options.start is not None and options.periods is None:
        raise typer.BadParameter("needs --periods", param_hint="--start")


def _refuse(options: PlanOptions, names: tuple[str, ...], why: str) -> None:
    """Refuse options that were given all the same."""
    for name in names:
        if getattr(options, name) not in (None, False):
            raise typer.BadParameter(why, param_hint=option_of(name))


def _given(options: PlanOptions) -> dict[str, Any]:
    """Return the keywords of `plan` that the options state."""
    read: dict[str, Any] = {
        "conversions": _numbers.by_stage,
        "durations": _numbers.by_stage,
        "selling_weeks": _numbers.numbers,
        "seasonality": _numbers.numbers,
        "shares": _numbers.by_name,
        "gross_up": _numbers.number,
        "stock": _numbers.by_name,
    }
    given = {
        name: reader(text, option_of(name))
        for name, reader in read.items()
        if (text := getattr(options, name)) is not None
    }
    weeks = given.get("selling_weeks", ())
    if len(weeks) == 1:
        given["selling_weeks"] = weeks[0]
    if options.average is not None:
        reader = _numbers.by_name if "=" in options.average else _numbers.number
        given["average_amount"] = reader(options.average, "--average")
    if options.periods is not None and options.start is not None:
        with usage("--periods"):
            given["horizon"] = Horizon.parse(options.periods, options.start)
    names = ("rep_capacity", "reps", "entries", "as_of", "solve_for")
    plain = {name: getattr(options, name) for name in names}
    return given | {name: value for name, value in plain.items() if value is not None}


def _file(options: PlanOptions, file: Any) -> Options:  # noqa: ANN401 - a path
    """Return the file of a plan, and how it is read."""
    names = (field.name for field in attrs.fields(Reading))
    return Options(file=file, **{name: getattr(options, name) for name in names})


def _filled(given: dict[str, Any], actual: ActualFunnel, options: PlanOptions) -> dict[str, Any]:
    """Take what was not given from what really happened, but for the unknown."""
    quantity, _, unknown = (options.solve_for or "").partition(":")
    visits = dict(zip(actual.stages, actual.visits.tolist(), strict=True))
    filled = {**given, "funnel": actual.funnel, "visits": visits}
    for name, values, asked in (
        ("conversions", actual.conversion, "conversion"),
        ("durations", actual.days, "duration"),
    ):
        known: dict[str, Any] = dict(zip(actual.stages, values.tolist(), strict=True))
        stated = given.get(name, {})
        if isinstance(stated, dict):
            known |= {actual.funnel.stage(stage).id: value for stage, value in stated.items()}
            filled[name] = known
            if quantity == asked and unknown in known:
                known[unknown] = None
    if quantity != "average_amount":
        filled.setdefault("average_amount", actual.average_amount)
    filled.setdefault("as_of", actual.end)
    if "horizon" not in filled:
        filled["horizon"] = _following(actual, options)
    return filled


def _following(actual: ActualFunnel, options: PlanOptions) -> Horizon:
    """Return the periods without a start: from the day after the plan's, or after the window."""
    window = np.datetime64(actual.end, "D")
    if options.periods is None:
        return Horizon.days(window + 1, (actual.end - actual.start).days + 1)
    day = window if options.as_of is None else np.datetime64(options.as_of, "D")
    with usage("--periods"):
        return Horizon.parse(options.periods, day + 1)


# --- what follows --------------------------------------------------------------------------------


def _text(ideal: Plan, options: PlanOptions) -> str:
    """Show a plan by stage and by period, and beside what really happened."""
    title = ideal._title  # noqa: SLF001 - a table of this package
    if options.solve_for is not None:
        title += f"\nSolved: {options.solve_for} = {_solved(ideal, options.solve_for)}"
    sections = [title]
    if ideal.actual is not None:
        beside = ideal.beside_actual()
        days = f"{ideal.actual.start} to {ideal.actual.end}"
        cells = _screen.columns(beside, BESIDE, ("stage",))
        sections.append(_screen.table(cells, title=f"What was ({days}), and what is planned"))
    loops = bool(np.any(ideal.stages.visits != 1.0))
    shown = STAGES if loops else {name: text for name, text in STAGES.items() if name != "visits"}
    cells = _screen.columns(ideal.stages, shown, ("stage",))
    sections.append(_screen.table(cells, title="By stage", notes=VISITS if loops else ()))
    headers, rows = ideal.periods._cells()  # noqa: SLF001
    short = [header.replace("weekly", "a week").replace("_", " ") for header in headers]
    keys = headers.index("period") + 1
    notes = ideal._notes  # noqa: SLF001
    sections.append(_screen.table((short, rows), title="By period", notes=notes, keys=keys))
    return _screen.page(sections)


def _solved(ideal: Plan, solve_for: str) -> str:
    """Show the value of what was solved for."""
    quantity, _, stage = solve_for.partition(":")
    if stage:
        place = ideal.stages.stages.tolist().index(stage)
        if quantity == "conversion":
            return percent(float(ideal.stages.conversion[place]))
        return f"{money(float(ideal.stages.days[place]))} days"
    return ", ".join(map(money, np.atleast_1d(getattr(ideal, quantity)).tolist()))


def _plain(ideal: Plan) -> dict[str, Any]:
    """Return a plan as JSON types."""
    plain = {
        **ideal.to_dict(),
        "target": ideal.target,
        "average_amount": ideal.average_amount.tolist(),
        "wins": ideal.wins,
        "reps": ideal.reps,
        "stages": ideal.stages.to_dict()["rows"],
        "periods": ideal.periods.to_dict()["rows"],
    }
    if ideal.actual is not None:
        plain["actual"] = ideal.actual.to_dict()["rows"]
    return plain
