"""The arithmetic of overrides: means and variances of groups and periods, before and after."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

import attrs
import numpy as np

from funnel.calendars import to_date
from funnel.forecasting._rows import PARTS
from funnel.forecasting.forecast import Forecast

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from funnel.typing import BoolArray, FloatArray

__all__ = ["Statement", "layered"]


class Statement(NamedTuple):
    """One override: its period, its group (all empty for the total), amount or factor, maker."""

    start: int
    end: int
    key: tuple[str, ...]
    amount: float
    factor: float
    made_by: str

    @property
    def is_total(self) -> bool:
        """Whether it speaks of the total."""
        return not any(self.key)

    @property
    def told(self) -> str:
        """Say it in words."""
        is_factor = np.isnan(self.amount)
        what = f"times {self.factor:g}" if is_factor else f"to {self.amount:,.0f}"
        whom = "the total" if self.is_total else " / ".join(self.key)
        return f"{whom} {what} by {self.made_by}"


@attrs.define
class _Moments:
    """Booked, and mean and variance of what is to come, (g, k) each; changed in place."""

    keys: tuple[tuple[str, ...], ...]
    booked: FloatArray
    mean: FloatArray
    variance: FloatArray

    @classmethod
    def of(cls, forecast: Forecast) -> _Moments:
        """Take the moments of a forecast, group by group."""
        groups = [forecast.group(key) for key in forecast.keys] if forecast.by else [forecast]
        shape = (len(forecast.keys), len(forecast.horizon))
        certain = [group.parts[PARTS[0]].expected for group in groups]
        booked = np.reshape(certain, shape)
        expected = np.reshape([group.expected for group in groups], shape)
        spread = np.reshape([group.sd for group in groups], shape)
        return cls(forecast.keys, booked, np.maximum(expected - booked, 0.0), spread**2)

    def apply(self, statement: Statement, rows: BoolArray, period: int) -> None:
        """Change what is to come of some groups by one factor."""
        here = (rows, period)
        before = float(self.mean[here].sum())
        after = statement.factor * before
        if np.isnan(statement.factor):
            after = max(statement.amount - float(self.booked[here].sum()), 0.0)
        if before > 0.0:
            self.mean[here] *= after / before
            self.variance[here] *= (after / before) ** 2
        else:
            number = int(np.count_nonzero(rows))
            self.mean[here] = after / number
            self.variance[here] = (after / number) ** 2


def layered(
    base: Forecast,
    statements: Sequence[Statement],
    names: tuple[str, ...],
    below: Callable[[tuple[str, ...]], Forecast],
) -> Forecast:
    """Return the forecast after the overrides; `below` forecasts by other columns."""
    spans = list(itertools.pairwise(base.horizon.edges.tolist()))
    active = [item for item in statements if (item.start, item.end) in spans]
    odd = [item for item in statements if item not in active and _overlaps(item, base)]
    notes = tuple(
        f"not applied, for its period is none of the horizon: {item.told}, "
        f"{to_date(item.start)} to {to_date(item.end)}"
        for item in odd
    )
    model = f"{base.model}+overrides"
    coarse = _Moments.of(base)
    fine, columns = coarse, base.by
    if any(not item.is_total for item in active):
        columns = tuple(dict.fromkeys((*base.by, *names)))
        fine = _Moments.of(base if columns == base.by else below(columns))
    before = fine.variance.copy()
    at = [columns.index(name) for name in names if name in columns]
    for item in active:
        rows = np.ones(len(fine.keys), dtype=np.bool_)
        if not item.is_total:
            rows = np.array([tuple(key[i] for i in at) == item.key for key in fine.keys])
        period = spans.index((item.start, item.end))
        label = base.horizon.labels[period]
        if rows.any():
            fine.apply(item, rows, period)
            notes = (*notes, f"{label}: {item.told}")
        else:
            notes = (*notes, f"{label}: not applied, there is no such group: {item.told}")
    if not active:
        return attrs.evolve(base, model=model, notes=(*base.notes, *notes))
    if fine is not coarse:
        coarse = _collapsed(fine, before, coarse, [columns.index(name) for name in base.by])
    return Forecast.from_moments(
        horizon=base.horizon,
        as_of=base.as_of,
        currency=base.currency,
        by=base.by,
        keys=coarse.keys,
        booked=coarse.booked,
        mean=coarse.mean,
        variance=coarse.variance,
        model=model,
        notes=(*base.notes, *notes),
    )


def _overlaps(statement: Statement, forecast: Forecast) -> bool:
    """Tell whether an override speaks of some of the days of a forecast."""
    edges = forecast.horizon.edges
    return bool(statement.start < edges[-1] and statement.end > edges[0])


def _collapsed(fine: _Moments, before: FloatArray, coarse: _Moments, at: list[int]) -> _Moments:
    """Add finer groups up; variances change as the sums of theirs do, whatever they share."""
    place = {key: row for row, key in enumerate(coarse.keys)}
    row = np.array([place[tuple(key[i] for i in at)] for key in fine.keys])

    def added(values: FloatArray) -> FloatArray:
        """Add up by coarse group."""
        sums = np.zeros_like(coarse.mean)
        np.add.at(sums, row, values)
        return sums

    old, new = added(before), added(fine.variance)
    ratio = np.where(old > 0.0, new / np.where(old > 0.0, old, 1.0), 1.0)
    variance = np.where(old > 0.0, coarse.variance * ratio, new)
    return _Moments(coarse.keys, added(fine.booked), added(fine.mean), variance)
