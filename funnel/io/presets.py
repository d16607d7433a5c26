"""What the columns of common CRM exports are called, as data.

Each entry gives, by our name of a column, the headers under which exports have it; the first one
that is there is taken. Keywords of the readers go before a preset.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import attrs

from funnel.errors import ReadError, ValidationError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PRESETS", "Preset"]

Shape = Literal["states", "fields", "deals"]
"""The two layouts of a change log, and a table of deals."""


@attrs.frozen
class Preset:
    """Headers of one export of one CRM.

    Parameters
    ----------
    columns : mapping of str to tuple of str
        Headers by our name of the column.
    attributes : mapping of str to tuple of str
        Headers of further columns, by the name that they get.
    fields : mapping of str to str
        Our columns by the name of the field that changed, for the layout ``"fields"``.
    record_ids : mapping of str to str
        Columns whose changes are logged twice, once with names and once with record ids: the
        pattern of the ids, which are left out where there are names.

    Examples
    --------
    >>> PRESETS["salesforce"]["fields"].fields["CloseDate"]
    'expected_close'
    """

    columns: Mapping[str, tuple[str, ...]]
    attributes: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict)
    fields: Mapping[str, str] = attrs.field(factory=dict)
    record_ids: Mapping[str, str] = attrs.field(factory=dict)


_SALESFORCE: Mapping[str, Preset] = {
    # OpportunityHistory: a row with the full state after each change of stage, amount, probability
    # or close date; CreatedDate is the moment of the change.
    "states": Preset(
        columns={
            "id": ("OpportunityId",),
            "stage": ("StageName",),
            "at": ("CreatedDate",),
            "amount": ("Amount",),
            "expected_close": ("CloseDate",),
            "currency": ("CurrencyIsoCode",),
        },
        attributes={"category": ("ForecastCategory",)},
    ),
    # OpportunityFieldHistory: a row for each field that changed.
    "fields": Preset(
        columns={
            "id": ("OpportunityId",),
            "at": ("CreatedDate",),
            "field": ("Field",),
            "old": ("OldValue",),
            "new": ("NewValue",),
        },
        fields={
            "created": "created",
            "opportunityCreatedFromLead": "created",
            "StageName": "stage",
            "Amount": "amount",
            "CloseDate": "expected_close",
            "CurrencyIsoCode": "currency",
            "Owner": "owner",
            "OwnerId": "owner",
            "ForecastCategory": "category",
            "ForecastCategoryName": "category",
        },
        record_ids={"owner": r"^00[5G][0-9A-Za-z]{12}(?:[0-9A-Za-z]{3})?$"},
    ),
    # Opportunity: CloseDate is the promise of open deals and the closing day of others.
    "deals": Preset(
        columns={
            "id": ("Id", "OpportunityId"),
            "stage": ("StageName",),
            "created": ("CreatedDate",),
            "closed": ("CloseDate",),
            "stage_entered": ("LastStageChangeDate",),
            "amount": ("Amount",),
            "expected_close": ("CloseDate",),
            "currency": ("CurrencyIsoCode",),
        },
        attributes={
            "owner": ("OwnerId",),
            "category": ("ForecastCategory",),
            "source": ("LeadSource",),
        },
    ),
}

_HUBSPOT: Mapping[str, Preset] = {
    # The property history of deals: new values only.
    "fields": Preset(
        columns={
            "id": ("dealId", "deal_id", "objectId", "hs_object_id"),
            "at": ("timestamp", "Timestamp"),
            "field": ("property", "name", "property_name"),
            "new": ("value", "Value"),
        },
        fields={
            "createdate": "created",
            "dealstage": "stage",
            "amount": "amount",
            "closedate": "expected_close",
            "deal_currency_code": "currency",
            "hubspot_owner_id": "owner",
        },
    ),
    # A table of deals: closedate is the promise of open deals and the closing day of others.
    "deals": Preset(
        columns={
            "id": ("hs_object_id", "dealId", "deal_id", "objectId", "Record ID", "Deal ID", "id"),
            "stage": ("dealstage", "Deal Stage"),
            "created": ("createdate", "Create Date"),
            "closed": ("closedate", "Close Date"),
            "amount": ("amount", "Amount"),
            "expected_close": ("closedate", "Close Date"),
            "currency": ("deal_currency_code", "Currency"),
        },
        attributes={
            "owner": ("hubspot_owner_id", "Deal owner", "Deal Owner"),
            "pipeline": ("pipeline", "Pipeline"),
        },
    ),
}

PRESETS: Mapping[str, Mapping[str, Preset]] = {"salesforce": _SALESFORCE, "hubspot": _HUBSPOT}
"""Presets by CRM, and by ``"states"`` or ``"fields"`` (layouts of a change log) or ``"deals"``."""


def demand_layout(layout: str) -> None:
    """Demand a layout that a change log can have."""
    if layout not in {"states", "fields"}:
        raise ValidationError.from_value("layout", "must be 'states' or 'fields'", layout, "")


def demand_shape(shape: str) -> None:
    """Demand a shape that a source can have."""
    if shape not in {"states", "fields", "deals"}:
        raise ValidationError.from_value(
            "layout", "must be 'states', 'fields' or 'deals'", shape, ""
        )


def find(name: str | None, shape: Shape) -> Preset:
    """Return a preset, or an empty one where none is asked for."""
    if name is None:
        return Preset({})
    if name not in PRESETS:
        msg = f"no preset is called {name!r}. {did_you_mean(str(name), PRESETS)}"
        raise ReadError(msg)
    if shape not in PRESETS[name]:
        ways = {
            "states": "read_history(layout='states')",
            "fields": "read_history(layout='fields')",
            "deals": "read_deals",
        }
        there = " or ".join(ways[known] for known in PRESETS[name])
        msg = f"the preset {name!r} is for {there}, not for {ways[shape]}."
        raise ReadError(msg)
    return PRESETS[name][shape]
