"""What management offices enter of what was used, and when: as little, and as late, as was found of K-apt.

Pure functions of seed, complex, month and the settings `simulator.energy`.
"""

import functools
from datetime import date, timedelta
from random import Random
from typing import NamedTuple

from conf.city.places import Complex
from conf.settings import SimulatedEnergy
from generators.simulator.carbon import energy
from generators.simulator.carbon.energy import NOT_ENTERED, Usage, last_day, month_after

# The settings' names of what `Usage` holds, in its order.
ITEMS = ("electricity", "gas", "heat", "hot_water", "water")
# A month that comes late comes so many days later than its office's others.
_LATE_DAYS = (60, 180)


class Office(NamedTuple):
    """How a complex's office enters its use, the same for the same seed.

    Attributes:
        items: Which of `ITEMS` it enters at all.
        silent: Months that nobody ever entered.
        lag_days: How many days after a month's end it is entered, about.
    """

    items: frozenset[str]
    silent: frozenset[date]
    lag_days: int


@functools.cache
def office(chosen: SimulatedEnergy, seed: int, complex_id: str, first_month: date) -> Office:
    """The office of a complex.

    Args:
        chosen: How much is entered.
        seed: The simulator's.
        complex_id: Its id.
        first_month: The first month that any complex has.
    """
    draw = Random(f"{seed} office {complex_id}")
    items = frozenset(item for item in ITEMS if draw.random() < getattr(chosen.entered, item))
    lag_days = min(75, 5 + round(draw.expovariate(1 / 16)))
    silent: frozenset[date] = frozenset()
    if draw.random() < chosen.silent_share:
        from_month = month_after(first_month, draw.randint(0, 27))
        silent = frozenset(month_after(from_month, number) for number in range(draw.randint(1, 4)))
    return Office(items, silent, lag_days)


def entered_on(chosen: SimulatedEnergy, seed: int, complex_id: str, month: date, first_month: date) -> date | None:
    """From which day on the service shows a month of a complex; None: never."""
    about = office(chosen, seed, complex_id, first_month)
    if month in about.silent:
        return None
    draw = Random(f"{seed} entry {complex_id} {month}")
    days = about.lag_days + draw.randint(0, 6)
    if draw.random() < chosen.late_share:
        days += draw.randint(*_LATE_DAYS)
    return last_day(month) + timedelta(days=days)


@functools.lru_cache(maxsize=50_000)
def entered(chosen: SimulatedEnergy, seed: int, place: Complex, month: date, first_month: date) -> Usage:
    """What the office enters of a month, once it does; 0 where it leaves an item out."""
    about = office(chosen, seed, place.complex_id, first_month)
    draw = Random(f"{seed} left out {place.complex_id} {month}")
    used = energy.usage(seed, place, month, first_month)
    return Usage(
        *(
            0 if draw.random() < chosen.missing_share or item not in about.items else quantity
            for item, quantity in zip(ITEMS, used, strict=True)
        )
    )


def entered_as_of(
    chosen: SimulatedEnergy, seed: int, place: Complex, month: date, first_month: date, day: date
) -> Usage:
    """What the service shows on a day: zeros while the month isn't entered."""
    since = entered_on(chosen, seed, place.complex_id, month, first_month)
    return entered(chosen, seed, place, month, first_month) if since and since <= day else NOT_ENTERED
