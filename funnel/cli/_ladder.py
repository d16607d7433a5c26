"""The ladder of stages that a file is read with: a template, a file of its own, or a draft."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from funnel.cli._talk import usage
from funnel.errors import FunnelError, ReadError, did_you_mean
from funnel.stages import Funnel

if TYPE_CHECKING:
    from funnel.stages import Stage


def load(text: str, language: str | None) -> Funnel:
    """Return the ladder that ``--funnel`` names."""
    path = Path(text)
    if text in Funnel.templates():
        with usage("--language"):
            return Funnel.template(text, language=language or "en")
    if path.suffix.lower() != ".json" and not path.exists():
        hint = did_you_mean(text, Funnel.templates())
        raise typer.BadParameter(
            f"must be a JSON file or a template, got {text!r}. {hint}", param_hint="--funnel"
        )
    if language is not None:
        raise typer.BadParameter("chooses the labels of a template", param_hint="--language")
    try:
        return Funnel.from_json(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError:
        msg = f"{path} must be JSON in UTF-8 and is no text in it. Save it as UTF-8."
        raise ReadError(msg) from None
    except FunnelError as error:
        msg = f"{path} holds no ladder of stages: {error}"
        raise ReadError(msg) from error


def written(funnel: Funnel) -> str:
    """Return a drafted ladder, of names and aliases, as short JSON to be saved and corrected."""
    plain: dict[str, Any] = {
        "schema": funnel.to_dict()["schema"],
        "stages": [_short(stage) for stage in funnel.stages],
        "won": _short(funnel.won),
        "lost": [_short(stage) for stage in funnel.lost],
        "removed": _short(funnel.removed),
    }
    return json.dumps(plain, ensure_ascii=False)


def _short(stage: Stage) -> Any:  # noqa: ANN401 - a name, or what else is known
    """Return a state by its name where nothing else is known of it."""
    return {"id": stage.id, "aliases": list(stage.aliases)} if stage.aliases else stage.id
