"""Results as text: tables for people, JSON and CSV for programs."""

from __future__ import annotations

import csv
import io
import json
import math
from typing import TYPE_CHECKING, Any

from funnel._display import text_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy as np

    from funnel.forecasting import Forecast


def to_json(value: object) -> str:
    """Return JSON text; letters of every script stay readable, and what is infinite is null."""
    return json.dumps(_finite(value), ensure_ascii=False, allow_nan=False, indent=2)


def _finite(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Return a value as JSON can hold it."""
    if isinstance(value, dict):
        return {name: _finite(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def to_csv(columns: Mapping[str, np.ndarray[Any, Any]]) -> str:
    """Return columns of one length as CSV text with a header."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*(values.tolist() for values in columns.values()), strict=True))
    return text.getvalue().removesuffix("\n")


def to_table(records: Sequence[Mapping[str, str]]) -> str:
    """Return records, at least one and all with the same keys, as an aligned table."""
    return text_table(list(records[0]), [list(record.values()) for record in records])


def write_forecast(forecast: Forecast, folder: Path, *, target: float | None) -> tuple[Path, Path]:
    """Write ``forecast.csv`` and ``forecast.json`` to a folder, which is made if missing."""
    folder.mkdir(parents=True, exist_ok=True)
    table, record = files_in(folder)
    table.write_text(to_csv(forecast.to_columns(target=target)) + "\n", encoding="utf-8")
    record.write_text(to_json(forecast.to_dict(target=target)) + "\n", encoding="utf-8")
    return table, record


def files_in(folder: Path) -> tuple[Path, Path]:
    """Name the files that `write_forecast` writes."""
    return folder / "forecast.csv", folder / "forecast.json"
