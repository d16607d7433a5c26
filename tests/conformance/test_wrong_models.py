"""Each check catches a model that is right but for one thing, and says what it saw."""

from __future__ import annotations

import time
import types
from typing import Any, ClassVar

import attrs
import numpy as np
import pytest

from funnel.errors import ConformanceError, InsufficientDataError
from funnel.models import StageModel, registry
from funnel.stages import Outcome
from funnel.tables import spells
from funnel.testing import CHECKS, check_model, checks
from funnel.typing import NO_DAY


def read_only(array):
    """Own an array, and let nobody write into it."""
    owned = np.array(array)
    owned.setflags(write=False)
    return owned


# --- a model that is right ----------------------------------------------------------------------


@attrs.frozen(eq=False)
class Counts:
    until: int
    entered: Any
    won: Any

    def merge(self, other, /):
        added = {"entered": self.entered + other.entered, "won": self.won + other.won}
        return attrs.evolve(self, until=max(self.until, other.until), **added)


@attrs.frozen(eq=False)
class Rates:
    trained_until: int
    rates: Any = attrs.field(converter=read_only)

    needs: ClassVar[tuple[str, ...]] = ()

    def share(self, pipeline):
        """Chance to be won at all, (n,)."""
        return np.where(pipeline.outcome == Outcome.OPEN, self.rates[pipeline.stage], 0.0)

    def speed(self, ahead):
        """Part of it that falls into the next days, (k,)."""
        return 1.0 - np.exp(-ahead / 30.0)

    def win_curve(self, pipeline, dates, /):
        ahead = dates.astype(np.int64) - pipeline.as_of
        return self.share(pipeline)[:, None] * self.speed(ahead)


@attrs.frozen
class Tiny(StageModel):
    """Share of stays that ended in a win at once, with half a win added to one stay."""

    prior: float = attrs.field(default=0.5, kw_only=True)

    name = "test.tiny"
    fitted = Rates

    def summarize(self, history, /):
        stays, states = spells(history), len(history.funnel.ids)
        won = stays.target == history.funnel.won_code
        entered = np.bincount(stays.stage, minlength=states)
        won = np.bincount(stays.stage[won], minlength=states)
        return Counts(history.observed_until, entered, won)

    def estimate(self, summary, /):
        rates = (summary.won + self.prior) / (summary.entered + 2.0 * self.prior)
        return self.fitted(summary.until, rates)


# --- wrong specs --------------------------------------------------------------------------------


class NoAttrs(StageModel):
    """A class that anybody can change."""

    name, fitted = "test.tiny", Rates
    summarize, estimate, prior = Tiny.summarize, Tiny.estimate, 0.5


@attrs.frozen
class Unhashable(Tiny):
    stages: list = attrs.field(factory=list, kw_only=True)


@attrs.frozen
class Learner(Tiny):
    """Keeps what it has seen in a parameter."""

    seen: dict = attrs.field(factory=dict, kw_only=True, hash=False)

    def summarize(self, history, /):
        self.seen[history.observed_until] = True
        return super().summarize(history)


@attrs.frozen
class Nameless(Tiny):
    name = None


@attrs.frozen(repr=False)
class Silent(Tiny):
    def __repr__(self):
        return "<Silent>"


@attrs.frozen(repr=False)
class Forgetful(Tiny):
    def __repr__(self):
        return "Forgetful()"


# --- wrong summaries ----------------------------------------------------------------------------


@attrs.frozen
class Vandal(Tiny):
    """Writes into the history."""

    def summarize(self, history, /):
        amount = history.columns["amount"]
        amount.setflags(write=True)
        amount[0] = 1e9
        return super().summarize(history)


@attrs.frozen
class Counter(Tiny):
    """Remembers how often it was asked."""

    calls: ClassVar[list[int]] = []

    def summarize(self, history, /):
        self.calls.append(1)
        counts = super().summarize(history)
        return attrs.evolve(counts, won=counts.won + len(self.calls))


@attrs.frozen(eq=False)
class MeanCounts(Counts):
    """Takes the mean where it should add."""

    def merge(self, other, /):
        return attrs.evolve(
            self, entered=(self.entered + other.entered) / 2, won=(self.won + other.won) / 2
        )


@attrs.frozen(eq=False)
class LopsidedCounts(Counts):
    """Counts the wins on its right twice."""

    def merge(self, other, /):
        added = {"entered": self.entered + other.entered, "won": self.won + 2 * other.won}
        return attrs.evolve(self, **added)


@attrs.frozen(eq=False)
class GreedyCounts(Counts):
    """Adds up in place."""

    def merge(self, other, /):
        np.add(self.entered, other.entered, out=self.entered)
        np.add(self.won, other.won, out=self.won)
        return self


@attrs.frozen
class Merging(Tiny):
    """Counts as it should, and merges as `counts` does."""

    counts: type = attrs.field(default=Counts, kw_only=True)

    def summarize(self, history, /):
        right = super().summarize(history)
        return self.counts(right.until, right.entered, right.won)


@attrs.frozen
class PriorInEachChunk(Tiny):
    """Adds the prior when it counts, and so once for each chunk."""

    def summarize(self, history, /):
        counts = super().summarize(history)
        return attrs.evolve(counts, won=counts.won + self.prior, entered=counts.entered + 1.0)


@attrs.frozen
class FirstChunkOnly(Tiny):
    def fit(self, source, /, *, executor=None):
        first = source if hasattr(source, "schema") else next(iter(source))
        return self.estimate(self.summarize(first))


@attrs.frozen
class Hindsight(Tiny):
    """Counts once for many days, and forgets that less was known on the earlier ones."""

    def summaries(self, history, days, /):
        whole = self.summarize(history)
        return (attrs.evolve(whole, until=day) for day in days)


@attrs.frozen(eq=False)
class Unsendable(Counts):
    """Holds a function that has no name."""

    scale: Any = attrs.field(factory=lambda: lambda value: value)


# --- wrong fitted models ------------------------------------------------------------------------


@attrs.frozen(eq=False)
class Writable(Rates):
    rates: Any = attrs.field(converter=np.array)


@attrs.define(eq=False)
class Settable:
    trained_until: int
    rates: Any = attrs.field(converter=read_only)

    needs = ()
    share, speed, win_curve = Rates.share, Rates.speed, Rates.win_curve


@attrs.frozen
class OtherClass(Tiny):
    """Says that it returns something else than it does."""

    def estimate(self, summary, /):
        return Writable(summary.until, summary.won / 100.0)


@attrs.frozen(eq=False)
class NeedsMissing:
    trained_until: int
    rates: Any = attrs.field(converter=read_only)

    share, speed, win_curve = Rates.share, Rates.speed, Rates.win_curve


@attrs.frozen
class Timeless(Tiny):
    """Forgets when its history ended."""

    def estimate(self, summary, /):
        return attrs.evolve(super().estimate(summary), trained_until=NO_DAY)


@attrs.frozen(eq=False)
class Transposed(Rates):
    def win_curve(self, pipeline, dates, /):
        return super().win_curve(pipeline, dates).T


@attrs.frozen(eq=False)
class HalfPrecision(Rates):
    def win_curve(self, pipeline, dates, /):
        return super().win_curve(pipeline, dates).astype(np.float32)


@attrs.frozen(eq=False)
class Listed(Rates):
    def win_curve(self, pipeline, dates, /):
        return super().win_curve(pipeline, dates).tolist()


@attrs.frozen(eq=False)
class Sure(Rates):
    """Adds up past 1."""

    def share(self, pipeline):
        return 3.0 * super().share(pipeline)


@attrs.frozen(eq=False)
class BelowZero(Rates):
    """Leaves a rounding error."""

    def win_curve(self, pipeline, dates, /):
        return super().win_curve(pipeline, dates) - 1e-17


@attrs.frozen(eq=False)
class Density(Rates):
    """Gives the chance of each day, not of all days up to it."""

    def speed(self, ahead):
        return np.exp(-ahead / 30.0) / 30.0


@attrs.frozen(eq=False)
class PerAmount(Rates):
    """Takes the amount to be known."""

    def share(self, pipeline):
        return super().share(pipeline) * np.minimum(1.0, 0.5 + pipeline.amount)


@attrs.frozen(eq=False)
class ForAll(Rates):
    """Forgets that some deals are closed."""

    def share(self, pipeline):
        return self.rates[pipeline.stage]


@attrs.frozen(eq=False)
class FirstDeal(Rates):
    """Looks at the first deal to see which day it is."""

    def share(self, pipeline):
        return super().share(pipeline) + 0.0 * pipeline.created[0]


@attrs.frozen(eq=False)
class Normalised(Rates):
    """Scales by the best deal of the pipeline."""

    def share(self, pipeline):
        share = super().share(pipeline)
        return share / share.max(initial=0.5)


@attrs.frozen(eq=False)
class ByPosition(Rates):
    """Takes the position of a date for the days until it."""

    def speed(self, ahead):
        return 1.0 - np.exp(-np.arange(1, len(ahead) + 1) / 5.0)


@attrs.frozen(eq=False)
class ShiftsDates(Rates):
    """Counts the days from `as_of` in the caller's own array."""

    def win_curve(self, pipeline, dates, /):
        dates -= pipeline.as_of
        return self.share(pipeline)[:, None] * self.speed(dates.astype(np.int64))


@attrs.frozen(eq=False)
class Cached(Rates):
    """Hands out the array that it keeps."""

    answers: ClassVar[dict[Any, Any]] = {}

    def win_curve(self, pipeline, dates, /):
        key = (pipeline.as_of, len(pipeline), len(dates))
        if key not in self.answers:
            self.answers[key] = super().win_curve(pipeline, dates)
        return self.answers[key]


@attrs.frozen(eq=False)
class BlanksDeals(Rates):
    """Fills in the amounts that are not known, for good."""

    def win_curve(self, pipeline, dates, /):
        amount = pipeline.amount
        amount.setflags(write=True)
        amount[np.isnan(amount)] = 0.0
        return super().win_curve(pipeline, dates)


@attrs.frozen
class WithoutPrior(Tiny):
    """Divides 0 by 0 where nothing was seen."""

    def estimate(self, summary, /):
        with np.errstate(invalid="ignore"):
            return self.fitted(summary.until, summary.won / summary.entered)


@attrs.frozen
class Crashes(Tiny):
    """Divides by the number of deals that were won."""

    def estimate(self, summary, /):
        1 / int(summary.won.sum())
        return super().estimate(summary)


@attrs.frozen(eq=False)
class OwnerCodes(Rates):
    """Takes the code of an owner for the owner."""

    def share(self, pipeline):
        effect = np.linspace(0.1, 0.9, 10)
        return super().share(pipeline) * effect[pipeline.columns["owner"]]


@attrs.frozen(eq=False)
class KnownOwnersOnly(Rates):
    """Knows four owners by name and no other."""

    def share(self, pipeline):
        effect = {"Ann": 0.4, "Bo": 0.5, "Cy": 0.6, "Zoe": 0.7}
        names = pipeline.schema.column("owner").categories
        effects = np.array([*(effect[name] for name in names), 0.5])
        return super().share(pipeline) * effects[pipeline.columns["owner"]]


@attrs.frozen
class EveryStageSeen(Tiny):
    """Has no rate for a stage that nobody has entered."""

    def estimate(self, summary, /):
        fitted = super().estimate(summary)
        return attrs.evolve(fitted, rates=np.where(summary.entered > 0, fitted.rates, np.nan))


@attrs.frozen(eq=False)
class YoungOnly(Rates):
    """Looks the age of a deal up in a table that ends."""

    def share(self, pipeline):
        slower = np.linspace(1.0, 0.5, 1_000)
        return super().share(pipeline) * slower[np.maximum(pipeline.days_in_stage, 0)]


@attrs.frozen(eq=False)
class PerVisit(Rates):
    """Reads the number of visits without saying that it needs it."""

    def share(self, pipeline):
        return super().share(pipeline) / pipeline.visits


@attrs.frozen(eq=False)
class NeedsNonsense(Rates):
    needs = ("astrological_sign",)


@attrs.frozen(eq=False)
class Seasonal(Rates):
    """Sells more in summer."""

    def win_curve(self, pipeline, dates, /):
        summer = 0.5 + 0.1 * (np.datetime64(pipeline.as_of, "D") > np.datetime64("2026-01-01"))
        return super().win_curve(pipeline, dates) * summer


@attrs.frozen
class DeclaredSeasonal(Tiny):
    calendar_aware, fitted = True, Seasonal


@attrs.frozen
class Vocabulary(Tiny):
    """Counts the owners of the schema, also those who are not there yet."""

    def summarize(self, history, /):
        counts = super().summarize(history)
        owners = len(history.schema.column("owner").categories)
        return attrs.evolve(counts, entered=counts.entered + owners)


@attrs.frozen
class Memory(Tiny):
    """Remembers from one fit to the next who was won in the end."""

    winners: ClassVar[set[str]] = set()

    def summarize(self, history, /):
        last = history.snapshot()
        self.winners.update(last.ids[last.outcome == Outcome.WON].tolist())
        counts = super().summarize(history)
        known = np.isin(last.ids, list(self.winners)) & (last.outcome == Outcome.OPEN)
        return attrs.evolve(counts, won=counts.won + np.count_nonzero(known))


@attrs.frozen(eq=False)
class KeysBecomeText(Rates):
    """Keeps its rates in a dict, of whose keys JSON makes texts."""

    rates: Any = attrs.field(
        converter=lambda rates: (
            rates if isinstance(rates, dict) else dict(enumerate(rates.tolist()))
        )
    )

    def share(self, pipeline):
        rates = np.array([self.rates[code] for code in range(len(self.rates))])
        return np.where(pipeline.outcome == Outcome.OPEN, rates[pipeline.stage], 0.0)


@attrs.frozen(eq=False)
class SharedScratch(Rates):
    """Puts its shares where all threads do."""

    scratch: ClassVar[dict[str, Any]] = {}

    def share(self, pipeline):
        self.scratch["share"] = super().share(pipeline)
        time.sleep(0.001)  # another thread takes its turn
        return self.scratch["share"]


@attrs.frozen(eq=False)
class OneByOne(Rates):
    """Goes through the deals that are open."""

    def share(self, pipeline):
        share = np.zeros(len(pipeline))
        for row in np.flatnonzero(pipeline.outcome == Outcome.OPEN):
            share[row] = self.rates[pipeline.stage[row]]
        return share


@attrs.frozen
class CountsOneByOne(Tiny):
    def summarize(self, history, /):
        stays = spells(history)
        states = len(history.funnel.ids)
        won = [code for code, to in zip(stays.stage, stays.target, strict=True) if to == 5]
        entered = np.bincount(stays.stage, minlength=states)
        return Counts(history.observed_until, entered, np.bincount(won, minlength=states))


# --- the table ----------------------------------------------------------------------------------


def fitting(fitted_class):
    """Return `Tiny` with another fitted model."""
    return attrs.frozen(type("Tiny", (Tiny,), {"fitted": fitted_class}))()


WRONG = [
    (checks.check_frozen_spec, NoAttrs(), "NoAttrs is not an attrs class"),
    (checks.check_frozen_spec, Unhashable(), "unhashable type: 'list'"),
    (checks.check_frozen_spec, Learner(), "fitting has changed it"),
    (checks.check_frozen_spec, Nameless(), "it has no name"),
    (checks.check_repr_round_trips, Silent(), "SyntaxError"),
    (checks.check_repr_round_trips, Forgetful(prior=0.25), "which is not equal"),
    (checks.check_pure_summarize, Vandal(), "the history was changed"),
    (checks.check_pure_summarize, Counter(), "summarised once more"),
    (checks.check_merge_identity, Merging(counts=MeanCounts), "with it on the right"),
    (checks.check_merge_commutative, Merging(counts=LopsidedCounts), "the other way round"),
    (checks.check_merge_associative, Merging(counts=MeanCounts), "grouped to the right"),
    (checks.check_merge_pure, Merging(counts=GreedyCounts), "merged a second time"),
    (checks.check_chunk_invariant, PriorInEachChunk(), "in chunks of 1 deals"),
    (checks.check_chunk_invariant, FirstChunkOnly(), "in chunks of 1 deals"),
    (checks.check_frozen_fitted, fitting(Writable), "array 'rates' can be written to"),
    (checks.check_frozen_fitted, fitting(Settable), "attribute 'trained_until' be set"),
    (checks.check_frozen_fitted, OtherClass(), "Writable was returned"),
    (checks.check_frozen_fitted, fitting(NeedsMissing), "it has not all of trained_until, needs"),
    (checks.check_trained_until, Timeless(), "it was -2147483648, where observed_until was 20269"),
    (
        checks.check_curve_shape,
        fitting(Transposed),
        "for 240 deals and 7 dates the shape was (7, 240)",
    ),
    (checks.check_curve_shape, fitting(HalfPrecision), "the dtype was float32"),
    (checks.check_curve_shape, fitting(Listed), "a list was returned"),
    (checks.check_curve_range, fitting(Sure), "chances outside"),
    (checks.check_curve_range, fitting(BelowZero), "-1e-17"),
    (checks.check_curve_monotone, fitting(Density), "lower than the one before"),
    (checks.check_no_nan, fitting(PerAmount), "not finite"),
    (checks.check_closed_rows, fitting(ForAll), "won or removed deals above 0"),
    (checks.check_empty_pipeline, fitting(FirstDeal), "IndexError"),
    (checks.check_rows_independent, fitting(Normalised), "with every third deal"),
    (checks.check_dates_independent, fitting(ByPosition), "with date 1 alone"),
    (checks.check_arrays_untouched, fitting(ShiftsDates), "the dates given became"),
    (
        checks.check_arrays_untouched,
        fitting(Cached),
        "after the caller wrote into the first answer",
    ),
    (checks.check_arrays_untouched, fitting(BlanksDeals), "the pipeline was changed"),
    (checks.check_tiny_history, WithoutPrior(), "with no deal, chances are not finite"),
    (checks.check_tiny_history, Crashes(), "with no deal, ZeroDivisionError was raised"),
    (checks.check_unseen_category, fitting(OwnerCodes), "whose names are known"),
    (checks.check_unseen_category, fitting(KnownOwnersOnly), "KeyError"),
    (checks.check_unseen_stage, EveryStageSeen(), "'Pilot', which no deal has entered"),
    (checks.check_old_deals, fitting(YoungOnly), "IndexError"),
    (checks.check_unknown_state, fitting(PerVisit), "below 0"),
    (checks.check_unknown_state, fitting(NeedsNonsense), "UnknownColumnError"),
    (checks.check_date_shift, fitting(Seasonal), "364 days later"),
    (checks.check_many_days, Hindsight(), "chances differ"),
    (checks.check_no_future, Vocabulary(), "without the later rows and their names"),
    (checks.check_no_future, Memory(), "with the later rows shuffled"),
    (checks.check_saves_and_loads, fitting(KeysBecomeText), "KeyError"),
    (checks.check_pickles, Merging(counts=Unsendable), "local object"),
    (checks.check_thread_safe, fitting(SharedScratch), "by 4 threads"),
    (checks.check_no_row_loop, fitting(OneByOne), "win_curve took"),
    (checks.check_no_row_loop, CountsOneByOne(), "summarize took"),
]


@pytest.fixture(autouse=True)
def register(monkeypatch):
    """Return a function that makes a model known by its name, so that it can be saved."""

    def know(model):
        point = types.SimpleNamespace(
            name=model.name, value="tests:Tiny", dist=None, load=lambda: lambda: model
        )
        monkeypatch.setattr(registry, "_plugins", lambda: {model.name: point})

    return know


def test_the_right_model_passes(register):
    """What the wrong models below change is right."""
    register(Tiny())
    assert len(CHECKS) == len(check_model(Tiny()).passed)


@pytest.mark.parametrize(
    ("check", "model", "seen"),
    [
        pytest.param(*row, id=f"{row[0].__name__}-{type(row[1]).__name__}-{i}")
        for i, row in enumerate(WRONG)
    ],
)
def test_the_check_catches_it(check, model, seen, register):
    """The check that is about the mistake finds it, and says what it saw."""
    if isinstance(model.name, str):
        register(model)
    with pytest.raises(ConformanceError) as caught:
        check(model)
    assert (check.__name__,) == caught.value.checks
    assert str(caught.value).startswith(f"{check.__name__}: ")
    assert seen in str(caught.value)


def test_every_check_has_a_wrong_model():
    """No check is there that nothing was seen to fail."""
    assert {check.__name__ for check in CHECKS} == {row[0].__name__ for row in WRONG}


def test_a_season_may_be_declared():
    """A model that depends on the date itself passes when it says so."""
    checks.check_date_shift(DeclaredSeasonal())


@attrs.frozen(eq=False)
class Honest(Rates):
    """Says that there is nothing to go by, and keeps its answers to itself."""

    def win_curve(self, pipeline, dates, /):
        if (pipeline.stage == pipeline.funnel.code("Pilot")).any():
            raise InsufficientDataError("stage 'Pilot'", needed=1, found=0, remedy="Wait.")
        return read_only(super().win_curve(pipeline, dates))


def test_a_model_may_say_that_it_does_not_know():
    """A stage without history may be refused, and an answer may be read-only."""
    checks.check_unseen_stage(fitting(Honest))
    checks.check_arrays_untouched(fitting(Honest))


def test_only_registered_models_are_saved():
    """A model that no package registers cannot be loaded again, and is not asked to."""
    checks.check_saves_and_loads(fitting(KeysBecomeText))
