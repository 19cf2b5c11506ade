"""What a day's emission is explained by: its weather, the days before it, and the calendar.

There is no trend among the features: it would be carried on for the months that are not published yet. A drift is
followed by weighting recent days more.
"""

from collections.abc import Iterable

import holidays
import numpy as np

from forecast.weather import Days, Floats, Outlook

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
SEASON = ("year_cos", "year_sin", "half_year_cos", "half_year_sin")
NAMES = ("hdd", "cdd", "mean", "low", "high", "rain", "yesterday", "week", "holiday", *SEASON, *WEEKDAYS[1:])
COUNTRY = "KR"


def matrix(outlook: Outlook) -> Floats:
    """The features of each day, an array (days, len(NAMES)): C, degree days, mm; flags are 0 or 1."""
    weekday = weekdays(outlook.days)
    columns = [
        *(outlook.hdd, outlook.cdd, outlook.mean, outlook.low, outlook.high, outlook.rain),
        *(outlook.yesterday, outlook.week, is_holiday(outlook.days)),
        *_season(outlook.days),
        *((weekday == number).astype(float) for number in range(1, 7)),
    ]
    return np.stack(columns, axis=1)


def signature(outlook: Outlook) -> Floats:
    """What an entity may differ in from the city: its base, heating, cooling and season; an array (days, 5)."""
    return np.stack([np.ones(len(outlook.days)), outlook.hdd, outlook.cdd, *_season(outlook.days)[:2]], axis=1)


def weekdays(days: Days) -> Floats:
    """0 for Monday to 6 for Sunday."""
    return (days.astype("datetime64[D]").astype(int) + 3.0) % 7  # 1970-01-01 was a Thursday


def is_holiday(days: Days) -> Floats:
    """1 on public holidays of Korea, substitutes included, else 0."""
    calendar = holidays.country_holidays(COUNTRY, years=_years(days))
    return np.isin(days, np.array(sorted(calendar), dtype="datetime64[D]")).astype(float)


def _years(days: Days) -> Iterable[int]:
    first, last = (int(day.astype(object).year) for day in (days[0], days[-1]))
    return range(first, last + 1)


def _season(days: Days) -> list[Floats]:
    year = days.astype("datetime64[Y]").astype("datetime64[D]")
    phase = 2 * np.pi * (days - year).astype(float) / 365.25
    return [trig(number * phase) for number in (1, 2) for trig in (np.cos, np.sin)]
