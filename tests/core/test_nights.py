"""A night begins once for each local date, in every time zone and whatever is done to clocks."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handoff.core.nights import next_night, night_begins, night_of

zones = st.sampled_from(sorted(available_timezones())).map(ZoneInfo)
hours = st.times().map(lambda at: at.replace(second=0, microsecond=0))
moments = st.datetimes(datetime(1980, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC))


@pytest.mark.parametrize(
    ("zone", "at", "day", "begins"),
    [
        ("Europe/Berlin", "02:30", "2026-10-25", "2026-10-25T00:30Z"),  # shown twice: the first
        ("Europe/Berlin", "02:30", "2026-03-29", "2026-03-29T01:30Z"),  # left out: 03:30
        ("America/Asuncion", "00:00", "2023-10-01", "2023-10-01T04:00Z"),  # midnight left out
        ("Africa/Cairo", "00:15", "2026-04-24", "2026-04-23T22:15Z"),
        ("America/Havana", "00:30", "2026-11-01", "2026-11-01T04:30Z"),
        ("Australia/Lord_Howe", "02:15", "2026-10-04", "2026-10-03T15:45Z"),  # half an hour
        ("UTC", "03:00", "2026-11-26", "2026-11-26T03:00Z"),
    ],
)
def test_when_a_night_begins(zone: str, at: str, day: str, begins: str) -> None:
    wanted = datetime.fromisoformat(begins)
    hour, tz = time.fromisoformat(at), ZoneInfo(zone)
    assert night_begins(date.fromisoformat(day), hour, tz) == wanted
    assert next_night(wanted - timedelta(seconds=1), hour, tz) == wanted
    assert night_of(wanted, hour, tz) == date.fromisoformat(day)
    assert next_night(wanted, hour, tz) > wanted + timedelta(hours=22)


def test_a_date_that_was_left_out_has_no_night() -> None:
    """Samoa went from 29 to 31 December 2011."""
    apia, three = ZoneInfo("Pacific/Apia"), time(3)
    assert night_begins(date(2011, 12, 30), three, apia) is None
    last = night_begins(date(2011, 12, 29), three, apia)
    assert last is not None
    assert night_of(next_night(last, three, apia), three, apia) == date(2011, 12, 31)


@given(zones, hours, moments)
def test_every_date_has_one_night_and_nights_come_in_order(
    zone: ZoneInfo, at: time, start: datetime
) -> None:
    moment, days = start, []
    for _ in range(5):
        following = next_night(moment, at, zone)
        assert following > moment
        day = night_of(following, at, zone)
        assert night_begins(day, at, zone) == following
        assert night_of(following - timedelta(seconds=1), at, zone) < day
        local = following.astimezone(zone)
        assert local.date() == day and local.replace(tzinfo=None).time() >= at
        days.append(day)
        moment = following
    there = [days[0] + timedelta(days=n) for n in range((days[-1] - days[0]).days + 1)]
    assert days == [day for day in there if night_begins(day, at, zone) is not None]
