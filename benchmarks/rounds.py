"""Time contenders side by side: interleaved rounds, medians with their range, goals as ratios.

Every round runs each contender once, so that what else the machine does meets them all alike; only
ratios within one table count. A script yields tables, and ends with::

    if __name__ == "__main__":
        rounds.main(tables)
"""

from __future__ import annotations

import argparse
import gc
import importlib.metadata
import importlib.util
import json
import os
import platform
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

ROUNDS, FEWEST = 7, 5
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",  # more threads of BLAS than cores only wait for one another
    "OPENBLAS_NUM_THREADS": "1",
    "POLARS_MAX_THREADS": "2",
    "NUMBA_NUM_THREADS": "2",
}
PACKAGES = (
    "numpy",
    "scipy",
    "pyarrow",
    "pandas",
    "polars",
    "duckdb",
    "lifelines",
    "scikit-survival",
    "pm4py",
    "fast-poibin",
)
SCALE = {"s": 1.0, "ms": 1e3, "ns/deal": 1e9, "us/deal": 1e6}
KINDS = ("limit", "ours", "kernel", "peer")


def _nothing() -> tuple[()]:
    """Return no arguments."""
    return ()


@attrs.frozen
class Contender:
    """Something that is timed.

    Parameters
    ----------
    name : str
        Its row.
    run : callable
        What is timed.
    kind : str
        One of `KINDS`.
    fresh : callable
        Makes the arguments of `run` before each run, outside of its time: a table without what it
        keeps of earlier calls.
    times : float
        What the time is multiplied by: 50 where one of fifty equal parts is run (its row says that
        it is extrapolated), 1 / n for a time per deal.
    rounds : int or None
        Fewer rounds than the others, for what takes minutes.
    """

    name: str
    run: Callable[..., object]
    kind: str = attrs.field(default="peer", validator=attrs.validators.in_(KINDS))
    fresh: Callable[[], tuple[object, ...]] = attrs.field(default=_nothing, kw_only=True)
    times: float = attrs.field(default=1.0, kw_only=True)
    rounds: int | None = attrs.field(default=None, kw_only=True)


@attrs.frozen
class Goal:
    """A ratio to reach: ours over a limit, a peer over ours; without `other`, the time itself."""

    ours: str
    other: str | None = None
    at_most: float | None = attrs.field(default=None, kw_only=True)
    at_least: float | None = attrs.field(default=None, kw_only=True)


def _status(key: str) -> float:
    """Return a line of the kernel's account of this process, MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(key)) / 1024


def _once(contender: Contender) -> tuple[float, float]:
    """Run a contender once: seconds, and MB by which the process grew meanwhile (NaN unknown)."""
    given = contender.fresh()
    gc.collect()
    traced = Path("/proc/self/clear_refs")
    before = np.nan
    if os.access(traced, os.W_OK):
        traced.write_text("5")  # the high-water mark starts anew
        before = _status("VmRSS")
    gc.disable()
    try:
        begin = time.perf_counter()
        result = contender.run(*given)
        seconds = time.perf_counter() - begin
    finally:
        gc.enable()
    grown = np.nan if np.isnan(before) else max(_status("VmHWM") - before, 0.0)
    del result
    return seconds * contender.times, grown


def measure(
    title: str,
    contenders: Sequence[Contender],
    goals: Iterable[Goal] = (),
    *,
    unit: str = "ms",
    rounds: int = ROUNDS,
    warm: bool = True,
) -> dict[str, object]:
    """Return a table: each contender's median, range and growth of memory, and each goal's ratio.

    `warm` runs everything once before it counts.
    """
    if warm:
        for contender in contenders:
            _once(contender)
    found: dict[str, list[tuple[float, float]]] = {contender.name: [] for contender in contenders}
    for number in range(rounds):
        for contender in contenders:
            if number < (contender.rounds or rounds):
                found[contender.name].append(_once(contender))
    rows = []
    for contender in contenders:
        seconds, grown = np.array(found[contender.name]).T * np.array([[SCALE[unit]], [1.0]])
        peak = float(grown.max())
        rows.append(
            {
                "name": contender.name,
                "kind": contender.kind,
                "median": float(np.median(seconds)),
                "low": float(seconds.min()),
                "high": float(seconds.max()),
                "rounds": len(seconds),
                "extrapolated": contender.times > 1.0,
                "peak_mb": None if np.isnan(peak) else peak,
            }
        )
    medians = {row["name"]: row["median"] for row in rows}
    judged = [_judged(goal, medians) for goal in goals]
    return {"title": title, "unit": unit, "rows": rows, "goals": judged}


def _judged(goal: Goal, medians: dict[str, float]) -> dict[str, object]:
    """Return what a goal asks for, and what was found."""
    ours = medians[goal.ours]
    other = 1.0 if goal.other is None else medians[goal.other]
    found = ours / other if goal.at_least is None else other / ours
    wanted = goal.at_most if goal.at_least is None else goal.at_least
    reached = found <= wanted if goal.at_least is None else found >= wanted
    return {**attrs.asdict(goal), "found": found, "reached": bool(reached)}


# -- out -------------------------------------------------------------------------------------------


def number(value: float) -> str:
    """Return three digits that count."""
    if value >= 100.0:
        return f"{value:,.0f}"
    return f"{value:.2f}" if value >= 10.0 else f"{value:.3g}"


def asked(goal: dict[str, object], unit: str) -> tuple[str, str, str, str]:
    """Return a goal as words: what, wanted, found, reached."""
    at_most = goal["at_least"] is None
    first, second = (goal["ours"], goal["other"]) if at_most else (goal["other"], goal["ours"])
    sign, bound = ("≤", goal["at_most"]) if at_most else ("≥", goal["at_least"])
    suffix = f" {unit}" if goal["other"] is None else " ×"
    what = str(first) if goal["other"] is None else f"{first} / {second}"
    found = f"{number(goal['found'])}{suffix}"
    return what, f"{sign} {bound:,g}{suffix}", found, "yes" if goal["reached"] else "**no**"


def markdown(table: dict[str, object]) -> str:
    """Return a table as Markdown, with its goals below."""
    unit, rows = str(table["unit"]), table["rows"]
    limit = next((row["median"] for row in rows if row["kind"] == "limit"), None)
    lines = [
        f"### {table['title']}",
        "",
        f"| contender | median, {unit} | range | × limit | peak, MB |",
        "|---|--:|--:|--:|--:|",
    ]
    for row in rows:
        name = f"**{row['name']}**" if row["kind"] in {"ours", "kernel"} else row["name"]
        name += " (limit)" if row["kind"] == "limit" else ""
        name += " (extrapolated)" if row["extrapolated"] else ""
        spread = f"{number(row['low'])} – {number(row['high'])}"
        spread += f" ({row['rounds']} rounds)" if row["rounds"] < FEWEST else ""
        over = "–" if limit is None else number(row["median"] / limit)
        peak = "–" if row["peak_mb"] is None else f"{row['peak_mb']:.0f}"
        lines.append(f"| {name} | {number(row['median'])} | {spread} | {over} | {peak} |")
    if table["goals"]:
        lines += ["", "| figure | wanted | found | reached |", "|---|--:|--:|---|"]
        lines += [f"| {' | '.join(asked(goal, unit))} |" for goal in table["goals"]]
    return "\n".join([*lines, ""])


def machine() -> dict[str, object]:
    """Return what the figures were measured on, in general terms."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "cores": os.cpu_count(),
        "memory_gb": round(pages / 1e9),
        "architecture": platform.machine(),
        "system": platform.system(),
        "python": platform.python_version(),
        "packages": versions,
    }


def has(module: str) -> bool:
    """Tell whether a peer is installed; say so where it is not."""
    if importlib.util.find_spec(module) is not None:
        return True
    print(f"{module} is not installed: its rows are left out", file=sys.stderr)
    return False


def main(tables: Callable[[bool], Iterator[dict[str, object]]]) -> None:
    """Run a script: print its tables as they come, and write them to a file where asked to."""
    if any(os.environ.get(name) != value for name, value in ENVIRONMENT.items()):
        # Libraries read these once, when they are loaded.
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **ENVIRONMENT})  # noqa: S606
    parser = argparse.ArgumentParser(description=(sys.modules["__main__"].__doc__ or "").strip())
    parser.add_argument("--quick", action="store_true", help="smaller sizes, in seconds")
    parser.add_argument("--json", type=Path, help="write the tables to this file")
    options = parser.parse_args()
    done = []
    for table in tables(options.quick):
        print(markdown(table), flush=True)
        done.append(table)
    if options.json:
        options.json.write_text(json.dumps(done, indent=1))
