"""The command that compares a funnel with a standard one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import attrs
import numpy as np
import typer

from funnel.calendars import Horizon
from funnel.cli import _numbers, _output, _screen
from funnel.cli._options import listed
from funnel.cli._questions import DiagnoseOptions, Language
from funnel.cli._reading import check_days, read_known
from funnel.cli._talk import note
from funnel.diagnosis import StandardFunnel, diagnose
from funnel.errors import InsufficientDataError, ReadError, did_you_mean
from funnel.stages import Funnel

if TYPE_CHECKING:
    from funnel.diagnosis import Diagnosis
    from funnel.tables import History

TYPED, LAST_YEAR = "typed", "last-year"
YEAR = 365  # days


def run(options: DiagnoseOptions) -> None:
    """Read, compare and print."""
    check_days({"--as-of": options.as_of})
    _check(options)
    by = listed(options.by)
    history = read_known(options, by, options.as_of)
    asked: Any = None if options.period is None else options.period.value
    if options.standard == LAST_YEAR:
        asked = _year(history.observed_until - YEAR + 1)
    standard = _changed(_standard(options, history), options)
    found = diagnose(history, standard, by=by, period=asked)
    groups = len(set(zip(*(found.keys[name].tolist() for name in by), strict=True))) if by else 1
    if groups > 1 and standard.weekly_entries is not None:
        standard = standard.scaled(1 / groups)
        found = diagnose(history, standard, by=by, period=asked)
        note(f"each of {groups:,} groups should have an equal share of the new deals")
    if options.as_json:
        plain = {
            "standard": standard.to_dict(),
            "findings": found.text(_language(options)).splitlines(),
            **found.to_dict(),
        }
        typer.echo(_output.to_json(plain))
    else:
        typer.echo(_text(found, options))


def _check(options: DiagnoseOptions) -> None:
    """Refuse what is wrong whatever the file holds."""
    text = options.standard
    if ":" in text:
        _numbers.numbers(text, "--standard", ":")
    elif text not in (TYPED, LAST_YEAR, *Funnel.templates()):
        hint = did_you_mean(text, (TYPED, LAST_YEAR, *Funnel.templates()))
        rule = f"must be ratios such as 10:6:3:2, or a name, got {text!r}. {hint}"
        raise typer.BadParameter(rule, param_hint="--standard")
    if text == LAST_YEAR and options.period is not None:
        rule = "has no meaning with --standard last-year, which compares one year with another"
        raise typer.BadParameter(rule, param_hint="--period")
    if options.days is not None:
        _numbers.numbers(options.days, "--days")


def _standard(options: DiagnoseOptions, history: History) -> StandardFunnel:
    """Return what the funnel should be."""
    text = options.standard
    if text == TYPED:
        return StandardFunnel.from_funnel(history.funnel)
    if text == LAST_YEAR:
        return _last_year(history)
    if ":" not in text:
        return StandardFunnel.from_template(text)
    ratios = [float(value) for value in _numbers.numbers(text, "--standard", ":")]
    stages = [stage.id for stage in history.funnel.stages if not (stage.on_hold or stage.retired)]
    if len(ratios) != len(stages) + 1:
        msg = (
            f"--standard must have {len(stages) + 1} ratios, one for each stage and one for won, "
            f"and {text} has {len(ratios)}. The stages are {', '.join(map(repr, stages))}."
        )
        raise ReadError(msg)
    return StandardFunnel.from_ratios(ratios, stages=stages)


def _last_year(history: History) -> StandardFunnel:
    """Take the year before the last 365 days as the standard."""
    first = history.observed_until - 2 * YEAR + 1
    seen = history.observed_until - YEAR + 1 - max(history.observed_from, first)
    if seen <= 0:
        found = history.observed_until - history.observed_from + 1
        remedy = "Take a longer record, or ratios such as 10:6:3:2."
        what = "days of record, to compare a year with the one before"
        raise InsufficientDataError(what, needed=YEAR + 1, found=found, remedy=remedy)
    return StandardFunnel.from_history(history, period=_year(first))


def _year(first: int) -> Horizon:
    """Return one period of 365 days."""
    return Horizon.days(np.datetime64(first, "D"), YEAR)


def _changed(standard: StandardFunnel, options: DiagnoseOptions) -> StandardFunnel:
    """Return a standard with the days and entries that were typed."""
    given: dict[str, Any] = {}
    if options.days is not None:
        given["days"] = [float(value) for value in _numbers.numbers(options.days, "--days")]
    if options.weekly is not None:
        given["weekly_entries"] = options.weekly
    return attrs.evolve(standard, **given)


def _language(options: DiagnoseOptions) -> Literal["en", "zh"]:
    """Return the language of the findings."""
    return "zh" if options.findings is Language.CHINESE else "en"


def _text(found: Diagnosis, options: DiagnoseOptions) -> str:
    """Show what is wrong, and the comparisons; of several groups only what differs."""
    findings = found.text(_language(options)).splitlines()
    told = [line for finding in findings for line in _screen.wrapped(finding, "-")]
    headers, rows = found._cells()  # noqa: SLF001 - a table of this package
    unit = f"{100 * found.level:g} %"
    notes = [f"low – high: all intervals of a group hold together with {unit}", *found._notes]  # noqa: SLF001
    several = len(found.actual) > 1
    hidden = {"unknown", "normal"} if several else {"unknown"}
    kept = [row for row in rows if row[-1] not in hidden]
    if len(kept) < len(rows):
        why = "do not differ or have no standard" if several else "have no standard"
        notes.append(f"{len(rows) - len(kept):,} rows {why}; --json has all")
    keys = len(found.keys) + 2
    if len(set(found.keys.get("period", ()))) == 1:
        place = headers.index("period")
        headers, kept, keys = _without(headers, place), [_without(r, place) for r in kept], keys - 1
    shown = [["" if cell == "normal" else cell for cell in row] for row in kept]
    return _screen.page(["\n".join(told), _screen.table((headers, shown), notes=notes, keys=keys)])


def _without(cells: list[str], place: int) -> list[str]:
    """Leave out one cell."""
    return cells[:place] + cells[place + 1 :]
