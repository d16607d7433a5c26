"""Curves against what R's `survival` and `etm` print in their own tests, to the last digit."""

from __future__ import annotations

import numpy as np
import pytest

from funnel.kernels import survival
from funnel.kernels.incidence import at_risk

# --- etm: abortion data, control group, weeks 4 to 43 -------------------------------------------
# Late entry, ties and three causes (Meister & Schaefer 2008). `tests/tests.etm.Rout.save` of the
# package prints those at risk and the curves of each week, from which the counts follow as whole
# numbers; their sums 20, 924 and 69 are printed by `tests/test.etmCIF.Rout.save`.

AT_RISK = """18 18 117 261 374 458 515 561 610 645 673 696 714 740 759 781 786 799 810 819 830 841
    846 853 860 870 875 880 880 885 885 880 876 857 823 716 554 274 66 6"""
RISK = np.array(AT_RISK.split(), dtype=np.int64)
ENDED = [
    "0 0 0 2 3 6 4 3 0 1 1" + " 0" * 29,  # elective termination
    "0 " * 26 + "4 3 2 6 11 9 25 36 109 165 280 208 60 6",  # live birth
    "0 0 4 7 15 7 10 8 7 1 2 0 0 1 0 2 0 1 0 0 1 1 1" + " 0" * 9 + " 1" + " 0" * 7,  # spontaneous
]
EVENTS = np.array([line.split() for line in ENDED], dtype=np.int64)
WEEK = 4


def at_week(curve, week):
    """Read a curve at the end of a week."""
    return curve[..., week - WEEK + 1]


def test_counts_add_up():
    """20, 924 and 69 events, as printed."""
    assert [20, 924, 69] == EVENTS.sum(axis=1).tolist()


def test_etm_incidence_with_late_entry():
    """`trprob`: 9 decimals."""
    incidence, _ = survival.aalen_johansen(EVENTS, RISK)
    weeks = [7, 9, 14, 43]
    expected = [0.007400858, 0.026509184, 0.040159308, 0.040159308]
    np.testing.assert_allclose(expected, at_week(incidence[0], np.array(weeks)), atol=5.1e-10)
    expected = [0.013542879, 0.322015902, 0.799059306]
    actual = at_week(incidence[1], np.array([33, 39, 43]))
    np.testing.assert_allclose(expected, actual, rtol=0, atol=5.1e-10)


@pytest.mark.parametrize(
    ("cause", "week", "variance"),
    [
        (0, 7, 2.719306e-05),
        (0, 9, 6.665019e-05),
        (0, 43, 8.570657e-05),
        (1, 30, 3.338155e-06),
        (1, 36, 4.619460e-05),
        (1, 39, 2.469805e-04),
        (1, 42, 4.903148e-04),
        (1, 43, 4.922394e-04),
        (2, 13, 0.0004551293),
        (2, 33, 0.0004549788),
        (2, 43, 0.0004548031),
    ],
)
def test_etm_variance_with_late_entry(cause, week, variance):
    """`trcov` and the summary of `etmCIF`: 7 digits."""
    _, actual = survival.aalen_johansen(EVENTS, RISK)
    assert pytest.approx(variance, rel=2e-7, abs=0) == at_week(actual[cause], week)


def test_etm_variance_of_survival():
    """`trcov(cif.control, "0 0")`: Greenwood's formula, and 0 when all have left."""
    _, variance = survival.kaplan_meier(EVENTS.sum(axis=0), RISK)
    expected = [2.822155e-04, 4.941740e-04, 4.175917e-04, 4.440837e-06, 0.0]
    actual = at_week(variance, np.array([6, 13, 38, 42, 43]))
    np.testing.assert_allclose(expected, actual, rtol=2e-7)


@pytest.mark.parametrize(
    ("cause", "week", "low", "high"),
    [
        (0, 13, 0.02448808, 0.06169378),
        (1, 33, 0.008169604, 0.02241009),
        (1, 39, 0.292313907, 0.35391574),
        (1, 43, 0.753968839, 0.84061317),
        (2, 43, 0.1235965, 0.2077571),
    ],
)
def test_etm_complementary_log_log_bounds(cause, week, low, high):
    """The summary of `etmCIF`, whose bounds are symmetric on the scale log(-log(1 - p))."""
    found = survival.bounds(*survival.aalen_johansen(EVENTS, RISK), scale="cloglog")
    actual = [at_week(bound[cause], week) for bound in found]
    np.testing.assert_allclose([low, high], actual, rtol=0, atol=5.1e-8)


def test_etm_plain_bounds_are_cut_at_0():
    """The summary of `etm`, weeks 7, 8 and 43."""
    found = survival.bounds(*survival.aalen_johansen(EVENTS, RISK), scale="plain")
    weeks = np.array([7, 8, 43])
    actual = [at_week(bound[0], weeks) for bound in found]
    expected = [[0.0, 0.00168527, 0.02201438], [0.01762148, 0.02807647, 0.05830423]]
    np.testing.assert_allclose(expected, actual, rtol=0, atol=5.1e-9)


# --- survival: small sets of subjects -----------------------------------------------------------


def curve(times, status, starts=None):
    """Kaplan-Meier curve, and those at risk, of subjects given one by one."""
    times, status = np.array(times), np.array(status)
    starts = np.zeros_like(times) if starts is None else np.array(starts)
    days = times.max() + 1
    exits = [np.bincount(times[status == kind], minlength=days) for kind in (1, 0)]
    risk = at_risk(np.bincount(starts, minlength=days), np.array(exits))
    return survival.kaplan_meier(exits[0], risk), risk


MAINTAINED = [9, 13, 13, 18, 23, 28, 31, 34, 45, 48, 161], [1, 1, 0, 1, 1, 0, 1, 1, 0, 1, 0]
NOT_MAINTAINED = [5, 5, 8, 8, 12, 16, 23, 27, 30, 33, 43, 45], [1, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 1]


@pytest.mark.parametrize(
    ("subjects", "weeks", "printed"),
    [
        (
            MAINTAINED,
            [9, 13, 18, 23, 31, 34, 48],
            """0.909 0.818 0.716 0.614 0.491 0.368 0.184
            0.0867 0.1163 0.1397 0.1526 0.1642 0.1627 0.1535
            0.7541 0.6192 0.4884 0.3769 0.2549 0.1549 0.0359
            1.000 1.000 1.000 0.999 0.946 0.875 0.944""",
        ),
        (
            NOT_MAINTAINED,
            [5, 8, 12, 23, 27, 30, 33, 43],
            """0.8333 0.6667 0.5833 0.4861 0.3889 0.2917 0.1944 0.0972
            0.1076 0.1361 0.1423 0.1481 0.1470 0.1387 0.1219 0.0919
            0.6470 0.4468 0.3616 0.2675 0.1854 0.1148 0.0569 0.0153
            1.000 0.995 0.941 0.883 0.816 0.741 0.664 0.620""",
        ),
    ],
    ids=["maintained", "not maintained"],
)
def test_survfit_of_the_leukaemia_data(subjects, weeks, printed):
    """`tests/doaml.Rout.save`: survival, standard error, and bounds on the scale of the log."""
    (estimate, variance), _ = curve(*subjects)
    low, high = survival.bounds(estimate, variance, scale="log")
    columns = (estimate, np.sqrt(variance), low, high)
    for line, actual in zip(printed.splitlines(), columns, strict=True):
        decimals = len(line.split()[0]) - 2
        expected = [float(number) for number in line.split()]
        np.testing.assert_allclose(
            expected, actual[np.array(weeks) + 1], rtol=0, atol=0.51 * 0.1**decimals
        )


def test_survfit_medians_of_the_leukaemia_data():
    """`tests/doaml.Rout.save`: 31 (18, NA) and 23 (8, NA) weeks."""
    for subjects, expected in ((MAINTAINED, [31, 18]), (NOT_MAINTAINED, [23, 8])):
        found = survival.quantiles(*curve(*subjects)[0], np.array([0.5]), scale="log")
        assert [*expected, np.inf] == [bound.item() for bound in found]


def test_survfit_with_late_entry():
    """`tests/survtest.R`: those at risk at its times, and survival after each event."""
    starts, stops = [1, 2, 5, 2, 1, 7, 3, 4, 8, 8], [2, 3, 6, 7, 8, 9, 9, 9, 14, 17]
    (estimate, _), risk = curve(stops, [1] * 7 + [0] * 3, starts)
    times = [*range(1, 10), 14, 17]
    assert [0, 2, 3, 3, 4, 5, 4, 4, 5, 2, 1] == risk[times].tolist()
    expected = [1 / 2, 1 / 3, 4 / 15, 1 / 5, 3 / 20, 9 / 100]
    np.testing.assert_allclose(expected, estimate[np.array([2, 3, 6, 7, 8, 9]) + 1], rtol=1e-14)


# Ten subjects in a published exercise, with the output of `survfit(..., conf.type = "log-log")`.
# Its times 1.5 to 11.5 are doubled here, to be whole.
HALVES = [3, 7, 9, 9, 11, 13, 17, 17, 17, 23]


def test_survfit_log_log_bounds_and_quartiles():
    """Survival, standard errors, bounds, and the quartiles with theirs."""
    (estimate, variance), _ = curve(HALVES, [1, 0, 1, 0, 1, 0, 1, 0, 1, 1])
    rows = np.array([3, 9, 11, 17]) + 1
    np.testing.assert_allclose([0.900, 0.787, 0.656, 0.328], estimate[rows], rtol=0, atol=5.1e-4)
    expected = [0.0949, 0.1340, 0.1638, 0.1834]
    np.testing.assert_allclose(expected, np.sqrt(variance[rows]), rtol=0, atol=5.1e-5)
    low, high = survival.bounds(estimate, variance)
    np.testing.assert_allclose([0.4730, 0.3809, 0.2604, 0.0509], low[rows], rtol=0, atol=5.1e-5)
    np.testing.assert_allclose([0.985, 0.943, 0.876, 0.659], high[rows], rtol=0, atol=5.1e-4)
    found = survival.quantiles(estimate, variance, np.array([0.25, 0.5, 0.75]))
    expected = [[5.5, 8.5, 11.5], [1.5, 1.5, 8.5], [8.5, np.inf, np.inf]]
    assert expected == [(days / 2).tolist() for days in found]


@pytest.mark.parametrize(
    ("status", "mean", "error"),
    [([1, 0, 1, 0, 1, 0, 1, 0, 1, 1], 7.94, 1.12), ([1] * 10, 6.30, 0.892)],
)
def test_survfit_restricted_mean_and_its_standard_error(status, mean, error):
    """`print(fit, rmean = "common")`: up to the last time, 11.5."""
    found = survival.restricted_mean(*curve(HALVES, status)[0])
    assert pytest.approx(mean, abs=5.1e-3) == found[0][23] / 2
    assert pytest.approx(error, abs=5.1e-3) == np.sqrt(found[1][23]) / 2
