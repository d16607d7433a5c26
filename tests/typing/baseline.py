"""What a user's type checker sees: checked by mypy and pyright, never run."""

from __future__ import annotations

from typing import assert_type

import numpy as np
import numpy.typing as npt

from funnel.errors import FunnelError, UnknownStageError, ValidationError
from funnel.typing import NO_DAY, DayArray


def errors_carry_data() -> None:
    """Attributes of errors are typed, and one root catches all."""
    try:
        raise UnknownStageError("Proposel", ["Qualify", "Propose"])
    except FunnelError as error:
        assert_type(error, FunnelError)

    wrong = ValidationError.from_value("amount", "must be >= 0", -5.0, "Correct it.")
    assert_type(wrong, ValidationError)
    assert_type(wrong.column, str | None)
    assert_type(wrong.rows, tuple[int, ...])


def days_of(days: DayArray) -> None:
    """Aliases are plain numpy arrays."""
    assert_type(days, npt.NDArray[np.int32])
    assert_type(np.equal(days, NO_DAY).any(), np.bool_)
