"""Deals of several chunks in one table."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np

from funnel.tables import Pipeline

__all__ = ["stacked"]


def stacked(one: Pipeline, two: Pipeline) -> Pipeline:
    """Return the deals of both tables, which share schema and day.

    Raises
    ------
    SchemaMismatchError
        When the schemas differ.
    """
    one.schema.require_same(two.schema)
    shared = {"schema", "as_of", "columns"}
    names = [str(field.alias) for field in attrs.fields(Pipeline) if field.name not in shared]
    arrays: dict[str, Any] = {
        name: np.concatenate((getattr(one, name), getattr(two, name))) for name in names
    }
    columns = {
        name: np.concatenate((values, two.columns[name])) for name, values in one.columns.items()
    }
    return attrs.evolve(one, columns=columns, **arrays)
