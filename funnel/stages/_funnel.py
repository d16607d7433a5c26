"""The ladder: stages in their order, and what counts as won and lost."""

from __future__ import annotations

import functools
import hashlib
import json
from typing import TYPE_CHECKING, Any, Self

import attrs
import numpy as np

from funnel.errors import UnknownStageError, ValidationError, did_you_mean
from funnel.stages import _fields, _states, _templates
from funnel.stages._lookup import to_codes
from funnel.stages._stage import ForecastCategory, Outcome, Stage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy.typing as npt

    from funnel.typing import BoolArray, FloatArray

__all__ = ["Funnel"]

FUNNEL_SCHEMA = "funnel.Funnel/1"


def _frozen(values: Iterable[Any], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Make a read-only array."""
    array = np.array(list(values), dtype=dtype)
    array.flags.writeable = False
    return array


def _or_nan(value: float | None) -> float:
    """Return a number that may be missing."""
    return np.nan if value is None else value


@attrs.frozen(repr=False)
class Funnel:
    """An ordered list of stages with a terminal *won* and *lost*.

    A state code is a position in `states`: the stages in their order, won, the lost states, and
    removed (deals that were deleted).

    Parameters
    ----------
    stages : iterable of str or Stage
        The ladder from top to bottom, on-hold and retired stages included.
    won : str or Stage
        The state of won deals.
    lost : str, Stage, or an iterable of them
        The states of lost deals.
    removed : str or Stage
        The state of deleted deals.
    name : str
        Name of the funnel.
    after_won : iterable of str or Stage
        Stages of the second funnel that won deals feed (repeat purchase, upsell),
        ``Funnel(funnel.after_won)``; they have no code here.

    Raises
    ------
    ValidationError
        When there is no working stage, a name could mean two states (ids, labels and aliases are
        compared without case and width), or what is typed about an outcome contradicts it.

    Examples
    --------
    >>> stages = ["Qualify", Stage("Propose", win_probability=0.5)]
    >>> funnel = Funnel(stages, lost=("Lost", "Cancelled"))
    >>> funnel
    Funnel(Qualify > Propose 50% > Won)
    >>> funnel.code("propose"), funnel.won_code, funnel.lost_codes
    (1, 2, (3, 4))
    >>> Funnel.template("project", language="zh")
    Funnel('project': 目标 0% > 潜在 10% > 意向 20% > 立项 30% > 方案认可 50% > 商务谈判 70% > 成交)
    """

    stages: tuple[Stage, ...] = attrs.field(converter=_states.ladder)
    won: Stage = attrs.field(default=Stage("Won"), kw_only=True, converter=_states.state)
    lost: tuple[Stage, ...] = attrs.field(
        default=(Stage("Lost"),), kw_only=True, converter=_states.states
    )
    removed: Stage = attrs.field(default=Stage("Removed"), kw_only=True, converter=_states.state)
    name: str = attrs.field(
        default="", kw_only=True, converter=_fields.stripped, validator=_states.check_title
    )
    after_won: tuple[Stage, ...] = attrs.field(default=(), kw_only=True, converter=_states.states)

    def __attrs_post_init__(self) -> None:
        """Demand a working stage, a lost state, and names that mean one state each."""
        _states.check_usable(self)
        _states.check_outcomes(self)
        for states in (self.states, self.after_won):
            _states.index(states)

    def __repr__(self) -> str:
        steps = [_states.shown(stage) for stage in self.stages]
        if len(steps) > 8:
            steps = [*steps[:6], f"... {len(steps) - 7} more", steps[-1]]
        title = f"{self.name!r}: " if self.name else ""
        return f"Funnel({title}{' > '.join([*steps, self.won.label])})"

    # -- states ----------------------------------------------------------------------------------

    @functools.cached_property
    def states(self) -> tuple[Stage, ...]:
        """All states in the order of their codes: the stages, won, lost, removed."""
        return (*self.stages, self.won, *self.lost, self.removed)

    @functools.cached_property
    def ids(self) -> tuple[str, ...]:
        """Stable ids of all states."""
        return tuple(state.id for state in self.states)

    @functools.cached_property
    def labels(self) -> tuple[str, ...]:
        """Labels of all states."""
        return tuple(state.label for state in self.states)

    @property
    def n_stages(self) -> int:
        """Number of stages, on-hold and retired ones included."""
        return len(self.stages)

    @property
    def won_code(self) -> int:
        """Code of won."""
        return len(self.stages)

    @property
    def lost_codes(self) -> tuple[int, ...]:
        """Codes of the lost states."""
        return tuple(range(self.won_code + 1, self.won_code + 1 + len(self.lost)))

    @property
    def removed_code(self) -> int:
        """Code of removed."""
        return len(self.states) - 1

    @functools.cached_property
    def outcomes(self) -> npt.NDArray[np.int8]:
        """Code of the `Outcome` of each state, (s,)."""
        opened, lost = [Outcome.OPEN] * len(self.stages), [Outcome.LOST] * len(self.lost)
        return _frozen([*opened, Outcome.WON, *lost, Outcome.REMOVED], np.int8)

    @functools.cached_property
    def on_hold(self) -> BoolArray:
        """Whether the clock stops in each state, (s,)."""
        return _frozen((state.on_hold for state in self.states), np.bool_)

    @functools.cached_property
    def ladder(self) -> npt.NDArray[np.int16]:
        """Position of each state on the ladder, (s,): 0 at the top, won last, -1 beside it."""
        running = (self.outcomes <= Outcome.WON) & ~self.on_hold
        return _frozen(np.where(running, np.cumsum(running) - 1, -1), np.int16)

    @functools.cached_property
    def probabilities(self) -> FloatArray:
        """Typed win probability of each state, (s,): NaN where none is typed, won 1, lost 0."""
        typed = [_or_nan(stage.win_probability) for stage in self.stages]
        return _frozen([*typed, 1.0, *[0.0] * (len(self.lost) + 1)], np.float64)

    @functools.cached_property
    def standard_days(self) -> FloatArray:
        """Standard days of each state, (s,); NaN where there are none."""
        return _frozen((_or_nan(state.standard_days) for state in self.states), np.float64)

    @functools.cached_property
    def categories(self) -> npt.NDArray[np.int8]:
        """Position of each state's category in ``tuple(ForecastCategory)``, (s,); -1 for none."""
        order: list[ForecastCategory | None] = list(ForecastCategory)
        places = (order.index(state.category) if state.category else -1 for state in self.states)
        return _frozen(places, np.int8)

    # -- names to codes --------------------------------------------------------------------------

    @functools.cached_property
    def _codes(self) -> Mapping[str, int]:
        """Code by folded name."""
        return _states.index(self.states)

    @functools.cached_property
    def _names(self) -> tuple[str, ...]:
        """All names, the ids first."""
        return (*self.ids, *(name for state in self.states for name in state.names[1:]))

    def code(self, name: str) -> int:
        """Return the code of a state by its id, label, label in any language, or alias.

        Case and width of the letters do not count.

        Raises
        ------
        UnknownStageError
            When there is none; the message suggests close names.

        Examples
        --------
        >>> funnel = Funnel.template("project")
        >>> funnel.code("Target"), funnel.code("目标")
        (0, 0)
        """
        if isinstance(name, str):
            found = self._codes.get(_fields.fold(name))
            if found is not None:
                return found
        raise UnknownStageError(str(name), self._names)

    def stage(self, name: str) -> Stage:
        """Return the state called `name`, see `code`.

        Raises
        ------
        UnknownStageError
            When there is none.

        Examples
        --------
        >>> Funnel(["Qualify", "Propose"]).stage("propose")
        Stage('Propose')
        """
        return self.states[self.code(name)]

    def codes(self, names: Any) -> npt.NDArray[np.int16]:  # noqa: ANN401 - any array-like
        """Return the codes of many names, or check codes: (n,) -> (n,) int16.

        Raises
        ------
        UnknownStageError
            Naming the first row that is no state, and how many rows there are.
        ValidationError
            When it is no column of text or of whole numbers.

        Examples
        --------
        >>> Funnel(["Qualify", "Propose"]).codes(["Propose", "won", "QUALIFY"]).tolist()
        [1, 2, 0]
        """
        codes = self._codes
        return to_codes(
            names, lambda name: codes.get(_fields.fold(name), -1), self._names, len(self.states)
        )

    # -- variants and storage --------------------------------------------------------------------

    def with_probabilities(self, probabilities: Mapping[str, float | None]) -> Self:
        """Return the funnel with other typed win probabilities, by stage name; None takes one away.

        Raises
        ------
        UnknownStageError
            When a name is not a state.
        ValidationError
            When a name is not an open stage, a stage is named twice, or a probability is not
            between 0 and 1.

        Examples
        --------
        >>> Funnel(["Qualify", "Propose"]).with_probabilities({"propose": 0.4})
        Funnel(Qualify > Propose 40% > Won)
        """
        stages, typed = list(self.stages), set[int]()
        for name, probability in probabilities.items():
            code = self.code(name)
            if code >= self.n_stages or code in typed:
                remedy = "Won is 1, lost and removed are 0; a stage has one probability."
                rule = "must name open stages, each once"
                raise ValidationError.from_value("probabilities", rule, name, remedy)
            typed.add(code)
            stages[code] = attrs.evolve(stages[code], win_probability=probability)
        return attrs.evolve(self, stages=stages)

    def fingerprint(self) -> str:
        """Return a digest that is the same for equal funnels only (SHA-256 of `to_dict`).

        Examples
        --------
        >>> len(Funnel(["Qualify"]).fingerprint())
        64
        """
        text = json.dumps(self.to_dict(), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types, with the schema version inside.

        Examples
        --------
        >>> sorted(Funnel(["Qualify"]).to_dict())
        ['after_won', 'lost', 'name', 'removed', 'schema', 'stages', 'won']
        """
        return {
            "schema": FUNNEL_SCHEMA,
            "name": self.name,
            "stages": [stage.to_dict() for stage in self.stages],
            "won": self.won.to_dict(),
            "lost": [stage.to_dict() for stage in self.lost],
            "removed": self.removed.to_dict(),
            "after_won": [stage.to_dict() for stage in self.after_won],
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Self:
        """Rebuild a funnel from `to_dict`, or from what somebody wrote by hand.

        Only ``"schema"`` and ``"stages"`` are needed; a state may be just its name.

        Raises
        ------
        ValidationError
            When the schema is another one, or a field is unknown, missing or wrong.

        Examples
        --------
        >>> Funnel.from_dict({"schema": "funnel.Funnel/1", "stages": ["Qualify", "Propose"]})
        Funnel(Qualify > Propose > Won)
        """
        known = [field.name for field in attrs.fields(Funnel)]
        fields = _fields.stored(plain, FUNNEL_SCHEMA, known, "stages")
        for name in fields.keys() & {"stages", "lost", "after_won"}:
            fields[name] = _states.read_states(fields[name])
        for name in fields.keys() & {"won", "removed"}:
            fields[name] = _states.read_state(fields[name])
        return cls(**fields)

    def to_json(self, *, indent: int | None = 2) -> str:
        """Return `to_dict` as JSON text.

        Examples
        --------
        >>> funnel = Funnel.template("project", language="zh")
        >>> Funnel.from_json(funnel.to_json()) == funnel
        True
        """
        return json.dumps(self.to_dict(), ensure_ascii=False, indent=indent)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Rebuild a funnel from `to_json`, or from what somebody wrote by hand (see `from_dict`).

        Raises
        ------
        ValidationError
            When the text is not JSON of a funnel.

        Examples
        --------
        >>> Funnel.from_json('{"schema": "funnel.Funnel/1", "stages": ["Qualify"]}')
        Funnel(Qualify > Won)
        """
        return cls.from_dict(_states.read_json(text))

    @classmethod
    def template(cls, name: str, *, language: str = "en") -> Self:
        """Return a ready ladder, with labels in English (``"en"``) or Chinese (``"zh"``).

        Ids are the same in both, and names of both are found by `code`.

        Raises
        ------
        ValidationError
            When there is no such template or language.

        Examples
        --------
        >>> Funnel.template("small-project")
        Funnel('small-project': Intent 20% > Solution 35% > Negotiation 70% > Won)
        """
        if name not in cls.templates():
            hint = did_you_mean(str(name), cls.templates())
            raise ValidationError.from_value("template", "must be a known ladder", name, hint)
        code = _fields.language_code(language).partition("-")[0]
        if code not in _templates.LANGUAGES:
            hint = did_you_mean(code, _templates.LANGUAGES)
            raise ValidationError.from_value("language", "must be a known language", language, hint)
        return cls(name=name, **_templates.TEMPLATES[name](code))

    @staticmethod
    def templates() -> tuple[str, ...]:
        """Return the names of the ready ladders.

        Examples
        --------
        >>> Funnel.templates()
        ('general', 'project', 'small-project', 'lead-to-cash', 'five-step')
        """
        return tuple(_templates.TEMPLATES)
