"""For authors of models: the contract as a list of checks, histories to try, random ones to prove.

``check_model(MyModel())`` in a test is all that a plugin needs. `fixtures` has small histories
without randomness; `strategies` has random ones for hypothesis, and is loaded when first imported.
"""

from funnel.testing import fixtures
from funnel.testing.checks import CHECKS, Report, check_model, parametrize_with_checks
from funnel.testing.forecasters import FORECASTER_CHECKS, check_forecaster

__all__ = [
    "CHECKS",
    "FORECASTER_CHECKS",
    "Report",
    "check_forecaster",
    "check_model",
    "fixtures",
    "parametrize_with_checks",
]
