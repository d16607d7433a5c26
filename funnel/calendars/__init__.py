"""Days, working days, fiscal years, and the periods that a forecast is asked for.

Inside the library a day is an int32, days since 1970-01-01; `to_day`, `to_days`, `to_date` and
`to_dates` are the only way in and out. All intervals are half-open: ``[start, end)``.
"""

from __future__ import annotations

from funnel.calendars._calendar import Calendar
from funnel.calendars._days import to_date, to_dates, to_day, to_days
from funnel.calendars._horizon import Horizon
from funnel.calendars._periods import Unit

__all__ = ["Calendar", "Horizon", "Unit", "to_date", "to_dates", "to_day", "to_days"]
