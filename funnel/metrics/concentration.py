"""How much of the open money hangs on few deals, owners or customers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import attrs
import numpy as np

from funnel._display import percent
from funnel.calendars import to_date
from funnel.errors import ValidationError
from funnel.kernels.arrays import frozen
from funnel.kernels.labels import texts
from funnel.metrics._ages import ratio
from funnel.metrics._groups import GroupedTable, Scope
from funnel.metrics._weights import checked_chances
from funnel.stages import Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from funnel.calendars import Horizon
    from funnel.tables import Pipeline
    from funnel.typing import BoolArray, FloatArray, IntArray, StringArray

__all__ = ["Concentration", "concentration"]

DEAL = "deal"


@attrs.frozen(eq=False, str=False)
class Concentration(GroupedTable):
    """Concentration of the open money; see `concentration`.

    One row for deals and one for each column of `per`, in each group and period, (r,) each.

    Parameters
    ----------
    scope : Scope
        The groups and periods behind the rows.
    as_of : int
        Day of the snapshot; its end.
    currency : str
        Of the money.
    per : tuple of str
        What the money is split by: ``"deal"`` first, then the columns.
    cells : (c,) int64
        Group and period of each block of rows.
    deals : (r,) int64
        Open deals whose amount is known.
    money : (r,) float64
        All of it, in major units.
    units : (r,) int64
        Deals, owners, customers ... with open money.
    top : tuple of int
        Sizes of the leading groups, t.
    shares : (r, t) float64
        Share of the money that the largest 1, 5 ... units hold; NaN without money.
    effective, effective_entropy : (r,) float64
        Effective number of units: 1 / sum of squared shares, and exp of the entropy of the shares.
    largest : (r,) str
        The largest unit; empty where there is none.
    without_largest : (r,) float64
        The money without it.
    notes : tuple of str
        What is not in the table.
    """

    scope: Scope
    as_of: int
    currency: str
    per: tuple[str, ...]
    cells: IntArray
    deals: IntArray
    money: FloatArray
    units: IntArray
    top: tuple[int, ...]
    shares: FloatArray
    effective: FloatArray
    effective_entropy: FloatArray
    largest: StringArray
    without_largest: FloatArray
    notes: tuple[str, ...]

    def to_columns(self) -> dict[str, Any]:
        """Return one row for deals and for each column, in each group and period."""
        found = self.scope.columns(self.cells, len(self.per))
        found.pop("observed", None)
        return {
            **found,
            "per": np.tile(texts(self.per), len(self.cells)),
            "deals": self.deals,
            "units": self.units,
            **{f"top_{n}": self.shares[:, place] for place, n in enumerate(self.top)},
            "effective": self.effective,
            "effective_entropy": self.effective_entropy,
            "largest": self.largest,
            "money": self.money,
            "without_largest": self.without_largest,
        }

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        """Return headers and rows as text, shares in per cent."""
        headers, rows = super()._cells()
        first = headers.index("units") + 1
        for row, shares in zip(rows, self.shares.tolist(), strict=True):
            row[first : first + len(self.top)] = [percent(share) for share in shares]
        return headers, rows

    @property
    def _title(self) -> str:
        """Return the heading."""
        unit = f" {self.currency}" if self.currency else ""
        money = self.money[:: len(self.per)].sum()
        return f"Concentration of {money:,.0f}{unit}, as of {to_date(self.as_of)}"

    @property
    def _notes(self) -> tuple[str, ...]:
        """Return what is not in the table."""
        return self.notes


class _Measures(NamedTuple):
    """Of each of c cells; ``largest`` is the number of a unit, -1 where there is none."""

    units: IntArray
    shares: FloatArray
    effective: FloatArray
    entropy: FloatArray
    largest: IntArray
    without: FloatArray


def _measures(
    place: IntArray, unit: IntArray, money: FloatArray, cells: int, top: Sequence[int]
) -> _Measures:
    """(m,), (m,), (m,), c, t -> how the money of each cell lies on its units."""
    width = int(unit.max(initial=0)) + 1
    key, inverse = np.unique(place * width + unit, return_inverse=True)
    total_of = np.bincount(inverse, money, minlength=len(key))
    where, who = np.divmod(key, width)
    order = np.lexsort((who, -total_of, where))
    where, who = where[order], who[order]
    held: FloatArray = total_of[order].astype(np.float64)

    def summed(values: FloatArray | BoolArray) -> FloatArray:
        """Add up by cell."""
        return np.asarray(np.bincount(where, values, minlength=cells), dtype=np.float64)

    first = np.searchsorted(where, np.arange(cells))
    some = np.bincount(where, minlength=cells) > 0
    rank = np.arange(len(where)) - first[where]
    total = summed(held)
    share = ratio(held, total[where])
    positive = np.where(share > 0.0, share, 1.0)
    leading = np.array([summed(np.where(rank < n, share, 0.0)) for n in top]).T
    head = first[some]
    largest, best = np.full(cells, -1), np.zeros(cells)
    largest[some], best[some] = who[head], held[head]
    paid = total > 0.0
    return _Measures(
        units=summed(held > 0.0).astype(np.int64),
        shares=np.where(paid[:, None], np.minimum(leading, 1.0), np.nan),
        effective=ratio(np.ones(cells), np.where(paid, summed(share**2), 0.0)),
        entropy=np.where(paid, np.exp(-summed(positive * np.log(positive))), np.nan),
        largest=largest,
        without=total - best,
    )


def _check_top(top: Sequence[object]) -> tuple[int, ...]:
    """Return rising whole numbers from 1 on."""
    found = tuple(n for n in top if isinstance(n, int) and not isinstance(n, bool) and n >= 1)
    if not found or len(found) < len(top) or list(found) != sorted(set(found)):
        rule = "must be rising whole numbers >= 1"
        raise ValidationError.from_value("top", rule, tuple(top), "(1, 5, 10) is the default.")
    return found


def concentration(
    pipeline: Pipeline,
    /,
    *,
    per: Sequence[str] = ("owner",),
    by: Sequence[str] = (),
    promised: Horizon | None = None,
    chance: npt.ArrayLike | None = None,
    top: Sequence[int] = (1, 5, 10),
) -> Concentration:
    """Measure how much of the open money hangs on few deals, owners or customers.

    Parameters
    ----------
    pipeline : Pipeline
        The snapshot; open deals count, those on hold too.
    per : sequence of str
        Category columns on whose values the money hangs, each looked at by itself:
        ``("owner", "customer")``. Deals without a value count as one unit.
    by : sequence of str
        Category columns: rows for each group, such as each region.
    promised : Horizon, optional
        Rows for the deals promised (expected to close) in each of these periods.
    chance : (n,) array-like, optional
        Chance to be won of each deal, for instance of a fitted model: the money is then the
        expected money. Full amounts by default.
    top : sequence of int
        Sizes of the leading groups.

    Returns
    -------
    Concentration

    Raises
    ------
    UnknownColumnError, ValidationError
        When a column is not there or is not made of categories, or a chance is no probability.
    CurrencyMismatchError
        When amounts are of several currencies.

    Notes
    -----
    With shares s of the money, the effective number of units is ``1 / sum of s^2`` (the inverse of
    the Herfindahl index), and in its second form ``exp(-sum of s log s)``, which gives small units
    more weight (numbers of order 2 and 1 of Hill 1973, doi:10.2307/1934352). Both are the number of
    equally large units that would be as concentrated. Unknown amounts are left out, and a note
    says how many.

    Examples
    --------
    >>> import funnel as fn
    >>> pipeline = fn.Pipeline.from_columns(
    ...     funnel=fn.Funnel(["Qualify"]), as_of="2026-06-30", id=["A", "B", "C", "D"],
    ...     stage=["Qualify"] * 4, amount=[400.0, 200.0, 200.0, 200.0],
    ...     owner=["Ann", "Ann", "Bo", "Bo"],
    ... )
    >>> found = concentration(pipeline, top=(1, 3))
    >>> found.shares.tolist()
    [[0.4, 0.8], [0.6, 1.0]]
    >>> found.effective.tolist(), found.without_largest.tolist()
    ([3.571428571, 1.923076923], [600.0, 400.0])
    """
    sizes = _check_top(top)
    scope = Scope.at(pipeline, by, promised)
    splits = [Scope.at(pipeline, (name,), None) for name in _columns(per)]
    rows = np.flatnonzero(pipeline.outcome == Outcome.OPEN)
    weight = np.ones(len(rows)) if chance is None else checked_chances(pipeline, chance, rows)
    money = pipeline.amount[rows] * weight
    cell = scope.cells(pipeline, rows, pipeline.expected_close[rows])
    known, inside = ~np.isnan(pipeline.amount[rows]), cell >= 0
    cells = scope.shown(scope.groups(pipeline, rows))
    used = rows[known & inside]
    place, worth = np.searchsorted(cells, cell[known & inside]), money[known & inside]
    units: list[tuple[IntArray, StringArray]] = [(used, pipeline.ids)]
    units += [(split.groups(pipeline, used), texts(split.categories[0])) for split in splits]
    found = [_measures(place, unit, worth, len(cells), sizes) for unit, _ in units]
    n = len(units)
    total, deals = (np.bincount(place, weights, minlength=len(cells)) for weights in (worth, None))
    return Concentration(
        scope=scope,
        as_of=pipeline.as_of,
        currency=pipeline.select(rows).currency,
        per=(DEAL, *per),
        cells=frozen(cells),
        deals=frozen(np.repeat(deals, n)),
        money=frozen(np.repeat(total, n)),
        units=frozen(_rows([part.units for part in found])),
        top=sizes,
        shares=frozen(_rows([part.shares for part in found])),
        effective=frozen(_rows([part.effective for part in found])),
        effective_entropy=frozen(_rows([part.entropy for part in found])),
        largest=frozen(
            _rows([_named(part, names) for part, (_, names) in zip(found, units, strict=True)])
        ),
        without_largest=frozen(_rows([part.without for part in found])),
        notes=_notes(int(np.count_nonzero(~known)), int(np.count_nonzero(~inside))),
    )


def _columns(per: Sequence[str]) -> Sequence[str]:
    """Demand a sequence of columns."""
    if isinstance(per, str):
        remedy = f"Put the single column into a tuple: per=({per!r},)."
        raise ValidationError.from_value("per", "must be a sequence of columns", per, remedy)
    return per


def _rows(parts: Sequence[np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
    """(c, ...) of each split -> (c * splits, ...): the splits of each cell in a row."""
    joined = np.stack(parts, axis=1)
    return joined.reshape(-1, *joined.shape[2:])


def _named(found: _Measures, names: StringArray) -> StringArray:
    """(c,): the largest units by name."""
    largest = np.full(len(found.largest), "", dtype=object)
    some = found.largest >= 0
    name = names[found.largest[some]]
    largest[some] = np.where(name == "", "(unknown)", name)
    return largest


def _notes(unknown: int, outside: int) -> tuple[str, ...]:
    """Say what is not in the table."""
    notes = []
    if unknown:
        notes.append(f"{unknown:,} open deals without an amount are left out")
    if outside:
        notes.append(f"{outside:,} open deals are promised for no period of the table")
    return tuple(notes)
