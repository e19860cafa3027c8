"""When a timer fires: six fields of cron, or a fixed pause.

`Seconds Minutes Hours Day-of-month Month Day-of-week`, in UTC unless `CRON_TZ=` says otherwise, and `@every 5m`:
https://www.alibabacloud.com/help/en/functioncompute/fc/user-guide/time-triggers. Of the two fields for days the page
says nothing about how they join; like in cron, either suffices where both are given.
"""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_EVERY = re.compile(r"@every (?:([0-9]+)h)?(?:([0-9]+)m)?(?:([0-9]+)s)?")
_MONTHS = {name.upper(): number for number, name in enumerate(calendar.month_abbr) if name}
_DAYS = {name: number for number, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"))}
_FIELDS: tuple[tuple[str, int, int, dict[str, int]], ...] = (
    ("seconds", 0, 59, {}),
    ("minutes", 0, 59, {}),
    ("hours", 0, 23, {}),
    ("day of month", 1, 31, {}),
    ("month", 1, 12, _MONTHS),
    ("day of week", 0, 7, _DAYS),
)
_YEARS = 8


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a timer fires: after a pause again and again, or at the moments that six fields describe."""

    every: float = 0.0
    fields: tuple[frozenset[int], ...] = ()
    zone: tzinfo = timezone.utc
    any_day: tuple[bool, bool] = (True, True)
    """Whether the day of the month, and that of the week, may be any."""

    def after(self, moment: float, began: float) -> float | None:
        """The first time that it fires after a moment; `began` is when the timer was made. None if never."""
        if self.every:
            return began + self.every * (int((moment - began) // self.every) + 1)
        at = datetime.fromtimestamp(int(moment) + 1, timezone.utc).astimezone(self.zone)
        day = at.date()
        seconds, minutes, hours, *_ = (sorted(one) for one in self.fields)
        for _ in range(366 * _YEARS):
            if self._on(day.year, day.month, day.day):
                for hour in hours:
                    for minute in minutes:
                        for second in seconds:
                            found = datetime(day.year, day.month, day.day, hour, minute, second, tzinfo=self.zone)
                            if found >= at and _exists(found):
                                return found.timestamp()
            day += timedelta(days=1)
        return None

    def _on(self, year: int, month: int, day: int) -> bool:
        of_month, months, of_week = self.fields[3:6]
        if month not in months:
            return False
        fits = (day in of_month, (calendar.weekday(year, month, day) + 1) % 7 in of_week)
        return all(fits) if any(self.any_day) else any(fits)


def _exists(moment: datetime) -> bool:
    """Whether a local time exists: an hour is left out when clocks go forward."""
    back = moment.astimezone(timezone.utc).astimezone(moment.tzinfo)
    return (back.hour, back.minute) == (moment.hour, moment.minute)


def read_schedule(text: str) -> Schedule:
    """The schedule of a `cronExpression`; ValueError says what is wrong with it."""
    if text.startswith("@every"):
        found = _EVERY.fullmatch(text)
        hours, minutes, seconds = (int(part or 0) for part in (found.groups() if found else (0, 0, 0)))
        every = hours * 3600 + minutes * 60 + seconds
        if not every:
            raise ValueError(f'expected "@every 5m", found {text!r}')
        return Schedule(every=float(every))
    zone: tzinfo = timezone.utc
    if text.startswith("CRON_TZ="):
        name, _, text = text.removeprefix("CRON_TZ=").partition(" ")
        try:
            zone = ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError(f"no time zone {name!r}") from None
    parts = text.split()
    if len(parts) != len(_FIELDS):
        raise ValueError(f'expected six fields such as "0 0 4 * * *", found {text!r}')
    fields = tuple(_field(part, *about) for part, about in zip(parts, _FIELDS, strict=True))
    week = frozenset(day % 7 for day in fields[5])
    any_day = (parts[3] in ("*", "?"), parts[5] in ("*", "?"))
    return Schedule(fields=(*fields[:5], week), zone=zone, any_day=any_day)


def _field(text: str, name: str, low: int, high: int, names: dict[str, int]) -> frozenset[int]:
    found: set[int] = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        if span in ("*", "?"):
            first, last = low, high
        else:
            start, dash, end = span.partition("-")
            first = _number(start, name, names)
            last = _number(end, name, names) if dash else (high if step else first)
        pace = _number(step, name, {}) if step else 1
        if not low <= first <= last <= high or pace < 1:
            raise ValueError(f"{name}: {part!r} is not within {low} to {high}")
        found.update(range(first, last + 1, pace))
    return frozenset(found)


def _number(text: str, name: str, names: dict[str, int]) -> int:
    if text.upper() in names:
        return names[text.upper()]
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"{name}: expected a number, found {text!r}")
    return int(text)
