"""The options of a file, stated once for all commands that read one."""

from __future__ import annotations

import enum
import functools
import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import attrs
import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class Layout(enum.StrEnum):
    """What a row of a file is."""

    STATES = "states"
    FIELDS = "fields"
    DEALS = "deals"


class Decimal(enum.StrEnum):
    """What stands before the decimals of an amount."""

    POINT = "."
    COMMA = ","


def _column(text: str) -> Any:  # noqa: ANN401 - typer gives its options no type of their own
    """Declare an option that names a column."""
    return typer.Option(help=text, metavar="COLUMN", rich_help_panel="Columns")


def _many(text: str, metavar: str, panel: str = "Columns") -> Any:  # noqa: ANN401
    """Declare an option that is repeated for more."""
    return typer.Option(help=f"{text} Repeat it for more.", metavar=metavar, rich_help_panel=panel)


def _reading(text: str, *names: str, metavar: str | None = None) -> Any:  # noqa: ANN401
    """Declare an option that says how a file is to be understood."""
    return typer.Option(*names, help=text, metavar=metavar, rich_help_panel="Reading")


_Text = str | None
_Texts = list[str] | None


@attrs.frozen(kw_only=True)
class Reading:
    """How a file is read; a field that is None is left to the library, or to what the file shows.

    The names are those of `funnel.io.read_history` and `funnel.io.read_deals`, where the plural
    and the mapping of each is not made of several options.
    """

    funnel: Annotated[
        _Text,
        _reading("Ladder of stages: a JSON file, or a template.", metavar="FILE|TEMPLATE"),
    ] = None
    language: Annotated[_Text, _reading("Labels of the template.", metavar="en|zh")] = None
    layout: Annotated[
        Layout | None,
        _reading("A row is a state after a change (the default), a changed field, or a deal."),
    ] = None
    preset: Annotated[
        _Text, _reading("Columns of an export of a CRM.", metavar="salesforce|hubspot")
    ] = None

    id: Annotated[_Text, _column("Deal.")] = None
    stage: Annotated[_Text, _column("Its stage.")] = None
    at: Annotated[_Text, _column("Day or moment of the change.")] = None
    seq: Annotated[_Text, _column("Numbers that order changes of one moment.")] = None
    amount: Annotated[_Text, _column("Amount in major units.")] = None
    booked_amount: Annotated[_Text, _column("Amount of won deals, in a table of deals.")] = None
    currency: Annotated[_Text, _column("Currency of the amount.")] = None
    created: Annotated[_Text, _column("Day on which the deal was created.")] = None
    closed: Annotated[_Text, _column("Day on which it was closed, in a table of deals.")] = None
    stage_entered: Annotated[_Text, _column("Day on which the stage was entered.")] = None
    expected_close: Annotated[_Text, _column("Day for which the win is promised.")] = None
    field: Annotated[_Text, _column("Name of the changed field.")] = None
    old: Annotated[_Text, _column("Its value before the change.")] = None
    new: Annotated[_Text, _column("Its value after the change.")] = None
    fields: Annotated[_Texts, _many("What a changed field is here.", "FIELD=NAME")] = None
    attribute: Annotated[_Texts, _many("A further column.", "NAME|NAME=COLUMN")] = None
    constant: Annotated[_Texts, _many("A column that never changes.", "NAME")] = None
    final: Annotated[_Texts, _many("A column known only as it is in the end.", "NAME")] = None

    entry_stage: Annotated[
        _Text, _reading("Stage in which deals are created, in a table of deals.", metavar="STAGE")
    ] = None
    currency_code: Annotated[_Text, _reading("Currency of all amounts.", metavar="CODE")] = None
    decimal: Annotated[Decimal | None, _reading("What stands before the decimals.")] = None
    day_first: Annotated[
        bool | None,
        _reading("Is 03/04/2026 the 3rd of April?", "--day-first/--month-first"),
    ] = None
    timezone: Annotated[_Text, _reading("Business time zone, UTC by default.", metavar="ZONE")] = (
        None
    )
    source_timezone: Annotated[
        _Text, _reading("Zone of time stamps that name none.", metavar="ZONE")
    ] = None
    encoding: Annotated[_Text, _reading("Of the text, if not UTF-8.", metavar="NAME")] = None
    delimiter: Annotated[_Text, _reading("Between the columns.", metavar="CHARACTER")] = None
    observed_from: Annotated[
        _Text, _reading("First day of the record; that of the first row.", metavar="DATE")
    ] = None
    observed_until: Annotated[
        _Text, _reading("Last day of the record; that of the last row.", metavar="DATE")
    ] = None
    strict: Annotated[bool, _reading("Accept no findings.", "--strict")] = False


@attrs.frozen(kw_only=True)
class Options(Reading):
    """A file, and how it is read."""

    file: Annotated[Path, typer.Argument(help="CSV (also gzip) or Parquet.", metavar="FILE")]


def listed(texts: Iterable[str] | None) -> tuple[str, ...]:
    """Return names that are given one by one, or with commas between them."""
    names = (name.strip() for text in texts or () for name in text.split(","))
    return tuple(dict.fromkeys(filter(None, names)))


def valued(texts: Iterable[str] | None, option: str) -> dict[str, tuple[str, ...]]:
    """Return the values by column of ``COLUMN=VALUE,VALUE``; those of one column add up."""
    found: dict[str, tuple[str, ...]] = {}
    for text in texts or ():
        name, sign, values = (part.strip() for part in text.partition("="))
        if not name or not sign:
            raise typer.BadParameter(f"must be COLUMN=VALUE, got {text!r}", param_hint=option)
        more = tuple(value.strip() for value in values.split(","))
        found[name] = tuple(dict.fromkeys((*found.get(name, ()), *more)))
    return found


def takes_options(command: Callable[[Any], None]) -> Callable[..., None]:
    """Give a command all fields of its one argument, an attrs class, as options."""
    (argument,) = inspect.signature(command, eval_str=True).parameters.values()
    hints = get_type_hints(argument.annotation, include_extras=True)
    parameters = [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if field.default is attrs.NOTHING else field.default,
            annotation=hints[field.name],
        )
        for field in attrs.fields(argument.annotation)
    ]

    @functools.wraps(command)
    def run(**given: Any) -> None:  # noqa: ANN401 - what typer has parsed
        """Gather the options."""
        command(argument.annotation(**given))

    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run
