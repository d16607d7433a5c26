"""The five ladders in use (domain.md, section 1), to the last digit, in English and Chinese."""

import numpy as np
import pytest

from funnel.stages import Funnel

# Chinese name and win probability (None: not stated) of each stage; name of won; what follows it.
LADDERS = {
    "general": (
        {"待开发": 0.0, "意向": 0.10, "入围": 0.25, "谈判": 0.50, "成交待签": 0.90},
        None,
        "重复购买",
    ),
    "project": (
        {"目标": 0.0, "潜在": 0.10, "意向": 0.20, "立项": 0.30, "方案认可": 0.50, "商务谈判": 0.70},
        None,
        None,
    ),
    "small-project": ({"意向": 0.20, "解决方案": 0.35, "商务谈判": 0.70}, None, None),
    "lead-to-cash": (
        dict.fromkeys(["潜在客户(线索)", "意向客户(商机)", "商机孵化", "商务谈判"]),
        "成交签约",
        "复购增购",
    ),
    "five-step": (
        dict.fromkeys(["初步接洽", "确认需求", "方案报价", "合同谈判"]),
        "签约成单",
        None,
    ),
}
CASES = [(name, language) for name in LADDERS for language in ("en", "zh")]


def test_all_ladders_are_shipped():
    """In the order of the table."""
    assert tuple(LADDERS) == Funnel.templates()


@pytest.mark.parametrize(("name", "language"), CASES)
class TestLadder:
    def test_stages_stand_in_their_order(self, name, language):
        """Every Chinese name of the table leads to its place, whatever the language shown."""
        funnel = Funnel.template(name, language=language)
        stages = LADDERS[name][0]
        assert list(range(len(stages))) == funnel.codes(list(stages)).tolist()
        assert len(stages) == funnel.n_stages

    def test_probabilities_are_those_of_the_table(self, name, language):
        """Where none is stated none is typed; won is 100 %, lost and removed are 0 %."""
        typed = [np.nan if p is None else p for p in LADDERS[name][0].values()]
        found = Funnel.template(name, language=language).probabilities
        np.testing.assert_array_equal([*typed, 1.0, 0.0, 0.0], found)

    def test_a_week_a_stage_in_small_projects_only(self, name, language):
        """One week a stage is stated for `small-project` and for no other."""
        days = 7.0 if name == "small-project" else np.nan
        funnel = Funnel.template(name, language=language)
        np.testing.assert_array_equal(
            [days] * funnel.n_stages, funnel.standard_days[: funnel.n_stages]
        )
        assert all(stage.timeout_days is None for stage in funnel.stages)
        assert all(stage.exit_criteria == () for stage in funnel.states)

    def test_won_and_what_follows(self, name, language):
        """The name of the win, and repeat business as a second funnel."""
        funnel = Funnel.template(name, language=language)
        _, won, after = LADDERS[name]
        if won is not None:
            assert won == funnel.won.name_in("zh")
        assert ([] if after is None else [after]) == [s.name_in("zh") for s in funnel.after_won]

    def test_labels_are_in_the_language_and_names_in_both(self, name, language):
        """Ids are English slugs, the same in both languages."""
        funnel, english = Funnel.template(name, language=language), Funnel.template(name)
        assert english.ids == funnel.ids
        assert name == funnel.name
        for code, state in enumerate(funnel.states):
            assert state.label == state.name_in(language)
            assert [code, code] == [funnel.code(state.name_in(other)) for other in ("en", "zh")]
            assert state.id.replace("-", "").isascii()
            assert state.id == state.id.lower()


def test_the_project_formula():
    """100 a stage and 100 booked: 目标×0 % + ... + 谈判×70 % + 100 = 280 (section 2)."""
    funnel = Funnel.template("project")
    stages = funnel.codes(
        ["目标", "潜在", "意向", "立项", "方案", "谈判"]
    )  # as the formula writes them
    forecast = 100.0 * funnel.probabilities[[*stages, funnel.won_code]].sum()
    assert pytest.approx(280.0, abs=1e-9) == forecast


def test_the_project_ladder_as_it_is_shown():
    """One line, in the language asked for."""
    line = "目标 0% > 潜在 10% > 意向 20% > 立项 30% > 方案认可 50% > 商务谈判 70% > 成交"
    assert f"Funnel('project': {line})" == repr(Funnel.template("project", language="zh"))
