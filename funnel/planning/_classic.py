"""The classic calculation, exactly: from a target down to the deals that must enter each week.

A plan in the steady state is a product: ``entries = target x gross-up / (average x conversions)``.
"""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from typing import TYPE_CHECKING

import attrs

from funnel.planning._exact import product

if TYPE_CHECKING:
    from funnel.calendars import Horizon

__all__ = ["Givens", "Grid"]

DAYS_A_WEEK = 7
Grid = tuple[tuple[Fraction, ...], ...]
"""Numbers by share (p) and period (k)."""


@attrs.frozen
class Givens:
    """What a plan follows from, all known: p shares, k periods, s stages.

    Parameters
    ----------
    target : Fraction
        Money of the whole horizon, before the gross-up.
    gross_up : Fraction
        Factor from the target to the money that deals are counted in.
    shares : tuple of (str, Fraction)
        Products or channels, p.
    average : tuple of Fraction
        Amount of a won deal by share, p.
    seasonality : tuple of Fraction
        Shares of the periods, k.
    periods : tuple of str
        Labels, k.
    weeks : tuple of Fraction or None
        Selling weeks of each period, k.
    stages : tuple of str
        The ladder, s.
    conversions : tuple of Fraction
        From each stage to the next, the last to won, s.
    visits : tuple of Fraction
        Entries into each stage per deal that comes to it or past it, s.
    durations : tuple of Fraction or None
        Days of an entry in each stage, s.
    rep_capacity : Fraction or None
        Deals that one rep enters a week.
    horizon : Horizon or None
        The dates of the periods.
    as_of : int or None
        The day of the plan; deals cannot be created before it any more.
    """

    target: Fraction
    gross_up: Fraction
    shares: tuple[tuple[str, Fraction], ...]
    average: tuple[Fraction, ...]
    seasonality: tuple[Fraction, ...]
    periods: tuple[str, ...]
    weeks: tuple[Fraction, ...] | None
    stages: tuple[str, ...]
    conversions: tuple[Fraction, ...]
    visits: tuple[Fraction, ...]
    durations: tuple[Fraction, ...] | None
    rep_capacity: Fraction | None
    horizon: Horizon | None
    as_of: int | None

    # -- money and wins, (p, k) ------------------------------------------------------------------

    @property
    def money(self) -> Grid:
        """Money to book, target x gross-up x share x season."""
        gross = self.target * self.gross_up
        return tuple(
            tuple(gross * share * season for season in self.seasonality) for _, share in self.shares
        )

    @property
    def wins(self) -> Grid:
        """Deals to win."""
        return tuple(
            tuple(money / average for money in row)
            for row, average in zip(self.money, self.average, strict=True)
        )

    def wins_of(self, period: int) -> Fraction:
        """Deals to win in one period, all shares together."""
        return sum((row[period] for row in self.wins), start=Fraction(0))

    @property
    def total_wins(self) -> Fraction:
        """Deals to win in the horizon."""
        return sum(itertools.chain.from_iterable(self.wins), start=Fraction(0))

    # -- the ladder, (s,) ------------------------------------------------------------------------

    @property
    def per_win(self) -> tuple[Fraction, ...]:
        """Deals that come to each stage or past it for one win."""
        n = len(self.stages)
        return tuple(1 / product(self.conversions[stage:]) for stage in range(n))

    @property
    def lead_days(self) -> tuple[Fraction, ...] | None:
        """Days from reaching each stage to the win, all visits together."""
        if self.durations is None:
            return None
        spent = [v * days for v, days in zip(self.visits, self.durations, strict=True)]
        return tuple(sum(spent[stage:], start=Fraction(0)) for stage in range(len(spent)))

    # -- pace ------------------------------------------------------------------------------------

    def entries(self, wins: Fraction, stage: int) -> Fraction:
        """Return the entries into a stage that wins need: skips and returns counted."""
        return wins * self.per_win[stage] * self.visits[stage]

    def new(self, wins: Fraction, period: int) -> Fraction | None:
        """Return the new deals a week that wins of a period need."""
        return None if self.weeks is None else wins * self.per_win[0] / self.weeks[period]

    def weekly(self, wins: Fraction, period: int | None, stage: int) -> Fraction | None:
        """Return the entries a week into a stage that wins of a period (or of all) need."""
        if self.weeks is None:
            return None
        weeks = sum(self.weeks, start=Fraction(0)) if period is None else self.weeks[period]
        return self.entries(wins, stage) / weeks

    def stock(self, wins: Fraction, period: int | None, stage: int) -> Fraction | None:
        """Return the standing stock of a stage, by Little's law: entries a day x days."""
        pace = self.weekly(wins, period, stage)
        if pace is None or self.durations is None:
            return None
        return pace * self.durations[stage] / DAYS_A_WEEK

    def total_stock(self, wins: Fraction, period: int | None) -> Fraction | None:
        """Return the deals in all stages together."""
        held = [self.stock(wins, period, stage) for stage in range(len(self.stages))]
        known = [value for value in held if value is not None]
        return sum(known, start=Fraction(0)) if known else None

    def reps(self, wins: Fraction, period: int) -> Fraction | None:
        """Return the reps that the new deals keep busy."""
        pace = self.new(wins, period)
        return None if pace is None or self.rep_capacity is None else pace / self.rep_capacity

    @staticmethod
    def _peak(values: list[Fraction | None]) -> Fraction | None:
        """Return the largest of the periods."""
        known = [value for value in values if value is not None]
        return max(known, default=None)

    @property
    def peak_weekly(self) -> Fraction | None:
        """New deals a week, in the busiest period."""
        k = range(len(self.periods))
        return self._peak([self.new(self.wins_of(period), period) for period in k])

    @property
    def peak_reps(self) -> Fraction | None:
        """Reps that the busiest period needs."""
        k = range(len(self.periods))
        return self._peak([self.reps(self.wins_of(period), period) for period in k])

    def peak_stock(self, stage: int) -> Fraction | None:
        """Stock of a stage in the busiest period."""
        k = range(len(self.periods))
        return self._peak([self.stock(self.wins_of(period), period, stage) for period in k])

    @property
    def peak_total_stock(self) -> Fraction | None:
        """Deals in all stages together, in the busiest period."""
        k = range(len(self.periods))
        return self._peak([self.total_stock(self.wins_of(period), period) for period in k])

    # -- dates -----------------------------------------------------------------------------------

    def entry_window(self, period: int, stage: int) -> tuple[int, int] | None:
        """Return first and last day on which deals won in a period reach a stage; whole days.

        Days are rounded down: a deal that enters half a day early is not late.
        """
        if self.horizon is None or self.lead_days is None:
            return None
        lead = self.lead_days[stage]
        first, end = self.horizon.edges[period : period + 2].tolist()
        return math.floor(first - lead), math.floor(end - 1 - lead)

    def late_share(self, period: int) -> Fraction:
        """Return the share of a period's wins whose deals should have been created by now."""
        window = self.entry_window(period, 0)
        if window is None or self.as_of is None:
            return Fraction(0)
        first, last = window
        gone = min(max(self.as_of + 1 - first, 0), last + 1 - first)
        return Fraction(gone, last + 1 - first)
