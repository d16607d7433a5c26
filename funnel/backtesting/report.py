"""What a backtest found: every forecast beside what happened, scores, and comparisons."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, get_args

import attrs
import numpy as np

from funnel.backtesting._run import LEVELS, Failure, Record
from funnel.backtesting._scores import (
    Score,
    ScoreTable,
    by_cutoff,
    deals_of,
    row_of,
    table_of,
    undefined,
)
from funnel.calendars import to_date
from funnel.errors import InsufficientDataError, UnknownModelError, ValidationError
from funnel.kernels.labels import texts
from funnel.metrics import Comparison, compare, overlap_of, pit
from funnel.results import Columns, ResultTable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from funnel.backtesting._windows import Dropped
    from funnel.metrics import CalibrationCurve

__all__ = ["BacktestReport", "Best"]


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

    Examples
    --------
    >>> import funnel as fn
    >>> history = fn.datasets.simulate(500, rng=1).history
    >>> report = fn.backtest(
    ...     history, [], ["2026-03-31", "2026-04-30"], horizon=30, baselines=["run-rate"]
    ... )
    >>> list(report.to_columns())[:5]
    ['forecaster', 'cutoff', 'window', 'lead_days', 'part']
    >>> report.scores.columns["cutoffs"].tolist()
    [2]
    """

    forecasters: tuple[str, ...]
    by: tuple[str, ...]
    records: tuple[Record, ...]
    failures: tuple[Failure, ...]
    dropped: tuple[Dropped, ...]
    unknown: int

    # -- tables ----------------------------------------------------------------------------------

    def to_columns(self) -> Columns:
        """Return one row for each forecaster, cutoff, group and part.

        Columns: ``forecaster``, ``cutoff``, ``window``, ``lead_days``, the `by` columns, ``part``,
        ``actual``, ``expected``, quantiles from ``p05`` to ``p95``, ``crps``, ``pit``; of open
        deals ``deals``, ``brier``, ``log``.
        """
        rows = self.records
        money = np.array([(r.actual, r.expected, r.crps) for r in rows]).reshape(-1, 3).T
        quantiles = np.array([r.quantiles for r in rows]).reshape(-1, len(LEVELS)).T
        days = np.array([(r.task.cutoff, r.task.lead) for r in rows], dtype=np.int64)
        days = days.reshape(-1, 2).T
        chances = np.array([_of_deals(r) for r in rows]).reshape(-1, 3).T
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
            "pit": pit([r.below for r in rows], [r.up_to for r in rows]) if rows else np.empty(0),
            "deals": chances[0].astype(np.int64),
            "brier": chances[1],
            "log": chances[2],
        }

    @functools.cached_property
    def scores(self) -> ScoreTable:
        """Scores of each forecaster over all cutoffs and groups."""
        rows = [row_of({"forecaster": name}, self._of(name)) for name in self.forecasters]
        reasons = [reason for name in self.forecasters for reason in undefined(self._of(name))]
        return table_of(rows, (*dict.fromkeys(reasons), *self._said()))

    def by_lead(self) -> ScoreTable:
        """Return the scores by lead time, in whole weeks before the window ends.

        Raises
        ------
        InsufficientDataError
            When there is no forecast.
        """
        weeks = sorted({record.task.lead // 7 for record in self.records}, reverse=True)
        if not weeks:
            what, remedy = "scores by lead time", "See the failures of the report."
            raise InsufficientDataError(what, needed=1, found=0, remedy=remedy)
        rows, reasons = [], []
        for name in self.forecasters:
            for week in weeks:
                some = [record for record in self._of(name) if record.task.lead // 7 == week]
                if some:
                    rows.append(row_of({"forecaster": name, "lead_weeks": week}, some))
                    ahead = f"{_counted(week, 'week')} ahead"
                    reasons += [f"{ahead}: {reason}" for reason in undefined(some)]
        return table_of(rows, (*dict.fromkeys(reasons), *self._said()))

    def calibration(self, forecaster: str, *, bins: int = 10) -> CalibrationCurve:
        """Return chances given to open deals beside the shares won.

        Raises
        ------
        UnknownModelError
            When there is no such forecaster.
        InsufficientDataError
            When it does not look at deals.
        """
        found = deals_of(self._of(forecaster))
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
        UnknownModelError
            When there is no such forecaster.
        InsufficientDataError
            When they have too few cutoffs in common, or the score is not defined there.
        """
        _known(score)
        one, two = (by_cutoff(self._of(name), score) for name in (first, second))
        days = sorted(set(one) & set(two))
        usable = len(days) if sum(one[day][1] for day in days) > 0.0 else 0
        if usable < 2:
            what = f"a comparison of {first!r} and {second!r} by {score}"
            remedy = (
                "Both must have answered at several cutoffs, with open deals for a score of deals "
                "and with money won for a WAPE."
            )
            raise InsufficientDataError(what, needed=2, found=usable, remedy=remedy)
        return compare(
            [one[day][0] for day in days],
            [two[day][0] for day in days],
            weights=[one[day][1] for day in days],
            overlap=self._overlap(days),
            level=level,
        )

    def best(self, *, score: Score = "log") -> Best:
        """Return the forecaster with the best score, and whether that may be luck.

        Only those compete that answered at as many cutoffs as any: who leaves out the hard ones
        must not win by that.

        Raises
        ------
        InsufficientDataError
            When no forecaster has the score.
        """
        _known(score)
        values = dict(zip(self.forecasters, self.scores.columns[score].tolist(), strict=True))
        answers = {
            name: len(by_cutoff(self._of(name), score))
            for name, value in values.items()
            if value == value  # noqa: PLR0124 - not NaN
        }
        if not answers:
            what, remedy = f"a best forecaster by {score}", "Ask for another score."
            raise InsufficientDataError(what, needed=1, found=0, remedy=remedy)
        most = max(answers.values())
        ranked = sorted((values[name], name) for name in answers if answers[name] == most)
        value, name = ranked[0]
        reason = f"its {score} {value:.4g} is the lowest"
        if len(ranked) > 1:
            other, runner_up = ranked[1]
            reason += f"; next is {runner_up!r} with {other:.4g}"
            try:
                reason += f", difference {self.compare(name, runner_up, score=score)}"
            except InsufficientDataError as error:
                reason += f" (no interval: {error})"
        for left_out in (other for other in answers if answers[other] < most):
            reason += f"; {left_out!r} answered at {answers[left_out]} of {most} cutoffs only"
        return Best(name, reason)

    # -- parts -----------------------------------------------------------------------------------

    def _of(self, name: str) -> list[Record]:
        """Return the forecasts of one forecaster."""
        if name not in self.forecasters:
            raise UnknownModelError(name, self.forecasters)
        return [record for record in self.records if record.forecaster == name]

    def _overlap(self, days: Sequence[int]) -> int:
        """Return how many windows in a row have a day in common."""
        lead = max(record.task.lead for record in self.records)
        return overlap_of(lead, int(np.diff(days).min()))

    def _said(self) -> tuple[str, ...]:
        """Say what could not be scored."""
        said = []
        for name in self.forecasters:
            mine = [failure for failure in self.failures if failure.forecaster == name]
            if mine:
                first = mine[0]
                said.append(
                    f"{name!r} had no answer at {_counted(len(mine), 'cutoff')}, first on "
                    f"{to_date(first.cutoff)}: {first.reason}"
                )
        if self.dropped:
            one = self.dropped[0]
            said.append(
                f"{_counted(len(self.dropped), 'cutoff')} left out, first {to_date(one.cutoff)}: "
                f"{one.reason}"
            )
        if self.unknown:
            said.append(
                f"{_counted(self.unknown, 'won deal')} without an amount; each counts as the mean "
                "of those known"
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
        return f"Backtest over {_counted(len(days), 'cutoff')}, {span}"

    @property
    def _notes(self) -> tuple[str, ...]:
        """Return what headers mean, and what could not be scored."""
        return self.scores._notes  # noqa: SLF001 - a table of this package

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        """Return the scores, which is what a display shows."""
        return self.scores._cells()  # noqa: SLF001 - a table of this package

    def __repr__(self) -> str:
        """Return one line."""
        cutoffs = len({record.task.cutoff for record in self.records})
        return f"BacktestReport({', '.join(self.forecasters)}; {_counted(cutoffs, 'cutoff')})"


def _counted(number: int, what: str) -> str:
    """Return a number with its noun."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _known(score: str) -> None:
    """Demand a score that forecasters can be compared by."""
    if score not in get_args(Score):
        rule = f"must be one of {', '.join(get_args(Score))}"
        raise ValidationError.from_value("score", rule, score, "")


def _of_deals(record: Record) -> tuple[float, float, float]:
    """Return number of deals, Brier score and log score of one forecast."""
    if record.deals is None:
        return 0.0, np.nan, np.nan
    return record.deals.count, record.deals.brier, record.deals.log
