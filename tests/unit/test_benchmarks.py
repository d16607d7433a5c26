"""What judges benchmarks: goals as ratios, and instruction counts against their record."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"
pytestmark = pytest.mark.skipif(not FOLDER.exists(), reason="no benchmarks beside the tests")
RECORD = {"yardstick: interpreter": 1000, "yardstick: numpy": 1000, "kernel": 1000}


def _load(name):
    """Return a script as a module."""
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def test_more_than_ten_percent_growth_fails(capsys):
    """1,100 instructions of 1,000 pass, 1,101 do not."""
    counts = _load("counts")
    counts.judge(RECORD, {**RECORD, "kernel": 1100})
    with pytest.raises(SystemExit, match="kernel: more than 10 % more instructions"):
        counts.judge(RECORD, {**RECORD, "kernel": 1101})
    assert "+10.1 %" in capsys.readouterr().out


def test_another_build_is_told_and_not_judged(capsys):
    """Where a yardstick differs by more than five per cent, nothing can be said."""
    counts = _load("counts")
    counts.judge(RECORD, {**RECORD, "yardstick: numpy": 1051, "kernel": 2000})
    assert "SKIPPED" in capsys.readouterr().out


def test_a_kernel_without_a_record_fails():
    """A new kernel must be recorded, or it would never be checked."""
    counts = _load("counts")
    with pytest.raises(SystemExit, match="does not list the kernels"):
        counts.judge(RECORD, {**RECORD, "another": 1})


def test_goals_are_ratios_of_medians():
    """Ours 2 ms, limit 1 ms, peer 10 ms: twice the limit, five times as fast as the peer."""
    rounds = _load("rounds")
    medians = {"ours": 2.0, "limit": 1.0, "peer": 10.0}
    goals = [
        (rounds.Goal("ours", "limit", at_most=2.0), 2.0, True),
        (rounds.Goal("ours", "limit", at_most=1.9), 2.0, False),
        (rounds.Goal("ours", "peer", at_least=5.0), 5.0, True),
        (rounds.Goal("ours", "peer", at_least=6.0), 5.0, False),
        (rounds.Goal("ours", at_most=1.0), 2.0, False),
    ]
    for goal, found, reached in goals:
        judged = rounds._judged(goal, medians)
        assert (found, reached) == (judged["found"], judged["reached"])


def test_every_round_runs_every_contender():
    """The order is that of rounds, not of contenders, and what is made fresh is handed over."""
    rounds = _load("rounds")
    ran = []
    contenders = [
        rounds.Contender("a", lambda number: ran.append(("a", number)), fresh=lambda: (len(ran),)),
        rounds.Contender("b", lambda: ran.append("b"), times=50.0),
    ]
    table = rounds.measure("both", contenders, rounds=2)
    assert ran == [("a", 0), "b", ("a", 2), "b", ("a", 4), "b"]  # the first round warms up
    assert [row["rounds"] for row in table["rows"]] == [2, 2]
    assert [row["extrapolated"] for row in table["rows"]] == [False, True]
    low, median, high = (table["rows"][0][key] for key in ("low", "median", "high"))
    assert np.isclose((low + high) / 2.0, median)
    assert "| b (extrapolated) |" in rounds.markdown(table)
