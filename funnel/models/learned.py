"""Machine learning on snapshots of the past: any classifier of scikit-learn, extra ``learn``."""

from __future__ import annotations

import pickle
import warnings
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

import attrs
import numpy as np

from funnel.errors import (
    ExtrapolationWarning,
    InsufficientDataError,
    ReadError,
    ValidationError,
)
from funnel.kernels.arrays import frozen
from funnel.models._classifiers import (
    boosted_trees,
    copied,
    installed,
    meaning,
    one_thread,
    valid,
    with_plain_columns,
)
from funnel.models._snapshots import (
    Feature,
    Snapshots,
    design,
    features_of,
    summarize_snapshots,
)
from funnel.models._validators import whole
from funnel.models.base import FittedModel, StageModel
from funnel.stages import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable

    from funnel.tables import History, Pipeline
    from funnel.typing import BoolArray, DateArray, FloatArray, IntArray

__all__ = ["FittedLearned", "Learned"]

WINDOWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
CELLS = 10_000_000  # numbers held at a time: deals x windows x features
CERTAIN = 1.0 - 1e-12  # the logarithm of the chance that is left stays finite


@attrs.frozen(eq=False)
class FittedLearned:
    """A classifier that has learnt chances by window; see `Learned`.

    Parameters
    ----------
    trained_until : int
        Last day of the history.
    windows : tuple of int
        Days at which the windows end that history was long enough for.
    features : tuple
        Columns and derived state as (origin, name, levels), in the order of the classifier.
    oldest : int
        Most days in a stage that it has seen.
    version : str
        That of scikit-learn.
    classifier : (b,) uint8
        The fitted classifier, pickled.
    """

    trained_until: int
    windows: tuple[int, ...]
    features: tuple[Feature, ...]
    oldest: int
    version: str
    classifier: np.ndarray[Any, np.dtype[np.uint8]] = attrs.field(converter=frozen)

    needs: ClassVar[tuple[str, ...]] = ()

    def win_curve(self, pipeline: Pipeline, dates: DateArray, /) -> FloatArray:
        """Return the chance to be won by each date, given what is known of each deal: (n, k).

        Within a window the daily chance is the same; after the last one nothing is added, with a
        warning. Lost deals get 0: reopening is not modelled.

        Raises
        ------
        MissingDependencyError
            When scikit-learn is not installed.
        ReadError
            When it was fitted with another version of scikit-learn.
        ValidationError
            When a column is of another kind than in the history.
        """
        ahead = dates.astype("datetime64[D]").astype(np.int64) - pipeline.as_of
        found = np.zeros((len(pipeline), len(ahead)))
        is_open = pipeline.outcome == Outcome.OPEN
        if not np.any(is_open) or not len(ahead):
            return found
        edges = np.array((0, *self.windows))
        needed = min(int(np.searchsorted(edges, ahead.max())), len(self.windows))
        chances = self._chances(design(self.features, pipeline.select(is_open)), needed)
        stay = np.cumsum(np.log1p(-np.minimum(chances, CERTAIN)), axis=1)
        stay = np.concatenate((np.zeros((len(stay), 1)), stay), axis=1)
        place = np.clip(np.searchsorted(edges, ahead) - 1, 0, needed - 1)
        share = np.clip((ahead - edges[place]) / (edges[place + 1] - edges[place]), 0.0, 1.0)
        curve = -np.expm1(stay[:, place] * (1.0 - share) + stay[:, place + 1] * share)
        found[is_open] = np.clip(np.maximum.accumulate(curve, axis=1), 0.0, 1.0)
        self._warn(pipeline.days_in_stage[is_open], int(ahead.max()))
        return found

    def _chances(self, values: FloatArray, windows: int) -> FloatArray:
        """(n, f) -> (n, w): chances to be won in each of the first windows, if not before it."""
        version = installed()
        if version.split(".")[:2] != self.version.split(".")[:2]:
            msg = (
                f"the model was fitted with scikit-learn {self.version}, and {version} is "
                "installed, which may read it wrongly. Fit it again, or install that version."
            )
            raise ReadError(msg)
        classifier = pickle.loads(self.classifier.tobytes())  # noqa: S301 - said in `Learned`
        found = np.empty((len(values), windows))
        step = max(CELLS // ((values.shape[1] + 1) * windows), 1)
        with one_thread():
            for begin in range(0, len(values), step):
                part = values[begin : begin + step]
                window = np.tile(np.arange(windows), len(part))
                asked = np.column_stack((np.repeat(part, windows, axis=0), window))
                won = classifier.predict_proba(asked)[:, 1]
                found[begin : begin + step] = won.reshape(len(part), windows)
        return found

    def _warn(self, days_in_stage: IntArray, last: int) -> None:
        """Say how many deals are older than any it has seen, and that dates are too far ahead."""
        older = int(np.count_nonzero(days_in_stage > self.oldest))
        if older:
            message = (
                f"{older:,} open deals are in their stage for longer than any in the snapshots "
                f"({self.oldest} days); they are taken for the oldest ones"
            )
            warnings.warn(message, ExtrapolationWarning, stacklevel=3)
        if last > self.windows[-1]:
            message = (
                f"the history tells what happens within {self.windows[-1]} days; nothing is added "
                f"to the chances of dates that are later, up to {last} days ahead"
            )
            warnings.warn(message, ExtrapolationWarning, stacklevel=3)


def _windows(value: Iterable[int]) -> tuple[int, ...]:
    """Turn any sequence into a tuple."""
    return tuple(value)


def _rising(instance: object, attribute: attrs.Attribute[Any], value: tuple[object, ...]) -> None:
    """Demand days that rise."""
    del instance
    days = [day for day in value if isinstance(day, int) and not isinstance(day, bool)]
    if not days or len(days) < len(value) or any(a >= b for a, b in pairwise((0, *days))):
        rule = "must be whole numbers of days >= 1 that rise"
        raise ValidationError.from_value(attribute.name, rule, value, "Write (7, 30, 90).")


def _seed(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """Demand a whole number >= 0."""
    del instance
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValidationError.from_value(attribute.name, "must be a whole number >= 0", value, "")


@attrs.frozen
class Learned(StageModel[Snapshots]):
    """A classifier trained on what deals looked like in the past: gradient boosting by default.

    Every `every` days of the past, back from the last one, the open deals are taken as
    ``history.snapshot`` showed them on that day, with features x: stage, the stage before, the
    furthest stage, visits, days in stage, age, pushes, reopenings, amount, days until the expected
    close, and all other columns that are not ``final``. Time from then on is cut into windows that
    end after b1 < b2 < ... days. The classifier learns, for all windows together and with the
    window's number j as one more feature, and where the whole window has been observed::

        h_j(x) = P(won in window j | not won before it, x as it was on the day of the snapshot)
        P(won within b_j days | x) = 1 - (1 - h_1(x)) (1 - h_2(x)) ... (1 - h_j(x))

    so that curves cannot fall. A deal that was lost stays in the windows that follow, and counts
    as won when it is opened again and won: no second model of losing is needed. Nothing
    that was learnt after a snapshot is among its features, and the last days count for the short
    windows without being wrong for the long ones.

    Parameters
    ----------
    classifier : scikit-learn classifier, optional
        Anything with `predict_proba`, such as ``LogisticRegression()`` or a pipeline; it is copied,
        and models are equal where class and parameters are. Its numbers come scaled, with medians
        for unknown ones and a flag, and a column for each category. None boosts trees of 8 leaves
        (100 of them, learning rate 0.1, 100 lines a leaf), which take unknown values as they are,
        and categories in the order of the shares that were won.
    windows : sequence of int
        Days after which windows end; those longer than the history are left out.
    every : int
        Days between snapshots. With whole weeks all of them fall on the weekday of the last day.
    sample : int
        Lines (a deal on a day) that are learnt from at most: a random sample of all, by a hash of
        deal and day, the same one however the history is split.
    random_state : int
        Seed of whatever the classifier does at random, where it has none of its own.
    minimum : int
        Deals needed that were won after a snapshot; below it nothing is estimated.

    Notes
    -----
    It assumes that deals of tomorrow fare as those did that looked like them, and that columns
    held then what they hold now: a column that is filled in late, or edited because the deal was
    lost, is taken to be what it was. Snapshots of one deal resemble each other, so small trees and
    large leaves are the default. It fails with few deals, beyond what was seen (trees go on as they
    were at the edge; an `ExtrapolationWarning` says so), where the market has turned, and for dates
    after the last window that the history is long enough for. Categories that history has not seen
    are unknown ones, and so are all but the 200 most frequent of a column. Weekdays and seasons are
    not looked at. Fitting and asking use one thread; give an executor for more.

    The fitted classifier is kept pickled, as an array of bytes. **Asking a saved model for chances
    unpickles what is in the file, which can run any code: load only files that you trust.** The
    minor version of scikit-learn must be the one that it was fitted with.

    References
    ----------
    .. [1] J. H. Friedman, "Greedy function approximation: a gradient boosting machine", Annals of
       Statistics 29, 2001, https://doi.org/10.1214/aos/1013203451.
    .. [2] H. C. van Houwelingen, "Dynamic prediction by landmarking in event history analysis",
       Scandinavian Journal of Statistics 34, 2007,
       https://doi.org/10.1111/j.1467-9469.2006.00529.x.
    .. [3] P. D. Allison, "Discrete-time methods for the analysis of event histories", Sociological
       Methodology 13, 1982, https://doi.org/10.2307/270718.

    Examples
    --------
    Of the small deals, 9 of 10 are won; of the large ones, 1 of 10, both within three weeks:

    >>> import numpy as np
    >>> import funnel as fn
    >>> deals, day = np.arange(400), np.datetime64("2026-01-01")
    >>> small, born = deals < 200, day + deals % 200
    >>> won = np.where(small, deals % 10 < 9, deals % 10 < 1)
    >>> history = fn.History.from_columns(
    ...     funnel=fn.Funnel(["Qualify"]), id=np.tile(deals, 2),
    ...     at=np.concatenate((born, born + 20)), amount=np.tile(np.where(small, 1.0, 9.0), 2),
    ...     stage=["Qualify"] * 400 + np.where(won, "Won", "Lost").tolist(),
    ... )
    >>> pipeline = fn.Pipeline.from_columns(
    ...     funnel=history.funnel, as_of="2026-08-07", id=["small", "large"], amount=[1.0, 9.0],
    ...     stage=["Qualify"] * 2, stage_entered=["2026-08-06"] * 2, created=["2026-08-06"] * 2,
    ... )
    >>> later = np.array(["2026-09-08"], dtype="datetime64[D]")
    >>> Learned().fit(history).win_curve(pipeline, later).round(1).tolist()
    [[0.9], [0.1]]
    """

    classifier: Any = attrs.field(
        default=None, kw_only=True, converter=copied, validator=valid, eq=meaning
    )
    windows: tuple[int, ...] = attrs.field(
        default=WINDOWS, kw_only=True, converter=_windows, validator=_rising
    )
    every: int = attrs.field(default=7, kw_only=True, validator=whole)
    sample: int = attrs.field(default=50_000, kw_only=True, validator=whole)
    random_state: int = attrs.field(default=0, kw_only=True, validator=_seed)
    minimum: int = attrs.field(default=20, kw_only=True, validator=whole)

    name: ClassVar[str] = "learned"
    fitted: ClassVar[type[FittedModel]] = FittedLearned

    def summarize(self, history: History, /) -> Snapshots:
        """Take snapshots of a chunk of history, and see when their deals were won.

        Raises
        ------
        MissingDependencyError
            When scikit-learn is not installed: said before the work, not after it.
        """
        installed()
        return summarize_snapshots(history, every=self.every, limit=self.sample)

    def estimate(self, summary: Snapshots, /) -> FittedLearned:
        """Train the classifier on all windows that were observed to their end.

        Raises
        ------
        InsufficientDataError
            With fewer than `minimum` deals that were won after a snapshot.
        MissingDependencyError
            When scikit-learn is not installed.
        """
        if summary.won < self.minimum:
            what = "a learned model needs deals that were won after a snapshot showed them open"
            remedy = "Give more history, lower minimum= or every=, or use 'semi-markov'."
            raise InsufficientDataError(what, needed=self.minimum, found=summary.won, remedy=remedy)
        version = installed()
        features, values = features_of(summary)
        line, window, won = _at_risk(summary.days, self.windows)
        if won.all() or not won.any():
            what = "a learned model needs windows with and without a win that were seen to the end"
            remedy = "Give more history, or windows= that fit into it."
            raise InsufficientDataError(what, needed=2, found=len(np.unique(won)), remedy=remedy)
        classifier = self._unfitted([bool(levels) for _, _, levels in features])
        with one_thread():
            classifier.fit(np.column_stack((values[line], window)), won)
        age = summary.numbers[:, 0]
        return FittedLearned(
            trained_until=summary.trained_until,
            windows=self.windows[: int(window.max()) + 1],
            features=features,
            oldest=int(np.max(age, initial=0.0, where=np.isfinite(age))),
            version=version,
            classifier=np.frombuffer(pickle.dumps(classifier), dtype=np.uint8),
        )

    def _unfitted(self, categories: list[bool]) -> Any:  # noqa: ANN401 - an estimator
        """Return the classifier for columns of which some hold categories; windows come last."""
        if self.classifier is None:
            return boosted_trees(self.random_state)
        return with_plain_columns(self.classifier, [*categories, True], self.random_state)


def _at_risk(days: IntArray, windows: tuple[int, ...]) -> tuple[IntArray, IntArray, BoolArray]:
    """(n, 2) -> (m,), (m,), (m,): line, window, and whether the deal was won in it.

    A line is in every window that was seen to its end, up to the one in which its deal was won.
    """
    until, seen = days.T
    lines, numbers, wins = [], [], []
    for number, (begin, end) in enumerate(pairwise((0, *windows))):
        line = np.flatnonzero((seen >= end) & (until > begin))
        lines.append(line)
        numbers.append(np.full(len(line), number))
        wins.append(until[line] <= end)
    return np.concatenate(lines), np.concatenate(numbers), np.concatenate(wins)
