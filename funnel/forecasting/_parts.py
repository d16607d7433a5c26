"""What a forecast is made of."""

from __future__ import annotations

__all__ = ["BOOKED", "NEW", "OPEN", "PARTS", "REOPENED"]

PARTS = ("booked", "open", "reopened", "new")
"""Deals won already, deals open at `as_of`, lost deals that come back, and deals that do not exist
yet."""


BOOKED, OPEN, REOPENED, NEW = range(len(PARTS))
