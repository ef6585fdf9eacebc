"""When a target is to be left in peace: no load and no fault of ours within these times."""

from datetime import date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import field_validator

from hokusai_validation.sections import Section

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Quiet(Section):
    """A time in which neither load nor faults may be, in a time zone: from `start` to `end` (of the next
    day where that is earlier), on the days (none: all) and dates (none: all) on which it starts."""

    start: time
    end: time
    days: tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...] = ()
    dates: tuple[date, ...] = ()
    zone: str = "UTC"

    @field_validator("zone")
    @classmethod
    def _is_known(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("is no time zone like Europe/Berlin") from None
        return zone

    def ends(self, now: datetime) -> datetime | None:
        """When it ends, where `now` is within it; else None."""
        zone = ZoneInfo(self.zone)
        here = now.astimezone(zone)
        for day in (here.date() - timedelta(days=1), here.date()):
            if self.days and WEEKDAYS[day.weekday()] not in self.days:
                continue
            if self.dates and day not in self.dates:
                continue
            last = day if self.end > self.start else day + timedelta(days=1)
            begins = datetime.combine(day, self.start, zone)
            ends = datetime.combine(last, self.end, zone)
            if begins <= here < ends:
                return ends
        return None
