"""Errors and warnings of the library.

Every error derives from `FunnelError` and from the built-in that a caller would catch anyway.
A message says what must hold, how many rows break it, the first offender by name, and what to do;
the same facts are attributes of the error, so that applications need not parse the text.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "ConformanceError",
    "CurrencyMismatchError",
    "ExtrapolationWarning",
    "FunnelError",
    "FunnelWarning",
    "InsufficientDataError",
    "LeakError",
    "MissingDependencyError",
    "PluginError",
    "ReadError",
    "SchemaMismatchError",
    "SmallSampleWarning",
    "UnknownColumnError",
    "UnknownModelError",
    "UnknownStageError",
    "ValidationError",
]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a hint that names the closest known names, or lists what is known.

    Parameters
    ----------
    name : str
        What the caller wrote.
    known : iterable of str
        What would have been accepted.

    Returns
    -------
    str
        One sentence.

    Examples
    --------
    >>> did_you_mean("Proposel", ["Qualify", "Propose"])
    "Did you mean 'Propose'?"
    >>> did_you_mean("xyz", ["Qualify", "Propose"])
    "Known: 'Qualify', 'Propose'."
    """
    names = list(dict.fromkeys(known))
    folded: dict[str, str] = {}
    for item in names:
        folded.setdefault(item.casefold(), item)
    close = difflib.get_close_matches(name.casefold(), folded, n=3, cutoff=0.6)
    if close:
        return f"Did you mean {' or '.join(repr(folded[match]) for match in close)}?"
    if not names:
        return "None are known."
    shown = ", ".join(repr(item) for item in names[:20])
    more = f" and {len(names) - 20:,} more" if len(names) > 20 else ""
    return f"Known: {shown}{more}."


def _restore(
    cls: type[FunnelError], args: tuple[object, ...], state: dict[str, object]
) -> FunnelError:
    """Rebuild an error that comes from another process."""
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class FunnelError(Exception):
    """Root of all errors raised on purpose by this library."""

    def __reduce__(self) -> tuple[object, ...]:
        """Travel between processes, whatever arguments the class takes."""
        return _restore, (type(self), self.args, dict(self.__dict__))


class ValidationError(FunnelError, ValueError):
    """A value breaks a rule of the domain.

    Attributes
    ----------
    column : str or None
        The parameter or column at fault.
    rows : tuple of int
        Positions of the offending rows (at most the first 100), empty for a scalar.
    count : int
        How many rows break the rule.
    """

    def __init__(
        self, message: str, *, column: str | None = None, rows: Iterable[int] = (), count: int = 0
    ) -> None:
        super().__init__(message)
        self.column = column
        self.rows = tuple(int(row) for row in rows)[:100]
        self.count = count or len(self.rows)

    @classmethod
    def from_rule(
        cls,
        column: str,
        rule: str,
        *,
        rows: Iterable[int],
        count: int,
        total: int,
        first: str,
        remedy: str,
    ) -> Self:
        """Build the four-part message for a rule that rows of a column break."""
        broken = f"{count:,} of {total:,} rows break{'s' if count == 1 else ''} this"
        message = f"{column} {rule}; {broken} (first: {first}). {remedy}"
        return cls(message, column=column, rows=rows, count=count)

    @classmethod
    def from_value(cls, name: str, rule: str, value: object, remedy: str) -> Self:
        """Build the message for one value that breaks a rule."""
        return cls(f"{name} {rule}, got {value!r}. {remedy}".rstrip(), column=name)


class SchemaMismatchError(ValidationError):
    """Two tables that must share funnel, columns and categories do not."""


class ReadError(FunnelError, ValueError):
    """A file or a frame cannot be read as what it is said to be."""


class CurrencyMismatchError(FunnelError, ValueError):
    """Amounts of different currencies would have been added up."""

    def __init__(self, currencies: Iterable[str]) -> None:
        self.currencies = tuple(currencies)
        listed = ", ".join(repr(currency) for currency in self.currencies)
        super().__init__(
            f"amounts must share one currency to be added up, found {listed}. "
            "Use convert(rates, on=...) first."
        )


class UnknownStageError(FunnelError, LookupError):
    """A stage name is not part of the funnel."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        self.name = name
        self.known = tuple(known)
        super().__init__(f"stage {name!r} is not in the funnel. {did_you_mean(name, self.known)}")

    @classmethod
    def from_rows(
        cls, name: str, known: Iterable[str], *, count: int, total: int, row: int
    ) -> Self:
        """Build the four-part message for rows of a column that name no stage."""
        error = cls(name, known)
        broken = f"{count:,} of {total:,} rows break{'s' if count == 1 else ''} this"
        hint = did_you_mean(name, error.known)
        rule = "stage must be one of the funnel's"
        error.args = (f"{rule}; {broken} (first: {name!r}, row {row}). {hint}",)
        return error


class UnknownColumnError(FunnelError, LookupError):
    """A column is not in the table."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        self.name = name
        self.known = tuple(known)
        super().__init__(f"column {name!r} is not in the table. {did_you_mean(name, self.known)}")


class UnknownModelError(FunnelError, LookupError):
    """No model or forecaster is registered under a name."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        self.name = name
        self.known = tuple(known)
        super().__init__(f"no model is called {name!r}. {did_you_mean(name, self.known)}")


class InsufficientDataError(FunnelError, ValueError):
    """There is too little history to estimate what was asked.

    Attributes
    ----------
    needed, found : int
        How many observations are needed and how many there are.
    """

    def __init__(self, what: str, *, needed: int, found: int, remedy: str) -> None:
        self.needed = needed
        self.found = found
        super().__init__(f"{what}: {needed:,} needed, {found:,} found. {remedy}")


class LeakError(FunnelError, ValueError):
    """A forecast would use what was not yet known at its `as_of`."""


class PluginError(FunnelError, RuntimeError):
    """An installed plugin cannot be loaded or breaks the rules of the registry."""


class ConformanceError(FunnelError, AssertionError):
    """A model breaks the contract of stage models.

    Attributes
    ----------
    checks : tuple of str
        Names of the checks of `funnel.testing` that it does not pass.
    """

    def __init__(self, message: str, *, checks: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.checks = tuple(checks)

    @classmethod
    def from_check(cls, check: str, rule: str, seen: str) -> Self:
        """Build the message of one check: what must hold, and what was seen."""
        return cls(f"{check}: {rule}; {seen}", checks=(check,))

    @classmethod
    def from_failures(cls, model: object, failures: Mapping[str, str], total: int) -> Self:
        """Build the message of all failures of one model, by name of the check."""
        head = f"{model!r} breaks {len(failures)} of {total} checks:"
        return cls("\n- ".join([head, *failures.values()]), checks=failures)


class MissingDependencyError(FunnelError, ImportError):
    """An optional dependency is not installed."""

    def __init__(self, package: str, extra: str) -> None:
        self.package = package
        self.extra = extra
        super().__init__(
            f"{package} is needed for this and is not installed. "
            f"Install it with: pip install 'salesfunnel[{extra}]'"
        )


class FunnelWarning(UserWarning):
    """Root of all warnings of this library."""


class ExtrapolationWarning(FunnelWarning):
    """An answer goes beyond what the history has seen."""


class SmallSampleWarning(FunnelWarning):
    """An answer rests on few observations."""
