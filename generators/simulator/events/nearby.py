"""Restaurants, cafes and hotels near a point: a pure function of the seed, the same for every service."""

import math
from collections.abc import Iterator, Sequence
from random import Random
from typing import NamedTuple

from conf.airports import EARTH_KM, Point, distance_km

# Degrees; what lies in a cell of this size is drawn together.
CELL = 0.01
KINDS = ("restaurant", "cafe", "hotel")
_DENSITY = {"restaurant": 0.5, "cafe": 0.3, "hotel": 0.1}
_ROUNDS = 3


class Spot(NamedTuple):
    """Where one can eat or sleep."""

    number: int
    kind: str
    name: str
    lat: float
    lon: float
    rating: float


def near(seed: int, centre: Point, radius_km: float, kinds: Sequence[str]) -> list[Spot]:
    """All within a radius, the nearest first."""
    lat, lon = centre
    rows = math.ceil(radius_km / (EARTH_KM * math.radians(CELL)))
    columns = math.ceil(rows / max(0.05, math.cos(math.radians(lat))))
    row, column = math.floor(lat / CELL), math.floor(lon / CELL)
    found = [
        (away, spot)
        for y in range(row - rows, row + rows + 1)
        for x in range(column - columns, column + columns + 1)
        for spot in _cell(seed, y, x)
        if spot.kind in kinds and (away := distance_km(centre, (spot.lat, spot.lon))) <= radius_km
    ]
    return [spot for _, spot in sorted(found)]


def _cell(seed: int, row: int, column: int) -> Iterator[Spot]:
    draw = Random(f"{seed} spots {row} {column}")
    for n in range(_ROUNDS):
        for k, kind in enumerate(KINDS):
            if draw.random() < _DENSITY[kind]:
                number = (((row + 18_000) * 72_000 + column + 36_000) * _ROUNDS + n) * len(KINDS) + k
                lat, lon = ((each + draw.random()) * CELL for each in (row, column))
                rating = round(draw.uniform(2.5, 5), 1)
                yield Spot(number, kind, f"{kind.title()} {number}", round(lat, 6), round(lon, 6), rating)
