"""What a combinator chose, as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import attrs

from funnel.kernels.labels import texts
from funnel.results import Columns, ResultTable

if TYPE_CHECKING:
    from funnel.typing import FloatArray

__all__ = ["Choice"]


@attrs.frozen(eq=False)
class Choice(ResultTable):
    """What a combinator chose for a horizon, and why.

    Parameters
    ----------
    model : (c,) str
        Members.
    weight : (c,) float64
        In the pool; they add up to 1.
    log_score : (c,) float64
        Mean log score per open deal over the past windows, the lower the better; NaN for none.
    windows : int
        Past windows looked at.
    lead : int
        Days ahead for which members were weighed.
    said : tuple of str
        Repairs, and fallbacks taken.
    """

    percents: ClassVar[frozenset[str]] = frozenset({"weight"})

    model: tuple[str, ...]
    weight: FloatArray
    log_score: FloatArray
    windows: int
    lead: int
    said: tuple[str, ...]

    def to_columns(self) -> Columns:
        """Return one row for each member."""
        return {"model": texts(self.model), "weight": self.weight, "log_score": self.log_score}

    @property
    def _title(self) -> str:
        """Return the heading."""
        return f"Weights from {self.windows} past windows of {self.lead} days"

    @property
    def _notes(self) -> tuple[str, ...]:
        """Return repairs and fallbacks."""
        return self.said
