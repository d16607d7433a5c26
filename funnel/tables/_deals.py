"""Single deals to and from the columns of a pipeline, and deals by group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from funnel.calendars import to_date, to_dates, to_day
from funnel.errors import SchemaMismatchError, ValidationError
from funnel.kernels.labels import texts
from funnel.opportunity import Opportunity
from funnel.stages import ForecastCategory
from funnel.tables import _build
from funnel.tables.schema import BLANK
from funnel.typing import NO_DAY

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from funnel.stages import Funnel
    from funnel.tables.pipeline import Pipeline
    from funnel.typing import DateLike, DayArray, IntArray

DAYS = ("created", "stage_entered", "closed_on", "first_seen")
COUNTS = ("days_in_stage", "visits", "pushes", "reopened")
STAGES = ("previous_stage", "furthest_stage")


def _days(deals: Sequence[Opportunity], name: str) -> DayArray:
    """Collect one date field as days."""
    found = [getattr(deal, name) for deal in deals]
    return np.array([NO_DAY if day is None else to_day(day) for day in found], dtype=np.int32)


def _attribute(deals: Sequence[Opportunity], name: str) -> Any:  # noqa: ANN401 - a column of any kind
    """Collect one attribute; its kind follows from the values that are known."""
    values = [deal.attributes.get(name) for deal in deals]
    known = [value for value in values if value is not None]
    if known and all(isinstance(value, int | float) for value in known):
        return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    if known and not any(isinstance(value, str | int | float) for value in known):
        return np.array(values, dtype="datetime64[D]")
    return texts(values)


def from_deals(
    deals: Sequence[Opportunity], funnel: Funnel | None, as_of: DateLike | None
) -> dict[str, Any]:
    """Collect deals into the columns of `Pipeline.from_columns` and derived state."""
    funnels: set[Funnel | None] = {deal.funnel for deal in deals} or {funnel}
    days: set[int | None] = {to_day(deal.as_of) for deal in deals}
    days = days or {None if as_of is None else to_day(as_of)}
    if len(funnels) > 1 or len(days) > 1 or None in funnels or None in days:
        msg = (
            f"opportunities must share one funnel and one as_of; found {len(funnels)} funnels and "
            f"{len(days)} days among {len(deals)} deals. An empty list needs funnel= and as_of=."
        )
        raise ValidationError(msg)
    ladder = next(item for item in funnels if item is not None)
    cut = next(day for day in days if day is not None)
    columns: dict[str, Any] = {
        name: _attribute(deals, name) for name in {key for deal in deals for key in deal.attributes}
    }
    columns |= {
        "funnel": ladder,
        "as_of": to_date(cut),
        "id": texts([deal.id for deal in deals]),
        "stage": texts([deal.stage for deal in deals]),
        "amount": np.array([np.nan if deal.amount is None else deal.amount for deal in deals]),
        "currency": texts([deal.currency or "" for deal in deals]),
        "expected_close": _days(deals, "expected_close"),
    }
    columns |= {name: _days(deals, name) for name in DAYS}
    for name in COUNTS:
        found = [getattr(deal, name) for deal in deals]
        columns[name] = np.array([-1 if n is None else n for n in found], dtype=np.int32)
    for name in STAGES:
        stages = [getattr(deal, name) for deal in deals]
        columns[name] = np.array(
            [-1 if stage is None else ladder.code(stage) for stage in stages], dtype=np.int16
        )
    return columns


def to_deals(pipeline: Pipeline, begin: int, end: int) -> Iterator[Opportunity]:
    """Yield rows ``begin .. end - 1`` as opportunities."""
    rows = slice(begin, end)
    ids = pipeline.funnel.ids
    columns = _build.decoded(pipeline.schema, {k: v[rows] for k, v in pipeline.columns.items()})
    plain = {name: values.tolist() for name, values in columns.items()}
    days = {name: to_dates(getattr(pipeline, name)[rows]).tolist() for name in DAYS}
    counts = {name: getattr(pipeline, name)[rows].tolist() for name in COUNTS}
    stages = {name: getattr(pipeline, name)[rows].tolist() for name in STAGES}
    funnel, as_of = pipeline.funnel, np.datetime64(pipeline.as_of, "D")
    attributes = pipeline.schema.attributes
    for i, (name, stage) in enumerate(
        zip(pipeline.ids[rows].tolist(), pipeline.stage[rows].tolist(), strict=True)
    ):
        yield Opportunity(
            id=name,
            funnel=funnel,
            as_of=as_of,
            stage=ids[stage],
            amount=plain["amount"][i],
            currency=plain["currency"][i] or None,
            expected_close=plain["expected_close"][i],
            **{key: found[i] for key, found in days.items()},
            **{key: None if found[i] < 0 else found[i] for key, found in counts.items()},
            **{key: None if found[i] < 0 else ids[found[i]] for key, found in stages.items()},
            attributes={key: _known(plain[key][i]) for key in attributes},
        )


def _known(value: Any) -> Any:  # noqa: ANN401 - a value of any kind
    """Return None for a value that stands for unknown."""
    return None if value == "" or value != value else value  # noqa: PLR0124


def in_funnel(pipeline: Pipeline, funnel: Funnel) -> Pipeline:
    """Put the deals into a funnel of the same states, see `Pipeline.with_funnel`."""
    if funnel.ids != pipeline.funnel.ids:
        msg = (
            f"the funnel must have the states {', '.join(pipeline.funnel.ids)}; it has "
            f"{', '.join(funnel.ids)}. Change probabilities by funnel.with_probabilities()."
        )
        raise SchemaMismatchError(msg)
    schema = attrs.evolve(pipeline.schema, funnel=funnel)
    found = type(pipeline).__new__(type(pipeline))  # nothing of the deals is looked at again
    found.__dict__.update(
        {**pipeline.__dict__, "schema": schema, "statistics": dict(pipeline.statistics)}
    )
    return found


def categories(pipeline: Pipeline) -> IntArray:
    """Return the forecast category of each deal, see `Pipeline.category`."""
    typed = pipeline.funnel.categories[pipeline.stage]
    if "category" not in pipeline.schema.names:
        return typed
    order = list(ForecastCategory)
    names = pipeline.schema.column("category").categories
    own = [order.index(ForecastCategory.parse(name)) for name in names]
    codes = np.array([*own, -1], dtype=np.int8)[pipeline.columns["category"]]
    return np.where(codes >= 0, codes, typed)


def require(pipeline: Pipeline, names: Sequence[str]) -> None:
    """Demand that columns or derived state are known, see `Pipeline.require`."""
    for name in names:
        if name in {*DAYS, *COUNTS, *STAGES, "stage"}:
            values = getattr(pipeline, name)
            unknown = values == (NO_DAY if name in DAYS else -1)
        else:
            kind = pipeline.schema.column(name).kind
            values = pipeline.columns[name]
            unknown = np.isnan(values) if kind == "number" else values == BLANK[kind]
        if len(values) and np.all(unknown):
            raise ValidationError.from_value(
                name,
                "is needed by the model and is unknown for every deal",
                f"{len(values):,} unknown values",
                f"Give {name}=, or take the pipeline from history.snapshot(day).",
            )
