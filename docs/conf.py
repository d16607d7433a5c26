"""Settings of Sphinx for this documentation."""

from __future__ import annotations

import builtins
import importlib
import importlib.metadata
import pkgutil
import re
import types
from pathlib import Path
from typing import TYPE_CHECKING, Generic, get_origin

import funnel

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "salesfunnel"
author = "The salesfunnel authors"
project_copyright = author
release = importlib.metadata.version("salesfunnel")
version = ".".join(release.split(".")[:2])

extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.doctest",
    "sphinx.ext.mathjax",
]
source_suffix = {".md": "myst-nb", ".rst": "restructuredtext"}
exclude_patterns = ["_build", "jupyter_execute"]
html_theme = "furo"
html_title = f"salesfunnel {release}"
html_show_sphinx = False
html_copy_source = False

# `as_of` in a docstring is code, whether or not a page exists for it.
default_role = "code"

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
nb_execution_mode = "auto"
nb_execution_raise_on_error = True

# Docstrings are run by pytest, where NUMBER is a known flag; pages are run here.
doctest_test_doctest_blocks = ""

# The parameter tables of the docstrings give types with shapes and units.
autodoc_typehints = "none"
autodoc_member_order = "bysource"
numpydoc_show_class_members = False  # autodoc lists them with their docstrings
autosummary_generate = False  # its tables only: the pages are written below


# --- one page for each public module, filled from its __all__ ------------------------------------

GENERATED = Path(__file__).parent / "reference" / "generated"


def public_modules() -> list[str]:
    """Return the dotted names of all modules that export something, the package itself first."""
    below = pkgutil.walk_packages(funnel.__path__, prefix="funnel.")
    names = ["funnel", *sorted(info.name for info in below)]
    public = [name for name in names if not re.search(r"\._", name)]
    return [name for name in public if hasattr(importlib.import_module(name), "__all__")]


def home(module: str, name: str) -> str:
    """Return the module that has the entry of an exported object; each has one entry."""
    value = getattr(importlib.import_module(module), name)
    if isinstance(value, types.ModuleType):
        return value.__name__.rpartition(".")[0]
    # Where it is defined; what a private module defines is at home in its package.
    origin = str(getattr(value, "__module__", module)).partition("._")[0]
    if not origin.startswith("funnel"):
        return module  # data do not know where they are defined
    exported = getattr(importlib.import_module(origin), "__all__", ())
    return origin if name in exported else module


def page(module: str) -> str:
    """Write the page of a module: entries for what it defines, links for what it passes on."""
    exporter = importlib.import_module(module)
    own, links = [], []
    for name in exporter.__all__:
        origin = home(module, name)
        if origin == module and not isinstance(getattr(exporter, name), types.ModuleType):
            own.append(name)
        else:  # inside of a module, autosummary wants names relative to it
            links.append(f"   ~{origin}.{name}".replace(f"~{module}.", "~"))
    lines = [module, "=" * len(module), "", f".. automodule:: {module}"]
    if own:
        lines += [f"   :members: {', '.join(own)}", "   :show-inheritance:"]
    if links:
        lines += ["", ".. rubric:: Available here", "", ".. autosummary::", "", *links]
    return "\n".join([*lines, ""])


def write_pages(app: Sphinx) -> None:
    """Write the pages of the reference before Sphinx looks for its sources."""
    del app
    GENERATED.mkdir(exist_ok=True)
    for module in public_modules():
        (GENERATED / f"{module}.rst").write_text(page(module), encoding="utf-8")


def show_aliases_plainly(app: Sphinx, what: str, *rest: object) -> tuple[None, None] | None:
    """Keep numpydoc from giving a type alias the signature of the class that it stands for."""
    del app, rest
    return (None, None) if what == "data" else None


def show_public_bases(
    app: Sphinx, name: str, cls: type, options: object, bases: list[type]
) -> None:
    """Leave out bases that have no page: private ones, and ``Generic``."""
    del app, name, cls, options
    bases[:] = [
        base
        for base in bases
        if not re.search(r"(^|\.)_", f"{base.__module__}.{getattr(base, '__name__', '')}")
        and get_origin(base) is not Generic
    ] or [object]


def setup(app: Sphinx) -> None:
    """Register the hooks of this file."""
    app.connect("builder-inited", write_pages)
    app.connect("autodoc-process-bases", show_public_bases)
    app.connect("autodoc-process-signature", show_aliases_plainly, priority=400)


# --- cross-references ----------------------------------------------------------------------------

# The documentation builds without a network, so that there is no inventory of other projects to
# check against: only their names are exempt, every reference to a name of ours must resolve.
nitpick_ignore_regex = [
    (r"py:(class|exc|obj)", rf"({'|'.join(dir(builtins))})"),  # base classes such as ValueError
    (r"py:.*", r"(abc|collections|concurrent|datetime|enum|typing)\..*"),  # the standard library
    (r"py:.*", r"(np|numpy|numpy\.typing|scipy)\..*"),
    (r"py:.*", r"(hypothesis|narwhals|pandas|polars|pyarrow)\..*"),
    (r"py:class", r"funnel\.models\._\w+\.\w+"),  # summaries are private
]
