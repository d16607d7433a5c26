"""From options to a history: thin glue around the readers of `funnel.io`."""

from __future__ import annotations

import codecs
import inspect
from typing import TYPE_CHECKING, Any

import attrs
import typer

from funnel import io
from funnel.calendars import to_day
from funnel.cli import _headers, _ladder
from funnel.cli._options import Layout, Options
from funnel.cli._talk import note, usage
from funnel.errors import did_you_mean
from funnel.io._dates import Clock
from funnel.io._source import open_source
from funnel.models import registry

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from funnel.io import Preset
    from funnel.stages import Funnel
    from funnel.tables import History

# Options that are no keyword of a reader, or are made into one below.
_OWN = frozenset(
    {"file", "funnel", "language", "layout", "preset", "strict"}
    | {"attribute", "fields", "constant", "final"}
)
_CHANGE = frozenset({"field", "old", "new", "fields"})
_FIELDS = ("stage", "amount", "currency", "created", "expected_close", "owner")


def read(options: Options, by: Sequence[str] = ()) -> History:
    """Read a file with its columns of `by`, and say on stderr what was found out about it."""
    layout = _layout(options)
    keywords = _keywords(options, layout)
    with usage("--timezone, --source-timezone"):
        Clock(keywords.get("timezone", "UTC"), keywords.get("source_timezone"))
    funnel = None if options.funnel is None else _ladder.load(options.funnel, options.language)
    if funnel is None and options.language is not None:
        raise typer.BadParameter("needs a template", param_hint="--language")

    encoding, delimiter = (keywords.get(name) for name in ("encoding", "delimiter"))
    headers = open_source(options.file, encoding=encoding, delimiter=delimiter).columns
    if options.preset is None:
        keywords = _with_found(keywords, headers, layout)
    keywords = _with_groups(keywords, by, headers, options.preset, layout)
    if layout is not Layout.DEALS:
        keywords["layout"] = layout.value
    keywords["funnel"] = funnel or _drafted(options, keywords, layout)
    reader = io.read_deals if layout is Layout.DEALS else io.read_history
    return reader(options.file, strict=options.strict, **keywords)


def read_known(options: Options, by: Sequence[str] = (), as_of: str | None = None) -> History:
    """Read a file as it was known at the end of a day; findings are counted on stderr."""
    history = read(options, by)
    if len(history.findings):
        note(
            f"findings, of what was repaired, left out or doubtful: {len(history.findings):,}; "
            "`funnel check` with the same options lists them"
        )
    return history if as_of is None else history.until(as_of)


def check_days(given: Mapping[str, str | None]) -> None:
    """Refuse options that are no dates, whatever the file holds."""
    for option, text in given.items():
        if text is not None:
            with usage(option):
                to_day(text)


def check_models(option: str, names: Iterable[str]) -> None:
    """Refuse names that no model has."""
    with usage(option):
        for name in names:
            registry.origin(name)


def _layout(options: Options) -> Layout:
    """Return what a row is: as said, or as the preset has it."""
    if options.preset is None:
        return options.layout or Layout.STATES
    if options.preset not in io.PRESETS:
        hint = did_you_mean(options.preset, io.PRESETS)
        raise typer.BadParameter(f"got {options.preset!r}. {hint}", param_hint="--preset")
    shapes = io.PRESETS[options.preset]
    layout = options.layout or Layout.STATES
    if layout not in shapes:
        known = " or ".join(shapes)
        raise typer.BadParameter(
            f"must be {known} with --preset {options.preset}", param_hint="--layout"
        )
    return layout


def _keywords(options: Options, layout: Layout) -> dict[str, Any]:
    """Return the keywords of the reader that the options state."""
    values = {field.name: getattr(options, field.name) for field in attrs.fields(Options)}
    given = {name: value for name, value in values.items() if value is not None}
    reader = io.read_deals if layout is Layout.DEALS else io.read_history
    known = {*inspect.signature(reader).parameters, *_OWN}
    if layout is not Layout.FIELDS:
        known -= _CHANGE
    unfit = [name for name in given if name not in known]
    if unfit:
        raise typer.BadParameter(
            f"has no meaning with --layout {layout}", param_hint=_headers.option(unfit[0])
        )
    _check(given)
    keywords = {name: value for name, value in given.items() if name not in _OWN}
    keywords["attributes"] = _pairs(options.attribute, "--attribute")
    keywords["known"] = _known(options)
    if options.preset is not None:
        keywords["preset"] = options.preset
    if layout is Layout.FIELDS:
        plain = () if options.preset else _FIELDS
        keywords["fields"] = {**_pairs(plain, ""), **_pairs(options.fields, "--fields")}
    return keywords


def _check(given: dict[str, Any]) -> None:
    """Refuse values that are wrong whatever the file holds."""
    names = ("observed_from", "observed_until")
    check_days({_headers.option(name): given.get(name) for name in names})
    if len(given.get("delimiter", ",")) != 1:
        raise typer.BadParameter("must be one character", param_hint="--delimiter")
    try:
        codecs.lookup(given.get("encoding", "utf-8"))
    except (LookupError, ValueError):
        raise typer.BadParameter(
            "must be an encoding such as gb18030 or cp1252", param_hint="--encoding"
        ) from None


def _pairs(texts: Iterable[str] | None, option: str) -> dict[str, str]:
    """Return ``NAME=COLUMN`` by name; a name alone stands for itself."""
    pairs: dict[str, str] = {}
    for text in texts or ():
        name, sign, other = text.partition("=")
        if not name or (sign and not other):
            raise typer.BadParameter(
                f"must be a name or NAME=NAME, got {text!r}", param_hint=option
            )
        if name in pairs:
            raise typer.BadParameter(f"{name!r} is there twice", param_hint=option)
        pairs[name] = other or name
    return pairs


def _known(options: Options) -> dict[str, str]:
    """Return since when the columns that the user speaks of are known."""
    both = set(options.constant or ()) & set(options.final or ())
    if both:
        raise typer.BadParameter(f"{min(both)!r} cannot be both", param_hint="--constant, --final")
    return {
        **dict.fromkeys(options.constant or (), "constant"),
        **dict.fromkeys(options.final or (), "final"),
    }


def _with_found(keywords: dict[str, Any], headers: Sequence[str], layout: Layout) -> dict[str, Any]:
    """Add the columns that are found by their headers, and say which."""
    named = {*keywords, *keywords["attributes"]}
    found = _headers.find(headers, layout, named)
    if found:
        listed = ", ".join(f"{name} {header!r}" for name, header in found.items())
        note(f"columns taken by their headers: {listed}")
    attributes = {name: found.pop(name) for name in _headers.ATTRIBUTES if name in found}
    return {**keywords, **found, "attributes": {**attributes, **keywords["attributes"]}}


def _with_groups(
    keywords: dict[str, Any],
    by: Sequence[str],
    headers: Sequence[str],
    preset: str | None,
    layout: Layout,
) -> dict[str, Any]:
    """Add the columns that groups are made of, where nothing else brings them."""
    ready: Preset | None = None if preset is None else io.PRESETS[preset][layout]
    there = {*_headers.NAMES[layout], *keywords["attributes"], "stage", "currency"}
    there |= set(keywords.get("fields", {}).values())
    if ready is not None:
        there |= {*ready.attributes, *ready.fields.values()}
    new = [name for name in by if name not in there]
    logged = [name for name in new if layout is Layout.FIELDS and name not in headers]
    beside = [name for name in new if name not in logged]
    added = {**keywords, "attributes": {**keywords["attributes"], **_pairs(beside, "--by")}}
    if logged:
        added["fields"] = {**keywords["fields"], **_pairs(logged, "--by")}
    return added


def _drafted(options: Options, keywords: dict[str, Any], layout: Layout) -> Funnel:
    """Draft a ladder from the file, and say which it is and how to correct it."""
    known = inspect.signature(io.suggest_funnel).parameters
    some = {name: value for name, value in keywords.items() if name in known}
    funnel = io.suggest_funnel(options.file, **{**some, "layout": layout.value})
    note(
        f"no --funnel was given, so this ladder was drafted from the file: "
        f"{_ladder.written(funnel)}. If an order or a name is wrong, save it as JSON, correct it, "
        "and pass that with --funnel"
    )
    return funnel
