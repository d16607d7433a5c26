"""How far people are off: ratios of booked to submitted money, shrunk towards no bias."""

from __future__ import annotations

import functools
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, ClassVar

import attrs
import numpy as np

from funnel.errors import InsufficientDataError, ValidationError, did_you_mean
from funnel.forecasting import _submissions_rows as rows_
from funnel.forecasting._submissions_past import (
    Past,
    observed,
    owner_codes,
    past_of,
    won_deals,
)
from funnel.forecasting._submissions_ratios import log_ratios, shrunk
from funnel.kernels.labels import factorize, texts
from funnel.results import ResultTable
from funnel.summary import summarize

if TYPE_CHECKING:
    from collections.abc import Sequence

    from funnel.forecasting._submissions_past import Ledger, WonDeals
    from funnel.forecasting._submissions_table import Submissions
    from funnel.summary import HistorySource
    from funnel.tables import History
    from funnel.typing import FloatArray, IntArray, StringArray

__all__ = ["SubmissionBias", "submission_bias"]


def teams_of(
    submissions: Submissions, owners: Sequence[str], team: str | None
) -> tuple[list[str], IntArray]:
    """Return the teams, sorted, and that of each owner as last said; ``""`` where there is none."""
    named = np.full(len(owners), "", dtype=object)
    if team is not None:
        rows = np.lexsort((submissions.submitted_on, owner_codes(submissions, owners)))
        rows = rows[rows_.last_of_runs((submissions.owner[rows],))]
        named[owner_codes(submissions.select(rows), owners)] = submissions.column(team)[rows]
    return factorize(named)


@attrs.frozen(eq=False)
class SubmissionBias(ResultTable):
    """How much is booked for each unit of money that a person or a team submits.

    Parameters
    ----------
    level : (r,) str
        ``"team"`` or ``"owner"``.
    kind, team, owner : (r,) str
        The owner is ``""`` in the row of a team.
    weeks : (r,) float64
        Weeks before the end of the period; NaN where all submissions of a period were averaged.
    periods : (r,) int64
        Past periods, added up over people in the row of a team.
    submitted, booked : (r,) float64
        Their sums, in major units.
    ratio, low, high : (r,) float64
        Shrunk ratio of booked to submitted money with its central interval: below 1 is too high.
    coverage : float
        Probability of the interval.
    """

    hidden: ClassVar[frozenset[str]] = frozenset({"level"})

    level: StringArray
    kind: StringArray
    team: StringArray
    owner: StringArray
    weeks: FloatArray
    periods: IntArray
    submitted: FloatArray
    booked: FloatArray
    ratio: FloatArray
    low: FloatArray
    high: FloatArray
    coverage: float

    def to_columns(self) -> dict[str, np.ndarray[Any, Any]]:
        """Return one row for each kind, lead time, team and person."""
        names = [field.name for field in attrs.fields(type(self)) if field.name != "coverage"]
        return {name: getattr(self, name) for name in names}

    @property
    def _title(self) -> str:
        """Return the heading."""
        return f"booked for each unit submitted, {100 * self.coverage:g} % intervals"


def submission_bias(
    submissions: Submissions,
    history: History | HistorySource,
    /,
    *,
    column: str = "owner",
    team: str | None = None,
    weeks: Sequence[int] = (),
    coverage: float = 0.8,
) -> SubmissionBias:
    """Return the ratio of booked to submitted money of each person and team, shrunk.

    Parameters
    ----------
    submissions : Submissions
        Those of periods count that the history has seen from their first to their last day.
    history : History or HistorySource
        Says what was booked, by `outcomes`; unknown amounts count as 0.
    column : str
        Column of the history whose values are the owners of the submissions.
    team : str, optional
        Column of the submissions with the team of a person; one team by default.
    weeks : sequence of int, optional
        Lead times: what was in force so many weeks before the last day of the period is compared.
        By default, the mean of all that a person said of a period.
    coverage : float
        Probability of the intervals.

    Returns
    -------
    SubmissionBias

    Raises
    ------
    ValidationError
        When an owner is not in the history, or an argument is wrong.
    InsufficientDataError
        When no submission speaks of a period that has been seen to its end.
    UnknownColumnError
        When a column does not exist.

    Notes
    -----
    With S and A, the money that a person submitted and booked in all periods, and a pseudo-amount
    c of a tenth of the mean submission (so that zeros have a ratio),
    ``x = log((A + c) / (S + c))``. Its variance is ``k / n``, where ``n = (S + c)**2 / (sum of
    squared submissions + c**2)`` counts periods and k is the squared relative error of one person
    in one period, ``A - exp(x) S``, pooled over all with a prior of 0.25 worth two periods.

    Log ratios are normal about that of the team, and teams about 0, no bias. Both spreads are
    unknown; the posterior is averaged over a grid of them with half-normal priors of scale 0.3
    (empirical Bayes with the uncertainty of its own estimates: Morris 1983,
    doi:10.1080/01621459.1983.10477920). `ratio` is the exponential of the posterior mean.

    Examples
    --------
    >>> import funnel as fn
    >>> from funnel.forecasting.submissions import Submissions, submission_bias
    >>> history = fn.History.from_columns(
    ...     funnel=fn.Funnel(["Qualify"]), id=["A", "B", "C"], stage=["Won", "Won", "Won"],
    ...     at=["2026-02-10", "2026-05-20", "2026-05-21"], amount=[50.0, 50.0, 100.0],
    ...     owner=["Ann", "Ann", "Bo"], observed_from="2026-01-01", observed_until="2026-06-30",
    ... )
    >>> submissions = Submissions.from_columns(
    ...     submitted_on=["2026-01-31", "2026-04-30", "2026-04-30"], owner=["Ann", "Ann", "Bo"],
    ...     period=["2026-Q1", "2026-Q2", "2026-Q2"], amount=[100.0, 100.0, 100.0],
    ...     periods=fn.Horizon.quarters("2026-01-01", 2),
    ... )
    >>> bias = submission_bias(submissions, history)
    >>> bias.owner.tolist(), bias.booked.tolist()
    (['', 'Ann', 'Bo'], [200.0, 100.0, 100.0])
    >>> [round(ratio, 2) for ratio in bias.ratio.tolist()]
    [0.87, 0.71, 0.9]
    """
    _check(weeks, coverage)
    won = summarize(history, functools.partial(won_deals, column=column))
    ended = submissions.select(observed(submissions, won.window))
    if not len(ended):
        what = "the bias needs submissions of periods that the history has seen to their end"
        remedy = "Give a longer history, or submissions of earlier periods."
        raise InsufficientDataError(what, needed=1, found=0, remedy=remedy)
    demand_known(ended, won, column)
    owners = sorted(set(ended.owner.tolist()))
    teams, place = teams_of(ended, owners, team)
    ledger = won.ledger
    parts = []
    for kind in ended.kinds:
        chosen = ended.of_kind(kind)
        for week in weeks or (None,):
            past = (
                _averaged(chosen, ledger, owners, won.window)
                if week is None
                else past_of(chosen, ledger, owners, won.window, lead=7 * week)
            )
            told = np.nan if week is None else float(week)
            parts.append(_rows(past, owners, (teams, place), (kind, told), coverage))
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return SubmissionBias(**joined, coverage=coverage)


def _check(weeks: Sequence[int], coverage: float) -> None:
    """Check lead times and the probability of intervals."""
    wrong = [week for week in weeks if isinstance(week, bool) or week != int(week) or week < 0]
    if wrong:
        rule = "must be whole numbers of weeks >= 0"
        raise ValidationError.from_value("weeks", rule, wrong[0], "")
    if not 0.0 < coverage < 1.0:
        rule = "must be a probability inside (0, 1)"
        raise ValidationError.from_value("coverage", rule, coverage, "")


def demand_known(submissions: Submissions, won: WonDeals, column: str) -> None:
    """Raise where a submission names an owner that the history does not know."""
    unknown = np.array([name not in won.owners for name in submissions.owner.tolist()])
    first = str(submissions.owner[int(np.argmax(unknown))])
    rule = f"must be one of the values of {column!r} in the history"
    hint = did_you_mean(first, sorted(won.owners))
    rows_.demand("owner", rule, unknown, lambda row: repr(str(submissions.owner[row])), hint)


def _averaged(
    submissions: Submissions, ledger: Ledger, owners: list[str], window: tuple[int, int]
) -> Past:
    """Return the mean of all submissions of each owner and period, and the truth."""
    past = past_of(submissions, ledger, owners, window, lead=0)
    keys = (submissions.start, submissions.end, submissions.owner)
    last = rows_.last_of_runs(keys)
    run: IntArray = np.cumsum(last) - last
    mean = np.bincount(run, submissions.amount) / np.bincount(run)
    return past._replace(said=mean)


def _rows(
    past: Past,
    owners: list[str],
    teams: tuple[list[str], IntArray],
    told: tuple[str, float],
    coverage: float,
) -> dict[str, np.ndarray[Any, Any]]:
    """Return the rows of one kind and lead time: each team, and its people after it."""
    names, place = teams
    found = shrunk(*log_ratios(past, len(owners)), place, len(names))
    number = np.bincount(past.owner, minlength=len(owners))
    there = np.flatnonzero(number)
    crews = np.unique(place[there])
    team = np.concatenate((crews, place[there]))
    order = np.lexsort((np.concatenate((np.full(len(crews), -1), there)), team))

    def both(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Put sums over teams before the values of people."""
        sums = np.bincount(place[there], values[there], minlength=len(names))[crews]
        return np.concatenate((sums.astype(values.dtype), values[there]))[order]

    mean = np.concatenate((found.team_mean[crews], found.mean[there]))[order]
    variance = np.concatenate((found.team_variance[crews], found.variance[there]))[order]
    reach = NormalDist().inv_cdf((1.0 + coverage) / 2.0) * np.sqrt(variance)
    labels = ["team"] * len(crews) + ["owner"] * len(there)
    people = [""] * len(crews) + [owners[code] for code in there.tolist()]
    return {
        "level": texts(labels)[order],
        "kind": texts([told[0]] * len(order)),
        "team": texts(names)[team[order]],
        "owner": texts(people)[order],
        "weeks": np.full(len(order), told[1]),
        "periods": both(number),
        "submitted": both(np.bincount(past.owner, past.said, minlength=len(owners))),
        "booked": both(np.bincount(past.owner, past.booked, minlength=len(owners))),
        "ratio": np.exp(mean),
        "low": np.exp(mean - reach),
        "high": np.exp(mean + reach),
    }
