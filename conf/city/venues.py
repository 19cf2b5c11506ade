"""The venues of the city that sell seats, conf/city/venues.yaml."""

import functools
from pathlib import Path
from typing import NamedTuple

import yaml

FILE = Path(__file__).with_name("venues.yaml")


class Venue(NamedTuple):
    """A venue.

    Attributes:
        name: As sales name it.
        region: Legal code of its district, 5 digits.
        lat: Latitude, degrees (WGS84).
        lon: Longitude, degrees.
        seats: How many a show here has.
    """

    name: str
    region: str
    lat: float
    lon: float
    seats: int


@functools.cache
def venues() -> tuple[Venue, ...]:
    """All of them, in the order of the file."""
    return tuple(Venue(**venue) for venue in yaml.safe_load(FILE.read_text(encoding="utf-8"))["venues"])
