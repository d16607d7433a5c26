"""Forecasts by cell: the same as deal by deal, added up once, in small pieces."""

import pickle
import tracemalloc

import attrs
import numpy as np
import pytest

import funnel as fn
from funnel.errors import SchemaMismatchError, ValidationError
from funnel.forecasting import _by_group, _cells, _many
from funnel.forecasting._books import CellBook
from funnel.forecasting._states import States
from funnel.kernels import compound, threads
from funnel.kernels.cells import (
    CHUNK,
    COUNT,
    UNKNOWN,
    gather,
    places,
    power_sums,
    used,
    weighted_sums,
)
from funnel.models._cells import curves, days_since
from funnel.tables import codes, sums
from funnel.typing import NO_DAY

HORIZON = fn.Horizon.months("2026-05-01", 9)
HISTORY = fn.datasets.simulate(900, rng=4).history.until("2026-06-15")
MODELS = pytest.mark.parametrize("model", ["textbook", "win-rate", "stage-duration", "semi-markov"])


def sums_one_by_one(cell, amount, orders, size):
    """What `power_sums` stands for, by numpy's own power."""
    found = np.zeros((len(orders), size))
    for row, order in enumerate(orders):
        known = {COUNT: np.ones(len(cell)), UNKNOWN: np.isnan(amount)}
        weight = known[order] if order in known else np.nan_to_num(amount) ** order
        np.add.at(found[row], cell[cell >= 0], weight[cell >= 0])
    return found


def random_cells(n, rng):
    """Cells of rows, some in none, and amounts, some unknown."""
    cell, amount = rng.integers(-1, 5000, n).astype(np.int32), rng.lognormal(9.0, 1.0, n)
    amount[rng.random(n) < 0.01] = np.nan
    return cell, amount


@pytest.mark.parametrize("least", [1, threads.LEAST], ids=["halves", "whole"])
def test_sums_are_those_of_all_rows(least, monkeypatch):
    """Several chunks, cells that are seen late, rows in no cell, unknown amounts."""
    monkeypatch.setattr(threads, "LEAST", least)
    cell, amount = random_cells(200_000, np.random.default_rng(1))
    cell[:70_000] = np.minimum(cell[:70_000], 9)
    orders = (COUNT, UNKNOWN, 1, 2, 3, 4)
    found = power_sums(lambda rows: cell[rows], amount, orders)
    expected = sums_one_by_one(cell, amount, orders, found.shape[1])
    assert np.array_equal(expected[:2], found[:2])
    np.testing.assert_allclose(expected, found, rtol=1e-12)


@pytest.mark.parametrize("least", [1, threads.LEAST], ids=["halves", "whole"])
def test_weighted_sums_are_those_of_all_rows(least, monkeypatch):
    """Several chunks; as a product of matrices has them."""
    monkeypatch.setattr(threads, "LEAST", least)
    rng = np.random.default_rng(8)
    rows = 2 * CHUNK + 5
    place, group = rng.integers(0, 9, rows), rng.integers(0, 4, rows)
    amount, table = rng.random(rows), rng.random((9, 3))
    found = weighted_sums(lambda some: (place[some], group[some], amount[some]), table, rows, 4)
    money = amount[:, None] * table[place]
    expected = [money[group == number].sum(axis=0) for number in range(4)]
    np.testing.assert_allclose(found, expected)


def test_sums_of_cells_that_are_far_apart_are_those_of_all_rows():
    """More cells than rows in a chunk."""
    rng = np.random.default_rng(3)
    cell, amount = random_cells(70_000, rng)
    cell = np.where(cell < 0, cell, rng.integers(0, 900_000, len(cell)))
    orders = (COUNT, UNKNOWN, 1, 3)
    found = power_sums(lambda rows: cell[rows], amount, orders)
    expected = sums_one_by_one(cell, amount, orders, found.shape[1])
    assert np.array_equal(expected[:2], found[:2])
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_no_rows_have_no_cells():
    """Nothing is added up, nothing is found."""
    none = np.empty(0)
    assert (2, 0) == power_sums(lambda rows: none[rows].astype(int), none, (COUNT, 1)).shape
    found, place = places(lambda rows: none[rows].astype(int), 0)
    assert (0, 0) == (len(found), len(place))


@pytest.mark.parametrize("far", [[], [1 << 23]], ids=["by table", "by sorting"])
def test_rows_have_places_among_the_cells_that_there_are(far):
    """Several chunks, cells that are seen late; the same as `np.unique` of all rows at once."""
    cell, _ = random_cells(200_000, np.random.default_rng(1))
    cell[:70_000] = np.minimum(cell[:70_000], 9)
    cell = np.append(cell, far).astype(np.int64)
    found, place = places(lambda rows: cell[rows], len(cell))
    expected, among = np.unique(cell[cell >= 0], return_inverse=True)
    assert np.array_equal(expected, found)
    assert np.array_equal(among, place[cell >= 0])
    assert (place[cell < 0] == len(found)).all()
    assert np.uint16 == place.dtype
    table = np.random.default_rng(2).random((len(found) + 1, 3))
    assert np.array_equal(table[place], gather(table, place))


def test_rows_in_no_cell_have_the_place_after_the_last():
    """There is no cell, so that it is the first one."""
    found, place = places(lambda rows: np.full(3, -1)[rows], 3)
    assert ([], [0, 0, 0]) == (found.tolist(), place.tolist())


@pytest.mark.usefixtures("two_threads")
def test_threads_change_nothing():
    """Not the last bit of what is found, added up or gathered."""
    cell, amount = random_cells(150_000, np.random.default_rng(2))
    table = np.random.default_rng(2).random((5000, 2))

    def factors(rows):
        return np.maximum(cell[rows], 0), cell[rows] % 7, np.nan_to_num(amount[rows])

    asked = []
    for number in (1, 2, 3):
        fn.set_threads(number)
        found, place = places(lambda rows: cell[rows], len(cell))
        sums = power_sums(lambda rows: cell[rows], amount, (COUNT, UNKNOWN, 1, 4))
        weighted = weighted_sums(factors, table, len(cell), 7)
        asked.append((found, place, sums, weighted, gather(table[: len(found) + 1], place)))
    for more in asked[1:]:
        assert all(map(np.array_equal, asked[0], more))


@pytest.mark.parametrize("late", [[-1], [7], [-1, 7, 12], [12], []])
def test_cells_that_come_late_are_found(late):
    """Chunks in which there is nothing new are left out; the last chunk has one more."""
    cell = np.tile(np.delete(np.arange(10), 7), 2 * CHUNK // 9 + 1)
    cell = np.append(cell, late).astype(np.int32)
    found = used(lambda rows: cell[rows], len(cell))
    assert np.array_equal(np.unique(cell[cell >= 0]), found)
    assert np.array_equal(np.unique(cell), used(lambda rows: cell[rows], len(cell), lowest=-1))


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_the_highest_number_of_a_narrow_kind_is_a_cell(kind):
    """One more would not fit into it."""
    cell = np.full(2 * CHUNK, np.iinfo(kind).max, dtype=kind)
    cell[0] = 0
    assert [0, np.iinfo(kind).max] == used(lambda rows: cell[rows], len(cell)).tolist()
    counted = power_sums(lambda rows: cell[rows], np.ones(len(cell)), (COUNT,))[0]
    assert (1.0, len(cell) - 1.0) == (counted[0], counted[-1])


def test_the_only_cell_that_was_missing_is_found():
    """It is the lowest of a chunk in which all others were seen before."""
    cell = np.append(np.tile(np.delete(np.arange(10), 7), CHUNK)[:CHUNK], [7, 8, 9])
    assert list(range(10)) == used(lambda rows: cell[rows], len(cell)).tolist()


@pytest.mark.usefixtures("two_threads")
def test_ranges_cover_all_rows_in_order():
    """The caller has the first range, workers the others; sums are made of two halves."""
    fn.set_threads(3)
    assert [(0, 3), (3, 6), (6, 10)] == threads.shared(lambda *ends: ends, 10)
    for number in (1, 2, 3):
        fn.set_threads(number)
        assert [(0, 5), (5, 11)] == threads.halves(lambda *ends: ends, 11)
    assert [(0, 1)] == threads.halves(lambda *ends: ends, 1)


@pytest.mark.usefixtures("two_threads")
def test_what_a_worker_raises_is_raised():
    """It is not lost with its thread."""

    def broken(begin, end):
        if begin:
            msg = f"{begin} to {end}"
            raise ValueError(msg)

    with pytest.raises(ValueError, match="5 to 10"):
        threads.shared(broken, 10)


def test_the_environment_says_how_many_threads_there_are():
    """At least one; what is no number is refused, and silence means two where there are two."""
    assert [4, 1, 2, 1] == [
        threads.first_number(*o) for o in (("4", 2), ("0", 2), ("", 8), ("", 1))
    ]
    with pytest.raises(ValueError, match="FUNNEL_THREADS must be a whole number"):
        threads.first_number("two", 2)


@pytest.mark.parametrize("number", [0, True, 1.5])
def test_a_wrong_number_of_threads_is_refused(number):
    """A whole number above 0."""
    with pytest.raises(ValidationError, match="whole number"):
        fn.set_threads(number)


@MODELS
@pytest.mark.parametrize("by", [(), ("owner",)])
def test_a_forecast_by_cell_is_that_of_its_deals(model, by):
    """Money, deals and spread of the whole, of parts, groups and periods, from cells and from rows.

    The rows come from `win_curve` of each deal, so that this is another way to the same numbers.
    """
    pipeline = HISTORY.snapshot()
    outlook = fn.DealForecaster(model).fit(HISTORY).forecast(pipeline, HORIZON, by=by)
    assert isinstance(outlook.book, CellBook)
    rows = attrs.evolve(outlook, deals=outlook.deals)
    pairs = [(outlook, rows), (outlook.total(), rows.total())]
    pairs += zip(outlook.parts.values(), rows.parts.values(), strict=True)
    pairs += [(outlook.group(key).total(), rows.group(key).total()) for key in outlook.keys]
    pairs += [(mine.between("2026-06", "2026-08") for mine in (outlook, rows))]
    for mine, theirs in pairs:
        np.testing.assert_allclose(mine.expected, theirs.expected, rtol=1e-10, atol=1e-7)
        np.testing.assert_allclose(mine.sd, theirs.sd, rtol=1e-9, atol=1e-5)
        np.testing.assert_allclose(mine.expected_wins, theirs.expected_wins, rtol=1e-10, atol=1e-10)
        assert len(theirs.deals) == len(mine.book)
        assert repr(theirs) == repr(mine)


@MODELS
def test_many_groups_are_told_apart_by_rows(model, monkeypatch):
    """Where cells times groups are too many, a group is made of its own deals."""
    fitted, pipeline = fn.DealForecaster(model).fit(HISTORY), HISTORY.snapshot()
    expected = fitted.forecast(pipeline, HORIZON, by="owner")
    monkeypatch.setattr(_cells, "MOST", 1)
    outlook = fitted.forecast(pipeline, HORIZON, by="owner")
    np.testing.assert_allclose(expected.expected, outlook.expected)
    for key in outlook.keys:
        one, other = expected.group(key), outlook.group(key)
        np.testing.assert_allclose(one.expected, other.expected, rtol=1e-10, atol=1e-7)
        assert set(one.deals.ids.tolist()) == set(other.deals.ids.tolist())
        assert other.group(key).deals.ids.tolist() == other.deals.ids.tolist()


@pytest.mark.parametrize("most", [1, 1 << 18])
@pytest.mark.parametrize("arrivals", [fn.Arrivals(), None], ids=["new", "existing"])
def test_expected_money_by_group_is_that_of_each_group(most, arrivals, monkeypatch):
    """Of the whole, a part and some periods, with unknown amounts; in groups of two columns.

    Where groups are told apart by cell, and where each deal is multiplied by its chances.
    """
    monkeypatch.setattr(_cells, "MOST", most)
    pipeline = HISTORY.snapshot()
    amount = np.where(np.arange(len(pipeline)) % 7 == 0, np.nan, pipeline.amount)
    some = attrs.evolve(pipeline, columns={**pipeline.columns, "amount": amount})
    fitted = fn.DealForecaster("win-rate", arrivals=arrivals).fit(HISTORY)
    outlook = fitted.forecast(some, HORIZON, by=("owner", "region"))
    few = outlook.between("2026-06", "2026-08"), outlook.group(outlook.keys[0])
    for one in (outlook, outlook.parts["open"], *few):
        found = one.expected_by_group
        for number, key in enumerate(one.keys[:6]):
            expected = one.group(key).expected
            np.testing.assert_allclose(found[number], expected, rtol=1e-10, atol=1e-7)
        np.testing.assert_allclose(found.sum(axis=0), one.expected, rtol=1e-10, atol=1e-7)


@pytest.mark.parametrize("unknown", [1, 7], ids=["none", "some"])
def test_cells_of_the_same_chances_are_one_class(unknown, monkeypatch):
    """Days of a month, of all deals, by owner: money as of rows; a what-if needs no further pass.

    Some 3,000 cells times 8 owners are too many to be told apart, 70 classes of them are not.
    """
    monkeypatch.setattr(_cells, "MOST", 2_000)
    pipeline = HISTORY.snapshot()
    amount = np.where(np.arange(len(pipeline)) % unknown == 1, np.nan, pipeline.amount)
    pipeline = attrs.evolve(pipeline, columns={**pipeline.columns, "amount": amount})
    model = fn.DealForecaster("textbook").without_history()
    outlook = model.forecast(pipeline, HORIZON, by="owner")
    assert outlook.book.source.apart
    found = outlook.expected_by_group
    rows = attrs.evolve(outlook, deals=outlook.deals)
    np.testing.assert_allclose(found, rows.expected_by_group, rtol=1e-10)
    booked = outlook.parts["booked"].expected_by_group
    monkeypatch.setattr(sums, "power_sums", lambda *_: pytest.fail("a further pass"))
    monkeypatch.setattr(_by_group, "weighted_sums", lambda *_: pytest.fail("deal by deal"))
    halves = {stage.id: stage.win_probability / 2.0 for stage in pipeline.funnel.stages}
    other = pipeline.with_funnel(pipeline.funnel.with_probabilities(halves))
    half = model.forecast(other, HORIZON, by="owner").expected_by_group
    np.testing.assert_allclose(half, 0.5 * (found + booked))


@pytest.mark.parametrize("most", [1, 1 << 18], ids=["by deal", "by class"])
def test_no_worth_is_needed_of_deals_that_are_not_booked(most, monkeypatch):
    """Lost deals without an amount, and no won ones that say what it would be: money as before."""
    pipeline = HISTORY.snapshot()
    pipeline = pipeline.select(pipeline.outcome != fn.Outcome.WON)
    amount = np.where(pipeline.outcome == fn.Outcome.LOST, np.nan, pipeline.amount)
    some = attrs.evolve(pipeline, columns={**pipeline.columns, "amount": amount})
    model = fn.DealForecaster("textbook").without_history()
    expected = model.forecast(pipeline, HORIZON, by="owner").expected_by_group
    monkeypatch.setattr(_cells, "MOST", most)
    found = model.forecast(some, HORIZON, by="owner").expected_by_group
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-7)


def copies(pipeline, times, rng):
    """Return open deals many times over, at other amounts, of which some are unknown."""
    is_open = pipeline.outcome == fn.Outcome.OPEN
    rows = np.append(np.tile(np.flatnonzero(is_open), times), np.flatnonzero(~is_open))
    many = pipeline.select(rows)
    amount = many.amount * rng.lognormal(0.0, 1.0, len(many))
    amount[rng.random(len(many)) < 0.002] = np.nan
    return attrs.evolve(many, columns={**many.columns, "amount": amount})


@pytest.mark.parametrize("spread", ["parameters", "independent"])
def test_laws_of_many_deals_are_those_of_their_rows(spread):
    """From sums and the largest deals, against the law of all rows, with all that may vary."""
    rng = np.random.default_rng(5)
    pipeline = copies(HISTORY.snapshot(), 240, rng)
    fitted = fn.DealForecaster("semi-markov", spread=spread).fit(HISTORY)
    outlook = fitted.forecast(pipeline, HORIZON)
    rows = attrs.evolve(outlook, deals=outlook.deals)
    assert np.count_nonzero(outlook.deals.part == 1) > compound.LARGE_BOOK
    alone = States(np.zeros(1), np.ones(1))
    pairs = [
        (outlook.total(), rows.total()),
        (outlook.between("2026-07", "2026-07"), rows.between("2026-07", "2026-07")),
        (outlook.parts["open"].total(), rows.parts["open"].total()),
    ]
    assert _many.many_deals_law(pairs[0][0].book, outlook.unknown, alone) is not None
    for mine, theirs in pairs[: 3 if spread == "independent" else 1]:
        for q in (0.1, 0.5, 0.9):
            off = (mine.quantile(q) - theirs.quantile(q)) / theirs.sd
            assert abs(off[0]) < 1e-6
        assert mine.error.max() < 1e-4


@pytest.mark.parametrize(
    "asked",
    [
        [("semi-markov", ()), ("win-rate", ())],
        [("win-rate", ("region",)), ("win-rate", ("owner",))],
    ],
    ids=["models", "groups"],
)
def test_what_is_kept_of_large_deals_is_of_their_model_and_groups(asked):
    """A table that was asked before says what a fresh one does."""
    pipeline = copies(HISTORY.snapshot(), 24, np.random.default_rng(5))
    for name, by in asked:
        fitted = fn.DealForecaster(name, arrivals=None, spread="independent").fit(HISTORY)
        found = []
        for table in (pipeline, attrs.evolve(pipeline)):
            outlook = fitted.forecast(table, HORIZON, by=by)
            book = (outlook.group(outlook.keys[0][0]) if by else outlook).book
            found.append([book.largest(500), book.sample])
        for kept, fresh in zip(*found, strict=True):
            assert len(fresh.part)
            assert np.array_equal(kept.chance, fresh.chance)
            assert np.array_equal(kept.power(1), fresh.power(1))


def test_only_many_deals_have_the_law_of_many():
    """A book of fewer deals is looked at deal by deal, exactly; lost deals are none of it."""
    outlook = fn.forecast(HISTORY.snapshot(), HORIZON, "textbook").total()
    alone = States(np.zeros(1), np.ones(1))
    assert _many.many_deals_law(outlook.book, outlook.unknown, alone) is None
    snapshot = HISTORY.snapshot()
    assert (snapshot.outcome == fn.Outcome.LOST).any()
    ahead = snapshot.expected_close > snapshot.as_of
    counted = (snapshot.outcome == fn.Outcome.OPEN) | (snapshot.outcome == fn.Outcome.WON)
    booked = fn.forecast(snapshot, HORIZON, "textbook").parts["booked"]
    assert ahead.any()
    assert len(outlook.book) <= int(counted.sum())
    assert len(booked.book) <= int((snapshot.outcome == fn.Outcome.WON).sum())


def test_states_of_many_deals_one_by_one_have_the_law_of_all_together(monkeypatch):
    """More deals of unknown amount than all states at once may hold: rounding differs."""
    rng = np.random.default_rng(5)
    fitted = fn.DealForecaster("semi-markov", spread="independent").fit(HISTORY)
    outlook = fitted.forecast(copies(HISTORY.snapshot(), 240, rng), HORIZON)
    shocked = outlook.with_shock(fn.forecasting.Shock(0.05)).between("2026-07", "2026-07")
    assert shocked.book.money.power(UNKNOWN).any()
    expected = np.array([shocked.quantile(q)[0] for q in (0.01, 0.1, 0.5, 0.9, 0.99)])
    monkeypatch.setattr(_many, "TOGETHER", 1)
    alone = attrs.evolve(shocked)
    found = np.array([alone.quantile(q)[0] for q in (0.01, 0.1, 0.5, 0.9, 0.99)])
    assert ("cos", "mixture") == (*shocked.method, *alone.method)
    assert np.abs(found - expected).max() < 1e-4 * shocked.sd[0]


def test_large_deals_beyond_those_at_hand_are_looked_for(monkeypatch):
    """Where too few of the largest deals are known, all rows are asked."""
    monkeypatch.setattr(_many, "LOOKED_AT", (2,))
    pipeline = copies(HISTORY.snapshot(), 240, np.random.default_rng(6))
    fitted = fn.DealForecaster("win-rate", arrivals=None, spread="independent").fit(HISTORY)
    whole = fitted.forecast(pipeline, HORIZON).total()
    rows = attrs.evolve(whole, deals=whole.deals)
    assert np.array_equal(rows.quantile(0.9), whole.quantile(0.9))


def test_an_amount_that_varies_by_more_than_itself_may_close_far_above(monkeypatch):
    """With sd = 1.2 a it is 0 or (a^2 + sd^2) / a = 2.44 a: of tens these are multiples of 0.4."""
    pipeline = fn.Pipeline.from_columns(
        funnel=fn.Funnel([fn.Stage("A", win_probability=0.5)]),
        as_of="2026-06-30",
        id=["x", "y", "z"],
        stage=["A"] * 3,
        amount=[10.0, 30.0, 20.0],
        expected_close=["2026-07-10"] * 3,
    )
    months = fn.Horizon.months("2026-07-01", 1)
    source = fn.DealForecaster("textbook").without_history().forecast(pipeline, months).book.source
    states = np.ones(len(pipeline.funnel.ids))
    monkeypatch.setattr(type(source), "closing", lambda _: (states, 1.2 * states))
    assert 2.44 * 20.0 == pytest.approx(source.floor(2))
    assert 0.4 == pytest.approx(source.unit(vague=True))
    assert 10.0 == pytest.approx(source.unit(vague=False))


def test_unknown_amounts_are_in_the_cells():
    """Three deals of 10, one of them unknown and one overdue, each won with probability 1/2."""
    pipeline = fn.Pipeline.from_columns(
        funnel=fn.Funnel([fn.Stage("A", win_probability=0.5)]),
        as_of="2026-06-30",
        id=["x", "y", "z"],
        stage=["A"] * 3,
        amount=[10.0, np.nan, 10.0],
        expected_close=["2026-07-10", "2026-07-20", "2026-05-01"],
    )
    outlook = fn.forecast(pipeline, fn.Horizon.months("2026-07-01", 1), "textbook")
    assert [15.0] == outlook.expected.tolist()
    assert "1 deals have no amount" in outlook.notes[1]
    assert "1 open deals (10) have an overdue expected close" in outlook.notes[0]


def test_sums_are_kept_for_what_if(monkeypatch):
    """A table is added up once; other probabilities, horizons and copies need no further pass."""
    pipeline = HISTORY.snapshot()
    model = fn.DealForecaster("textbook").without_history()
    first = model.forecast(pipeline, HORIZON)
    spread = first.sd
    monkeypatch.setattr(sums, "power_sums", lambda *_: pytest.fail("a further pass"))
    twice = {stage.id: stage.win_probability / 2.0 for stage in pipeline.funnel.stages}
    other = pipeline.with_funnel(pipeline.funnel.with_probabilities(twice))
    half = model.forecast(other, HORIZON)
    booked = first.parts["booked"].expected
    np.testing.assert_allclose(half.expected, 0.5 * (first.expected + booked))
    assert (spread > 0.0).any()
    with pytest.raises(SchemaMismatchError, match="must have the states"):
        pipeline.with_funnel(fn.Funnel(["Another"]))


def test_curves_are_kept_for_the_same_question(monkeypatch):
    """Some of the deals, or the same again, need no further curves; another model or day does."""
    pipeline, dates = HISTORY.snapshot(), np.array(["2026-07-31", "2026-09-30"], dtype="M8[D]")
    models = [fn.DealForecaster(name).fit(HISTORY).model for name in ("semi-markov", "win-rate")]
    fresh = [model.win_curve(pipeline.select(slice(None)), dates) for model in models]
    asked, ask = [], type(models[0]).cell_curves

    def counted(self, cells, *given):
        asked.append(len(cells))
        return ask(self, cells, *given)

    monkeypatch.setattr(type(models[0]), "cell_curves", counted)
    found = np.unique(models[0].cells(pipeline))[1:]
    assert np.array_equal(fresh[0], models[0].win_curve(pipeline, dates))
    first = models[0].win_curve(pipeline, dates)
    first[:] = 0.0  # the caller's own
    assert np.array_equal(fresh[0], models[0].win_curve(pipeline, dates))
    some = curves(models[0], pipeline, found[2:5], dates)
    assert np.array_equal(curves(models[0], pipeline, found, dates)[[2, 3, 4, -1]], some)
    assert [len(found)] == asked
    np.testing.assert_allclose(fresh[0][:, 1:], models[0].win_curve(pipeline, dates[1:]))
    assert np.array_equal(fresh[1], models[1].win_curve(pipeline, dates))
    assert np.array_equal(fresh[0], models[0].win_curve(pipeline, dates))
    assert [len(found)] * 3 == asked


def test_a_table_travels_without_its_sums():
    """Pickled and back, it is the same table, and adds up anew."""
    pipeline = HISTORY.snapshot()
    model = fn.DealForecaster("textbook").without_history()
    expected = model.forecast(pipeline, HORIZON).expected
    again = pickle.loads(pickle.dumps(pipeline))
    assert {} == again.statistics
    assert np.array_equal(expected, model.forecast(again, HORIZON).expected)


def many_deals(n, rng):
    """A pipeline of open deals, made without texts, which would take most of the time."""
    two = fn.Pipeline.from_columns(
        funnel=fn.Funnel([fn.Stage(f"S{i}", win_probability=0.1 + 0.1 * i) for i in range(8)]),
        as_of="2026-06-30",
        id=["a", "b"],
        stage=["S0", "S1"],
        amount=[1.0, 2.0],
        owner=["Ann", "Bo"],
    )
    names = [field.name for field in attrs.fields(fn.Pipeline) if field.init]
    arrays = {
        name: np.tile(value, n // 2)
        for name in names
        if isinstance(value := getattr(two, name), np.ndarray)
    }
    columns = {name: np.tile(values, n // 2) for name, values in two.columns.items()}
    columns |= {"amount": rng.lognormal(9.0, 1.0, n)}
    columns |= {"expected_close": (two.as_of + rng.integers(1, 365, n)).astype(np.int32)}
    arrays |= {"stage": rng.integers(0, 8, n).astype(np.int16)}
    age = rng.integers(0, 50, n).astype(np.int32)
    arrays |= {"stage_entered": (two.as_of - age).astype(np.int32), "days_in_stage": age}
    return attrs.evolve(two, columns=columns, **arrays)


@pytest.mark.parametrize("model", ["textbook", "semi-markov"])
def test_no_temporary_is_of_the_size_of_the_table(model):
    """A column of 1,000,000 deals is 8 MB; money and spread by month and by group take less."""
    pipeline = many_deals(1_000_000, np.random.default_rng(3))
    codes.encode(pipeline)  # as `from_columns` leaves it; what it keeps is no temporary
    forecaster = fn.DealForecaster(model, arrivals=None)
    if model == "textbook":
        fitted = forecaster.without_history()
    else:
        funnel = pipeline.funnel
        log = fn.History.from_columns(
            funnel=funnel,
            id=[f"D{i}" for i in range(60)] * 2,
            at=["2026-01-01"] * 60 + ["2026-03-01"] * 60,
            stage=["S0"] * 60 + ["Won"] * 20 + ["Lost"] * 40,
        )
        fitted = forecaster.fit(log)
    fitted.forecast(pipeline.select(slice(0, 10)), HORIZON, by="owner").sd  # noqa: B018 - imports
    tracemalloc.start()
    outlook = fitted.forecast(pipeline, HORIZON, by="owner")
    assert (outlook.sd >= 0.0).all()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8e6


@pytest.mark.parametrize("as_of", [100, -100], ids=["after 1970", "before"])
def test_days_since_a_day_are_whole_and_bounded(as_of):
    """Ten days ago, too long ago, tomorrow, not known."""
    day = np.array([as_of - 10, as_of - 90, as_of + 1, NO_DAY], dtype=np.int32)
    found = days_since(day, as_of, 50)
    assert ([10, 50, -1, -1], np.int32) == (found.tolist(), found.dtype)


def test_groups_are_numbered_whatever_codes_there_are():
    """Without the first category, with a gap, and with deals of which it is unknown."""
    pipeline = HISTORY.snapshot()
    owner = pipeline.columns["owner"]
    names = np.array(["", *sorted(pipeline.schema.column("owner").categories)])
    for kept in (owner >= 0, owner > 0, owner != 1, owner % 3 != 0):
        for unknown in (False, True):
            some = pipeline.select(kept)
            column = some.columns["owner"].copy()
            column[: 5 * unknown] = -1
            some = attrs.evolve(some, columns={**some.columns, "owner": column})
            keys, number = some.groups(["owner"])
            own = some.to_columns()["owner"]
            assert [(name,) for name in names if name in set(own)] == list(keys)
            assert own.tolist() == [keys[place][0] for place in number]


def test_curves_of_narrow_cells_are_those_of_wide_ones():
    """Promises that there are not, and that have passed, have the lowest numbers."""
    pipeline = HISTORY.snapshot()
    model = fn.DealForecaster("textbook").without_history().model
    cells = np.arange(12 * len(pipeline.funnel.ids))
    dates = np.arange("2026-06-16", "2026-09-01", 20, dtype="datetime64[D]")
    wide = model.cell_curves(cells, pipeline, dates)
    assert wide.any()
    assert np.array_equal(wide, model.cell_curves(cells.astype(np.uint16), pipeline, dates))


def test_classes_are_numbered_as_they_come():
    """Cells of the same answers, wherever they are; those left out are in none."""
    answers = np.array([[0.5, 0.2, 0.5, 0.0, 0.2, 0.5], [1.0, 1.0, 1.0, 1.0, 1.0, 2.0]])
    number, first = _by_group._classes(answers, np.array([0, 1, 2, 4, 5]))
    assert ([0, 1, 0, 3, 1, 2], [0, 1, 5]) == (number.tolist(), first.tolist())
