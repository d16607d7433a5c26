"""What a deal can be in: outcomes, forecast categories, and one stage of the ladder."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any, Self

import attrs

from funnel.errors import ValidationError, did_you_mean
from funnel.stages import _fields

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ForecastCategory", "Outcome", "Stage"]

STAGE_SCHEMA = "funnel.Stage/1"


class Outcome(enum.IntEnum):
    """What has become of a deal.

    Removed means taken out of the books (a duplicate, a slip of the pen): neither won nor lost.

    Examples
    --------
    >>> Outcome(1)
    <Outcome.WON: 1>
    """

    OPEN = 0
    WON = 1
    LOST = 2
    REMOVED = 3


class ForecastCategory(enum.StrEnum):
    """How firmly a deal counts in the roll-up that a sales manager submits.

    Members stand in the order of rising commitment; a cumulative roll-up starts at the last one.
    What is omitted never counts.

    Examples
    --------
    >>> ForecastCategory.parse("BestCase")
    <ForecastCategory.BEST_CASE: 'best case'>
    """

    OMITTED = "omitted"
    PIPELINE = "pipeline"
    BEST_CASE = "best case"
    COMMIT = "commit"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a category in any usual spelling: case, blanks, hyphens and underscores are free.

        Parameters
        ----------
        text : str
            For instance ``"Best Case"``, ``"best_case"`` or ``"BestCase"``.

        Returns
        -------
        ForecastCategory

        Raises
        ------
        ValidationError
            When it is no category; the message names the closest one.

        Examples
        --------
        >>> ForecastCategory.parse("Bestcasse")
        Traceback (most recent call last):
            ...
        funnel.errors.ValidationError: category must be a forecast category, got \
'Bestcasse'. Did you mean 'best case'?
        """
        wanted = _squeezed(str(text))
        for member in cls:
            if _squeezed(member.value) == wanted:
                return member
        hint = did_you_mean(str(text), [member.value for member in cls])
        raise ValidationError.from_value("category", "must be a forecast category", text, hint)


def _squeezed(text: str) -> str:
    """Return the letters of a category that count in a comparison."""
    return "".join(_fields.fold(text).replace("_", " ").replace("-", " ").split())


def _category(value: ForecastCategory | str | None) -> ForecastCategory | None:
    """Parse a category; None stays."""
    return None if value is None else ForecastCategory.parse(value)


def _own_id(stage: Stage) -> str:
    """Return the label of a stage that was given none."""
    return stage.id


@attrs.frozen(repr=False)
class Stage:
    """One state that a deal can be in, with everything that is agreed about it.

    Parameters
    ----------
    id : str
        Stable name, 1 to 200 characters. It is what tables and files store: never change it,
        change the label.
    label : str, optional
        Name that is shown; the id where none is given.
    labels : mapping of str to str, optional
        Names by language code, ``{"en": "Intent", "zh": "意向"}``; stored as sorted pairs.
    win_probability : float, optional
        Typed chance, 0 to 1, that a deal in this stage is won. None: nobody has typed one.
    standard_days : float, optional
        Days that a deal may stay, above 0.
    timeout_days : float, optional
        Days after which somebody is warned; not shorter than `standard_days`.
    exit_criteria : sequence of str, optional
        Facts that must hold before a deal may move on, one line each.
    role : str, optional
        Who answers for deals in this stage.
    category : ForecastCategory or str, optional
        Where the stage is rolled up to, unless a deal says otherwise itself.
    on_hold : bool, optional
        The clock stops: the stage is in no position of the ladder.
    retired : bool, optional
        Kept for its history; no new deal enters.
    aliases : sequence of str, optional
        Earlier names and other spellings under which deals are found.

    Raises
    ------
    ValidationError
        When a field breaks its rule.

    Examples
    --------
    >>> stage = Stage("intent", label="意向", win_probability=0.2, category="Pipeline")
    >>> stage
    Stage('intent', label='意向', win_probability=0.2, category='pipeline')
    >>> Stage.from_dict(stage.to_dict()) == stage
    True
    >>> Stage("Negotiate", win_probability=70)
    Traceback (most recent call last):
        ...
    funnel.errors.ValidationError: win_probability of stage 'Negotiate' must be a number from 0 \
to 1, got 70.0. 70 is a percentage; write 0.7.
    """

    id: str = attrs.field(converter=_fields.stripped, validator=_fields.check_name)
    label: str = attrs.field(
        default=attrs.Factory(_own_id, takes_self=True),
        converter=_fields.label,
        validator=_fields.check_optional_name,
        kw_only=True,
    )
    labels: tuple[tuple[str, str], ...] = attrs.field(
        default=(), converter=_fields.labels, validator=_fields.check_labels, kw_only=True
    )
    win_probability: float | None = attrs.field(
        default=None,
        converter=_fields.optional_number,
        validator=_fields.check_probability,
        kw_only=True,
    )
    standard_days: float | None = attrs.field(
        default=None,
        converter=_fields.optional_number,
        validator=_fields.check_days,
        kw_only=True,
    )
    timeout_days: float | None = attrs.field(
        default=None,
        converter=_fields.optional_number,
        validator=_fields.check_timeout,
        kw_only=True,
    )
    exit_criteria: tuple[str, ...] = attrs.field(
        default=(), converter=_fields.texts, validator=_fields.check_criteria, kw_only=True
    )
    role: str | None = attrs.field(
        default=None,
        converter=_fields.optional_text,
        validator=_fields.check_optional_name,
        kw_only=True,
    )
    category: ForecastCategory | None = attrs.field(default=None, converter=_category, kw_only=True)
    on_hold: bool = attrs.field(default=False, validator=_fields.check_flag, kw_only=True)
    retired: bool = attrs.field(default=False, validator=_fields.check_flag, kw_only=True)
    aliases: tuple[str, ...] = attrs.field(
        default=(), converter=_fields.texts, validator=_fields.check_names, kw_only=True
    )

    def __attrs_post_init__(self) -> None:
        """Give the id as label to a stage whose label is None."""
        object.__setattr__(self, "label", self.label or self.id)

    def __repr__(self) -> str:
        default = Stage(self.id).to_dict()
        shown = (
            f", {key}={value!r}" for key, value in self.to_dict().items() if value != default[key]
        )
        return f"Stage({self.id!r}{''.join(shown)})"

    @property
    def names(self) -> tuple[str, ...]:
        """Every name that the stage answers to: id, label, labels by language, aliases.

        Examples
        --------
        >>> Stage("intent", label="Intent", labels={"zh": "意向"}).names
        ('intent', 'Intent', '意向')
        """
        localised = (label for _, label in self.labels)
        return tuple(dict.fromkeys((self.id, self.label, *localised, *self.aliases)))

    def name_in(self, language: str) -> str:
        """Return the name in a language, or the label where there is none.

        Parameters
        ----------
        language : str
            Language code; ``"zh-CN"`` also finds a label for ``"zh"``.

        Returns
        -------
        str

        Raises
        ------
        ValidationError
            When it is no language code.

        Examples
        --------
        >>> stage = Stage("intent", labels={"zh": "意向"})
        >>> stage.name_in("zh-CN"), stage.name_in("fr")
        ('意向', 'intent')
        """
        labels = dict(self.labels)
        code = _fields.language_code(language)
        while code and code not in labels:
            code = code.rpartition("-")[0]
        return labels[code] if code else self.label

    def to_dict(self) -> dict[str, Any]:
        """Return the stage as JSON types, with the schema version inside.

        Returns
        -------
        dict

        Examples
        --------
        >>> stored = Stage("Propose", win_probability=0.5, category="commit").to_dict()
        >>> stored["schema"], stored["win_probability"], stored["category"]
        ('funnel.Stage/1', 0.5, 'commit')
        """
        plain = attrs.asdict(self, recurse=False)
        plain["labels"] = dict(self.labels)
        plain["category"] = None if self.category is None else self.category.value
        for name in ("exit_criteria", "aliases"):
            plain[name] = list(plain[name])
        return {"schema": STAGE_SCHEMA, **plain}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Self:
        """Build the stage that `to_dict` stored.

        Parameters
        ----------
        plain : mapping
            With the key ``"schema"``; only ``"id"`` is needed beside it.

        Returns
        -------
        Stage

        Raises
        ------
        ValidationError
            When schema, keys or values are not those of a stage.

        Examples
        --------
        >>> Stage.from_dict({"schema": "funnel.Stage/1", "id": "Propose"})
        Stage('Propose')
        """
        known = [field.name for field in attrs.fields(Stage)]
        return cls(**_fields.stored(plain, STAGE_SCHEMA, known, "id"))
