"""A pool of fitted models, which is a fitted model itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import attrs
import numpy as np

from funnel.kernels import levels
from funnel.kernels.arrays import frozen
from funnel.models import HasDraw

if TYPE_CHECKING:
    from funnel.models import FittedModel
    from funnel.tables import Pipeline
    from funnel.typing import DateArray, FloatArray

__all__ = ["FittedBlend", "pool"]


@attrs.frozen(eq=False)
class FittedBlend:
    """Fitted models, pooled by the weighted mean of their logits.

    Parameters
    ----------
    models : tuple of FittedModel
        Those that have a weight.
    weights : (c,) float64
        They add up to 1.
    """

    models: tuple[FittedModel, ...]
    weights: FloatArray = attrs.field(converter=frozen)

    @property
    def trained_until(self) -> int:
        """Last day of the history."""
        return max(model.trained_until for model in self.models)

    @property
    def needs(self) -> tuple[str, ...]:
        """What any of the models needs."""
        return tuple(sorted({need for model in self.models for need in model.needs}))

    def notes(self, pipeline: Pipeline, /) -> tuple[str, ...]:
        """Return what any of the models says about a pipeline, each once."""
        said = [note for model in self.models for note in _notes(model, pipeline)]
        return tuple(dict.fromkeys(said))

    def win_curve(self, pipeline: Pipeline, dates: DateArray, /) -> FloatArray:
        """Return the chance to be won by each date: (n, k)."""
        chances = np.stack([model.win_curve(pipeline, dates) for model in self.models])
        found = levels.pooled(chances, self.weights) if len(self.models) > 1 else chances[0]
        return np.maximum.accumulate(found, axis=1)


@attrs.frozen(eq=False)
class FittedBlendOfDraws(FittedBlend):
    """A pool of models whose parameters can be drawn: so can its own."""

    def draw(self, rng: np.random.Generator, /) -> Self:
        """Return the pool of one draw of each model, at the same weights."""
        drawn = (model.draw(rng) for model in self.models if isinstance(model, HasDraw))
        return attrs.evolve(self, models=tuple(drawn))


def pool(models: tuple[FittedModel, ...], weights: FloatArray) -> FittedModel:
    """Pool fitted models; one alone stays what it is, and draws stay draws where all have them."""
    if len(models) == 1:
        return models[0]
    if all(isinstance(model, HasDraw) for model in models):
        return FittedBlendOfDraws(models, weights)
    return FittedBlend(models, weights)


def _notes(model: FittedModel, pipeline: Pipeline) -> tuple[str, ...]:
    """Return the notes of a model that has some."""
    return tuple(getattr(model, "notes", lambda _: ())(pipeline))
