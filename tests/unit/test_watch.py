"""Rules of the watch list, one deal for each, and lists of lost and delayed deals."""

import sys
from importlib.metadata import EntryPoint

import attrs
import numpy as np
import pytest

import funnel as fn
from funnel import _plugins
from funnel import metrics as w
from funnel.errors import PluginError, UnknownColumnError, ValidationError
from funnel.metrics import _watch_registry as registry

NAN = float("nan")
LADDER = fn.Funnel(
    [
        fn.Stage("Qualify", win_probability=0.2, standard_days=10, timeout_days=30),
        fn.Stage("Propose", win_probability=0.5, standard_days=20),
        fn.Stage("Hold", on_hold=True),
    ]
)
AS_OF = np.datetime64("2026-06-30")


def pipeline(n=1, *, funnel=LADDER, stage="Qualify", **columns):
    """Return a snapshot of n deals that break no rule but for what is given."""
    usual = {
        "stage": [stage] * n if isinstance(stage, str) else stage,
        "amount": [100.0] * n,
        "created": [AS_OF - 5] * n,
        "stage_entered": [AS_OF - 5] * n,
        "expected_close": [AS_OF + 30] * n,
    }
    ids = [f"D{i}" for i in range(n)]
    return fn.Pipeline.from_columns(funnel=funnel, as_of=AS_OF, id=ids, **{**usual, **columns})


def flagged(deals, rule):
    """Return deals, values and limits that a rule finds."""
    found = w.watch(deals, rules=[rule])
    order = np.argsort(found.ids.astype(str))
    return tuple(column[order].tolist() for column in (found.ids, found.value, found.limit))


def days_ago(*days):
    """Return dates before the day of the list; None is none."""
    return [np.datetime64("NaT") if d is None else AS_OF - d for d in days]


@pytest.mark.parametrize(
    ("rule", "columns", "expected"),
    [
        ("over-standard", {"stage_entered": days_ago(10, 11)}, (["D1"], [11.0], [10.0])),
        ("timeout", {"stage_entered": days_ago(30, 31)}, (["D1"], [31.0], [30.0])),
        ("overdue", {"expected_close": days_ago(0, 1)}, (["D1"], [1.0], [0.0])),
        (w.Overdue(days=7), {"expected_close": days_ago(7, 8)}, (["D1"], [8.0], [7.0])),
        ("overdue", {"expected_close": days_ago(None, -1)}, ([], [], [])),
        ("no-contact", {"last_contact": days_ago(30, 31)}, (["D1"], [31.0], [30.0])),
        ("no-next-step", {"next_step": days_ago(0, 2)}, (["D1"], [2.0], [0.0])),
        ("no-amount", {"amount": [0.01, 0.0]}, (["D1"], [0.0], [0.0])),
        (
            "contradictory-dates",
            {"created": days_ago(9, 5), "expected_close": days_ago(8, 8)},
            (["D1"], [3.0], [0.0]),
        ),
        (
            w.ContradictoryDates(pairs=[("visit", "offer")]),
            {"visit": days_ago(9, 5), "offer": days_ago(None, 8)},
            (["D1"], [3.0], [0.0]),
        ),
    ],
)
def test_a_rule_and_its_limit(rule, columns, expected):
    """The first deal keeps just within the limit, the second is just beyond."""
    created = columns.get("created", days_ago(90, 90))
    assert expected == flagged(pipeline(2, **{**columns, "created": created}), rule)


def test_what_is_missing_breaks_rules_too():
    """No contact ever, no next step, no amount, no promise; what is measured is not known."""
    deals = pipeline(
        2,
        last_contact=days_ago(None, 1),
        next_step=["", "call"],
        amount=[NAN, 1.0],
        expected_close=days_ago(None, -1),
    )
    for rule in ("no-contact", "no-next-step", "no-amount", "no-promise"):
        found = w.watch(deals, rules=[rule])
        assert ["D0"] == found.ids.tolist(), rule
        assert np.isnan(found.value).all()


def journey(*steps, **columns):
    """Return the history of deal A: (days ago, stage, days to the promise)."""
    ago, stages, promises = zip(*steps, strict=True)
    return fn.History.from_columns(
        funnel=LADDER,
        id=["A"] * len(steps),
        stage=stages,
        at=days_ago(*ago),
        amount=[100.0] * len(steps),
        expected_close=[AS_OF + promise for promise in promises],
        observed_until=AS_OF,
        **columns,
    )


def test_rules_that_need_the_past():
    """Pushed twice, gone back, and nothing changed since."""
    found = journey((99, "Qualify", 1), (80, "Propose", 2), (61, "Qualify", 3))
    assert (["A"], [2.0], [2.0]) == flagged(found, "pushed")
    assert ([], [], []) == flagged(found, w.Pushed(times=3))
    assert (["A"], [1.0], [2.0]) == flagged(found, "moved-back")
    assert (["A"], [61.0], [60.0]) == flagged(found, "unchanged")
    assert ([], [], []) == flagged(found, w.Unchanged(days=61))


def test_the_clock_stops_on_hold():
    """A deal on hold is neither stale nor unchanged, but its pushes count."""
    held = journey((99, "Qualify", 1), (80, "Qualify", 2), (70, "Hold", 9))
    found = w.watch(held, rules=[w.Pushed(times=1), "stale", "timeout", "unchanged"])
    assert ["pushed"] == found.rule.tolist()


def stays(n, days, left):
    """Return a history in which n deals left after so many days, and one has stayed for `left`."""
    ids = [*range(n), *range(n), n]
    start = AS_OF - 400
    at = [start] * n + [start + days] * n + [AS_OF - left]
    stage = ["Qualify"] * n + ["Lost"] * n + ["Qualify"]
    return fn.History.from_columns(
        funnel=LADDER, id=ids, stage=stage, at=at, amount=[1.0] * len(ids), observed_until=AS_OF
    )


def test_stale_is_a_quantile_of_the_stage_itself():
    """All of 30 stays ended after 40 days, so 90 % have by then; the typed timeout is 30."""
    assert ([], [], []) == flagged(stays(30, 40, 40), "stale")
    assert (["30"], [41.0], [40.0]) == flagged(stays(30, 40, 41), "stale")


def test_stale_falls_back_to_typed_days():
    """19 stays are too few for a quantile: the typed timeout counts, and a note says so."""
    found = w.watch(stays(19, 40, 31), rules=["stale"])
    assert [30.0] == found.limit.tolist()
    assert ("stale: typed days instead of a quantile of stays: Qualify",) == found.notes
    untyped = fn.Funnel(["Qualify"])
    found = w.watch(pipeline(funnel=untyped), rules=["stale"], chance=[0.5])
    assert ("stale: no limit, for want of stays and of typed days: Qualify",) == found.notes


def test_the_standard_stands_in_for_the_timeout():
    """Propose has standard days only."""
    deals = pipeline(stage="Propose", created=days_ago(90), stage_entered=days_ago(21))
    assert (["D0"], [21.0], [20.0]) == flagged(deals, "stale")


def test_the_most_money_comes_first():
    """Amount x chance; what is not known stands at the end."""
    deals = pipeline(4, amount=[100.0, 900.0, 500.0, NAN], expected_close=days_ago(1, 1, 1, 1))
    found = w.watch(deals, rules=["overdue"], chance=[0.9, 0.05, 0.1, 0.5])
    assert ["D0", "D2", "D1", "D3"] == found.ids.tolist()
    assert np.allclose([90.0, 50.0, 45.0], found.at_stake[:3])
    assert "1 rows without an amount stand at the end" in str(found)
    assert np.isclose(185.0, found.total_at_stake())


def test_typed_probabilities_are_the_default():
    """0.2 in Qualify; a stage without one is not known."""
    deals = pipeline(2, stage="Qualify", expected_close=days_ago(1, 1))
    assert [0.2, 0.2] == w.watch(deals, rules=["overdue"]).chance.tolist()
    bare = pipeline(2, funnel=fn.Funnel(["Qualify"]), amount=[1, 2], expected_close=days_ago(1, 1))
    found = w.watch(bare, rules=["overdue"])
    assert np.isnan(found.chance).all()
    assert ["D1", "D0"] == found.ids.tolist()  # by amount
    assert "typed win probability" in str(found)


def test_closed_deals_are_not_watched():
    """Won and lost deals break no rule, and need no chance."""
    deals = pipeline(2, stage=["Won", "Lost"], expected_close=days_ago(1, 1))
    assert 0 == len(w.watch(deals, chance=[NAN, NAN]))


def test_severity_can_be_changed_and_columns_shown():
    """A rule is an object with parameters; further columns come with the deal."""
    deals = pipeline(2, expected_close=days_ago(1, 2), owner=["Ann", ""])
    found = w.watch(deals, rules=[w.Overdue(severity="info"), "no-amount"], by=("owner",))
    assert ["info", "info"] == found.severity.tolist()
    assert {"overdue": 2, "no-amount": 0} == found.counts()
    assert ["Ann", ""] == found.to_columns()["owner"].tolist()
    worst = found.select(found.value > 1)
    assert ["D1"] == worst.ids.tolist()
    assert [""] == worst.groups["owner"].tolist()


def test_what_cannot_be_checked_is_said():
    """A snapshot has no pushes, no earlier stages, no changes, and no column of contacts."""
    notes = w.watch(pipeline(stage_entered=days_ago(None))).notes
    assert [
        (
            "stale: typed days instead of a quantile of stays: Qualify; "
            "1 deals entered their stage on an unknown day"
        ),
        "over-standard: 1 deals entered their stage on an unknown day",
        "timeout: 1 deals entered their stage on an unknown day",
        "pushed: pushes of 1 deals are unknown",
        "no-contact",
        "no-next-step",
        "unchanged: the day of the last change is known of a history only",
        "moved-back: earlier stages are unknown",
    ] == [note.partition(": no column")[0] for note in notes]
    bare = w.watch(pipeline(funnel=fn.Funnel(["Qualify"])), rules=["timeout", "over-standard"])
    assert ("timeout: no stage has a timeout", "over-standard: no stage has standard days") == (
        bare.notes
    )


def test_long_lists_are_cut_on_paper_only():
    """25 rows are shown; the table has them all."""
    found = w.watch(pipeline(30, expected_close=days_ago(*[1] * 30)), rules=["overdue"])
    assert "5 more rows are not shown here" in str(found)
    assert 30 == len(found.to_dict()["rows"])


@pytest.mark.parametrize(
    ("question", "error", "message"),
    [
        ({"rules": "overdue"}, ValidationError, "sequence of rules"),
        ({"rules": [3]}, ValidationError, "sequence of rules"),
        ({"rules": []}, ValidationError, "at least one rule"),
        ({"rules": ["overdue", w.Overdue()]}, ValidationError, "each once"),
        ({"rules": ["overdu"]}, ValidationError, "Did you mean 'overdue'"),
        ({"rules": [w.NoContact(column="lst")]}, UnknownColumnError, "'lst'"),
        ({"rules": [w.NoContact(column="amount")]}, ValidationError, "It is a number column"),
        ({"rules": [w.ContradictoryDates(pairs=[("a", "b")])]}, UnknownColumnError, "'a'"),
        ({"by": ("ownr",)}, UnknownColumnError, "'ownr'"),
        ({"chance": [2.0]}, ValidationError, "between 0 and 1"),
    ],
)
def test_wrong_questions(question, error, message):
    """Each names what is wrong."""
    with pytest.raises(error, match=message):
        w.watch(pipeline(), **question)


@pytest.mark.parametrize(
    ("rule", "parameters"),
    [
        (w.Overdue, {"days": -1}),
        (w.Pushed, {"times": True}),
        (w.Stale, {"share": 1.0}),
        (w.NoAmount, {"severity": "bad"}),
        (w.ContradictoryDates, {"pairs": [("a",)]}),
    ],
)
def test_wrong_parameters(rule, parameters):
    """A rule checks its parameters."""
    with pytest.raises(ValidationError, match=next(iter(parameters))):
        rule(**parameters)


# --- plugins -------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Huge(w.WatchRule):
    name = "acme.huge"

    def check(self, watched, /):
        amount = watched.pipeline.amount
        return w.Flags.of(amount > 50.0, value=amount, limit=50.0)


@pytest.fixture
def installed(monkeypatch):
    """Pretend that packages register rules."""

    def install(*points):
        made = [EntryPoint(name, value, registry.GROUP) for name, value in points]
        monkeypatch.setattr(_plugins, "entry_points", lambda *, group: made * bool(group))
        registry._plugins.cache_clear()

    yield install
    registry._plugins.cache_clear()


def test_a_rule_of_another_package(installed, monkeypatch):
    """It is found by name, and not without plugins."""
    monkeypatch.setitem(sys.modules, "acme_rules", sys.modules[__name__])
    installed(("acme.huge", "acme_rules:Huge"))
    assert "acme.huge" == w.rule_names()[-1]
    assert (["D0"], [100.0], [50.0]) == flagged(pipeline(), "acme.huge")
    monkeypatch.setenv("FUNNEL_NO_PLUGINS", "1")
    registry._plugins.cache_clear()
    with pytest.raises(ValidationError, match="must name rules"):
        w.get_rule("acme.huge")


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([("stale", "a:B")], "must have a prefix"),
        ([("x.y", "a:B"), ("x.y", "c:D")], "both register"),
        ([("x.y", "no_such_module:B")], "cannot be loaded"),
        ([("x.y", "builtins:dict")], "must be a WatchRule"),
    ],
)
def test_broken_packages(installed, points, message):
    """Each error names the package."""
    installed(*points)
    with pytest.raises(PluginError, match=message):
        w.get_rule("x.y")


# --- lost and delayed deals ----------------------------------------------------------------------


def test_lost_deals_have_their_last_open_amount():
    """Lost with 0, after 100 in Propose; the day after the last is not in the list."""
    history = fn.History.from_columns(
        funnel=LADDER,
        id=["A", "A", "B", "B", "C", "D", "D"],
        stage=["Propose", "Lost", "Qualify", "Lost", "Lost", "Qualify", "Lost"],
        at=["2026-01-05", "2026-02-10", "2026-01-05", "2026-03-01", *["2026-02-20"] * 3],
        amount=[100.0, 0.0, 70.0, 0.0, 5.0, 300.0, 300.0],
        owner=["Ann", "Ann", "Bo", "Bo", "Ann", "Bo", "Bo"],
        lost_to=["", "Acme", "", "", "", "", ""],
        why=["", "price", "", "", "", "", "timing"],
        observed_until="2026-03-31",
    )
    found = w.lost_deals(history, "2026-02-01", "2026-03-01", by=("owner",), reason="why")
    assert ["A", "C", "D"] == found.ids.tolist()
    assert ["Propose", "", "Qualify"] == found.stage.tolist()
    assert [100.0, 5.0, 300.0] == found.amount.tolist()
    assert ["price", "", "timing"] == found.details["reason"].tolist()
    assert ["Acme", "", ""] == found.details["competitor"].tolist()
    assert {"reason", "competitor"} == set(found.details)
    with pytest.raises(ValidationError, match="after start"):
        w.lost_deals(history, "2026-02-01", "2026-02-01")
    with pytest.raises(UnknownColumnError):
        w.lost_deals(history, "2026-02-01", "2026-03-01", remedy="nothing")


def test_delayed_deals_are_late_or_pushed():
    """Late, pushed with a promise ahead, and neither."""
    late, pushed = journey((50, "Qualify", -3)), journey((50, "Qualify", 3), (40, "Qualify", 9))
    found = w.delayed_deals(late.snapshot())
    assert ([3.0], [0]) == (found.days_late.tolist(), found.pushes.tolist())
    found = w.delayed_deals(pushed.snapshot())
    assert ([0.0], [1]) == (found.days_late.tolist(), found.pushes.tolist())
    assert 0 == len(w.delayed_deals(pushed.snapshot(), pushes=2).ids)
    assert "1 delayed deals, as of 2026-06-30" in str(found)
    with pytest.raises(ValidationError, match="pushes"):
        w.delayed_deals(pushed.snapshot(), pushes=0)


def test_groups_are_sorted_by_money():
    """By owner, then the largest first."""
    deals = pipeline(
        3, expected_close=days_ago(1, 1, 1), amount=[1.0, 2.0, NAN], owner=["Bo", "Ann", "Ann"]
    )
    found = w.delayed_deals(deals, by=("owner",))
    assert ["D1", "D2", "D0"] == found.ids.tolist()
