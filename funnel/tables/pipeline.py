"""The state of every deal on one day."""

from __future__ import annotations

import functools
import types
from typing import TYPE_CHECKING, Any, Self

import attrs
import numpy as np

from funnel import rules
from funnel._display import html_table
from funnel.calendars import to_date, to_dates, to_day, to_days
from funnel.errors import CurrencyMismatchError, ValidationError
from funnel.kernels.arrays import frozen
from funnel.kernels.labels import texts
from funnel.stages import Outcome
from funnel.tables import _build, _deals
from funnel.tables._deals import COUNTS, DAYS, STAGES
from funnel.tables._names import Names, as_ids, require_unique, to_names
from funnel.tables.codes import encode
from funnel.tables.currency import On, Rates, convert
from funnel.tables.schema import Column, Schema
from funnel.tables.table import Table
from funnel.typing import NO_DAY, DateLike

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence

    from funnel.opportunity import Opportunity
    from funnel.stages import Funnel
    from funnel.tables.history import Feature, History
    from funnel.typing import BoolArray, DayArray, FloatArray, IntArray

__all__ = ["Pipeline"]


@attrs.frozen(eq=False, repr=False, slots=False)
class Pipeline(Table):
    """One row per deal as it was known at the end of the day `as_of`.

    Take one with ``history.snapshot(day)``, or build one from an export with `from_columns`. Open,
    won, lost and removed deals are all in it; arrays are owned and read-only.

    Parameters
    ----------
    schema : Schema
    as_of : int
        Day since 1970-01-01; its end.
    ids : (n,) str
        Deals.
    stage : (n,) int16
        State codes of ``funnel.states``.
    created, stage_entered, closed_on, first_seen : (n,) int32
        Days, `NO_DAY` where unknown; `closed_on` also where the deal is not closed.
    days_in_stage : (n,) int32
        Days in the stage by the end of `as_of`, days on hold left out; -1 unknown.
    visits, pushes, reopened : (n,) int32
        Visits to the stage, times the promise moved later, reopenings; -1 unknown.
    previous_stage, furthest_stage : (n,) int16
        State codes; -1 none or unknown.
    columns : mapping of str to (n,) ndarray
        Values by column.

    Examples
    --------
    >>> import funnel as fn
    >>> pipeline = fn.Pipeline.from_columns(
    ...     funnel=fn.Funnel(["Qualify", "Propose"]), as_of="2026-06-30",
    ...     id=["A", "B"], stage=["Propose", "Won"], amount=[100.0, 50.0],
    ...     stage_entered=["2026-06-01", "2026-06-20"],
    ... )
    >>> pipeline
    Pipeline(2 deals as of 2026-06-30, 1 open, 1 won, 0 lost)
    >>> pipeline[0].stage, pipeline.days_in_stage.tolist()
    ('Propose', [29, 10])
    """

    schema: Schema
    as_of: int
    _ids: Names = attrs.field(converter=to_names)
    stage: IntArray
    created: DayArray
    stage_entered: DayArray
    closed_on: DayArray
    first_seen: DayArray
    days_in_stage: IntArray
    visits: IntArray
    previous_stage: IntArray
    furthest_stage: IntArray
    pushes: IntArray
    reopened: IntArray
    columns: Mapping[str, np.ndarray[Any, Any]]

    def __attrs_post_init__(self) -> None:
        """Own every array and freeze it."""
        for name in ("stage", *DAYS, *COUNTS, *STAGES):
            object.__setattr__(self, name, frozen(getattr(self, name)))
        owned = {name: frozen(values) for name, values in self.columns.items()}
        object.__setattr__(self, "columns", types.MappingProxyType(owned))

    @classmethod
    def from_columns(
        cls,
        *,
        funnel: Funnel,
        as_of: DateLike,
        id: Any,  # noqa: ANN401 - the field's own word; any array-like
        stage: Any,  # noqa: ANN401
        amount: Any = None,  # noqa: ANN401
        created: Any = None,  # noqa: ANN401
        stage_entered: Any = None,  # noqa: ANN401
        expected_close: Any = None,  # noqa: ANN401
        closed_on: Any = None,  # noqa: ANN401
        currency: Any = None,  # noqa: ANN401
        schema: Schema | None = None,
        **attributes: Any,  # noqa: ANN401
    ) -> Self:
        """Build a pipeline from one value per deal.

        Parameters
        ----------
        funnel : Funnel
            The ladder.
        as_of : date
            The day (its end) on which all this was known.
        id : (n,) str or int
            Deals, each once.
        stage : (n,) str or int
            Stage ids, labels or aliases, or codes of ``funnel.states``.
        amount : (n,) float, optional
            Major units; NaN is unknown, 0 is zero.
        created, stage_entered, expected_close : (n,) dates, optional
            Days; missing ones are unknown.
        closed_on : (n,) dates, optional
            Closing day of closed deals; by default the day on which they entered their stage.
        currency : str or (n,) str, optional
            One currency for all rows, or one for each.
        schema : Schema, optional
            Columns and categories shared with other tables.
        **attributes : (n,) array-like
            Further columns (owner, category, region ...): texts, numbers or dates.

        Returns
        -------
        Pipeline
            What a single export cannot tell (visits, pushes ...) is unknown.

        Raises
        ------
        ValidationError
            When lengths differ, an id is there twice or a rule is broken.
        UnknownStageError
            When a stage is not in the funnel.
        """
        ids = as_ids(id)
        days = {"created": created, "stage_entered": stage_entered, "closed_on": closed_on}
        values = {
            "amount": amount,
            "currency": currency,
            "expected_close": expected_close,
            **attributes,
        }
        _build.require_lengths({"stage": stage, **days}, len(ids))
        _build.require_lengths(
            {k: v for k, v in values.items() if not isinstance(v, str)}, len(ids)
        )
        require_unique(ids)
        cut = to_day(as_of, name="as_of")
        columns, arrays = _build.state_columns(values, len(ids), {}, schema)
        unknown_day = np.full(len(ids), NO_DAY, dtype=np.int32)
        dates = {k: unknown_day if v is None else to_days(np.asarray(v)) for k, v in days.items()}
        codes = funnel.codes(np.asarray(stage)).astype(np.int16)
        is_open = funnel.outcomes[codes] == Outcome.OPEN
        closing = dates["closed_on"]
        closing = np.where(closing == NO_DAY, dates["stage_entered"], closing)
        dates["closed_on"] = np.where(is_open, NO_DAY, closing).astype(np.int32)
        table = {**dates, "as_of": np.array([cut]), "amount": arrays["amount"]}
        rules.check({**table, "expected_close": arrays["expected_close"]}, ids)
        entered = dates["stage_entered"]
        unknown = np.full(len(ids), -1, dtype=np.int32)
        found = cls(
            schema=schema or Schema(funnel, columns),
            as_of=cut,
            ids=ids,
            stage=codes,
            **dates,
            first_seen=unknown_day.copy(),
            days_in_stage=np.where(entered == NO_DAY, -1, cut - entered.astype(np.int64)).astype(
                np.int32
            ),
            visits=unknown,
            previous_stage=unknown.astype(np.int16),
            furthest_stage=unknown.astype(np.int16),
            pushes=unknown.copy(),
            reopened=unknown.copy(),
            columns=arrays,
        )
        encode(found)
        return found

    @classmethod
    def from_opportunities(
        cls,
        opportunities: Iterable[Opportunity],
        *,
        funnel: Funnel | None = None,
        as_of: DateLike | None = None,
    ) -> Self:
        """Build a pipeline from single deals; the inverse of ``list(pipeline)``.

        `funnel` and `as_of` are taken from the deals, and needed only where there are none.

        Raises
        ------
        ValidationError
            When the deals are of different funnels or days.
        """
        columns = _deals.from_deals(list(opportunities), funnel, as_of)
        derived = {name: columns.pop(name) for name in ("first_seen", *COUNTS, *STAGES)}
        return attrs.evolve(cls.from_columns(**columns), **derived)

    @functools.cached_property
    def statistics(self) -> dict[Hashable, Any]:
        """What was added up of the deals so far."""
        return {}

    # -- what is in it ---------------------------------------------------------------------------

    def __len__(self) -> int:
        """Return the number of deals."""
        return len(self.stage)

    @property
    def outcome(self) -> IntArray:
        """Codes of `Outcome`, (n,)."""
        return self.funnel.outcomes[self.stage]

    @property
    def amount(self) -> FloatArray:
        """Amounts in major units, (n,); NaN unknown."""
        return self.columns["amount"]

    @property
    def expected_close(self) -> DayArray:
        """Promised days, (n,); `NO_DAY` where there is none."""
        return self.columns["expected_close"]

    @property
    def currency(self) -> str:
        """The one currency of all known amounts, ``""`` where none is given.

        Raises
        ------
        CurrencyMismatchError
            When there is more than one.
        """
        codes = np.unique(self.columns["currency"][~np.isnan(self.amount)])
        names = texts([*self.schema.column("currency").categories, ""])[codes].tolist()
        if len(names) > 1:
            raise CurrencyMismatchError(names)
        return names[0] if names else ""

    @property
    def category(self) -> IntArray:
        """Codes into ``tuple(ForecastCategory)``, (n,): the deal's, else its stage's; -1 none."""
        return _deals.categories(self)

    def __getitem__(self, row: int) -> Opportunity:
        """Return one deal as a value."""
        return next(_deals.to_deals(self, range(len(self))[row], range(len(self))[row] + 1))

    def __iter__(self) -> Iterator[Opportunity]:
        """Yield the deals as values."""
        return _deals.to_deals(self, 0, len(self))

    def require(self, *names: str) -> None:
        """Demand that columns or derived state exist and are known for at least one deal."""
        _deals.require(self, names)

    # -- other tables ----------------------------------------------------------------------------

    def select(self, deals: BoolArray | IntArray) -> Pipeline:
        """Return some deals only; `deals` is a mask (n,) or positions."""
        names = ("stage", *DAYS, *COUNTS, *STAGES)
        return attrs.evolve(
            self,
            ids=self._ids.take(deals),
            **{name: getattr(self, name)[deals] for name in names},
            columns={name: values[deals] for name, values in self.columns.items()},
        )

    def with_funnel(self, funnel: Funnel) -> Pipeline:
        """Return the same deals in a funnel of the same states, with other probabilities perhaps.

        Raises
        ------
        SchemaMismatchError
            When the states differ.
        """
        return _deals.in_funnel(self, funnel)

    def with_features(self, known: History, features: Sequence[Feature]) -> Pipeline:
        """Return the pipeline with one number column more for each feature of `known`.

        Raises
        ------
        ValidationError
            When a feature gives not one number per deal, or has the name of a column.
        """
        columns, arrays = list(self.schema.columns), dict(self.columns)
        for feature in features:
            name = feature.__name__
            values = np.array(feature(known), dtype=np.float64)
            if values.shape != (len(self),) or name in arrays:
                raise ValidationError.from_value(
                    name, f"must be a new name and give {len(self):,} numbers", values.shape, ""
                )
            columns.append(Column(name, "number"))
            arrays[name] = values
        return attrs.evolve(
            self, schema=attrs.evolve(self.schema, columns=tuple(columns)), columns=arrays
        )

    def convert(self, rates: Rates, *, to: str, on: On = "as_of") -> Pipeline:
        """Return the pipeline with amounts in the currency `to`; the originals stay as columns.

        See `funnel.tables.currency.convert`.
        """
        days = np.full(len(self), self.as_of, dtype=np.int32)
        schema, columns = convert(self.schema, self.columns, days, rates, to=to, on=on)
        return attrs.evolve(self, schema=schema, columns=columns)

    def groups(self, by: Sequence[str]) -> tuple[tuple[tuple[str, ...], ...], IntArray]:
        """Give a number to each group of deals that share the values of `by`.

        Parameters
        ----------
        by : sequence of str
            Category columns, or ``"stage"``.

        Returns
        -------
        keys : tuple of tuple of str
            The groups that occur, sorted; an unknown value is ``""``.
        codes : (n,) int32
            The group of each deal.

        Raises
        ------
        UnknownColumnError, ValidationError
            When a column does not exist, or is not made of categories.
        """
        from funnel.tables.groups import group  # noqa: PLC0415 - it needs this class

        return group(self, by)

    # -- out -------------------------------------------------------------------------------------

    def identical_to(self, other: Pipeline) -> bool:
        """Tell whether both hold the same deals and values, whatever their codes."""
        return (
            self.funnel == other.funnel
            and self.as_of == other.as_of
            and _build.same_columns(self.to_columns(), other.to_columns())
        )

    def to_columns(self) -> dict[str, np.ndarray[Any, Any]]:
        """Return one value per deal by column: ids, dates and names instead of codes."""
        ids = texts([*self.funnel.ids, ""])
        return {
            "id": self.ids,
            "stage": ids[self.stage],
            **_build.decoded(self.schema, self.columns),
            **{name: to_dates(getattr(self, name)) for name in DAYS},
            **{name: getattr(self, name) for name in COUNTS},
            **{name: ids[getattr(self, name)] for name in STAGES},
        }

    def __repr__(self) -> str:
        """Return one line."""
        open_, won, lost = np.bincount(self.outcome, minlength=4)[:3].tolist()
        return (
            f"Pipeline({len(self):,} deals as of {to_date(self.as_of)}, "
            f"{open_:,} open, {won:,} won, {lost:,} lost)"
        )

    def _repr_html_(self) -> str:
        """Return the first deals for a notebook."""
        return html_table(*_build.preview(self.to_columns()), title=repr(self))
