"""The one call: a target and what is known in, the funnel that reaches it out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from funnel.planning._build import build
from funnel.planning.plan import Plan

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from funnel.calendars import Horizon
    from funnel.planning._givens import ByStage
    from funnel.stages import Funnel
    from funnel.typing import DateLike

__all__ = ["plan"]


def plan(
    target: float | None = None,
    /,
    *,
    conversions: ByStage,
    average_amount: float | Mapping[str, float] | None = None,
    funnel: Funnel | None = None,
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
    durations : sequence or mapping of str to float, optional
        Calendar days in each stage, >= 0; by default the standard days of the funnel where all are
        typed. Without them there is no stock and no date.
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
        The limit when something else is solved for: number of reps (with `rep_capacity`), deals
        that enter the first stage in the horizon, or deals that one stage holds in the busiest
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
    In the steady state, with gross-up g, average amount a, conversions c and W selling weeks::

        wins = target g / a                entries of stage i = wins / (c_i c_i+1 ... c_s)
        weekly_i = entries_i / W           stock_i = weekly_i days_i / 7   (Little's law)
        reps = weekly_1 / rep_capacity     created = [start, end) - (days_1 + ... + days_s)

    All is computed in exact fractions and rounded once, at the end. Nothing is rounded to whole
    deals; only `Plan.headcount` counts whole people, and days by which deals must be created are
    rounded down. Conversions here lead from each stage to the next: deals that skip stages must be
    counted as having passed them, as `Plan.from_actual` does.

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
