"""The two calls: a target and what is known in, the funnel that reaches it out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from funnel.planning import _givens as read
from funnel.planning._build import build
from funnel.planning._exact import positive, to_float
from funnel.planning._inflow import Inflow
from funnel.planning.lagged import InflowPlan
from funnel.planning.plan import Plan

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from funnel.calendars import Horizon
    from funnel.forecasting import HasBasis
    from funnel.planning._givens import ByStage
    from funnel.stages import Funnel
    from funnel.tables import Pipeline
    from funnel.typing import DateLike

__all__ = ["plan", "plan_inflow"]


def plan(
    target: float | None = None,
    /,
    *,
    conversions: ByStage,
    average_amount: float | Mapping[str, float] | None = None,
    funnel: Funnel | None = None,
    visits: ByStage | None = None,
    durations: ByStage | None = None,
    horizon: Horizon | None = None,
    selling_weeks: float | Sequence[float] | None = None,
    seasonality: Sequence[float] | None = None,
    shares: Mapping[str, float] | None = None,
    gross_up: float = 1.0,
    rep_capacity: float | None = None,
    reps: float | None = None,
    entries: float | None = None,
    stock: Mapping[str, float] | None = None,
    as_of: DateLike | None = None,
    solve_for: str | None = None,
) -> Plan:
    """Derive the ideal funnel from a revenue target, or any one unknown from the others (理想漏斗).

    Parameters
    ----------
    target : float
        Money to book in the whole horizon; left out where it is solved for.
    conversions : sequence or mapping of str to float
        From each stage to the next, the last one to won, in (0, 1]; in order or by name. Fractions
        are taken as they are, floats as the simplest fraction that is this float (``2 / 3`` is two
        thirds).
    average_amount : float or mapping of str to float
        Amount of a won deal, of all or of each share.
    funnel : Funnel, optional
        The ladder; on-hold and retired stages are left out. By default the keys of `conversions`.
    visits : sequence or mapping of str to float, optional
        Entries into each stage per deal that comes to it or past it, >= 0: below 1 where deals
        skip the stage, above 1 where they come back to it. 1 by default.
    durations : sequence or mapping of str to float, optional
        Calendar days of an entry in each stage, >= 0; by default the standard days of the funnel
        where all are typed. Without them there is no stock and no date.
    horizon : Horizon, optional
        The periods of the target. By default as many as `seasonality` has, or one, without dates.
    selling_weeks : float or (k,) sequence, optional
        Weeks in which deals are won in each period; by default its days / 7.
    seasonality : (k,) sequence of float, optional
        Share of each period in the target, summing to 1; by default in proportion to the weeks.
    shares : mapping of str to float, optional
        Share of each product or channel in the target, summing to 1.
    gross_up : float
        Factor from the target to the money in which deals are counted, for instance 1.17 for tax.
    rep_capacity : float, optional
        New deals that one rep enters a week.
    reps, entries, stock : optional
        The limit when something else is solved for: number of reps (with `rep_capacity`), new
        deals in the horizon, or deals that one stage holds in the busiest
        period (``{"Propose": 30}``).
    as_of : date, optional
        The day of the plan. Money that only deals created by then can bring is *too late*.
    solve_for : str, optional
        ``"target"``, ``"average_amount"``, ``"conversion:<stage>"``, ``"duration:<stage>"``,
        ``"reps"`` or ``"rep_capacity"``; it is left out of the givens.

    Returns
    -------
    Plan

    Raises
    ------
    UnknownStageError
        When a stage is not in the funnel.
    ValidationError
        When a number is out of range, shares do not sum to 1, the horizon is shorter than the lead
        time, the givens leave something open or say it twice, or no positive solution exists.

    Notes
    -----
    In the steady state, with gross-up g, average amount a, conversions c, visits v and W selling
    weeks::

        wins = target g / a                reached_i = wins / (c_i c_i+1 ... c_s)
        entries_i = v_i reached_i          weekly_i = entries_i / W
        stock_i = weekly_i days_i / 7      (Little's law)
        new deals = reached_1              reps = new deals / W / rep_capacity
        created = [start, end) - (v_1 days_1 + ... + v_s days_s)

    All is computed in exact fractions and rounded once, at the end. Nothing is rounded to whole
    deals; only `Plan.headcount` counts whole people, and days by which deals must be created are
    rounded down. Conversions lead from each stage to the next or past it: deals that skip a stage
    count as having reached it, and `visits` says how many of them enter it, and how often. Both
    are measured by `Plan.from_actual`.

    This plan knows averages only. `plan_inflow` starts from a fitted forecaster and the pipeline:
    it counts what exists, lets deals take the time that they take, and plans for a probability.

    Examples
    --------
    Fifty new deals a week, and ten reps (small projects: 10 : 6 : 3 : 2, one week a stage):

    >>> import funnel as fn
    >>> ideal = plan(
    ...     2_400_000, average_amount=20_000, conversions=[6 / 10, 3 / 6, 2 / 3],
    ...     funnel=fn.Funnel.template("small-project"), selling_weeks=12, rep_capacity=5,
    ... )
    >>> ideal.wins, ideal.stages.weekly.tolist(), ideal.reps
    (120.0, [50.0, 30.0, 15.0], 10.0)
    >>> print(ideal.stages)
    By stage
    stage        conversion  days  entries  weekly  stock  peak_stock  lead_days
    -----------  ----------  ----  -------  ------  -----  ----------  ---------
    intent            60.0%     7      600      50     50          50         21
    solution          50.0%     7      360      30     30          30         14
    negotiation       66.7%     7      180      15     15          15          7

    The amount at which eight reps would do:

    >>> solved = plan(
    ...     2_400_000, conversions=[1 / 5], selling_weeks=12, reps=8, rep_capacity=5,
    ...     solve_for="average_amount",
    ... )
    >>> solved.average_amount.tolist()
    [25000.0]
    """
    return Plan(
        build(
            target,
            conversions=conversions,
            average_amount=average_amount,
            funnel=funnel,
            visits=visits,
            durations=durations,
            horizon=horizon,
            selling_weeks=selling_weeks,
            seasonality=seasonality,
            shares=shares,
            gross_up=gross_up,
            rep_capacity=rep_capacity,
            reps=reps,
            entries=entries,
            stock=stock,
            as_of=as_of,
            solve_for=solve_for,
        )
    )


def plan_inflow(
    target: float,
    forecaster: HasBasis,
    pipeline: Pipeline,
    horizon: Horizon,
    *,
    seasonality: Sequence[float] | None = None,
    confidence: float | None = 0.8,
) -> InflowPlan:
    """Derive the new deals that must enter each week, from what exists and how long deals take.

    Parameters
    ----------
    target : float
        Money to book in the whole horizon; what is booked in it so far counts.
    forecaster : FittedForecaster
        One by deal, fitted with arrivals: a `DealForecaster` of any stage model, or a combinator
        such as ``"auto"``.
    pipeline : Pipeline
        The state on the day of the plan.
    horizon : Horizon
        The k periods of the target.
    seasonality : (k,) sequence of float, optional
        Share of each period in the target, summing to 1; by default in proportion to its days.
    confidence : float or None
        Probability with which the whole horizon reaches the whole target; None plans for the
        target on average.

    Returns
    -------
    InflowPlan

    Raises
    ------
    CurrencyMismatchError, LeakError, UnknownColumnError
        See `FittedDealForecaster.forecast`.
    InsufficientDataError
        When the forecaster has no arrivals to learn new deals from.
    ValidationError
        When the target or the confidence is out of range, shares do not sum to 1, no deal created
        from now on brings money within the horizon, or no inflow gives the confidence.

    Notes
    -----
    With R(w, p) the money that a deal created in week w is expected to bring in period p, and
    a(w) the pattern of arrivals (weekdays, season), for weeks from before the day of the plan on::

        late(p) = sum over past weeks of a R / sum over all weeks of a R
        new(p)  = min(max(target(p) - existing(p), 0), (1 - late(p)) target(p))

    ``late`` is the share of a period that, at one pace, deals created by now bring. If those that
    exist bring less, the rest of it is *too late*: it would need a burst of new deals. In the
    steady state all weeks have the pace of `plan`.

    Entries follow the pattern; the pace of a week is the mean of one pace for each period, weighted
    by what the week brings to it, and at most the pace that alone would bring every period its
    target. The paces, k numbers, are those of the fewest entries that bring each period what is
    needed: a linear programme (`scipy.optimize.linprog`). One number for each week instead, by
    non-negative least squares, answers long sales cycles with bursts in single weeks. Entries go
    on to the end of the horizon, as business does; the column ``arrives`` says how much of them it
    sees. The earliest weeks, which bring less than 1e-4 of the money together, are left out.

    For a confidence, the plan aims at the smallest multiple of the target with which the
    distribution of the whole horizon reaches it: deals come in Poisson numbers with the planned
    means, are won or not, for uncertain amounts, and the stage model's parameters are one draw for
    existing and new deals alike; a combinator's error in the past stands for it, where there is
    one. How well the entries themselves are kept to is not part of it.

    Examples
    --------
    >>> import funnel as fn
    >>> history = fn.datasets.simulate(1000, rng=1).history
    >>> fitted = fn.DealForecaster("win-rate").fit(history)
    >>> quarters = fn.Horizon.quarters("2026-07-01", 2)
    >>> ideal = plan_inflow(3e6, fitted, history.snapshot(), quarters, confidence=None)
    >>> ideal.weeks.entries.shape == ideal.weeks.usual.shape
    True
    >>> bool(ideal.at(0.8).entries.sum() > ideal.entries.sum())
    True
    """
    parts = read.split(horizon, seasonality, None)[1]
    whole = positive(target, "target")
    money_due = np.array([to_float(whole * part) for part in parts])
    if confidence is not None:
        read.confidence_of(confidence)
    inflow = Inflow.of(money_due, forecaster, pipeline, horizon)
    return InflowPlan(inflow, None, 1.0, inflow.entries(1.0)).at(confidence)
