"""Fifty past snapshots of a change log, and the open deals and money by stage on these days."""

from __future__ import annotations

import attrs
import data
import numpy as np
import rounds
from rounds import Contender, Goal

import funnel as fn

DATES = 50
SOME = 2  # dates that the ASOF join is timed on
LIMIT, OURS = f"copying {DATES} snapshots", f"{DATES} snapshots: stage, days in it, amount"
TOTALS, JOIN = f"open deals and money by stage, {DATES} days", "duckdb, 2 threads, interval join"
WHOLE, SMALL = f"{DATES} snapshots: all columns", "copying stage, days and amounts of them"


def arrays(pipeline):
    """Return all arrays of a snapshot, which it takes now; names of deals left out."""
    fields = (getattr(pipeline, field.name) for field in attrs.fields(type(pipeline)))
    own = [value for value in fields if isinstance(value, np.ndarray) and value.dtype != object]
    return [*own, *pipeline.columns.values()]


def asked(pipeline):
    """Return what the dataframes give too."""
    return [pipeline.stage, pipeline.days_in_stage, pipeline.amount]


def all_of(history, days, columns=asked):
    """Take columns of all snapshots; return the number of deals in them."""
    return sum(len(columns(pipeline)[0]) for pipeline in history.snapshots(days))


def frame_of(history):
    """Return the log as a dataframe of polars."""
    import polars as pl

    names = ("deal", "at", "stage")
    columns = {name: getattr(history, name) for name in names}
    return pl.DataFrame({**columns, "amount": history.columns["amount"]})


def by_polars(history, days):
    """Return stage, days in it and amount of each deal at each date by polars."""
    import polars as pl

    frame = frame_of(history)
    same = pl.col("deal").shift(-1) == pl.col("deal")
    frame = frame.with_columns(
        left=pl.when(same).then(pl.col("at").shift(-1)).otherwise(np.iinfo(np.int32).max)
    )

    def one(day):
        known = frame.lazy().filter((pl.col("at") <= day) & (pl.col("left") > day))
        return known.select("deal", "stage", "amount", age=day - pl.col("at")).collect()

    def shifted(day):
        known = frame.lazy().filter(pl.col("at") <= day)
        last = (pl.col("deal").shift(-1) != pl.col("deal")).fill_null(value=True)
        known = known.filter(last)
        return known.select("deal", "stage", "amount", age=day - pl.col("at")).collect()

    return (
        lambda: sum(len(one(day)) for day in days),
        lambda: sum(len(shifted(day)) for day in days),
    )


def by_duckdb(history, days):
    """Return the same by an ASOF join of DuckDB."""
    import duckdb
    import polars as pl

    base = duckdb.connect()
    base.execute("SET threads = 2")
    log = frame_of(history)
    deals = pl.DataFrame({"deal": np.arange(history.n_deals, dtype=np.int32)})
    base.register("log_frame", log)
    base.register("deal_frame", deals)
    base.execute("CREATE TABLE log AS SELECT * FROM log_frame")
    base.execute("CREATE TABLE deals AS SELECT * FROM deal_frame")

    def one(day):
        query = f"""SELECT d.deal, l.stage, l.amount, {day} - l.at AS age
                    FROM (SELECT deal, {day} AS day FROM deals) d
                    ASOF JOIN log l ON d.deal = l.deal AND d.day >= l.at"""  # noqa: S608 - numbers
        return base.execute(query).fetchnumpy()

    return lambda: sum(len(one(day)["deal"]) for day in days)


INTERVALS = """SELECT stage, amount, "at" AS since,
    coalesce(lead("at") OVER (PARTITION BY deal ORDER BY number), 2147483647) AS gone FROM log"""
TOTAL = """SELECT day, stage, count(*) AS deals, sum(amount) AS money FROM days
    JOIN {intervals} ON since <= day AND gone > day WHERE stage < {stages} GROUP BY ALL"""


def totals_by_duckdb(history, days):
    """Return deals and money by day and stage, from the log and from a table of intervals."""
    import duckdb
    import polars as pl

    base = duckdb.connect()
    base.execute("SET threads = 2")
    base.register("log_frame", frame_of(history).with_row_index("number"))
    base.register("day_frame", pl.DataFrame({"day": days}))
    base.execute("CREATE TABLE log AS SELECT * FROM log_frame")
    base.execute("CREATE TABLE days AS SELECT * FROM day_frame")
    base.execute(f"CREATE TABLE kept AS {INTERVALS}")

    def one(intervals):
        query = TOTAL.format(intervals=intervals, stages=data.STAGES)
        return int(base.execute(query).fetchnumpy()["deals"].sum())

    return lambda: one(f"({INTERVALS})"), lambda: one("kept")


def totals_by_polars(history, days):
    """Return the number of open deals on all days; each day sums its rows by stage."""
    import polars as pl

    frame = frame_of(history)

    def one(day):
        known = frame.lazy().filter(pl.col("at") <= day)
        last = (pl.col("deal").shift(-1) != pl.col("deal")).fill_null(value=True)
        held = known.filter(last).filter(pl.col("stage") < data.STAGES)
        return held.group_by("stage").agg(pl.len(), pl.col("amount").sum()).collect()

    return lambda: sum(int(one(day)["len"].sum()) for day in days)


def counted(history, dates):
    """Return the number of open deals on all days."""
    return int(fn.metrics.pipeline_trend(history, dates).count.sum())


def swept(history, dates):
    """Return the same, snapshot by snapshot."""
    total = 0
    for pipeline in history.snapshots(dates, outcome=fn.Outcome.OPEN):
        deals = np.bincount(pipeline.stage, minlength=data.STAGES)
        np.bincount(pipeline.stage, pipeline.amount, minlength=data.STAGES)
        total += int(deals.sum())
    return total


def tables(quick):
    """Yield the table of fifty snapshots, and that of their totals."""
    history = data.history(50_000 if quick else 1_000_000)
    days = np.linspace(data.LAST - data.WINDOW, data.LAST, DATES + 1).astype(int).tolist()[1:]
    dates = np.array(days, dtype="datetime64[D]")
    sizes = [len(history.snapshot(day)) for day in dates]
    last, few = arrays(history.snapshot(dates[-1])), asked(history.snapshot(dates[-1]))
    intervals, shifted = by_polars(history, days)
    asof = by_duckdb(history, days[-SOME:])
    assert sum(sizes) == intervals() == shifted() == all_of(history, dates)
    assert sum(sizes[-SOME:]) == asof()

    def copied(columns):
        for size in sizes:  # a snapshot is there as a whole, until the next one is
            kept = [values[:size].copy() for values in columns]
        return kept

    def fresh():
        return (attrs.evolve(history),)

    width = sum(values.itemsize for values in last)
    yield rounds.measure(
        f"{DATES} past snapshots of {history.n_deals:,} deals, {len(history):,} rows "
        f"({width} bytes each)",
        [
            Contender(LIMIT, lambda: copied(last), "limit"),
            Contender(SMALL, lambda: copied(few), "limit"),
            Contender(OURS, lambda new: all_of(new, dates), "ours", fresh=fresh),
            Contender("the same history again", lambda: all_of(history, dates), "ours"),
            Contender(WHOLE, lambda new: all_of(new, dates, arrays), "ours", fresh=fresh),
            Contender("polars, 2 threads, filter and last", shifted),
            Contender("polars, 2 threads, on its own table of intervals", intervals),
            Contender("duckdb, 2 threads, ASOF join", asof, times=DATES / SOME),
        ],
        [
            Goal(OURS, LIMIT, at_most=1.4),
            Goal(OURS, SMALL, at_most=1.4),
            Goal(WHOLE, LIMIT, at_most=1.4),
            Goal(OURS, "polars, 2 threads, filter and last", at_least=10.0),
            Goal(OURS, "duckdb, 2 threads, ASOF join", at_least=80.0),
        ],
        rounds=rounds.FEWEST,
    )
    joined, prepared = totals_by_duckdb(history, days)
    shifted = totals_by_polars(history, days)
    assert counted(history, dates) == swept(history, dates) == joined() == prepared() == shifted()
    yield rounds.measure(
        f"Open deals and money by stage at {DATES} dates, {len(history):,} rows",
        [
            Contender(
                "the same from snapshots of open deals", lambda: swept(history, dates), "ours"
            ),
            Contender(TOTALS, lambda new: counted(new, dates), "ours", fresh=fresh),
            Contender("polars, 2 threads, filter, last and group by", shifted),
            Contender(JOIN, joined),
            Contender("duckdb, 2 threads, on its own table of intervals", prepared),
        ],
        [
            Goal(TOTALS, "the same from snapshots of open deals", at_most=1.0),
            Goal(TOTALS, JOIN, at_least=15.0),
        ],
        rounds=rounds.FEWEST,
    )


if __name__ == "__main__":
    rounds.main(tables)
