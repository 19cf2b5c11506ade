"""The passenger airports of the world: conf/airports.yaml says which, the package `airportsdata` where they are."""

import functools
import math
from typing import NamedTuple

import yaml

from conf.settings import ROOT, SettingsError

FILE = ROOT / "conf" / "airports.yaml"
EARTH_KM = 6371.0088

Point = tuple[float, float]
"""Latitude and longitude, WGS84 degrees."""


class Airport(NamedTuple):
    """An airport: its IATA code, its country (ISO 3166, two letters), and where it is, in WGS84 degrees."""

    code: str
    country: str
    lat: float
    lon: float


@functools.cache
def airports() -> tuple[Airport, ...]:
    """Every airport of the file, by code.

    Raises:
        SettingsError: the file names one that is not known, or that is in another country.
    """
    import airportsdata  # where a job is submitted from; workers get the airports with it

    listed: dict[str, list[str]] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    known = airportsdata.load("IATA")
    found = []
    for country, codes in listed.items():
        for code in codes:
            about = known.get(code)
            if about is None or about["country"] != country:
                msg = f"{FILE.relative_to(ROOT)}: no airport {code} of {country} is known to airportsdata"
                raise SettingsError(msg)
            found.append(Airport(code, country, about["lat"], about["lon"]))
    return tuple(sorted(found))


def distance_km(one: Point, other: Point) -> float:
    """Along the earth's surface."""
    a, b = math.radians(one[0]), math.radians(other[0])
    across = math.radians(other[1] - one[1])
    half = math.sin((b - a) / 2) ** 2 + math.cos(a) * math.cos(b) * math.sin(across / 2) ** 2
    return 2 * EARTH_KM * math.asin(min(1.0, math.sqrt(half)))
