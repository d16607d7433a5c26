"""A first draft of a funnel, made from the stages that occur in the data."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Any

import numpy as np

from funnel.errors import ReadError
from funnel.io import presets
from funnel.io._arrow import arrow
from funnel.io._dates import Clock
from funnel.io._sheet import choose
from funnel.io._source import open_source
from funnel.io._texts import Texts, read_ids, read_texts
from funnel.io._values import LEFT_OUT, Style, read_days
from funnel.stages import Funnel, Stage
from funnel.typing import NO_DAY

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from funnel.io._columns import Sheet
    from funnel.io.presets import Shape
    from funnel.typing import FloatArray

__all__ = ["suggest_funnel"]

_WON = frozenset(
    {"won", "closed won", "closedwon", "win", "deal won", "signed", "contract signed"}
    | {"赢单", "赢", "成交", "已成交", "签约", "成交签约", "签约成单"}
)
_LOST = frozenset(
    {"lost", "closed lost", "closedlost", "lose", "deal lost", "cancelled", "canceled"}
    | {"declined", "rejected", "abandoned", "disqualified", "no decision"}
    | {"丢单", "输单", "输", "失败", "流失", "取消", "已取消"}
)
_REMOVED = frozenset({"removed", "deleted", "duplicate", "已移除", "已删除", "重复"})


def suggest_funnel(
    source: str | os.PathLike[str] | Any,  # noqa: ANN401 - a dataframe of any library
    *,
    layout: Shape = "states",
    preset: str | None = None,
    id: str | None = None,
    stage: str | None = None,
    at: str | None = None,
    field: str | None = None,
    new: str | None = None,
    fields: Mapping[str, str | None] | None = None,
    day_first: bool | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
) -> Funnel:
    """Draft a funnel from the stages in a change log or table of deals, to be checked by eye.

    Open stages stand in the order of their mean rank: the first stage that a deal enters has rank
    0, the next one that it has not been in before rank 1, and so on. A table of deals does not tell
    an order; its stages stand as they first occur. Won, lost and removed are known by their names.

    Parameters
    ----------
    source, preset, id, stage, at, field, new, fields, day_first, encoding, delimiter
        As for `read_history`.
    layout : {"states", "fields", "deals"}
        Shape of the source; a table of deals needs `stage` only.

    Returns
    -------
    Funnel
        Without win probabilities. Nothing else is known of the stages: say whether they are on
        hold, and whether their order is right.

    Raises
    ------
    ReadError
        When no open stage is found, or the source cannot be read.
    UnknownColumnError
        When a column is not there.

    Examples
    --------
    >>> import funnel as fn
    >>> import pandas as pd
    >>> changes = pd.DataFrame({
    ...     "deal": ["A", "A", "A", "B", "B"],
    ...     "stage": ["Qualify", "Propose", "Closed Won", "Qualify", "Cancelled"],
    ...     "day": ["2026-01-05", "2026-01-20", "2026-02-10", "2026-02-01", "2026-02-03"],
    ... })
    >>> fn.io.suggest_funnel(changes, id="deal", stage="stage", at="day")
    Funnel(Qualify > Propose > Closed Won)
    """
    presets.demand_shape(layout)
    given = {"id": id, "stage": stage, "at": at, "field": field, "new": new}
    needed = {
        "states": ("id", "stage", "at"),
        "fields": ("id", "at", "field", "new"),
        "deals": ("stage",),
    }[layout]
    ready = presets.find(preset, layout)
    wanted = presets.Preset({name: ready.columns[name] for name in needed if name in ready.columns})
    opened = open_source(source, encoding=encoding, delimiter=delimiter)
    sheet = choose(opened, given, (), wanted, needed=needed, reader="suggest_funnel")
    stages = _stages(sheet, {**ready.fields, **(fields or {})})
    if layout == "deals":
        rank = np.arange(len(stages.names), dtype=np.float64)
    else:
        rank = _mean_ranks(sheet, stages, Style(Clock(day_first=day_first)))
    order = np.argsort(rank, kind="stable").tolist()
    return _drafted([stages.names[code] for code in order], sheet.source)


def _stages(sheet: Sheet, fields: Mapping[str, str | None]) -> Texts:
    """Return the stage that each row sets; none where it sets something else."""
    if "new" not in sheet:
        return read_texts(*sheet.column("stage"), name="stage")[0]
    names, _ = read_texts(*sheet.column("field"), name="field")
    is_stage = np.array([*(fields.get(name) == "stage" for name in names.names), False])
    column, header = sheet.column("new")
    rows = np.flatnonzero(is_stage[names.codes])
    found, _ = read_texts(column.take(arrow().array(rows)), header, name="stage")
    codes = np.full(sheet.length, -1, dtype=np.int32)
    codes[rows] = found.codes
    return found._replace(codes=codes)


def _mean_ranks(sheet: Sheet, stages: Texts, style: Style) -> FloatArray:
    """(m,): the mean rank of each stage among the stages that a deal enters one after the other."""
    ids, _ = read_ids(*sheet.column("id"))
    moments, _ = read_days(*sheet.column("at"), name="at", style=style, action=LEFT_OUT)
    usable = (ids.codes >= 0) & (stages.codes >= 0) & (moments.day != NO_DAY)
    rows = np.flatnonzero(usable)
    when = moments.day if moments.time is None else moments.time
    rows = rows[np.lexsort((when[rows], ids.codes[rows]))]
    deal, stage = ids.codes[rows].astype(np.int64), stages.codes[rows]
    _, entries = np.unique(deal * len(stages.names) + stage, return_index=True)
    entries.sort()
    deal, stage = deal[entries], stage[entries]
    starts = np.flatnonzero(np.diff(deal, prepend=-1))
    rank = np.arange(len(deal)) - np.repeat(starts, np.diff(np.append(starts, len(deal))))
    count = np.bincount(stage, minlength=len(stages.names))
    total = np.bincount(stage, weights=rank, minlength=len(stages.names))
    mean: FloatArray = np.divide(total, count, out=np.full(len(count), np.inf), where=count > 0)
    return mean


def _drafted(names: list[str], source: str) -> Funnel:
    """Make a funnel of stages in order; spellings that a funnel takes for one become one."""
    distinct = {_plain(name): name for name in reversed(names)}
    kept = [name for name in names if distinct[_plain(name)] == name]

    def among(known: frozenset[str]) -> list[str]:
        """Return the stages whose names are known."""
        return [name for name in kept if _plain(name) in known]

    won, lost, removed = among(_WON), among(_LOST), among(_REMOVED)
    stages = [name for name in kept if name not in {*won, *lost, *removed}]
    if not stages:
        found = ", ".join(map(repr, kept[:20])) or "none at all"
        msg = f"{source} must have an open stage to draft a funnel; stages found: {found}."
        raise ReadError(msg)
    return Funnel(
        stages,
        won=Stage(won[0], aliases=won[1:]) if won else "Won",
        lost=lost or ("Lost",),
        removed=Stage(removed[0], aliases=removed[1:]) if removed else "Removed",
    )


def _plain(name: str) -> str:
    """Return a name as it is compared: without case and width, hyphens and underscores blank."""
    folded = unicodedata.normalize("NFKC", name).casefold()
    return re.sub(r"[\s_-]+", " ", folded).strip()
