"""Nights by local date: when one begins, and which one it is. Pure.

A clock that is put forward leaves out times, one that is put back shows them twice, and a country
that crosses the date line leaves out a day. A night belongs to a date: it begins the first time
that date's clock shows the hour, or, where the hour is left out, as much later as the clock is put
forward.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, tzinfo

DAY = timedelta(days=1)


def night_begins(day: date, at: time, zone: tzinfo) -> datetime | None:
    """Return the moment (UTC) the night of a local date begins; None where there is no such date.

    Args:
        day: the local date.
        at: the hour, without a zone.
        zone: the desk's time zone.
    """
    moment = datetime.combine(day, at, zone).astimezone(UTC)
    return moment if moment.astimezone(zone).date() == day else None


def next_night(after: datetime, at: time, zone: tzinfo) -> datetime:
    """Return the first moment (UTC) later than `after` at which a night begins."""
    day = after.astimezone(zone).date() - DAY
    while True:
        begins = night_begins(day, at, zone)
        if begins is not None and begins > after:
            return begins
        day += DAY


def night_of(now: datetime, at: time, zone: tzinfo) -> date:
    """Return the local date of the night that began last."""
    day = now.astimezone(zone).date() + DAY
    while True:
        begins = night_begins(day, at, zone)
        if begins is not None and begins <= now:
            return day
        day -= DAY
