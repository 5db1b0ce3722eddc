"""Prints when cron expressions are due, by cronsim and zoneinfo: the other side of scheduler/tests/calendar.rs.

Where clocks change by half an hour, cronsim 2.8 misses ticks of intervals that exist: of "30 * * * *" the one at 02:30 on 2024-10-06 in
Lord Howe, to which the clock is put forward. There every minute is looked at instead.

A line is: time zone, expression, begin, end, ticks. Times are seconds since 1970 in UTC, begin is excluded, end included.
"""

from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo, reset_tzpath

from cronsim import CronSim

ZONES = [
    "America/New_York",
    "Europe/London",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "Asia/Taipei",
    "UTC",
]
# Due at most a few times a day: the whole time is compared.
DAILY = [
    "0 0 * * *",
    "30 1 * * *",
    "0 2 * * *",
    "15 2 * * *",
    "30 2 * * *",
    "0 3 * * *",
    "45 2,3 * * *",
    "30 1 * * 0",
    "30 2 * * SUN",
    "0 2 * * 7",
    "30 2 L * *",
    "0 1 * * 0L",
    "15 2 * * SUN#2",
    "30 1 8-14 * *",
    "0 9 1,15 * MON-FRI",
    "5 0 29 2 *",
    "0 12 */10 JAN,jul *",
]
# Due often: days around changes of the clock are compared.
FREQUENT = [
    "* * * * *",
    "0 * * * *",
    "30 * * * *",
    "*/15 * * * *",
    "*/20 2 * * *",
    "10 */2 * * *",
    "0 1-3 * * *",
    "5-10 2 * * *",
    "59 1,2 * * *",
    # cronsim does not move times of day that do not exist where there are seconds, so none with seconds is among them.
    "*/10 59 1 * * *",
]
# The time zones of the requirements, not those of the machine.
reset_tzpath(to=[])

BEGIN = datetime(2024, 1, 1, tzinfo=timezone.utc)
END = datetime(2036, 1, 1, tzinfo=timezone.utc)


def ticks(zone, expression, begin, end):
    found = []
    for tick in CronSim(expression, begin.astimezone(zone)):
        # Arithmetic on aware datetimes is in local time; only UTC tells which of two equal times it is.
        at = tick.astimezone(timezone.utc)
        if at > end:
            break
        found.append(str(int(at.timestamp())))
    return found


def walk(zone, expression, begin, end):
    """Every minute whose local time has the hour and minute of the expression, which is about nothing else."""
    fields = CronSim(expression, begin.astimezone(zone))
    found = []
    at = begin + timedelta(minutes=1)
    while at <= end:
        local = at.astimezone(zone)
        if local.minute in fields.minutes and local.hour in fields.hours:
            found.append(str(int(at.timestamp())))
        at += timedelta(minutes=1)
    return found


def changes(zone):
    """Spans of two days around each change of the clock."""
    day = BEGIN
    while day < END:
        following = day + timedelta(days=1)
        if day.astimezone(zone).utcoffset() != following.astimezone(zone).utcoffset():
            yield day - timedelta(days=1), following + timedelta(days=1)
        day = following


def main():
    for name in ZONES:
        zone = ZoneInfo(name)
        spans = [(expression, BEGIN, END) for expression in DAILY]
        for begin, end in changes(zone):
            spans.extend((expression, begin, end) for expression in FREQUENT)
        for expression, begin, end in spans:
            bounds = [str(int(begin.timestamp())), str(int(end.timestamp()))]
            is_interval = "*" in "".join(expression.split()[:2]) and len(expression.split()) == 5
            by_minutes = is_interval and name == "Australia/Lord_Howe"
            found = (walk if by_minutes else ticks)(zone, expression, begin, end)
            print("|".join([name, expression, *bounds, ",".join(found)]))


main()
