"""Stage models on random histories: chances, chunks and no future."""

from __future__ import annotations

import warnings

import hypothesis
import hypothesis.strategies as st
import numpy as np

from funnel.errors import ExtrapolationWarning, InsufficientDataError
from funnel.models import registry
from funnel.models.semi_markov import SemiMarkov
from funnel.models.textbook import Textbook
from funnel.models.win_rate import WinRate
from funnel.stages import Outcome
from funnel.tables import History
from funnel.testing import fixtures, strategies
from funnel.testing._variations import columns_of

LADDER = fixtures.ladder()
AHEAD = np.array([1, 30, 120])
MODELS = (Textbook(), WinRate(minimum=1), SemiMarkov(minimum=1), registry.get("acme.stage-age"))
HISTORIES = strategies.histories(funnel=LADDER, min_deals=1, max_deals=12)


def fitted_to(source):
    """Fit every model, and yield those that find enough to learn from."""
    for model in MODELS:
        hypothesis.note(f"{model!r}")
        try:
            yield model, model.fit(source)
        except InsufficientDataError:
            continue


def curve_of(fitted, pipeline):
    """Ask for curves; that deals are older than all in history is no wonder here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExtrapolationWarning)
        return fitted.win_curve(pipeline, np.datetime64(pipeline.as_of, "D") + AHEAD)


@hypothesis.given(history=HISTORIES, pipeline=strategies.pipelines(funnel=LADDER))
def test_curves_are_chances_that_never_fall(history, pipeline):
    """Whatever was learnt: in [0, 1], never falling, and 0 for what is booked or removed."""
    done = np.isin(pipeline.outcome, (Outcome.WON, Outcome.REMOVED))
    for _, fitted in fitted_to(history):
        curve = curve_of(fitted, pipeline)
        assert (len(pipeline), len(AHEAD)) == curve.shape
        assert ((curve >= 0.0) & (curve <= 1.0)).all()
        assert (np.diff(curve, axis=1) >= 0.0).all()
        assert (curve[done] == 0.0).all()


@hypothesis.given(history=HISTORIES, size=st.integers(1, 12))
def test_chunks_give_the_same_model(history, size):
    """Counts merge exactly: any chunks of whole deals give the same curves, bit for bit."""
    chunks, pipeline = list(history.chunks(size)), history.snapshot()
    for model, fitted in fitted_to(history):
        pieced = model.fit(chunks)
        np.testing.assert_array_equal(curve_of(fitted, pipeline), curve_of(pieced, pipeline))


@hypothesis.given(history=HISTORIES, data=st.data())
def test_what_comes_later_changes_nothing(history, data):
    """A model of ``until(day)`` is that of a log that ends on the day."""
    date = np.datetime64(data.draw(st.integers(history.observed_from, history.observed_until)), "D")
    past = history.at <= date.astype(int)
    columns = {name: values[past] for name, values in columns_of(history).items()}
    first = np.datetime64(history.observed_from, "D")
    short = History.from_columns(funnel=LADDER, observed_from=first, observed_until=date, **columns)
    for model, fitted in fitted_to(short):
        expected = curve_of(fitted, short.snapshot())
        actual = curve_of(model.fit(history.until(date)), history.snapshot(date))
        np.testing.assert_array_equal(expected, actual)
