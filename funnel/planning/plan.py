"""The ideal funnel: what must enter, be held and be won to reach a target."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Self

import attrs
import numpy as np

from funnel._display import money
from funnel.calendars import Horizon, to_dates
from funnel.errors import ValidationError
from funnel.kernels.labels import texts
from funnel.planning import scenarios
from funnel.planning._actual import ActualFunnel
from funnel.planning._build import build
from funnel.planning._exact import to_float
from funnel.planning._tables import ActualToIdeal, PlanPeriods, PlanStages
from funnel.planning.scenarios import Elasticities, Scenario, ScenarioTable
from funnel.results import ResultTable
from funnel.typing import NO_DAY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from fractions import Fraction

    from funnel.planning._classic import Givens
    from funnel.tables import History
    from funnel.typing import DateLike, FloatArray

__all__ = ["Plan"]

UNCHANGED = Scenario("unchanged")


@attrs.frozen(repr=False)
class Plan(ResultTable):
    """A target, and the funnel that reaches it; see `plan`.

    Parameters
    ----------
    givens : Givens
        What the plan follows from, as exact fractions.
    actual : ActualFunnel or None
        The funnel that the plan starts from, see `from_actual`.

    Examples
    --------
    >>> from funnel.planning import plan
    >>> ideal = plan(10_000_000, average_amount=100_000, conversions={"Opportunity": 0.2})
    >>> ideal.wins, ideal.stages.entries.tolist()
    (100.0, [500.0])
    """

    givens: Givens
    actual: ActualFunnel | None = attrs.field(default=None, kw_only=True, eq=False)

    @classmethod
    def from_actual(
        cls,
        history: History,
        /,
        *,
        start: DateLike | None = None,
        end: DateLike | None = None,
        target: float | None = None,
        changes: Scenario = UNCHANGED,
        horizon: Horizon | None = None,
        selling_weeks: float | Sequence[float] | None = None,
        seasonality: Sequence[float] | None = None,
        shares: Mapping[str, float] | None = None,
        gross_up: float = 1.0,
        rep_capacity: float | None = None,
        as_of: DateLike | None = None,
    ) -> Self:
        """Plan from what the funnel really did (去年实际漏斗 → 今年理想漏斗).

        Parameters
        ----------
        history : History
            Last year, or longer.
        start, end : date, optional
            First and last day of what is taken as the actual funnel; all that was observed by
            default.
        target : float, optional
            Money to book in the horizon; by default what was booked in the window.
        changes : Scenario
            Changes of strategy and resources, as factors on the actual funnel and on the target.
        horizon : Horizon, optional
            By default one period as long as the window, which follows it.
        selling_weeks, seasonality, shares, gross_up, rep_capacity
            As for `plan`.
        as_of : date, optional
            Day of the plan, as for `plan`; the last day of the window by default.

        Returns
        -------
        Plan
            `beside_actual` sets the two funnels side by side.

        Raises
        ------
        CurrencyMismatchError, InsufficientDataError, LeakError
            See `ActualFunnel.of`.
        ValidationError
            As `plan`, or when a change leads to a conversion above 1.

        Examples
        --------
        >>> from funnel.testing import fixtures
        >>> growth = Scenario("growth", target=1.2, conversions={"Negotiate": 1.1})
        >>> ideal = Plan.from_actual(fixtures.history(), start="2024-07-01", changes=growth)
        >>> ideal.target / ideal.actual.revenue
        1.2
        """
        actual = ActualFunnel.of(history, start=start, end=end)
        if horizon is None:
            first = np.datetime64(actual.end, "D") + np.timedelta64(1, "D")
            horizon = Horizon.days(first.item(), (actual.end - actual.start).days + 1)
        base = build(
            actual.revenue if target is None else target,
            average_amount=actual.average_amount,
            funnel=actual.funnel,
            conversions=actual.conversion.tolist(),
            visits=actual.visits.tolist(),
            durations=actual.days.tolist(),
            horizon=horizon,
            selling_weeks=selling_weeks,
            seasonality=seasonality,
            shares=shares,
            gross_up=gross_up,
            rep_capacity=rep_capacity,
            as_of=actual.end if as_of is None else as_of,
        )
        return cls(scenarios.applied(base, changes), actual=actual)

    # -- the numbers -----------------------------------------------------------------------------

    @property
    def target(self) -> float:
        """Money of the whole horizon, before the gross-up."""
        return to_float(self.givens.target)

    @property
    def average_amount(self) -> FloatArray:
        """Amount of a won deal by share, (p,)."""
        return np.array([to_float(value) for value in self.givens.average])

    @property
    def wins(self) -> float:
        """Deals to win in the horizon."""
        return to_float(self.givens.total_wins)

    @property
    def rep_capacity(self) -> float:
        """Deals that one rep enters a week; NaN unknown."""
        return to_float(self.givens.rep_capacity)

    @property
    def reps(self) -> float:
        """Reps that the busiest period needs, as a fraction; NaN unknown."""
        return to_float(self.givens.peak_reps)

    @property
    def headcount(self) -> int:
        """Reps that the busiest period needs, rounded up to whole people.

        Raises
        ------
        ValidationError
            When the plan has no rep capacity.
        """
        if self.givens.peak_reps is None:
            raise ValidationError("rep_capacity must be given to count people.", column="reps")
        return math.ceil(self.givens.peak_reps)

    @property
    def stages(self) -> PlanStages:
        """What each stage needs in the whole horizon."""
        return PlanStages.of(self.givens)

    @property
    def periods(self) -> PlanPeriods:
        """What each share and period needs, with the days by which deals must be created."""
        return PlanPeriods.of(self.givens)

    # -- levers ----------------------------------------------------------------------------------

    def under(self, change: Scenario, /) -> Self:
        """Return the plan under a scenario.

        Raises
        ------
        UnknownStageError, ValidationError
            When the scenario does not fit the plan.
        """
        return attrs.evolve(self, givens=scenarios.applied(self.givens, change))

    def compare(self, *changes: Scenario) -> ScenarioTable:
        """Set scenarios side by side; the plan itself is the first row.

        Raises
        ------
        UnknownStageError, ValidationError
            When a scenario does not fit the plan.

        Examples
        --------
        >>> from funnel.planning import plan
        >>> ideal = plan(1_000_000, average_amount=10_000, conversions={"Opportunity": 0.2})
        >>> found = ideal.compare(Scenario("coaching", conversions={"Opportunity": 1.25}))
        >>> found.entries.tolist(), found.revenue.tolist()
        ([500.0, 400.0], [1000000.0, 1250000.0])
        """
        return scenarios.compared(self.givens, changes)

    def elasticities(self) -> Elasticities:
        """Say by how many per cent results change when a lever changes by one per cent.

        Examples
        --------
        >>> from funnel.planning import plan
        >>> ideal = plan(1_000_000, average_amount=10_000, conversions={"Opportunity": 0.2})
        >>> ideal.elasticities().revenue.tolist()  # conversion, duration, average amount, inflow
        [1.0, 0.0, 1.0, 1.0]
        """
        return scenarios.elasticities(self.givens)

    def beside_actual(self) -> ActualToIdeal:
        """Set the actual funnel beside this ideal one, stage by stage.

        Raises
        ------
        ValidationError
            When the plan does not start from an actual funnel.
        """
        if self.actual is None:
            remedy = "Make it by Plan.from_actual(history)."
            raise ValidationError(f"the plan must start from an actual funnel. {remedy}")
        return ActualToIdeal(self.actual, self.stages)

    # -- how it is shown -------------------------------------------------------------------------

    def to_columns(self) -> dict[str, Any]:
        """Return one row for each share, period and stage."""
        g = self.givens
        s, k = len(g.stages), len(g.periods)
        cells = [
            (row, period, stage)
            for row in range(len(g.shares))
            for period in range(k)
            for stage in range(s)
        ]
        wins = [g.wins[row][period] for row, period, _ in cells]
        numbers: dict[str, list[Fraction | None]] = {
            "entries": [g.entries(won, c[2]) for won, c in zip(wins, cells, strict=True)],
            "weekly": [g.weekly(won, *c[1:]) for won, c in zip(wins, cells, strict=True)],
            "stock": [g.stock(won, *c[1:]) for won, c in zip(wins, cells, strict=True)],
        }
        window = [g.entry_window(*c[1:]) or (NO_DAY, NO_DAY) for c in cells]
        return {
            "share": texts([g.shares[row][0] for row, _, _ in cells]),
            "period": texts([g.periods[period] for _, period, _ in cells]),
            "stage": texts([g.stages[stage] for _, _, stage in cells]),
            **{name: np.array([to_float(v) for v in column]) for name, column in numbers.items()},
            "enter_from": to_dates(np.array([first for first, _ in window], dtype=np.int32)),
            "enter_by": to_dates(np.array([last for _, last in window], dtype=np.int32)),
        }

    @property
    def _title(self) -> str:
        """Return the heading."""
        entries = self.givens.total_wins * self.givens.per_win[0]
        reps = "" if self.givens.peak_reps is None else f", {self.headcount:,} reps"
        return (
            f"Plan for {money(self.target)}: {money(self.wins)} wins from "
            f"{money(to_float(entries))} deals{reps}"
        )

    @property
    def _notes(self) -> tuple[str, ...]:
        """Say what is too late."""
        late = float(self.periods.too_late.sum())
        if not late:
            return ()
        return (f"too late for new deals: {money(late)} must come from deals that already exist",)

    def __repr__(self) -> str:
        """Return one line."""
        return f"<{self._title}>"

    def __str__(self) -> str:
        """Return the tables of stages and periods as text."""
        notes = [f"* {note}" for note in self._notes]
        return "\n".join([self._title, "", str(self.stages), "", str(self.periods), *notes])

    def _repr_html_(self) -> str:
        """Return the tables of stages and periods for a notebook."""
        return f"{self.stages._repr_html_()}{self.periods._repr_html_()}"
