"""Findings in words, in English and Chinese."""

from __future__ import annotations

from typing import TYPE_CHECKING

from funnel._display import money, percent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from funnel.diagnosis.diagnosis import Diagnosis

__all__ = ["LANGUAGES", "findings"]

LANGUAGES = ("en", "zh")
YIELD, BACKLOG, BALANCE, SPEED, CONVERSION = range(5)
WIDTH, SLOPE, EVENNESS, FLOW = range(4)
LOW, NORMAL, HIGH, UNKNOWN = -1, 0, 1, 2

WORDS: Mapping[str, Mapping[int, str]] = {
    "en": {LOW: "low", NORMAL: "normal", HIGH: "high", UNKNOWN: "not known"},
    "zh": {LOW: "偏低", NORMAL: "正常", HIGH: "偏高", UNKNOWN: "未知"},
}
PACE: Mapping[str, str] = {"en": "{} a week", "zh": "每周 {}"}
TEXTS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "slow bulge": "a bulge at {stage}: deals stay {days} days against {standard_days}; "
        "inflow is {inflow}",
        "bulge": "a bulge at {stage}: it holds {deals} against {standard_deals}; inflow is "
        "{inflow}, the time they stay is {speed}",
        "slow": "deals stay {days} days at {stage} against {standard_days}",
        "weak": "the step after {stage} is weak: {rate} go on against {standard_rate}",
        "gap": "too few deals at {stage}: {deals} against {standard_deals}; inflow is {inflow}, "
        "conversion before it is {conversion}",
        "narrow": "too few deals at the top: {width} against {standard_width}",
        "marketing": "too few deals at the top: {width} against {standard_width}, while conversion "
        "is {slope}: spend on marketing",
        "wide": "many deals at the top: {width} against {standard_width}",
        "uneven": "the deals are in other stages than they should be: {evenness} of them, with no "
        "single stage to blame",
        "long": "the sales cycle is long: {flow} days against {standard_flow}, with no single "
        "stage to blame",
        "weak overall": "conversion is low over all stages: {rate} are won against "
        "{standard_rate}, with no single stage to blame",
        "other": "no stage is to blame, but these differ from the standard by more than chance: "
        "{measures}",
        "fine": "nothing differs from the standard by more than chance",
        "blind": "too little is known to compare with the standard",
    },
    "zh": {
        "slow bulge": "{stage}阶段积压：平均停留 {days} 天，标准 {standard_days} 天；流入{inflow}",
        "bulge": "{stage}阶段积压：{deals} 个商机，标准 {standard_deals} 个；流入{inflow}，"
        "停留时间{speed}",
        "slow": "{stage}阶段停留过久：平均 {days} 天，标准 {standard_days} 天",
        "weak": "{stage}之后的升迁偏弱：转化率 {rate}，标准 {standard_rate}",
        "gap": "{stage}阶段商机不足：{deals} 个，标准 {standard_deals} 个；流入{inflow}，"
        "上一步转化率{conversion}",
        "narrow": "漏斗口过窄：{width}，标准 {standard_width}",
        "marketing": "漏斗口过窄：{width}，标准 {standard_width}，而转化率{slope}：应加大市场投入",
        "wide": "漏斗口较宽：{width}，标准 {standard_width}",
        "uneven": "商机分布不均匀：{evenness} 的商机不在应在的阶段，但不能归于某一阶段",
        "long": "销售周期过长：{flow} 天，标准 {standard_flow} 天，但不能归于某一阶段",
        "weak overall": "总转化率偏低：{rate}，标准 {standard_rate}，但不能归于某一阶段",
        "other": "不能归于某一阶段，但以下指标与标准的差异超出随机波动：{measures}",
        "fine": "与标准漏斗的差异均在随机波动之内",
        "blind": "所知太少，无法与标准漏斗比较",
    },
}

MEASURES: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {  # of a stage, of the whole
    "en": (
        ("yield", "backlog", "balance", "speed", "conversion"),
        ("width", "slope", "evenness", "flow"),
    ),
    "zh": (("产量", "积压", "平衡", "速率", "转化"), ("粗细", "斜率", "均匀", "流速")),
}
OF_STAGE: Mapping[str, str] = {
    "en": "{measure} of {stage} {verdict}",
    "zh": "{stage}{measure}{verdict}",
}
OF_WHOLE: Mapping[str, str] = {"en": "{measure} {verdict}", "zh": "{measure}{verdict}"}
COMMA: Mapping[str, str] = {"en": ", ", "zh": "、"}


def _days(value: float) -> str:
    """Write days, whole ones from 10 on."""
    return f"{value:,.0f}" if value >= 10.0 else f"{value:,.3g}"


def _number_measure(verdict: list[int]) -> int:
    """Say what judges the number of deals in a stage: that of the standard, or its shape."""
    return YIELD if verdict[YIELD] != UNKNOWN else BALANCE


def _crowd_measure(verdict: list[int]) -> int:
    """Say what judges a bulge: the stage's own inflow where it is known, or the number of deals."""
    return BACKLOG if verdict[BACKLOG] != UNKNOWN else _number_measure(verdict)


def _stage_kinds(diagnosis: Diagnosis, cell: int, stage: int) -> list[str]:
    """Say which findings a stage gives rise to."""
    verdict = diagnosis.verdicts[cell, stage].tolist()
    slow = verdict[SPEED] == HIGH
    by_number = verdict[_number_measure(verdict)]
    kinds = []
    if verdict[_crowd_measure(verdict)] == HIGH:
        kinds.append("slow bulge" if slow else "bulge")
    elif slow:
        kinds.append("slow")
    narrow = diagnosis.whole_verdicts[cell, WIDTH] == LOW and verdict[BACKLOG] != UNKNOWN
    explained = narrow and verdict[BACKLOG] != LOW  # as many as the few that enter should leave
    if stage > 0 and by_number == LOW and not explained:  # that of the first stage is the width
        kinds.append("gap")
    if verdict[CONVERSION] == LOW:
        kinds.append("weak")
    return kinds


def _stage_facts(
    diagnosis: Diagnosis, cell: int, stage: int, language: str, kind: str
) -> dict[str, str]:
    """Return the numbers and words of a stage; what should be is of the measure that judged."""
    words = WORDS[language]
    actual, expected = diagnosis.actual[cell, stage], diagnosis.expected[cell, stage].tolist()
    verdict = diagnosis.verdicts[cell]
    names = diagnosis.labels[stage]
    of = _number_measure if kind == "gap" else _crowd_measure
    measure = of(verdict[stage].tolist())
    wanted = expected[measure]
    if measure == BALANCE and stage:  # as many as the stage before should leave
        wanted *= float(diagnosis.actual[cell, stage - 1, YIELD])
    return {
        "stage": names.get(language, names[""]),
        "deals": money(float(actual[YIELD])),
        "standard_deals": money(wanted),
        "days": _days(float(actual[SPEED])),
        "standard_days": _days(expected[SPEED]),
        "rate": percent(float(actual[CONVERSION])),
        "standard_rate": percent(expected[CONVERSION]),
        "speed": words[int(verdict[stage, SPEED])],
        "conversion": words[int(verdict[stage - 1, CONVERSION])] if stage else words[UNKNOWN],
        "inflow": words[int(diagnosis.whole_verdicts[cell, WIDTH])],
    }


def _whole_kinds(diagnosis: Diagnosis, cell: int, found: set[str]) -> list[str]:
    """Say which findings the whole gives rise to, given those of the stages."""
    verdict = diagnosis.whole_verdicts[cell].tolist()
    kinds = []
    if verdict[WIDTH] == LOW:
        kinds.append("marketing" if verdict[SLOPE] in {NORMAL, HIGH} else "narrow")
    elif verdict[WIDTH] == HIGH:
        kinds.append("wide")
    if verdict[FLOW] == HIGH and not found & {"slow", "slow bulge"}:
        kinds.append("long")
    if verdict[EVENNESS] == HIGH and not found & {"slow bulge", "bulge", "gap"} and not kinds:
        kinds.append("uneven")
    if verdict[SLOPE] == LOW and "weak" not in found:
        kinds.append("weak overall")
    return kinds


def _differing(diagnosis: Diagnosis, cell: int, language: str) -> str:
    """List the measures that differ from the standard, those of the stages first."""
    words, (of_stage, of_whole) = WORDS[language], MEASURES[language]
    told = []
    for names, row in zip(diagnosis.labels, diagnosis.verdicts[cell].tolist(), strict=True):
        told += [
            OF_STAGE[language].format(
                measure=measure, stage=names.get(language, names[""]), verdict=words[verdict]
            )
            for measure, verdict in zip(of_stage, row, strict=True)
            if verdict in {LOW, HIGH}
        ]
    told += [
        OF_WHOLE[language].format(measure=measure, verdict=words[verdict])
        for measure, verdict in zip(of_whole, diagnosis.whole_verdicts[cell].tolist(), strict=True)
        if verdict in {LOW, HIGH}
    ]
    return COMMA[language].join(told)


def findings(diagnosis: Diagnosis, cell: int, language: str) -> list[str]:
    """Return the findings of one group, those of the stages first."""
    patterns, words = TEXTS[language], WORDS[language]
    lines, found = [], set[str]()
    for stage in range(len(diagnosis.labels)):
        for kind in _stage_kinds(diagnosis, cell, stage):
            found.add(kind)
            facts = _stage_facts(diagnosis, cell, stage, language, kind)
            lines.append(patterns[kind].format(**facts))
    actual = diagnosis.whole_actual[cell].tolist()
    expected = diagnosis.whole_expected[cell].tolist()
    pace = PACE[language] if diagnosis.source == "history" else "{}"
    facts = {
        "width": pace.format(money(actual[WIDTH])),
        "standard_width": money(expected[WIDTH]),
        "slope": words[int(diagnosis.whole_verdicts[cell, SLOPE])],
        "rate": percent(actual[SLOPE]),
        "standard_rate": percent(expected[SLOPE]),
        "evenness": percent(actual[EVENNESS]),
        "flow": _days(actual[FLOW]),
        "standard_flow": _days(expected[FLOW]),
    }
    lines += [patterns[kind].format(**facts) for kind in _whole_kinds(diagnosis, cell, found)]
    if lines:
        return lines
    measures = _differing(diagnosis, cell, language)
    if measures:
        return [patterns["other"].format(measures=measures)]
    known = (diagnosis.verdicts[cell] != UNKNOWN).any()
    known |= (diagnosis.whole_verdicts[cell] != UNKNOWN).any()
    return [patterns["fine" if known else "blind"]]
