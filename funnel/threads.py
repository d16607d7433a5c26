"""How many threads work on one table."""

from __future__ import annotations

from funnel.errors import ValidationError
from funnel.kernels import threads

__all__ = ["set_threads"]


def set_threads(number: int, /) -> None:
    """Set how many threads work on one table, for the whole process.

    No result depends on it, not by its last bit. A second thread takes its share of looking up,
    counting, adding up and gathering; sums of amounts are made by two at most, and snapshots of
    many days are prepared by one while the caller works with the one before. Tables of less than
    one or two million rows are worked on by the caller alone, but for ``hazard-regression``, which
    takes long for each deal: threads share its deals from some thousand on.

    Parameters
    ----------
    number : int
        1 or more; by default 2 (1 where the machine has one core), or what the environment variable
        ``FUNNEL_THREADS`` said when funnel was imported.

    Raises
    ------
    ValidationError
        When it is not a whole number >= 1.

    Examples
    --------
    >>> set_threads(2)
    """
    threads.put(_whole(number))


def _whole(number: object) -> int:
    """Demand a whole number >= 1."""
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise ValidationError.from_value("number", "must be a whole number >= 1", number, "")
    return number
