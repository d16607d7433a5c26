"""Checks of the classes: frozen, stored and sent elsewhere, used by threads, fast."""

from __future__ import annotations

import contextlib
import copy
import functools
import pickle
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from funnel.models import FittedModel, load, registry, save
from funnel.testing import _variations as variations
from funnel.testing import fixtures
from funnel.testing._support import BrokenRuleError, ask, expect, expect_same, requires

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from funnel.models import StageModel
    from funnel.typing import FloatArray

THREADS = 4
TIMES = 8  # how much larger the large table is
LINES_PER_DEAL = 0.1  # a loop over a fraction of the deals shows too


def _frozen_values(instance: object) -> dict[str, object]:
    """Demand an attrs class whose attributes cannot be set, and return them."""
    kind: Any = type(instance)
    expect(attrs.has(kind), f"{kind.__name__} is not an attrs class")
    values = {field.name: getattr(instance, field.name) for field in attrs.fields(kind)}
    for name, value in {**values, "a_new_attribute": None}.items():
        try:
            setattr(instance, name, value)
        except AttributeError:
            continue
        msg = f"{kind.__name__} let its attribute {name!r} be set"
        raise BrokenRuleError(msg)
    return values


@requires("a model must be a frozen, hashable attrs class of parameters, with a name")
def check_frozen_spec(model: StageModel[Any]) -> None:
    """Demand a value: equal ones are equal, and fitting does not change it."""
    expect(isinstance(getattr(model, "name", None), str), "it has no name")
    _frozen_values(model)
    twin = copy.deepcopy(model)
    expect(model == twin and hash(model) == hash(twin), "a copy of it is not equal to it")
    model.fit(fixtures.history())
    expect(model == twin and hash(model) == hash(twin), "fitting has changed it")


@requires("a fitted model must be a frozen attrs class with read-only arrays, the one in `fitted`")
def check_frozen_fitted(model: StageModel[Any]) -> None:
    """Demand that nobody can change what was learnt."""
    fitted = model.fit(fixtures.history())
    kinds = f"{type(fitted).__name__} was returned, `fitted` is {model.fitted!r}"
    expect(type(fitted) is model.fitted, kinds)
    expect(isinstance(fitted, FittedModel), "it has not all of trained_until, needs and win_curve")
    for name, value in _frozen_values(fitted).items():
        fixed = not (isinstance(value, np.ndarray) and value.flags.writeable)
        expect(fixed, f"array {name!r} can be written to; call setflags(write=False)")


@requires("the repr of a model must be an expression that makes it again")
def check_repr_round_trips(model: StageModel[Any]) -> None:
    """Demand a repr that can be pasted from a log."""
    names = {**vars(sys.modules[type(model).__module__]), type(model).__name__: type(model)}
    again = eval(repr(model), names)  # noqa: S307 - the repr of the caller's own model
    expect(again == model, f"{model!r} made {again!r}, which is not equal")


@requires("a saved model must be loaded with the same answers")
def check_saves_and_loads(model: StageModel[Any]) -> None:
    """Demand what `funnel.models.save` can store; only registered models can be loaded again."""
    if model.name not in registry.names() or type(registry.get(model.name)) is not type(model):
        return
    history = fixtures.history()
    fitted, pipeline = model.fit(history), history.snapshot()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.npz"
        save(fitted, path)
        loaded = load(path)
    days = f"trained_until became {loaded.trained_until!r}"
    expect(loaded.trained_until == fitted.trained_until, days)
    expect_same(ask(fitted, pipeline), ask(loaded, pipeline), pipeline, "loaded", exact=True)


@requires("model, summary and fitted model must be picklable, for executors that run processes")
def check_pickles(model: StageModel[Any]) -> None:
    """Demand that all three can be sent to another process, and mean the same there."""
    history = fixtures.history()
    pipeline = history.snapshot()
    sent = pickle.loads(pickle.dumps(model))  # noqa: S301 - pickled on this line
    expect(sent == model, f"{model!r} became {sent!r}")
    summary = model.summarize(history)
    fitted = model.estimate(summary)
    for situation, there in (
        ("from a sent summary", model.estimate(pickle.loads(pickle.dumps(summary)))),  # noqa: S301
        ("from a sent fitted model", pickle.loads(pickle.dumps(fitted))),  # noqa: S301
    ):
        expect_same(ask(fitted, pipeline), ask(there, pipeline), pipeline, situation)


@contextlib.contextmanager
def _switching_often() -> Iterator[None]:
    """Let threads take turns so often that a race is lost at once."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


@requires("threads that share a model and a fitted model must get what one of them gets alone")
def check_thread_safe(model: StageModel[Any]) -> None:
    """Demand no scratch space that is shared: four threads fit and ask at the same time."""
    history = fixtures.history()
    fitted, pipeline = model.fit(history), history.snapshot()
    number = np.arange(history.n_deals)
    pasts = [history.select(number % (THREADS + 1) != i) for i in range(THREADS)]
    parts = [pipeline.select(number % THREADS == i) for i in range(THREADS)]
    start = Barrier(THREADS)

    def work(i: int) -> tuple[FloatArray, FloatArray]:
        """Ask the model that all share, and fit one."""
        return ask(fitted, parts[i]), ask(model.fit(pasts[i]), parts[i])

    def work_together(i: int) -> tuple[FloatArray, FloatArray]:
        """Begin when all are there."""
        start.wait(timeout=60)
        return work(i)

    alone = [work(i) for i in range(THREADS)]
    with _switching_often(), ThreadPoolExecutor(THREADS) as executor:
        together = list(executor.map(work_together, range(THREADS)))
    for part, expected, actual in zip(parts, alone, together, strict=True):
        expect_same(expected[0], actual[0], part, f"asked by {THREADS} threads,")
        expect_same(expected[1], actual[1], part, f"fitted by {THREADS} threads,")


def _count_lines(function: Callable[[], object]) -> int:
    """Count the lines of Python that a call executes, those of a comprehension each time."""
    count = 0

    def trace(frame: FrameType, event: str, arg: object) -> Any:  # noqa: ANN401 - a trace function
        """Count one event."""
        nonlocal count
        del frame, arg
        count += event in {"line", "call"}
        return trace

    previous = sys.gettrace()
    sys.settrace(trace)
    try:
        function()
    finally:
        sys.settrace(previous)
    return count


@requires("summarize and win_curve must work on whole columns: no Python loop over deals or rows")
def check_no_row_loop(model: StageModel[Any]) -> None:
    """Demand that eight times as many deals take no more lines of Python; time is not measured."""
    small = fixtures.history()
    fitted = model.fit(small)  # also loads what is imported late
    ask(fitted, small.snapshot())
    large = variations.repeated(small, TIMES)
    small = variations.repeated(small, 1)
    more = large.n_deals - small.n_deals
    asked = {
        "summarize": [functools.partial(model.summarize, table) for table in (small, large)],
        "win_curve": [functools.partial(ask, fitted, t.snapshot()) for t in (small, large)],
    }
    for name, calls in asked.items():
        few, many = (_count_lines(call) for call in calls)
        seen = (
            f"{name} took {few:,} lines for {small.n_deals:,} deals, {many:,} for {large.n_deals:,}"
        )
        expect(many - few < LINES_PER_DEAL * more, seen)
