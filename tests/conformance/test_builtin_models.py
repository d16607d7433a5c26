"""Every stage model that comes with the library keeps the contract, one test for each rule."""

from __future__ import annotations

import pytest

from funnel.models import StageModel, registry
from funnel.models.textbook import Textbook
from funnel.models.win_rate import WinRate
from funnel.testing import CHECKS, parametrize_with_checks

BUILT_IN = [registry.get(name) for name in registry.BUILT_IN]
STAGE_MODELS = [model for model in BUILT_IN if isinstance(model, StageModel)]
SLOW = [model for model in STAGE_MODELS if model.name in {"hazard-regression", "learned"}]
OTHER_PARAMETERS = [Textbook(overdue_after=None, undated_after=90), WinRate(minimum=1)]


@parametrize_with_checks([*(m for m in STAGE_MODELS if m not in SLOW), *OTHER_PARAMETERS])
def test_contract(model, check):
    """A built-in model keeps the rule."""
    check(model)


@pytest.mark.deep
@parametrize_with_checks(SLOW)
def test_contract_of_slow_models(model, check):
    """So do the models whose checks take more than a minute together."""
    check(model)


def test_the_list_is_not_empty():
    """There are built-in stage models, and rules for them."""
    assert {"textbook", "win-rate"} <= {model.name for model in STAGE_MODELS}
    assert len(CHECKS) == len({check.__name__ for check in CHECKS}) >= 24
