"""Tables of opportunities: histories, snapshots, stays and outcomes, as columns."""

from funnel.tables._outcomes import Outcomes, outcomes
from funnel.tables._spells import Spells, spells
from funnel.tables.findings import Finding, Findings
from funnel.tables.history import Feature, History
from funnel.tables.pipeline import Pipeline
from funnel.tables.schema import Column, Schema
from funnel.tables.table import Table

__all__ = [
    "Column",
    "Feature",
    "Finding",
    "Findings",
    "History",
    "Outcomes",
    "Pipeline",
    "Schema",
    "Spells",
    "Table",
    "outcomes",
    "spells",
]
