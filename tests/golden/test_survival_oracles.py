"""Curves against lifelines and scikit-survival: `make_oracles.py` has stored what they say."""

from __future__ import annotations

import json
import runpy
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from funnel.kernels import survival
from funnel.kernels.incidence import at_risk

FOLDER = Path(__file__).with_name("oracles")
EVERY = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))]
NAMES = [path.stem for path in sorted(FOLDER.glob("*.json"))]
EXACT = {"rtol": 0, "atol": 1e-10}

every_set = pytest.mark.parametrize("stored", EVERY, ids=NAMES)
untied = pytest.mark.parametrize("stored", [s for s in EVERY if "incidence_1" in s])
without_late_entry = pytest.mark.parametrize("stored", [s for s in EVERY if "from_day" in s])


def counts(stored):
    """Events by cause (c, d) and subjects at risk (d,) on each day."""
    entry, day, cause = (np.array(stored["subjects"][key]) for key in ("entry", "day", "cause"))
    entries = np.bincount(entry, minlength=day.max() + 1)
    exits = np.array(
        [np.bincount(day[cause == which], minlength=len(entries)) for which in (1, 2, 0)]
    )
    return exits[:2], at_risk(entries, exits)


def test_all_oracles_are_there():
    """The sets of the script, each of which is about something else."""
    assert ["late", "tied", "transplants"] == NAMES


@every_set
def test_survival_and_its_log_log_bounds(stored):
    """lifelines: with ties, late entry, and censoring."""
    events, risk = counts(stored)
    curve, variance = survival.kaplan_meier(events.sum(axis=0), risk)
    np.testing.assert_allclose(stored["survival"][0], curve[1:], **EXACT)
    low, high = survival.bounds(curve, variance)
    np.testing.assert_allclose(stored["survival_bounds"], [low[1:], high[1:]], **EXACT)


@every_set
def test_cumulative_hazard_and_its_bounds(stored):
    """lifelines, without smoothing of ties; bounds H exp(-+ 1.96 se / H)."""
    events, risk = counts(stored)
    hazard, variance = survival.nelson_aalen(events.sum(axis=0), risk)
    np.testing.assert_allclose(stored["hazard"][0], hazard[1:], **EXACT)
    some = hazard > 0
    factor = np.exp(1.959963984540054 * np.sqrt(variance[some]) / hazard[some])
    expected = np.array(stored["hazard_bounds"])[:, some[1:]]
    np.testing.assert_allclose(expected, [hazard[some] / factor, hazard[some] * factor], **EXACT)


@every_set
def test_quantiles_with_bounds_and_restricted_means(stored):
    """lifelines: quantiles of the curve and of its log-log bounds, and areas under the curve."""
    events, risk = counts(stored)
    curve = survival.kaplan_meier(events.sum(axis=0), risk)
    assert (
        stored["quantiles"]
        == np.array(survival.quantiles(*curve, np.array(stored["shares"]))).tolist()
    )
    mean, _ = survival.restricted_mean(*curve)
    np.testing.assert_allclose(stored["restricted_means"], mean[stored["horizons"]], **EXACT)


@untied
@pytest.mark.parametrize("which", [1, 2])
def test_incidence_and_its_variance_with_late_entry(stored, which):
    """lifelines, which needs the exits of one day to be of one kind."""
    incidence, variance = survival.aalen_johansen(*counts(stored))
    np.testing.assert_allclose(stored[f"incidence_{which}"][0], incidence[which - 1, 1:], **EXACT)
    expected = stored[f"incidence_variance_{which}"][0]
    np.testing.assert_allclose(expected, variance[which - 1, 1:], **EXACT)


@without_late_entry
def test_incidence_and_its_bounds_with_ties(stored):
    """scikit-survival: its Kaplan-Meier curve, and "Dinse_Approx" on the log-log scale."""
    events, risk = counts(stored)
    since = slice(stored["from_day"] + 1, None)
    curve, variance = survival.kaplan_meier(events.sum(axis=0), risk)
    np.testing.assert_allclose(stored["sksurv_survival"], curve[since], **EXACT)
    expected = stored["sksurv_survival_bounds"]
    actual = [bound[since] for bound in survival.bounds(curve, variance)]
    np.testing.assert_allclose(expected, actual, **EXACT)
    incidence, variance = survival.aalen_johansen(events, risk)
    np.testing.assert_allclose(stored["sksurv_incidence"], incidence[:, since], **EXACT)
    low, high = survival.bounds(incidence, variance)
    actual = np.stack((low[:, since], high[:, since]), axis=1)
    np.testing.assert_allclose(stored["sksurv_incidence_bounds"], actual, **EXACT)


@pytest.mark.deep
@pytest.mark.skipif(
    find_spec("lifelines") is None or find_spec("sksurv") is None,
    reason="lifelines and scikit-survival are not installed",
)
@every_set
def test_the_libraries_still_say_so(stored):
    """The stored numbers are what the installed versions compute from the stored deals."""
    script = runpy.run_path(str(FOLDER.with_name("make_oracles.py")))
    columns = [stored["subjects"][key] for key in ("entry", "day", "cause")]
    found = script["answers"](columns)
    assert set(stored) - {"made_with", "subjects", "shares", "horizons"} == set(found)
    for key, value in found.items():
        np.testing.assert_allclose(stored[key], value, **EXACT, err_msg=key)
