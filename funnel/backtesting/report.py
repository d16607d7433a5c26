"""What a backtest found: every forecast beside what happened, scores, and comparisons."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

import attrs
import numpy as np

from funnel._results import Columns, ResultTable
from funnel.backtesting._run import LEVELS, Failure, Record
from funnel.calendars import to_date
from funnel.errors import InsufficientDataError, UnknownColumnError, ValidationError
from funnel.kernels.labels import texts
from funnel.metrics import (
    Comparison,
    DealScores,
    MoneyScores,
    compare,
    overlap_of,
    pit,
    wape_noise,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from funnel.backtesting._windows import Dropped
    from funnel.metrics import CalibrationCurve

__all__ = ["BacktestReport", "Best", "Score", "ScoreTable"]

Score = Literal["log", "brier", "wape_open", "wape_total", "crps_total"]
"""Scores by which forecasters can be compared; the lower the better."""

UNITS = ("log", "brier", "auc")  # scores of deals


@attrs.frozen(eq=False)
class ScoreTable(ResultTable):
    """Scores of each forecaster over all cutoffs (and groups), or by lead time.

    Parameters
    ----------
    columns : dict
        ``forecaster``, ``lead_weeks`` where split by lead, ``cutoffs``, then scores: ``wape_open``,
        ``wape_total`` (of the median) and their noise floors (what independent deals with the
        forecast's own chances would miss by), ``bias_open``, ``bias_total`` (of the mean),
        ``crps_total``, ``coverage_50``, ``coverage_80``, ``brier``, ``log``, ``auc``. What a
        forecaster does not answer is NaN.
    notes : tuple of str
        What the table leaves out, and why scores are missing.
    """

    percents: ClassVar[frozenset[str]] = frozenset(
        {
            *(f"{name}_{part}" for name in ("wape", "floor", "bias") for part in ("open", "total")),
            "coverage_50",
            "coverage_80",
        }
    )
    hidden: ClassVar[frozenset[str]] = frozenset({"auc"})

    columns: Columns
    notes: tuple[str, ...] = ()

    def to_columns(self) -> Columns:
        """Return one row for each forecaster (and lead)."""
        return dict(self.columns)

    @property
    def _notes(self) -> tuple[str, ...]:
        """Return the notes."""
        return self.notes

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        """Return headers and rows; scores of deals with four decimals."""
        headers, rows = super()._cells()
        for place, name in enumerate(headers):
            if name in UNITS:
                values = self.columns[name].tolist()
                for row, value in zip(rows, values, strict=True):
                    row[place] = "–" if value != value else f"{value:.4f}"  # noqa: PLR0124
        return headers, rows


@attrs.frozen
class Best:
    """The forecaster to use, and why.

    Parameters
    ----------
    forecaster : str
    reason : str
    """

    forecaster: str
    reason: str

    def __str__(self) -> str:
        """Return both in one line."""
        return f"{self.forecaster}: {self.reason}"


@attrs.frozen(eq=False, repr=False, slots=False)
class BacktestReport(ResultTable):
    """Every forecast of a backtest beside what then happened.

    As a table (`to_frame`, `to_columns`) it has one row for each forecaster, cutoff, group and
    part; printed, it shows the scores.

    Parameters
    ----------
    forecasters : tuple of str
        Labels, in the order given, the baselines last.
    by : tuple of str
        Columns that make the groups.
    records : tuple of Record
        The forecasts.
    failures : tuple of Failure
        Forecasters that had no answer at a cutoff, and why.
    dropped : tuple of Dropped
        Cutoffs that could not be scored, and why.
    unknown : int
        Won deals, over all windows, whose amount was never recorded.
    """

    forecasters: tuple[str, ...]
    by: tuple[str, ...]
    records: tuple[Record, ...]
    failures: tuple[Failure, ...]
    dropped: tuple[Dropped, ...]
    unknown: int

    # -- tables ----------------------------------------------------------------------------------

    def to_columns(self) -> Columns:
        """Return one row for each forecaster, cutoff, group and part."""
        rows = self.records
        money = np.array([(r.actual, r.expected, r.crps) for r in rows]).reshape(-1, 3).T
        quantiles = np.array([r.quantiles for r in rows]).reshape(-1, len(LEVELS)).T
        days = np.array([(r.task.cutoff, r.task.lead) for r in rows]).reshape(-1, 2).T
        chances = np.array([_of_deals(r) for r in rows]).reshape(-1, 3).T
        lots = pit([r.below for r in rows], [r.up_to for r in rows]) if rows else np.empty(0)
        return {
            "forecaster": texts([r.forecaster for r in rows]),
            "cutoff": days[0].astype("datetime64[D]"),
            "window": texts([r.task.horizon.labels[0] for r in rows]),
            "lead_days": days[1],
            **{name: texts([r.key[i] for r in rows]) for i, name in enumerate(self.by)},
            "part": texts([r.part for r in rows]),
            "actual": money[0],
            "expected": money[1],
            **{f"p{100 * q:02.0f}": quantiles[i] for i, q in enumerate(LEVELS)},
            "crps": money[2],
            "pit": lots,
            "deals": chances[0].astype(np.int64),
            "brier": chances[1],
            "log": chances[2],
        }

    @functools.cached_property
    def scores(self) -> ScoreTable:
        """Scores of each forecaster over all cutoffs and groups."""
        rows = [self._row(name, self._of(name)) for name in self.forecasters]
        return ScoreTable(_columns(rows), self._said())

    def by_lead(self) -> ScoreTable:
        """Return the scores by lead time, in whole weeks before the window ends."""
        weeks = sorted({r.task.lead // 7 for r in self.records}, reverse=True)
        rows = []
        for name in self.forecasters:
            for week in weeks:
                some = [r for r in self._of(name) if r.task.lead // 7 == week]
                if some:
                    rows.append({**self._row(name, some), "lead_weeks": week})
        return ScoreTable(_columns(rows), self._said())

    def calibration(self, forecaster: str, *, bins: int = 10) -> CalibrationCurve:
        """Return chances given to open deals beside the shares won.

        Raises
        ------
        UnknownColumnError
            When there is no such forecaster.
        InsufficientDataError
            When it does not look at deals.
        """
        found = _deals(self._of(forecaster))
        if found is None:
            what = f"{forecaster!r} does not give chances to deals; its calibration"
            raise InsufficientDataError(what, needed=1, found=0, remedy="Ask for another one.")
        return found.calibration(bins=bins)

    # -- comparison ------------------------------------------------------------------------------

    def compare(
        self, first: str, second: str, /, *, score: Score = "log", level: float = 0.9
    ) -> Comparison:
        """Compare two forecasters at the cutoffs that both answered: first minus second.

        A paired moving-block bootstrap over cutoffs, so that overlapping windows count once; see
        `funnel.metrics.compare`.

        Raises
        ------
        UnknownColumnError
            When there is no such forecaster.
        InsufficientDataError
            When they have too few cutoffs in common.
        """
        _known(score)
        one, two = (self._by_cutoff(name, score) for name in (first, second))
        days = sorted(set(one) & set(two))
        if len(days) < 2:
            what = f"a comparison of {first!r} and {second!r} by {score}"
            remedy = "Both must have answered at several cutoffs, with deals for a score of deals."
            raise InsufficientDataError(what, needed=2, found=len(days), remedy=remedy)
        return compare(
            [one[day][0] for day in days],
            [two[day][0] for day in days],
            weights=[one[day][1] for day in days],
            overlap=self._overlap(days),
            level=level,
        )

    def best(self, *, score: Score = "log") -> Best:
        """Return the forecaster with the best score, and whether that may be luck.

        Raises
        ------
        InsufficientDataError
            When no forecaster has the score.
        """
        _known(score)
        values = dict(zip(self.forecasters, self.scores.columns[score].tolist(), strict=True))
        ranked = sorted((v, name) for name, v in values.items() if v == v)  # noqa: PLR0124
        if not ranked:
            what, remedy = f"a best forecaster by {score}", "Ask for another score."
            raise InsufficientDataError(what, needed=1, found=0, remedy=remedy)
        value, name = ranked[0]
        reason = f"its {score} {value:.4g} is the lowest"
        if len(ranked) > 1:
            other, runner_up = ranked[1]
            reason += f"; next is {runner_up!r} with {other:.4g}"
            try:
                reason += f", difference {self.compare(name, runner_up, score=score)}"
            except InsufficientDataError as error:
                reason += f" (no interval: {error})"
        return Best(name, reason)

    # -- parts -----------------------------------------------------------------------------------

    def _of(self, name: str) -> list[Record]:
        """Return the forecasts of one forecaster."""
        if name not in self.forecasters:
            raise UnknownColumnError(name, self.forecasters)
        return [record for record in self.records if record.forecaster == name]

    def _overlap(self, days: Sequence[int]) -> int:
        """Return how many windows in a row have a day in common."""
        lead = max(record.task.lead for record in self.records)
        return overlap_of(lead, int(np.diff(days).min()))

    def _by_cutoff(self, name: str, score: Score) -> dict[int, tuple[float, float]]:
        """Return sums of a score and of its weight by cutoff."""
        found: dict[int, tuple[float, float]] = {}
        for record in self._of(name):
            if (value := _value(record, score)) is not None:
                before = found.get(record.task.cutoff, (0.0, 0.0))
                found[record.task.cutoff] = (before[0] + value[0], before[1] + value[1])
        return found

    def _row(self, name: str, records: Sequence[Record]) -> dict[str, Any]:
        """Return the scores of some forecasts of one forecaster."""
        row: dict[str, Any] = {
            "forecaster": name,
            "cutoffs": len({record.task.cutoff for record in records}),
        }
        days = sorted({record.task.cutoff for record in records})
        overlap = self._overlap(days) if len(days) > 1 else 1
        for part in ("open", "total"):
            some = [record for record in records if record.part == part]
            money = _money(some)
            row[f"wape_{part}"] = money.wape
            laws = [record.law for record in some]
            floor = wape_noise(laws, overlap=overlap, draws=1).expected if laws else np.nan
            row[f"floor_{part}"] = floor
            row[f"bias_{part}"] = money.bias
            if part == "total":
                row["crps_total"] = money.crps
                row["coverage_50"], row["coverage_80"] = money.coverage(0.5), money.coverage(0.8)
        row.update(_mean_scores(records))
        return row

    def _said(self) -> tuple[str, ...]:
        """Say what could not be scored."""
        said = []
        for name in self.forecasters:
            mine = [failure for failure in self.failures if failure.forecaster == name]
            if mine:
                first = mine[0]
                said.append(
                    f"{name!r} had no answer at {len(mine):,} cutoffs, first on "
                    f"{to_date(first.cutoff)}: {first.reason}"
                )
        if self.dropped:
            one = self.dropped[0]
            said.append(
                f"{len(self.dropped):,} cutoffs are left out, first {to_date(one.cutoff)}: "
                f"{one.reason}"
            )
        if self.unknown:
            said.append(
                f"{self.unknown:,} won deals have no amount; each counts as the mean of those known"
            )
        return tuple(said)

    # -- out -------------------------------------------------------------------------------------

    @property
    def _title(self) -> str:
        """Return the heading."""
        days = sorted({record.task.cutoff for record in self.records})
        if not days:
            return "Backtest without a single forecast"
        span = f"{to_date(days[0])} to {to_date(days[-1])}"
        return f"Backtest over {len(days)} cutoffs, {span}; floor: what chance alone would miss by"

    @property
    def _notes(self) -> tuple[str, ...]:
        """Return what could not be scored."""
        return self._said()

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        """Return the scores, which is what a display shows."""
        return self.scores._cells()  # noqa: SLF001 - a table of this module

    def __repr__(self) -> str:
        """Return one line."""
        cutoffs = len({record.task.cutoff for record in self.records})
        return f"BacktestReport({', '.join(self.forecasters)}; {cutoffs} cutoffs)"


def _known(score: str) -> None:
    """Demand a score that forecasters can be compared by."""
    if score not in get_args(Score):
        rule = f"must be one of {', '.join(get_args(Score))}"
        raise ValidationError.from_value("score", rule, score, "")


def _columns(rows: Sequence[dict[str, Any]]) -> Columns:
    """Turn rows into columns; a split by lead comes after the name."""
    order = ["forecaster", *(["lead_weeks"] if rows and "lead_weeks" in rows[0] else [])]
    names = [*order, *(name for name in (rows[0] if rows else {}) if name not in order)]
    return {
        name: texts([row[name] for row in rows])
        if name == "forecaster"
        else np.array([row[name] for row in rows])
        for name in names
    }


def _money(records: Sequence[Record]) -> MoneyScores:
    """Score forecasts of money."""
    quantiles = np.array([r.quantiles for r in records]).reshape(-1, len(LEVELS))
    return MoneyScores.measure(
        [r.actual for r in records],
        median=quantiles[:, LEVELS.index(0.5)],
        mean=[r.expected for r in records],
        quantiles=quantiles,
        levels=LEVELS,
        crps=[r.crps for r in records],
    )


def _deals(records: Sequence[Record]) -> DealScores | None:
    """Add up the scores of deals; None where no forecast looked at them."""
    some = [record.deals for record in records if record.deals is not None]
    return functools.reduce(DealScores.merge, some) if some else None


def _of_deals(record: Record) -> tuple[float, float, float]:
    """Return number of deals, Brier score and log score of one forecast."""
    if record.deals is None:
        return 0.0, np.nan, np.nan
    return record.deals.count, record.deals.brier, record.deals.log


def _mean_scores(records: Sequence[Record]) -> dict[str, float]:
    """Return scores per deal, averaged over cutoffs; the AUC over all deals."""
    found = {}
    for name in ("brier", "log"):
        by_cutoff = [_value(record, name) for record in records]
        sums: dict[int, list[float]] = {}
        for record, value in zip(records, by_cutoff, strict=True):
            if value is not None:
                total = sums.setdefault(record.task.cutoff, [0.0, 0.0])
                total[0] += value[0]
                total[1] += value[1]
        means = [total / weight for total, weight in sums.values() if weight]
        found[name] = float(np.mean(means)) if means else np.nan
    deals = _deals(records)
    found["auc"] = np.nan if deals is None else deals.auc
    return found


def _value(record: Record, score: str) -> tuple[float, float] | None:
    """Return the sum of a score and its weight; None where the forecast has none."""
    if score in {"brier", "log"}:
        if record.deals is None or not record.deals.count:
            return None
        return getattr(record.deals, score) * record.deals.count, float(record.deals.count)
    kind, _, part = score.partition("_")
    if record.part != part:
        return None
    median = float(record.quantiles[LEVELS.index(0.5)])
    return (record.crps, 1.0) if kind == "crps" else (abs(median - record.actual), record.actual)
