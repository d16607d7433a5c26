"""Files and dataframes in: change logs and tables of deals, read into a `History`.

Needs the extra ``arrow`` (pyarrow), and ``frames`` (narwhals) for dataframes; nothing is loaded
before it is used.
"""

from funnel.io.changes import Layout, read_history
from funnel.io.deals import read_deals
from funnel.io.presets import PRESETS, Preset
from funnel.io.scanning import Partition, Scan, scan
from funnel.io.submissions import read_submissions
from funnel.io.suggest import suggest_funnel

__all__ = [
    "PRESETS",
    "Layout",
    "Partition",
    "Preset",
    "Scan",
    "read_deals",
    "read_history",
    "read_submissions",
    "scan",
    "suggest_funnel",
]
