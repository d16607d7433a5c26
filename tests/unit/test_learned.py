"""Classifiers on snapshots: closed forms, brute force, simulated truth, no leaks, clear errors."""

import copy
import sys
import types

import attrs
import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

import funnel as fn
from funnel.errors import (
    ExtrapolationWarning,
    InsufficientDataError,
    MissingDependencyError,
    ReadError,
    SchemaMismatchError,
    ValidationError,
)
from funnel.models import load, registry, save
from funnel.models._snapshots import LEVELS, WON_NEVER, features_of, summarize_snapshots
from funnel.models.learned import Learned, _at_risk
from funnel.testing import checks, fixtures

ONE = fn.Funnel(["Qualify"])
START = np.datetime64("2024-01-01")
PRIOR = Learned(classifier=DummyClassifier(strategy="prior"), windows=(2, 6))


def race(win, lose, seed=0, observed=200, **columns):
    """Deals of one stage with chances to be won and lost per day, created over 60 days."""
    rng = np.random.default_rng(seed)
    win, n = np.asarray(win, dtype=float), len(win)
    born = START + rng.integers(0, 60, n)
    days = rng.geometric(win + lose)
    ends = np.where(rng.random(n) < win / (win + lose), "Won", "Lost")
    closed = born + days <= START + observed
    ids = [f"D{i:05}" for i in range(n)]
    return fn.History.from_columns(
        funnel=ONE,
        id=ids + np.array(ids)[closed].tolist(),
        stage=["Qualify"] * n + ends[closed].tolist(),
        at=np.concatenate((born, (born + days)[closed])),
        observed_from=START,
        observed_until=START + observed,
        **{name: np.concatenate((v, v[closed])) for name, v in columns.items()},
    )


def fresh(as_of=START + 200, n=1, **columns):
    """Open deals that were created yesterday."""
    yesterday = [as_of - 1] * n
    given = {"id": range(n), "stage": ["Qualify"] * n}
    given |= {"stage_entered": yesterday, "created": yesterday}
    return fn.Pipeline.from_columns(**{"funnel": ONE, "as_of": as_of, **given, **columns})


def curve(fitted, pipeline, *ahead):
    """Chances some days ahead."""
    return fitted.win_curve(pipeline, np.datetime64(pipeline.as_of, "D") + np.array(ahead))


@pytest.fixture(scope="module")
def history():
    """The fixture of all paths."""
    return fixtures.history()


@pytest.fixture(scope="module")
def fitted(history):
    """The default model on it."""
    return Learned().fit(history)


# --- lines --------------------------------------------------------------------------------------


def test_lines_are_what_snapshots_showed(history):
    """Every line against `until`, `snapshot` and a loop over the later rows of each deal."""
    found = summarize_snapshots(history, every=30, limit=10**6)
    ids, won = history.ids[history.deal], history.stage == history.funnel.won_code
    wanted, winners = [], set()
    for day in range(history.observed_until - 30, history.observed_from - 1, -30):
        date = np.datetime64(day, "D")
        for deal in history.until(date).snapshot():
            if deal.outcome != fn.Outcome.OPEN:
                continue
            wins = history.at[(ids == deal.id) & won & (history.at > day)]
            until = int(wins[0]) - day if len(wins) else WON_NEVER
            winners |= {deal.id} if len(wins) else set()
            amount = -1.0 if deal.amount is None else deal.amount
            age = (date - np.datetime64(deal.created)).astype(int)
            wanted.append((until, history.observed_until - day, amount, int(age)))
    amount, age = found.numbers[:, 5], found.numbers[:, 1]
    mine = zip(*found.days.T, np.where(np.isnan(amount), -1.0, amount), age, strict=True)
    assert len(wanted) > 500
    assert sorted(wanted) == sorted(mine)
    assert len(winners) == found.won


def test_a_deal_is_in_windows_until_it_is_won_or_was_not_seen():
    """Windows (0, 2], (2, 6]; won after 2 and 5 days, never, and never with only 5 days seen."""
    days = np.array([[2, 9], [5, 9], [WON_NEVER, 9], [WON_NEVER, 5], [1, 1]])
    line, window, won = _at_risk(days, (2, 6))
    assert [0, 1, 2, 3, 1, 2] == line.tolist()
    assert [0, 0, 0, 0, 1, 1] == window.tolist()
    assert [True, False, False, False, True, False] == won.tolist()


def test_a_lost_deal_that_is_opened_again_and_won_counts():
    """Open on day 3, lost on day 5, open again on day 8, won on day 9: 6 days later."""
    history = fn.History.from_columns(
        funnel=ONE,
        id=["A"] * 4,
        stage=["Qualify", "Lost", "Qualify", "Won"],
        at=START + np.array([0, 5, 8, 9]),
        observed_until=START + 10,
    )
    assert [[6, 7]] == summarize_snapshots(history, every=7, limit=9).days.tolist()


@pytest.mark.parametrize("parts", [2, 20])
def test_the_sample_does_not_depend_on_the_split(history, parts):
    """The 100 lowest keys, bit for bit, in whatever chunks and order."""
    whole = summarize_snapshots(history, every=7, limit=100)
    number = np.arange(history.n_deals)
    merged, *others = [
        summarize_snapshots(history.select(number % parts == part), every=7, limit=100)
        for part in range(parts)
    ]
    for other in others:
        merged = other.merge(merged)
    every = summarize_snapshots(history, every=7, limit=10**6)
    assert len(every.keys) > 2_000
    for name in ("keys", "days", "numbers", "codes"):
        expected = getattr(every, name)[:100]
        np.testing.assert_array_equal(expected, getattr(whole, name))
        np.testing.assert_array_equal(expected, getattr(merged, name))
    assert (every.deals, every.won) == (merged.deals, merged.won)


def test_a_sample_is_like_the_whole():
    """1,000 of some 8,000 lines: the mean amount of 0 .. 1 within 4 standard errors (0.289)."""
    amount = np.random.default_rng(1).random(2_000)
    lines = summarize_snapshots(race([0.02] * 2_000, 0.02, amount=amount), every=7, limit=10**6)
    assert len(lines.keys) > 6_000
    some = np.nanmean(lines.numbers[:1_000, 5])
    every = np.nanmean(lines.numbers[:, 5])
    assert abs(some - every) < 4 * 0.289 / np.sqrt(1_000)


def test_final_columns_and_constant_ones_are_no_features(history):
    """What is only known in the end is not looked at; nor is what never changes."""
    final = attrs.evolve(history.schema.column("region"), known="final")
    columns = [final if c.name == "region" else c for c in history.schema.columns]
    other = attrs.evolve(history, schema=attrs.evolve(history.schema, columns=tuple(columns)))
    names = [
        {name for _, name, _ in features_of(summarize_snapshots(h, every=30, limit=999))[0]}
        for h in (history, other)
    ]
    assert {"region"} == names[0] - names[1]
    assert {"stage", "days_in_stage", "age", "amount", "expected_close", "owner"} <= names[1]
    assert "currency" not in names[0]


def test_levels_rise_with_the_share_won_and_are_not_too_many():
    """Of 300 owners the 200 most frequent; the one whose deals are won comes last."""
    rng = np.random.default_rng(0)
    owner = np.where(rng.random(1_500) < 0.3, 0, rng.integers(1, 300, 1_500))
    win = np.where(owner == 0, 0.05, 0.001)
    history = race(win, 0.02, owner=np.array([f"O{o}" for o in owner]))
    features, values = features_of(summarize_snapshots(history, every=7, limit=10**6))
    place = [name for _, name, _ in features].index("owner")
    levels = features[place][2]
    assert LEVELS == len(levels) == np.nanmax(values[:, place]) + 1
    assert "O0" == levels[-1]
    assert np.isnan(values[:, place]).any()


def test_lines_of_other_tables_do_not_merge(history):
    """Another schema, and another last day."""
    one = summarize_snapshots(history, every=30, limit=9)
    with pytest.raises(ValidationError, match="one observed_until"):
        one.merge(attrs.evolve(one, trained_until=0))
    with pytest.raises(SchemaMismatchError):
        one.merge(attrs.evolve(one, schema=attrs.evolve(one.schema, columns=())))


# --- curves --------------------------------------------------------------------------------------


def test_windows_multiply_and_days_within_them_are_alike():
    """With the share p of all windows for each: 1 - (1 - p)^(number of windows, by days)."""
    history = race([0.02] * 300, 0.02)
    fitted = PRIOR.fit(history)
    _, _, won = _at_risk(PRIOR.summarize(history).days, (2, 6))
    windows = np.array([0.5, 1.0, 1.25, 2.0])
    found = curve(fitted, fresh(), 1, 2, 3, 6)[0]
    np.testing.assert_allclose(1.0 - (1.0 - won.mean()) ** windows, found, rtol=1e-9)


def test_dates_after_the_last_window_add_nothing_and_say_so():
    """The chance within 6 days, and a warning that names them."""
    fitted = PRIOR.fit(race([0.02] * 300, 0.02))
    with pytest.warns(ExtrapolationWarning, match="within 6 days; .* up to 90 days ahead"):
        found = curve(fitted, fresh(), 6, 90)[0]
    assert found[0] == found[1]


def test_windows_longer_than_the_history_are_left_out():
    """200 days of history, snapshots every week: 196 days are seen, 128 is the last window."""
    fitted = Learned().fit(race([0.02] * 300, 0.02))
    assert (1, 2, 4, 8, 16, 32, 64, 128) == fitted.windows


@pytest.mark.parametrize(
    "classifier", [None, LogisticRegression(C=10.0, max_iter=500)], ids=["boosted", "logistic"]
)
def test_curves_are_those_of_the_simulated_truth(classifier):
    """Hazards w by amount and l = 0.03: w / (w + l) (1 - (1 - w - l)^t), within 0.05."""
    amount = np.where(np.arange(3_000) % 2, 1.0, 2.0)
    rates = np.where(amount == 1.0, 0.005, 0.05)
    fitted = Learned(classifier=classifier).fit(race(rates, 0.03, amount=amount))
    days = np.array([4, 16, 64])
    w = np.array([[0.005], [0.05]])
    truth = w / (w + 0.03) * (1.0 - (1.0 - w - 0.03) ** days)
    found = curve(fitted, fresh(n=2, amount=[1.0, 2.0]), *days)
    np.testing.assert_allclose(truth, found, atol=0.05)


def test_categories_count_and_new_ones_are_unknown():
    """Ann wins 0.05 a day, Bo 0.005; a new owner is like one of them or between, and like none."""
    owner = np.where(np.arange(2_000) % 2, "Ann", "Bo")
    history = race(np.where(owner == "Ann", 0.05, 0.005), 0.03, owner=owner)
    for classifier in (None, LogisticRegression(max_iter=500)):
        fitted = Learned(classifier=classifier).fit(history)
        found = curve(fitted, fresh(n=4, owner=["Ann", "Bo", "Zoe", ""]), 32)[:, 0]
        assert found[1] + 0.2 < found[0]
        assert found[1] - 0.02 <= found[2] <= found[0] + 0.02
        assert found[2] == found[3]
        np.testing.assert_array_equal(found[3], curve(fitted, fresh(), 32)[0, 0])


def test_columns_must_be_of_the_kind_that_they_were(fitted, history):
    """Regions were names, and come as numbers."""
    pipeline = fn.Pipeline.from_columns(
        funnel=history.funnel, as_of="2025-07-01", id=[1], stage=["Qualify"], region=[1.0]
    )
    with pytest.raises(ValidationError, match="region must be a category, as it was"):
        curve(fitted, pipeline, 5)


def test_nobody_open_needs_no_classifier(fitted, history):
    """Closed deals have chance 0; no deal and no date give empty arrays, and nothing is read."""
    pipeline = history.snapshot()
    broken = attrs.evolve(fitted, classifier=np.zeros(1, dtype=np.uint8))
    closed = pipeline.select(pipeline.outcome != fn.Outcome.OPEN)
    assert not curve(broken, closed, 5).any()
    no_date = np.empty(0, dtype="datetime64[D]")
    assert (len(pipeline), 0) == broken.win_curve(pipeline, no_date).shape


def test_large_pipelines_are_asked_in_parts(fitted, history, monkeypatch):
    """Parts of one deal give what all deals together give."""
    pipeline = history.snapshot()
    pipeline = pipeline.select(pipeline.days_in_stage <= fitted.oldest)
    whole = curve(fitted, pipeline, 3, 40)
    monkeypatch.setattr("funnel.models.learned.CELLS", 1)
    np.testing.assert_array_equal(whole, curve(fitted, pipeline, 3, 40))


def test_deals_older_than_all_others_are_counted(fitted):
    """Two deals of ten years are in no snapshot."""
    days = [START - 4_000] * 2
    old = fresh(n=2, funnel=fixtures.ladder(), created=days, stage_entered=days)
    with pytest.warns(ExtrapolationWarning, match="2 open deals are in their stage for longer"):
        curve(fitted, old, 5)


@pytest.mark.filterwarnings("ignore::funnel.errors.ExtrapolationWarning")
def test_what_comes_after_the_cutoff_changes_nothing(history):
    """Two futures of the same past: bit-identical chances."""
    cut = history.observed_until - 200
    past = history.at <= cut
    rows = {name: values[past] for name, values in history.to_columns().items()}
    # A row of the year after: every deal that was open is won, or every one is lost.
    last = history.until(np.datetime64(cut, "D")).snapshot()
    is_open = last.outcome == fn.Outcome.OPEN
    answers = []
    for end in ("Won", "Lost"):
        later = {name: values[: is_open.sum()].copy() for name, values in rows.items()}
        later |= {"id": last.ids[is_open], "stage": np.full(is_open.sum(), end, dtype=object)}
        later |= {"at": np.full(is_open.sum(), cut + 9).astype("datetime64[D]")}
        later["created"] = last.created[is_open].astype("datetime64[D]")
        columns = {name: np.concatenate((rows[name], later[name])) for name in rows}
        other = fn.History.from_columns(
            funnel=history.funnel, observed_from=fixtures.OBSERVED_FROM, **columns
        )
        known = other.until(np.datetime64(cut, "D"))
        answers.append(curve(Learned().fit(known), known.snapshot(), 1, 30, 200))
    assert answers[0].max() > 0.1
    assert answers[0].tobytes() == answers[1].tobytes()


@pytest.mark.parametrize(
    "check",
    [
        *(checks.check_dates_independent, checks.check_no_nan, checks.check_pickles),
        *(checks.check_tiny_history, checks.check_unknown_state, checks.check_unseen_category),
    ],
)
def test_a_model_of_another_classifier_keeps_the_contract(check):
    """Rules on which classifiers may differ; all of them hold for the default one."""
    check(Learned(classifier=LogisticRegression(max_iter=2_000), windows=(7, 90), sample=300))


# --- classifiers ---------------------------------------------------------------------------------


def test_models_are_equal_where_class_and_parameters_are():
    """Estimators are compared by what they are told, and copied: a later change does not count."""
    mine = LogisticRegression(C=2.0)
    model = Learned(classifier=mine)
    twin = Learned(classifier=LogisticRegression(C=2.0))
    mine.set_params(C=3.0)
    assert twin == model == copy.deepcopy(model)
    assert hash(twin) == hash(model)
    assert model != Learned(classifier=mine)
    assert model != Learned()
    assert "Learned(classifier=LogisticRegression(C=2.0), windows=(1, 2" in repr(model)


def test_random_classifiers_get_the_seed_unless_they_have_one():
    """The same seed gives the same trees; another seed others; an own seed is kept."""
    history = race([0.02] * 300, 0.02)

    def asked(seed, own):
        """Chances by a forest."""
        forest = RandomForestClassifier(n_estimators=3, max_depth=4, random_state=own)
        model = Learned(classifier=forest, windows=(7,), random_state=seed)
        return curve(model.fit(history), fresh(), 7)[0, 0]

    assert asked(0, None) == asked(0, None) == asked(1, 0)
    assert len({asked(seed, None) for seed in range(4)}) > 1


@pytest.mark.parametrize("value", [LogisticRegression, LinearSVC(), "Forest"])
def test_a_classifier_must_give_probabilities(value):
    """A class, a classifier without predict_proba, and a name are none."""
    with pytest.raises(ValidationError, match="classifier must be a scikit-learn classifier"):
        Learned(classifier=value)


@pytest.mark.parametrize("value", [(), (0, 1), (5, 5), (1.5,), (True, 2)])
def test_windows_must_rise(value):
    """None, from 0 on, twice the same, parts of days, and a truth are no windows."""
    with pytest.raises(ValidationError, match="windows must be whole numbers of days >= 1"):
        Learned(windows=value)


@pytest.mark.parametrize("value", [-1, 1.0, True])
def test_seeds_are_whole_numbers(value):
    """Negative ones, floats and truths are no seeds."""
    with pytest.raises(ValidationError, match="random_state must be a whole number >= 0"):
        Learned(random_state=value)


# --- too little, not installed, saved -----------------------------------------------------------


def test_too_few_wins_are_said():
    """Without a win; and with wins, but no window that was seen to its end."""
    with pytest.raises(InsufficientDataError, match="20 needed, 0 found"):
        Learned().fit(race([1e-9] * 50, 0.02))
    with pytest.raises(InsufficientDataError, match="windows with and without a win"):
        Learned(windows=(500,)).fit(race([0.02] * 300, 0.02))


def test_without_scikit_learn_the_extra_is_named(fitted, history, monkeypatch):
    """Said before the history is gone through, and when a fitted model is asked."""
    monkeypatch.setitem(sys.modules, "sklearn", None)
    for call in (lambda: Learned().fit(history), lambda: curve(fitted, history.snapshot(), 5)):
        with pytest.raises(MissingDependencyError, match=r"salesfunnel\[learn\]") as caught:
            call()
        assert "scikit-learn" == caught.value.package


def test_saved_models_answer_alike_and_refuse_other_versions(
    fitted, history, tmp_path, monkeypatch
):
    """Through a file, bit for bit; pickles of another scikit-learn are not read."""
    known = {**registry.BUILT_IN, "learned": "funnel.models.learned:Learned"}
    monkeypatch.setattr(registry, "BUILT_IN", types.MappingProxyType(known))
    pipeline = history.snapshot()
    pipeline = pipeline.select(pipeline.days_in_stage <= fitted.oldest)
    save(fitted, tmp_path / "model.npz")
    loaded = load(tmp_path / "model.npz")
    np.testing.assert_array_equal(curve(fitted, pipeline, 3, 40), curve(loaded, pipeline, 3, 40))
    with pytest.raises(ReadError, match=r"fitted with scikit-learn 0.1.2, and .* is installed"):
        curve(attrs.evolve(loaded, version="0.1.2"), pipeline, 3)
