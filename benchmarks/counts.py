"""Count the instructions of the main kernels, and compare them with those in counts.json.

    python benchmarks/counts.py [--update]

Instructions do not depend on what else a machine does, so that a kernel which became slower shows
on any day. One process under valgrind runs each kernel once for its caches and once to be counted;
`getppid` marks where a count begins. What the processor would choose is fixed: numpy and BLAS
take no vector extensions, there is one thread, and hashes have no seed. Two yardsticks, of the
interpreter and of numpy, tell whether the counts were taken on another kind of build; then, and
where versions differ, nothing can be said, and the check says so and passes.
"""

from __future__ import annotations

import argparse
import gc
import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

RECORD = Path(__file__).with_name("counts.json")
GROWTH, SAME = 1.10, 1.05
YARDSTICKS = ("yardstick: interpreter", "yardstick: numpy")


# -- what is counted -------------------------------------------------------------------------------


def kernels():
    """Return what is counted by name, on fixed inputs."""
    import attrs
    import data

    import funnel as fn
    from funnel.kernels import compound, renewal, survival

    rng = np.random.default_rng(5)
    history, pipeline = data.history(2_000), data.pipeline(20_000)
    model = fn.DealForecaster("semi-markov", arrivals=None).fit(data.history(200)).model
    p, a = rng.random(20_000), rng.lognormal(9.0, 1.0, 20_000)
    counts = rng.integers(0, 5, (8, 10, 720))
    risk = counts.sum(axis=1)[:, ::-1].cumsum(axis=1)[:, ::-1]
    hazards = 0.04 * rng.random((8, 10, 1)) / 10.0 * np.ones(720)
    cells, ahead = np.stack(np.divmod(np.arange(8 * 720), 720)), np.arange(30, 361, 30)
    date, levels = data.AS_OF + np.arange(180, 181), np.array([0.1, 0.5, 0.9])
    days = data.AS_OF - np.arange(0, 700, 14)
    floats = rng.random(200_000)

    def table():
        leaving = renewal.densities(hazards[:, :, :361])
        fresh = renewal.fresh_wins(leaving[:, :8], leaving[:, 8])
        return renewal.conditional_wins(hazards, 8, fresh, cells, ahead)

    def forecast(by=()):
        return fn.forecast(attrs.evolve(pipeline), data.YEAR, "textbook", by=by).expected

    return {
        YARDSTICKS[0]: lambda: sum(len(str(number)) for number in range(20_000)),
        YARDSTICKS[1]: lambda: np.sort(floats).cumsum(),
        "stays of a change log": lambda: attrs.evolve(history).pieces,
        "stage_durations": lambda: fn.metrics.stage_durations(history),
        "conversion": lambda: fn.metrics.conversion(history),
        "pipeline_trend": lambda: fn.metrics.pipeline_trend(history, days),
        "aalen_johansen": lambda: survival.aalen_johansen(counts, risk),
        # A table that is made anew asks for all columns.
        "snapshot": lambda: attrs.evolve(history.snapshot("2026-01-31")),
        "forecast by month": forecast,
        "forecast by owner": lambda: forecast(("owner",)),
        "quantiles of a large book": lambda: compound.quantile(
            compound.deal_law(0.0, p, a), levels
        ),
        "quantiles of a small book": lambda: compound.quantile(
            compound.deal_law(0.0, p[:60], a[:60]), levels
        ),
        "number of wins": lambda: compound.poisson_binomial(p[:4_000]),
        "table of chances by stage and age": table,
        "win_curve": lambda: model.win_curve(pipeline, date),
    }


def child(wanted):
    """Run each kernel between two marks."""
    every = kernels()
    runs = [every[name] for name in wanted]  # in the order in which the parts are read
    for run in runs:
        run()
    gc.disable()
    os.getppid()
    for run in runs:
        run()
        os.getppid()


# -- counting --------------------------------------------------------------------------------------


def environment():
    """Return variables under which every machine of one kind counts the same."""
    extensions = np.show_config(mode="dicts")["SIMD Extensions"]
    chosen = [*extensions.get("found", ()), *extensions.get("not found", ())]
    return {
        **os.environ,
        "NPY_DISABLE_CPU_FEATURES": " ".join(chosen),
        "OPENBLAS_CORETYPE": "Nehalem",
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "FUNNEL_THREADS": "1",
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def counted(names):
    """Return the instructions of one call of each kernel, counted in one process under valgrind."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "counts"
        command = [
            shutil.which("valgrind") or "valgrind",
            "--tool=callgrind",
            f"--callgrind-out-file={out}",
            "--dump-before=getppid",
        ]
        done = subprocess.run(  # noqa: S603 - this script
            [*command, sys.executable, __file__, "--child", *names],
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            sys.exit(f"counting failed:\n{done.stderr[-3000:]}")
        # The first part is all that came before, the last (without a number) all that came after.
        parts = [Path(f"{out}.{number}") for number in range(2, len(names) + 2)]
        return {name: total(part) for name, part in zip(names, parts, strict=True)}


def total(part):
    """Return the sum of one part."""
    lines = part.read_text().splitlines()
    return int(next(line for line in lines if line.startswith("totals:")).split()[1])


def versions():
    """Return what must be the same for counts to be compared."""
    packages = {name: importlib.metadata.version(name) for name in ("numpy", "scipy")}
    python = ".".join(platform.python_version_tuple()[:2])
    return {"python": python, "machine": platform.machine(), **packages}


# -- judging ---------------------------------------------------------------------------------------


def skipped(reason):
    """Say why nothing can be said."""
    print(f"SKIPPED, instruction counts were not checked: {reason}")


def main():
    """Compare, or write the record anew."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--update", action="store_true", help="write counts.json anew")
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child)
        return
    if not shutil.which("valgrind"):
        skipped("valgrind is not installed.")
        return
    here = versions()
    if options.update:
        found = counted(list(kernels()))
        RECORD.write_text(json.dumps({"versions": here, "instructions": found}, indent=1) + "\n")
        print(f"wrote {len(found)} counts to {RECORD.name}")
        return
    record = json.loads(RECORD.read_text())
    other = [
        f"{key} {here[key]} is not {value}"
        for key, value in record["versions"].items()
        if here[key] != value
    ]
    if other:
        skipped(f"they hold for other versions ({', '.join(other)}).")
        return
    judge(record["instructions"], counted(list(kernels())))


def judge(before, found):
    """Print all counts; fail where one grew, or where the record does not fit the kernels."""
    if before.keys() != found.keys():
        sys.exit(
            f"{RECORD.name} does not list the kernels of this script: make counts UPDATE=--update"
        )
    ratio = {name: found[name] / before[name] for name in found}
    for name, number in found.items():
        print(f"{name:36s} {number:13,d}  {100 * ratio[name] - 100:+7.1f} %")
    built = [name for name in YARDSTICKS if not 1 / SAME < ratio[name] < SAME]
    if built:
        skipped(f"they hold for another build ({', '.join(built)}).")
        return
    grown = [name for name in found if ratio[name] > GROWTH]
    if grown:
        sys.exit(
            f"{', '.join(grown)}: more than {100 * GROWTH - 100:.0f} % more instructions than "
            f"{RECORD.name} says. Mend it, or if it must be: make counts UPDATE=--update"
        )
    less = [name for name in found if ratio[name] * GROWTH < 1.0]
    if less:
        print(f"{', '.join(less)}: fewer than before; keep it: make counts UPDATE=--update")


if __name__ == "__main__":
    main()
