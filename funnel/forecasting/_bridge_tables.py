"""How a bridge between two forecasts is shown, and the deals behind its bars."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from funnel._display import money
from funnel.calendars import to_date
from funnel.errors import ValidationError, did_you_mean
from funnel.forecasting._bridge_causes import BAR, BARS
from funnel.forecasting._bridge_steps import MINOR, Moves
from funnel.kernels.arrays import frozen
from funnel.kernels.labels import texts
from funnel.results import ResultTable

if TYPE_CHECKING:
    from funnel.calendars import Horizon
    from funnel.typing import FloatArray, IntArray, StringArray

__all__ = ["Bridge", "BridgeDeals"]

ENDS = np.isin(BARS, ("start", "end"))


@attrs.frozen(eq=False)
class BridgeDeals(ResultTable):
    """The deals behind one bar, the largest change first; see `Bridge.deals`.

    Parameters
    ----------
    bar : str
        The bar.
    by, periods : tuple of str
        Columns that make the groups, and labels of the periods.
    keys : tuple of tuple of str
        One key for each group.
    ids : (m,) str
        Deals; one that changed in several groups or periods has a row in each. What is no single
        deal stands as ``"(new deals)"`` and ``"(not by deal)"``.
    group, period : (m,) int64
        Positions in `keys` and `periods`.
    before, after : (m,) float64
        What the deal contributes to the expected money before and after this step.
    """

    bar: str
    by: tuple[str, ...]
    periods: tuple[str, ...]
    keys: tuple[tuple[str, ...], ...]
    ids: StringArray
    group: IntArray
    period: IntArray
    before: FloatArray
    after: FloatArray

    @property
    def change(self) -> FloatArray:
        """What the deal adds to the bar, (m,)."""
        return self.after - self.before

    def to_columns(self) -> dict[str, Any]:
        """Return one row for each deal, group and period."""
        return {
            **_key_columns(self.by, self.keys, self.group),
            "period": texts(self.periods)[self.period],
            "deal": self.ids,
            "before": self.before,
            "after": self.after,
            "change": self.change,
        }

    @property
    def _title(self) -> str:
        """Return the heading."""
        return f"Deals behind {self.bar!r}"


@attrs.frozen(eq=False, repr=False)
class Bridge(ResultTable):
    """The way from one forecast to another of the same periods; see `bridge`.

    All bars but the last add up to the last, to the cent, in every group and period.

    Parameters
    ----------
    horizon : Horizon
        k periods.
    start, end : int
        Days of the two forecasts since 1970-01-01; their ends.
    models : (str, str)
        What made them.
    currency : str
        Of all amounts.
    by : tuple of str
        Columns that make the groups.
    keys : tuple of tuple of str
        One key for each group, g.
    cents : (g, b, k) int64
        Change of the expected money by each bar of `BARS`, in hundredths of a major unit; the
        forecasts themselves in ``"start"`` and ``"end"``.
    count : (g, b, k) int64
        Deals behind each bar; deals that contribute to the forecast at ``"start"`` and ``"end"``.
    ids : (u,) str
        Deals.
    moves : Moves
        What each step changes, deal by deal.
    notes : tuple of str
        What has to be known to read the table.
    """

    horizon: Horizon
    start: int
    end: int
    models: tuple[str, str]
    currency: str
    by: tuple[str, ...]
    keys: tuple[tuple[str, ...], ...]
    cents: IntArray
    count: IntArray
    ids: StringArray
    moves: Moves
    notes: tuple[str, ...]

    @property
    def amount(self) -> FloatArray:
        """Change of the expected money in major units, (g, b, k)."""
        return self.cents / MINOR

    def deals(self, bar: str, /) -> BridgeDeals:
        """Return the deals behind a bar, the largest change first.

        Their changes are not rounded: they add up to the bar but for a cent.

        Raises
        ------
        ValidationError
            When there is no such bar (``"start"`` and ``"end"`` are forecasts: see
            `Forecast.largest`); the message suggests close ones.
        """
        if bar not in BARS[1:-1]:
            hint = did_you_mean(str(bar), BARS[1:-1])
            raise ValidationError.from_value("bar", "must be a change of the bridge", bar, hint)
        moves = self.moves
        rows = np.flatnonzero(moves.bar == BAR[bar])
        before, after = moves.before[rows], moves.after[rows]
        at, period = np.nonzero(before != after)
        first, last = before[at, period], after[at, period]
        deal, group = moves.deal[rows[at]], moves.group[rows[at]]
        order = np.lexsort((period, group, deal, -np.abs(last - first)))
        return BridgeDeals(
            bar=bar,
            by=self.by,
            periods=self.horizon.labels,
            keys=self.keys,
            ids=frozen(self.ids[deal[order]]),
            group=frozen(group[order]),
            period=frozen(period[order]),
            before=frozen(first[order]),
            after=frozen(last[order]),
        )

    def to_columns(self) -> dict[str, Any]:
        """Return one row for each group, period and bar."""
        groups, bars, periods = self.cents.shape
        cell = np.repeat(np.arange(groups), bars * periods)
        return {
            **_key_columns(self.by, self.keys, cell),
            "period": np.tile(np.repeat(texts(self.horizon.labels), bars), groups),
            "bar": np.tile(texts(BARS), groups * periods),
            "deals": self.count.swapaxes(1, 2).ravel(),
            "amount": self.amount.swapaxes(1, 2).ravel(),
        }

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types: what was asked, the rows and the notes."""
        return {
            **super().to_dict(),
            "start": str(to_date(self.start)),
            "end": str(to_date(self.end)),
            "models": list(self.models),
            "currency": self.currency,
            "by": list(self.by),
            "horizon": self.horizon.to_dict(),
        }

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        """Return headers and rows as text: periods side by side, without bars that are empty."""
        used = ENDS.copy()
        used[self.moves.bar] = True
        blocks = list(zip(self.keys, self.cents, strict=True))
        if self.by:
            blocks.append((("all",) * len(self.by), self.cents.sum(axis=0)))
        several = len(self.horizon) > 1
        headers = [*self.by, "bar", *self.horizon.labels, *(["total"] if several else [])]
        rows = []
        for key, cents in blocks:
            names = [name or "(unknown)" for name in key]
            shown = np.column_stack((cents, cents.sum(axis=1))) if several else cents
            rows += [
                [*names, BARS[bar], *map(money, (shown[bar] / MINOR).tolist())]
                for bar in np.flatnonzero(used).tolist()
            ]
        return headers, rows

    @property
    def _title(self) -> str:
        """Return the heading."""
        unit = f", {self.currency}" if self.currency else ""
        first, last = self.models
        days = f"{to_date(self.start)} to {to_date(self.end)}"
        if self.start == self.end:
            days = str(to_date(self.end))
        made = f"by {last!r}, {days}" if first == last else f"from {first!r} to {last!r}, {days}"
        return f"Change of the forecast {made}{unit}"

    @property
    def _notes(self) -> tuple[str, ...]:
        """Return what has to be known."""
        return self.notes

    def __repr__(self) -> str:
        """Return one line."""
        first, last = (int(self.cents[:, bar].sum()) / MINOR for bar in (0, -1))
        groups = f", {len(self.keys)} groups by {', '.join(self.by)}" if self.by else ""
        return (
            f"Bridge({to_date(self.start)} to {to_date(self.end)}, {money(first)} to "
            f"{money(last)}, {len(self.horizon)} periods{groups})"
        )


def _key_columns(
    by: tuple[str, ...], keys: tuple[tuple[str, ...], ...], group: IntArray
) -> dict[str, StringArray]:
    """Return the columns that name the group of each row."""
    return {name: texts([key[place] for key in keys])[group] for place, name in enumerate(by)}
