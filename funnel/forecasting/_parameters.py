"""How uncertain the expected money is because the parameters of the stage model are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from funnel.forecasting.dependence import Shock

if TYPE_CHECKING:
    from funnel.forecasting._cells import Source
    from funnel.models.base import HasDraw
    from funnel.typing import FloatArray, IntArray

__all__ = ["parameter_shock"]

DRAWS = 8
SEED = 20_260_630  # the same draws for every forecast: two of them differ by their deals only
SAMPLE = 2_000
"""Most deals (or cells of deals) whose chances are computed again for each draw."""

AHEAD = 91
"""Most days that draws look ahead: their cost grows with it, the relative error hardly does."""


def parameter_shock(model: HasDraw, source: Source, typical: float) -> Shock | None:
    """Return the error of the expected money of open deals that the model's parameters make.

    Its standard deviation is that of the expected money, won by the end of the horizon or within 91
    days, over 8 draws of the parameters; these are few, hence a t with 7 degrees of freedom. Deals
    of unknown amount are worth `typical`. None where no money is expected.
    """
    as_of = source.pipeline.as_of
    day = min(int(source.horizon.edges[-1]) - 1, as_of + AHEAD)
    if day <= as_of:
        return None
    dates = np.array([day]).astype("datetime64[D]")
    amount, ask = source.open_money(typical)
    every = np.arange(len(amount))
    chance = ask(model, every, dates)
    rows, weight = _sample(amount * chance)
    if not len(rows):
        return None
    ratio, rng = weight / chance[rows], np.random.default_rng(SEED)
    drawn = [float(ratio @ ask(model.draw(rng), rows, dates)) for _ in range(DRAWS)]
    spread = float(np.std(drawn, ddof=1))
    return Shock(min(spread / float(weight.sum()), 1.0), df=DRAWS - 1)


def _sample(money: FloatArray) -> tuple[IntArray, FloatArray]:
    """Return rows with money, and how much of it each stands for: all, or a sample of many.

    The sample is taken at even steps of the running sum, so that the large ones are in it.
    """
    rows = np.flatnonzero(money > 0.0)
    if len(rows) <= SAMPLE:
        return rows, money[rows]
    running = np.cumsum(money[rows])
    steps = (np.arange(SAMPLE) + 0.5) * (running[-1] / SAMPLE)
    found, count = np.unique(np.searchsorted(running, steps), return_counts=True)
    return rows[found], count.astype(np.float64)
