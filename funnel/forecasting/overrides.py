"""What managers put over a forecast: dated, kept beside what was below, and scored like it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Self

import attrs
import numpy as np

from funnel.calendars import to_dates, to_day
from funnel.errors import ValidationError
from funnel.forecasting import _submissions_rows as rows_
from funnel.forecasting._override_layers import Statement, layered
from funnel.forecasting.base import FittedForecaster, Forecaster
from funnel.kernels.arrays import frozen
from funnel.models import StageModel
from funnel.results import ResultTable
from funnel.tables import Findings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from concurrent.futures import Executor

    from funnel.calendars import Horizon
    from funnel.forecasting.forecast import Forecast
    from funnel.summary import HistorySource
    from funnel.tables import History, Pipeline
    from funnel.typing import BoolArray, DateLike, DayArray, FloatArray, IntArray, StringArray

__all__ = ["FittedOverridden", "Layers", "Overridden", "Overrides"]

OWN = ("made_on", "start", "end", "amount", "factor", "made_by", "reason")


@attrs.frozen(eq=False, repr=False)
class Overrides(ResultTable):
    """Dated figures that replace those of a forecast, for a period and a group or the total.

    Each row has an amount, which is the money expected to be booked in the whole period, or a
    factor on what the forecast still expects to come. A factor of 1 takes an earlier override back.

    Parameters
    ----------
    made_on : (n,) int32
        Day (its end) on which it was made, before the end of the period.
    start, end : (n,) int32
        The period: its first day, and the day after it.
    amount : (n,) float64
        Major units; NaN where there is a factor.
    factor : (n,) float64
        NaN where there is an amount.
    made_by, reason : (n,) str
        By whom and why.
    keys : mapping of str to (n,) str
        The columns that make groups; all ``""`` in the rows of the total.
    findings : Findings
        What was left out.

    Examples
    --------
    >>> overrides = Overrides.from_columns(
    ...     made_on=["2026-07-10", "2026-08-03"], start="2026-07-01", end="2026-10-01",
    ...     amount=[900.0, None], factor=[None, 0.8], made_by="Eve", region=["", "north"],
    ... )
    >>> overrides
    Overrides(2 rows: 1 of amounts, 1 of factors; by region)
    >>> len(overrides.until("2026-07-31"))
    1
    """

    made_on: DayArray
    start: DayArray
    end: DayArray
    amount: FloatArray
    factor: FloatArray
    made_by: StringArray
    reason: StringArray
    keys: Mapping[str, StringArray]
    findings: Findings = attrs.field(factory=Findings.empty)

    @classmethod
    def from_columns(
        cls,
        *,
        made_on: Any,  # noqa: ANN401 - any array-like
        made_by: Any,  # noqa: ANN401
        amount: Any = None,  # noqa: ANN401
        factor: Any = None,  # noqa: ANN401
        reason: Any = "",  # noqa: ANN401
        start: Any = None,  # noqa: ANN401
        end: Any = None,  # noqa: ANN401
        last: Any = None,  # noqa: ANN401
        period: Any = None,  # noqa: ANN401
        periods: Horizon | None = None,
        **keys: Any,  # noqa: ANN401
    ) -> Self:
        """Build the table from one value per row, in any order.

        Parameters
        ----------
        made_on : date or (n,) dates
            Day on which it was made.
        made_by, reason : str or (n,) str
            By whom and why.
        amount, factor : (n,) float, optional
            One of them in each row.
        start, end, last, period, periods : optional
            The period, as for `Submissions.from_columns`.
        **keys : str or (n,) str
            Category columns with the group that is overridden; all empty for the total.

        Returns
        -------
        Overrides
            Where one group and period has two rows of one day, the last one counts, and the others
            are in ``findings``.

        Raises
        ------
        ValidationError
            When a row has neither or both of amount and factor, one of them is negative or
            infinite, nobody made it, a group is named in part, or it was made after its period.
        """
        length = len(amount if amount is not None else () if factor is None else factor)
        amounts = rows_.number_column("amount", amount, length)
        factors = rows_.number_column("factor", factor, length)
        names = {name: rows_.text_column(name, values, length) for name, values in keys.items()}
        on = rows_.day_column("made_on", made_on, length)
        given = {"start": start, "end": end, "last": last, "period": period}
        first, after = rows_.period_columns(given, periods, length)
        rows_.demand_periods(first, after, on, name="made_on")
        makers = rows_.text_column("made_by", made_by, length)
        why = rows_.text_column("reason", reason, length)
        _check(amounts, factors, makers, names)
        table = cls(on, first, after, amounts, factors, makers, why, names)
        order = rows_.sorted_by((first, after, *names.values(), on))
        run = [key[order] for key in (first, after, *names.values(), on)]
        counts = rows_.last_of_runs(run)
        repeated = np.sort(order[~counts])
        findings = table.findings.add(
            "made_on",
            "duplicate-override",
            "left out: a later row overrides the same on the same day",
            repeated,
            makers[repeated],
        )
        return attrs.evolve(table.select(order[counts]), findings=findings)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.made_on)

    def select(self, rows: BoolArray | IntArray) -> Self:
        """Return some rows: a mask (n,), or positions."""
        changed: dict[str, Any] = {name: frozen(getattr(self, name)[rows]) for name in OWN}
        changed["keys"] = {name: frozen(column[rows]) for name, column in self.keys.items()}
        return attrs.evolve(self, **changed)

    def until(self, day: DateLike) -> Self:
        """Return what had been made at the end of `day`."""
        known = self.select(self.made_on <= to_day(day, name="day"))
        return attrs.evolve(known, findings=Findings.empty())

    def statements(self, as_of: int) -> tuple[Statement, ...]:
        """Return the last override of each period and group made by the end of day `as_of`.

        Those of groups stand before those of the total, which are applied last.
        """
        rows = np.flatnonzero(self.made_on <= as_of)
        keys = (self.start, self.end, *self.keys.values())
        rows = rows[rows_.last_of_runs([key[rows] for key in keys])]
        found = [
            Statement(
                int(self.start[row]),
                int(self.end[row]),
                tuple(str(column[row]) for column in self.keys.values()),
                float(self.amount[row]),
                float(self.factor[row]),
                str(self.made_by[row]),
            )
            for row in rows.tolist()
        ]
        return tuple(sorted(found, key=lambda statement: statement.is_total))

    def to_columns(self) -> dict[str, np.ndarray[Any, Any]]:
        """Return one value per row by column; the end of a period is the day after it."""
        return {
            "made_on": to_dates(self.made_on),
            "start": to_dates(self.start),
            "end": to_dates(self.end),
            **self.keys,
            "amount": self.amount,
            "factor": self.factor,
            "made_by": self.made_by,
            "reason": self.reason,
        }

    @property
    def _title(self) -> str:
        """Return the heading."""
        return repr(self)

    def __repr__(self) -> str:
        """Return one line."""
        amounts = int(np.count_nonzero(~np.isnan(self.amount)))
        by = f"; by {', '.join(self.keys)}" if self.keys else ""
        return (
            f"Overrides({len(self):,} rows: {amounts:,} of amounts, {len(self) - amounts:,} of "
            f"factors{by})"
        )


def _check(
    amount: FloatArray, factor: FloatArray, maker: StringArray, keys: Mapping[str, StringArray]
) -> None:
    """Demand what every row must say."""

    def shown(row: int) -> str:
        """Spell out one row."""
        return f"amount {amount[row]:g}, factor {factor[row]:g}"

    broken: BoolArray = np.equal(np.isnan(amount), np.isnan(factor))
    rule, remedy = "or factor must be given, and not both", "Leave one of them empty (NaN)."
    rows_.demand("amount", rule, broken, shown, remedy)
    for name, values in (("amount", amount), ("factor", factor)):
        wrong: BoolArray = (values < 0.0) | np.isinf(values)
        rows_.demand(name, "must be finite and >= 0", wrong, shown, "Correct it.")
    rows_.demand("made_by", "must not be empty", maker == "", shown, "Say who made it.")
    if keys:
        empty = np.stack([column == "" for column in keys.values()])
        part: BoolArray = np.not_equal(empty.any(axis=0), empty.all(axis=0))

        def group(row: int) -> str:
            """Spell out the group of one row."""
            return repr({name: str(column[row]) for name, column in keys.items()})

        remedy = "Fill in every column of the group, or leave all of them empty for the total."
        rows_.demand("keys", "must name a group in full, or the total", part, group, remedy)


class Layers(NamedTuple):
    """A forecast before and after the overrides."""

    base: Forecast
    after: Forecast


def _forecaster(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """Demand a forecaster."""
    del instance
    if isinstance(value, StageModel) or not isinstance(value, Forecaster):
        remedy = "Lift a stage model with DealForecaster(model)."
        raise ValidationError.from_value(attribute.name, "must be a forecaster", value, remedy)


@attrs.frozen
class Overridden:
    """A forecaster with the overrides of managers on top, as a layer that can be scored.

    Parameters
    ----------
    forecaster : Forecaster
        What lies below; backtest it beside this one to see what the overrides add.
    overrides : Overrides
        Of all times; each forecast applies those made by its `as_of`, of each period and group the
        last one.

    Notes
    -----
    An override holds for a period of the horizon with the same first and last day; of those that
    overlap one otherwise a note says that they are not applied.

    With B booked so far and a mean M still to come, an amount X makes M ``max(X - B, 0)`` and a
    factor f makes it ``f M``; the standard deviation keeps its ratio to M, so an override moves the
    distribution and does not claim to know more. (Where nothing was to come, it equals the new M.)
    Overrides of groups come first; one of the total changes what is still to come in all groups by
    one factor. The total has the sum of its groups, and its variance grows as the sum of theirs.

    A forecast without any override is the one below. Otherwise all its periods are forecast by
    mean and variance (`Forecast.from_moments`), and the deals are found in the base of `layers`.

    Examples
    --------
    >>> import funnel as fn
    >>> from funnel.forecasting import DealForecaster
    >>> history = fn.datasets.simulate(300, rng=1).history
    >>> quarter = fn.Horizon.quarters("2026-07-01", 1)
    >>> overrides = Overrides.from_columns(
    ...     made_on=["2026-06-15"], start="2026-07-01", end="2026-10-01", factor=[0.5],
    ...     made_by="Eve", reason="two fairs were cancelled",
    ... )
    >>> below = DealForecaster(fn.models.registry.get("textbook"), arrivals=None)
    >>> layers = Overridden(below, overrides).fit(history).layers(history.snapshot(), quarter)
    >>> round(float(layers.after.expected[0] / layers.base.expected[0]), 6)
    0.5
    """

    forecaster: Forecaster = attrs.field(validator=_forecaster)
    overrides: Overrides = attrs.field(validator=attrs.validators.instance_of(Overrides))

    @property
    def name(self) -> str:
        """The name in tables."""
        below = getattr(self.forecaster, "name", type(self.forecaster).__name__)
        return f"{below}+overrides"

    def fit(
        self, source: History | HistorySource, /, *, executor: Executor | None = None
    ) -> FittedOverridden:
        """Fit what lies below; overrides have nothing to learn."""
        return FittedOverridden(self.forecaster.fit(source, executor=executor), self.overrides)


@attrs.frozen(eq=False)
class FittedOverridden:
    """A fitted forecaster with the overrides on top.

    Parameters
    ----------
    forecaster : FittedForecaster
        What lies below.
    overrides : Overrides
        Of all times.
    """

    forecaster: FittedForecaster
    overrides: Overrides

    @property
    def trained_until(self) -> int:
        """Last day of the history that the forecaster below has seen."""
        return self.forecaster.trained_until

    def forecast(
        self, pipeline: Pipeline, horizon: Horizon, /, *, by: Sequence[str] = ()
    ) -> Forecast:
        """Forecast what is booked in each period, with the overrides made by the pipeline's day.

        Parameters
        ----------
        pipeline : Pipeline
            The state of the deals on the day of the forecast.
        horizon : Horizon
            k periods.
        by : sequence of str
            Category columns whose values make groups.

        Returns
        -------
        Forecast

        Raises
        ------
        LeakError, InsufficientDataError, CurrencyMismatchError, UnknownColumnError
            As the forecaster below.
        """
        return self.layers(pipeline, horizon, by=by).after

    def layers(self, pipeline: Pipeline, horizon: Horizon, /, *, by: Sequence[str] = ()) -> Layers:
        """Return the forecast before and after the overrides; parameters as for `forecast`."""
        columns = (by,) if isinstance(by, str) else tuple(by)
        base = self.forecaster.forecast(pipeline, horizon, by=columns)
        statements = self.overrides.statements(pipeline.as_of)
        names = tuple(self.overrides.keys)

        def below(by: tuple[str, ...]) -> Forecast:
            """Forecast finer groups, where overrides speak of them."""
            return self.forecaster.forecast(pipeline, horizon, by=by)

        return Layers(base, layered(base, statements, names, below))
