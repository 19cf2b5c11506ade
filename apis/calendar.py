"""Days and months as the services count them: in Korea, whatever zone the reader is in. Pure."""

import calendar
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

KOREA = ZoneInfo("Asia/Seoul")


def day_of(moment: datetime) -> date:
    """The Korean day of a moment."""
    return moment.astimezone(KOREA).date()


def next_day(moment: datetime) -> datetime:
    """When the next Korean day begins, in UTC."""
    return datetime.combine(day_of(moment) + timedelta(days=1), time(), KOREA).astimezone(UTC)


def next_at(moment: datetime, at: time) -> datetime:
    """The first moment after this one at which the clock shows `at` in Korea, in UTC."""
    shown = datetime.combine(day_of(moment), at, KOREA)
    return (shown if shown > moment else shown + timedelta(days=1)).astimezone(UTC)


def newest_weather(moment: datetime) -> date:
    """The last day that the weather service answers for: yesterday."""
    return day_of(moment) - timedelta(days=1)


def month_of(day: date) -> date:
    """A month is its first day."""
    return day.replace(day=1)


def months_back(month: date, count: int) -> date:
    """The month so many months before."""
    years, index = divmod(month.year * 12 + month.month - 1 - count, 12)
    return date(years, index + 1, 1)


def newest_month(moment: datetime) -> date:
    """The last month that is over."""
    return months_back(month_of(day_of(moment)), 1)


def months(first: date, last: date) -> Sequence[date]:
    """All months from first to last, newest first."""
    count = (last.year - first.year) * 12 + last.month - first.month + 1
    return [months_back(last, number) for number in range(max(0, count))]


def last_day(month: date) -> date:
    """The last day of a month."""
    return month.replace(day=calendar.monthrange(month.year, month.month)[1])


def days(first: date, last: date) -> Iterator[date]:
    """Each day from first to last."""
    for number in range((last - first).days + 1):
        yield first + timedelta(days=number)


def ranges(wanted: Iterable[date], longest: int) -> Iterator[tuple[date, date]]:
    """The wanted days as few runs of days in a row, each of `longest` days at most."""
    ordered = sorted(wanted)
    if not ordered:
        return
    first = ordered[0]
    for day, following in pairwise([*ordered, date.max]):
        if following - day > timedelta(days=1) or (following - first).days >= longest:
            yield first, day
            first = following
