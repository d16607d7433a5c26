"""The values of each column through a log of single fields that changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import attrs
import numpy as np

from funnel.io._arrow import Arrow, arrow, mask, to_text
from funnel.io._sheet import state_values
from funnel.io._texts import Texts, read_texts
from funnel.io._values import (
    Style,
    Values,
    joined,
    kind_of,
    moved,
    read_money,
    read_values,
    settle_currency,
    take,
)
from funnel.tables import Findings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from funnel.io._columns import Sheet
    from funnel.io._log import Log
    from funnel.typing import BoolArray, IntArray


class Track(NamedTuple):
    """The values of one column through a log of r rows.

    ``values`` holds the new values of its m changes, then the old ones, then one for each row of
    the log where they are given beside it; ``row`` is the row of the source behind each. ``after``
    and ``before`` (r,) say which of them holds after and before each row, -1 where none is known.
    """

    values: Values
    row: IntArray
    after: IntArray
    before: IntArray


class Changes(NamedTuple):
    """The m changes of one column: the rows of the log, and the new and old values as read."""

    rows: IntArray
    values: Values
    signs: Texts | None
    has_old: bool


def changes_of(log: Log, name: str) -> BoolArray:
    """(r,): mask of the rows of the log that change this column."""
    targets = log.values["field"]
    if not isinstance(targets, Texts) or name not in targets.names:
        return np.zeros(len(log), dtype=np.bool_)
    found: BoolArray = targets.codes == targets.names.index(name)
    return found


def track_columns(
    sheet: Sheet,
    log: Log,
    style: Style,
    currency_code: str | None,
    record_ids: Mapping[str, str],
) -> tuple[dict[str, Track], Findings]:
    """Follow every column that changes or is given beside the log."""
    beside, findings = state_values(sheet, style, currency_code)
    if currency_code is not None:
        beside.pop("currency", None)  # it is that of every row, and set below
    if "stage" in sheet:
        beside["stage"], odd = read_texts(*sheet.column("stage"), name="stage")
        findings += odd
    fixed = {name: kind_of(values) for name, values in beside.items()}
    style = attrs.evolve(style, kinds={**style.kinds, **fixed})
    texts = {part: to_text(sheet.column(part)[0]) for part in ("new", "old") if part in sheet}
    targets = log.values["field"]
    changing = targets.names if isinstance(targets, Texts) else ()
    tracks: dict[str, Track] = {}
    signs = None
    for name in dict.fromkeys((*changing, *beside)):
        if name == "created":
            continue
        rows: IntArray = np.flatnonzero(changes_of(log, name))
        if name in record_ids:
            rows, odd = _without_ids(texts, log, rows, name, record_ids[name])
            findings += odd
        header = " and ".join(sheet.headers[part] for part in texts)
        changes, odd = _read_changes(texts, header, log.row[rows], name=name, style=style)
        changes = changes._replace(rows=rows)
        findings += odd + _gaps(texts, log, changes, name)
        given = beside.get(name)
        tracks[name] = _follow(log, changes, None if given is None else take(given, log.row))
        signs = changes.signs if name == "amount" else signs
    currency, odd = _currency(tracks, signs, currency_code)
    if currency is not None:
        tracks["currency"] = currency
    return tracks, findings + odd


def _currency(
    tracks: Mapping[str, Track], signs: Texts | None, code: str | None
) -> tuple[Track | None, Findings]:
    """Return the currency of all amounts, or else what their signs say, where nothing else does."""
    amounts = tracks.get("amount")
    if amounts is None or ("currency" in tracks and code is None):
        return None, Findings.empty()
    given = tracks["currency"].values if "currency" in tracks else None
    named = given if isinstance(given, Texts) else None
    length = len(amounts.row)
    if signs is not None:
        codes = np.append(signs.codes, np.full(length - len(signs.codes), -1, dtype=np.int32))
        signs = signs._replace(codes=codes)
    settled, findings = settle_currency(named, code, signs, length)
    findings = moved(findings, amounts.row)
    if settled is None:
        return None, findings
    if code is not None:
        everywhere = np.zeros(len(amounts.after), dtype=np.int64)
        return Track(settled, amounts.row, everywhere, everywhere), findings
    return amounts._replace(values=settled), findings


def _without_ids(
    texts: Mapping[str, Arrow], log: Log, rows: IntArray, name: str, pattern: str
) -> tuple[IntArray, Findings]:
    """Leave out changes by record id where the same changes are there by name."""
    compute = arrow().compute
    is_id = np.zeros(len(rows), dtype=np.bool_)
    for text in texts.values():
        part = text.take(arrow().array(log.row[rows]))
        is_id |= mask(compute.match_substring_regex(part, pattern))
    if is_id.all() or not is_id.any():
        return rows, Findings.empty()
    told = f"{int(is_id.sum()):,} rows with record ids"
    action = "left out; the changes are there by name"
    return rows[~is_id], Findings.empty().add(name, "record-ids", action, [-1], [told])


def _read_changes(
    texts: Mapping[str, Arrow], header: str, rows: IntArray, *, name: str, style: Style
) -> tuple[Changes, Findings]:
    """Read the new values of some rows of the source, and their old ones where there are any."""
    pa = arrow()
    column = pa.concat_arrays([text.take(pa.array(rows)) for text in texts.values()])
    signs = None
    values: Values
    if name == "amount":
        found, findings = read_money(column, header, name=name, style=style)
        values, signs = found.values, found.signs
    elif name == "stage":
        values, findings = read_texts(column, header, name=name)
    else:
        values, findings = read_values(column, header, name=name, style=style)
    findings = moved(findings, np.tile(rows, len(texts)))
    return Changes(rows, values, signs, has_old=len(texts) == 2), findings


def _gaps(texts: Mapping[str, Arrow], log: Log, changes: Changes, name: str) -> Findings:
    """Report old values that are not the new value of the change before."""
    rows, count = changes.rows, len(changes.rows)
    if not changes.has_old or count < 2:
        return Findings.empty()
    values = changes.values.codes if isinstance(changes.values, Texts) else changes.values
    new, old = values[: count - 1], values[count + 1 :]
    missing = -1 if isinstance(changes.values, Texts) else take(changes.values, np.array([-1]))[0]
    known = (new != missing) & (old != missing) & (new == new) & (old == old)  # noqa: PLR0124
    same_deal = log.ids.codes[rows][1:] == log.ids.codes[rows][:-1]
    odd = log.row[rows[1:][known & same_deal & (new != old)]]
    spelt = texts["old"].take(arrow().array(odd)).to_pylist()
    action = "new values kept; a change between is missing"
    return Findings.empty().add(name, f"{name}-gap", action, odd, spelt)


def _follow(log: Log, changes: Changes, beside: Values | None) -> Track:
    """Say which value holds after and before each row of the log."""
    deal, rows = log.ids.codes, changes.rows
    changed = np.zeros(len(log), dtype=np.int64)
    changed[rows] = 1
    count = len(rows)
    owner = np.append(deal[rows], -1)  # of no deal: what there is before the first change
    base = count * (1 + changes.has_old)

    def holding(last: IntArray) -> IntArray:
        """(r,) -> (r,): the value in force, given the number of the last change up to then."""
        current = owner[last] == deal
        coming = owner[np.minimum(last + 1, count)] == deal
        old = count + last + 1 if changes.has_old else np.full(len(log), -1)
        given = np.full(len(log), -1) if beside is None else base + np.arange(len(log))
        found: IntArray = np.where(current, last, np.where(coming, old, given))
        return found

    last = np.cumsum(changed) - 1
    values, row = changes.values, np.tile(log.row[rows], 1 + changes.has_old)
    if beside is not None:
        values, row = joined(values, beside), np.concatenate((row, log.row))
    return Track(values, row, after=holding(last), before=holding(last - changed))
