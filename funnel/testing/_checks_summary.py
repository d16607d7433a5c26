"""Checks of the summary: it merges, so that any split of a history gives the same model."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from funnel.testing import fixtures
from funnel.testing._support import ask, expect, expect_same, requires

if TYPE_CHECKING:
    from funnel.models import StageModel
    from funnel.tables import History


def _parts(history: History, count: int) -> list[History]:
    """Deal whole deals out into parts, as cards are."""
    number = np.arange(history.n_deals)
    return [history.select(number % count == part) for part in range(count)]


@requires("summarize must leave the history alone and say the same of the same history each time")
def check_pure_summarize(model: StageModel[Any]) -> None:
    """Demand that a summary depends on its history only, and changes nothing."""
    history, twin = fixtures.history(), fixtures.history()
    pipeline = twin.snapshot()
    first = ask(model.estimate(model.summarize(history)), pipeline)
    expect(history.identical_to(twin), "the history was changed")
    model.summarize(history.select(np.arange(history.n_deals) % 2 == 0))
    again = ask(model.estimate(model.summarize(history)), pipeline)
    expect_same(first, again, pipeline, "summarised once more,", exact=True)


@requires("merging the summary of a history without deals must change nothing")
def check_merge_identity(model: StageModel[Any]) -> None:
    """Demand a neutral summary of a chunk that holds no deal."""
    history = fixtures.history()
    pipeline = history.snapshot()
    nobody = model.summarize(history.select(np.zeros(history.n_deals, dtype=np.bool_)))
    whole = model.summarize(history)
    alone = ask(model.estimate(whole), pipeline)
    for situation, merged in (
        ("with it on the right", whole.merge(nobody)),
        ("with it on the left", nobody.merge(whole)),
        ("with two of them", nobody.merge(nobody).merge(whole)),
    ):
        expect_same(alone, ask(model.estimate(merged), pipeline), pipeline, situation)


@requires("a.merge(b) and b.merge(a) must be the same")
def check_merge_commutative(model: StageModel[Any]) -> None:
    """Demand that summaries may come in any order."""
    history = fixtures.history()
    pipeline = history.snapshot()
    one, two = (model.summarize(part) for part in _parts(history, 2))
    there = ask(model.estimate(one.merge(two)), pipeline)
    back = ask(model.estimate(two.merge(one)), pipeline)
    expect_same(there, back, pipeline, "the other way round")


@requires("a.merge(b).merge(c) and a.merge(b.merge(c)) must be the same")
def check_merge_associative(model: StageModel[Any]) -> None:
    """Demand that summaries may be merged in any grouping."""
    history = fixtures.history()
    pipeline = history.snapshot()
    one, two, three = (model.summarize(part) for part in _parts(history, 3))
    left = ask(model.estimate(one.merge(two).merge(three)), pipeline)
    right = ask(model.estimate(one.merge(two.merge(three))), pipeline)
    expect_same(left, right, pipeline, "grouped to the right")


@requires("merge must return a new summary and leave both of the old ones alone")
def check_merge_pure(model: StageModel[Any]) -> None:
    """Demand that a summary can be merged twice: partial ones are kept and used again."""
    history = fixtures.history()
    pipeline = history.snapshot()
    one, two = (model.summarize(part) for part in _parts(history, 2))
    first = ask(model.estimate(one.merge(two)), pipeline)
    again = ask(model.estimate(one.merge(two)), pipeline)
    expect_same(first, again, pipeline, "merged a second time,", exact=True)


@requires("any split of a history into whole deals must give the same fitted model")
def check_chunk_invariant(model: StageModel[Any]) -> None:
    """Demand the same curves in one piece, in chunks of several sizes, and in threads."""
    history = fixtures.history()
    pipeline = history.snapshot()
    whole = ask(model.fit(history), pipeline)
    splits = {f"in chunks of {size} deals": list(history.chunks(size)) for size in (1, 10, 100)}
    splits["dealt out into 4 chunks"] = _parts(history, 4)
    splits["in chunks of 50 deals, the last one first"] = list(history.chunks(50))[::-1]
    for situation, chunks in splits.items():
        expect_same(whole, ask(model.fit(chunks), pipeline), pipeline, situation)
    with ThreadPoolExecutor(2) as executor:
        fitted = model.fit(splits["in chunks of 10 deals"], executor=executor)
    expect_same(whole, ask(fitted, pipeline), pipeline, "in chunks of 10 deals and 2 threads")
