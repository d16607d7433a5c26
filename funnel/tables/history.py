"""The change log of a pipeline: the full state of every deal after each change."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import attrs
import numpy as np

from funnel._display import html_table
from funnel.calendars import to_date, to_dates
from funnel.kernels import trace
from funnel.kernels.arrays import frozen
from funnel.kernels.labels import texts
from funnel.kernels.stays import Stays, count_stays
from funnel.tables import _build, _past
from funnel.tables._names import Names, to_names
from funnel.tables._subset import part, subset
from funnel.tables.currency import On, Rates, convert
from funnel.tables.findings import Findings
from funnel.tables.table import Table

if TYPE_CHECKING:
    from funnel.kernels.trace import Pieces
    from funnel.stages import Funnel, Outcome
    from funnel.tables.pipeline import Pipeline
    from funnel.tables.schema import Known, Schema
    from funnel.typing import BoolArray, DateLike, DayArray, FloatArray, IntArray

__all__ = ["Feature", "History"]

Feature = Callable[["History"], "FloatArray"]
"""A pure function of ``history.until(day)`` that gives one number for each of its deals."""


@attrs.frozen(eq=False, repr=False, slots=False)
class History(Table):
    """Every deal and every change of it, as far as it was observed.

    Each row is the full state of a deal after a change. Rows are sorted by deal id and time;
    arrays are owned and read-only. `snapshot` is the only door to a past state and `until` the
    only door to past history: what happened later cannot be seen through them.

    Build one with `from_columns`, or read it with `funnel.io.read_history` or
    `funnel.io.read_deals`; `save` and `open` keep it in a file of its own format.

    Parameters
    ----------
    schema : Schema
        Funnel and columns.
    ids : (n,) str
        Deals, sorted.
    created, first_entered : (n,) int32
        Day of creation, and day on which the first state seen was entered (`NO_DAY` unknown).
    deal, at, stage : (r,) int
        Deal index, day and stage code of each row.
    columns : mapping of str to (r,) ndarray
        Values of the schema's columns after each change.
    observed_from, observed_until : int
        First and last day on which changes were recorded; open deals are censored at the end of
        `observed_until`.
    timezone : str
        Business time zone in which time stamps were cut to days.
    findings : Findings
        What was repaired when the table was read.

    Examples
    --------
    >>> import funnel as fn
    >>> history = fn.History.from_columns(
    ...     funnel=fn.Funnel(["Qualify", "Propose"]),
    ...     id=["A", "A", "A", "B"],
    ...     stage=["Qualify", "Propose", "Won", "Qualify"],
    ...     at=["2026-01-05", "2026-01-20", "2026-02-10", "2026-02-01"],
    ...     amount=[100.0, 120.0, 120.0, 80.0],
    ... )
    >>> history
    History(2 deals, 4 rows, 2026-01-05 to 2026-02-10, 1 open, 1 won, 0 lost)
    >>> history.snapshot("2026-01-31")
    Pipeline(1 deals as of 2026-01-31, 1 open, 0 won, 0 lost)
    """

    schema: Schema
    _ids: Names = attrs.field(converter=to_names)
    created: DayArray
    first_entered: DayArray
    deal: IntArray
    at: DayArray
    stage: IntArray
    columns: Mapping[str, np.ndarray[Any, Any]]
    observed_from: int
    observed_until: int
    timezone: str = "UTC"
    findings: Findings = attrs.field(factory=Findings.empty)

    @classmethod
    def from_columns(
        cls,
        *,
        funnel: Funnel,
        id: Any,  # noqa: ANN401 - the field's own word; any array-like
        stage: Any,  # noqa: ANN401
        at: Any,  # noqa: ANN401
        amount: Any = None,  # noqa: ANN401
        created: Any = None,  # noqa: ANN401
        stage_entered: Any = None,  # noqa: ANN401
        expected_close: Any = None,  # noqa: ANN401
        currency: Any = None,  # noqa: ANN401
        seq: Any = None,  # noqa: ANN401
        known: Mapping[str, Known] | None = None,
        schema: Schema | None = None,
        observed_from: DateLike | None = None,
        observed_until: DateLike | None = None,
        timezone: str = "UTC",
        findings: Findings | None = None,
        **attributes: Any,  # noqa: ANN401
    ) -> Self:
        """Build a history from one value per row, in any order.

        Parameters
        ----------
        funnel : Funnel
            The ladder.
        id : (r,) str or int
            The deal of each row.
        stage : (r,) str or int
            Stage ids, labels or aliases, or codes of ``funnel.states``.
        at : (r,) dates
            Day of the change (``datetime64``, ISO text or days since 1970-01-01).
        amount : (r,) float, optional
            Major units; NaN is unknown, 0 is zero.
        created : (r,) dates, optional
            Day of creation, the same in all rows of a deal; by default the first day that is
            known of it.
        stage_entered : (r,) dates, optional
            Day on which the stage of a deal's first row was entered (later rows are not read).
            By default the day of the first row where the deal was created on it, otherwise
            unknown: a deal first seen in mid-stage enters late.
        expected_close : (r,) dates, optional
            The promise as it stood after the change.
        currency : str or (r,) str, optional
            One currency for all rows, or one for each.
        seq : (r,) int, optional
            Order of changes of one deal within a day; the order of the rows by default.
        known : mapping, optional
            ``"dated"`` (default), ``"constant"`` or ``"final"`` by column.
        schema : Schema, optional
            Columns and categories shared with other chunks; replaces `known`.
        observed_from, observed_until : date, optional
            First and last observed day; the first and last day of `at` by default.
        timezone : str, optional
            Business time zone in which the days were cut.
        findings : Findings, optional
            What a reader repaired.
        **attributes : (r,) array-like
            Further columns: texts, numbers or dates.

        Returns
        -------
        History

        Raises
        ------
        ValidationError
            When lengths differ, a rule of `funnel.rules` is broken, `created` differs within a
            deal, or a ``constant`` column changes.
        UnknownStageError
            When a stage is not in the funnel.
        SchemaMismatchError
            When the columns do not fit `schema`.
        """
        values = {"amount": amount, "currency": currency, "expected_close": expected_close}
        rows = _build.rows(
            funnel,
            {
                "id": id,
                "stage": stage,
                "at": at,
                "created": created,
                "stage_entered": stage_entered,
            },
            {**values, **attributes},
            seq=seq,
            known=known or {},
            schema=schema,
        )
        first, last = _build.window(rows.at, observed_from, observed_until)
        return cls(
            schema=rows.schema,
            ids=rows.ids,
            created=rows.created,
            first_entered=rows.first_entered,
            deal=rows.deal,
            at=rows.at,
            stage=rows.stage,
            columns=rows.columns,
            observed_from=first,
            observed_until=last,
            timezone=timezone,
            findings=findings or Findings.empty(),
        )

    # -- what is in it ---------------------------------------------------------------------------

    @property
    def n_deals(self) -> int:
        """Number of deals."""
        return len(self.created)

    def __len__(self) -> int:
        """Return the number of rows (changes)."""
        return len(self.deal)

    @functools.cached_property
    def bounds(self) -> IntArray:
        """Where the rows of each deal begin, (n + 1,)."""
        return frozen(trace.deal_bounds(self.deal, self.n_deals))

    @functools.cached_property
    def pieces(self) -> Pieces:
        """Runs of rows in one state, see `funnel.kernels.trace`."""
        found = trace.pieces(
            self.deal,
            self.at,
            self.stage,
            first_entered=self.first_entered,
            on_hold=self.funnel.on_hold,
            ladder=self.funnel.ladder,
            outcomes=self.funnel.outcomes,
        )
        return type(found)(*(frozen(column) for column in found))

    @functools.cached_property
    def clocks(self) -> IntArray:
        """Days in the stage less the day, while each row holds, (r,); see `kernels.trace`."""
        rows, on_hold = (self.deal, self.at, self.stage), self.funnel.on_hold
        return frozen(trace.clocks(*rows, first_entered=self.first_entered, on_hold=on_hold))

    @functools.cached_property
    def stays(self) -> Stays:
        """How often each kind of stay occurs, see `funnel.kernels.stays`; on hold counts as one."""
        found = count_stays(
            self.deal,
            self.at,
            self.stage,
            first_entered=self.first_entered,
            states=len(self.funnel.ids),
            since=self.observed_from,
            until=self.observed_until,
        )
        return Stays(*(frozen(column) for column in found))

    @functools.cached_property
    def pushes(self) -> IntArray:
        """How often the promise had been pushed, up to each row, (r,); see `kernels.trace`."""
        outcome = self.funnel.outcomes[self.stage]
        return frozen(trace.pushes(self.deal, self.at, self.columns["expected_close"], outcome))

    # -- the doors to the past -------------------------------------------------------------------

    def until(self, day: DateLike) -> History:
        """Return the history as it was known at the end of `day`.

        Rows after `day` are gone, open deals are censored there, and ``final`` columns are blank
        but for deals that had been won: their amount was booked.

        Raises
        ------
        LeakError
            When `day` is after `observed_until`: nobody can say what was known then.
        ValidationError
            When `day` is before `observed_from`.
        """
        return _past.until(self, _past.observed_day(self, day))

    def snapshot(
        self, day: DateLike | None = None, *, features: Sequence[Feature] = ()
    ) -> Pipeline:
        """Return the state of every deal at the end of `day`.

        Parameters
        ----------
        day : date, optional
            `observed_until` by default.
        features : sequence of callables, optional
            Each takes ``history.until(day)`` and gives one number per deal; the result is a
            column named after the function.

        Returns
        -------
        Pipeline

        Raises
        ------
        LeakError, ValidationError
            As `until`.
        """
        cut = self.observed_until if day is None else _past.observed_day(self, day)
        pipeline = next(_past.snapshots(self, [cut]))
        if not features:
            return pipeline
        return pipeline.with_features(self if day is None else self.until(day), features)

    def snapshots(
        self, days: Iterable[DateLike], *, outcome: Outcome | None = None
    ) -> Iterator[Pipeline]:
        """Yield the state of every deal at the end of each of many days, as `snapshot` does.

        Parameters
        ----------
        days : sequence of dates
            In any order.
        outcome : Outcome, optional
            Only deals that had this outcome then.

        Raises
        ------
        LeakError, ValidationError
            As `until`.
        """
        yield from _past.snapshots(self, [_past.observed_day(self, day) for day in days], outcome)

    def convert(self, rates: Rates, *, to: str, on: On = "row") -> History:
        """Return the history with amounts in the currency `to`; the originals stay as columns.

        See `funnel.tables.currency.convert`.
        """
        last = np.full(len(self), self.observed_until, dtype=np.int32)
        days = self.at if on == "row" else last
        schema, columns = convert(self.schema, self.columns, days, rates, to=to, on=on)
        every = np.ones(len(self), dtype=np.bool_)
        changed = attrs.evolve(self, schema=schema)
        return subset(changed, np.ones(self.n_deals, dtype=np.bool_), every, columns)

    # -- chunks ----------------------------------------------------------------------------------

    def select(self, deals: BoolArray) -> History:
        """Return the history of some deals only; `deals` is a mask (n,)."""
        keep = deals[self.deal]
        columns = {name: column[keep] for name, column in self.columns.items()}
        return subset(self, deals, keep, columns, of=self)

    def chunks(self, deals: int, /) -> Iterator[History]:
        """Yield the history in chunks of at most `deals` whole deals."""
        for begin in range(0, self.n_deals, deals):
            yield part(self, begin, min(begin + deals, self.n_deals))

    @classmethod
    def concat(cls, chunks: Iterable[History]) -> History:
        """Join chunks of one data set; any split into whole deals gives the same table.

        Raises
        ------
        SchemaMismatchError
            When schema, window or time zone differ, or a deal is in two chunks.
        """
        return _build.concat(list(chunks))

    def identical_to(self, other: History) -> bool:
        """Tell whether both hold the same rows, days and columns, whatever their codes."""
        window = ("observed_from", "observed_until", "timezone")
        return (
            self.funnel == other.funnel
            and all(getattr(self, name) == getattr(other, name) for name in window)
            and self.schema.names == other.schema.names
            and _build.same_columns(self.to_columns(), other.to_columns())
            and np.array_equal(self.first_entered, other.first_entered)
        )

    # -- out -------------------------------------------------------------------------------------

    def to_columns(self) -> dict[str, np.ndarray[Any, Any]]:
        """Return one value per row by column: ids, dates and names instead of codes."""
        return {
            "id": self.ids[self.deal],
            "at": to_dates(self.at),
            "stage": texts(self.funnel.ids)[self.stage],
            "created": to_dates(self.created[self.deal]),
            **_build.decoded(self.schema, self.columns),
        }

    def __repr__(self) -> str:
        """Return one line."""
        last = self.stage[self.bounds[1:] - 1] if self.n_deals else self.stage[:0]
        open_, won, lost = np.bincount(self.funnel.outcomes[last], minlength=4)[:3].tolist()
        return (
            f"History({self.n_deals:,} deals, {len(self):,} rows, {to_date(self.observed_from)} to "
            f"{to_date(self.observed_until)}, {open_:,} open, {won:,} won, {lost:,} lost)"
        )

    def _repr_html_(self) -> str:
        """Return the first rows for a notebook."""
        return html_table(*_build.preview(self.to_columns()), title=repr(self))
