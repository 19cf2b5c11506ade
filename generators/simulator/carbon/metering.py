"""What the building energy service knows: kWh per lot and month, as suppliers metered it. Pure.

It leaves out complexes below 200 households and some others, and has shops of a lot besides its flats; months are
missing, or billed with the next one, and all of it comes months later. Parcels that are no complex are there, too.
"""

import functools
from collections.abc import Sequence
from datetime import date, timedelta
from random import Random
from typing import Literal

from apis import legal_dongs
from conf.city.places import Complex
from conf.settings import SimulatedEnergy
from generators.simulator.carbon import energy, parcels
from generators.simulator.carbon.energy import last_day, month_after
from generators.simulator.carbon.parcels import Lot
from generators.simulator.envelopes import Item

Metered = Literal["electricity", "gas"]

FIRST_MONTH = date(2020, 1, 1)
FEWEST_HOUSEHOLDS = 200
# Gross, as gas is billed: 42.7 MJ a cubic metre.
KWH_PER_M3 = 11.861
_SHOPS_SHARE, _SHOPS = 0.08, 1.15
_JULY_WITH_AUGUST_SHARE = 0.1
_TWO_ROWS_SHARE = 0.1
_LAG_DAYS = (75, 110)
_LATE_DAYS = (60, 120)
_MANY_SHARE = 0.08


@functools.cache
def published_on(chosen: SimulatedEnergy, seed: int, dong: str, month: date) -> date:
    """From which day on the service has a month of a legal dong."""
    draw = Random(f"{seed} published {dong} {month}")
    late = draw.randint(*_LATE_DAYS) if draw.random() < chosen.late_share else 0
    return last_day(month) + timedelta(days=draw.randint(*_LAG_DAYS) + late)


@functools.lru_cache(maxsize=100_000)
def metered(
    chosen: SimulatedEnergy, seed: int, place: Complex, month: date, first_month: date, item: Metered
) -> float | None:
    """The kWh that were metered at a complex's lots in a month; None: there is no row."""
    about = Random(f"{seed} meters {place.complex_id}")
    is_known, shops, is_billed_later = about.random(), about.random(), about.random()
    draw = Random(f"{seed} metered {place.complex_id} {month} {item}")
    if place.households < FEWEST_HOUSEHOLDS or is_known >= chosen.metered_share or month < FIRST_MONTH:
        return None
    if draw.random() < chosen.unmetered_month_share:
        return None
    late = item == "gas" and is_billed_later < _JULY_WITH_AUGUST_SHARE
    if late and month.month == 7:
        return None
    months = [month, month_after(month, -1)] if late and month.month == 8 else [month]
    used = sum(_kwh(seed, place, each, first_month, item) for each in months)
    return round(used * (_SHOPS if shops < _SHOPS_SHARE else 1) * draw.gauss(1, 0.015), 3) or None


def _kwh(seed: int, place: Complex, month: date, first_month: date, item: Metered) -> float:
    used = energy.usage(seed, place, month, first_month)
    return used.electricity_kwh if item == "electricity" else used.gas_m3 * KWH_PER_M3


def rows(
    chosen: SimulatedEnergy,
    seed: int,
    dong: str,
    month: date,
    first_month: date,
    item: Metered,
    factors: dict[tuple[str, date], float],
    places: Sequence[Complex],
) -> list[Item]:
    """All rows of a legal dong and month, in the order of the lots.

    Args:
        chosen: How much of it there is.
        seed: The simulator's.
        dong: The code as it was in that month.
        month: Its first day.
        first_month: The first month of the simulator.
        item: What was metered.
        factors: By which complexes' months were corrected.
        places: The complexes there; without any there is no row.
    """
    if not places:
        return []
    found: list[tuple[Lot, float]] = []
    for place in places:
        used = metered(chosen, seed, place, month, first_month, item)
        if used is not None:
            found += _split(place, used * factors.get((place.complex_id, month), 1.0))
            # Another parcel of the same number, on the mountain or beside it.
            first = parcels.lots(place)[0]
            found.append((first._replace(mountain=not first.mountain), _other(seed, f"{first} twin", month, item)))
    found += _others(seed, legal_dongs.current(dong), month, item)
    province = parcels.areas(places[0])[0]
    return [_row(number, province, dong, month, lot, used) for number, (lot, used) in enumerate(sorted(found), 1)]


def _split(place: Complex, used: float) -> list[tuple[Lot, float]]:
    """A complex's lots share what it used; some lots have two road addresses, and a row for each."""
    draw = Random(f"rows {place.complex_id}")
    lots = parcels.lots(place)
    shares = [1.0] if len(lots) == 1 else [0.7, *[0.3 / (len(lots) - 1)] * (len(lots) - 1)]
    found = [(lot, used * share) for lot, share in zip(lots, shares, strict=True)]
    if draw.random() < _TWO_ROWS_SHARE:
        (lot, first), *rest = found
        found = [(lot, first * 0.6), (lot, first * 0.4), *rest]
    return found


def _others(seed: int, dong: str, month: date, item: Metered) -> Sequence[tuple[Lot, float]]:
    """Parcels that no complex stands on; in some dongs they fill more than a page."""
    draw = Random(f"parcels {dong}")
    count = draw.randint(110, 150) if draw.random() < _MANY_SHARE else draw.randint(4, 30)
    lots = [Lot(mountain=False, main=500 + draw.randrange(400), sub=number % 7) for number in range(count)]
    return [(lot, _other(seed, f"{dong} {lot}", month, item)) for lot in sorted(set(lots))]


def _other(seed: int, name: str, month: date, item: Metered) -> float:
    return round(Random(f"{seed} other {name} {month} {item}").uniform(800, 60_000), 3)


def _row(number: int, province: str, dong: str, month: date, lot: Lot, used: float) -> Item:
    """A row as the service writes it."""
    return {
        "rnum": str(number),
        "useYm": f"{month:%Y%m}",
        "platPlc": f"{province} {lot}번지",
        "newPlatPlc": "",
        "sigunguCd": dong[:5],
        "bjdongCd": dong[5:],
        "platGbCd": "1" if lot.mountain else "0",
        "bun": f"{lot.main:04d}",
        "ji": f"{lot.sub:04d}",
        "naRoadCd": "",
        "naUgrndCd": "0",
        "naMainBun": str(number),
        "naSubBun": "0",
        "useQty": f"{used:.3f}".rstrip("0").rstrip("."),
    }
