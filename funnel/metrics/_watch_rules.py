"""The built-in rules of the watch list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from funnel.errors import UnknownColumnError, ValidationError
from funnel.metrics._watch_base import Flags, Severity, Watched, WatchRule, find_column
from funnel.metrics.durations import summarize_durations
from funnel.summary import summarize
from funnel.typing import NO_DAY

if TYPE_CHECKING:
    from collections.abc import Iterable

    from funnel.stages import Funnel
    from funnel.tables import Pipeline
    from funnel.typing import DayArray, FloatArray

__all__ = [
    "ContradictoryDates",
    "MovedBack",
    "NoAmount",
    "NoContact",
    "NoNextStep",
    "NoPromise",
    "OverStandard",
    "Overdue",
    "Pushed",
    "Stale",
    "Timeout",
    "Unchanged",
]

CONTACTS = ("last_contact", "last_contacted", "last_activity", "last_activity_date")
NEXT_STEPS = ("next_step", "next_activity", "next_contact", "next_step_date")
DAYS = ("created", "stage_entered", "first_seen")


def _at_least(least: int) -> Any:  # noqa: ANN401 - what attrs takes as a validator
    """Make the validator of a whole number."""

    def check(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
        """Demand a whole number."""
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            rule = f"must be a whole number >= {least}"
            raise ValidationError.from_value(attribute.name, rule, value, "")

    return check


def _share(_: object, attribute: attrs.Attribute[Any], value: float) -> None:
    """Demand a share strictly between 0 and 1."""
    if isinstance(value, bool) or not 0.0 < value < 1.0:
        rule = "must lie strictly between 0 and 1"
        raise ValidationError.from_value(attribute.name, rule, value, "0.9 is the default.")


def _pairs(pairs: Iterable[Iterable[str]]) -> tuple[tuple[str, ...], ...]:
    """Return pairs of names as tuples."""
    return tuple(tuple(pair) for pair in pairs)


def _check_pairs(_: object, attribute: attrs.Attribute[Any], pairs: object) -> None:
    """Demand pairs of names."""
    if not isinstance(pairs, tuple) or any(len(pair) != 2 for pair in pairs):
        rule = "must be pairs of columns, the earlier day first"
        raise ValidationError.from_value(attribute.name, rule, pairs, "")


def _timeouts(funnel: Funnel) -> FloatArray:
    """Days after which somebody is to be warned, (s,); NaN where nobody said."""
    days = [state.timeout_days for state in funnel.states]
    return np.array([np.nan if number is None else float(number) for number in days])


def _over(watched: Watched, limits: FloatArray, note: str = "") -> Flags:
    """Flag deals that have been in their stage for longer than a limit by state (s,)."""
    pipeline = watched.pipeline
    days, limit = pipeline.days_in_stage, limits[pipeline.stage]
    undated = int(np.count_nonzero((days < 0) & watched.running))
    notes = [note] if note else []
    if undated:
        notes.append(f"{undated:,} deals entered their stage on an unknown day")
    found = watched.running & (days > limit)  # a missing limit is never exceeded
    return Flags.of(found, value=days, limit=limit, note="; ".join(notes))


@attrs.frozen(kw_only=True)
class Stale(WatchRule):
    """In its stage for longer than most deals ever were: a quantile of the stage's own stays.

    Parameters
    ----------
    share : float
        Share of the stays that end within the limit (Kaplan-Meier, open stays censored).
    minimum : int
        Stays that must have ended; a stage with fewer, or without such a quantile, takes its typed
        timeout, else its standard days, and has no limit where there are none.
    """

    name = "stale"
    share: float = attrs.field(default=0.9, validator=_share)
    minimum: int = attrs.field(default=20, validator=_at_least(1))

    def limits(self, watched: Watched) -> tuple[FloatArray, str]:
        """Return the limit of each state in days, (s,), and what is short of stays."""
        funnel = watched.pipeline.funnel
        learnt = np.full(len(funnel.ids), np.nan)
        if watched.source is not None:
            stays = summarize(watched.source, summarize_durations)
            table = stays.table(shares=(self.share,))
            days = table.days[0, :, 0]
            enough = (table.left[0] >= self.minimum) & np.isfinite(days)
            learnt[: funnel.n_stages] = np.where(enough, days, np.nan)
        typed = _timeouts(funnel)
        typed = np.where(np.isnan(typed), funnel.standard_days, typed)
        states = watched.pipeline.stage[watched.running]
        used = np.bincount(states, minlength=len(learnt)) > 0
        thin = used & np.isnan(learnt)
        notes = []
        for mask, what in (
            (thin & ~np.isnan(typed), "typed days instead of a quantile of stays"),
            (thin & np.isnan(typed), "no limit, for want of stays and of typed days"),
        ):
            if mask.any():
                listed = ", ".join(np.array(funnel.ids, dtype=object)[mask])
                notes.append(f"{what}: {listed}")
        return np.where(np.isnan(learnt), typed, learnt), "; ".join(notes)

    def check(self, watched: Watched, /) -> Flags:
        """Flag deals beyond the limit of their stage; `value` and `limit` are days."""
        return _over(watched, *self.limits(watched))


@attrs.frozen(kw_only=True)
class OverStandard(WatchRule):
    """In its stage for longer than the standard days that somebody typed."""

    name = "over-standard"
    severity: Severity = "info"

    def check(self, watched: Watched, /) -> Flags:
        """Flag deals beyond the standard; `value` and `limit` are days."""
        limits = watched.pipeline.funnel.standard_days
        if np.isnan(limits).all():
            return Flags.none("no stage has standard days")
        return _over(watched, limits)


@attrs.frozen(kw_only=True)
class Timeout(WatchRule):
    """In its stage for longer than its timeout."""

    name = "timeout"
    severity: Severity = "critical"

    def check(self, watched: Watched, /) -> Flags:
        """Flag deals beyond the timeout; `value` and `limit` are days."""
        limits = _timeouts(watched.pipeline.funnel)
        if np.isnan(limits).all():
            return Flags.none("no stage has a timeout")
        return _over(watched, limits)


@attrs.frozen(kw_only=True)
class Overdue(WatchRule):
    """Past its expected close.

    Parameters
    ----------
    days : int
        Days of grace; a promise for the day of the list itself is not yet past.
    """

    name = "overdue"
    severity: Severity = "critical"
    days: int = attrs.field(default=0, validator=_at_least(0))

    def check(self, watched: Watched, /) -> Flags:
        """Flag deals whose promise has passed; `value` is days since."""
        pipeline = watched.pipeline
        late = pipeline.as_of - pipeline.expected_close.astype(np.int64)
        mask = (pipeline.expected_close != NO_DAY) & (late > self.days)
        return Flags.of(mask, value=late, limit=self.days)


@attrs.frozen(kw_only=True)
class NoPromise(WatchRule):
    """Without an expected close: it can never be overdue."""

    name = "no-promise"
    severity: Severity = "info"

    def check(self, watched: Watched, /) -> Flags:
        """Flag deals without a promised day."""
        return Flags.of(watched.pipeline.expected_close == NO_DAY)


@attrs.frozen(kw_only=True)
class Pushed(WatchRule):
    """Pushed to a later day again and again.

    Parameters
    ----------
    times : int
        From how many pushes on.
    """

    name = "pushed"
    times: int = attrs.field(default=2, validator=_at_least(1))

    def check(self, watched: Watched, /) -> Flags:
        """Flag deals pushed so often; `value` is the number of pushes."""
        pushes = watched.pipeline.pushes
        unknown = int(np.count_nonzero(pushes < 0))
        note = f"pushes of {unknown:,} deals are unknown" if unknown else ""
        return Flags.of(pushes >= self.times, value=pushes, limit=self.times, note=note)


@attrs.frozen(kw_only=True)
class NoContact(WatchRule):
    """Without contact for too long, or ever.

    Parameters
    ----------
    column : str, optional
        Date of the last contact; by default ``last_contact`` or another usual name.
    days : int
        Longest silence.
    """

    name = "no-contact"
    column: str | None = None
    days: int = attrs.field(default=30, validator=_at_least(0))

    def check(self, watched: Watched, /) -> Flags:
        """Flag silent deals; `value` is days since the last contact, NaN where there was none."""
        pipeline = watched.pipeline
        name = find_column(pipeline, self.column, CONTACTS, ("date",))
        if not name:
            return Flags.none(f"no column of dates is called {' or '.join(CONTACTS)}")
        last = pipeline.columns[name]
        silent = np.where(last == NO_DAY, np.nan, pipeline.as_of - last.astype(np.float64))
        return Flags.of(~(silent <= self.days), value=silent, limit=self.days)


@attrs.frozen(kw_only=True)
class NoNextStep(WatchRule):
    """Without a next step: none is written down, or its day has passed.

    Parameters
    ----------
    column : str, optional
        Text or date of the next step; by default ``next_step`` or another usual name.
    """

    name = "no-next-step"
    column: str | None = None

    def check(self, watched: Watched, /) -> Flags:
        """Flag deals without a next step; `value` is days since its day, NaN if none."""
        pipeline = watched.pipeline
        name = find_column(pipeline, self.column, NEXT_STEPS, ("category", "date"))
        if not name:
            return Flags.none(f"no column is called {' or '.join(NEXT_STEPS)}")
        values = pipeline.columns[name]
        if pipeline.schema.column(name).kind == "category":
            return Flags.of(values < 0)
        past = np.where(values == NO_DAY, np.nan, pipeline.as_of - values.astype(np.float64))
        return Flags.of(~(past <= 0), value=past, limit=0)


@attrs.frozen(kw_only=True)
class Unchanged(WatchRule):
    """Nothing about the deal was changed for too long.

    Parameters
    ----------
    days : int
        Longest time without a change.
    """

    name = "unchanged"
    severity: Severity = "info"
    days: int = attrs.field(default=60, validator=_at_least(0))

    def check(self, watched: Watched, /) -> Flags:
        """Flag deals without a change; `value` is days since the last one."""
        history = watched.history
        if history is None:
            return Flags.none("the day of the last change is known of a history only")
        last = history.at[history.bounds[1:] - 1].astype(np.int64)
        rows = np.searchsorted(history.ids, watched.pipeline.ids)
        still = watched.pipeline.as_of - last[rows]
        return Flags.of(watched.running & (still > self.days), value=still, limit=self.days)


@attrs.frozen(kw_only=True)
class NoAmount(WatchRule):
    """Amount missing or zero."""

    name = "no-amount"

    def check(self, watched: Watched, /) -> Flags:
        """Flag deals without money; `value` is the amount, NaN where it is missing."""
        amount = watched.pipeline.amount
        return Flags.of(~(amount > 0.0), value=amount, limit=0.0)


@attrs.frozen(kw_only=True)
class MovedBack(WatchRule):
    """In an earlier stage than it had reached: the stage has gone backwards."""

    name = "moved-back"

    def check(self, watched: Watched, /) -> Flags:
        """Flag deals below their furthest stage; positions on the ladder from 1."""
        pipeline = watched.pipeline
        ladder = pipeline.funnel.ladder.astype(np.int64)
        place, furthest = ladder[pipeline.stage], ladder[pipeline.furthest_stage]
        known = pipeline.furthest_stage >= 0
        note = "" if known.any() or not len(pipeline) else "earlier stages are unknown"
        mask = known & (place >= 0) & (furthest > place)
        return Flags.of(mask, value=place + 1, limit=furthest + 1, note=note)


@attrs.frozen(kw_only=True)
class ContradictoryDates(WatchRule):
    """Dates that cannot both be right.

    Parameters
    ----------
    pairs : pairs of str
        Columns of dates, ``created``, ``stage_entered`` or ``first_seen``; the second day must not
        be before the first.
    """

    name = "contradictory-dates"
    pairs: tuple[tuple[str, ...], ...] = attrs.field(
        default=(("created", "expected_close"),), converter=_pairs, validator=_check_pairs
    )

    def check(self, watched: Watched, /) -> Flags:
        """Flag deals with days in the wrong order; `value` is by how many days."""
        worst = np.zeros(len(watched.pipeline), dtype=np.int64)
        for first, second in self.pairs:
            early, late = (_days(watched.pipeline, name) for name in (first, second))
            wrong = (early != NO_DAY) & (late != NO_DAY) & (late < early)
            gap = early.astype(np.int64) - late
            worst = np.maximum(worst, np.where(wrong, gap, 0))
        return Flags.of(worst > 0, value=worst, limit=0)


def _days(pipeline: Pipeline, name: str) -> DayArray:
    """Return a column of days by its name, (n,)."""
    if name in DAYS:
        days: DayArray = getattr(pipeline, name)
        return days
    if name not in pipeline.schema.names:
        raise UnknownColumnError(name, (*DAYS, *pipeline.schema.names))
    return pipeline.columns[find_column(pipeline, name, (), ("date",))]
