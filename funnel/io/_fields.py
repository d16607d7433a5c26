"""Full states rebuilt from a log of single fields that changed.

A value holds from the change that set it to the next change of the same field. Before the first
change of a field the old value of that change holds. Changes of one moment are one change, unless
the stage changes more than once in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import numpy as np

from funnel.calendars import to_day
from funnel.errors import ReadError, ValidationError, did_you_mean
from funnel.io import _log
from funnel.io._arrow import arrow
from funnel.io._columns import RESERVED, Sheet
from funnel.io._fieldvalues import Track, changes_of, track_columns
from funnel.io._log import Log
from funnel.io._sheet import optional_days, read_seq
from funnel.io._texts import Texts, from_names, read_ids, read_texts
from funnel.io._values import LEFT_OUT, Style, moved, read_days, take
from funnel.io._zones import DAY
from funnel.kernels import trace
from funnel.typing import NO_DAY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from funnel.stages import Funnel
    from funnel.tables import Schema
    from funnel.typing import BoolArray, DateLike, DayArray, IntArray

_CHANGING = frozenset({"stage", "created", "amount", "currency", "expected_close"})


@attrs.frozen
class FieldLog:
    """How a log of changed fields is to be read.

    Parameters
    ----------
    fields : mapping of str to str or None
        Our column for each field; None leaves it out on purpose.
    record_ids : mapping of str to str
        Patterns of record ids, for columns that are logged by name and by id.
    observed_from : date or None
        First day on which changes were recorded; that of the first change by default.
    currency_code : str or None
        The currency of all amounts.
    """

    fields: Mapping[str, str | None]
    record_ids: Mapping[str, str]
    observed_from: DateLike | None
    currency_code: str | None

    def __attrs_post_init__(self) -> None:
        """Demand that fields are mapped to columns that can change."""
        for field, name in self.fields.items():
            if name in RESERVED - _CHANGING:
                raise ValidationError.from_value(
                    "fields", "must map fields to columns of a state", {field: name}, ""
                )


def rebuild(
    sheet: Sheet, spec: FieldLog, style: Style, funnel: Funnel | None, schema: Schema | None
) -> tuple[Log, Funnel, DateLike | None]:
    """Return full states in order, the funnel, and the first day observed."""
    log = _changes(sheet, spec, style)
    tracks, findings = track_columns(sheet, log, style, spec.currency_code, spec.record_ids)
    log = attrs.evolve(log, findings=log.findings + findings)
    stage = tracks.pop("stage", None)
    stages = None if stage is None else stage.values
    if stage is None or not isinstance(stages, Texts):
        raise ReadError(_no_stage(sheet, spec))
    funnel = _log.demand_funnel(funnel, schema, stages, reader="read_history")
    codes = np.append(_log.stage_codes(stages, funnel, stage.row), np.int16(-1))
    if not len(log):
        return log, funnel, spec.observed_from
    observed = spec.observed_from or np.datetime64(int(log.day.min()), "D")
    log, begun, begin = _beginnings(log, codes[stage.before], to_day(observed))
    kept = _ends_of_moments(log, changes_of(log, "stage"))
    place, starts = _interleaved(begun, kept)
    day = log.day[place]
    day[starts] = begin

    def holding(track: Track) -> IntArray:
        """Return which value of a column holds in each state."""
        return np.where(starts, track.before[place], track.after[place])

    midnight = day.astype(np.int64) * DAY
    states = attrs.evolve(
        log.take(place),
        stage=codes[holding(stage)],
        day=day,
        time=None if log.time is None else np.where(starts, midnight, log.time[place]),
        seq=None,
        values={name: take(track.values, holding(track)) for name, track in tracks.items()},
    )
    return _log.without_gaps(states), funnel, observed


def _interleaved(begun: IntArray, kept: IntArray) -> tuple[IntArray, BoolArray]:
    """Return rows in order, beginnings before the change in the same row, and which they are."""
    place = np.concatenate((begun, kept))
    later = np.repeat([0, 1], [len(begun), len(kept)])
    order = np.lexsort((later, place))
    return place[order], later[order] == 0


def _changes(sheet: Sheet, spec: FieldLog, style: Style) -> Log:
    """Read which deal changed when in which of our columns; rows are in order."""
    fields, findings = read_texts(*sheet.column("field"), name="field")
    ids, odd_ids = read_ids(*sheet.column("id"))
    moments, odd_days = read_days(*sheet.column("at"), name="at", style=style, action=LEFT_OUT)
    seq, odd_seq = read_seq(sheet)
    created, odd_created = optional_days(sheet, "created", style)
    findings = sum((odd_ids, odd_days, odd_seq, odd_created), sheet.findings + findings)
    for code, name in enumerate(fields.names):
        if name not in spec.fields:
            count = int(np.count_nonzero(fields.codes == code))
            told = f"{name} ({count:,} rows)"
            findings = findings.add("field", "field-not-mapped", "rows left out", [-1], [told])
    targets = from_names(fields.codes, [spec.fields.get(name) or "" for name in fields.names])
    log = Log(
        source=sheet.source,
        row=np.arange(sheet.length),
        ids=ids,
        stage=np.zeros(sheet.length, dtype=np.int16),
        day=moments.day,
        time=moments.time,
        seq=seq,
        created=created,
        entered=np.full(sheet.length, NO_DAY, dtype=np.int32),
        values={"field": targets},
        findings=findings,
    )
    nameless = np.flatnonzero(fields.codes < 0)
    log = log.note("field", "field-missing", LEFT_OUT, nameless, [""] * len(nameless))
    log = _log.without_gaps(log.take(np.flatnonzero(targets.codes >= 0)))
    return _creations(_log.in_order(log), sheet, style)


def _creations(log: Log, sheet: Sheet, style: Style) -> Log:
    """Take the day of creation from changes that say so: their value, or else their day."""
    rows = np.flatnonzero(changes_of(log, "created"))
    if len(rows):
        column, header = sheet.column("new")
        part = column.take(arrow().array(log.row[rows]))
        moments, odd = read_days(part, header, name="created", style=style)
        days = np.where(moments.day == NO_DAY, log.day[rows], moments.day)
        created = log.created.copy()
        created[rows] = np.where(created[rows] == NO_DAY, days, created[rows])
        findings = log.findings + moved(odd, log.row[rows])
        log = attrs.evolve(log, created=created, findings=findings)
    return _log.one_creation(log)


def _beginnings(log: Log, stage_before: IntArray, observed: int) -> tuple[Log, IntArray, DayArray]:
    """Return the first rows of deals that began before their first change, and the days of that.

    A deal that was created before anything was recorded is first seen on the first day observed.
    """
    first = np.flatnonzero(trace.first_rows(log.ids.codes))
    born, seen = log.created[first], log.day[first]
    begin = np.maximum(born, observed)
    told = changes_of(log, "created")[first] & (seen <= begin)
    begun = (born != NO_DAY) & (begin <= seen) & (stage_before[first] >= 0) & ~told
    unborn = first[(born == NO_DAY) & (stage_before[first] >= 0)]
    log = log.note(
        "created", "created-unknown", "first change taken for it", unborn, log.names(unborn)
    )
    return log, first[begun], begin[begun].astype(np.int32)


def _ends_of_moments(log: Log, restaged: BoolArray) -> IntArray:
    """Return the last change of each moment, and those that a further change of stage follows."""
    moment = log.day if log.time is None else log.time
    first = trace.first_rows(log.ids.codes)
    first[1:] |= moment[1:] != moment[:-1]
    count = np.cumsum(restaged)
    starts = np.flatnonzero(first)
    before: IntArray = (count - restaged)[starts][np.cumsum(first) - 1]
    within = np.maximum(count - before, 1)
    last = np.append(first[1:] | (within[1:] != within[:-1]), True)
    return np.flatnonzero(last)


def _no_stage(sheet: Sheet, spec: FieldLog) -> str:
    """Say that no change of stage was found, and what the fields are called."""
    texts, _ = read_texts(*sheet.column("field"), name="field")
    wanted = [field for field, name in spec.fields.items() if name == "stage"]
    hint = did_you_mean(wanted[0], texts.names) if wanted else did_you_mean("stage", texts.names)
    return (
        f"{sheet.source} must tell the stage; no field of column {sheet.headers['field']!r} is "
        f"mapped to it. Pass fields={{'...': 'stage'}}. {hint}"
    )
