"""What holds for every metric: chunks give the same, no loop over deals, no group is left out."""

import inspect
import json
import sys
from collections import Counter

import attrs
import numpy as np
import pytest

import funnel as fn
from funnel import metrics
from funnel.testing import fixtures

BY = ("region", "owner")
HALVES = fn.Horizon.custom(["2024-01-01", "2024-07-01", "2025-01-01"])
REGIONS = list(fixtures._REGIONS)
TARGETS = metrics.Targets.from_columns(
    target=[1e5] * 3, region=REGIONS, start="2025-01-01", end="2025-07-01"
)
COSTS = metrics.Costs.from_columns(
    cost=[1e4] * 3, region=REGIONS, start="2024-01-01", last="2024-12-31"
)
WINDOW = ("2025-01-01", "2025-04-01")
MINE = [
    metrics.AssignmentRule("Ann", where={"region": "north"}),
    metrics.AssignmentRule(["Bo", "Cy"]),
]

SOURCES = {  # of a history, or of chunks of it
    "attainment": lambda source: metrics.attainment(source, TARGETS),
    "channels": lambda source: metrics.channels(source, COSTS, opportunity="Propose"),
    "conversion": lambda source: metrics.conversion(source, by=BY, period="quarter"),
    "flow_matrix": lambda source: metrics.flow_matrix(source, by=BY, period="year"),
    "follow_up": lambda source: metrics.follow_up(source, by=BY, period=HALVES),
    "kept_promises": lambda source: metrics.kept_promises(
        source, by=BY, per=("period", "lead", "stage", "pushes")
    ),
    "lead_shares": lambda source: metrics.lead_shares(source, by=BY, period="quarter"),
    "league": lambda source: metrics.league(source, by=BY, period="year"),
    "loss_reasons": lambda source: metrics.loss_reasons(source, by=BY, period="quarter"),
    "lost_deals": lambda source: metrics.lost_deals(source, *WINDOW, by=BY),
    "pipeline_trend": lambda source: metrics.pipeline_trend(
        source, [*WINDOW, "2025-06-30"], by=BY, where={"region": ("north", "south")}
    ),
    "sales_cycle": lambda source: metrics.sales_cycle(source, by=BY, period="quarter"),
    "sales_velocity": lambda source: metrics.sales_velocity(source, by=BY, period="quarter"),
    "slippage": lambda source: metrics.slippage(source, by=BY, period="month"),
    "stage_durations": lambda source: metrics.stage_durations(source, by=BY, period="quarter"),
    "stage_table": lambda source: metrics.stage_table(source, by=BY, period="month"),
    "time_between": lambda source: metrics.time_between(
        source, "Propose", "Won", by=BY, period=HALVES
    ),
    "waterfall": lambda source: metrics.waterfall(
        source, *WINDOW, by=BY, promised=fn.Horizon.quarters("2025-01-01", 2)
    ),
    "watch": lambda source: metrics.watch(source, by=BY),
    "win_curve": lambda source: metrics.win_curve(source, by=BY, period="year"),
    "win_rates": lambda source: metrics.win_rates(source, by=BY, period="quarter", within=90),
}
WHOLE = {  # of all deals at once
    "assign_leads": lambda history: metrics.assign_leads(history.snapshot(), MINE),
    "booking_profile": lambda history: metrics.booking_profile(history, HALVES),
    "concentration": lambda history: metrics.concentration(
        history.snapshot(), by=BY, promised=fn.Horizon.quarters("2025-07-01", 2)
    ),
    "coverage_needed": lambda history: metrics.coverage_needed(
        history.snapshot(), TARGETS, chance=np.full(history.n_deals, 0.5)
    ),
    "delayed_deals": lambda history: metrics.delayed_deals(history.snapshot(), by=BY),
}
ALL = {**SOURCES, **WHOLE}


def test_every_metric_is_here():
    """Whatever asks for a source, a history or a pipeline, but for the summaries behind it."""
    asks = {
        name
        for name in metrics.__all__
        if inspect.isfunction(function := getattr(metrics, name))
        and not name.startswith("summarize_")
        and next(iter(inspect.signature(function).parameters), "")
        in {"source", "history", "pipeline"}
    }
    assert asks == set(ALL)


@pytest.mark.parametrize("name", SOURCES)
def test_chunks_give_the_same(name):
    """For 240 deals in chunks of 50: counts to the last digit, and the same notes."""
    history = fixtures.history()
    whole, parts = (SOURCES[name](source) for source in (history, list(history.chunks(50))))
    assert getattr(whole, "notes", ()) == getattr(parts, "notes", ())
    whole, parts = whole.to_columns(), parts.to_columns()
    assert list(whole) == list(parts)
    for column, values in whole.items():
        if values.dtype.kind == "f":
            np.testing.assert_allclose(values, parts[column], rtol=1e-12, err_msg=column)
        else:
            np.testing.assert_array_equal(values, parts[column], err_msg=column)


@pytest.mark.parametrize("name", sorted(set(ALL) - {"booking_profile"}))
def test_every_result_shows_itself(name):
    """As text, in a notebook, as a frame with all rows, and as JSON without NaN or infinity."""
    found = ALL[name](fixtures.history(deals=60))
    assert str(found).splitlines()[0] in found._repr_html_() or not found._title
    plain = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert len(found.to_frame()) == len(plain["rows"])
    assert plain["schema"].startswith("funnel.")


def work_of(metric, history):
    """Count the calls and the lines of Python code that a metric takes, by place."""
    lines, calls = Counter(), Counter()

    def trace(frame, event, _):
        """Count a line."""
        if event == "line":
            lines[frame.f_code.co_filename, frame.f_lineno] += 1
        return trace

    def profile(frame, event, _):
        """Count a call."""
        if event in {"call", "c_call"}:
            calls[frame.f_code.co_filename, frame.f_lineno] += 1

    before = sys.gettrace(), sys.getprofile()
    sys.settrace(trace)
    sys.setprofile(profile)
    try:
        metric(history)
    finally:
        sys.setprofile(before[1])
        sys.settrace(before[0])
    return lines, calls


@pytest.fixture(scope="module")
def small_and_large():
    """Ten times the deals, over the same days, with the same groups."""
    histories = fixtures.history(deals=390), fixtures.history(deals=3_900)
    for history in histories:
        history.pieces  # noqa: B018 - cached by the history
    return histories


NEXT = fn.Horizon.quarters("2025-04-01", 2)
LOOPS = {
    **ALL,
    "bridge": lambda history: fn.bridge_history(history, *WINDOW, NEXT, "win-rate", by=BY),
    "leak_rate": lambda history: metrics.leak_rate(history.ids, history.ids[::2]),
}


@pytest.mark.parametrize("name", LOOPS)
def test_there_is_no_loop_over_deals(name, small_and_large):
    """Ten times the deals take as many calls and lines of Python, but for a few more ages seen.

    A loop over the deals would add one line or call for each of the 3,510 more.
    """
    metric = LOOPS[name]
    few, many = (len(history.ids) for history in small_and_large)
    metric(small_and_large[0])  # what is imported on the first call
    fresh = [attrs.evolve(history) for history in small_and_large]  # they keep nothing yet
    for small, large in zip(*(work_of(metric, one) for one in fresh), strict=True):
        (place, most), *_ = (large - small).most_common(1) or [(None, 0)]
        assert large.total() - small.total() <= 0.1 * small.total() + 0.05 * (many - few), (
            place,
            most,
        )


def test_a_loop_over_deals_would_be_seen(small_and_large):
    """A comprehension over the deals is one line and no call, and is found."""

    def looped(history):
        """Go through the deals."""
        return [deal for deal in history.ids.tolist() if deal]

    small, large = (work_of(looped, history)[0].total() for history in small_and_large)
    assert large > 5 * small
