"""Why a deal has its chance: what moves it away from a usual deal of its stage."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

import attrs
import numpy as np

from funnel._display import money, percent
from funnel.calendars import Horizon, to_date, to_day
from funnel.errors import ValidationError, did_you_mean
from funnel.forecasting.base import HasStageModel
from funnel.kernels.labels import texts
from funnel.models import FittedModel
from funnel.results import ResultTable
from funnel.snapshots import stacked
from funnel.stages import Outcome
from funnel.typing import NO_DAY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from funnel.tables import Pipeline
    from funnel.typing import DateLike, FloatArray, IntArray, StringArray

__all__ = ["Explanation", "explain"]

STATE = {
    "days in stage": ("days_in_stage", "stage_entered"),
    "age": ("created", "first_seen"),
    "visits": ("visits", "previous_stage", "furthest_stage", "reopened"),
    "promise": ("expected_close", "pushes"),
    "amount": ("amount",),
}
"""What changes together; each attribute is a feature of its own, unless there are many."""

ATTRIBUTES = "attributes"
MOST = 10
"""Features that are told apart at most: the model is asked about 2^10 = 1,024 combinations."""

DATES = frozenset({"created", "first_seen", "stage_entered"})
CODES = frozenset({"previous_stage", "furthest_stage"})
SILENT = CODES | {"stage_entered", "first_seen", "reopened"}
"""What says nothing to a reader that the rest of its group has not said."""

UNITS = {"days_in_stage": " days", "pushes": "× pushed"}

SHOWN = 4
"""Most facts of a group that are shown."""

NAMES = 10_000
"""Beyond so many deals, none is searched for a name like the one that is not there."""


@attrs.frozen(eq=False)
class Explanation(ResultTable):
    """The chance of one deal, and what moves it away from a usual deal of its stage.

    Parameters
    ----------
    deal, stage : str
        The deal and the stage that it is in.
    until : int
        The day (since 1970-01-01) by which it is to be won.
    chance : float
        Its chance to be won by then.
    average : float
        Mean chance of the open deals in its stage.
    usual : float
        Chance of a deal of the stage that has the usual values of it.
    feature : (g,) str
        What is known of a deal, in groups.
    value, reference : (g,) str
        What it is for this deal, and usually.
    contribution : (g,) float64
        By how much it moves the chance; they add up to ``chance - usual``.
    """

    percents: ClassVar[frozenset[str]] = frozenset({"contribution"})

    deal: str
    stage: str
    until: int
    chance: float
    average: float
    usual: float
    feature: StringArray
    value: StringArray
    reference: StringArray
    contribution: FloatArray

    def to_columns(self) -> dict[str, Any]:
        """Return one row for each feature, what moves the chance most first."""
        order = np.argsort(-np.abs(self.contribution), kind="stable")
        return {
            "feature": self.feature[order],
            "this deal": self.value[order],
            "usual": self.reference[order],
            "contribution": self.contribution[order],
        }

    @property
    def _title(self) -> str:
        """Return the chance beside those of its stage."""
        return (
            f"{self.deal} ({self.stage}) is won by {to_date(self.until)} with a chance of "
            f"{percent(self.chance)}; usual deals of the stage: {percent(self.usual)}, on average "
            f"{percent(self.average)}"
        )


def explain(
    fitted: FittedModel | HasStageModel,
    pipeline: Pipeline,
    deal: str,
    until: DateLike | Horizon,
    /,
) -> Explanation:
    """Explain the chance of one open deal, whatever the model.

    Parameters
    ----------
    fitted : FittedModel or HasStageModel
        What gives the chance.
    pipeline : Pipeline
        The deals, of which those open in the same stage say what is usual.
    deal : str
        Id of the deal.
    until : date or Horizon
        The last day on which it may be won; of a horizon, its last day.

    Returns
    -------
    Explanation

    Raises
    ------
    ValidationError
        When there is no such deal or it is not open, or the day is not after that of the pipeline.

    Notes
    -----
    Contributions are Shapley values: of all orders in which the groups of features could change
    from the usual values to those of the deal, the mean change that each group makes. Usual is the
    median, or what is most common, among open deals in the stage. With g groups, one call of the
    model answers all 2^g combinations. What a model does not look at contributes exactly 0.

    References
    ----------
    L. S. Shapley, "A value for n-person games", in Contributions to the Theory of Games II, 1953,
    doi:10.1515/9781400881970-018.

    Examples
    --------
    >>> import funnel as fn
    >>> history = fn.datasets.simulate(500, rng=1).history
    >>> fitted = fn.models.get("semi-markov").fit(history)
    >>> pipeline = history.snapshot()
    >>> first = pipeline.ids[pipeline.outcome == fn.Outcome.OPEN][0]
    >>> found = explain(fitted, pipeline, first, "2026-12-31")
    >>> bool(abs(found.contribution.sum() - (found.chance - found.usual)) < 1e-12)
    True
    """
    row = _row(pipeline, deal)
    last = int(until.edges[-1]) - 1 if isinstance(until, Horizon) else to_day(until, name="until")
    if last <= pipeline.as_of:
        rule = f"must be after the day of the pipeline, {to_date(pipeline.as_of)}"
        raise ValidationError.from_value("until", rule, str(to_date(last)), "")
    model = (
        fitted.stage_model(last, pipeline.as_of) if isinstance(fitted, HasStageModel) else fitted
    )
    if not isinstance(model, FittedModel):
        rule = "must be a fitted stage model, or a fitted forecaster that looks at deals"
        raise ValidationError.from_value("fitted", rule, type(fitted).__name__, "")
    pipeline.require(*model.needs)
    alike = (pipeline.outcome == Outcome.OPEN) & (pipeline.stage == pipeline.stage[row])
    peers, groups = pipeline.select(alike), _groups(pipeline)
    usual = {name: _usual(peers, name) for names in groups.values() for name in names}
    worlds = _worlds(pipeline.select(np.array([row])), groups, usual)
    dates = np.array([last]).astype("datetime64[D]")
    chance = model.win_curve(stacked(worlds, peers), dates)[:, 0]
    own = chance[: len(worlds)]
    said = worlds.select(np.array([0, -1])).to_columns()
    return Explanation(
        deal=deal,
        stage=pipeline.funnel.ids[int(pipeline.stage[row])],
        until=last,
        chance=float(own[-1]),
        average=float(chance[len(worlds) :].mean()),
        usual=float(own[0]),
        feature=texts(groups),
        value=texts(_said(said, names, 1, pipeline.as_of) for names in groups.values()),
        reference=texts(_said(said, names, 0, pipeline.as_of) for names in groups.values()),
        contribution=shapley(own),
    )


def _row(pipeline: Pipeline, deal: str) -> int:
    """Return the row of an open deal."""
    found = np.flatnonzero(pipeline.ids == deal)
    if not len(found):
        hint = did_you_mean(str(deal), pipeline.ids.tolist()) if len(pipeline) <= NAMES else ""
        raise ValidationError.from_value("deal", "must be the id of a deal", deal, hint)
    row = int(found[0])
    if pipeline.outcome[row] != Outcome.OPEN:
        rule = "must be an open deal"
        stage = pipeline.funnel.ids[int(pipeline.stage[row])]
        raise ValidationError.from_value("deal", rule, deal, f"It is in {stage!r}.")
    return row


def _groups(pipeline: Pipeline) -> dict[str, tuple[str, ...]]:
    """Return the groups of features, and what is in each: attributes alone, unless too many."""
    taken = {name for names in STATE.values() for name in names}
    others = tuple(name for name in pipeline.columns if name not in {*taken, "currency"})
    if len(STATE) + len(others) > MOST:
        return {**STATE, ATTRIBUTES: others}
    return {**STATE, **{name: (name,) for name in others}}


def _values(pipeline: Pipeline, name: str) -> np.ndarray[Any, Any]:
    """Return a column, or derived state."""
    found: np.ndarray[Any, Any] = (
        pipeline.columns[name] if name in pipeline.columns else getattr(pipeline, name)
    )
    return found


def _usual(peers: Pipeline, name: str) -> np.generic:
    """Return the median of known values (one that occurs), or the most common one of codes."""
    values = _values(peers, name)
    kind = "code" if name in CODES else _kind(peers, name)
    if kind == "code":
        codes, count = np.unique(values, return_counts=True)
        return codes[np.argmax(count)]  # type: ignore[no-any-return]
    known = values[~_unknown(values, kind)]
    ranked = np.sort(known if len(known) else values)
    return ranked[(len(ranked) - 1) // 2]  # type: ignore[no-any-return]


def _kind(pipeline: Pipeline, name: str) -> str:
    """Return what the values are: codes, dates or numbers."""
    if name in pipeline.columns:
        kind = pipeline.schema.column(name).kind
        return "code" if kind == "category" else kind
    return "date" if name in DATES else "number"


def _unknown(values: np.ndarray[Any, Any], kind: str) -> np.ndarray[Any, Any]:
    """Return which values are not known."""
    if values.dtype.kind == "f":
        return np.asarray(np.isnan(values))
    return np.asarray(values == NO_DAY if kind == "date" else values < 0)


def _worlds(
    here: Pipeline, groups: Mapping[str, tuple[str, ...]], usual: Mapping[str, np.generic]
) -> Pipeline:
    """Return the deal in all combinations: group i is the deal's own where bit i is set."""
    count = 1 << len(groups)
    many = here.select(np.zeros(count, dtype=np.int64))
    columns, state = dict(many.columns), dict[str, Any]()
    for bit, names in enumerate(groups.values()):
        own = (np.arange(count) >> bit) & 1 == 1
        for name in names:
            values = _values(many, name)
            mixed = np.where(own, values, usual[name]).astype(values.dtype)
            (columns if name in columns else state)[name] = mixed
    # No deal is younger than its stay in the stage.
    entered = np.where(state["stage_entered"] == NO_DAY, state["created"], state["stage_entered"])
    state["created"] = np.minimum(state["created"], entered)
    return attrs.evolve(many, columns=columns, **state)


def shapley(values: FloatArray) -> FloatArray:
    """(2^g,) -> (g,): contributions, from the value of each set of features (bit i: feature i)."""
    g = len(values).bit_length() - 1
    sets = np.arange(len(values))
    size: IntArray = np.sum((sets[:, None] >> np.arange(g)) & 1, axis=1)
    found = np.empty(g)
    for bit in range(g):
        without = sets[(sets >> bit) & 1 == 0]
        weight = np.array([1.0 / (g * math.comb(g - 1, s)) for s in size[without].tolist()])
        found[bit] = weight @ (values[without | (1 << bit)] - values[without])
    return found


def _said(
    columns: Mapping[str, np.ndarray[Any, Any]], names: tuple[str, ...], row: int, as_of: int
) -> str:
    """Return what is known in a group of features, as a text."""
    found = []
    for name in names:
        value: Any = columns[name][row]
        if name == "created" and not np.isnat(value):
            value = f"{as_of - int(value.astype(np.int64)):,} days"
        elif isinstance(value, np.floating):
            value = money(float(value))
        elif isinstance(value, np.integer):
            value = f"{value:,}" if value >= 0 else ""
            value += UNITS.get(name, "") if value else ""
        if name not in SILENT and str(value) not in {"", "NaT", "–"}:
            found.append(str(value))
    return ", ".join(found[:SHOWN]) + (" …" if len(found) > SHOWN else "") or "unknown"
