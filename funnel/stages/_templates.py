"""Ladders in use, in English and Chinese; probabilities only where the trade states them."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from funnel.stages._stage import Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LANGUAGES = ("en", "zh")

Row = tuple[str, str, str, float | None]  # id, English, Chinese, typed win probability

LADDERS: Mapping[str, tuple[Row, ...]] = {
    "general": (
        ("prospect", "Prospect", "待开发", 0.0),
        ("intent", "Intent", "意向", 0.10),
        ("shortlist", "Shortlist", "入围", 0.25),
        ("negotiation", "Negotiation", "谈判", 0.50),
        ("signing", "Awaiting signature", "成交待签", 0.90),
    ),
    "project": (
        ("target", "Target", "目标", 0.0),
        ("potential", "Potential", "潜在", 0.10),
        ("intent", "Intent", "意向", 0.20),
        ("initiated", "Project approved", "立项", 0.30),
        ("proposal", "Proposal accepted", "方案认可", 0.50),
        ("negotiation", "Negotiation", "商务谈判", 0.70),
    ),
    "small-project": (
        ("intent", "Intent", "意向", 0.20),
        ("solution", "Solution", "解决方案", 0.35),
        ("negotiation", "Negotiation", "商务谈判", 0.70),
    ),
    "lead-to-cash": (
        ("lead", "Lead", "潜在客户", None),
        ("opportunity", "Opportunity", "意向客户", None),
        ("incubation", "Incubation", "商机孵化", None),
        ("negotiation", "Negotiation", "商务谈判", None),
    ),
    "five-step": (
        ("contact", "First contact", "初步接洽", None),
        ("needs", "Needs confirmed", "确认需求", None),
        ("quote", "Proposal and quote", "方案报价", None),
        ("contract", "Contract negotiation", "合同谈判", None),
    ),
}

WON: Mapping[str, tuple[str, str]] = {
    "lead-to-cash": ("Signed", "成交签约"),
    "five-step": ("Signed", "签约成单"),
}

ALIASES: Mapping[str, tuple[str, ...]] = {  # other names in use, by Chinese label
    "方案认可": ("方案",),
    "商务谈判": ("谈判",),
    "潜在客户": ("线索", "潜在客户(线索)"),
    "意向客户": ("商机", "意向客户(商机)"),
}

AFTER_WON: Mapping[str, tuple[Row, ...]] = {
    "general": (("repeat", "Repeat purchase", "重复购买", None),),
    "lead-to-cash": (("repeat", "Repeat purchase and upsell", "复购增购", None),),
}

STANDARD_DAYS: Mapping[str, float] = {"small-project": 7.0}


def _stage(row: Row, language: str, days: float | None = None) -> Stage:
    """Make one stage, its label in the language asked for."""
    name, english, chinese, probability = row
    return Stage(
        name,
        label={"en": english, "zh": chinese}[language],
        labels={"en": english, "zh": chinese},
        win_probability=probability,
        standard_days=days,
        aliases=ALIASES.get(chinese, ()),
    )


def _build(name: str, language: str) -> dict[str, Any]:
    """Return the arguments of `Funnel` for one template."""
    english, chinese = WON.get(name, ("Won", "成交"))

    def terminal(state: str, labels: tuple[str, str]) -> Stage:
        """Make a terminal state with both labels."""
        both = dict(zip(LANGUAGES, labels, strict=True))
        return Stage(state, label=both[language], labels=both)

    days = STANDARD_DAYS.get(name)
    return {
        "stages": [_stage(row, language, days) for row in LADDERS[name]],
        "won": terminal("won", (english, chinese)),
        "lost": (terminal("lost", ("Lost", "丢单")),),
        "removed": terminal("removed", ("Removed", "已删除")),
        "after_won": [_stage(row, language) for row in AFTER_WON.get(name, ())],
    }


TEMPLATES: Mapping[str, Callable[[str], dict[str, Any]]] = {
    name: functools.partial(_build, name) for name in LADDERS
}
