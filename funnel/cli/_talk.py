"""What the command line says beside its result: one line each, on stderr, and the exit codes."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from typing import TYPE_CHECKING, NoReturn

import typer

from funnel.errors import FunnelError, FunnelWarning, MissingDependencyError

if TYPE_CHECKING:
    from collections.abc import Iterator

WRONG_DATA = 1
WRONG_USAGE = 2
INTERRUPTED = 130  # as shells report a process that was stopped with Ctrl-C


def _say(kind: str, text: object) -> None:
    """Write one line to stderr."""
    typer.echo(f"{kind}: {' '.join(str(text).splitlines())}", err=True)


def note(text: str) -> None:
    """Say what the reader of a result must know."""
    _say("note", text)


def fail(text: object, code: int = WRONG_DATA) -> NoReturn:
    """Say what is wrong, and leave."""
    _say("error", text)
    raise typer.Exit(code)


def _warn(message: Warning | str, *place: object, **more: object) -> None:
    """Show a warning as a sentence, without the line of code that gave it."""
    del place, more
    _say("warning", message)


def _system(error: OSError) -> str:
    """Say in words what the system refused, and for which file."""
    said = error.strerror or str(error)
    return said if error.filename is None else f"{error.filename}: {said}"


@contextlib.contextmanager
def guarded() -> Iterator[None]:
    """Turn what can go wrong in a command into one line and an exit code; never a traceback."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", FunnelWarning)
            warnings.showwarning = _warn
            yield
    except BrokenPipeError:
        # The reader of a pipe has seen enough; Python itself still flushes stdout when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(0) from None
    except MissingDependencyError as error:
        fail(error, WRONG_USAGE)
    except FunnelError as error:
        fail(error)
    except OSError as error:
        fail(_system(error))
    except MemoryError as error:
        fail(f"there is not enough memory for this. {error}".rstrip())
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None


@contextlib.contextmanager
def usage(option: str) -> Iterator[None]:
    """Turn an error of the library about the value of an option into one of usage."""
    try:
        yield
    except FunnelError as error:
        raise typer.BadParameter(str(error), param_hint=option) from None
