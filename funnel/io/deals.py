"""Tables of deals: one row for each deal as it is now, read into a `History`.

Such a table knows when a deal was created and when it was closed, and nothing of the way between.
What it says of amounts, owners and the like is their last value, which gives the outcome away:
these columns are ``final`` unless the user says otherwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from funnel.calendars import to_date, to_dates, to_day
from funnel.errors import ValidationError
from funnel.io import _log, presets
from funnel.io._dates import Clock
from funnel.io._log import Log
from funnel.io._sheet import all_kinds, choose, optional_days, state_values
from funnel.io._source import open_source
from funnel.io._texts import Texts, read_ids, read_texts
from funnel.io._values import LEFT_OUT, UNKNOWN, Style, read_money, settle_currency
from funnel.kernels.labels import texts
from funnel.kernels.order import by_code
from funnel.rules import violations
from funnel.stages import Outcome
from funnel.typing import NO_DAY

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from funnel.io._amounts import Decimal
    from funnel.io._columns import Sheet
    from funnel.stages import Funnel
    from funnel.tables import History, Schema
    from funnel.tables.schema import Kind, Known
    from funnel.typing import BoolArray, DateLike, DayArray

__all__ = ["read_deals"]


def read_deals(
    source: str | os.PathLike[str] | Any,  # noqa: ANN401 - a dataframe of any library
    *,
    funnel: Funnel | None = None,
    preset: str | None = None,
    id: str | None = None,
    stage: str | None = None,
    created: str | None = None,
    closed: str | None = None,
    stage_entered: str | None = None,
    entry_stage: str | None = None,
    amount: str | None = None,
    booked_amount: str | None = None,
    currency: str | None = None,
    currency_code: str | None = None,
    expected_close: str | None = None,
    attributes: Sequence[str] | Mapping[str, str] = (),
    kinds: Mapping[str, Kind] | None = None,
    known: Mapping[str, Known] | None = None,
    schema: Schema | None = None,
    decimal: Decimal | None = None,
    day_first: bool | None = None,
    timezone: str = "UTC",
    source_timezone: str | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    observed_from: DateLike | None = None,
    observed_until: DateLike | None = None,
    strict: bool = False,
) -> History:
    """Read a table of deals: a CSV or Parquet file, or a dataframe.

    Parameters
    ----------
    source : path or dataframe
        As for `read_history`.
    funnel : Funnel
        The ladder of stages.
    preset : {"salesforce", "hubspot"}, optional
        Ready names of columns of the export of opportunities or deals. Keywords go before it.
    id, stage, created, closed : str
        Columns with the deal, its stage now, and the days on which it was created and closed.
    stage_entered : str, optional
        Column with the day on which the deal entered the stage that it is in.
    entry_stage : str, optional
        The stage in which deals are created; the first of the funnel by default.
    amount : str, optional
        Column with the amount in major units.
    booked_amount : str, optional
        Column with the amount for which a deal was won. `amount` is then what was known before,
        for instance the list price; other deals keep it.
    currency, expected_close : str, optional
        Columns with the currency and the promised day. Where `expected_close` is the column of
        `closed`, it is the promise of open deals and the closing day of others.
    currency_code : str, optional
        The currency of all amounts.
    attributes, kinds, schema : optional
        As for `read_history`.
    known : mapping, optional
        ``"final"`` by default for every column: it is shown at the end of `observed_until` and,
        for won deals, since they were won. Say ``{"owner": "constant"}`` of what never changes.
    decimal, day_first, timezone, source_timezone, encoding, delimiter : optional
        As for `read_history`.
    observed_from, observed_until : date, optional
        First day of the record, and the day of the export; those of the rows by default.
    strict : bool
        Raise on the first finding instead of repairing.

    Returns
    -------
    History
        With everything that was repaired or left out in ``history.findings``.

    Raises
    ------
    ReadError, UnknownColumnError, UnknownStageError, MissingDependencyError
        As for `read_history`.
    ValidationError
        When a deal is there twice, an argument is wrong, or with `strict` on the first finding.

    Notes
    -----
    A deal has a row in `entry_stage` on the day of its creation. A closed deal has another one on
    its closing day. An open deal in a further stage has it on the day of `stage_entered`, or else
    on `observed_until`: it had reached the stage by then, and the finding says so.

    Deals without any date are left out, and so are closed ones without a closing day. Where a deal
    is closed before it was created, its creation is moved to the closing day; a closing day of an
    open deal is not used. Each of these is a finding.

    Examples
    --------
    >>> import funnel as fn
    >>> import pandas as pd
    >>> deals = pd.DataFrame({
    ...     "deal": ["A", "B", "C"],
    ...     "stage": ["Won", "Propose", "Qualify"],
    ...     "created": ["2026-01-05", "2026-02-01", None],
    ...     "closed": ["2026-02-10", None, None],
    ... })
    >>> history = fn.io.read_deals(
    ...     deals, funnel=fn.Funnel(["Qualify", "Propose"]), id="deal", stage="stage",
    ...     created="created", closed="closed", observed_until="2026-03-31",
    ... )
    >>> history
    History(2 deals, 4 rows, 2026-01-05 to 2026-03-31, 1 open, 1 won, 0 lost)
    >>> [finding.rule for finding in history.findings]
    ['no-date', 'stage-day-unknown']
    """
    given = {
        "id": id,
        "stage": stage,
        "created": created,
        "closed": closed,
        "stage_entered": stage_entered,
        "amount": amount,
        "booked_amount": booked_amount,
        "currency": currency,
        "expected_close": expected_close,
    }
    sheet = choose(
        open_source(source, encoding=encoding, delimiter=delimiter),
        given,
        attributes,
        presets.find(preset, "deals"),
        needed=("id", "stage", "created", "closed"),
        reader="read_deals",
    )
    clock = Clock(timezone, source_timezone, day_first)
    style = Style(clock, decimal, all_kinds(kinds, schema))
    deals, funnel = _read(sheet, style, funnel, schema, currency_code)
    until = None if observed_until is None else to_day(observed_until, name="observed_until")
    entry = 0 if entry_stage is None else funnel.code(entry_stage)
    log = _rows(_dated(deals, funnel), funnel, entry, until)
    return _log.to_history(
        log,
        funnel=funnel,
        known=_known(log, known or {}, schema, has_booked="booked_amount" in sheet),
        schema=schema,
        observed_from=observed_from,
        observed_until=observed_until,
        timezone=timezone,
        strict=strict,
    )


def _read(
    sheet: Sheet,
    style: Style,
    funnel: Funnel | None,
    schema: Schema | None,
    currency_code: str | None,
) -> tuple[Log, Funnel]:
    """Read the table, one row a deal; ``closed`` and ``booked_amount`` are among its values."""
    stages, findings = read_texts(*sheet.coded("stage"), name="stage")
    funnel = _log.demand_funnel(funnel, schema, stages, reader="read_deals")
    row = np.arange(sheet.length)
    codes = _log.stage_codes(stages, funnel, row)
    ids, odd_ids = read_ids(*sheet.column("id"))
    created, odd_created = optional_days(sheet, "created", style)
    closed, odd_closed = optional_days(sheet, "closed", style)
    entered, odd_entered = optional_days(sheet, "stage_entered", style)
    values, odd_values = state_values(sheet, style, currency_code)
    found = [odd_ids, odd_created, odd_closed, odd_entered, odd_values]
    if "booked_amount" in sheet:
        booked, odd = read_money(*sheet.column("booked_amount"), name="booked_amount", style=style)
        values["booked_amount"] = booked.values
        values.setdefault("amount", np.full(sheet.length, np.nan))
        named = values.get("currency")
        currency, conflict = settle_currency(
            named if isinstance(named, Texts) else None, None, booked.signs, sheet.length
        )
        if currency is not None:
            values["currency"] = currency
        found += [odd, conflict]
    is_open = np.append(funnel.outcomes == Outcome.OPEN, False)[codes]
    if "expected_close" in sheet and sheet.headers["expected_close"] == sheet.headers["closed"]:
        # One column for both: the promise of open deals, the closing day of others.
        values["expected_close"] = np.where(is_open, closed, NO_DAY).astype(np.int32)
        closed = np.where(is_open, NO_DAY, closed).astype(np.int32)
    log = Log(
        source=sheet.source,
        row=row,
        ids=ids,
        stage=codes,
        day=np.full(sheet.length, NO_DAY, dtype=np.int32),
        time=None,
        seq=None,
        created=created,
        entered=entered,
        values={**values, "closed": closed},
        findings=sum(found, sheet.findings + findings),
    )
    return log, funnel


def _days(log: Log, name: str) -> DayArray:
    """Return a column of days among the values."""
    return np.asarray(log.values[name], dtype=np.int32)


def _named(log: Log) -> Log:
    """Leave out rows that name no deal or no stage, and demand each deal once."""
    for column, codes in (("id", log.ids.codes), ("stage", log.stage)):
        rows = np.flatnonzero(codes < 0)
        log = log.note(column, f"{column}-missing", LEFT_OUT, rows, [""] * len(rows))
    log = log.take(np.flatnonzero((log.ids.codes >= 0) & (log.stage >= 0)))
    counts = np.bincount(log.ids.codes, minlength=len(log.ids.distinct))
    rows = np.flatnonzero(counts[log.ids.codes] > 1)
    if len(rows):
        code = log.ids.codes[rows[0]]
        where = ", ".join(map(str, log.row[log.ids.codes == code][:5].tolist()))
        raise ValidationError.from_rule(
            "id",
            "must name each deal once in a table of deals",
            rows=log.row[rows[:100]],
            count=len(rows),
            total=len(log),
            first=f"{log.ids.names[code]!r}, rows {where}",
            remedy="Keep one row a deal, or read the table as a change log with read_history.",
        )
    return log


def _dated(log: Log, funnel: Funnel) -> Log:
    """Settle the dates of each deal, and leave out deals that cannot be placed in time."""
    log = _named(log)
    is_open = funnel.outcomes[log.stage] == Outcome.OPEN
    log = _settled(log, is_open)
    created, closed = log.created != NO_DAY, _days(log, "closed") != NO_DAY
    entered = log.entered != NO_DAY
    placed = np.where(is_open, created | entered, closed)
    dateless = np.flatnonzero(~created & ~closed & ~entered)
    log = log.note("created", "no-date", LEFT_OUT, dateless, log.names(dateless))
    endless = np.flatnonzero(~placed & (created | entered))
    log = log.note("closed", "closed-missing", LEFT_OUT, endless, log.names(endless))
    unborn = np.flatnonzero(placed & ~created)
    log = log.note(
        "created", "created-missing", "first known day taken for it", unborn, log.names(unborn)
    )
    return log.take(np.flatnonzero(placed))


def _settled(log: Log, is_open: BoolArray) -> Log:
    """Settle dates that contradict the stage or one another."""
    closed = _days(log, "closed")
    rows = np.flatnonzero(is_open & (closed != NO_DAY))
    spelt = to_dates(closed[rows])
    log = log.note("closed", "closed-but-open", "closing day not used", rows, spelt)
    unclosed = ~is_open & (closed == NO_DAY)
    rows = np.flatnonzero(unclosed & (log.entered != NO_DAY))
    action = "day of stage_entered taken for it"
    log = log.note("closed", "closed-missing", action, rows, log.names(rows))
    closed = np.where(is_open, NO_DAY, np.where(unclosed, log.entered, closed)).astype(np.int32)
    entered = np.where(is_open, log.entered, NO_DAY).astype(np.int32)
    table = {"created": log.created.copy(), "stage_entered": entered, "closed_on": closed}
    for rule, rows in violations(table):
        if rule.name == "created-after-closed_on":
            spelt = to_dates(table["created"][rows])
            log = log.note("created", rule.name, "closing day taken for it", rows, spelt)
            table["created"][rows] = closed[rows]
        else:
            spelt = to_dates(entered[rows])
            log = log.note("stage_entered", rule.name, UNKNOWN, rows, spelt)
            entered[rows] = NO_DAY
    values = {**log.values, "closed": closed}
    return attrs.evolve(log, created=table["created"], entered=entered, values=values)


def _rows(log: Log, funnel: Funnel, entry: int, until: int | None) -> Log:
    """Make the states of each deal, in order: as it was created, and where it has come to."""
    is_open = funnel.outcomes[log.stage] == Outcome.OPEN
    created, closed = log.created, _days(log, "closed")
    days = np.concatenate((created, closed, log.entered, [NO_DAY if until is None else until]))
    last = int(days.max())
    arrived = np.where(is_open, log.entered, closed)
    unknown = is_open & (log.stage != entry) & (arrived == NO_DAY)
    rows = np.flatnonzero(unknown)
    action = f"taken as reached on {to_date(last)}, the last day observed"
    stages = texts(funnel.ids)[log.stage[rows]]
    log = log.note("stage", "stage-day-unknown", action, rows, stages)
    arrived = np.where(unknown, np.maximum(last, created), arrived)
    second = ~is_open | (log.stage != entry) | (created == NO_DAY)
    # A deal that entered its stage on the day of its creation was created in it.
    first = (created != NO_DAY) & ~(second & is_open & (arrived == created))
    order = by_code(log.ids.codes) if log.ids.order is None else log.ids.order
    rank, step = np.nonzero(np.stack((first[order], second[order]), axis=1))
    place = order[rank]
    later = step == 1
    states = log.take(place)
    values = {name: column for name, column in states.values.items() if name != "closed"}
    if "booked_amount" in values:
        won = later & (states.stage == funnel.won_code)
        booked, amount = (np.asarray(values.pop(name)) for name in ("booked_amount", "amount"))
        values["amount"] = np.where(won, booked, amount)
    return attrs.evolve(
        states,
        stage=np.where(later, states.stage, entry).astype(np.int16),
        day=np.where(later, arrived[place], created[place]).astype(np.int32),
        seq=later.astype(np.float64),
        entered=np.full(len(place), NO_DAY, dtype=np.int32),
        values=values,
    )


def _known(
    log: Log, given: Mapping[str, Known], schema: Schema | None, *, has_booked: bool
) -> dict[str, Known] | None:
    """Say since when the values of each column were known: ``final`` unless the user says more."""
    dated = sorted(name for name, known in given.items() if known == "dated")
    if dated:
        raise ValidationError.from_value(
            "known",
            "must be 'final' or 'constant': a table of deals has no history of its columns",
            {dated[0]: "dated"},
            "",
        )
    if schema is not None:
        return None
    known: dict[str, Known] = dict.fromkeys(log.values, "final")
    known.update(given)
    if "currency" in known:
        known["currency"] = given.get("currency", known.get("amount", "final"))
    if has_booked and known["amount"] == "constant":
        known["amount"] = "dated"  # the list price, and from the closing day what was booked
    return known
