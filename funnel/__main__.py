"""``python -m funnel`` is the command ``funnel``."""

from __future__ import annotations

from funnel.cli import main

main()
