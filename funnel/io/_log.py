"""Rows of full states on their way into a history: ordered, checked against one another, repaired.

Both layouts of a change log and deals tables meet here.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from funnel.calendars import to_dates
from funnel.errors import ReadError, UnknownStageError
from funnel.io._texts import Texts
from funnel.io._values import LEFT_OUT, UNKNOWN, Values, take
from funnel.kernels import trace
from funnel.kernels.order import by_code
from funnel.rules import violations
from funnel.tables import Findings, History
from funnel.typing import NO_DAY

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from funnel.stages import Funnel
    from funnel.tables import Schema
    from funnel.tables.schema import Known
    from funnel.typing import BoolArray, DateLike, DayArray, FloatArray, IntArray


@attrs.frozen(eq=False)
class Log:
    """Full states of deals, one a row.

    Parameters
    ----------
    source : str
        What the source is called in messages.
    row : (r,) int
        Row of the source that each state comes from.
    ids : Texts
        Deals.
    stage : (r,) int16
        State codes; -1 unknown.
    day : (r,) int32
        Day of the change.
    time : (r,) int64 or None
        Microseconds of the change, where known.
    seq : (r,) float64 or None
        Order within a day or moment, where given.
    created, entered : (r,) int32
        Day of creation, and day on which the stage was entered.
    values : mapping of str to Values
        Every other column.
    findings : Findings
        What was repaired so far.
    """

    source: str
    row: IntArray
    ids: Texts
    stage: IntArray
    day: DayArray
    time: IntArray | None
    seq: FloatArray | None
    created: DayArray
    entered: DayArray
    values: Mapping[str, Values]
    findings: Findings

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.row)

    def take(self, rows: IntArray) -> Log:
        """Return some rows in the order given."""
        if len(rows) == len(self) and (len(rows) == 0 or bool(np.all(np.diff(rows) == 1))):
            return self
        return attrs.evolve(
            self,
            row=self.row[rows],
            ids=self.ids.take(rows),
            stage=self.stage[rows],
            day=self.day[rows],
            time=None if self.time is None else self.time[rows],
            seq=None if self.seq is None else self.seq[rows],
            created=self.created[rows],
            entered=self.entered[rows],
            values={name: take(values, rows) for name, values in self.values.items()},
        )

    def note(
        self, column: str, rule: str, action: str, rows: IntArray, values: Iterable[object]
    ) -> Log:
        """Return the rows with one more group of findings about some of them."""
        findings = self.findings.add(column, rule, action, self.row[rows], values)
        return attrs.evolve(self, findings=findings)

    def names(self, rows: IntArray) -> list[str]:
        """Return the deals of some rows, for findings."""
        return list(self.ids.distinct.take(self.ids.codes[rows]).values.tolist())


def stage_codes(texts: Texts, funnel: Funnel, rows: IntArray) -> IntArray:
    """(n,) -> (n,) int16: the state of each row, -1 where none is named."""
    try:
        codes = funnel.codes(list(texts.names)) if texts.names else np.empty(0, dtype=np.int16)
    except UnknownStageError as error:
        known = {_fold(name) for state in funnel.states for name in state.names}
        odd = np.array([*(_fold(name) not in known for name in texts.names), False])[texts.codes]
        first = int(np.argmax(odd))
        raise UnknownStageError.from_rows(
            texts.names[texts.codes[first]],
            error.known,
            count=int(odd.sum()),
            total=len(odd),
            row=int(rows[first]),
        ) from None
    return np.append(codes, np.int16(-1))[texts.codes]


def _fold(name: str) -> str:
    """Return the form in which funnels compare names."""
    return unicodedata.normalize("NFKC", name).casefold().strip()


def demand_funnel(
    funnel: Funnel | None, schema: Schema | None, stages: Texts, *, reader: str
) -> Funnel:
    """Return the funnel given, or list the stages found for one to be made of them."""
    if schema is not None and funnel is None:
        return schema.funnel
    if funnel is None:
        shown = ", ".join(map(repr, stages.names[:20]))
        more = f" and {len(stages.names) - 20:,} more" if len(stages.names) > 20 else ""
        msg = (
            f"{reader} needs funnel=, the ladder of stages in their order; stages found: {shown}"
            f"{more}. Write funnel.Funnel([...], won=..., lost=...), take Funnel.template(...), or "
            "start from funnel.io.suggest_funnel."
        )
        raise ReadError(msg)
    return funnel


def without_gaps(log: Log) -> Log:
    """Leave out rows that name no deal, no stage or no day, and report them."""
    keep = np.ones(len(log), dtype=np.bool_)
    for column, missing in (("id", log.ids.codes < 0), ("stage", log.stage < 0)):
        rows = np.flatnonzero(missing & keep)
        log = log.note(column, f"{column}-missing", LEFT_OUT, rows, [""] * len(rows))
        keep &= ~missing
    undated = np.flatnonzero((log.day == NO_DAY) & keep)
    # What could not be read or is implausible has been reported as such.
    told = [group.rows for group in log.findings.groups if group.column == "at"]
    silent = undated[~np.isin(log.row[undated], np.concatenate(told))] if told else undated
    log = log.note("at", "at-missing", LEFT_OUT, silent, log.names(silent))
    keep &= log.day != NO_DAY
    return log if keep.all() else log.take(np.flatnonzero(keep))


def in_order(log: Log) -> Log:
    """Sort rows by deal, time, `seq` and place in the source."""
    deal, moment = log.ids.codes, log.day if log.time is None else log.time
    if log.seq is not None:
        return log.take(np.lexsort((log.seq, moment, deal)))
    ahead = np.diff(deal)
    if (ahead >= 0).all():  # most logs have the rows of a deal side by side
        order, ranked, same = None, moment, ahead == 0
    else:
        order = by_code(deal) if log.ids.order is None else log.ids.order
        ranked, same = moment[order], np.diff(deal[order]) == 0
    if not (same & (ranked[1:] < ranked[:-1])).any():
        return log if order is None else log.take(order)
    place = np.arange(len(log))
    if not (same & (ranked[1:] > ranked[:-1])).any() and (same & (ranked[1:] == ranked[:-1])).any():
        # Changes of one moment are told apart by their place alone, and all else runs backwards.
        action = "changes of one moment read from the last row to the first"
        findings = log.findings.add("at", "newest-first", action, [-1], [""])
        log, place = attrs.evolve(log, findings=findings), place[::-1]
    return log.take(by_code(deal, before=place[np.argsort(moment[place], kind="stable")]))


def one_creation(log: Log) -> Log:
    """Give all rows of a deal one day of creation, the earliest; rows are in order."""
    if not len(log):
        return log
    starts, deal = _deals(log)
    never = np.iinfo(np.int32).max
    known = np.where(log.created == NO_DAY, never, log.created)
    earliest = np.minimum.reduceat(known, starts)[deal]
    differs = np.flatnonzero((log.created != NO_DAY) & (log.created != earliest))
    spelt = to_dates(log.created[differs])
    log = log.note("created", "created-differs", "earliest day kept", differs, spelt)
    born = np.where(earliest == never, NO_DAY, earliest).astype(np.int32)
    return attrs.evolve(log, created=born)


def _deals(log: Log) -> tuple[IntArray, IntArray]:
    """Return where the rows of each deal begin, and the number of the deal of each row."""
    first = trace.first_rows(log.ids.codes)
    return np.flatnonzero(first), np.cumsum(first) - 1


def consistent(log: Log) -> Log:
    """Settle dates that contradict one another; rows are in order."""
    if not ((log.created != NO_DAY) | (log.entered != NO_DAY)).any():
        return log
    log = one_creation(log)
    starts, deal = _deals(log)
    began = log.day[starts][deal]
    table = {"at": log.day, "created": log.created, "stage_entered": log.entered.copy()}
    # Later rules see what earlier ones have repaired: the table is changed between them.
    for rule, rows in violations(table):
        if rule.name == "created-after-at":
            late = np.unique(starts[deal[rows]])
            spelt = to_dates(log.created[late])
            log = log.note("created", rule.name, "first change taken for it", late, spelt)
            table["created"] = np.minimum(log.created, began)
        else:
            spelt = to_dates(table["stage_entered"][rows])
            log = log.note("stage_entered", rule.name, UNKNOWN, rows, spelt)
            table["stage_entered"][rows] = NO_DAY
    log = attrs.evolve(log, created=table["created"], entered=table["stage_entered"])
    # Who had entered a stage before the first row was there before it.
    bound = log.entered[starts]
    older = (log.created[starts] == NO_DAY) & (bound != NO_DAY) & (bound < log.day[starts])
    rows = starts[older]
    action = "day of stage_entered taken for it"
    log = log.note("created", "created-unknown", action, rows, log.names(rows))
    return attrs.evolve(log, created=np.where(older[deal], bound[deal], log.created))


def distinct(log: Log) -> Log:
    """Leave out rows that repeat the row before them in every column, and report them."""
    if len(log) < 2:
        return log
    parts: list[Any] = [log.day, log.ids.codes, log.stage, log.created, log.entered]
    parts += [part for part in (log.time, log.seq) if part is not None]
    parts += [part.codes if isinstance(part, Texts) else part for part in log.values.values()]
    rows = np.flatnonzero(parts[0][1:] == parts[0][:-1]) + 1
    for part in parts[1:]:
        one, two = part[rows], part[rows - 1]
        equal: BoolArray = one == two
        if part.dtype.kind == "f":
            equal |= np.isnan(one) & np.isnan(two)
        rows = rows[equal]
    log = log.note("id", "duplicate-row", LEFT_OUT, rows, log.names(rows))
    return log.take(np.delete(np.arange(len(log)), rows)) if len(rows) else log


def to_history(
    log: Log,
    *,
    funnel: Funnel,
    known: Mapping[str, Known] | None,
    schema: Schema | None,
    observed_from: DateLike | None,
    observed_until: DateLike | None,
    timezone: str,
    strict: bool,
) -> History:
    """Build the history from rows in order; with `strict`, raise on the first finding."""
    if strict:
        log.findings.raise_first()
    if not len(log):
        told = [f for f in log.findings if "left out" in f.action]
        first = f" (first: row {told[0].row}, {told[0].rule}, {told[0].value!r})" if told else ""
        msg = f"{log.source} has no row that can be used; all were left out{first}."
        raise ReadError(msg)
    columns = {name: _column(name, values) for name, values in log.values.items()}
    return History.from_columns(
        funnel=funnel,
        id=log.ids,
        stage=log.stage,
        at=log.day,
        created=log.created,
        stage_entered=log.entered,
        known=known,
        schema=schema,
        observed_from=observed_from,
        observed_until=observed_until,
        timezone=timezone,
        findings=log.findings,
        **columns,
    )


def _column(name: str, values: Values) -> Any:  # noqa: ANN401 - one of those that are taken
    """Return a column as `History.from_columns` takes it."""
    if isinstance(values, Texts) or values.dtype.kind == "f" or name == "expected_close":
        return values
    return to_dates(values.astype(np.int32))
