"""Leads without any lost status: shares won by age against lifelines and scikit-survival.

The "Marketing Funnel by Olist", which is no part of this repository: `make_oracles.py` has stored
what the libraries say of all leads together, and no row of it.
"""

from __future__ import annotations

import json
import os
import runpy
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import funnel as fn
from funnel.kernels import incidence, survival
from funnel.metrics.conversion import win_curve

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("SHARED", ROOT.parent / "shared" / "data"))
FOLDER = SHARED / "olist_marketing_funnel"
ORACLE = Path(__file__).with_name("oracles") / "public" / "olist.json"
STORED = json.loads(ORACLE.read_text(encoding="utf-8"))
EXACT = {"rtol": 0, "atol": 1e-10}

needs_data = pytest.mark.skipif(
    not FOLDER.is_dir(), reason=f"the Olist leads are not at hand: set SHARED ({SHARED.name})"
)


@pytest.fixture(scope="module")
def history():
    """The leads, read as the example does."""
    return runpy.run_path(str(ROOT / "examples" / "olist_leads.py"))["read"](FOLDER)


def first_contact(history):
    """Year of the first contact of each lead."""
    return history.created.astype("datetime64[D]").astype("datetime64[Y]").astype(str)


def test_no_rows_are_stored():
    """Three groups, each with numbers for three ages and no more."""
    assert {"made_with", "ages", "all", "2017", "2018"} == set(STORED)
    for name in ("all", "2017", "2018"):
        assert 8 >= max(np.size(value) for value in STORED[name].values())


def test_both_libraries_agree():
    """Two libraries, lifelines and scikit-survival, are two programs for one estimator."""
    for name in ("all", "2017", "2018"):
        group = STORED[name]
        np.testing.assert_allclose(group["incidence"], group["sksurv_incidence"], **EXACT)
        np.testing.assert_allclose(group["bounds"], group["sksurv_bounds"], **EXACT)


@needs_data
def test_leads_that_are_not_won_are_open(history):
    """Counts of its README: 8,000 leads, 842 won, one before its first contact; none is lost."""
    outcomes = fn.outcomes(history)
    assert (8_000, 842, 7_158, 0) == (
        len(history.ids),
        *(outcomes.count(end) for end in (fn.Outcome.WON, fn.Outcome.OPEN, fn.Outcome.LOST)),
    )
    assert [("created-after-closed_on", 1)] == [
        (found.rule, len(found.rows)) for found in history.findings.groups
    ]


@needs_data
@pytest.mark.parametrize(("name", "period"), [("all", None), ("2017", "year"), ("2018", "year")])
def test_shares_won_by_age(history, name, period):
    """`win_curve` gives the shares of lifelines with their log-log bounds, to 1e-10."""
    expected = STORED[name]
    found = win_curve(history, ages=STORED["ages"], period=period)
    row = 0 if name == "all" else ["2017", "2018"].index(name)
    assert (expected["leads"], expected["at_risk"]) == (
        found.deals[row],
        found.at_risk[row].tolist(),
    )
    np.testing.assert_allclose(expected["incidence"], found.won[row], **EXACT)
    np.testing.assert_allclose(expected["bounds"], [found.low[row], found.high[row]], **EXACT)
    np.testing.assert_array_equal(found.lost[row], 0.0)


@needs_data
@pytest.mark.parametrize("name", ["all", "2017", "2018"])
def test_kernels_on_the_same_leads(history, name):
    """Kaplan-Meier of the kernels: one minus survival is the incidence, as nothing competes."""
    mine = slice(None) if name == "all" else first_contact(history) == name
    outcomes = fn.outcomes(history)
    won = (outcomes.outcome == fn.Outcome.WON)[mine]
    end = np.where(won, outcomes.closed_on[mine], history.observed_until)
    age = end - history.created[mine]
    exits = np.array([np.bincount(age[kind], minlength=age.max() + 1) for kind in (won, ~won)])
    entries = np.bincount(np.zeros_like(age), minlength=age.max() + 1)
    curve = survival.kaplan_meier(exits[0], incidence.at_risk(entries, exits))
    low, high = survival.bounds(*curve)
    at = np.array(STORED["ages"]) + 1
    np.testing.assert_allclose(STORED[name]["incidence"], 1.0 - curve[0][at], **EXACT)
    np.testing.assert_allclose(STORED[name]["bounds"], [1.0 - high[at], 1.0 - low[at]], **EXACT)


@pytest.mark.deep
@needs_data
@pytest.mark.skipif(
    find_spec("lifelines") is None or find_spec("sksurv") is None,
    reason="lifelines and scikit-survival are not installed",
)
def test_the_libraries_still_say_so():
    """The stored numbers are what the installed versions compute from the leads."""
    script = runpy.run_path(str(ORACLE.parents[2] / "make_oracles.py"))
    found = script["olist_answers"](FOLDER)
    assert STORED["ages"] == script["AGES"]
    for name, group in found.items():
        assert set(STORED[name]) == set(group)
        for key, value in group.items():
            np.testing.assert_allclose(STORED[name][key], value, **EXACT, err_msg=f"{name} {key}")
