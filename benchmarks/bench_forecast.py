"""The weighted forecast by month, and by owner and month.

The peers get months and stages as small codes and the better of two forms: sums by (month, stage)
that are weighted afterwards, and for owners the weighted amount first. The library starts from
promised days and makes a whole forecast, of which the expected money is asked.
"""

from __future__ import annotations

import data
import numpy as np
import rounds
from rounds import Contender, Goal

import funnel as fn

FIRST, AGAIN, LIMIT = "forecast, first call", "forecast of the same table again", "np.sum(amount)"
OTHER = "forecast of the same table with other probabilities"
BUILT = "building the table of columns at hand, and its first forecast"


def expected(table, by=()):
    """Return the expected money by month, (k,), or by owner and month, (g, k)."""
    outlook = fn.forecast(table, data.YEAR, "textbook", by=by)
    return outlook.expected_by_group if by else outlook.expected


def with_other_probabilities(table):
    """Return functions that give the same table, each time with other typed probabilities."""
    rng = np.random.default_rng(5)

    def fresh():
        typed = np.sort(rng.random(data.STAGES)).tolist()
        stages = [fn.Stage(f"S{n}", win_probability=chance) for n, chance in enumerate(typed)]
        return (table.with_funnel(fn.Funnel(stages)),)

    return fresh


def ours(table, by=()):
    """Return the rows of the library: a table that keeps nothing of earlier calls, and again."""
    return [
        Contender(LIMIT, lambda: np.sum(table.amount), "limit"),
        Contender(FIRST, lambda new: expected(new, by), "ours", fresh=lambda: (data.built(table),)),
        Contender(BUILT, lambda: expected(data.built(table), by), "ours"),
        Contender(AGAIN, lambda: expected(table, by), "ours"),
        Contender(
            OTHER, lambda new: expected(new, by), "ours", fresh=with_other_probabilities(table)
        ),
    ]


def weighted(sums, month, stage):
    """Return sums by month and stage as expected money by month."""
    cube = np.zeros((len(data.YEAR), data.STAGES))
    cube[np.asarray(month), np.asarray(stage)] = np.asarray(sums)
    return cube @ data.PROBABILITY


def matrix(sums, owner, month):
    """Return sums by owner and month as a matrix."""
    found = np.zeros((data.OWNERS, len(data.YEAR)))
    found[np.asarray(owner), np.asarray(month)] = np.asarray(sums)
    return found


def naive(amount, month, stage):
    """Multiply each amount, and add up by month."""
    return np.bincount(month, amount * data.PROBABILITY[stage], len(data.YEAR))


def by_polars(columns):
    """Return both forecasts by polars."""
    import polars as pl

    frame = pl.DataFrame(columns)

    def by_month():
        sums = frame.group_by("month", "stage").agg(pl.col("amount").sum())
        return weighted(sums["amount"], sums["month"], sums["stage"])

    def by_owner():
        chance = pl.Series(data.PROBABILITY)
        money = pl.col("amount") * pl.lit(chance).gather(pl.col("stage"))
        sums = frame.group_by("owner", "month").agg(money.sum())
        return matrix(sums["amount"], sums["owner"], sums["month"])

    def by_owner_stage():
        sums = frame.group_by("owner", "month", "stage").agg(pl.col("amount").sum())
        found = np.zeros((data.OWNERS, len(data.YEAR), data.STAGES))
        found[sums["owner"], sums["month"], sums["stage"]] = sums["amount"]
        return found @ data.PROBABILITY

    return by_month, by_owner, by_owner_stage


def by_duckdb(columns):
    """Return both forecasts by DuckDB, in memory."""
    import duckdb
    import polars as pl

    base = duckdb.connect()
    base.execute("SET threads = 2")
    frame = pl.DataFrame(columns)
    base.register("frame", frame)
    base.execute("CREATE TABLE deals AS SELECT * FROM frame")
    base.unregister("frame")

    def by_month():
        query = "SELECT month, stage, sum(amount) AS money FROM deals GROUP BY month, stage"
        sums = base.execute(query).fetchnumpy()
        return weighted(sums["money"], sums["month"], sums["stage"])

    def by_owner():
        query = """SELECT owner, month, sum(amount * 0.1 * (stage + 1)) AS money
                   FROM deals GROUP BY owner, month"""
        sums = base.execute(query).fetchnumpy()
        return matrix(sums["money"], sums["owner"], sums["month"])

    return by_month, by_owner


def by_pandas(columns):
    """Return both forecasts by pandas."""
    import pandas as pd

    frame = pd.DataFrame(columns)

    def money():
        return frame["amount"] * data.PROBABILITY[frame["stage"].to_numpy()]

    def by_month():
        return money().groupby(frame["month"]).sum().to_numpy()

    def by_owner():
        sums = money().groupby([frame["owner"], frame["month"]]).sum()
        owner, month = (sums.index.get_level_values(level) for level in (0, 1))
        return matrix(sums, owner, month)

    return by_month, by_owner


def coded(table):
    """Return what the peers get: small codes and amounts."""
    return {
        "month": data.months(table),
        "stage": table.stage.astype(np.uint8),
        "owner": table.columns["owner"].astype(np.uint16),
        "amount": table.amount,
    }


def by_month(deals):
    """Return the table by month."""
    table = data.pipeline(deals)
    columns = coded(table)
    polars, duckdb, pandas = by_polars(columns), by_duckdb(columns), by_pandas(columns)
    exact = expected(table)
    for peer in (polars, duckdb, pandas):
        np.testing.assert_allclose(peer[0](), exact, rtol=1e-9)
    return rounds.measure(
        f"Forecast by month, {deals:,} deals",
        [
            *ours(table),
            Contender(
                "numpy: amount * probability[stage], bincount",
                lambda: naive(columns["amount"], columns["month"], columns["stage"]),
            ),
            Contender("duckdb, 2 threads", duckdb[0]),
            Contender("polars, 2 threads", polars[0]),
            Contender("pandas", pandas[0]),
        ],
        [
            Goal(AGAIN, LIMIT, at_most=1.3),
            Goal(FIRST, LIMIT, at_most=5.0),  # what is wanted of numpy alone
            Goal(AGAIN, "duckdb, 2 threads", at_least=4.0),
            Goal(AGAIN, "polars, 2 threads", at_least=6.0),
            Goal(AGAIN, "pandas", at_least=30.0),
            Goal(FIRST, "polars, 2 threads", at_least=2.0),
            Goal(OTHER, at_most=2.0),
        ],
    )


def by_owner(deals):
    """Return the table by owner and month."""
    table = data.pipeline(deals)
    columns = coded(table)
    polars, duckdb, pandas = by_polars(columns), by_duckdb(columns), by_pandas(columns)
    exact = expected(table, ("owner",))
    for peer in (*polars[1:], duckdb[1], pandas[1]):
        np.testing.assert_allclose(peer(), exact, rtol=1e-9)
    return rounds.measure(
        f"Forecast by owner and month (12,000 groups), {deals:,} deals",
        [
            *ours(table, ("owner",)),
            Contender("duckdb, 2 threads", duckdb[1]),
            Contender("polars, 2 threads", polars[1]),
            Contender("polars, 2 threads, stages summed apart", polars[2]),
            Contender("pandas", pandas[1]),
        ],
        [
            Goal(FIRST, LIMIT, at_most=3.0),
            Goal(FIRST, "duckdb, 2 threads", at_least=5.0),
            Goal(FIRST, "polars, 2 threads", at_least=25.0),
            Goal(FIRST, "pandas", at_least=40.0),
            Goal(OTHER, at_most=2.0),
        ],
        rounds=rounds.FEWEST,
    )


def tables(quick):
    """Yield the table by month and that by owner and month."""
    yield by_month(100_000 if quick else 10_000_000)
    yield by_owner(1_000_000 if quick else 10_000_000)


if __name__ == "__main__":
    rounds.main(tables)
