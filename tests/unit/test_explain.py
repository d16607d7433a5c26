"""Why a deal has its chance: Shapley values against a usual deal of its stage."""

import itertools

import numpy as np
import pytest

import funnel as fn
from funnel.errors import ValidationError
from funnel.forecasting.deals import FittedDealForecaster
from funnel.forecasting.explain import explain, shapley

FUNNEL = fn.Funnel(["Qualify", "Propose"])


def table(**changes):
    """Four open deals in one stage, one in another, one won."""
    columns = {
        "funnel": FUNNEL,
        "as_of": "2026-06-30",
        "id": ["A", "B", "C", "D", "E", "F"],
        "stage": ["Propose"] * 4 + ["Qualify", "Won"],
        "amount": [100.0, 200.0, 300.0, np.nan, 5.0, 7.0],
        "created": ["2026-01-01", "2026-05-01", "2026-06-01", "2026-06-10", "2026-06-01", "NaT"],
        "stage_entered": ["2026-05-31", "2026-06-10", "2026-06-20", "2026-06-25", "NaT", "NaT"],
        "expected_close": ["NaT"] * 6,
        "owner": ["Ann", "Bo", "Bo", "Cy", "Ann", "Ann"],
        "score": [1.0, 2.0, 3.0, 4.0, 9.0, 9.0],
    }
    return fn.Pipeline.from_columns(**{**columns, **changes})


class Linear:
    """Chance = 0.2 + amount / 1000 + score / 100, and 0.1 for Ann; no interaction."""

    trained_until = -(2**31)
    needs = ("amount",)

    def win_curve(self, pipeline, dates, /):
        """Return the same for every date."""
        amount = np.nan_to_num(pipeline.amount)
        chance = 0.2 + amount / 1000 + pipeline.columns["score"] / 100
        chance = chance + 0.1 * (pipeline.columns["owner"] == 0)
        return np.repeat(chance[:, None], len(dates), axis=1)


def of(found):
    """Contributions by feature."""
    return dict(zip(found.feature.tolist(), found.contribution.tolist(), strict=True))


def test_contributions_of_a_linear_model_are_its_terms():
    """Usual is 200, Bo and score 2 (medians and the most common): each term's own difference."""
    found = explain(Linear(), table(), "A", "2026-09-30")
    assert "Propose" == found.stage
    assert pytest.approx(0.2 + 0.1 + 0.01 + 0.1) == found.chance
    assert pytest.approx(0.2 + 0.2 + 0.02) == found.usual
    assert pytest.approx(np.mean([0.41, 0.42, 0.53, 0.24])) == found.average
    terms = of(found)
    assert pytest.approx([-0.1, -0.01, 0.1]) == [terms[n] for n in ("amount", "score", "owner")]
    assert 0.0 == terms["days in stage"] == terms["age"] == terms["visits"] == terms["promise"]
    assert pytest.approx(found.chance - found.usual) == found.contribution.sum()


def test_what_is_shown():
    """Facts in words, the largest contribution first, unknown where nothing is known."""
    found = explain(Linear(), table(), "A", fn.Horizon.quarters("2026-07-01", 1))
    shown = found.to_columns()
    assert {"amount", "owner"} == set(shown["feature"][:2].tolist())
    rows = {name: (mine, usual) for name, mine, usual, _ in zip(*shown.values(), strict=True)}
    assert ("30 days", "10 days") == rows["days in stage"]
    assert ("180 days", "60 days") == rows["age"]
    assert ("100", "200") == rows["amount"]
    assert ("Ann", "Bo") == rows["owner"]
    assert ("unknown", "unknown") == rows["visits"]
    assert ("unknown", "unknown") == rows["promise"]
    assert str(found).startswith("A (Propose) is won by 2026-09-30 with a chance of 41.0%;")
    unknown = explain(Linear(), table(), "D", "2026-09-30")
    assert "unknown" == unknown.value[unknown.feature.tolist().index("amount")]


def test_shapley_values_are_means_over_all_orders():
    """Against the definition, for a random function of four features."""
    values = np.random.default_rng(1).random(16)
    wanted = np.zeros(4)
    for order in itertools.permutations(range(4)):
        seen = 0
        for bit in order:
            wanted[bit] += (values[seen | 1 << bit] - values[seen]) / 24
            seen |= 1 << bit
    assert pytest.approx(wanted) == shapley(values)


@pytest.mark.parametrize("model", ["semi-markov", "close-date", "hazard-regression"])
def test_contributions_add_up_for_every_model(model):
    """Also for a deal that is younger than a usual stay in the stage."""
    history = fn.datasets.simulate(500, rng=1).history
    pipeline = history.snapshot()
    fitted = fn.models.get(model).fit(history)
    mine = pipeline.ids[pipeline.outcome == fn.Outcome.OPEN]
    date = np.array(["2026-12-31"], dtype="datetime64[D]")
    for deal in (mine[0], mine[-1]):
        found = explain(fitted, pipeline, deal, "2026-12-31")
        row = pipeline.ids.tolist().index(deal)
        chance = fitted.win_curve(pipeline.select([row]), date)[0, 0]
        assert pytest.approx(chance, abs=1e-12) == found.chance
        assert pytest.approx(found.chance - found.usual, abs=1e-12) == found.contribution.sum()
    forecaster = FittedDealForecaster(model, fitted)
    again = explain(forecaster, pipeline, deal, fn.Horizon.custom(["2026-07-01", "2027-01-01"]))
    assert found.contribution.tolist() == again.contribution.tolist()


def test_many_attributes_are_one_feature():
    """More than five would ask too many questions; the first four facts are shown."""
    more = {f"x{i}": [float(i)] * 6 for i in range(6)}
    found = explain(Linear(), table(**more), "A", "2026-09-30")
    assert "attributes" == found.feature[-1]
    assert pytest.approx(0.09) == found.contribution[-1]
    assert "Ann, 1, 0, 1 …" == found.value[-1]


@pytest.mark.parametrize(
    ("deal", "until", "match"),
    [
        ("AA", "2026-09-30", "must be the id of a deal, got 'AA'. Did you mean 'A'"),
        ("F", "2026-09-30", "must be an open deal, got 'F'. It is in 'Won'"),
        ("A", "2026-06-30", "until must be after the day of the pipeline, 2026-06-30"),
    ],
)
def test_what_cannot_be_explained_is_said(deal, until, match):
    """No such deal, a closed one, a day that has passed."""
    with pytest.raises(ValidationError, match=match):
        explain(Linear(), table(), deal, until)
