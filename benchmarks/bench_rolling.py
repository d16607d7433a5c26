"""Fits on what was known at 52 weekly cutoffs, counted once, against 52 fits."""

from __future__ import annotations

import attrs
import data
import numpy as np
import rounds
from rounds import Contender, Goal

import funnel as fn

CUTOFFS = 52
SOME = 4  # cutoffs that are fitted anew, from the first to the last
ONE, ROLLED, ANEW = "one fit", f"fits at {CUTOFFS} cutoffs", f"{CUTOFFS} fits, each by itself"


def rolled(forecaster, history, days):
    """Fit at all cutoffs; return the last day of the last one."""
    return max(fit().trained_until for fit in forecaster.fits(history, days))


def anew(forecaster, history, days):
    """Fit on what was known at each cutoff."""
    dates = np.array(days, dtype="datetime64[D]")
    return max(forecaster.fit(history.until(date)).trained_until for date in dates)


def tables(quick):
    """Yield a table for the stage model alone, and one with amounts and arrivals."""
    history = data.history(20_000 if quick else 1_000_000)
    days = list(range(data.LAST - 7 * CUTOFFS, data.LAST, 7))
    some = [days[place] for place in np.linspace(0, CUTOFFS - 1, SOME).astype(int)]
    for title, goal, forecaster in (
        ("Semi-Markov hazards", 10.0, fn.models.get("semi-markov")),
        (
            "Forecaster by deal: hazards, amounts at closing, arrivals",
            5.0,
            fn.DealForecaster("semi-markov"),
        ),
    ):
        assert rolled(forecaster, history, some) == anew(forecaster, history, some)

        def new():
            return (attrs.evolve(history),)

        yield rounds.measure(
            f"{title}: {CUTOFFS} weekly cutoffs of {history.n_deals:,} deals",
            [
                Contender(ONE, lambda whole, to=forecaster: to.fit(whole), "limit", fresh=new),
                Contender(
                    ROLLED, lambda whole, to=forecaster: rolled(to, whole, days), "ours", fresh=new
                ),
                Contender(
                    ANEW,
                    lambda whole, to=forecaster: anew(to, whole, some),
                    fresh=new,
                    times=CUTOFFS / SOME,
                ),
            ],
            [] if quick else [Goal(ROLLED, ANEW, at_least=goal)],
            unit="s",
            rounds=rounds.FEWEST,
            warm=False,
        )


if __name__ == "__main__":
    rounds.main(tables)
