"""Tables of human forecasts: what people said on which day, read into `Submissions`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from funnel.errors import CurrencyMismatchError, ReadError, ValidationError
from funnel.forecasting.submissions import Submissions
from funnel.io._columns import Sheet, attribute_columns, pick
from funnel.io._dates import Clock
from funnel.io._source import open_source
from funnel.io._texts import Texts, named, read_texts
from funnel.io._values import LEFT_OUT, Style, moved, read_days, read_money, settle_currency
from funnel.typing import NO_DAY

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping, Sequence

    from funnel.calendars import Horizon
    from funnel.io._amounts import Decimal
    from funnel.tables import Findings
    from funnel.typing import BoolArray, DayArray, FloatArray, IntArray

__all__ = ["read_submissions"]


def read_submissions(
    source: str | os.PathLike[str] | Any,  # noqa: ANN401 - a dataframe of any library
    *,
    submitted_on: str,
    owner: str,
    amount: str,
    start: str | None = None,
    end: str | None = None,
    last: str | None = None,
    period: str | None = None,
    periods: Horizon | None = None,
    kind: str | None = None,
    kind_name: str = "commit",
    currency: str | None = None,
    currency_code: str | None = None,
    attributes: Sequence[str] | Mapping[str, str] = (),
    decimal: Decimal | None = None,
    day_first: bool | None = None,
    timezone: str = "UTC",
    source_timezone: str | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    strict: bool = False,
) -> Submissions:
    """Read a table of human forecasts: a CSV or Parquet file, or a dataframe.

    Parameters
    ----------
    source : path or dataframe
        As for `read_history`.
    submitted_on, owner, amount : str
        Columns with the day on which a figure was submitted, whose bookings it speaks of, and the
        figure in major units.
    start, end : str, optional
        Columns with the first day of the period, and the day after it.
    last : str, optional
        Column with the last day of the period, instead of `end`.
    period : str, optional
        Column with labels of `periods`, instead of days.
    periods : Horizon, optional
        The periods behind the labels.
    kind : str, optional
        Column with commit, best case, pipeline, manager's call …
    kind_name : str
        The kind of all rows, where no column says it.
    currency, currency_code : str, optional
        Column with the currency, or the currency of all amounts.
    attributes : sequence or mapping of str
        Further columns of names by header, or headers by the names that they shall have: the team.
    decimal, day_first, timezone, source_timezone, encoding, delimiter : optional
        As for `read_history`.
    strict : bool
        Raise on the first finding instead of leaving rows out.

    Returns
    -------
    Submissions
        With everything that was left out in ``submissions.findings``.

    Raises
    ------
    ReadError, UnknownColumnError, MissingDependencyError
        As for `read_history`.
    CurrencyMismatchError
        When the amounts are of several currencies.
    ValidationError
        When an argument is wrong, or with `strict` on the first finding.

    Notes
    -----
    Rows are left out that have no day, owner, kind or amount, that speak of no period, of an empty
    or an unknown one, and that were submitted after the period had ended. Of rows of one owner,
    kind, period and day the last one counts.

    Examples
    --------
    >>> import funnel as fn
    >>> import pandas as pd
    >>> from funnel.io.submissions import read_submissions
    >>> calls = pd.DataFrame({
    ...     "day": ["2026-07-06", "2026-07-06", "2026-10-02"], "rep": ["Ann", "Bo", "Bo"],
    ...     "quarter": ["2026-Q3", "2026-Q3", "2026-Q3"], "commit": ["1,200", "800", "900"],
    ... })
    >>> submissions = read_submissions(
    ...     calls, submitted_on="day", owner="rep", amount="commit", period="quarter",
    ...     periods=fn.Horizon.quarters("2026-07-01", 1),
    ... )
    >>> submissions.amount.tolist()
    [1200.0, 800.0]
    >>> [finding.rule for finding in submissions.findings]
    ['submitted-after-period']
    """
    spans = {"start": start, "end": end, "last": last, "period": period}
    _demand_period(spans, periods)
    core = {"submitted_on": submitted_on, "owner": owner, "amount": amount, **spans}
    core |= {"kind": kind, "currency": currency}
    wanted = {name: header for name, header in core.items() if header is not None}
    named = attribute_columns(attributes)
    taken = sorted(core.keys() & named.keys())
    if taken:
        rule, remedy = "must have names of their own", "Pass a mapping to rename it."
        raise ValidationError.from_value("attributes", rule, taken[0], remedy)
    opened = open_source(source, encoding=encoding, delimiter=delimiter)
    sheet = pick(opened, {**wanted, **named})
    style = Style(Clock(timezone, source_timezone, day_first), decimal)
    rows = _Rows(sheet, style, sheet.findings)
    rows = rows.read(periods, kind_name, currency_code).checked()
    table = rows.table(tuple(named))
    if strict:
        table.findings.raise_first()
    return table


def _demand_period(given: Mapping[str, str | None], periods: Horizon | None) -> None:
    """Demand one of the ways to name a period."""
    named = {name for name, header in given.items() if header is not None}
    ways = [{"start", "end"}, {"start", "last"}] if periods is None else [{"period"}]
    if named not in ways:
        raise ValidationError.from_value(
            "the period",
            "must be named by start= and end=, by start= and last=, or by period= with periods=",
            sorted(named),
            "",
        )


@attrs.frozen(eq=False)
class _Rows:
    """Rows on their way into a table: values by column, and which rows are left."""

    sheet: Sheet
    style: Style
    findings: Findings
    days: Mapping[str, DayArray] = attrs.field(factory=dict)
    names: Mapping[str, Texts] = attrs.field(factory=dict)
    amount: FloatArray = attrs.field(factory=lambda: np.empty(0))
    currency: str = ""
    keep: BoolArray = attrs.field(factory=lambda: np.empty(0, dtype=np.bool_))

    def read(self, periods: Horizon | None, kind: str, code: str | None) -> _Rows:
        """Parse every column."""
        findings, length = self.findings, self.sheet.length
        days: dict[str, DayArray] = {}
        names: dict[str, Texts] = {}
        money, odd = read_money(*self.sheet.column("amount"), name="amount", style=self.style)
        findings += odd
        for name in self.sheet.columns:
            column = self.sheet.column(name)
            if name in {"submitted_on", "start", "end", "last"}:
                moments, odd = read_days(*column, name=name, style=self.style, action=LEFT_OUT)
                days[name] = moments.day
                findings += odd
            elif name != "amount":
                names[name], odd = read_texts(*column, name=name)
                findings += odd
        settled, odd = settle_currency(names.pop("currency", None), code, money.signs, length)
        findings += odd
        names.setdefault("kind", named(np.zeros(length, dtype=np.int32), (kind,)))
        if periods is not None:
            days["start"], days["end"] = _labelled(names["period"], periods)
        elif "last" in days:
            days["end"] = np.where(days["last"] == NO_DAY, NO_DAY, days["last"] + 1)
        return attrs.evolve(
            self,
            findings=findings,
            days=days,
            names=names,
            amount=money.values,
            currency=_one(settled),
            keep=np.ones(length, dtype=np.bool_),
        )

    def checked(self) -> _Rows:
        """Leave out what cannot be used."""
        start, end, on = (self.days[name] for name in ("start", "end", "submitted_on"))
        owner, kind = self.names["owner"], self.names["kind"]
        people = owner.values()
        period = self.names["period"].values() if "period" in self.names else people
        undated = (start == NO_DAY) | (end == NO_DAY)
        rules = (
            ("owner", "owner-missing", owner.codes < 0, period),
            ("kind", "kind-missing", kind.codes < 0, people),
            ("submitted_on", "submitted_on-missing", on == NO_DAY, people),
            ("amount", "amount-missing", np.isnan(self.amount), people),
            ("period", "period-unknown", undated, period),
            ("period", "period-empty", ~undated & (end <= start), people),
            ("submitted_on", "submitted-after-period", ~undated & (on >= end), people),
        )
        rows = self
        for column, rule, broken, spelt in rules:
            rows = rows.without(column, rule, np.flatnonzero(broken & rows.keep), spelt)
        return rows

    def without(self, column: str, rule: str, rows: IntArray, spelt: Iterable[Any]) -> _Rows:
        """Leave rows out, and report those that have not been reported so yet."""
        columns = {column, *(("start", "end", "last") if column == "period" else ())}
        groups = [group for group in self.findings.groups if group.column in columns]
        told = [group.rows for group in groups if group.action == LEFT_OUT]
        silent = rows[~np.isin(rows, np.concatenate(told))] if told else rows
        values = np.asarray(spelt, dtype=object)[silent]
        keep = self.keep.copy()
        keep[rows] = False
        findings = self.findings.add(column, rule, LEFT_OUT, silent, values)
        return attrs.evolve(self, keep=keep, findings=findings)

    def table(self, attributes: tuple[str, ...]) -> Submissions:
        """Build the table from what is left."""
        rows = np.flatnonzero(self.keep)
        if not len(rows):
            first = next(iter(self.findings))
            msg = (
                f"{self.sheet.source} has no row that can be used; all were left out (first: row "
                f"{first.row}, {first.rule}, {first.value!r})."
            )
            raise ReadError(msg)
        further: dict[str, Any] = {name: self.names[name].values()[rows] for name in attributes}
        found = Submissions.from_columns(
            submitted_on=self.days["submitted_on"][rows],
            owner=self.names["owner"].values()[rows],
            kind=self.names["kind"].values()[rows],
            start=self.days["start"][rows],
            end=self.days["end"][rows].astype(np.int32),
            amount=self.amount[rows],
            currency=self.currency,
            **further,
        )
        return attrs.evolve(found, findings=self.findings + moved(found.findings, rows))


def _labelled(period: Texts, periods: Horizon) -> tuple[DayArray, DayArray]:
    """Return first day and day after the last of each period, `NO_DAY` where it is unknown."""
    place = {label: row for row, label in enumerate(periods.labels)}
    row = np.array([*(place.get(name, -1) for name in period.names), -1])[period.codes]
    start, end = (
        np.append(edge, np.int32(NO_DAY)) for edge in (periods.edges[:-1], periods.edges[1:])
    )
    return start[row], end[row]


def _one(currency: Texts | None) -> str:
    """Return the one currency of all rows."""
    if currency is None:
        return ""
    found = sorted(
        {currency.names[code] for code in np.unique(currency.codes).tolist() if code >= 0}
    )
    if len(found) > 1:
        raise CurrencyMismatchError(found)
    return found[0] if found else ""
