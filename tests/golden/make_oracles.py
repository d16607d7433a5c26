"""Write what lifelines and scikit-survival say of three sets of deals to `oracles/`.

Run by hand when a library or a set changes, in an environment of its own, since these libraries
are no requirement of the tests::

    pip install lifelines scikit-survival "pandas<3"
    python tests/golden/make_oracles.py

`test_survival_oracles.py` compares the kernels with the stored numbers, and (marked deep) the
stored numbers with what the libraries say then. They want times above 0: day t is given as t + 1,
and who is first seen at the end of day t enters at t + 1.5, since lifelines does not treat an
entry and an exit at one time alike in all of its estimators.
"""

from __future__ import annotations

import json
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).with_name("oracles")
SHARES = [0.1, 0.25, 0.5, 0.75]
HORIZONS = [1, 7, 20]
LIBRARIES = ("lifelines", "scikit-survival")


def tied():
    """80 deals of 0 to 24 days, won (1), lost (2) or open (0), many on the same day."""
    rng = np.random.default_rng(20)
    day = np.minimum(rng.geometric(0.12, 80) - 1, 24)
    cause = np.where(day == 24, 0, rng.choice([0, 1, 2], 80, p=[0.2, 0.35, 0.45]))
    return np.zeros(80, dtype=np.int64), day, cause


def late():
    """60 deals of which half are first seen at age 1 to 12; one kind of exit a day."""
    rng = np.random.default_rng(21)
    entry = np.where(np.arange(60) % 2 == 0, 0, rng.integers(1, 13, 60))
    # Nobody leaves before day 2, so that the risk set does not run empty at the beginning.
    day = np.minimum(np.maximum(entry, 1) + rng.geometric(0.1, 60), 30)
    cause = np.where((rng.random(60) < 0.25) | (day == 30), 0, 1 + day % 2)
    return entry, day, cause


def transplants():
    """35 patients after bone-marrow transplantation (Scrucca, Santucci & Aversa 2007)."""
    from sksurv.datasets import load_bmt

    _, outcome = load_bmt()
    return np.zeros(35, dtype=np.int64), outcome["ftime"].astype(np.int64), outcome["status"]


def lifelines_answers(entry, day, cause, days):
    """Kaplan-Meier, Nelson-Aalen, quantiles and restricted means, and incidences without ties."""
    from lifelines import AalenJohansenFitter, KaplanMeierFitter, NelsonAalenFitter
    from lifelines.utils import qth_survival_times, restricted_mean_survival_time

    seen = np.where(entry > 0, entry + 1.5, 0.0)
    kaplan_meier = KaplanMeierFitter().fit(day + 1, cause > 0, entry=seen)
    hazard = NelsonAalenFitter(nelson_aalen_smoothing=False)
    hazard.fit(day + 1, cause > 0, entry=seen)
    interval = kaplan_meier.confidence_interval_
    curves = {
        "survival": kaplan_meier.survival_function_,
        "survival_bounds": interval,
        "hazard": hazard.cumulative_hazard_,
        "hazard_bounds": hazard.confidence_interval_,
    }
    found = {name: on_days(curve, days) for name, curve in curves.items()}
    found["quantiles"] = [
        (qth_survival_times([1 - q for q in SHARES], curve).to_numpy() - 1).T.tolist()[0]
        for curve in (kaplan_meier.survival_function_, interval.iloc[:, [0]], interval.iloc[:, [1]])
    ]
    found["restricted_means"] = [
        restricted_mean_survival_time(kaplan_meier, t + 1) - 1 for t in HORIZONS
    ]
    if all(len(set(cause[(day == t) & (cause > 0)])) <= 1 for t in range(days)):
        for which in (1, 2):
            fitter = AalenJohansenFitter()
            fitter.fit(day + 1, cause, which, entry=seen)
            found[f"incidence_{which}"] = on_days(fitter.cumulative_density_, days)
            found[f"incidence_variance_{which}"] = on_days(fitter.variance_, days)
    return found


def on_days(curve, days):
    """Read a step function at the end of each day, one list for each column."""
    steps = curve.reindex(np.arange(days + 1.0), method="ffill").to_numpy()
    return np.atleast_2d(steps.T)[:, 1:].tolist()


def sksurv_answers(day, cause, days):
    """Kaplan-Meier and incidences with log-log bounds, where nobody enters late."""
    from sksurv.nonparametric import cumulative_incidence_competing_risks, kaplan_meier_estimator

    time, curve, interval = kaplan_meier_estimator(cause > 0, day + 1.0, conf_type="log-log")
    at = np.searchsorted(time, np.arange(days) + 1.0, side="right") - 1
    first = np.flatnonzero(at >= 0)[0]
    found = {
        "from_day": int(first),
        "sksurv_survival": curve[at[first:]].tolist(),
        "sksurv_survival_bounds": interval[:, at[first:]].tolist(),
    }
    _, curves, intervals = cumulative_incidence_competing_risks(
        cause, day + 1.0, conf_type="log-log", var_type="Dinse_Approx"
    )
    found["sksurv_incidence"] = curves[1:, at[first:]].tolist()
    found["sksurv_incidence_bounds"] = intervals[1:][:, :, at[first:]].tolist()
    return found


def answers(subjects):
    """Ask both libraries about one set of deals, given as entry, day and cause."""
    entry, day, cause = (np.asarray(column) for column in subjects)
    days = int(day.max()) + 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of these libraries and of what they import
        found = lifelines_answers(entry, day, cause, days)
        if not entry.any():
            found |= sksurv_answers(day, cause, days)
    return found


def write(name, subjects):
    """Store one set of deals with the answers, a line for each."""
    columns = [np.asarray(column).tolist() for column in subjects]
    content = {
        "made_with": {library: version(library) for library in LIBRARIES},
        "subjects": dict(zip(("entry", "day", "cause"), columns, strict=True)),
        "shares": SHARES,
        "horizons": HORIZONS,
        **answers(subjects),
    }
    lines = ",\n".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in content.items())
    (FOLDER / f"{name}.json").write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")


if __name__ == "__main__":
    for make in (tied, late, transplants):
        write(make.__name__, make())
