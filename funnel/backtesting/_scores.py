"""Scores of many forecasts: sums by cutoff, rows of a table, and the table."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Literal

import attrs
import numpy as np

from funnel._display import money, percent
from funnel.backtesting._run import LEVELS
from funnel.kernels.labels import texts
from funnel.metrics import DealScores, MoneyScores, wape_noise
from funnel.results import Columns, ResultTable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from funnel.backtesting._run import Record

__all__ = ["Score", "ScoreTable", "by_cutoff", "deals_of", "row_of", "table_of", "undefined"]

Score = Literal["log", "brier", "wape_open", "wape_total", "crps_total"]
"""Scores by which forecasters can be compared; the lower the better."""

PARTS = ("open", "total")
MEDIAN = LEVELS.index(0.5)


def _share(value: float) -> str:
    """Show a share without decimals."""
    return percent(value) if value != value else f"{value:.0%}"  # noqa: PLR0124 - NaN


def _score(value: float) -> str:
    """Show a score of deals."""
    return percent(value) if value != value else f"{value:.4f}"  # noqa: PLR0124 - NaN


SHOWN: dict[str, tuple[str, Callable[[Any], str]]] = {
    "forecaster": ("forecaster", str),
    "lead_weeks": ("weeks", str),
    "cutoffs": ("n", str),
    "wape_open": ("open", percent),
    "floor_open": ("floor", percent),
    "bias_open": ("bias", percent),
    "wape_total": ("total", percent),
    "floor_total": ("floor", percent),
    "bias_total": ("bias", percent),
    "crps_total": ("CRPS", money),
    "coverage_50": ("50%", _share),
    "coverage_80": ("80%", _share),
    "brier": ("Brier", _score),
    "log": ("log", _score),
}
"""Header and format of the columns that are displayed."""

LEGEND = (
    "n: cutoffs; open, total: WAPE of the money won by deals open at the cutoff, and by all",
    "floor: the WAPE that independent deals of these chances would give; bias: of the mean",
    "CRPS: of all money; 50%, 80%: share of outcomes inside; Brier, log: per open deal",
)


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
        forecaster does not answer, or what is not defined, is NaN.
    notes : tuple of str
        What the table leaves out, and why scores are missing.
    """

    columns: Columns
    notes: tuple[str, ...] = ()

    def to_columns(self) -> Columns:
        """Return one row for each forecaster (and lead)."""
        return dict(self.columns)

    @property
    def _notes(self) -> tuple[str, ...]:
        """Return what headers mean, and the notes."""
        return (*LEGEND, *self.notes)

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        """Return short headers, and rows."""
        names = [name for name in self.columns if name in SHOWN]
        cells = [list(map(SHOWN[name][1], self.columns[name].tolist())) for name in names]
        return [SHOWN[name][0] for name in names], [list(row) for row in zip(*cells, strict=True)]


def table_of(rows: Sequence[dict[str, Any]], notes: tuple[str, ...]) -> ScoreTable:
    """Turn rows, all with the same names, into a table."""
    columns = {
        name: texts([row[name] for row in rows])
        if name == "forecaster"
        else np.array([row[name] for row in rows])
        for name in rows[0]
    }
    return ScoreTable(columns, notes)


def row_of(key: dict[str, Any], records: Sequence[Record]) -> dict[str, Any]:
    """Return the scores of some forecasts of one forecaster, after the columns of `key`."""
    row = {**key, "cutoffs": len({record.task.cutoff for record in records})}
    for part in PARTS:
        some = [record for record in records if record.part == part]
        scores = _money(some)
        row[f"wape_{part}"] = scores.wape
        alone = [record.alone for record in some]
        row[f"floor_{part}"] = wape_noise(alone, draws=1).expected if alone else np.nan
        row[f"bias_{part}"] = scores.bias
        if part == "total":
            row["crps_total"] = scores.crps
            row["coverage_50"], row["coverage_80"] = scores.coverage(0.5), scores.coverage(0.8)
    for name in ("brier", "log"):
        means = [value for value, _ in by_cutoff(records, name).values()]
        row[name] = float(np.mean(means)) if means else np.nan
    deals = deals_of(records)
    row["auc"] = np.nan if deals is None else deals.auc
    return row


def undefined(records: Sequence[Record]) -> tuple[str, ...]:
    """Say why scores of money are not defined, for parts that were forecast."""
    said = []
    for part in PARTS:
        reasons = _money([record for record in records if record.part == part]).undefined
        if any(record.part == part for record in records) and "wape" in reasons:
            said.append(f"WAPE and bias of {part} money are not defined: {reasons['wape']}")
    return tuple(said)


def by_cutoff(records: Sequence[Record], score: str) -> dict[int, tuple[float, float]]:
    """Return sum and weight of a score at each cutoff; a score of deals is their mean there."""
    sums: dict[int, list[tuple[float, float]]] = {}
    for record in records:
        value = _value(record, score)
        if value is not None:
            sums.setdefault(record.task.cutoff, []).append(value)
    found = {}
    for cutoff, values in sums.items():
        total, weight = np.sum(values, axis=0).tolist()
        found[cutoff] = (total / weight, 1.0) if score in {"brier", "log"} else (total, weight)
    return found


def _value(record: Record, score: str) -> tuple[float, float] | None:
    """Return the sum of a score and its weight; None where the forecast has none."""
    if score in {"brier", "log"}:
        if record.deals is None or not record.deals.count:
            return None
        count = float(record.deals.count)
        return getattr(record.deals, score) * count, count
    kind, _, part = score.partition("_")
    if record.part != part:
        return None
    if kind == "crps":
        return record.crps, 1.0
    return abs(float(record.quantiles[MEDIAN]) - record.actual), record.actual


def deals_of(records: Sequence[Record]) -> DealScores | None:
    """Add up the scores of deals; None where no forecast looked at them."""
    some = [record.deals for record in records if record.deals is not None]
    return functools.reduce(DealScores.merge, some) if some else None


def _money(records: Sequence[Record]) -> MoneyScores:
    """Score forecasts of money."""
    quantiles = np.array([record.quantiles for record in records]).reshape(-1, len(LEVELS))
    return MoneyScores.measure(
        [record.actual for record in records],
        median=quantiles[:, MEDIAN],
        mean=[record.expected for record in records],
        quantiles=quantiles,
        levels=LEVELS,
        crps=[record.crps for record in records],
    )
