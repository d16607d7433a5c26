"""The simulated tables that all benchmarks share: 8 stages, loops and skips, 1,000 owners.

Deals are drawn by chains of stages that all move at once, not one by one; the simulated company of
`funnel.datasets` knows more of the world, and is too slow for ten million deals.
"""

from __future__ import annotations

import attrs
import numpy as np

import funnel as fn
from funnel.tables.codes import encode

STAGES = 8
OWNERS = 1_000
AS_OF = np.datetime64("2026-06-30")
LAST = int(AS_OF.astype(np.int64))
WINDOW = 800  # days in which deals are created
DAYS = 55.0  # mean days in a stage
WON, LOST = STAGES, STAGES + 1

FUNNEL = fn.Funnel(
    [fn.Stage(f"S{number}", win_probability=0.1 * (number + 1)) for number in range(STAGES)]
)
PROBABILITY = 0.1 * np.arange(1, STAGES + 1)
YEAR = fn.Horizon.months("2026-07-01", 12)


def _moves() -> np.ndarray:
    """Return cumulative chances of the next state by stage: ahead, skipping, back, won, lost."""
    chance = np.zeros((STAGES, STAGES + 2))
    for stage in range(STAGES):
        chance[stage, min(stage + 1, WON)] += 0.56
        chance[stage, min(stage + 2, WON)] += 0.1
        chance[stage, max(stage - 1, 0)] += 0.08 if stage else 0.0
        chance[stage, LOST] = 1.0 - chance[stage].sum()
    return chance.cumsum(axis=1)


def ids(deals: int) -> np.ndarray:
    """Return sorted ids of one length."""
    return (np.arange(deals) + 10 ** len(str(deals))).astype(np.dtypes.StringDType())


def changes(deals: int) -> dict[str, np.ndarray]:
    """Return a change log sorted by deal and day: deal, at, stage, amount."""
    rng = np.random.default_rng(1)
    moves = _moves()
    deal = np.arange(deals, dtype=np.int32)
    day = (LAST - rng.integers(0, WINDOW, deals)).astype(np.int32)
    stage = np.zeros(deals, dtype=np.int16)
    parts = [(deal, day, stage)]
    while len(deal):
        drawn, following = rng.random(len(deal)), np.zeros(len(deal), dtype=np.int16)
        for column in moves.T[:-1]:
            following += drawn > column[stage]
        day = day + 1 + rng.geometric(1.0 / DAYS, len(deal)).astype(np.int32)
        seen = day <= LAST
        deal, day, stage = deal[seen], day[seen], following[seen]
        parts.append((deal, day, stage))
        going = stage < STAGES
        deal, day, stage = deal[going], day[going], stage[going]
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    order = np.argsort(columns[0], kind="stable")
    deal, day, stage = (column[order] for column in columns)
    amount = np.round(rng.lognormal(9.0, 1.0, deals), 2)[deal]
    return {"deal": deal, "at": day, "stage": stage, "amount": amount}


def _few_rows(table: type, **days: object) -> object:
    """Return a table of one row, whose schema larger ones share."""
    return table.from_columns(
        funnel=FUNNEL, id=["A"], stage=["S0"], amount=[1.0], currency="EUR", **days
    )


def history(deals: int) -> fn.History:
    """Return the change log as a history."""
    columns = changes(deals)
    small = _few_rows(
        fn.History, at=[AS_OF], observed_from=AS_OF - 2 * WINDOW, observed_until=AS_OF
    )
    first = np.flatnonzero(np.append(True, np.diff(columns["deal"]) > 0))
    rows = len(columns["deal"])
    kept = {
        "amount": columns["amount"],
        "currency": np.zeros(rows, dtype=small.columns["currency"].dtype),
        "expected_close": np.full(rows, small.columns["expected_close"][0], dtype=np.int32),
    }
    return attrs.evolve(
        small,
        ids=ids(deals),
        created=columns["at"][first],
        first_entered=columns["at"][first],
        deal=columns["deal"],
        at=columns["at"],
        stage=columns["stage"],
        columns=kept,
    )


def pipeline(deals: int) -> fn.Pipeline:
    """Return open deals with amounts, owners and promised days within the next year."""
    rng = np.random.default_rng(2)
    small = fn.Pipeline.from_columns(
        funnel=FUNNEL,
        as_of=AS_OF,
        id=ids(OWNERS),
        stage=np.zeros(OWNERS, dtype=np.int16),
        amount=np.ones(OWNERS),
        currency="EUR",
        owner=np.array([f"O{number:03}" for number in range(OWNERS)]),
    )

    def repeated(values: np.ndarray) -> np.ndarray:
        """Return as many of the same value."""
        return np.full(deals, values[0], dtype=values.dtype)

    entered = (LAST - rng.integers(0, 720, deals)).astype(np.int32)
    names = ("created", "closed_on", "first_seen", "visits", "previous_stage", "furthest_stage")
    same = {name: repeated(getattr(small, name)) for name in (*names, "pushes", "reopened")}
    return attrs.evolve(
        small,
        ids=ids(deals),
        stage=rng.integers(0, STAGES, deals).astype(np.int16),
        stage_entered=entered,
        days_in_stage=(LAST - entered).astype(np.int32),
        **same,
        columns={
            **{name: repeated(values) for name, values in small.columns.items()},
            "amount": rng.lognormal(9.0, 1.0, deals),
            "expected_close": (
                YEAR.edges[0] + rng.integers(0, YEAR.edges[-1] - YEAR.edges[0], deals)
            ).astype(np.int32),
            "owner": rng.integers(0, OWNERS, deals).astype(small.columns["owner"].dtype),
        },
    )


def built(table: fn.Pipeline) -> fn.Pipeline:
    """Return the table as `Pipeline.from_columns` leaves it: with its codes, and without sums."""
    found = attrs.evolve(table)
    encode(found)
    return found


def months(table: fn.Pipeline) -> np.ndarray:
    """Return the month of each promised day as a small code."""
    return YEAR.period_of(table.expected_close).astype(np.uint8)
