"""Dates: the forms in which git takes one from the environment (git-commit(1), "Date formats"), and the one
in which a person reads it."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

_INTERNAL = re.compile(r"@?(?P<seconds>\d+) (?P<sign>[+-])(?P<hours>\d\d)(?P<minutes>\d\d)$")
_ISO = re.compile(
    r"(?P<year>\d{4})[-./](?P<month>\d\d?)[-./](?P<day>\d\d?)[T ](?P<hour>\d\d?):(?P<minute>\d\d)"
    r"(?::(?P<second>\d\d)(?:\.\d+)?)?"
    r" ?(?P<zone>Z|[+-]\d\d:?\d\d|[+-]\d\d)?$"
)


def parse_date(text: str) -> tuple[int, int]:
    """Seconds since 1970 and minutes east of UTC, of git's internal format, ISO 8601 or RFC 2822.

    A date without a zone is in the local one. Raises ``ValueError`` for anything else.
    """
    text = text.strip()
    internal = _INTERNAL.match(text)
    if internal:
        minutes = int(internal["hours"]) * 60 + int(internal["minutes"])
        return int(internal["seconds"]), -minutes if internal["sign"] == "-" else minutes
    iso = _ISO.match(text)
    when = _from_iso(iso) if iso else parsedate_to_datetime(text)
    if when.tzinfo is None:
        when = when.astimezone()
    offset = when.utcoffset() or timedelta()
    return int(when.timestamp()), int(offset.total_seconds()) // 60


def shown_date(seconds: int, zone: int = 0) -> str:
    """``2016-04-19 19:02``: seconds since 1970, ``zone`` minutes east of UTC; for what no calendar has, the
    number that it is."""
    try:
        when = datetime(1970, 1, 1) + timedelta(seconds=seconds, minutes=zone)
    except OverflowError:
        return str(seconds)
    return when.isoformat(" ", "minutes")


def _from_iso(match: re.Match[str]) -> datetime:
    zone = (match["zone"] or "").replace("Z", "+00:00")
    if len(zone) == 3:
        zone += ":00"
    elif zone and ":" not in zone:
        zone = f"{zone[:3]}:{zone[3:]}"
    return datetime.fromisoformat(
        f"{match['year']}-{int(match['month']):02}-{int(match['day']):02}"
        f"T{int(match['hour']):02}:{match['minute']}:{match['second'] or '00'}{zone}"
    )
