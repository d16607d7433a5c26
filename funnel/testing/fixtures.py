"""Small histories made by code, the same ones each time: every kind of path that a deal can take.

They are what the checks of `funnel.testing` fit a model on, and they serve for tests of your own.
Deals skip stages, go back, come again, are on hold, are lost and opened again, are removed, close
on the day they were created, or never close. Some were first seen in mid-stage, with and without a
known day of entry; some amounts, owners and promised days are unknown.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import numpy as np

from funnel.errors import ValidationError
from funnel.stages import Funnel, Stage
from funnel.tables import History

if TYPE_CHECKING:
    from collections.abc import Iterator

    from funnel.typing import DateArray

__all__ = [
    "OBSERVED_FROM",
    "OBSERVED_UNTIL",
    "PATHS",
    "dates",
    "history",
    "ladder",
    "tiny_histories",
]

OBSERVED_FROM = dt.date(2024, 1, 1)
"""First day on which changes were recorded; older deals enter late."""

OBSERVED_UNTIL = dt.date(2025, 6, 30)
"""Last day of `history`."""

PATHS: tuple[tuple[tuple[str, int], ...], ...] = (
    (("Qualify", 0), ("Propose", 12), ("Negotiate", 20), ("Won", 9)),
    (("Qualify", 0), ("Propose", 15), ("Lost", 25)),
    (("Qualify", 0), ("Negotiate", 18), ("Won", 14)),  # skips a stage
    (("Qualify", 0), ("Propose", 0), ("Lost", 31)),  # two stages on one day
    (("Qualify", 0), ("Propose", 10), ("Qualify", 8), ("Propose", 21), ("Won", 13)),  # goes back
    (("Qualify", 0), ("Propose", 11), ("On hold", 9), ("Propose", 30), ("Lost", 17)),
    (("Qualify", 0), ("Lost", 22)),
    (("Propose", 0), ("Negotiate", 16), ("Lost", 12), ("Negotiate", 19), ("Won", 11)),  # reopened
    (
        ("Qualify", 0),
        ("Propose", 14),
        ("Won", 10),
        ("Negotiate", 15),
        ("Lost", 40),
    ),  # won, then not
    (("Qualify", 0), ("Removed", 5)),
    (("Qualify", 0), ("Cancelled", 60)),
    (("Qualify", 0), ("Propose", 90), ("On hold", 60)),  # never closes
    (("Negotiate", 0), ("Won", 0)),  # closes on the day it was created
)
"""Paths of deals: states, and days since the state before. Deal i takes path ``i % len(PATHS)``."""

_FIRST_DEAL = dt.date(2023, 9, 1)
_AMOUNTS = (1_000.0, 5_000.0, None, 20_000.0, 0.0)
_OWNERS = ("Ann", "Bo", "", "Cy")
_NEWCOMER = dt.date(2025, 2, 1)
_REGIONS = ("north", "south", "west")


def ladder() -> Funnel:
    """Return the funnel of all fixtures; no deal of `history` ever enters its stage ``"Pilot"``.

    Examples
    --------
    >>> ladder().ids[:5]
    ('Qualify', 'Propose', 'Pilot', 'Negotiate', 'On hold')
    """
    stages = [
        Stage("Qualify", win_probability=0.1, category="pipeline"),
        Stage("Propose", win_probability=0.3, category="best case"),
        Stage("Pilot", win_probability=0.4),
        Stage("Negotiate", win_probability=0.6, category="commit"),
        Stage("On hold", win_probability=0.05, on_hold=True),
    ]
    return Funnel(stages, won="Won", lost=("Lost", "Cancelled"), removed="Removed")


def dates(as_of: int) -> DateArray:
    """Return days to ask for, from the next one to more than a year after `as_of`, (7,).

    Parameters
    ----------
    as_of : int
        Days since 1970-01-01.

    Returns
    -------
    (7,) datetime64[D]

    Examples
    --------
    >>> dates(0)[:3].tolist()
    [datetime.date(1970, 1, 2), datetime.date(1970, 1, 3), datetime.date(1970, 1, 8)]
    """
    return np.datetime64(as_of, "D") + np.array([1, 2, 7, 30, 91, 182, 400])


def _owner(deal: int, step: int, day: dt.date) -> str:
    """Say who has a deal: some are handed over, and one owner joins later than the others."""
    if deal % 3 == 0 and day >= _NEWCOMER:
        return "Zoe"
    return _OWNERS[(deal + step // 3) % len(_OWNERS)]


def _changes(deal: int) -> list[dict[str, Any]]:
    """Write down every change of one deal, whether or not somebody was there to see it."""
    path = PATHS[deal % len(PATHS)]
    created = day = _FIRST_DEAL + dt.timedelta(days=deal * 29 % 666)
    amount = _AMOUNTS[deal * 3 % len(_AMOUNTS)]
    promise = None if deal % 7 == 0 else day + dt.timedelta(days=60)
    rows = []
    for step, (state, gap) in enumerate(path):
        day += dt.timedelta(days=gap * (2 + deal % 5) // 2)
        if step and promise is not None and promise <= day:
            promise = day + dt.timedelta(days=20)  # pushed
        rows.append(
            {
                "id": f"D{deal:04}",
                "stage": state,
                "at": day,
                "created": created,
                "stage_entered": day if deal % 2 == 0 else None,
                "amount": np.nan if amount is None else amount * (1.0 + 0.1 * step),
                "expected_close": promise,
                "owner": _owner(deal, step, day),
                "region": _REGIONS[deal % len(_REGIONS)],
            }
        )
    return rows


def _seen(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Keep what was recorded: open deals that are older are first seen in mid-stage."""
    before = [row for row in rows if row["at"] < OBSERVED_FROM]
    seen = [row for row in rows if OBSERVED_FROM <= row["at"] <= OBSERVED_UNTIL]
    if not before:
        return [{**row, "stage_entered": row["at"]} for row in seen]
    if before[-1]["stage"] in {"Won", "Lost", "Cancelled", "Removed"}:
        return []
    return [{**before[-1], "at": OBSERVED_FROM}, *seen]


def _table(rows: list[dict[str, Any]]) -> History:
    """Build a history of rows."""
    days = ("at", "created", "stage_entered", "expected_close")
    columns: dict[str, Any] = {
        name: np.array([row[name] for row in rows], dtype="datetime64[D]" if name in days else None)
        for name in rows[0]
    }
    return History.from_columns(
        funnel=ladder(),
        currency="EUR",
        observed_from=OBSERVED_FROM,
        observed_until=OBSERVED_UNTIL,
        **columns,
    )


def _check_count(deals: object) -> None:
    """Demand a whole number >= 1."""
    if isinstance(deals, bool) or not isinstance(deals, int) or deals < 1:
        raise ValidationError.from_value("deals", "must be a whole number >= 1", deals, "")


def history(*, deals: int = 260) -> History:
    """Return the history of the first deals; it is the same one each time.

    Parameters
    ----------
    deals : int
        How many deals to make, at least 1. Those that had closed before `OBSERVED_FROM`, or begin
        after `OBSERVED_UNTIL`, are not in it.

    Returns
    -------
    History
        With amount, expected close, currency, and the attributes ``owner`` and ``region``.

    Raises
    ------
    ValidationError
        When `deals` is no whole number >= 1.

    Examples
    --------
    >>> history()
    History(240 deals, 739 rows, 2024-01-01 to 2025-06-30, 44 open, 83 won, 97 lost)
    """
    _check_count(deals)
    return _table([row for deal in range(deals) for row in _seen(_changes(deal))])


def tiny_histories() -> Iterator[tuple[str, History]]:
    """Yield histories from which little or nothing can be learnt, each with its name.

    Examples
    --------
    >>> [name for name, _ in tiny_histories()][:3]
    ['no deal', 'one open deal', 'one won deal']
    """
    rows = _changes(1)[:2]  # Qualify, Propose; an odd deal: the day of entry is unknown
    rows = [{**row, "stage_entered": row["at"]} for row in rows]
    rows = [{**row, "at": OBSERVED_FROM + dt.timedelta(days=9 * i)} for i, row in enumerate(rows)]
    first, second = ({**row, "created": None, "stage_entered": None} for row in rows)
    one = _table([first])
    yield "no deal", one.select(np.zeros(one.n_deals, dtype=np.bool_))
    yield "one open deal", one
    yield "one won deal", _table([first, {**second, "stage": "Won"}])
    yield "one lost deal", _table([first, {**second, "stage": "Lost"}])
    yield "one removed deal", _table([first, {**second, "stage": "Removed"}])
    yield "one deal won on its first day", _table([first, {**first, "stage": "Won"}])
    yield "one deal that was first seen as won", _table([{**first, "stage": "Won"}])
    late = {**first, "created": OBSERVED_FROM - dt.timedelta(days=400)}
    yield "one deal of unknown entry", _table([late])
    yield "three open deals", _table([{**first, "id": name} for name in "ABC"])
