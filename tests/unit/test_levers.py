"""What if a stage converted better or lasted longer: levers on fitted models of the path."""

import numpy as np
import pytest

import funnel as fn
from funnel.datasets import World, simulate
from funnel.errors import UnknownStageError, ValidationError
from funnel.models import HasFlow, HasLevers

WORLD = World.simple(advance=(0.06, 0.05), lose=(0.02, 0.03))
PATHS = ("semi-markov", "stage-duration", "parametric")
FAR = np.array(["2031-06-30"], dtype="datetime64[D]")


@pytest.fixture(scope="module")
def log():
    """Two stages with constant rates: 3/4 go on from the first, 5/8 are won from the second."""
    return simulate(1_500, world=WORLD, rng=4).history


@pytest.fixture(scope="module")
def fitted(log):
    """Every model that has levers."""
    return {name: fn.models.get(name).fit(log) for name in (*PATHS, "hazard-regression")}


@pytest.fixture(scope="module")
def fresh(log):
    """One deal on the day of its entry into the first stage."""
    return fn.Pipeline.from_columns(
        funnel=log.funnel,
        as_of="2026-06-30",
        id=["A"],
        stage=["Stage 1"],
        created=["2026-06-30"],
        stage_entered=["2026-06-30"],
        visits=[1],
    )


class TestConversions:
    @pytest.mark.parametrize("name", PATHS)
    def test_in_the_long_run_wins_grow_as_the_conversion(self, fitted, fresh, name):
        """A tenth more of either stage is a tenth more wins: a product, within 0.1 %."""
        model = fitted[name]
        base = model.win_curve(fresh, FAR)
        for stage in ("Stage 1", "Stage 2"):
            better = model.under({stage: 1.1}, {})
            np.testing.assert_allclose(1.1 * base, better.win_curve(fresh, FAR), rtol=1e-3)

    def test_effects_multiply_what_is_changed(self, fitted, log):
        """Of the hazard regression on average over deals, a tenth more within 2 %."""
        model, deals = fitted["hazard-regression"], log.snapshot()
        some = deals.select((deals.outcome == fn.Outcome.OPEN) & (deals.stage == 1))
        base = model.win_curve(some, FAR).mean()
        better = model.under({"Stage 2": 1.1}, {}).win_curve(some, FAR).mean()
        np.testing.assert_allclose(1.1, better / base, rtol=0.02)

    def test_those_that_are_won_at_once_count(self):
        """Half are won, two fifths of them on the first day: 1.5 times as many on every day."""
        model = _at_once()
        base = model.fresh_flow("Only", 60).won
        np.testing.assert_allclose([0.2, 0.5], [base[0], base.sum()], rtol=0.01)
        better = model.under({"Only": 1.5}, {}).fresh_flow("Only", 60).won
        np.testing.assert_allclose(1.5 * base, better, rtol=1e-9)

    @pytest.mark.parametrize("name", [*PATHS, "hazard-regression"])
    def test_it_is_1_at_most(self, fitted, name):
        """Three quarters go on: twice as many are more than all."""
        with pytest.raises(ValidationError, match=r"conversion of 'Stage 1' must stay at most 1"):
            fitted[name].under({"Stage 1": 2.0}, {})
        whole = fitted[name].under({"Stage 1": 1.2}, {})
        assert whole.levers == ("Stage 1", "Stage 2")


class TestDurations:
    @pytest.mark.parametrize("name", PATHS)
    def test_stays_are_longer_by_the_factor_and_wins_stay(self, fitted, fresh, name):
        """Half as long again, within what whole days round; as many are won in the end."""
        model = fitted[name]
        slower = model.under({}, {"Stage 1": 1.5})
        stays = [
            some.fresh_flow("Stage 1", 1_500).occupancy[:, 0].sum() for some in (model, slower)
        ]
        np.testing.assert_allclose(1.5, stays[1] / stays[0], rtol=0.05)
        wins = [some.win_curve(fresh, FAR) for some in (model, slower)]
        np.testing.assert_allclose(wins[0], wins[1], rtol=0.02)

    def test_a_slower_clock_slows_the_hazard_regression(self, fitted, log):
        """Chances of the next month fall, those in the end hardly."""
        model, deals = fitted["hazard-regression"], log.snapshot()
        some = deals.select((deals.outcome == fn.Outcome.OPEN) & (deals.stage == 1))
        slower = model.under({}, {"Stage 2": 1.5})
        soon = np.array(["2026-07-10"], dtype="datetime64[D]")
        ratio = slower.win_curve(some, soon).sum() / model.win_curve(some, soon).sum()
        np.testing.assert_allclose(1 / 1.5, ratio, atol=0.1)
        ratio = slower.win_curve(some, FAR).sum() / model.win_curve(some, FAR).sum()
        np.testing.assert_allclose(1.0, ratio, atol=0.02)


class TestStages:
    def test_only_open_stages_have_levers(self, fitted):
        """Won ones do not convert, and others are unknown; any name of a stage will do."""
        for name in (*PATHS, "hazard-regression"):
            assert isinstance(fitted[name], HasLevers)
            with pytest.raises(ValidationError, match="must be an open stage"):
                fitted[name].under({"Won": 1.1}, {})
            with pytest.raises(UnknownStageError):
                fitted[name].under({}, {"Stage 9": 1.1})
            assert isinstance(fitted[name].under({"stage 2": 1.01}, {}), HasLevers)

    @pytest.mark.parametrize("name", ["win-rate", "textbook", "category"])
    def test_models_without_a_path_have_none(self, name):
        """They know of wins only."""
        assert not isinstance(fn.models.get(name).fitted, HasLevers)


class TestFlow:
    def test_a_parametric_flow_wins_what_its_curve_says(self, fitted, log):
        """Deal by deal over 60 days, and one fresh deal: to 1e-9."""
        model, deals = fitted["parametric"], log.snapshot()
        assert isinstance(model, HasFlow)
        dates = deals.as_of + np.arange(1, 61)
        curve = model.win_curve(deals, dates.astype("datetime64[D]")).sum(axis=0)
        flow = model.stage_flow(deals, 60)
        np.testing.assert_allclose(curve, np.cumsum(flow.won), rtol=1e-9)
        np.testing.assert_allclose(1.0, model.fresh_flow("Stage 1", 60).entries[0, 0])

    @pytest.mark.parametrize("name", PATHS)
    def test_advances_lead_to_the_next_stage(self, fitted, name):
        """Nobody skips or comes back here: what advances enters the next stage, or is won."""
        flow = fitted[name].fresh_flow("Stage 1", 400)
        np.testing.assert_allclose(flow.advanced[:, 0], flow.entries[:, 1], atol=1e-12)
        np.testing.assert_allclose(flow.advanced[:, 1], flow.won, atol=1e-12)
        assert "advanced" in flow.to_columns()

    def test_moves_within_a_day_are_advances(self):
        """A fifth is won on the day of entry."""
        flow = _at_once().fresh_flow("Only", 30)
        np.testing.assert_allclose(flow.advanced[:, 0], flow.won, atol=1e-12)
        np.testing.assert_allclose(0.2, flow.won[0], rtol=0.01)


def _at_once():
    """Half of 100 deals are won, a fifth of all on the first day; the others are lost later."""
    log = fn.History.from_columns(
        funnel=fn.Funnel(["Only"]),
        id=[f"D{i}" for i in range(100)] * 2,
        stage=["Only"] * 100 + ["Won"] * 50 + ["Lost"] * 50,
        at=np.datetime64("2026-01-01")
        + np.concatenate((np.zeros(120, int), np.repeat(np.arange(1, 17), 5))),
    )
    return fn.models.get("parametric").fit(log)
