"""Run the benchmarks, each script in a process of its own, and write one table.

    python benchmarks/run.py [--quick] [--out FOLDER] [NAME ...]

Figures go to FOLDER/speed.md and FOLDER/speed.json; a name is that of a script without `bench_`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import rounds

HERE = Path(__file__).parent


def main():
    """Run the scripts."""
    names = [path.stem.removeprefix("bench_") for path in sorted(HERE.glob("bench_*.py"))]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="smaller sizes")
    parser.add_argument("--out", type=Path, default=Path(".benchmarks"))
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(names))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    record = options.out / "speed.json"
    # Some scripts alone renew their own tables and leave the others.
    found = json.loads(record.read_text())["tables"] if options.names and record.exists() else {}
    failed = []
    for name in options.names or names:
        begin = time.perf_counter()
        tables = run(name, quick=options.quick)
        if tables is None:
            failed.append(name)
        else:
            found[name] = tables
        print(f"{name}: {time.perf_counter() - begin:.0f} s\n", flush=True)
    about = rounds.machine()
    record.write_text(json.dumps({"machine": about, "tables": found}, indent=1) + "\n")
    everything = [table for name in names for table in found.get(name, ())]
    (options.out / "speed.md").write_text(page(about, everything))
    print(f"written to {options.out / 'speed.md'} and speed.json")
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


def run(name, *, quick):
    """Return the tables of one script; None where it fails."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "tables.json"
        script = [sys.executable, str(HERE / f"bench_{name}.py"), "--json", str(file)]
        done = subprocess.run([*script, *(["--quick"] if quick else [])], check=False)  # noqa: S603 - own
        return json.loads(file.read_text()) if done.returncode == 0 else None


def page(about, tables):
    """Return all tables as Markdown: the goals first."""
    versions = ", ".join(f"{name} {version}" for name, version in about["packages"].items())
    where = (
        f"Measured on {about['cores']} cores, {about['memory_gb']} GB of memory, "
        f"{about['system']} {about['architecture']}, Python {about['python']}; {versions}."
    )
    lines = [
        where,
        "",
        "| job | figure | wanted | found | reached |",
        "|---|---|--:|--:|---|",
    ]
    for table in tables:
        for goal in table["goals"]:
            cells = (table["title"], *rounds.asked(goal, table["unit"]))
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", *map(rounds.markdown, tables)])


if __name__ == "__main__":
    main()
