"""Forecasts made from a forecast: of some of its deals or periods, or with a shock."""

from __future__ import annotations

import types
from typing import TYPE_CHECKING

import attrs

from funnel._display import percent
from funnel.calendars import Horizon
from funnel.errors import UnknownColumnError, ValidationError, did_you_mean
from funnel.forecasting._moments import leverage
from funnel.forecasting._rows import PARTS
from funnel.forecasting.dependence import NEGLIGIBLE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from funnel.forecasting.dependence import Shock
    from funnel.forecasting.forecast import Forecast

__all__ = ["between", "group", "parts", "with_shock"]

LOST = 0.9
"""Where cutting leaves less than this part of a shock, a note says so."""


def parts(forecast: Forecast) -> Mapping[str, Forecast]:
    """Return the forecast of each part, see `Forecast.parts`."""
    found = {
        name: attrs.evolve(forecast, deals=forecast.book.of_part(code))
        for code, name in enumerate(PARTS)
    }
    return types.MappingProxyType(found)


def group(forecast: Forecast, key: str | Sequence[str]) -> Forecast:
    """Return the forecast of one group, see `Forecast.group`."""
    wanted, keys = (key,) if isinstance(key, str) else tuple(key), forecast.keys
    if wanted not in keys:
        raise UnknownColumnError(" / ".join(wanted), (" / ".join(known) for known in keys))
    alone = forecast.book.of_group(keys.index(wanted))
    return attrs.evolve(forecast, keys=(wanted,), deals=alone)


def between(forecast: Forecast, first: str, last: str) -> Forecast:
    """Return the forecast of consecutive periods as one, see `Forecast.between`."""
    begin, end = _position(forecast, "first", first), _position(forecast, "last", last)
    if end < begin:
        rule = f"must be {first!r} or a period after it"
        raise ValidationError.from_value("last", rule, last, "")
    label = first if begin == end else f"{first} to {last}"
    edges = forecast.horizon.edges[[begin, end + 1]]
    return attrs.evolve(
        forecast, horizon=Horizon(edges, labels=(label,)), deals=forecast.book.merged(begin, end)
    )


def _position(forecast: Forecast, name: str, label: str) -> int:
    """Return the position of the period with this label."""
    labels = forecast.horizon.labels
    if label not in labels:
        hint = did_you_mean(str(label), labels)
        raise ValidationError.from_value(name, "must be the label of a period", label, hint)
    return labels.index(label)


def with_shock(forecast: Forecast, shock: Shock | None, *, part: str | None) -> Forecast:
    """Return the forecast with a shared error of its money, see `Forecast.with_shock`."""
    if part not in {None, *PARTS[1:]}:
        known = ", ".join(PARTS[1:])
        raise ValidationError.from_value("part", f"must be one of {known}, or None", part, "")
    if shock is None:
        return attrs.evolve(forecast, shock=None)
    code = None if part is None else PARTS.index(part)
    factor = leverage(forecast.book.money, forecast.unknown, code)
    if factor == 0.0 or shock.scale < NEGLIGIBLE:
        return forecast
    moved = shock.scaled(factor)
    wanted, left = shock.variance**0.5, moved.variance**0.5 / factor
    note = (
        f"chances between 0 and 1 allow a shared error of {percent(left)} of the money, where "
        f"{percent(wanted)} was asked for"
    )
    notes = (*forecast.notes, note) if left < LOST * wanted else forecast.notes
    return attrs.evolve(forecast, shock=moved.combined(forecast.shock), notes=notes)
