"""Channels: what leads cost, what becomes of them, and what they return."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Self

import attrs

from funnel.metrics._attainment_rows import PeriodAmounts, read
from funnel.metrics._groups import check_level
from funnel.metrics._lead_channel_table import ChannelConversion, Channels
from funnel.metrics._lead_channels import ChannelSummary, summarize_channels
from funnel.summary import summarize

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Executor

    import numpy as np

    from funnel.calendars import Horizon
    from funnel.summary import HistorySource
    from funnel.tables import History
    from funnel.typing import DateLike

__all__ = [
    "ChannelConversion",
    "ChannelSummary",
    "Channels",
    "Costs",
    "channels",
    "summarize_channels",
]


@attrs.frozen(eq=False, repr=False)
class Costs(PeriodAmounts):
    """What each channel cost in each period. Build it with `from_columns`.

    Parameters
    ----------
    start, end : (n,) int32
        First day of the period, and the day after it.
    labels : (n,) str
        Names of the periods.
    keys : mapping of str to (n,) str
        The channel: values of category columns of the history, such as source or campaign.
    amount : (n,) float64
        The cost in major units, at least 0.
    currency : str
        Of all costs; ``""`` where it was not said.

    Examples
    --------
    >>> Costs.from_columns(
    ...     cost=[50_000.0, 8_000.0], source=["trade fair", "web"],
    ...     start="2026-01-01", last="2026-03-31",
    ... )
    Costs(2 rows by source, 58,000.00)
    """

    @classmethod
    def from_columns(
        cls,
        *,
        cost: Any,  # noqa: ANN401 - any array-like
        start: Any = None,  # noqa: ANN401
        end: Any = None,  # noqa: ANN401
        last: Any = None,  # noqa: ANN401
        period: Any = None,  # noqa: ANN401
        periods: Horizon | None = None,
        currency: str = "",
        **keys: Any,  # noqa: ANN401
    ) -> Self:
        """Build the table from one value per row, in any order.

        Parameters
        ----------
        cost : (n,) float
            Major units, at least 0.
        start, end, last, period, periods
            The period in which the leads were created, as for `Targets.from_columns`.
        currency : str, optional
            Of all costs.
        **keys : str or (n,) str
            Category columns of the history, such as ``source``; an empty text stands for leads
            whose value is unknown.

        Returns
        -------
        Costs

        Raises
        ------
        ValidationError
            When a cost is unknown, negative or infinite, a period is empty or unknown, or a
            channel has two costs for one day.
        """
        given = {"start": start, "end": end, "last": last, "period": period}
        return cls(**read("cost", cost, given, periods, keys), currency=currency)

    def to_columns(self) -> dict[str, np.ndarray[Any, Any]]:
        """Return one value per row by column; the end of a period is the day after it."""
        found = PeriodAmounts.to_columns(self)
        found["cost"] = found.pop("amount")
        return found


def channels(
    source: History | HistorySource,
    costs: Costs,
    /,
    *,
    opportunity: str,
    by: Sequence[str] | None = None,
    as_of: DateLike | None = None,
    level: float = 0.95,
    executor: Executor | None = None,
) -> Channels:
    """Compare channels: cost per lead, conversion and return, also corrected for young leads.

    Parameters
    ----------
    source : History or HistorySource
        A history, or chunks of whole deals: every deal is a lead when it is created.
    costs : Costs
        Their keys are category columns of the history, with the value in the last row of a deal;
        their periods are those in which leads were created.
    opportunity : str
        The stage from which on a lead is an opportunity. A lead is one once it has reached this
        stage or a later one, or was won.
    by : sequence of str, optional
        Keys to keep; costs are added up over the others. All by default.
    as_of : date, optional
        The day (its end) on which all this was known; the last observed day by default.
    level : float
        Level of the intervals.
    executor : Executor, optional
        Where to count chunks.

    Returns
    -------
    Channels
        One row for each cost, in their order, then one for each channel and period that has leads
        and no cost. ``mark`` says which are not in the history, or have no leads: their rates are
        NaN.

    Raises
    ------
    UnknownStageError, UnknownColumnError, ValidationError
        When the stage or a key does not exist, or a key is no category column.
    CurrencyMismatchError
        When costs and amounts are in several currencies.
    LeakError
        When `as_of` is after the history.

    Notes
    -----
    Returns are values divided by the cost; less 1 they are the net return on the investment. A
    value is the amount as it stands; wins are net of reopening.

    Young leads have not had time to convert. With F the Aalen-Johansen share of all leads, of all
    channels, that has converted by an age in days since creation, and F(end) at the highest age
    seen::

        maturity     = mean over the leads of the row of F(age) / F(end)
        final rate   = converted so far / (leads x maturity),   at most 1
        final count  = leads x final rate
        final value  = value so far x final count / converted so far

    So a channel may convert more or less than the others, but not sooner or later. Where all leads
    are as old as the highest age seen, nothing is corrected. The interval is Wilson's for
    leads x maturity leads; a very young channel has a wide one. That of the return on wins,
    ``return_low`` and ``return_high``, takes the mean amount as known.

    Examples
    --------
    A trade fair costs 50,000 and brings 20 leads, of which 5 become opportunities worth 120,000:

    >>> import funnel as fn
    >>> leads = [f"L{i}" for i in range(20)]
    >>> history = fn.History.from_columns(
    ...     funnel=fn.Funnel(["Lead", "Opportunity"]), id=leads + leads[:5],
    ...     stage=["Lead"] * 20 + ["Opportunity"] * 5, amount=[24_000.0] * 25,
    ...     at=["2026-01-10"] * 20 + ["2026-02-10"] * 5, source=["trade fair"] * 25,
    ... )
    >>> costs = Costs.from_columns(
    ...     cost=[50_000.0], source=["trade fair"], start="2026-01-01", last="2026-03-31"
    ... )
    >>> found = channels(history, costs, opportunity="Opportunity")
    >>> found.cost_per_lead.tolist(), found.opportunities.rate.tolist()
    ([2500.0], [0.25])
    >>> found.return_on_opportunities.tolist()
    [2.4]
    """
    check_level(level)
    table = costs if by is None else costs.total(by)
    count = functools.partial(summarize_channels, costs=table, opportunity=opportunity, as_of=as_of)
    return summarize(source, count, executor=executor).table(level=level)
