"""Which deals somebody should look at today, and what is at stake."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import attrs
import numpy as np

from funnel.calendars import to_date
from funnel.errors import ValidationError
from funnel.kernels.arrays import frozen
from funnel.kernels.labels import texts
from funnel.metrics._lost_deals import (
    DelayedDeals,
    LostDeals,
    delayed_deals,
    group_columns,
    lost_deals,
)
from funnel.metrics._watch_base import (
    SEVERITIES,
    Flags,
    Severity,
    Watched,
    WatchRule,
    open_deals,
)
from funnel.metrics._watch_registry import BUILT_IN, get_rule, rule_names
from funnel.metrics._watch_rules import (
    ContradictoryDates,
    MovedBack,
    NoAmount,
    NoContact,
    NoNextStep,
    NoPromise,
    Overdue,
    OverStandard,
    Pushed,
    Stale,
    Timeout,
    Unchanged,
)
from funnel.metrics._weights import deal_chances
from funnel.results import ResultTable
from funnel.stages import Outcome
from funnel.tables import History, Pipeline

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from funnel.summary import HistorySource
    from funnel.typing import FloatArray, IntArray, StringArray

__all__ = [
    "ContradictoryDates",
    "DelayedDeals",
    "Flags",
    "LostDeals",
    "MovedBack",
    "NoAmount",
    "NoContact",
    "NoNextStep",
    "NoPromise",
    "OverStandard",
    "Overdue",
    "Pushed",
    "Severity",
    "Stale",
    "Timeout",
    "Unchanged",
    "WatchList",
    "WatchRule",
    "Watched",
    "delayed_deals",
    "get_rule",
    "lost_deals",
    "rule_names",
    "watch",
]

SHOWN = 25  # rows of a list on paper


@attrs.frozen(eq=False, str=False)
class WatchList(ResultTable):
    """Open deals that break a rule, the most expected money first; see `watch`.

    One row for each deal and rule, (m,) each.

    Parameters
    ----------
    as_of : int
        Day of the list; its end.
    currency : str
        Of all amounts.
    ids, stage : (m,) str
        The deal and its stage.
    groups : mapping of str to (m,) str
        Further columns that were asked for.
    rule, severity : (m,) str
        The rule that it breaks, and how bad that is.
    value, limit : (m,) float64
        What was measured and the limit, in the unit of the rule; NaN where there is none.
    amount : (m,) float64
        Major units; NaN unknown.
    chance : (m,) float64
        To be won; NaN unknown.
    checked : tuple of str
        Names of all rules that were asked.
    notes : tuple of str
        What could not be checked.
    """

    percents: ClassVar[frozenset[str]] = frozenset({"chance"})

    as_of: int
    currency: str
    ids: StringArray
    stage: StringArray
    groups: dict[str, StringArray]
    rule: StringArray
    severity: StringArray
    value: FloatArray
    limit: FloatArray
    amount: FloatArray
    chance: FloatArray
    checked: tuple[str, ...]
    notes: tuple[str, ...]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.ids)

    @property
    def at_stake(self) -> FloatArray:
        """Expected money of the deal, amount x chance, (m,); NaN where one is unknown."""
        return self.amount * self.chance

    def counts(self) -> dict[str, int]:
        """Return the number of deals that break each rule, rules without any included."""
        return {name: int(np.count_nonzero(self.rule == name)) for name in self.checked}

    def total_at_stake(self) -> float:
        """Return the expected money of all listed deals, each counted once; unknown as 0."""
        first = np.unique(self.ids.astype(str), return_index=True)[1]
        return float(np.nansum(self.at_stake[first]))

    def select(self, mask: npt.ArrayLike, /) -> WatchList:
        """Return some rows only, for instance ``found.select(found.severity == "critical")``."""
        rows = np.flatnonzero(np.asarray(mask, dtype=np.bool_))
        names = ("ids", "stage", "rule", "severity", "value", "limit", "amount", "chance")
        part: dict[str, Any] = {name: frozen(getattr(self, name)[rows]) for name in names}
        groups = {name: frozen(values[rows]) for name, values in self.groups.items()}
        return attrs.evolve(self, groups=groups, **part)

    def to_columns(self) -> dict[str, Any]:
        """Return one row for each deal and rule."""
        return {
            "deal": self.ids,
            **self.groups,
            "stage": self.stage,
            "rule": self.rule,
            "severity": self.severity,
            "value": self.value,
            "limit": self.limit,
            "amount": self.amount,
            "chance": self.chance,
            "at_stake": self.at_stake,
        }

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        """Return headers and the first rows as text."""
        part = self if len(self) <= SHOWN else self.select(np.arange(len(self)) < SHOWN)
        return super(WatchList, part)._cells()

    @property
    def _title(self) -> str:
        """Return the heading."""
        unit = f", {self.currency}" if self.currency else ""
        deals = len(set(self.ids.tolist()))
        return f"{deals:,} deals to look at, as of {to_date(self.as_of)}{unit}"

    @property
    def _notes(self) -> tuple[str, ...]:
        """Return what could not be checked, and what is not shown."""
        more = len(self) - SHOWN
        rest = (f"{more:,} more rows are not shown here",) if more > 0 else ()
        return (*rest, *self.notes)


def _rules(rules: Sequence[WatchRule | str] | None) -> tuple[WatchRule, ...]:
    """Return the rules that are meant; each may be asked once."""
    if rules is None:
        return tuple(rule() for rule in BUILT_IN.values())
    if isinstance(rules, str) or not all(isinstance(rule, str | WatchRule) for rule in rules):
        rule = "must be a sequence of rules or of their names"
        raise ValidationError.from_value("rules", rule, rules, "For instance ('overdue',).")
    found = tuple(get_rule(rule) if isinstance(rule, str) else rule for rule in rules)
    names = [rule.name for rule in found]
    if len(set(names)) < len(names) or not names:
        rule = "must name at least one rule, each once"
        raise ValidationError.from_value("rules", rule, tuple(names), "")
    return found


def watch(
    source: History | HistorySource | Pipeline,
    /,
    *,
    rules: Sequence[WatchRule | str] | None = None,
    chance: npt.ArrayLike | None = None,
    by: Sequence[str] = (),
) -> WatchList:
    """List open deals that break a rule, the most expected money first.

    Parameters
    ----------
    source : History, HistorySource or Pipeline
        A history, as of its last day (``history.until(day)`` for an earlier one); chunks of whole
        deals, of which only the open ones are kept; or one snapshot, for which typed days are all
        that is known about how long deals stay.
    rules : sequence of WatchRule or str, optional
        All built-in rules by default. Names may be those of plugins, see `rule_names`; a rule with
        other parameters is written ``Pushed(times=3)``.
    chance : (n,) array-like, optional
        Chance to be won of each deal of the pipeline (of ``history.snapshot()``; of chunks, of the
        open deals in the order of their ids), for instance of a fitted model; by default the typed
        probability of its stage.
    by : sequence of str
        Category columns to show, such as ``("owner",)``.

    Returns
    -------
    WatchList

    Raises
    ------
    UnknownColumnError
        When a column is not in the table.
    ValidationError
        When a rule is unknown or asked twice, or a chance is no probability.
    CurrencyMismatchError
        When amounts are of several currencies.

    Notes
    -----
    Money at stake = amount x chance to be won. Deals without an amount or a chance stand below
    those that have both, by amount. A rule that needs a column which the table has not is not
    checked, and a note says so; a column that is named explicitly must exist.

    Examples
    --------
    >>> import funnel as fn
    >>> pipeline = fn.Pipeline.from_columns(
    ...     funnel=fn.Funnel([fn.Stage("Qualify", win_probability=0.2, timeout_days=30)]),
    ...     as_of="2026-06-30", id=["A", "B", "C"], stage=["Qualify"] * 3,
    ...     amount=[100.0, 900.0, 500.0], stage_entered=["2026-05-01", "2026-06-20", "2026-06-25"],
    ...     expected_close=["2026-07-31", "2026-06-15", "2026-09-30"],
    ... )
    >>> print(watch(pipeline, rules=["timeout", "overdue"]))
    2 deals to look at, as of 2026-06-30
    deal  stage    rule     severity  value  limit  amount  chance  at_stake
    ----  -------  -------  --------  -----  -----  ------  ------  --------
    B     Qualify  overdue  critical     15      0     900   20.0%       180
    A     Qualify  timeout  critical     60     30     100   20.0%        20
    """
    asked = _rules(rules)
    if isinstance(source, Pipeline):
        whole, history, everything = source, None, None
    else:
        everything = source
        history = source if isinstance(source, History) else _still_open(source)
        whole = history.snapshot()
    rows = open_deals(whole)
    deals = whole.select(rows)
    chances = deal_chances(whole, chance, rows)
    watched = Watched(deals, history, everything)
    flags = [rule.check(watched) for rule in asked]
    row = np.concatenate([found.rows for found in flags]).astype(np.int64)
    which = np.repeat(np.arange(len(asked)), [len(found.rows) for found in flags])
    grade = np.array([SEVERITIES.index(rule.severity) for rule in asked])[which]
    stake = deals.amount[row] * chances[row]
    order = _order(stake, deals.amount[row], row, -grade)
    row, which, grade = row[order], which[order], grade[order]
    value, limit = (
        np.concatenate([getattr(found, name) for found in flags])[order]
        for name in ("value", "limit")
    )
    return WatchList(
        as_of=whole.as_of,
        currency=deals.currency,
        ids=frozen(deals.ids[row]),
        stage=frozen(texts(deals.funnel.ids)[deals.stage[row]]),
        groups={name: frozen(v[row]) for name, v in group_columns(deals, by).items()},
        rule=frozen(texts([rule.name for rule in asked])[which]),
        severity=frozen(texts(SEVERITIES)[grade]),
        value=frozen(value),
        limit=frozen(limit),
        amount=frozen(deals.amount[row]),
        chance=frozen(chances[row]),
        checked=tuple(rule.name for rule in asked),
        notes=_notes(asked, flags, stake, typed=chance is None),
    )


def _still_open(source: HistorySource) -> History:
    """Keep the open deals of each chunk, with all of their rows."""
    return History.concat(
        chunk.select(chunk.funnel.outcomes[chunk.stage[chunk.bounds[1:] - 1]] == Outcome.OPEN)
        for chunk in source
    )


def _order(stake: FloatArray, amount: FloatArray, deal: IntArray, grade: IntArray) -> IntArray:
    """Sort by money at stake, then by amount, both falling and the unknown last."""
    falling = [np.where(np.isnan(money), np.inf, -money) for money in (amount, stake)]
    return np.lexsort((grade, deal, *falling))


def _notes(
    asked: Sequence[WatchRule], flags: Sequence[Flags], stake: FloatArray, *, typed: bool
) -> tuple[str, ...]:
    """Say what could not be checked, and which money is not known."""
    notes = [f"{r.name}: {f.note}" for r, f in zip(asked, flags, strict=True) if f.note]
    unknown = int(np.count_nonzero(np.isnan(stake)))
    if unknown:
        why = "without an amount or a typed win probability" if typed else "without an amount"
        notes.append(f"{unknown:,} rows {why} stand at the end: what is at stake is not known")
    return tuple(notes)
