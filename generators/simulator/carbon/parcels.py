"""The legal dong and the lots that each complex stands on. Invented, the same for every seed."""

import functools
from collections import defaultdict
from collections.abc import Iterable, Sequence
from random import Random
from typing import NamedTuple

from conf.city.places import Complex, complexes, districts
from generators.simulator.carbon import country

_MOUNTAIN_SHARE = 0.06
_SUB_NUMBER_SHARE = 0.3
_SEVERAL_SHARE = 0.15
# Lots that are not named: "and two other lots".
_OTHERS_SHARE = 0.1
_LOTS_APART = 30


class Lot(NamedTuple):
    """A lot of a legal dong: 산12-3 is mountain lot 12, sub-number 3."""

    mountain: bool
    main: int
    sub: int

    def __str__(self) -> str:
        """As addresses write it."""
        return f"{'산' if self.mountain else ''}{self.main}{f'-{self.sub}' if self.sub else ''}"


def legal_dong(place: Complex) -> str:
    """Its legal dong's ten digits."""
    if country.is_outside(place):
        return country.ground(place).code
    return place.region + _dongs()[place.region, place.neighbourhood]


def areas(place: Complex) -> tuple[str, str, str, str]:
    """Its province, district, town, and village where it has one."""
    if country.is_outside(place):
        _, *names = country.ground(place)
        return names[0], names[1], names[2], names[3]
    town, _, village = place.neighbourhood.partition(" ")
    return "대구광역시", _districts()[place.region], town, village


@functools.cache
def _districts() -> dict[str, str]:
    return {district.code: district.name for district in districts()}


def by_dong(places: Iterable[Complex]) -> dict[str, list[Complex]]:
    """The complexes of each legal dong, by its code."""
    found: dict[str, list[Complex]] = defaultdict(list)
    for place in places:
        found[legal_dong(place)].append(place)
    return dict(found)


@functools.cache
def dongs() -> dict[str, list[Complex]]:
    """Those of the city."""
    return by_dong(complexes())


@functools.cache
def _dongs() -> dict[tuple[str, str], str]:
    """By district and neighbourhood the last five digits: a dong's, or an eup's or myeon's and those of its ri."""
    villages: dict[tuple[str, str], set[str]] = defaultdict(set)
    for place in complexes():
        town, _, village = place.neighbourhood.partition(" ")
        villages[place.region, town].add(village)
    found = {}
    for region in sorted({region for region, _ in villages}):
        towns = sorted(town for other, town in villages if other == region)
        for number, town in enumerate(towns):
            for position, village in enumerate(sorted(villages[region, town])):
                first = f"{250 + 3 * number}{21 + position}" if village else f"{101 + number}00"
                found[region, f"{town} {village}".strip()] = first
    return found


@functools.cache
def lots(place: Complex) -> Sequence[Lot]:
    """The lots that a complex stands on and whose numbers its address has; no two complexes share one."""
    draw = Random(f"lots {place.complex_id}")
    position = country.turn(place) if country.is_outside(place) else _positions()[place.complex_id]
    main = 11 + _LOTS_APART * position + draw.randrange(10)
    mountain = draw.random() < _MOUNTAIN_SHARE
    sub = draw.randint(1, 12) if draw.random() < _SUB_NUMBER_SHARE else 0
    found = [Lot(mountain, main, sub)]
    if draw.random() < _SEVERAL_SHARE:
        found += [Lot(mountain, main + number, draw.randint(0, 3)) for number in range(1, draw.randint(2, 3))]
    return tuple(found)


@functools.cache
def _positions() -> dict[str, int]:
    """Where each complex of the city stands in the list of its legal dong."""
    return {place.complex_id: number for there in dongs().values() for number, place in enumerate(there)}


def parcel(place: Complex) -> str:
    """Its lots as its address has them."""
    others = Random(f"others {place.complex_id}")
    named = ", ".join(map(str, lots(place)))
    return f"{named}외 {others.randint(1, 3)}필지" if others.random() < _OTHERS_SHARE else named
