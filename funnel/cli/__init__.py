"""The command ``funnel``: forecasts, checks and simulations of files, from a terminal.

It needs the extra ``cli``. A command exits with 0 when it is done, with 1 when the data are wrong
(one sentence on stderr) and with 2 when it was called wrongly.
"""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING

from funnel.errors import MissingDependencyError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line, and leave with its exit code.

    Parameters
    ----------
    arguments : sequence of str, optional
        What follows the name of the command; those of this process by default.

    Raises
    ------
    SystemExit
        Always, with the exit code.

    Examples
    --------
    >>> main(["models"])
    Traceback (most recent call last):
        ...
    SystemExit: 0
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # Chinese must come out whatever the locale, and a file name may be no text at all.
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    try:
        from funnel.cli._app import app  # noqa: PLC0415 - typer is an extra
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package == "funnel":
            raise
        sys.stderr.write(f"error: {MissingDependencyError(package, 'cli')}\n")
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)  # as from within a command
    app(arguments, prog_name="funnel")
