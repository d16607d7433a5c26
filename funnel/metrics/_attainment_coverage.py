"""Open pipeline that the targets need, by the chances of the deals themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import attrs
import numpy as np

from funnel.calendars import to_date
from funnel.errors import ValidationError
from funnel.kernels.labels import texts
from funnel.metrics._ages import ratio, wilson
from funnel.results import ResultTable
from funnel.stages import Outcome

if TYPE_CHECKING:
    import numpy.typing as npt

    from funnel.metrics._attainment_rows import PeriodAmounts
    from funnel.tables import Pipeline
    from funnel.typing import FloatArray, IntArray, StringArray

__all__ = ["Coverage", "measure"]

UNKNOWN, OVER = "not in the pipeline", "period is over"


@attrs.frozen(eq=False)
class Coverage(ResultTable):
    """Open pipeline against what is needed, see `coverage_needed`.

    Parameters
    ----------
    targets : Targets
        Groups, periods and targets, n rows.
    booked, new : (n,) float64
        Booked in the period so far, and expected from deals that are not open yet.
    deals : (n,) int64
        Open deals of the group whose amount is known.
    open_amount : (n,) float64
        Their amounts.
    expected : (n,) float64
        Sum of chance x amount: what they are expected to bring within the period.
    conversion, low, high : (n,) float64
        Expected / open amount, with its interval; NaN without an open amount, or when the period
        is over.
    mark : (n,) str
        ``""``, ``"not in the pipeline"`` or ``"period is over"``.
    as_of : int
        Day (its end) of the pipeline.
    notes : tuple of str
        What to mind.
    """

    percents: ClassVar[frozenset[str]] = frozenset({"conversion", "low", "high"})

    targets: PeriodAmounts
    booked: FloatArray
    new: FloatArray
    deals: IntArray
    open_amount: FloatArray
    expected: FloatArray
    conversion: FloatArray
    low: FloatArray
    high: FloatArray
    mark: StringArray
    as_of: int
    notes: tuple[str, ...]

    @property
    def gap(self) -> FloatArray:
        """What the open deals must bring: target - booked - new, (n,)."""
        return self.targets.amount - self.booked - self.new

    @property
    def needed(self) -> FloatArray:
        """Open amount needed: gap / conversion, 0 where nothing is missing, (n,)."""
        return _needed(self.gap, self.conversion)

    @property
    def coverage(self) -> FloatArray:
        """Open amount / gap, as commonly quoted; NaN where nothing is missing, (n,)."""
        return ratio(self.open_amount, self.gap)

    @property
    def coverage_needed(self) -> FloatArray:
        """The coverage that is enough: 1 / conversion, in the place of "3x", (n,)."""
        return ratio(np.ones(len(self.targets)), self.conversion)

    @property
    def shortfall(self) -> FloatArray:
        """Open amount still to be found: needed - open amount; negative: enough, (n,)."""
        return self.needed - self.open_amount

    def to_columns(self) -> dict[str, Any]:
        """Return one row for each group and period."""
        return {
            **self.targets.keys,
            "period": self.targets.labels,
            "target": self.targets.amount,
            "booked": self.booked,
            "new": self.new,
            "gap": self.gap,
            "deals": self.deals,
            "open_amount": self.open_amount,
            "expected": self.expected,
            "conversion": self.conversion,
            "low": self.low,
            "high": self.high,
            "coverage": self.coverage,
            "coverage_needed": self.coverage_needed,
            "needed": self.needed,
            "needed_low": _needed(self.gap, self.high),
            "needed_high": _needed(self.gap, self.low),
            "shortfall": self.shortfall,
            "mark": self.mark,
        }

    @property
    def _title(self) -> str:
        """Return the heading."""
        return f"Open pipeline needed for the targets, as of {to_date(self.as_of)}"

    @property
    def _notes(self) -> tuple[str, ...]:
        """Return what to mind."""
        return self.notes


def _needed(gap: FloatArray, conversion: FloatArray) -> FloatArray:
    """(n,), (n,) -> (n,): open amount that brings the gap; NaN where nothing converts."""
    return np.where(gap <= 0.0, 0.0, ratio(gap, conversion))


def _chances(pipeline: Pipeline, chance: npt.ArrayLike, periods: int) -> FloatArray:
    """Return chances by deal and period, (n, p); those of closed deals are never read."""
    found = np.asarray(chance, dtype=np.float64)
    found = found[:, None] if found.ndim == 1 and periods == 1 else found
    if found.shape != (len(pipeline), periods):
        rule = f"must be of shape ({len(pipeline)}, {periods}): one value a deal and period"
        raise ValidationError.from_value("chance", rule, found.shape, "")
    broken = ~((found >= 0.0) & (found <= 1.0)).all(axis=1) & (pipeline.outcome == Outcome.OPEN)
    rows = np.flatnonzero(broken)
    if len(rows):
        raise ValidationError.from_rule(
            "chance",
            "must lie in [0, 1] for open deals",
            rows=rows[:100],
            count=len(rows),
            total=len(found),
            first=f"{str(pipeline.ids[rows[0]])!r}, row {rows[0]}, {found[rows[0]].tolist()}",
            remedy="Give the chance to be won within each period, not the curve.",
        )
    return found


def _given(name: str, values: npt.ArrayLike, n: int) -> FloatArray:
    """Return one known amount a row of the targets."""
    found = np.array(values, dtype=np.float64)
    if found.shape != (n,) or not np.all(np.isfinite(found)):
        rule = f"must hold one known amount for each of the {n:,} targets"
        raise ValidationError.from_value(name, rule, found.tolist(), "")
    return found


def _booked(pipeline: Pipeline, targets: PeriodAmounts) -> FloatArray:
    """(n,): known amounts of the won deals of the pipeline, by row of the targets."""
    own, sizes = targets.own_codes(pipeline.schema)
    won = np.flatnonzero((pipeline.outcome == Outcome.WON) & ~np.isnan(pipeline.amount))
    group = targets.codes_of(pipeline.columns, won, sizes)
    place = targets.locate(own, group, pipeline.closed_on[won])
    inside = place >= 0
    return np.bincount(
        place[inside], weights=pipeline.amount[won[inside]], minlength=len(targets)
    ).astype(np.float64)


def _open_sums(
    pipeline: Pipeline, targets: PeriodAmounts, chance: FloatArray
) -> tuple[FloatArray, int]:
    """(4, n): deals, amount, squared amount, chance x amount; and how many have no target."""
    own, sizes = targets.own_codes(pipeline.schema)
    deals = np.flatnonzero((pipeline.outcome == Outcome.OPEN) & ~np.isnan(pipeline.amount))
    amount = pipeline.amount[deals]
    group = targets.codes_of(pipeline.columns, deals, sizes)
    found = np.zeros((4, len(targets)))
    covered = np.zeros(len(deals), dtype=np.bool_)
    distinct, period = targets.periods()
    codes, of_group = np.unique(group, return_inverse=True)
    for at in range(len(distinct)):
        rows = np.flatnonzero((period == at) & np.isin(own, codes))
        row = np.full(len(codes), -1, dtype=np.int64)
        row[np.searchsorted(codes, own[rows])] = rows
        place = row[of_group]
        inside = np.flatnonzero(place >= 0)
        covered[inside] = True
        money, place = amount[inside], place[inside]
        for line, weights in enumerate(
            (np.ones(len(inside)), money, money**2, money * chance[deals[inside], at])
        ):
            found[line] += np.bincount(place, weights=weights, minlength=len(targets))
    return found, int(np.count_nonzero(~covered))


def measure(
    pipeline: Pipeline,
    targets: PeriodAmounts,
    chance: npt.ArrayLike,
    *,
    booked: npt.ArrayLike | None,
    new: npt.ArrayLike | None,
    level: float,
) -> Coverage:
    """Compare the open pipeline with what the targets need, see `coverage_needed`."""
    n = len(targets)
    is_open = pipeline.outcome == Outcome.OPEN
    targets.check_currency((pipeline.currency,))
    chances = _chances(pipeline, chance, len(targets.periods()[0]))
    won = _booked(pipeline, targets) if booked is None else _given("booked", booked, n)
    sums, uncovered = _open_sums(pipeline, targets, chances)
    count, money, squares, expected = sums
    conversion = ratio(expected, money)
    # As many equal deals as spread the amount alike: (sum a)^2 / sum a^2, Kish 1965.
    weight = np.nan_to_num(ratio(money**2, squares))
    low, high = wilson(np.nan_to_num(conversion) * weight, weight, level)
    known = targets.own_codes(pipeline.schema)[0] >= 0
    over = targets.end <= pipeline.as_of + 1
    hidden, past = (np.where(mask, 0.0, np.nan) for mask in (known, ~over))
    notes = []
    if not np.any(pipeline.outcome == Outcome.WON) and booked is None:
        notes.append("the pipeline holds no won deals: nothing counts as booked (booked=)")
    unpriced = int(np.count_nonzero(is_open & np.isnan(pipeline.amount)))
    if unpriced:
        notes.append(f"{unpriced:,} open deals have no known amount and are left out")
    if uncovered:
        notes.append(f"{uncovered:,} open deals are of groups without a target")
    if not known.all():
        notes.append(f"{np.count_nonzero(~known):,} targets are of groups not in the pipeline")
    return Coverage(
        targets=targets,
        booked=won + hidden,
        new=np.zeros(n) if new is None else _given("new", new, n),
        deals=count.astype(np.int64),
        open_amount=money + hidden,
        expected=expected + hidden,
        conversion=conversion + past,
        low=low + past,
        high=high + past,
        mark=texts(np.where(known, np.where(over, OVER, ""), UNKNOWN).astype(object)),
        as_of=pipeline.as_of,
        notes=tuple(notes),
    )
