"""How long `import funnel` takes, as a whole process."""

from __future__ import annotations

import subprocess
import sys

import rounds
from rounds import Contender, Goal

OURS, LIMIT, FIRST = "import funnel", "import numpy", "import funnel, first forecast"
HEAVY = ("scipy", "pandas", "pyarrow", "polars", "duckdb")
PEERS = ("pandas", "polars", "lifelines", "duckdb", "sksurv.nonparametric", "pm4py")
FORECAST = """
import funnel as fn
table = fn.Pipeline.from_columns(
    funnel=fn.Funnel.template("project"), as_of="2026-06-30", id=["A"], stage=["proposal"],
    amount=[100.0], expected_close=["2026-07-15"],
)
fn.forecast(table, fn.Horizon.quarters("2026-07-01", 4), "textbook").expected
"""


def run(code):
    """Run code in a new interpreter."""
    return subprocess.run(  # noqa: S603 - the code is written above
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout


def tables(quick):
    """Yield the table of imports."""
    loaded = run(f"import sys, funnel; print([name for name in {HEAVY} if name in sys.modules])")
    assert loaded.strip() == "[]", loaded
    peers = [name for name in PEERS[: 3 if quick else None] if rounds.has(name.split(".")[0])]
    goals = [Goal(OURS, LIMIT, at_most=1.2)]
    goals += [Goal(OURS, "import lifelines", at_least=10.0)] if "lifelines" in peers else []
    yield rounds.measure(
        "Start of a process",
        [
            Contender(LIMIT, lambda: run("import numpy"), "limit"),
            Contender(OURS, lambda: run("import funnel"), "ours"),
            Contender(FIRST, lambda: run(FORECAST), "ours"),
            Contender("no import", lambda: run("pass")),
            *(
                Contender(f"import {name}", lambda name=name: run(f"import {name}"))
                for name in peers
            ),
        ],
        goals,
        rounds=rounds.FEWEST,
    )


if __name__ == "__main__":
    rounds.main(tables)
