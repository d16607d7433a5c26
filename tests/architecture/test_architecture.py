"""Rules about the code itself, as tests; the direction of imports is checked by import-linter."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
import types
from pathlib import Path

import pytest

import funnel

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "funnel"
FILES = sorted(PACKAGE.rglob("*.py"))
PUBLIC_API = Path(__file__).with_name("public_api.txt")

MOST_LINES = 400
HEAVY = {
    *("dask", "distributed", "duckdb", "hypothesis", "narwhals", "pandas", "plotly", "polars"),
    *("pyarrow", "pytest", "rich", "scipy", "sklearn", "typer"),
}


def module_name(path: Path) -> str:
    """Return the dotted name of a file of the package."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def is_public(path: Path) -> bool:
    """Tell whether users may import a file: no part of its name begins with an underscore."""
    return not any(part.startswith("_") for part in module_name(path).split("."))


def tree(path: Path) -> ast.Module:
    """Parse a file."""
    return ast.parse(path.read_text(encoding="utf-8"))


def every(paths: list[Path]) -> pytest.MarkDecorator:
    """Run a test once for each file."""
    return pytest.mark.parametrize("path", paths, ids=module_name)


# --- imports -------------------------------------------------------------------------------------


def test_import_loads_nothing_heavy():
    """`import funnel` costs numpy and attrs: no scipy, no dataframes, no tools."""
    script = "import funnel, json, sys; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=True, text=True, cwd=ROOT
    )
    loaded = {name.partition(".")[0] for name in json.loads(done.stdout)}
    assert "funnel" in loaded
    assert loaded & HEAVY == set()


def imported(node: ast.AST) -> list[str]:
    """Return the modules that a statement imports."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and not node.level:
        return [f"{node.module}.{alias.name}" for alias in node.names]
    return ["a relative import"] if isinstance(node, ast.ImportFrom) else []


def is_kernel_import(name: str) -> bool:
    """Tell whether a kernel may import a module: arrays, and other kernels."""
    top = name.partition(".")[0]
    if top == "funnel":
        return name.startswith(("funnel.kernels", "funnel.typing"))
    return top in {"numpy", "scipy"} or top in sys.stdlib_module_names


@every([path for path in FILES if path.is_relative_to(PACKAGE / "kernels")])
def test_kernels_know_arrays_only(path):
    """Kernels import numpy, scipy, the standard library, funnel.typing, and one another."""
    names = [name for node in ast.walk(tree(path)) for name in imported(node)]
    assert [name for name in names if not is_kernel_import(name)] == []


# --- files ---------------------------------------------------------------------------------------


@every(FILES)
def test_files_can_be_read_in_one_sitting(path):
    """A file that has grown too long holds two things."""
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES


@every([path for path in FILES if not module_name(path).startswith("funnel.cli")])
def test_the_library_does_not_print(path):
    """Only the command line talks to a terminal; a library returns."""
    calls = (node.func for node in ast.walk(tree(path)) if isinstance(node, ast.Call))
    assert [f.lineno for f in calls if isinstance(f, ast.Name) and f.id == "print"] == []


def repository_files() -> list[Path]:
    """Return the text files that are, or would be, committed."""
    command = [shutil.which("git") or "git", "ls-files", "-co", "--exclude-standard", "-z"]
    listed = subprocess.run(command, capture_output=True, check=True, cwd=ROOT).stdout
    paths = [ROOT / name for name in listed.decode().split("\0") if name]
    return [path for path in paths if path.is_file() and b"\0" not in path.read_bytes()]


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a git checkout")
def test_no_machine_is_named():
    """No path of somebody's machine and no address of a download or package index is committed."""
    # Each pattern has brackets in it, so that it does not match itself.
    private = re.compile(
        r"[/](root|work|Users)[/]\w|[/]home[/]\w|[/]tmp[/]\w"
        r"|https?:[/]{2}\S+\.(whl|tar\.gz|zip)\b"
        r"|(files\.python[h]osted|pypi[.]org[/]simple|registry[.]npm[j]s)"
    )
    found = [
        f"{path.relative_to(ROOT)}: {match.group()}"
        for path in repository_files()
        for match in private.finditer(path.read_text(encoding="utf-8", errors="replace"))
    ]
    assert found == []


# --- names ---------------------------------------------------------------------------------------


def isort_style(name: str) -> tuple[int, str]:
    """Return the key by which ruff sorts `__all__`: constants, classes, then the rest."""
    kind = 0 if name.isupper() and len(name) > 1 else 1 if name[0].isupper() else 2
    return kind, name


def defines_something(path: Path) -> bool:
    """Tell whether a module is more than its docstring."""
    return len(tree(path).body) > 1


@every([path for path in FILES if is_public(path) and defines_something(path)])
def test_modules_say_what_they_export(path):
    """Each public module has a sorted `__all__` without doubles, and holds every name in it."""
    module = importlib.import_module(module_name(path))
    names = list(module.__all__)
    assert sorted(set(names), key=isort_style) == names
    assert [name for name in names if not hasattr(module, name)] == []


def undocumented(node: ast.AST, prefix: str) -> list[str]:
    """Return the public classes and functions below a node that have no docstring."""
    found = []
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        decorators = {ast.unparse(item).rpartition(".")[2] for item in child.decorator_list}
        if child.name.startswith("_") or decorators & {"overload", "setter", "deleter"}:
            continue
        name = f"{prefix}.{child.name}"
        if not ast.get_docstring(child):
            found.append(name)
        if isinstance(child, ast.ClassDef):
            found += undocumented(child, name)
    return found


@every(FILES)
def test_everything_public_is_documented(path):
    """Each module, public class, function and method says what it is for."""
    parsed = tree(path)
    assert ast.get_docstring(parsed), "the module has no docstring"
    assert undocumented(parsed, module_name(path)) == []


# --- the public API, as text ---------------------------------------------------------------------


def signature(value: object) -> str:
    """Return the signature of a callable, or nothing where Python knows none."""
    try:
        return str(inspect.signature(value))
    except (TypeError, ValueError):
        return ""


def ours(cls: type) -> list[type]:
    """Return a class and those of its bases that this package defines."""
    return [base for base in cls.__mro__ if base.__module__.partition(".")[0] == "funnel"]


def constructor(cls: type) -> str:
    """Return how to make a value of a class, where this package says so."""
    makers = (vars(base).get("__init__") for base in ours(cls))
    modules = {getattr(maker, "__module__", None) or "" for maker in makers if maker}
    return signature(cls) if any(name.startswith("funnel") for name in modules) else ""


def members(cls: type) -> list[str]:
    """Describe the public members of a class that this package defines."""
    names = {name for base in ours(cls) for name in vars(base) if not name.startswith("_")}
    lines = []
    for name in sorted(names):
        value = inspect.getattr_static(cls, name)
        if isinstance(value, classmethod | staticmethod):
            value = value.__func__
        lines.append(f"    .{name}{signature(value) if callable(value) else ''}")
    return lines


def described(name: str, value: object) -> list[str]:
    """Describe one public name: a class with its members, a module with its exports."""
    if isinstance(value, types.ModuleType):
        return [f"module {name}", *(f"    {line}" for line in exports(value))]
    if isinstance(value, type):
        bases = ", ".join(base.__name__ for base in value.__bases__ if base is not object)
        kind = f"class {name}({bases})" if bases else f"class {name}"
        return [f"{kind}: {constructor(value)}".rstrip(": "), *members(value)]
    if inspect.isroutine(value):
        return [f"def {name}{signature(value)}"]
    return [f"{name}: {type(value).__name__}"]


def exports(module: types.ModuleType) -> list[str]:
    """Describe what a module exports; what stands at the top already is only named."""
    lines = []
    for name in module.__all__:
        value = getattr(module, name)
        known = value is getattr(funnel, name, None)
        lines += [name] if known else described(name, value)
    return lines


def test_public_api_changes_on_purpose():
    """Every name that users can import, with its signature, is as promised in public_api.txt."""
    lines = [line for name in funnel.__all__ for line in described(name, getattr(funnel, name))]
    actual = "\n".join([*lines, ""])
    if os.environ.get("FUNNEL_UPDATE_API"):
        PUBLIC_API.write_text(actual, encoding="utf-8")
    expected = PUBLIC_API.read_text(encoding="utf-8")
    assert expected == actual, "if this is meant, run the test with FUNNEL_UPDATE_API=1"
