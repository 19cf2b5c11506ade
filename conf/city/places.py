"""The map of the city that every stream shares: the districts of Daegu and its apartment complexes.

Both lie in data files beside this one, so that a complex has the same id, name and place in every run and every
stream. The districts and their boundaries are real; the complexes are invented: a brand or a plain name of the kind
that Daegu's complexes have, on a point drawn inside a real residential neighbourhood. `generators/city.py` made them.
"""

import csv
import functools
from pathlib import Path
from typing import NamedTuple

import yaml

DISTRICTS_FILE = Path(__file__).with_name("districts.yaml")
# GeoJSON: the polygon of each district, which has its `code`.
BOUNDARIES_FILE = Path(__file__).with_name("boundaries.json")
COMPLEXES_FILE = Path(__file__).with_name("complexes.csv")
# What lies within so many degrees (about 100 m) of a complex is in the same district.
SPREAD = 0.001


class District(NamedTuple):
    """A district (gu or gun) of the city.

    Attributes:
        code: Legal code, 5 digits; the `region` of every stream.
        name: Korean name.
        romanised: The name in Latin letters.
        population: Inhabitants, rounded to thousands.
        lat: Latitude of the area's centroid, degrees (WGS84).
        lon: Longitude of the area's centroid, degrees (WGS84).
        south: Southern edge of the bounding box, degrees.
        west: Western edge, degrees.
        north: Northern edge, degrees.
        east: Eastern edge, degrees.
    """

    code: str
    name: str
    romanised: str
    population: int
    lat: float
    lon: float
    south: float
    west: float
    north: float
    east: float

    def covers(self, lat: float, lon: float) -> bool:
        """Whether a point lies in the bounding box."""
        return self.south <= lat <= self.north and self.west <= lon <= self.east


@functools.cache
def districts() -> tuple[District, ...]:
    """The nine districts, in the order of their codes."""
    listed = yaml.safe_load(DISTRICTS_FILE.read_text(encoding="utf-8"))["districts"]
    return tuple(District(**district) for district in listed)


class Complex(NamedTuple):
    """An apartment complex.

    Attributes:
        complex_id: `A` and 8 digits, as K-apt numbers complexes.
        name: Korean name.
        region: Code of its district.
        neighbourhood: The legal dong, or eup and ri, it stands in.
        address: Road address.
        lat: Latitude, degrees (WGS84).
        lon: Longitude, degrees (WGS84).
        households: Number of households.
    """

    complex_id: str
    name: str
    region: str
    neighbourhood: str
    address: str
    lat: float
    lon: float
    households: int


@functools.cache
def complexes() -> tuple[Complex, ...]:
    """The apartment complexes, in the order of their ids."""
    with COMPLEXES_FILE.open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        if tuple(next(rows)) != Complex._fields:
            expected = ", ".join(Complex._fields)
            msg = f"{COMPLEXES_FILE.name}: its columns are not {expected}; `python -m generators.city --write` makes it"
            raise ValueError(msg)
        return tuple(
            Complex(complex_id, name, region, neighbourhood, address, float(lat), float(lon), int(households))
            for complex_id, name, region, neighbourhood, address, lat, lon, households in rows
        )
