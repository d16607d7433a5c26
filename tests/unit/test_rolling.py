"""What is counted once for many days equals what is counted anew on each of them, bit for bit."""

import attrs
import numpy as np
import pytest

import funnel as fn
from funnel.errors import LeakError
from funnel.forecasting import Arrivals, DealForecaster, summarize_closing
from funnel.forecasting.amounts import closing_until
from funnel.kernels import keys
from funnel.models import StageModel
from funnel.models._sojourn_counts import sojourns_until, summarize_sojourns
from funnel.models._spells import spells_until, summarize_spells
from funnel.models.base import fits_together
from funnel.summary import merge_all, summarize_until
from funnel.tables import Pipeline
from funnel.tables._past import fingerprints
from funnel.testing import fixtures


def same(one, two):
    """Tell whether two values, or all fields of two objects, are the same, bit for bit."""
    if isinstance(one, np.ndarray):
        return one.dtype == two.dtype and one.shape == two.shape and one.tobytes() == two.tobytes()
    if isinstance(one, Pipeline):
        return one.identical_to(two)
    if attrs.has(type(one)):
        names = [field.name for field in attrs.fields(type(one))]
        return all(same(getattr(one, name), getattr(two, name)) for name in names)
    return one == two


WORLDS = {
    "simulated": fn.datasets.simulate(250, rng=7).history,
    "fixture": fixtures.history(),  # with holds, late entries and unknown days of entry
}


def days_of(history):
    """The first and last days, days on which deals enter late, and others."""
    first, last = history.observed_from, history.observed_until
    pieces = history.pieces
    odd = np.unique(pieces.start[(pieces.age != 0) | pieces.resumed])[:40:8]
    some = np.arange(first, last, (last - first) // 9)
    return np.unique([first, first + 1, *odd, *(odd + 1), *some, last - 1, last]).tolist()


@pytest.fixture(params=sorted(WORLDS))
def history(request):
    """A history with everything that may happen."""
    return WORLDS[request.param]


@pytest.mark.parametrize("segments", [(), ("region",)])
def test_sojourns_of_many_days(history, segments):
    """Exposure, moves, resumed and undated stays, by segment too."""
    names = tuple(name for name in segments if name in history.schema.names)
    days = days_of(history)
    found = list(sojourns_until(history, days, segments=names))
    assert len(days) == len(found)
    for day, one in zip(days, found, strict=True):
        known = history.until(np.datetime64(day, "D"))
        assert same(summarize_sojourns(known, segments=names), one), day


@pytest.mark.parametrize("sample", [1_000, 60])
def test_spells_of_many_days(history, sample):
    """Spells of the deals that are drawn; chunks draw the same ones."""
    days = days_of(history)
    for day, one in zip(days, spells_until(history, days, sample=sample), strict=True):
        known = history.until(np.datetime64(day, "D"))
        assert same(summarize_spells(known, sample=sample).ordered(), one.ordered()), day
        assert len(one.drawn) == min(sample, known.n_deals)
    parts = [summarize_spells(chunk, sample=sample) for chunk in history.chunks(45)]
    merged = merge_all(parts).ordered()
    whole = summarize_spells(history, sample=sample).ordered()
    for name in ("rows", "numbers", "codes", "drawn"):
        assert same(getattr(whole, name), getattr(merged, name)), name
    assert same(np.sort(whole.key), np.sort(merged.key))


def test_arrivals_and_closings_of_many_days(history):
    """Counts by delay, samples, and the changes of amounts."""
    days = days_of(history)
    arrivals = Arrivals(prototypes=20, recent_days=30)
    counted = zip(
        days, arrivals.summaries(history, days), closing_until(history, days), strict=True
    )
    for day, coming, closing in counted:
        known = history.until(np.datetime64(day, "D"))
        assert same(arrivals.summarize(known), coming), day
        assert same(summarize_closing(known), closing), day


def test_what_is_derived_is_handed_on(history):
    """Pieces and pushes of a cut or chosen history are those of one that is built anew."""
    assert len(history.pieces.deal)
    assert len(history.pushes) == len(history)
    odd = np.arange(history.n_deals) % 3 == 1
    for day in days_of(history)[:-1]:
        date = np.datetime64(day, "D")
        for found in (history.until(date), history.select(odd), history.select(odd).until(date)):
            fresh = attrs.evolve(found)
            assert {"pieces", "pushes"} <= found.__dict__.keys() - fresh.__dict__.keys()
            assert all(map(same, fresh.pieces, found.pieces)), day
            assert same(fresh.pushes, found.pushes)


def test_the_same_day_is_cut_once(history):
    """Several who ask for a day share the answer, as long as one of them has it."""
    day = np.datetime64(history.observed_until - 100, "D")
    first = history.until(day)
    assert first is history.until(day)
    assert first is not history.until(day + 1)
    assert first.identical_to(history.until(day))


def test_snapshots_of_many_days(history):
    """Those of single days; of one outcome, the deals that have it."""
    days = np.array(days_of(history)).astype("datetime64[D]")[::-1]
    for day, one in zip(days, history.snapshots(days), strict=True):
        assert one.identical_to(history.snapshot(day))
    lost = fn.Outcome.LOST
    for day, one in zip(days, history.snapshots(days, outcome=lost), strict=True):
        whole = history.snapshot(day)
        assert one.identical_to(whole.select(whole.outcome == lost))
    with pytest.raises(LeakError):
        next(history.snapshots([days[0], days[0] + 1]))


def test_models_that_count_alike_share_the_counts(history):
    """One pass for all semi-Markov models, and none where a model takes passes of its own."""
    passes = []

    @attrs.frozen
    class Own(type(fn.models.get("semi-markov"))):
        """Counts its passes."""

        def summaries(self, history, days, /):
            """Remember."""
            passes.append(self.half_life)
            return super().summaries(history, days)

    @attrs.frozen
    class Twice(Own):
        """Fits in its own way."""

        def fit(self, source, /, *, executor=None):
            """As it was."""
            return StageModel.fit(self, source, executor=executor)

    days = days_of(history)[-3:]
    models = (Own(), Own(half_life=90.0), Twice(half_life=30.0))
    for day, fits in zip(days, fits_together(models, history, days), strict=True):
        known = history.until(np.datetime64(day, "D"))
        for model, fit in zip(models, fits, strict=True):
            assert same(model.fit(known), fit())
    assert [None] == passes


def test_forecasters_of_many_days(history):
    """Chunks or not, the forecast is that of a fit on what was known."""
    day = history.observed_until - 60
    quarter = fn.Horizon.custom(np.array([day + 1, day + 91], dtype=np.int32))
    known = history.until(np.datetime64(day, "D"))
    for arrivals in (Arrivals(), None):
        forecaster = DealForecaster("semi-markov", arrivals=arrivals)
        expected = forecaster.fit(known).forecast(known.snapshot(), quarter)
        for source in (history, list(history.chunks(70))):
            earlier, fit = forecaster.fits(source, [day - 30, day])
            found = fit().forecast(known.snapshot(), quarter)
            assert day - 30 == earlier().trained_until
            assert found.expected.tolist() == pytest.approx(expected.expected.tolist(), rel=1e-9)
            assert found.notes == expected.notes


def test_nothing_is_counted_for_no_days(history):
    """No days, no summaries."""
    assert not list(summarize_until(history, sojourns_until, ()))


def test_fingerprints_tell_pasts_apart(history):
    """The same for the same past, whatever the chunks; another after any change before the day."""
    whole, cut = fingerprints(history), history.observed_until - 90
    known = history.until(np.datetime64(cut, "D"))
    assert same(whole[: len(fingerprints(known))], fingerprints(known))
    assert same(whole, sum(fingerprints(chunk) for chunk in history.chunks(60)))
    for name in ("at", "amount", "stage"):
        rows = dict(history.columns) | {"at": history.at, "stage": history.stage}
        column = rows[name].copy()
        row = np.flatnonzero(
            (history.at < cut - 10) & (np.nan_to_num(history.columns["amount"]) > 1)
        )[0]
        column[row] += 1
        fields = {name: column}
        if name == "amount":
            fields = {"columns": dict(history.columns) | fields}
        other = fingerprints(attrs.evolve(history, **fields))
        first = int(history.at[row] - history.observed_from)
        assert same(whole[:first], other[:first])
        assert not np.any(whole[first + 1 :] == other[first + 1 :])


def test_keys_of_rows_look_random():
    """Numbers in a row: bits are set half of the time; the order of the columns matters."""
    column = np.arange(20_000, dtype=np.int32)
    found = keys.of_rows((column, column[::-1]))
    assert len(column) == len(np.unique(found))
    assert not np.any(found == keys.of_rows((column[::-1], column)))
    bits = np.unpackbits(found.view(np.uint8)).reshape(len(found), -1).mean(axis=0)
    assert np.abs(bits - 0.5).max() < 5 * 0.5 / np.sqrt(len(found))


def test_sums_of_keys_do_not_round():
    """Against sums of Python's integers."""
    found = keys.of_rows((np.arange(100),))
    day = np.arange(100) % 3
    expected = [sum(found[day <= last].tolist()) % 2**64 for last in range(4)]
    assert expected == keys.sums_by_day(found, day, 4).tolist()
