"""The open pipeline of many days is that of each snapshot, for every history, day and scope."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from funnel.metrics.trend import pipeline_trend
from funnel.stages import Outcome
from funnel.testing.strategies import histories

SCOPES = st.sampled_from([(), ("owner",), ("currency", "owner")])


def of_snapshot(history, date, by):
    """Count the open deals of a snapshot by (group, stage), by a plain loop."""
    columns, found = history.snapshot(date).to_columns(), {}
    outcomes = dict(zip(history.funnel.ids, history.funnel.outcomes.tolist(), strict=True))
    for row, stage in enumerate(columns["stage"].tolist()):
        if outcomes[stage] == Outcome.OPEN:
            key = (*(columns[name][row] for name in by), stage)
            deals, money, unknown = found.get(key, (0, 0.0, 0))
            amount = columns["amount"][row]
            missing = bool(np.isnan(amount))
            found[key] = (deals + 1, money + (0.0 if missing else amount), unknown + missing)
    return found


@given(histories(min_deals=1, max_deals=8), SCOPES, st.data())
def test_each_day_is_its_snapshot(history, by, data):
    """Deals and unknown amounts exactly, money to 1e-12 of what passed; in chunks the same."""
    window = st.integers(history.observed_from, history.observed_until)
    days = data.draw(st.lists(window, min_size=1, max_size=5))
    dates = np.array(days, dtype="datetime64[D]")
    gross = float(np.nansum(history.columns["amount"]))
    size = data.draw(st.integers(1, 4))
    for source in (history, list(history.chunks(size))):
        columns = pipeline_trend(source, dates, by=by).to_columns()
        for date in dates:
            expected = of_snapshot(history, date, by)
            rows = np.flatnonzero((columns["day"] == date) & (columns["deals"] > 0)).tolist()
            keys = [tuple(columns[name][row] for name in (*by, "stage")) for row in rows]
            assert sorted(keys) == sorted(expected)
            for key, row in zip(keys, rows, strict=True):
                deals, money, unknown = expected[key]
                assert (deals, unknown) == (columns["deals"][row], columns["unknown"][row])
                assert abs(money - columns["amount"][row]) <= 1e-12 * gross
