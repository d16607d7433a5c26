"""Random funnels, histories and pipelines for property tests with hypothesis.

Importing this module needs hypothesis (``pip install 'salesfunnel[testing]'``); nothing else in
the library imports it.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from funnel.errors import MissingDependencyError
from funnel.stages import Funnel, Stage
from funnel.tables import History, Pipeline

try:
    from hypothesis import strategies as st
except ImportError as error:
    raise MissingDependencyError("hypothesis", "testing") from error

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hypothesis.strategies import DrawFn, SearchStrategy

__all__ = ["funnels", "histories", "pipelines"]

FIRST = 18_262  # 2020-01-01
NAMES = (
    "Qualify",
    "Propose",
    "Demo",
    "Negotiate",
    "on hold 2",
    "Prüfung",
    "Été",
    "意向",
    "商务谈判",
    "Z",
)

# Built once: hypothesis analyses every strategy that it has not met before.
HELD = st.booleans()
PROBABILITY = st.none() | st.floats(0.0, 1.0)
STANDARD = st.none() | st.integers(1, 90)
WAYS_TO_LOSE = st.sampled_from([("Lost",), ("Lost", "Cancelled")])
CHANGE = st.tuples(
    st.integers(0, 60),  # days since the change before: several fall on one day
    st.integers(0, 99),  # state, modulo their number: anything may follow anything
    st.sampled_from([0.0, 0.01, 99.5, 1_000.0, 250_000.0, np.nan]),
    st.none() | st.integers(-30, 200),  # days to the promise
    st.sampled_from(["", "Ann", "Bo", "陈"]),
)
LATE = st.integers(0, 100)  # days from creation to the first row
ENTRY = st.none() | st.integers(0, 100)  # days from entry to the first row; none: unknown
START = st.integers(0, 300)


@functools.cache
def _some_names(most: int) -> SearchStrategy[list[str]]:
    """Draw names of stages."""
    return st.lists(st.sampled_from(NAMES), min_size=1, max_size=most, unique=True)


@st.composite
def _funnel(draw: DrawFn, max_stages: int) -> Funnel:
    """Draw a funnel of which at least one stage is not on hold."""
    ids = draw(_some_names(max_stages))
    held = [draw(HELD) for _ in ids]
    held[draw(st.integers(0, len(ids) - 1))] = False
    stages = [
        Stage(
            name,
            win_probability=draw(PROBABILITY),
            standard_days=draw(STANDARD),
            on_hold=on_hold,
        )
        for name, on_hold in zip(ids, held, strict=True)
    ]
    return Funnel(stages, won="Won", lost=draw(WAYS_TO_LOSE), removed="Removed")


def funnels(*, max_stages: int = 5) -> SearchStrategy[Funnel]:
    """Draw funnels: some stages typed, some on hold, one or two ways to lose.

    Parameters
    ----------
    max_stages : int
        Most open stages.

    Returns
    -------
    SearchStrategy of Funnel

    Examples
    --------
    >>> import hypothesis
    >>> @hypothesis.given(funnels())
    ... def test_won_is_certain(funnel):
    ...     assert funnel.probabilities[funnel.code("Won")] == 1.0
    >>> test_won_is_certain()
    """
    return _funnel(max_stages)


@functools.cache
def _deals(fewest: int, most: int, changes: int) -> SearchStrategy[list[tuple[Any, ...]]]:
    """Draw deals: start, days from creation and from entry to the first row, changes."""
    deal = st.tuples(START, LATE, ENTRY, st.lists(CHANGE, min_size=1, max_size=changes))
    return st.lists(deal, min_size=fewest, max_size=most)


def _day(day: int | None) -> np.datetime64:
    """Return a day as a date; none is none."""
    return np.datetime64("NaT", "D") if day is None else np.datetime64(day, "D")


def _rows_of(
    name: str, states: Sequence[str], deal: tuple[int, int, int | None, Sequence[tuple[Any, ...]]]
) -> Iterator[tuple[Any, ...]]:
    """Write down the rows of one deal."""
    start, late, entry, changes = deal
    first = day = FIRST + 100 + start
    entered = first if late == 0 else None if entry is None else first - min(entry, late)
    for step, (gap, state, amount, promise, owner) in enumerate(changes):
        day += gap if step else 0
        close = None if promise is None else day + promise
        state_name = states[state % len(states)]
        yield name, state_name, day, first - late, entered, amount, close, owner


@st.composite
def _history(
    draw: DrawFn, funnel: Funnel | None, min_deals: int, max_deals: int, max_changes: int
) -> History:
    """Draw a history."""
    ladder = draw(funnels()) if funnel is None else funnel
    deals = draw(_deals(min_deals, max_deals, max_changes))
    rows = [row for i, deal in enumerate(deals) for row in _rows_of(f"D{i}", ladder.ids, deal)]
    columns = zip(*rows, strict=True) if rows else ((),) * 8
    ids, states, at, created, entered, amounts, closes, owners = columns
    first = min(at, default=FIRST) - draw(st.integers(0, 5))
    last = max(at, default=FIRST) + draw(st.integers(0, 60))
    return History.from_columns(
        funnel=ladder,
        id=np.array(ids, dtype=object),
        stage=np.array(states, dtype=object),
        at=np.array([_day(day) for day in at], dtype="datetime64[D]"),
        created=np.array([_day(day) for day in created], dtype="datetime64[D]"),
        stage_entered=np.array([_day(day) for day in entered], dtype="datetime64[D]"),
        amount=np.array(amounts, dtype=np.float64),
        expected_close=np.array([_day(day) for day in closes], dtype="datetime64[D]"),
        owner=np.array(owners, dtype=object),
        currency="EUR",
        observed_from=_day(first),
        observed_until=_day(last),
    )


def histories(
    *, funnel: Funnel | None = None, min_deals: int = 0, max_deals: int = 6, max_changes: int = 6
) -> SearchStrategy[History]:
    """Draw histories with skips, loops, holds, ties, late entries, reopened and removed deals.

    Parameters
    ----------
    funnel : Funnel, optional
        The ladder; a random one by default.
    min_deals, max_deals : int
        Fewest and most deals.
    max_changes : int
        Most rows of one deal.

    Returns
    -------
    SearchStrategy of History
        With amounts (some unknown), promised days and the attribute ``owner``.

    Examples
    --------
    >>> import hypothesis
    >>> @hypothesis.given(histories())
    ... def test_chunks_join_again(history):
    ...     chunks = list(history.chunks(2)) or [history]
    ...     assert type(history).concat(chunks).identical_to(history)
    >>> test_chunks_join_again()
    """
    return _history(funnel, min_deals, max_deals, max_changes)


@st.composite
def _pipeline(draw: DrawFn, funnel: Funnel | None, max_deals: int) -> Pipeline:
    """Draw a snapshot, or the same as a single export of which derived state is not known."""
    history = draw(histories(funnel=funnel, max_deals=max_deals))
    day = draw(st.integers(history.observed_from, history.observed_until))
    snapshot = history.snapshot(_day(day))
    if draw(st.booleans()):
        return snapshot
    columns = snapshot.to_columns()
    names = ("id", "stage", "amount", "expected_close", "created", "closed_on", "owner")
    kept: dict[str, Any] = {name: columns[name] for name in names}
    return Pipeline.from_columns(funnel=snapshot.funnel, as_of=_day(day), **kept)


def pipelines(*, funnel: Funnel | None = None, max_deals: int = 6) -> SearchStrategy[Pipeline]:
    """Draw pipelines: snapshots of random histories, and single exports with little known.

    Parameters
    ----------
    funnel : Funnel, optional
        The ladder; a random one by default.
    max_deals : int
        Most deals.

    Returns
    -------
    SearchStrategy of Pipeline

    Examples
    --------
    >>> import hypothesis
    >>> @hypothesis.given(pipelines())
    ... def test_objects_and_columns_agree(pipeline):
    ...     states = [pipeline.funnel.ids[code] for code in pipeline.stage]
    ...     assert [deal.stage for deal in pipeline] == states
    >>> test_objects_and_columns_agree()
    """
    return _pipeline(funnel, max_deals)
