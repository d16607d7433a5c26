"""How a forecast is shown: tables of periods, of categories and of the largest deals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import attrs
import numpy as np

from funnel._display import html_table, money, percent, text_table
from funnel.calendars import to_date
from funnel.errors import ValidationError
from funnel.forecasting._rows import PARTS
from funnel.kernels.labels import texts
from funnel.results import ResultTable
from funnel.stages import ForecastCategory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from funnel.forecasting.forecast import Forecast
    from funnel.typing import FloatArray, StringArray

__all__ = ["LargestDeals", "RollUp"]

SCHEMA = "funnel.Forecast/1"
ORDER = (ForecastCategory.COMMIT, ForecastCategory.BEST_CASE, ForecastCategory.PIPELINE)
NONE = "no category"


@attrs.frozen(eq=False)
class LargestDeals(ResultTable):
    """The deals that contribute most to a forecast.

    Parameters
    ----------
    ids : (m,) str
    amount : (m,) float64
        Major units; NaN unknown.
    chance : (m,) float64
        To be booked within the horizon.
    expected : (m,) float64
        Contribution to the expected money.
    share : (m,) float64
        Of the expected money of the whole forecast.
    """

    percents: ClassVar[frozenset[str]] = frozenset({"chance", "share"})

    ids: StringArray
    amount: FloatArray
    chance: FloatArray
    expected: FloatArray
    share: FloatArray

    def to_columns(self) -> dict[str, Any]:
        """Return one row for each deal, the largest first."""
        names = ("amount", "chance", "expected", "share")
        return {"deal": self.ids, **{name: getattr(self, name) for name in names}}


@attrs.frozen(eq=False)
class RollUp(ResultTable):
    """Open money by forecast category and the period of the promised day.

    Parameters
    ----------
    periods : tuple of str
        Labels, k.
    categories : tuple of str
        c names: commit, best case, pipeline, and deals without a category.
    amount : (c, k) float64
        Full amounts of the deals promised for the period.
    expected : (c, k) float64
        Of these, the money that the forecast expects in the horizon.
    deals : (c, k) int64
        Number of deals.
    booked : (k,) float64
        Booked in the period.
    cumulative : bool
        Do categories include booked money and the categories before them?
    """

    periods: tuple[str, ...]
    categories: tuple[str, ...]
    amount: FloatArray
    expected: FloatArray
    deals: np.ndarray[Any, Any]
    booked: FloatArray
    cumulative: bool

    def to_columns(self) -> dict[str, Any]:
        """Return one row for each period and category."""
        c, k = self.amount.shape
        return {
            "period": np.repeat(texts(self.periods), c),
            "category": np.tile(texts(self.categories), k),
            "deals": self.deals.T.ravel(),
            "amount": self.amount.T.ravel(),
            "expected": self.expected.T.ravel(),
            "booked": np.repeat(self.booked, c),
        }


def largest(forecast: Forecast, n: int) -> LargestDeals:
    """Rank the deals by their contribution to the expected money."""
    if isinstance(n, bool) or n < 1:
        raise ValidationError.from_value("n", "must be a whole number >= 1", n, "")
    chance, amount = forecast.deals.within, forecast.deals.amount
    expected = chance * np.where(np.isnan(amount), forecast.unknown.mean, amount)
    single = np.where(forecast.deals.is_new, -1.0, expected)
    rows = np.lexsort((np.arange(len(single)), -single))[:n]
    rows = rows[(expected[rows] > 0.0) & ~forecast.deals.is_new[rows]]
    total = float(expected.sum())
    return LargestDeals(
        forecast.deals.ids[rows],
        amount[rows],
        chance[rows],
        expected[rows],
        expected[rows] / (total or 1.0),
    )


def roll_up(forecast: Forecast, *, cumulative: bool) -> RollUp:
    """Add up open deals by category and promised period."""
    deals, k = forecast.deals, len(forecast.horizon)
    position = {category: row for row, category in enumerate(ORDER)}
    lookup = np.array([*(position.get(category, -1) for category in ForecastCategory), len(ORDER)])
    row = lookup[deals.category]
    open_ = deals.part == PARTS.index("open")
    inside = open_ & (deals.promised >= 0) & (row >= 0)
    key = row[inside] * k + deals.promised[inside]
    mean = np.where(np.isnan(deals.amount), forecast.unknown.mean, deals.amount)[inside]
    chance = deals.within[inside]
    size = (len(ORDER) + 1) * k

    def table(weights: FloatArray | None) -> np.ndarray[Any, Any]:
        """Add up by category and period."""
        return np.bincount(key, weights, minlength=size).reshape(-1, k)

    amount, expected, count = table(mean), table(mean * chance), table(None)
    booked = forecast.parts["booked"]
    if cumulative:
        ladder = slice(0, len(ORDER))
        amount[ladder] = np.cumsum(amount[ladder], axis=0) + booked.expected
        expected[ladder] = np.cumsum(expected[ladder], axis=0) + booked.expected
        count[ladder] = np.cumsum(count[ladder], axis=0) + np.rint(booked.expected_wins).astype(
            np.int64
        )
    return RollUp(
        periods=forecast.horizon.labels,
        categories=(*(category.value for category in ORDER), NONE),
        amount=amount,
        expected=expected,
        deals=count,
        booked=booked.expected,
        cumulative=cumulative,
    )


def _blocks(forecast: Forecast) -> Iterator[tuple[tuple[str, ...], Forecast]]:
    """Yield what makes up the rows: each group, and all together."""
    if forecast.by:
        for key in forecast.keys:
            yield key, forecast.group(key)
    yield ("all",) * len(forecast.by), forecast


def to_columns(forecast: Forecast, target: float | None) -> dict[str, np.ndarray[Any, Any]]:
    """Build the table of periods, see `Forecast.to_columns`."""
    found: dict[str, list[Any]] = {}

    def put(values: dict[str, Any]) -> None:
        """Append values to their columns."""
        for name, items in values.items():
            found.setdefault(name, []).extend(items)

    for key, block in _blocks(forecast):
        for part in (block, block.total()) if len(forecast.horizon) > 1 else (block,):
            horizon, k = part.horizon, len(part.horizon)
            labels = horizon.labels if part is block else ("total",)
            put({name: [value] * k for name, value in zip(forecast.by, key, strict=True)})
            put({"period": labels, "start": horizon.starts, "end": horizon.ends})
            put({name: piece.expected for name, piece in part.parts.items()})
            put({"expected": part.expected, "sd": part.sd})
            put({f"p{100 * q:.0f}": part.quantile(q) for q in (0.1, 0.5, 0.9)})
            if target is not None:
                put({"probability": part.probability_of(target)})
    text = {*forecast.by, "period"}
    return {
        name: texts(values) if name in text else np.array(values) for name, values in found.items()
    }


def _cells(forecast: Forecast, target: float | None) -> tuple[list[str], list[list[str]]]:
    """Return headers and rows of the table as text."""
    columns = to_columns(forecast, target)
    shown: dict[str, list[str]] = {}
    for name, values in columns.items():
        empty = name in {"reopened", "new"} and not values.any()
        if name in {"start", "end", "sd"} or empty:
            continue
        if name == "probability":
            shown[f"P(>= {money(float(target or 0.0))})"] = [
                percent(value) for value in values.tolist()
            ]
        elif values.dtype.kind == "f":
            shown[name.upper() if name[1:].isdigit() else name] = [
                money(v) for v in values.tolist()
            ]
        else:
            shown[name] = [value or "(unknown)" for value in values.tolist()]
    return list(shown), [list(row) for row in zip(*shown.values(), strict=True)]


def _title(forecast: Forecast) -> str:
    """Return the heading of the table."""
    unit = f", {forecast.currency}" if forecast.currency else ""
    return f"Forecast by {forecast.model!r}, as of {to_date(forecast.as_of)}{unit}"


def to_text(forecast: Forecast, target: float | None) -> str:
    """Render the plain-text table."""
    notes = [f"* {note}" for note in forecast.notes]
    return text_table(*_cells(forecast, target), title=_title(forecast), notes=notes)


def to_html(forecast: Forecast) -> str:
    """Render the HTML table."""
    return html_table(*_cells(forecast, None), title=_title(forecast), notes=forecast.notes)


def to_dict(forecast: Forecast, target: float | None) -> dict[str, Any]:
    """Build the JSON form, see `Forecast.to_dict`."""
    columns = {
        name: [str(value) for value in values] if values.dtype.kind == "M" else values.tolist()
        for name, values in to_columns(forecast, target).items()
    }
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return {
        "schema": SCHEMA,
        "model": forecast.model,
        "as_of": str(to_date(forecast.as_of)),
        "currency": forecast.currency,
        "horizon": forecast.horizon.to_dict(),
        "by": list(forecast.by),
        "target": target,
        "rows": rows,
        "notes": list(forecast.notes),
    }
