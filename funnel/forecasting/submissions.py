"""What people say they will book: scored like any other forecaster, and corrected by their past."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import attrs

from funnel.errors import ValidationError, did_you_mean
from funnel.forecasting._submissions_bias import SubmissionBias, submission_bias
from funnel.forecasting._submissions_fitted import FittedHumanForecaster
from funnel.forecasting._submissions_past import won_deals
from funnel.forecasting._submissions_table import MANAGERS_CALL, Submissions, kind_name
from funnel.summary import summarize

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from funnel.summary import HistorySource
    from funnel.tables import History

__all__ = [
    "MANAGERS_CALL",
    "CommitCorrected",
    "FittedHumanForecaster",
    "HumanForecaster",
    "SubmissionBias",
    "Submissions",
    "submission_bias",
]


def _kind(value: str) -> str:
    """Spell a kind."""
    return kind_name(value)


def _submitted(
    instance: HumanForecaster | CommitCorrected, attribute: attrs.Attribute[Any], value: str
) -> None:
    """Demand submissions of a kind."""
    kinds = instance.submissions.kinds
    if value not in kinds:
        rule = "must be a kind of the submissions"
        raise ValidationError.from_value(attribute.name, rule, value, did_you_mean(value, kinds))


def _column_of(
    instance: CommitCorrected, attribute: attrs.Attribute[Any], value: str | None
) -> None:
    """Demand a column of the submissions, or none."""
    del attribute
    if value is not None:
        instance.submissions.column(value)


@attrs.frozen
class HumanForecaster:
    """The last submissions of people as a forecast, with the spread that they had in the past.

    Parameters
    ----------
    submissions : Submissions
        Of all times; each forecast sees those that had been made by its `as_of`.
    kind : str
        Which of them: ``"commit"``, ``"best case"``, ``"manager's call"`` …
    column : str
        Column of the history whose values are the owners of the submissions.

    Notes
    -----
    A period is expected to bring, from each person, the last figure submitted for it, at least what
    has been booked so far; and what all others have booked so far.

    Where the submissions are for parts of a period (months of a quarter), they are added up, the
    longest first, from the end of the period back to `as_of`. People who submitted nothing for some
    of these days do not count, and a note says so.

    The variance comes from past periods of like length (within a quarter of it), from what was in
    force at the same lead time, that is, at the same point of the period. With forecasts F of
    people and errors r, the squared relative error is split into a part that all people of a period
    share and one of each person, from ``sum r**2 / sum F**2`` over people and from
    ``sum (sum r)**2 / sum (sum F)**2`` over periods. Priors of 0.2 and 0.4 (relative standard
    deviations) are worth two periods. A group then has the variance
    ``own * sum F**2 + shared * (sum F)**2``; groups and periods are independent.

    Examples
    --------
    >>> import funnel as fn
    >>> from funnel.forecasting.submissions import HumanForecaster, Submissions
    >>> quarters = fn.Horizon.quarters("2026-04-01", 2)
    >>> submissions = Submissions.from_columns(
    ...     submitted_on=["2026-04-10", "2026-06-20", "2026-06-22"], owner=["Ann", "Ann", "Bo"],
    ...     period=["2026-Q2", "2026-Q3", "2026-Q3"], periods=quarters, amount=[90.0, 100.0, 50.0],
    ... )
    >>> history = fn.History.from_columns(
    ...     funnel=fn.Funnel(["Qualify"]), id=["A", "B"], stage=["Won", "Qualify"],
    ...     at=["2026-05-10", "2026-05-20"], amount=[80.0, 40.0], owner=["Ann", "Bo"],
    ...     observed_from="2026-04-01", observed_until="2026-06-30",
    ... )
    >>> fitted = HumanForecaster(submissions).fit(history)
    >>> outlook = fitted.forecast(
    ...     history.snapshot(), fn.Horizon.quarters("2026-07-01", 1), by=("owner",)
    ... )
    >>> outlook.expected.tolist(), outlook.group("Bo").expected.tolist()
    ([150.0], [50.0])
    """

    submissions: Submissions = attrs.field(repr=False)
    kind: str = attrs.field(default="commit", kw_only=True, converter=_kind, validator=_submitted)
    column: str = attrs.field(default="owner", kw_only=True)

    @property
    def name(self) -> str:
        """The name in tables: the kind."""
        return self.kind.replace(" ", "-")

    def fit(
        self, source: History | HistorySource, /, *, executor: Executor | None = None
    ) -> FittedHumanForecaster:
        """Learn what people booked.

        Raises
        ------
        UnknownColumnError
            When the history has no column with owners.
        CurrencyMismatchError
            When won amounts, or they and the submissions, are of several currencies.
        """
        won = summarize(source, functools.partial(won_deals, column=self.column), executor=executor)
        return FittedHumanForecaster(
            self.name, self.submissions.of_kind(self.kind), won, column=self.column
        )


@attrs.frozen
class CommitCorrected:
    """Submissions times the ratio of booked to submitted money that each person had in the past.

    Parameters
    ----------
    submissions : Submissions
        As for `HumanForecaster`.
    kind, column : str
        As for `HumanForecaster`.
    team : str, optional
        Column of the submissions by whose values people are pooled; one team by default.

    Notes
    -----
    The figure of a person is ``submitted * exp(b)``, at least what is booked so far, where b is the
    shrunk log ratio of `submission_bias`, learnt from past periods of like length and from what was
    in force at the same lead time. Only periods that the history has seen to their end count.
    The variance is that of `HumanForecaster`, for the corrected figures, and the uncertainty of b:
    ``+ sum F**2 Var(b)``.

    Examples
    --------
    >>> import funnel as fn
    >>> from funnel.forecasting.submissions import CommitCorrected, Submissions
    >>> months = fn.Horizon.months("2026-01-01", 7)
    >>> submissions = Submissions.from_columns(
    ...     submitted_on=months.starts, owner="Ann", start=months.starts, end=months.ends,
    ...     amount=[100.0] * 7,
    ... )
    >>> history = fn.History.from_columns(
    ...     funnel=fn.Funnel(["Qualify"]), id=[str(month) for month in range(6)],
    ...     stage=["Won"] * 6, at=months.ends[:6] - 1, amount=[50.0] * 6, owner=["Ann"] * 6,
    ...     observed_from="2026-01-01", observed_until="2026-07-01",
    ... )
    >>> fitted = CommitCorrected(submissions).fit(history)
    >>> outlook = fitted.forecast(history.snapshot(), fn.Horizon.months("2026-07-01", 1))
    >>> [round(money) for money in outlook.expected.tolist()]  # half of what was said was booked
    [53]
    """

    submissions: Submissions = attrs.field(repr=False)
    kind: str = attrs.field(default="commit", kw_only=True, converter=_kind, validator=_submitted)
    column: str = attrs.field(default="owner", kw_only=True)
    team: str | None = attrs.field(default=None, kw_only=True, validator=_column_of)

    @property
    def name(self) -> str:
        """The name in tables: the kind, and that it is corrected."""
        return f"{self.kind.replace(' ', '-')}-corrected"

    def fit(
        self, source: History | HistorySource, /, *, executor: Executor | None = None
    ) -> FittedHumanForecaster:
        """Learn what people booked.

        Raises
        ------
        UnknownColumnError, CurrencyMismatchError
            As for `HumanForecaster`.
        """
        won = summarize(source, functools.partial(won_deals, column=self.column), executor=executor)
        return FittedHumanForecaster(
            self.name,
            self.submissions.of_kind(self.kind),
            won,
            column=self.column,
            corrects=True,
            team=self.team,
        )
