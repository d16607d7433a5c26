"""Where the uncertainty of a forecast comes from, and which single deals decide."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import attrs
import numpy as np

from funnel._display import money, percent
from funnel.forecasting._joint import whole as whole_number
from funnel.forecasting._laws import enough_states, given
from funnel.forecasting._moments import amount_moments, variance
from funnel.forecasting._rows import BOOKED
from funnel.kernels import compound
from funnel.kernels.labels import texts
from funnel.results import ResultTable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from funnel.forecasting._rows import ForecastDeals
    from funnel.forecasting.amounts import Amounts
    from funnel.forecasting.forecast import Forecast
    from funnel.kernels.compound import Law
    from funnel.typing import FloatArray, IntArray, StringArray

__all__ = ["DecidingDeals", "Sources", "deciding", "sources"]

BATCH = 6
"""Deals that are taken out of the law together: their outcomes are enumerated."""

ROWS = (
    ("booked", "booked"),
    ("open", "open deals: won or not"),
    ("reopened", "reopened deals: won or not"),
    ("new", "new deals: how many are won"),
    ("amounts", "amounts at closing"),
    ("level", "level of new deals, shared"),
    ("shock", "shock, shared by all deals"),
)


@attrs.frozen(eq=False)
class Sources(ResultTable):
    """The expected money by part, and the variance of its total by source.

    Parameters
    ----------
    source : (7,) str
        What is booked, open, reopened and new; amounts; and what deals share.
    expected : (7,) float64
        Contribution to the expected money, major units; NaN for what only adds variance.
    variance : (7,) float64
        Contributions to the variance of the total; they add up to it.
    """

    percents: ClassVar[frozenset[str]] = frozenset({"share"})
    hidden: ClassVar[frozenset[str]] = frozenset({"variance"})

    source: StringArray
    expected: FloatArray
    variance: FloatArray

    @property
    def share(self) -> FloatArray:
        """Shares of the variance, (7,), adding up to 1; NaN where nothing varies."""
        total = float(self.variance.sum())
        return self.variance / total if total > 0.0 else np.full(len(self.variance), np.nan)

    def to_columns(self) -> dict[str, Any]:
        """Return one row for each source: expected money, its own sd, share of the variance."""
        return {
            "source": self.source,
            "expected": self.expected,
            "variance": self.variance,
            "sd": np.sqrt(self.variance),
            "share": self.share,
        }

    @property
    def _title(self) -> str:
        """Return the totals."""
        total, sd = float(np.nansum(self.expected)), float(np.sqrt(self.variance.sum()))
        return f"Expected {money(total)}, standard deviation {money(sd)}: where they come from"


@attrs.frozen(eq=False)
class DecidingDeals(ResultTable):
    """The deals on which it depends most whether a target is reached.

    Parameters
    ----------
    target : float
        Money to be booked within the horizon, major units.
    probability : float
        The chance to reach it.
    ids : (m,) str
    amount : (m,) float64
        Major units; NaN unknown.
    chance : (m,) float64
        To be won within the horizon.
    if_won, if_not : (m,) float64
        The chance to reach the target if the deal is won within the horizon, and if it is not.
    """

    percents: ClassVar[frozenset[str]] = frozenset({"chance", "if_won", "if_not", "swing"})

    target: float
    probability: float
    ids: StringArray
    amount: FloatArray
    chance: FloatArray
    if_won: FloatArray
    if_not: FloatArray

    @property
    def swing(self) -> FloatArray:
        """How much of the chance to reach the target hangs on each deal, (m,)."""
        return self.if_won - self.if_not

    def to_columns(self) -> dict[str, Any]:
        """Return one row for each deal, the most decisive first."""
        names = ("amount", "chance", "if_won", "if_not", "swing")
        return {"deal": self.ids, **{name: getattr(self, name) for name in names}}

    @property
    def _title(self) -> str:
        """Return target and probability."""
        return f"Chance to book {money(self.target)}: {percent(self.probability)}"


def sources(forecast: Forecast) -> Sources:
    """Split expected money and variance of the whole horizon, see `Forecast.sources`."""
    whole = forecast.total()
    expected = {name: float(part.expected[0]) for name, part in whole.parts.items()}
    split = variance(whole.book.money, whole.unknown, whole.shock, whole.dispersion)
    varied = {name: float(values[0]) for name, values in split._asdict().items()}
    return Sources(
        source=texts([label for _, label in ROWS]),
        expected=np.array([expected.get(name, np.nan) for name, _ in ROWS]),
        variance=np.array([varied.get(name, 0.0) for name, _ in ROWS]),
    )


def deciding(forecast: Forecast, target: float, n: int) -> DecidingDeals:
    """Find the deals that decide about a target, see `Forecast.deciding`."""
    whole_number(n, "n", 1)
    whole = forecast.total()
    probability = float(whole.probability_of(target)[0])
    rows = _candidates(whole.deals, whole.unknown, n)
    if_won, if_not = np.empty(len(rows)), np.empty(len(rows))
    vague = np.isnan(whole.deals.amount[rows])
    known = np.flatnonzero(~vague)
    batches = [known[begin : begin + BATCH] for begin in range(0, len(known), BATCH)]
    for some in (*batches, *np.flatnonzero(vague)[:, None]):
        if_won[some], if_not[some] = _given_each(whole, rows[some], float(target))
    order = np.argsort(-(if_won - if_not), kind="stable")
    picked = whole.deals.select(rows[order])
    return DecidingDeals(
        target=float(target),
        probability=probability,
        ids=picked.ids,
        amount=picked.amount,
        chance=picked.within,
        if_won=if_won[order],
        if_not=if_not[order],
    )


def _candidates(deals: ForecastDeals, unknown: Amounts, n: int) -> IntArray:
    """Return the deals that bring most variance: rows, at most n."""
    mean, vague = amount_moments(deals, unknown)
    chance = deals.within
    brings = chance * (vague + (1.0 - chance) * mean**2)
    brings[deals.is_new | (deals.part == BOOKED) | (chance >= 1.0)] = 0.0
    rows = np.lexsort((np.arange(len(brings)), -brings))[:n]
    return rows[brings[rows] > 0.0]


def _given_each(whole: Forecast, rows: IntArray, target: float) -> tuple[FloatArray, FloatArray]:
    """Return the chance of the target if each of a few deals is won, and if not: (m,), (m,).

    Where a deal is won, the states are more likely in which it is.
    """
    deals = whole.deals
    left = np.ones(len(deals.ids), dtype=np.bool_)
    left[rows] = False
    rest, few = deals.select(left), deals.select(rows)
    outcomes = [_amounts_if_won(few, row, whole.unknown) for row in range(len(rows))]
    shared = enough_states(deals, whole.unknown, whole.shock, whole.dispersion)
    won, lost = np.zeros((2, len(rows)))
    chances = few.chance[:, 0] * (1.0 + np.multiply.outer(shared.shock, few.response))
    for chance, state in zip(chances, shared.each(), strict=True):
        law = given(rest, whole.unknown, state)
        for row, (amounts, weights) in enumerate(outcomes):
            others = [i for i in range(len(rows)) if i != row]
            values, mass = _sums((chance[i], *outcomes[i]) for i in others)
            at = [_reach(law, values, mass, target - amount) for amount in amounts.tolist()]
            won[row] += chance[row] * float(weights @ at)
            lost[row] += (1.0 - chance[row]) * _reach(law, values, mass, target)
    return won / chances.sum(axis=0), lost / (1.0 - chances).sum(axis=0)


def _amounts_if_won(
    deals: ForecastDeals, row: int, unknown: Amounts
) -> tuple[FloatArray, FloatArray]:
    """Return the amounts at which a deal may be won, and their probabilities."""
    amount, spread = float(deals.amount[row]), float(deals.spread[row])
    if np.isnan(amount):
        return unknown.atoms, unknown.weights
    law = compound.deal_law(0.0, np.ones(1), np.array([amount]), sd=np.array([spread]))
    return law.support, np.diff(law.cumulative, prepend=0.0)


def _sums(
    deals: Iterable[tuple[float, FloatArray, FloatArray]],
) -> tuple[FloatArray, FloatArray]:
    """Return what a few deals may bring together, and how likely each outcome is."""
    values, mass = np.zeros(1), np.ones(1)
    for chance, amounts, weights in deals:
        values = np.add.outer(np.append(0.0, amounts), values).ravel()
        mass = np.multiply.outer(np.append(1.0 - chance, chance * weights), mass).ravel()
    return values, mass


def _reach(law: Law, values: FloatArray, mass: FloatArray, target: float) -> float:
    """Return the chance that the law and some outcomes together reach a target."""
    return float(mass @ compound.survival(law, target - values))
