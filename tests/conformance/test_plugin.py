"""The plugin in tests/plugins is found, kept to the contract, and told apart from bad ones."""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from funnel import models
from funnel.errors import PluginError, UnknownModelError
from funnel.models import registry
from funnel.stages import Funnel
from funnel.tables import History
from funnel.testing import CHECKS, check_model

NAME = "acme.stage-age"
INSTALL = "install it as `make test` does: pip install -e tests/plugins/funnel-acme"


@pytest.fixture(autouse=True)
def _fresh_registry(monkeypatch):
    """Let every test look for plugins anew."""
    monkeypatch.delenv("FUNNEL_NO_PLUGINS", raising=False)
    registry._plugins.cache_clear()
    yield
    registry._plugins.cache_clear()


@pytest.fixture
def distribution(tmp_path, monkeypatch):
    """Return a function that installs a package: a folder with metadata, and maybe a module."""
    monkeypatch.syspath_prepend(tmp_path)

    def install(name, *entry_points, module=None):
        folder = tmp_path / f"{name.replace('-', '_')}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (folder / "entry_points.txt").write_text("\n".join(["[funnel.models]", *entry_points]))
        if module is not None:
            (tmp_path / f"{name.replace('-', '_')}.py").write_text(module)
        registry._plugins.cache_clear()

    return install


def python(script, **environment):
    """Return what a fresh interpreter prints as JSON."""
    env = {key: value for key, value in os.environ.items() if key != "FUNNEL_NO_PLUGINS"}
    command = [sys.executable, "-c", f"import json, sys\nimport funnel.models as m\n{script}"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**env, **environment}
    )
    return json.loads(done.stdout)


# --- the plugin itself --------------------------------------------------------------------------


def test_the_plugin_is_found():
    """An installed distribution adds its model after the built-in ones, under its own name."""
    assert NAME in models.names(), INSTALL
    assert models.names().index(NAME) >= len(registry.BUILT_IN)
    assert models.origin(NAME) == "funnel-acme"
    assert models.origin("textbook") == "salesfunnel"


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_plugin_keeps_the_contract(check):
    """The template passes each check."""
    check(models.get(NAME))


def test_the_report_counts_all_checks():
    """What an author reads in the end is one line."""
    report = check_model(models.get(NAME))
    expected = f"StageAge(fresh=30, lean=100) passes {len(CHECKS)} of {len(CHECKS)} checks"
    assert expected == str(report)


def test_the_plugin_is_typed():
    """Its wheel has the marker by which type checkers read its annotations."""
    import funnel_acme

    assert Path(funnel_acme.__file__).with_name("py.typed").exists()
    points = importlib.metadata.distribution("funnel-acme").entry_points
    assert [(registry.GROUP, NAME)] == [(point.group, point.name) for point in points]


@pytest.fixture(scope="module")
def half_won():
    """Ten deals, each 10 days in the one stage: 4 won, 4 lost, 2 still open."""
    ends = ["Won"] * 4 + ["Lost"] * 4
    return History.from_columns(
        funnel=Funnel(["Qualify"]),
        id=[*range(10), *range(8)],
        stage=["Qualify"] * 10 + ends,
        at=["2026-01-01"] * 10 + ["2026-01-11"] * 8,
    )


def test_closed_form(half_won):
    """4 wins and 4 losses in 100 deal-days are 4 % a day each: (1 - 0.92^h) / 2 within h days."""
    fitted = models.get(NAME).fit(half_won)
    pipeline = half_won.snapshot()
    dates = np.datetime64("2026-01-11") + np.array([1, 5])
    curve = fitted.win_curve(pipeline, dates)
    is_open = pipeline.outcome == 0
    expected = [[(1 - 0.92**1) / 2, (1 - 0.92**5) / 2]] * 2
    np.testing.assert_allclose(expected, curve[is_open], rtol=1e-12)


def test_fresh_days_come_before_old_ones(half_won):
    """With 5 fresh days, all closings are of old deals: 8 in 50 deal-days, half won."""
    import funnel_acme

    fitted = funnel_acme.StageAge(fresh=5, lean=1).fit(half_won)
    # Qualify alone makes up the whole, so that leaning on it changes nothing.
    np.testing.assert_allclose([[0.0, 0.0], [0.08, 0.08]], fitted.chances[0], rtol=1e-12)


def test_parameters_are_checked():
    """A parameter out of range is refused by name."""
    import funnel_acme

    with pytest.raises(ValueError, match=r"lean must be a whole number >= 1, got 0"):
        funnel_acme.StageAge(lean=0)


# --- how the registry finds plugins -------------------------------------------------------------


@pytest.mark.parametrize(("value", "listed"), [("1", False), ("0", True), ("", True)])
def test_plugins_can_be_switched_off(monkeypatch, value, listed):
    """FUNNEL_NO_PLUGINS=1 leaves the built-in models; 0 and an empty value do not."""
    monkeypatch.setenv("FUNNEL_NO_PLUGINS", value)
    assert listed == (NAME in models.names())
    assert set(registry.BUILT_IN) <= set(models.names())


def test_plugins_can_be_switched_off_from_outside():
    """The switch is read from the environment of the process."""
    script = "print(json.dumps(m.names()))"
    assert list(registry.BUILT_IN) == python(script, FUNNEL_NO_PLUGINS="1")


def test_listing_imports_nothing():
    """Names and origins come from metadata; a package is imported when its model is asked for."""
    script = (
        f"m.names(), m.origin({NAME!r})\nlisted = 'funnel_acme' in sys.modules\n"
        f"m.get('textbook')\nother = 'funnel_acme' in sys.modules\n"
        f"m.get({NAME!r})\nprint(json.dumps([listed, other, 'funnel_acme' in sys.modules]))"
    )
    assert [False, False, True] == python(script)


def test_two_packages_may_not_claim_one_name(distribution):
    """Neither wins in silence: the error names both."""
    distribution("first-package", "both.model = first_package:Model")
    distribution("second-package", "both.model = second_package:Model")
    with pytest.raises(PluginError, match=r"'both\.model'") as caught:
        models.names()
    assert "'first-package'" in str(caught.value)
    assert "'second-package'" in str(caught.value)
    assert "FUNNEL_NO_PLUGINS=1" in str(caught.value)


def test_one_package_may_say_it_twice(distribution):
    """The same line twice is no contradiction."""
    line = "twice.model = twice:Model"
    distribution("twice", line, line)
    assert 1 == models.names().count("twice.model")


def test_no_package_may_claim_a_built_in_name(distribution):
    """A package cannot replace what everybody else means by a name."""
    distribution("usurper", "win-rate = usurper:Model")
    with pytest.raises(PluginError, match=r"'usurper' registers 'win-rate'.*'acme\.win-rate'"):
        models.names()


@pytest.mark.parametrize(
    ("module", "seen"),
    [
        (None, "ModuleNotFoundError: No module named 'broken'"),
        ("import surely_not_installed", "ModuleNotFoundError: No module named 'surely_not_ins"),
        ("Other = int", "AttributeError: module 'broken' has no attribute 'Model'"),
        ("class Model:\n    def __init__(self, needed): ...", "TypeError"),
    ],
    ids=["no module", "broken import", "no such class", "no default"],
)
def test_a_broken_plugin_is_named(distribution, monkeypatch, module, seen):
    """What cannot be loaded is listed, does not harm the others, and names its package."""
    monkeypatch.delitem(sys.modules, "broken", raising=False)
    distribution("broken", "broken.model = broken:Model", module=module)
    assert "broken.model" in models.names()
    assert "textbook" == models.get("textbook").name
    with pytest.raises(PluginError, match=r"'broken\.model' of package 'broken'") as caught:
        models.get("broken.model")
    assert seen in str(caught.value)
    monkeypatch.delitem(sys.modules, "broken", raising=False)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("acme.stage-aeg", NAME), ("win_rate", "win-rate"), ("Textbok", "textbook")],
)
@pytest.mark.parametrize("ask", [models.get, models.origin])
def test_close_names_are_suggested(ask, typed, meant):
    """A slip of the pen gets the name that was meant."""
    with pytest.raises(UnknownModelError, match=f"Did you mean '{meant}'") as caught:
        ask(typed)
    assert typed == caught.value.name
    assert models.names() == caught.value.known
