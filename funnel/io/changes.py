"""Change logs: one row for each change of a deal, read into a `History`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from funnel.io import _log, presets
from funnel.io._dates import Clock
from funnel.io._fields import FieldLog, rebuild
from funnel.io._log import Log
from funnel.io._sheet import all_kinds, choose, optional_days, read_seq, state_values
from funnel.io._source import open_source
from funnel.io._texts import read_ids, read_texts
from funnel.io._values import LEFT_OUT, Style, read_days

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from funnel.io._amounts import Decimal
    from funnel.io._columns import Sheet
    from funnel.stages import Funnel
    from funnel.tables import History, Schema
    from funnel.tables.schema import Kind, Known
    from funnel.typing import DateLike

__all__ = ["Layout", "read_history"]

Layout = Literal["states", "fields"]
"""What a row of a change log is: the full state after a change, or one field that changed."""

HEADERS = (
    *("id", "stage", "at", "seq", "amount", "currency", "created", "stage_entered"),
    *("expected_close", "field", "old", "new"),
)
"""Keywords that name a column."""


def read_history(
    source: str | os.PathLike[str] | Any,  # noqa: ANN401 - a dataframe of any library
    *,
    funnel: Funnel | None = None,
    layout: Layout = "states",
    preset: str | None = None,
    id: str | None = None,
    stage: str | None = None,
    at: str | None = None,
    seq: str | None = None,
    amount: str | None = None,
    currency: str | None = None,
    currency_code: str | None = None,
    created: str | None = None,
    stage_entered: str | None = None,
    expected_close: str | None = None,
    attributes: Sequence[str] | Mapping[str, str] = (),
    field: str | None = None,
    old: str | None = None,
    new: str | None = None,
    fields: Mapping[str, str | None] | None = None,
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
    """Read a change log: a CSV or Parquet file, or a dataframe.

    Parameters
    ----------
    source : path or dataframe
        A CSV file (also gzip; comma, semicolon, tab or ``|``), a Parquet file, or a dataframe of
        pandas, polars, pyarrow, DuckDB or any other library that narwhals knows.
    funnel : Funnel
        The ladder of stages.
    layout : {"states", "fields"}
        ``"states"``: each row is the full state after a change. ``"fields"``: each row is one
        field that changed, with its new and, where known, its old value; the full states are
        rebuilt from them.
    preset : {"salesforce", "hubspot"}, optional
        Ready names of columns: `OpportunityHistory` (states) and `OpportunityFieldHistory`
        (fields), or a history of deal properties (fields). Keywords go before it.
    id, stage, at : str
        Columns with the deal, the stage after the change, and the day or moment of the change.
        With ``layout="fields"`` the stage comes from the changes, and `stage` and the other
        columns of a state hold what is true of deals whose changes do not tell it.
    seq : str, optional
        Column of numbers that orders changes of one moment; the order of the rows by default.
    amount, currency, expected_close : str, optional
        Columns with the amount (major units), its currency and the promised day.
    currency_code : str, optional
        The currency of all amounts, for instance ``"EUR"``.
    created, stage_entered : str, optional
        Columns with the day of creation of the deal, and of the entry into its first stage.
    attributes : sequence or mapping of str
        Further columns by header, or headers by the names that they shall have.
    field, old, new : str, optional
        Columns with the name of the field that changed, its old and its new value.
    fields : mapping, optional
        Our column for each field: ``{"StageName": "stage", "OwnerId": "owner", "created":
        "created"}``; a field mapped to None is left out on purpose.
    kinds : mapping, optional
        ``"number"``, ``"category"`` or ``"date"`` by attribute; by its type by default, and texts
        are categories.
    known : mapping, optional
        ``"dated"`` (default), ``"constant"`` or ``"final"`` by column, see `funnel.tables.Schema`.
    schema : Schema, optional
        Columns and categories shared with other chunks.
    decimal : {".", ","}, optional
        What stands before the decimals of amounts; shown by the column by default.
    day_first : bool, optional
        Whether 03/04/2026 is 3 April; shown by the column by default, and never guessed.
    timezone : str
        Business time zone, in which time stamps are cut to days.
    source_timezone : str, optional
        Zone of time stamps that name none; `timezone` by default.
    encoding : str, optional
        UTF-8 by default, GB18030 where it is that by the look of it (a finding says so).
    delimiter : str, optional
        The one that makes most columns of the header by default.
    observed_from, observed_until : date, optional
        First and last day on which changes were recorded; those of the rows by default.
    strict : bool
        Raise on the first finding instead of repairing.

    Returns
    -------
    History
        With everything that was repaired or left out in ``history.findings``.

    Raises
    ------
    ReadError
        When the source is no table, dates or amounts can be read in two ways, or no row is left.
    UnknownColumnError, UnknownStageError
        When a column or a stage is not there; the message proposes the closest names.
    ValidationError
        When an argument is wrong, or with `strict` on the first finding.
    MissingDependencyError
        When pyarrow, or narwhals for dataframes, is not installed.

    Notes
    -----
    Rows without deal, stage or day are left out. Dates outside of 1970 to 2099, amounts below zero
    or infinite, and what cannot be read are unknown. Rows that repeat the one before are left out.
    Each of these is a finding with the row of the source.

    With ``layout="fields"`` a value holds from its change to the next one, and the old value of its
    first change holds before. A deal has its first row on the day of its creation; where that lies
    before `observed_from`, which is the day of the first change recorded by default, it is first
    seen on `observed_from` (left truncation).

    Examples
    --------
    >>> import funnel as fn
    >>> import pandas as pd
    >>> changes = pd.DataFrame({
    ...     "deal": ["A", "A", "A", "B"],
    ...     "stage": ["Qualify", "Propose", "Won", "Qualify"],
    ...     "changed_at": ["2026-01-05", "2026-01-20", "2026-02-10", "2026-02-01"],
    ...     "amount": ["100", "120", "120", "-80"],
    ... })
    >>> history = fn.io.read_history(
    ...     changes, funnel=fn.Funnel(["Qualify", "Propose"]),
    ...     id="deal", stage="stage", at="changed_at", amount="amount",
    ... )
    >>> history
    History(2 deals, 4 rows, 2026-01-05 to 2026-02-10, 1 open, 1 won, 0 lost)
    >>> print(history.findings)
    column  rule             rows  for instance  what was done
    ------  ---------------  ----  ------------  --------------
    amount  amount-negative     1  row 3: -80.0  set to unknown
    """
    arguments = dict(locals())
    given = {name: arguments[name] for name in HEADERS}
    presets.demand_layout(layout)
    ready = presets.find(preset, layout)
    sheet = choose(
        open_source(source, encoding=encoding, delimiter=delimiter),
        given,
        attributes,
        ready,
        needed=needed(layout),
        reader="read_history",
    )
    style = Style(Clock(timezone, source_timezone, day_first), decimal, all_kinds(kinds, schema))
    if layout == "fields":
        mapped = {**ready.fields, **(fields or {})}
        spec = FieldLog(mapped, ready.record_ids, observed_from, currency_code)
        log, funnel, observed_from = rebuild(sheet, spec, style, funnel, schema)
    else:
        log, funnel = _states(sheet, style, funnel, schema, currency_code)
    return _log.to_history(
        _log.distinct(_log.consistent(log)),
        funnel=funnel,
        known=known,
        schema=schema,
        observed_from=observed_from,
        observed_until=observed_until,
        timezone=timezone,
        strict=strict,
    )


def needed(layout: Layout) -> tuple[str, ...]:
    """Return the columns that a change log must have."""
    return ("id", "at", "field", "new") if layout == "fields" else ("id", "stage", "at")


def _states(
    sheet: Sheet,
    style: Style,
    funnel: Funnel | None,
    schema: Schema | None,
    currency_code: str | None,
) -> tuple[Log, Funnel]:
    """Read full states, in order."""
    stages, findings = read_texts(*sheet.coded("stage"), name="stage")
    funnel = _log.demand_funnel(funnel, schema, stages, reader="read_history")
    row = np.arange(sheet.length)
    codes = _log.stage_codes(stages, funnel, row)
    ids, odd_ids = read_ids(*sheet.column("id"))
    moments, odd_days = read_days(*sheet.column("at"), name="at", style=style, action=LEFT_OUT)
    seq, odd_seq = read_seq(sheet)
    created, odd_created = optional_days(sheet, "created", style)
    entered, odd_entered = optional_days(sheet, "stage_entered", style)
    values, odd_values = state_values(sheet, style, currency_code)
    found = (odd_ids, odd_days, odd_seq, odd_created, odd_entered, odd_values)
    log = Log(
        source=sheet.source,
        row=row,
        ids=ids,
        stage=codes,
        day=moments.day,
        time=moments.time,
        seq=seq,
        created=created,
        entered=entered,
        values=values,
        findings=sum(found, sheet.findings + findings),
    )
    return _log.in_order(_log.without_gaps(log)), funnel
