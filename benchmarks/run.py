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
    parser.add_argument("names", nargs="*", choices=[[], *names], help=", ".join(names))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    found, failed = [], []
    for name in options.names or names:
        begin = time.perf_counter()
        tables = run(name, quick=options.quick)
        found += tables or []
        failed += [] if tables is not None else [name]
        print(f"{name}: {time.perf_counter() - begin:.0f} s\n", flush=True)
    about = rounds.machine()
    whole = {"quick": options.quick, "machine": about, "tables": found}
    (options.out / "speed.json").write_text(json.dumps(whole, indent=1) + "\n")
    (options.out / "speed.md").write_text(page(about, found))
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
