"""The districts of the city, conf/city/districts.yaml: the regions of every stream."""

import functools
from typing import NamedTuple

import yaml

from conf.settings import ROOT

FILE = ROOT / "conf" / "city" / "districts.yaml"


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
    listed = yaml.safe_load(FILE.read_text(encoding="utf-8"))["districts"]
    return tuple(District(**district) for district in listed)
