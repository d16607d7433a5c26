"""Checks of the answer: a curve of chances for each deal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from funnel.stages import Outcome
from funnel.testing import fixtures
from funnel.testing._support import (
    ask,
    expect,
    expect_none,
    expect_same,
    expect_valid,
    fit_and_ask,
    requires,
)

if TYPE_CHECKING:
    from funnel.models import StageModel


@requires("win_curve must return a float64 array with one row per deal and one column per date")
def check_curve_shape(model: StageModel[Any]) -> None:
    """Demand the shape (n, k), also for one deal and for one date."""
    history = fixtures.history()
    fitted, pipeline = model.fit(history), history.snapshot()
    dates = fixtures.dates(pipeline.as_of)
    for deals, columns in ((len(pipeline), len(dates)), (1, len(dates)), (len(pipeline), 1)):
        curve = fitted.win_curve(pipeline.select(np.arange(deals)), dates[:columns])
        asked = f"for {deals} deals and {columns} dates"
        expect(isinstance(curve, np.ndarray), f"{asked} a {type(curve).__name__} was returned")
        expect(curve.shape == (deals, columns), f"{asked} the shape was {curve.shape}")
        expect(curve.dtype == np.float64, f"{asked} the dtype was {curve.dtype}")


@requires("chances must lie between 0 and 1")
def check_curve_range(model: StageModel[Any]) -> None:
    """Demand chances; rounding errors count, for a variance is made of them."""
    curve, pipeline = fit_and_ask(model), fixtures.history().snapshot()
    expect_none((curve < 0.0) | (curve > 1.0), curve, pipeline, "chances outside")


@requires("the chance to be won on or before a date must not fall from one date to the next")
def check_curve_monotone(model: StageModel[Any]) -> None:
    """Demand curves that never fall: the chance of a period is a difference of two of them."""
    curve, pipeline = fit_and_ask(model), fixtures.history().snapshot()
    falls = np.diff(curve, axis=1, prepend=curve[:, :1]) < 0.0
    expect_none(falls, curve, pipeline, "chances lower than the one before")


@requires("every chance must be a finite number, whatever is unknown about a deal")
def check_no_nan(model: StageModel[Any]) -> None:
    """Demand finite chances for deals without amount, owner, promise or known day of entry."""
    curve, pipeline = fit_and_ask(model), fixtures.history().snapshot()
    expect_none(~np.isfinite(curve), curve, pipeline, "chances that are not finite")


@requires("won and removed deals must have chance 0, lost ones their chance to be reopened and won")
def check_closed_rows(model: StageModel[Any]) -> None:
    """Demand 0 for what is booked or out of the books, and chances for lost deals."""
    curve, pipeline = fit_and_ask(model), fixtures.history().snapshot()
    done = np.isin(pipeline.outcome, (Outcome.WON, Outcome.REMOVED))
    expect_none(done[:, None] & (curve != 0.0), curve, pipeline, "won or removed deals above 0")
    lost = pipeline.outcome == Outcome.LOST
    expect_valid(curve[lost], pipeline.select(lost), "for lost deals")


@requires("a pipeline without deals must give an array without rows")
def check_empty_pipeline(model: StageModel[Any]) -> None:
    """Demand the shape (0, k) where there is no deal."""
    history = fixtures.history()
    nobody = history.snapshot().select(np.empty(0, dtype=np.int64))
    expect_valid(ask(model.fit(history), nobody), nobody, "without deals")


@requires("the curve of a deal must not depend on which other deals are in the pipeline")
def check_rows_independent(model: StageModel[Any]) -> None:
    """Demand the same curve alone, among some, and in another order."""
    history = fixtures.history()
    fitted, pipeline = model.fit(history), history.snapshot()
    whole = ask(fitted, pipeline)
    places = np.arange(len(pipeline))
    parts = {"in reverse order": places[::-1], "with every third deal": places[::3]}
    for row in np.flatnonzero(pipeline.outcome == Outcome.OPEN)[:5].tolist():
        parts[f"with deal {str(pipeline.ids[row])!r} alone"] = places[row : row + 1]
    for situation, rows in parts.items():
        part = pipeline.select(rows)
        expect_same(whole[rows], ask(fitted, part), part, situation)


@requires("the chance on a date must not depend on which other dates are asked for")
def check_dates_independent(model: StageModel[Any]) -> None:
    """Demand the same chances for one date, for some, and for every day."""
    history = fixtures.history()
    fitted, pipeline = model.fit(history), history.snapshot()
    dates = fixtures.dates(pipeline.as_of)
    whole = fitted.win_curve(pipeline, dates)
    parts = {f"with date {column} alone": [column] for column in range(len(dates))}
    parts["with every second date"] = list(range(0, len(dates), 2))
    for situation, columns in parts.items():
        some = fitted.win_curve(pipeline, dates[columns])
        expect_same(whole[:, columns], some, pipeline, situation)
    daily = np.arange(dates[0], dates[4])
    some = fitted.win_curve(pipeline, daily)[:, (dates[:4] - dates[0]).astype(np.int64)]
    expect_same(whole[:, :4], some, pipeline, "with every day")


@requires("win_curve must leave its arguments alone and return an array of its own")
def check_arrays_untouched(model: StageModel[Any]) -> None:
    """Demand that dates and deals stay, and that writing into the answer changes nothing else."""
    history = fixtures.history()
    fitted, pipeline = model.fit(history), history.snapshot()
    given = fixtures.dates(pipeline.as_of)
    dates = given.copy()
    curve = fitted.win_curve(pipeline, dates)
    expect(np.array_equal(given, dates), f"the dates given became {dates.tolist()}")
    expect(pipeline.identical_to(history.snapshot()), "the pipeline was changed")
    expect(not np.shares_memory(curve, dates), "the answer shares memory with the dates")
    if curve.flags.writeable:
        kept = curve.copy()
        curve[...] = 0.5
        expect_same(
            kept,
            fitted.win_curve(pipeline, given),
            pipeline,
            "after the caller wrote into the first answer,",
            exact=True,
        )
