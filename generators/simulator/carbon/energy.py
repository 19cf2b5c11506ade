"""Synthetic energy use of the city's apartment complexes: pure functions of seed, complex and month.

What a household uses follows the published orders of magnitude of Korean flats (electricity about 240 kWh in spring
and 1.5 times that in August, 15 m3 of water, 10 to 90 m3 of city gas with a boiler of its own), times the number of
households, the complex's own level, degree days of the simulated weather and a few per cent of noise. Some complexes
save from some month on, some enter nothing for a while. Nothing of it was measured.
"""

import calendar
import functools
from collections.abc import Sequence
from datetime import date
from random import Random
from typing import Literal, NamedTuple

from conf.city.places import Complex
from generators.simulator.carbon import weather

Heating = Literal["individual", "district", "central"]

# As the basis service writes them.
HEATING_NAMES: dict[Heating, str] = {"individual": "개별난방", "district": "지역난방", "central": "중앙난방"}

_DISTRICT_SHARE = 0.20
_CENTRAL_SHARE = 0.06
_SAVER_SHARE = 0.25
_SAVINGS = (0.07, 0.12, 0.18)
_SAVING_MONTHS = 18  # a saver begins within so many months after the first
_NOT_GEOCODED_SHARE = 0.01


class Traits(NamedTuple):
    """What is particular to a complex, the same for the same seed.

    Attributes:
        heating: How its flats are heated.
        used_since: When it was first lived in.
        level: Its use per household, relative to the city's.
        saves: By which share it uses less from `saves_from` on; 0: it doesn't save.
        saves_from: The first month of saving.
        has_known_address: Whether a geocoder finds it.
    """

    heating: Heating
    used_since: date
    level: float
    saves: float
    saves_from: date
    has_known_address: bool


class Usage(NamedTuple):
    """What a complex used in a month; 0: not entered, or there is none.

    Attributes:
        electricity_kwh: Electricity, kWh.
        gas_m3: City gas, m3.
        heat_mcal: District heat, Mcal.
        hot_water_tons: Hot water that comes with district heat, t.
        water_m3: Cold (tap) water, m3.
    """

    electricity_kwh: int = 0
    gas_m3: int = 0
    heat_mcal: int = 0
    hot_water_tons: int = 0
    water_m3: int = 0

    def times(self, factor: float) -> "Usage":
        """Each quantity times a factor, as a correction changes it."""
        return Usage(*(round(quantity * factor) for quantity in self))


NOT_ENTERED = Usage()


def month_after(month: date, count: int = 1) -> date:
    """The first day of the month so many months later."""
    years, index = divmod(month.year * 12 + month.month - 1 + count, 12)
    return date(years, index + 1, 1)


def last_day(month: date) -> date:
    """The last day of a month."""
    return month.replace(day=calendar.monthrange(month.year, month.month)[1])


@functools.cache
def traits(seed: int, complex_id: str, first_month: date) -> Traits:
    """What is particular to a complex.

    Args:
        seed: The simulator's.
        complex_id: Its id.
        first_month: The first month that any complex has.
    """
    draw = Random(f"{seed} complex {complex_id}")
    kind = draw.random()
    heating: Heating = "individual"
    if kind < _DISTRICT_SHARE:
        heating = "district"
    elif kind < _DISTRICT_SHARE + _CENTRAL_SHARE:
        heating = "central"
    used_since = date(draw.randint(1984, 2021), draw.randint(1, 12), draw.randint(1, 28))
    level = min(1.5, max(0.65, draw.lognormvariate(0, 0.13)))
    saves = draw.choice(_SAVINGS) if draw.random() < _SAVER_SHARE else 0.0
    saves_from = month_after(first_month, draw.randint(6, _SAVING_MONTHS))
    return Traits(
        heating=heating,
        used_since=used_since,
        level=level,
        saves=saves,
        saves_from=saves_from,
        has_known_address=draw.random() >= _NOT_GEOCODED_SHARE,
    )


@functools.lru_cache(maxsize=50_000)
def usage(seed: int, place: Complex, month: date, first_month: date) -> Usage:
    """What a complex used in a month, whether anybody enters it or not."""
    about = traits(seed, place.complex_id, first_month)
    draw = Random(f"{seed} use {place.complex_id} {month}")
    heating, cooling = weather.degree_days(seed, month, last_day(month))
    months = last_day(month).day / 30.4
    summer = 1.0 if month.month in (6, 7, 8, 9) else 0.0
    kept = 1 - about.saves if month >= about.saves_from else 1.0

    def of_all(per_household: float) -> int:
        return round(place.households * per_household * about.level * kept * draw.gauss(1, 0.025))

    electricity = of_all(232 * months + 1.25 * cooling + 0.035 * heating)
    water = of_all((15.0 + 0.8 * summer) * months)
    boiler = of_all(9.5 * months + 0.145 * heating)
    district = of_all(95 * months + 1.2 * heating)
    hot_water = of_all((4.2 - 1.2 * summer) * months)
    burns_gas = about.heating != "district"
    return Usage(
        electricity_kwh=electricity,
        gas_m3=boiler if burns_gas else 0,
        heat_mcal=0 if burns_gas else district,
        hot_water_tons=0 if burns_gas else hot_water,
        water_m3=water,
    )


def months_between(first: date, last: date) -> Sequence[date]:
    """The first days of all months from first to last."""
    count = (last.year - first.year) * 12 + last.month - first.month + 1
    return [month_after(first.replace(day=1), number) for number in range(max(0, count))]
