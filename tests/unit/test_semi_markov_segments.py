"""Multipliers by segment against hazards that are known, and the half-life chosen by likelihood."""

import pickle

import attrs
import numpy as np
import pytest

import funnel as fn
from funnel.errors import UnknownColumnError, ValidationError
from funnel.kernels import multipliers
from funnel.models import load, save
from funnel.models._sojourn_counts import summarize_sojourns
from funnel.models.semi_markov import SemiMarkov

ONE = fn.Funnel(["Qualify"])
START = np.datetime64("2024-01-01")
HAZARD = {"North": 0.06, "South": 0.03, "": 0.03}


def regions(n=6000, seed=1, hazard=HAZARD, **columns):
    """Deals won at a daily hazard by region, and lost at 0.03 whatever the region."""
    rng = np.random.default_rng(seed)
    region = np.array(list(hazard), dtype=object)[rng.integers(0, len(hazard), n)]
    rate = np.array([hazard[name] for name in region])
    wait = rng.geometric(rate + 0.03)
    won = rng.random(n) < rate / (rate + 0.03)
    born = rng.integers(0, 200, n)
    seen = born + wait <= 300
    return fn.History.from_columns(
        funnel=ONE,
        id=np.concatenate((np.arange(n), np.arange(n)[seen])),
        stage=["Qualify"] * n + np.where(won[seen], "Won", "Lost").tolist(),
        at=START + np.concatenate((born, (born + wait)[seen])),
        region=np.concatenate((region, region[seen])),
        observed_until=START + 300,
        **{name: make(region, seen) for name, make in columns.items()},
    )


def deal(region, **columns):
    """One open deal of a region, five days old."""
    return fn.Pipeline.from_columns(
        funnel=ONE,
        as_of=START + 300,
        id=["A"],
        stage=["Qualify"],
        stage_entered=[START + 295],
        region=[region],
        **columns,
    )


def multiplier(fitted, column, value, outcome):
    """Look one multiplier up in the table."""
    table = fitted.segments.to_columns()
    chosen = (table["column"] == column) & (table["value"] == value) & (table["outcome"] == outcome)
    return table["multiplier"][chosen].item()


def test_multipliers_are_those_of_the_world():
    """Winning at 0.06 in the north and 0.03 elsewhere, losing alike: a ratio of 2, and of 1."""
    fitted = SemiMarkov(segments=("region",)).fit(regions())
    ratio = multiplier(fitted, "region", "North", "won") / multiplier(
        fitted, "region", "South", "won"
    )
    assert pytest.approx(2.0, rel=0.12) == ratio
    for name in HAZARD:
        assert pytest.approx(1.0, abs=0.06) == multiplier(fitted, "region", name, "lost")
    month = np.array([START + 330])
    for name, rate in HAZARD.items():
        truth = rate / (rate + 0.03) * (1 - (1 - rate - 0.03) ** 30)
        assert pytest.approx(truth, abs=0.04) == fitted.win_curve(deal(name), month)[0, 0]


def test_the_table_has_counts_and_intervals():
    """Observed and expected add up to the same; the multiplier lies within its interval."""
    fitted = SemiMarkov(segments="region").fit(regions())
    table = fitted.segments.to_columns()
    assert ["", "North", "South"] == sorted(set(table["value"].tolist()))
    assert pytest.approx(table["observed"].sum(), rel=0.01) == table["expected"].sum()
    assert (table["low"] <= table["multiplier"]).all()
    assert (table["multiplier"] <= table["high"]).all()
    expected = (table["observed"] + table["strength"]) / (table["expected"] + table["strength"])
    assert pytest.approx(expected) == table["multiplier"]
    assert "Multipliers of hazards by segment" in str(fitted.segments)
    assert "strength" not in str(fitted.segments)


def test_without_segments_nothing_changes():
    """The same hazards bit for bit, an empty table, and unseen values as if there were none."""
    history = regions()
    plain, fitted = SemiMarkov().fit(history), SemiMarkov(segments="region").fit(history)
    assert np.array_equal(plain.hazards, fitted.hazards)
    assert 0 == len(plain.segments.to_columns()["value"])
    month = np.array([START + 330])
    unseen = fitted.win_curve(deal("West"), month)
    assert pytest.approx(plain.win_curve(deal("West"), month)) == unseen


def test_segments_that_do_not_differ_have_no_effect():
    """Three values with the same hazards: all multipliers within 3 % of 1."""
    same = dict.fromkeys(HAZARD, 0.04)
    fitted = SemiMarkov(segments="region").fit(regions(hazard=same))
    found = fitted.segments.to_columns()["multiplier"]
    assert pytest.approx(np.ones(len(found)), abs=0.03) == found


def test_columns_that_say_the_same_share_the_effect():
    """A copy of a column does not multiply twice: the product is the effect of the one alone."""

    def copied(region, seen):
        """Return the region under another name."""
        return np.concatenate((region, region[seen]))

    history = regions(copy=copied)
    alone = SemiMarkov(segments="region").fit(history)
    both = SemiMarkov(segments=("region", "copy")).fit(history)
    month = np.array([START + 330])
    one = alone.win_curve(deal("North", copy=["North"]), month)
    two = both.win_curve(deal("North", copy=["North"]), month)
    assert pytest.approx(one, abs=0.01) == two


def test_summaries_by_segment_add_up_over_chunks():
    """Counts of the whole = those of its chunks, bit for bit; values are matched by name."""
    history = fn.datasets.simulate(200, rng=3).history
    names = ("region", "source")
    whole = summarize_sojourns(history, segments=names)
    for size in (7, 60):
        parts = [summarize_sojourns(part, segments=names) for part in history.chunks(size)]
        merged = parts[0]
        for part in parts[1:]:
            merged = part.merge(merged)
        for field in ("edges", "opened", "moves", "counts"):
            expected = getattr(whole.segments, field)
            assert np.array_equal(expected, getattr(merged.segments, field))
    with pytest.raises(ValidationError, match="by segment, or none"):
        whole.merge(summarize_sojourns(history))
    with pytest.raises(ValidationError, match="same segment columns"):
        whole.merge(summarize_sojourns(history, segments=("region",)))


def test_values_of_different_tables_are_matched_by_name():
    """Two histories with other values, coded apart, merge like one."""
    one = regions(300, 2, {"North": 0.06, "West": 0.03})
    two = regions(300, 3, {"East": 0.06, "West": 0.03})
    parts = [summarize_sojourns(part, segments=("region",)) for part in (one, two)]
    merged = parts[0].merge(parts[1]).segments
    assert (("", "East", "North", "West"),) == merged.levels
    assert [False, True, True, True] == merged.seen(0).tolist()
    west = [
        int(part.segments.counts[part.segments.moves[:, 0] == place].sum())
        for part, place in zip(parts, (2, 2), strict=True)
    ]
    assert sum(west) == merged.counts[merged.moves[:, 0] == 3].sum()


def test_multipliers_are_saved_and_drawn(tmp_path):
    """A loaded model answers alike; draws have the mean and variance of the gamma law."""
    history = regions()
    fitted = SemiMarkov(segments="region").fit(history)
    save(fitted, tmp_path / "model.npz")
    loaded = load(tmp_path / "model.npz")
    month = np.array([START + 330])
    assert np.array_equal(
        fitted.win_curve(deal("North"), month), loaded.win_curve(deal("North"), month)
    )
    rng = np.random.default_rng(1)
    drawn = [multiplier(fitted.draw(rng), "region", "North", "won") for _ in range(300)]
    row = next(row for row in fitted.effects if row[1:3] == ("North", "won"))
    shape, rate = row[3] + row[5], row[4] + row[5]
    assert pytest.approx(row[6], abs=4 * np.sqrt(shape / 300) / rate) == np.mean(drawn)
    assert pytest.approx(shape / rate**2, rel=0.3) == np.var(drawn)


def test_what_a_model_keeps_changes_no_answer():
    """A copy keeps nothing yet, and answers alike; a stored model is no larger."""
    fitted = SemiMarkov(segments="region").fit(regions())
    for region in ("North", "South", "North"):
        for days in (30, 60, 30):
            month = np.array([START + 300 + days])
            copied = attrs.evolve(fitted).win_curve(deal(region), month)
            assert np.array_equal(copied, fitted.win_curve(deal(region), month))
    assert 4 == len(fitted.statistics)  # two segments, two horizons
    assert not pickle.loads(pickle.dumps(fitted)).statistics


def test_strength_and_bounds():
    """Equal groups give the most, different ones the variance of the multipliers: a = 1 / var."""
    rng = np.random.default_rng(4)
    expected = np.full(400, 200.0)
    observed = rng.poisson(expected * rng.gamma(20.0, 1 / 20.0, 400)).astype(np.float64)
    assert pytest.approx(20.0, rel=0.25) == multipliers.gamma_poisson_strength(observed, expected)
    assert 10_000.0 == pytest.approx(multipliers.gamma_poisson_strength(expected, expected))
    assert 10_000.0 == multipliers.gamma_poisson_strength(expected[:1], expected[:1])
    # Gamma(1, 1) is exponential: its 10 % and 90 % quantiles are -log 0.9 and -log 0.1.
    low, high = multipliers.bounds(np.array([0.0]), np.array([0.0]), 1.0, 0.8)
    assert pytest.approx([-np.log(0.9), -np.log(0.1)]) == [low[0], high[0]]


def test_columns_that_cannot_be_segments():
    """Unknown, not of categories, known in the end only, twice, or no names at all."""
    history = regions(200)
    with pytest.raises(UnknownColumnError, match="regoin"):
        SemiMarkov(segments="regoin").fit(history)
    with pytest.raises(ValidationError, match="must be category columns"):
        SemiMarkov(segments="amount").fit(history)
    for odd, rule in ((("a", "a"), "once"), (3, "names of category"), ((1,), "names of category")):
        with pytest.raises(ValidationError, match=rule):
            SemiMarkov(segments=odd)
    assert ("region",) == SemiMarkov(segments="region").segments


def drifting(change, n=12_000, seed=2):
    """Deals won at a hazard that changes by a factor 60 days before the end of two years."""
    rng = np.random.default_rng(seed)
    born = rng.integers(0, 720, n)
    wait = rng.geometric(0.03, n)
    late = np.where(born + wait > 660, rng.geometric(min(0.03 * change, 0.9), n), wait)
    end = np.where(born + wait > 660, np.maximum(born, 660) + late, born + wait)
    seen = end <= 720
    return fn.History.from_columns(
        funnel=ONE,
        id=np.concatenate((np.arange(n), np.arange(n)[seen])),
        stage=["Qualify"] * n + ["Won"] * int(seen.sum()),
        at=START + np.concatenate((born, end[seen])),
        observed_until=START + 720,
    )


def test_the_half_life_follows_the_drift():
    """Short where hazards have just tripled, long or none where they never changed."""
    auto = SemiMarkov(half_life="auto")
    assert auto.fit(drifting(3.0)).half_life <= 90.0
    steady = auto.fit(drifting(1.0))
    assert steady.half_life is None or steady.half_life >= 360.0
    again = SemiMarkov(half_life=steady.half_life).fit(drifting(1.0))
    assert np.array_equal(again.hazards, steady.hazards)
    assert SemiMarkov().fit(regions(300)).half_life is None
    with pytest.raises(ValidationError, match="half_life must be a number > 0"):
        SemiMarkov(half_life="never")


def test_one_bucket_of_history_gives_no_half_life():
    """There is nothing before the only bucket to learn from."""
    history = fn.History.from_columns(
        funnel=ONE,
        id=np.tile(np.arange(40), 2),
        stage=["Qualify"] * 40 + ["Won"] * 40,
        at=np.repeat(np.array(["2024-01-16", "2024-01-17"], dtype="datetime64[D]"), 40),
    )
    assert SemiMarkov(half_life="auto").fit(history).half_life is None
