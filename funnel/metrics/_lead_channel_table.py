"""How channels are shown: conversion so far and in the end, cost and return."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import attrs
import numpy as np

from funnel.calendars import to_date
from funnel.metrics._ages import ratio, wilson
from funnel.results import ResultTable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from funnel.typing import FloatArray, IntArray, StringArray

__all__ = ["ChannelConversion", "Channels"]


@attrs.frozen(eq=False)
class ChannelConversion:
    """What leads became, by channel: opportunities, or wins.

    Parameters
    ----------
    leads, count : (n,) int64
        Leads, and how many of them have converted so far.
    value : (n,) float64
        Known amounts of those.
    maturity : (n,) float64
        Share of the conversions to be expected of leads in the end that leads of these ages have
        had time for; NaN where unknown.
    level : float
        Level of the intervals.
    """

    leads: IntArray
    count: IntArray
    value: FloatArray
    maturity: FloatArray
    level: float

    @property
    def rate(self) -> FloatArray:
        """Converted so far / leads, (n,)."""
        return ratio(self.count, self.leads)

    @property
    def interval(self) -> tuple[FloatArray, FloatArray]:
        """Wilson's interval of `rate`, (n,) each."""
        return wilson(self.count, self.leads, self.level)

    @property
    def final_rate(self) -> FloatArray:
        """Expected share that converts in the end: rate / maturity, at most 1, (n,)."""
        return np.minimum(ratio(self.count, self.leads * self.maturity), 1.0)

    @property
    def final_interval(self) -> tuple[FloatArray, FloatArray]:
        """Wilson's interval of `final_rate`, for leads x maturity leads, (n,) each."""
        mature = np.nan_to_num(self.leads * self.maturity)
        return wilson(np.minimum(self.count, mature), mature, self.level)

    @property
    def final_count(self) -> FloatArray:
        """Expected number that converts in the end: leads x `final_rate`, (n,)."""
        return np.asarray(self.leads * self.final_rate)

    @property
    def final_value(self) -> FloatArray:
        """Value so far x final / converted so far; 0 where none has converted yet, (n,)."""
        found = self.value * ratio(self.final_count, self.count)
        return np.where((self.count == 0) & ~np.isnan(self.final_rate), 0.0, found)

    def columns(self, one: str, many: str) -> dict[str, FloatArray]:
        """Return rates and intervals, named after what leads become."""
        low, high = self.interval
        final_low, final_high = self.final_interval
        return {
            f"{one}_rate": self.rate,
            f"{one}_rate_low": low,
            f"{one}_rate_high": high,
            f"{one}_maturity": self.maturity,
            f"final_{one}_rate": self.final_rate,
            f"final_{one}_rate_low": final_low,
            f"final_{one}_rate_high": final_high,
            f"final_{many}": self.final_count,
        }


@attrs.frozen(eq=False)
class Channels(ResultTable):
    """Cost and return of channels, see `channels`.

    Parameters
    ----------
    keys : mapping of str to (n,) str
        The channels.
    labels : (n,) str
        The periods in which leads were created.
    leads : (n,) int64
        Leads created.
    cost : (n,) float64
        Major units; NaN where none is known.
    opportunities, wins : ChannelConversion
        What the leads became so far, and are expected to become.
    mark : (n,) str
        ``""``, ``"no leads"``, ``"no cost"``, ``"not in the history"`` or ``"before the history"``.
    as_of : int
        Day (its end) of all this.
    notes : tuple of str
        What to mind.
    """

    percents: ClassVar[frozenset[str]] = frozenset(
        f"{final}{one}_{what}"
        for final in ("", "final_")
        for one in ("opportunity", "win")
        for what in ("rate", "rate_low", "rate_high", "maturity")
    )
    hidden: ClassVar[frozenset[str]] = frozenset(
        {name for name in percents if name.endswith(("_low", "_high"))}
        | {"cost_per_opportunity", "won_value", "opportunity_value", "return_low", "return_high"}
    )

    keys: Mapping[str, StringArray]
    labels: StringArray
    leads: IntArray
    cost: FloatArray
    opportunities: ChannelConversion
    wins: ChannelConversion
    mark: StringArray
    as_of: int
    notes: tuple[str, ...]

    @property
    def cost_per_lead(self) -> FloatArray:
        """Cost / leads, (n,)."""
        return ratio(self.cost, self.leads)

    @property
    def cost_per_opportunity(self) -> FloatArray:
        """Cost / opportunities so far, (n,)."""
        return ratio(self.cost, self.opportunities.count)

    @property
    def cost_per_win(self) -> FloatArray:
        """Cost / wins so far, (n,)."""
        return ratio(self.cost, self.wins.count)

    @property
    def return_on_opportunities(self) -> FloatArray:
        """Value of the opportunities so far / cost, (n,)."""
        return ratio(self.opportunities.value, self.cost)

    @property
    def return_on_wins(self) -> FloatArray:
        """Value won so far / cost, (n,)."""
        return ratio(self.wins.value, self.cost)

    @property
    def final_return_on_opportunities(self) -> FloatArray:
        """The same, of the opportunities expected in the end, (n,)."""
        return ratio(self.opportunities.final_value, self.cost)

    @property
    def final_return_on_wins(self) -> FloatArray:
        """The same, of the wins expected in the end, (n,)."""
        return ratio(self.wins.final_value, self.cost)

    def to_columns(self) -> dict[str, Any]:
        """Return one row for each channel and period."""
        bounds = [
            self.final_return_on_wins * ratio(edge, self.wins.final_rate)
            for edge in self.wins.final_interval
        ]
        return {
            **self.keys,
            "period": self.labels,
            "cost": self.cost,
            "leads": self.leads,
            "opportunities": self.opportunities.count,
            "won": self.wins.count,
            "cost_per_lead": self.cost_per_lead,
            "cost_per_opportunity": self.cost_per_opportunity,
            "cost_per_win": self.cost_per_win,
            **self.opportunities.columns("opportunity", "opportunities"),
            **self.wins.columns("win", "wins"),
            "opportunity_value": self.opportunities.value,
            "won_value": self.wins.value,
            "return_on_opportunities": self.return_on_opportunities,
            "return_on_wins": self.return_on_wins,
            "final_return_on_opportunities": self.final_return_on_opportunities,
            "final_return_on_wins": self.final_return_on_wins,
            "return_low": bounds[0],
            "return_high": bounds[1],
            "mark": self.mark,
        }

    @property
    def _title(self) -> str:
        """Return the heading."""
        return f"Cost and return of channels as of {to_date(self.as_of)}"

    @property
    def _notes(self) -> tuple[str, ...]:
        """Return what to mind."""
        return self.notes
