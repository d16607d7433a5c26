"""Promised closing days against scripted deals and a plain loop over days."""

import numpy as np
import pytest
from hypothesis import given

import funnel as fn
from funnel.errors import UnknownColumnError, ValidationError
from funnel.metrics.slippage import ENDS, KEPT, kept_promises, slippage
from funnel.stages import Outcome
from funnel.testing.strategies import histories
from funnel.typing import NO_DAY

LADDER = fn.Funnel(["Qualify", "Propose"])
# deal, day, state, promise: one deal for each end of its last promise
ROWS = [
    ("pushed", "01-05", "Qualify", "02-10"),
    ("pushed", "01-20", "Propose", "02-20"),  # by 10 days
    ("pulled", "01-05", "Qualify", "02-10"),
    ("pulled", "01-20", "Qualify", "02-05"),
    ("withdrawn", "01-05", "Qualify", "02-10"),
    ("withdrawn", "01-20", "Qualify", None),
    ("won", "01-05", "Qualify", "02-10"),
    ("won", "02-11", "Won", "02-10"),  # a day late
    ("lost", "01-05", "Qualify", "02-10"),
    ("lost", "02-09", "Lost", "02-10"),
    ("removed", "01-05", "Qualify", "02-10"),
    ("removed", "02-09", "Removed", "02-10"),
    ("standing", "01-05", "Qualify", "04-10"),
    ("none", "01-05", "Qualify", None),
]


def build(rows=ROWS, **changes):
    """Build a history of rows of 2026."""
    ids, at, stages, promises = zip(*rows, strict=True)
    columns = {
        "funnel": LADDER,
        "id": ids,
        "at": [f"2026-{day}" for day in at],
        "stage": stages,
        "expected_close": [None if day is None else f"2026-{day}" for day in promises],
        "owner": ["Ann"] * len(rows),
        "observed_until": "2026-03-31",
    }
    return fn.History.from_columns(**{**columns, **changes})


def test_each_promise_has_one_end():
    """Nine promises: those moved end there, and their successors still stand past their day."""
    found = slippage(build())
    ends = dict(zip(ENDS, found.ends[0].tolist(), strict=True))
    assert ends == {
        "pushed": 1,
        "pulled": 1,
        "withdrawn": 1,
        "won": 1,
        "lost": 1,
        "removed": 1,
        "standing": 3,
    }
    assert [[1, 2]] == found.late.tolist()  # won a day late; moved promises that have passed
    assert [10.0] == found.days.tolist()


def test_one_definition_of_a_push():
    """Counted by hand: over a reopening there is none, over a gap there is one, within a day none.

    The promises that end as pushed are as many as the pushes of the deals.
    """
    rows = [
        ("reopened", "01-05", "Qualify", "01-31"),
        ("reopened", "01-20", "Lost", "01-31"),
        ("reopened", "02-10", "Qualify", "03-15"),  # a new promise
        ("reopened", "02-20", "Qualify", "03-31"),  # one push
        ("gap", "01-05", "Qualify", "01-31"),
        ("gap", "01-20", "Qualify", None),
        ("gap", "02-10", "Qualify", "03-15"),  # one push, 36 days after the promise
        ("same", "01-05", "Qualify", "01-31"),
        ("same", "01-20", "Qualify", None),
        ("same", "02-10", "Qualify", "01-31"),  # it stands again
        ("day", "01-05", "Qualify", "01-31"),
        ("day", "01-20", "Qualify", "02-28"),
        ("day", "01-20", "Qualify", "01-31"),  # corrected on the same day
        ("blank", "01-05", "Qualify", "01-31"),
        ("blank", "01-20", "Qualify", None),
        ("blank", "01-25", "Won", None),
    ]
    history = build(rows)
    pushes = dict(zip(history.ids.tolist(), history.snapshot().pushes.tolist(), strict=True))
    assert {"reopened": 1, "gap": 1, "same": 0, "day": 0, "blank": 0} == pushes
    ends = dict(zip(ENDS, slippage(history).ends[0].tolist(), strict=True))
    assert {"pushed": 2, "lost": 1, "withdrawn": 1, "standing": 4} == {
        name: n for name, n in ends.items() if n
    }


def test_the_share_pushed_has_the_standing_censored():
    """All nine promises stood for 15 days; one was pushed then, and none later."""
    found = slippage(build())
    assert np.allclose(1 / 9, found.rate)
    assert found.low[0] < 1 / 9 < found.high[0]


def test_factors_and_periods_make_rows():
    """The second promise of 'pushed' was made in Propose, after one push."""
    columns = slippage(build(), per=("stage", "pushes"), by=("owner",), period="month").to_columns()
    rows = np.flatnonzero(columns["promises"])
    seen = {
        (columns["period"][r], columns["stage"][r], columns["pushes"][r]): columns["promises"][r]
        for r in rows
    }
    assert seen == {
        ("2026-02", "Qualify", "0"): 7,  # all but the one that was pushed, and that for April
        ("2026-02", "Propose", "1"): 1,
    }
    assert ["Ann"] == sorted(set(columns["owner"]))
    notes = slippage(build(), period="month").notes
    assert "1 promises lie outside of the periods" in notes


def test_promises_kept_by_lead_time():
    """By the quarter's end; the one for April is not decided."""
    found = kept_promises(build(), leads=(7, 30))
    columns = found.to_columns()
    assert ["0-7 days", "8-30 days", "over 30 days"] == columns["lead"].tolist()
    # "won" was promised with 36 days left, had 30 and then 7 left, and was won a day late.
    assert [1, 1, 1] == columns["won"].tolist()
    # All seven promises of 5 January begin with more than 30 days left, one of them for April, and
    # so does the one of 20 January that was pushed to 20 February.
    assert 7 == columns["n"][-1]
    # The one for April had 95 and 10 days left on days that count.
    assert ("2 cases are left out: their period is not over yet",) == found.notes


def test_promises_kept_by_promised_period():
    """By month: all decided cases are of February, of which the deal "won" has three of each lead.

    The rows of the months add up to the table without them.
    """
    months = kept_promises(build(), per=("period", "lead"), period="month", leads=(7, 30))
    columns = months.to_columns()
    assert ["2026-01", "2026-02", "2026-03"] == list(dict.fromkeys(columns["period"]))
    whole = kept_promises(build(), per=("lead",), period="month", leads=(7, 30))
    np.testing.assert_array_equal(
        whole.outcomes, months.outcomes.reshape(3, 3, len(KEPT)).sum(axis=0)
    )
    assert [0, 0, 0] == months.outcomes.sum(axis=1)[:3].tolist()
    assert np.isnan(months.chance[:3]).all()
    with pytest.raises(ValidationError, match="factors"):
        kept_promises(build(), per=("period", "period"))


def loop(history, leads, unit_end):
    """Count (lead, kept) by a loop over promises and days."""
    found = {}
    for deal in range(history.n_deals):
        rows = np.flatnonzero(history.deal == deal)
        by_day = {int(history.at[r]): int(r) for r in rows}
        state, stint, seen = None, None, set()
        for day in range(int(history.at[rows[0]]), history.observed_until + 1):
            state = by_day.get(day, state)
            promise = int(history.columns["expected_close"][state])
            is_open = history.funnel.outcomes[history.stage[state]] == Outcome.OPEN
            if not is_open:
                stint = None
            if not is_open or promise == NO_DAY:
                continue
            if stint != promise:
                stint, seen = promise, set()
            lead = promise - day
            if lead < 0:
                continue
            group = int(np.searchsorted(leads, lead))
            end = unit_end(promise)
            if group in seen or end > history.observed_until:
                continue
            seen.add(group)
            last = max(d for d in by_day if d <= end)
            outcome = int(history.funnel.outcomes[history.stage[by_day[last]]])
            kept = len(KEPT) - 1 if outcome == 0 else outcome - 1
            found[group, kept] = found.get((group, kept), 0) + 1
    return found


def month_end(day):
    """Return the last day of the month."""
    month = np.datetime64(day, "D").astype("datetime64[M]")
    return int((month + 1).astype("datetime64[D]").astype(int)) - 1


@given(histories(min_deals=1))
def test_kept_promises_are_those_of_a_loop(history):
    """For every history, by lead time."""
    found = kept_promises(history, period="month", leads=(7, 30))
    rows, kept = np.nonzero(found.outcomes)
    cases = zip(rows.tolist(), kept.tolist(), found.outcomes[rows, kept].tolist(), strict=True)
    assert loop(history, (7, 30), month_end) == {(row, end): n for row, end, n in cases}


@given(histories(min_deals=1))
def test_promises_begin_and_end_alike(history):
    """What stands is what the snapshot promises, and chunks give the same table."""
    found = slippage(history, per=("stage", "pushes"), by=("owner",))
    assert str(found) == str(slippage(history.chunks(2), per=("stage", "pushes"), by=("owner",)))
    kept = kept_promises(history, per=("pushes", "lead"))
    assert str(kept) == str(kept_promises(history.chunks(2), per=("pushes", "lead")))
    pushed, standing = (found.ends[:, ENDS.index(name)].sum() for name in ("pushed", "standing"))
    at_the_end = history.snapshot()
    assert at_the_end.pushes.sum() == pushed
    promised = (at_the_end.outcome == Outcome.OPEN) & (at_the_end.expected_close != NO_DAY)
    assert np.count_nonzero(promised) == standing
    assert (pushed > 0) == bool(np.nansum(found.days) > 0)


@pytest.mark.parametrize(
    ("measure", "question", "error", "message"),
    [
        (slippage, {"per": ("lead",)}, ValidationError, "factors of pushes, stage"),
        (slippage, {"per": "stage"}, ValidationError, "sequence"),
        (slippage, {"by": ("ownr",)}, UnknownColumnError, "'ownr'"),
        (slippage, {"level": 1.0}, ValidationError, "level"),
        (kept_promises, {"per": ("lead", "lead")}, ValidationError, "different"),
        (kept_promises, {"leads": ()}, ValidationError, "leads"),
        (kept_promises, {"leads": (30, 7)}, ValidationError, "rising"),
        (kept_promises, {"period": "day"}, ValidationError, "week, month, quarter, year"),
    ],
)
def test_wrong_questions(measure, question, error, message):
    """Each names what is wrong."""
    with pytest.raises(error, match=message):
        measure(build(), **question)


def test_promises_need_a_history():
    """The last promise alone says nothing about slippage."""
    history = build(known={"expected_close": "final"})
    for measure in (slippage, kept_promises):
        with pytest.raises(ValidationError, match="only the last value is known"):
            measure(history)


def test_nothing_promised():
    """No promise: rows with n = 0 and unknown rates."""
    history = build([("A", "01-05", "Qualify", None)])
    assert np.isnan(slippage(history).rate).all()
    assert np.isnan(kept_promises(history).chance).all()
    assert "0" in str(kept_promises(history))
