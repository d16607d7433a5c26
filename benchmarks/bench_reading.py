"""Reading a change log from CSV and Parquet with all checks, and the library's own format."""

from __future__ import annotations

import pathlib
import tempfile

import data
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import rounds
from rounds import Contender, Goal

import funnel as fn

NAMES = {"id": "id", "stage": "stage", "at": "at", "amount": "amount", "expected_close": "close"}
PYARROW = "pyarrow, the table alone"


def rows(number):
    """Return a change log of about so many rows as a table of pyarrow: 6 columns."""
    columns = data.changes(int(number / 3.66))
    rng = np.random.default_rng(4)
    deal, at = columns["deal"], columns["at"]
    owners = np.array([f"Owner {owner:03}" for owner in range(data.OWNERS)])
    owner = rng.integers(0, data.OWNERS, deal[-1] + 1)[deal]
    names = np.array(data.FUNNEL.ids)[columns["stage"]]
    return pa.table(
        {
            "id": pa.array(data.ids(int(deal[-1]) + 1).astype("U12")[deal]),
            "stage": pa.array(names),
            "owner": pa.array(owners[owner]),
            "amount": pa.array(columns["amount"]),
            "close": pa.array((at + rng.integers(10, 200, len(at))).astype("datetime64[D]")),
            "at": pa.array(at.astype("datetime64[D]")),
        }
    )


def read(path):
    """Read a file into a history with all checks."""
    return fn.io.read_history(path, funnel=data.FUNNEL, **NAMES, attributes=["owner"])


def by_pandas(path):
    """Read the same types by pandas."""
    import pandas as pd

    if path.suffix == ".parquet":
        return lambda: pd.read_parquet(path)
    kinds = {"stage": "category", "owner": "category"}
    return lambda: pd.read_csv(path, parse_dates=["close", "at"], dtype=kinds)


def by_polars(path):
    """Read the same types by polars."""
    import polars as pl

    if path.suffix == ".parquet":
        return lambda: pl.read_parquet(path)
    return lambda: pl.read_csv(path, try_parse_dates=True)


def by_duckdb(path):
    """Read the same types into a table of DuckDB."""
    import duckdb

    base = duckdb.connect()
    base.execute("SET threads = 2")
    query = f"CREATE OR REPLACE TABLE deals AS SELECT * FROM '{path}'"  # noqa: S608 - our own path
    return lambda: base.execute(query)


def file_table(path, number, bare):
    """Return the table of one file."""
    ours = "read_history"
    return rounds.measure(
        f"Reading {number:,} rows of {path.suffix[1:]} into a history with all checks",
        [
            Contender(PYARROW, bare, "limit"),
            Contender(ours, lambda: read(path), "ours"),
            Contender("pandas", by_pandas(path)),
            Contender("polars, 2 threads", by_polars(path)),
            Contender("duckdb, 2 threads", by_duckdb(path)),
        ],
        [Goal(ours, PYARROW, at_most=1.6), Goal(ours, "pandas", at_least=1.2)],
        rounds=rounds.FEWEST,
    )


def own_format(folder, history, parquet):
    """Return the table of `save` and `open`."""
    import polars as pl

    path = folder / "deals.funnel"
    history.save(path)

    def load():
        opened = fn.History.open(path)
        return opened.deal, opened.at, opened.stage, dict(opened.columns)

    assert fn.History.open(path).identical_to(history)
    return rounds.measure(
        f"The library's own format, {len(history):,} rows",
        [
            Contender("reading the bytes", path.read_bytes, "limit"),
            Contender("History.open", lambda: fn.History.open(path), "ours"),
            Contender("History.open and every column, checksums and all", load, "ours"),
            Contender("save", lambda: history.save(folder / "again.funnel"), "ours"),
            Contender("Parquet by pyarrow", lambda: pa.parquet.read_table(parquet)),
            Contender("Parquet by polars, 2 threads", lambda: pl.read_parquet(parquet)),
        ],
        [Goal("History.open", at_most=5.0)],
        rounds=rounds.FEWEST,
    )


def tables(quick):
    """Yield CSV, Parquet and the own format."""
    table = rows(100_000 if quick else 1_000_000)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        csv, parquet = folder / "deals.csv", folder / "deals.parquet"
        pa.csv.write_csv(table, csv)
        pa.parquet.write_table(table, parquet)
        history = read(csv)
        assert len(history) == len(table)
        assert not history.findings.groups
        yield file_table(csv, len(table), lambda: pa.csv.read_csv(csv))
        yield file_table(parquet, len(table), lambda: pa.parquet.read_table(parquet))
        yield own_format(folder, history, parquet)


if __name__ == "__main__":
    rounds.main(tables)
