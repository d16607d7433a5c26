"""Write what lifelines and scikit-survival say of some sets of deals to `oracles/`.

Run by hand when a library or a set changes, in an environment of its own, since `make test` does
not install these libraries (`make deep` does, in `.venv/deep`)::

    pip install lifelines scikit-survival "pandas<3"
    python tests/golden/make_oracles.py ../shared/data

The argument names the folder of the public data sets. Where the Olist leads are not in it, their
file is left as it is. Of public sets, numbers about all leads are stored and never rows.

`test_survival_oracles.py` and `test_olist.py` compare the package with the stored numbers, and
(marked deep) the stored numbers with what the libraries say then. They want times above 0: day t
is given as t + 1, and who is first seen at the end of day t enters at t + 1.5, since lifelines does
not treat an entry and an exit at one time alike in all of its estimators.
"""

from __future__ import annotations

import json
import sys
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).with_name("oracles")
SHARES = [0.1, 0.25, 0.5, 0.75]
HORIZONS = [1, 7, 20]
LIBRARIES = ("lifelines", "scikit-survival")
OLIST = "olist_marketing_funnel"
AGES = [30, 90, 180]


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


def olist(folder):
    """Days to winning or to the last day of the record, which it was, and the year of contact."""
    import pandas as pd

    leads = pd.read_csv(folder / "olist_marketing_qualified_leads_dataset.csv")
    deals = pd.read_csv(folder / "olist_closed_deals_dataset.csv")
    table = leads.merge(deals[["mql_id", "won_date"]], on="mql_id", how="left")
    contact = pd.to_datetime(table["first_contact_date"])
    won = pd.to_datetime(table["won_date"]).dt.normalize()
    # One lead is won on the day before its first contact: it counts as won on that day.
    day = (won.fillna(won.max()) - contact).dt.days.clip(lower=0)
    return day.to_numpy(), won.notna().to_numpy(), contact.dt.year.to_numpy()


def olist_answers(folder):
    """Share of all leads, and of those of each year, that is won by some ages, with bounds."""
    from lifelines import KaplanMeierFitter
    from sksurv.nonparametric import kaplan_meier_estimator

    day, won, year = olist(folder)
    found = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of these libraries and of what they import
        for name, mine in (("all", year > 0), ("2017", year == 2017), ("2018", year == 2018)):
            fitter = KaplanMeierFitter().fit(day[mine] + 1, won[mine])
            bounds = on_days(fitter.confidence_interval_, day.max() + 1)
            time, curve, interval = kaplan_meier_estimator(
                won[mine], day[mine] + 1.0, conf_type="log-log"
            )
            at = np.searchsorted(time, np.array(AGES) + 1.0, side="right") - 1
            found[name] = {
                "leads": int(mine.sum()),
                "won": int(won[mine].sum()),
                "at_risk": [int((day[mine] >= age).sum()) for age in AGES],
                "incidence": (1.0 - fitter.predict(np.array(AGES) + 1.0)).tolist(),
                "bounds": [[1.0 - bounds[side][age] for age in AGES] for side in (1, 0)],
                "sksurv_incidence": (1.0 - curve[at]).tolist(),
                "sksurv_bounds": (1.0 - interval[::-1, at]).tolist(),
            }
    return found


def made_with():
    """Versions of the libraries."""
    return {library: version(library) for library in LIBRARIES}


def write(name, subjects):
    """Store one set of deals with the answers, a line for each."""
    columns = [np.asarray(column).tolist() for column in subjects]
    content = {
        "made_with": made_with(),
        "subjects": dict(zip(("entry", "day", "cause"), columns, strict=True)),
        "shares": SHARES,
        "horizons": HORIZONS,
        **answers(subjects),
    }
    store(FOLDER / f"{name}.json", content)


def store(path, content):
    """Write JSON with a line for each key."""
    lines = ",\n".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in content.items())
    path.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")


if __name__ == "__main__":
    for make in (tied, late, transplants):
        write(make.__name__, make())
    leads = Path(sys.argv[1] if len(sys.argv) > 1 else "../shared/data") / OLIST
    if leads.is_dir():
        found = {"made_with": made_with(), "ages": AGES, **olist_answers(leads)}
        store(FOLDER / "public" / "olist.json", found)
