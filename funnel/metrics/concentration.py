"""How much of the open money hangs on few deals, owners or customers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from funnel._display import percent
from funnel.calendars import to_date
from funnel.errors import ValidationError
from funnel.kernels.arrays import frozen
from funnel.kernels.labels import factorize, texts
from funnel.metrics._lost_deals import group_columns
from funnel.metrics._weights import checked_chances
from funnel.results import ResultTable
from funnel.stages import Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from funnel.tables import Pipeline
    from funnel.typing import FloatArray, IntArray, StringArray

__all__ = ["Concentration", "concentration"]

DEAL = "deal"


@attrs.frozen(eq=False, str=False)
class Concentration(ResultTable):
    """Concentration of the open money, one row for deals and one for each column.

    See `concentration`.

    Parameters
    ----------
    as_of : int
        Day of the snapshot; its end.
    currency : str
        Of the money.
    per : tuple of str
        What the money is split by, r: ``"deal"`` first, then the columns.
    units : (r,) int64
        Deals, owners, customers ... with open money.
    money : float
        All of it, in major units.
    top : tuple of int
        Sizes of the leading groups, t.
    shares : (r, t) float64
        Share of the money that the largest 1, 5 ... units hold; NaN without money.
    effective, effective_entropy : (r,) float64
        Effective number of units: 1 / sum of squared shares, and exp of the entropy of the shares.
    largest : (r,) str
        The largest unit.
    without_largest : (r,) float64
        The money without it.
    notes : tuple of str
        What is not in the table.
    """

    as_of: int
    currency: str
    per: tuple[str, ...]
    units: IntArray
    money: float
    top: tuple[int, ...]
    shares: FloatArray
    effective: FloatArray
    effective_entropy: FloatArray
    largest: StringArray
    without_largest: FloatArray
    notes: tuple[str, ...]

    def to_columns(self) -> dict[str, Any]:
        """Return one row for deals and for each column."""
        return {
            "per": texts(self.per),
            "units": self.units,
            **{f"top_{n}": self.shares[:, place] for place, n in enumerate(self.top)},
            "effective": self.effective,
            "effective_entropy": self.effective_entropy,
            "largest": self.largest,
            "without_largest": self.without_largest,
        }

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        """Return headers and rows as text, shares in per cent."""
        headers, rows = super()._cells()
        for row, shares in zip(rows, self.shares.tolist(), strict=True):
            row[2 : 2 + len(self.top)] = [percent(share) for share in shares]
        return headers, rows

    @property
    def _title(self) -> str:
        """Return the heading."""
        unit = f" {self.currency}" if self.currency else ""
        return f"Concentration of {self.money:,.0f}{unit}, as of {to_date(self.as_of)}"

    @property
    def _notes(self) -> tuple[str, ...]:
        """Return what is not in the table."""
        return self.notes


def _measures(money: FloatArray, top: Sequence[int]) -> tuple[FloatArray, float, float]:
    """(u,), t -> (t,), (), (): shares of the leading units, effective numbers of units."""
    total = money.sum()
    if not total > 0.0:
        return np.full(len(top), np.nan), np.nan, np.nan
    share = np.sort(money)[::-1] / total
    leading = np.minimum(np.cumsum(share), 1.0)
    places = np.minimum(np.asarray(top), len(share)) - 1
    some = share[share > 0.0]
    entropy = -np.sum(some * np.log(some))
    return leading[places], float(1.0 / np.sum(share**2)), float(np.exp(entropy))


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
    by: Sequence[str] = ("owner",),
    chance: npt.ArrayLike | None = None,
    top: Sequence[int] = (1, 5, 10),
) -> Concentration:
    """Measure how much of the open money hangs on few deals, owners or customers.

    Parameters
    ----------
    pipeline : Pipeline
        The snapshot; open deals count, those on hold too.
    by : sequence of str
        Category columns, each looked at by itself: ``("owner", "customer")``. Deals without a
        value count as one unit.
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
    rows = np.flatnonzero(pipeline.outcome == Outcome.OPEN)
    deals = pipeline.select(rows)
    weight = np.ones(len(rows)) if chance is None else checked_chances(pipeline, chance, rows)
    known = ~np.isnan(deals.amount)
    money = np.where(known, deals.amount, 0.0) * weight
    columns = group_columns(deals, by)
    per = (DEAL, *columns)
    split = [_by_unit(deals.ids[known], money[known])]
    split += [_by_unit(values[known], money[known]) for values in columns.values()]
    found = [_measures(sums, sizes) for _, sums in split]
    largest = [_largest(*unit) for unit in split]
    unknown = int(np.count_nonzero(~known))
    note = f"{unknown:,} open deals without an amount are left out"
    total = float(money.sum())
    return Concentration(
        as_of=pipeline.as_of,
        currency=deals.currency,
        per=per,
        units=frozen(np.array([np.count_nonzero(sums > 0.0) for _, sums in split])),
        money=total,
        top=sizes,
        shares=frozen(np.array([shares for shares, _, _ in found])),
        effective=frozen(np.array([number for _, number, _ in found])),
        effective_entropy=frozen(np.array([number for _, _, number in found])),
        largest=frozen(texts([name for name, _ in largest])),
        without_largest=frozen(total - np.array([amount for _, amount in largest])),
        notes=(note,) if unknown else (),
    )


def _by_unit(names: StringArray, money: FloatArray) -> tuple[list[str], FloatArray]:
    """Add up money by name; the names are sorted."""
    found, place = factorize(names)
    return found, np.bincount(place, money, minlength=len(found)).astype(np.float64)


def _largest(names: list[str], money: FloatArray) -> tuple[str, float]:
    """Return the largest unit and its money."""
    if not names:
        return "", 0.0
    place = int(np.argmax(money))
    return names[place] or "(unknown)", float(money[place])
