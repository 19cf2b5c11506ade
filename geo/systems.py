"""Coordinate systems and the way from them to WGS84 degrees, many points at a time.

PROJ knows the EPSG ones, datum shifts included. Three that Korean services use have no code: KATEC (also TM128), WTM
(Kakao's name of EPSG:5181) and WCONGNAMUL (2.5 times WTM).
"""

import math
import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError, ProjError

from geo.remembered import remembered

Numbers = NDArray[np.float64]

_KATEC = (
    "+proj=tmerc +lat_0=38 +lon_0=128 +k=0.9999 +x_0=400000 +y_0=600000 +ellps=bessel "
    "+towgs84=-115.80,474.99,674.11,1.16,-2.31,-1.63,6.43 +units=m +no_defs"
)
# Name: definition, and how many of its units a unit of the definition is.
_WITHOUT_CODE = {
    "KATEC": (_KATEC, 1.0),
    "TM128": (_KATEC, 1.0),
    "WTM": ("EPSG:5181", 1.0),
    "WCONGNAMUL": ("EPSG:5181", 2.5),
    "WGS84": ("EPSG:4326", 1.0),
}
# Korea with its islands, in WGS84 degrees.
WEST, SOUTH, EAST, NORTH = 124.0, 32.8, 132.1, 38.9
_NUMBER = re.compile(r"[+-]?(\d+|\d{1,3}(,\d{3})+)?(\.\d*)?([eE][+-]?\d{1,3})?")


class UnknownSystemError(ValueError):
    """PROJ knows no such coordinate system, or its points have no x and y; says what to write."""


class NoNumberError(ValueError):
    """What should be a number is none; says why."""


@dataclass(frozen=True)
class System:
    """A coordinate system. x is the longitude or easting, y the latitude or northing, whatever its definition says.

    Attributes:
        name: as it was asked for, in capitals.
    """

    name: str
    _scale: float
    _to_wgs84: Transformer

    def to_wgs84(self, x: ArrayLike, y: ArrayLike) -> tuple[Numbers, Numbers]:
        """Longitudes and latitudes in degrees; NaN, both, where there is no such point."""
        x, y = np.asarray(x, dtype=float) / self._scale, np.asarray(y, dtype=float) / self._scale
        with np.errstate(all="ignore"):
            lon, lat = self._transform(x, y)
            found = np.isfinite(lon) & np.isfinite(lat) & (np.abs(lon) <= 180) & (np.abs(lat) <= 90)
        return np.where(found, lon, np.nan), np.where(found, lat, np.nan)

    def from_wgs84(self, lon: ArrayLike, lat: ArrayLike) -> tuple[Numbers, Numbers]:
        """The way back: x and y."""
        lon, lat = np.asarray(lon, dtype=float), np.asarray(lat, dtype=float)
        x, y = self._transform(lon, lat, "INVERSE")
        # PROJ turns a datum shift round by small angles, which is some millimetres off; what is left is corrected.
        there_lon, there_lat = self._transform(x, y)
        x, y = self._transform(2 * lon - there_lon, 2 * lat - there_lat, "INVERSE")
        return x * self._scale, y * self._scale

    def _transform(self, x: Numbers, y: Numbers, direction: str = "FORWARD") -> tuple[Numbers, Numbers]:
        # pyproj takes an array of one for a number, which NumPy will not have.
        first, second = (each.tolist() if each.size == 1 else each for each in (x, y))
        found_x, found_y = self._to_wgs84.transform(first, second, direction=direction)
        return np.asarray(found_x), np.asarray(found_y)


@remembered
def system(name: str) -> System:
    """The system of a name such as EPSG:5174, 5174, KATEC, or of anything else that PROJ takes.

    Raises:
        UnknownSystemError: there is none, or it is none of points on a map.
    """
    text = name.strip()
    known = text.upper()
    definition, scale = _WITHOUT_CODE.get(known, (f"EPSG:{text}" if text.isdecimal() else text, 1.0))
    if text.isdecimal():
        known = definition
    try:
        crs = CRS.from_user_input(definition)
    except CRSError:
        msg = (
            f"PROJ knows no coordinate system {name!r}: write a code such as EPSG:5174, or one of "
            f"{', '.join(_WITHOUT_CODE)}"
        )
        raise UnknownSystemError(msg) from None
    if not (crs.is_geographic or crs.is_projected) or len(crs.axis_info) < 2:
        msg = f"{name} ({crs.name}) is no system of x and y on a map: write a code such as EPSG:5174"
        raise UnknownSystemError(msg)
    try:
        to_wgs84 = Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    except ProjError:
        msg = f"PROJ knows no way from {name} ({crs.name}) to WGS84: write a code such as EPSG:5174"
        raise UnknownSystemError(msg) from None
    return System(known if len(known) < 40 else text, scale, to_wgs84)


def number(value: object) -> float:
    """A coordinate as it stands in a file: a number, or its digits, groups of three parted by commas or not.

    Raises:
        NoNumberError: it is none; the message goes on after the column's name.
    """
    if isinstance(value, bool) or value is None:
        value = "" if value is None else str(value)
    if isinstance(value, str):
        text = value.strip()
        if not text:
            msg = "is empty"
            raise NoNumberError(msg)
        if text[0] == "=":
            msg = f"is a formula, not its value: {_shown(text)}"
            raise NoNumberError(msg)
        if not any(map(str.isdigit, text)) or not text.isascii() or not _NUMBER.fullmatch(text):
            msg = f"is not a number: {_shown(text)}"
            raise NoNumberError(msg)
        value = text.replace(",", "")
    elif not isinstance(value, int | float):
        msg = f"is not a number: {_shown(str(value))}"
        raise NoNumberError(msg)
    try:
        found = float(value)
    except OverflowError:
        found = math.inf
    if not math.isfinite(found):
        msg = f"is not a number: {_shown(str(value))}"
        raise NoNumberError(msg)
    return found


def in_korea(lon: ArrayLike, lat: ArrayLike) -> NDArray[np.bool_]:
    """Whether points lie within Korea and its sea; a point that is NaN does not."""
    lon, lat = np.asarray(lon, dtype=float), np.asarray(lat, dtype=float)
    return (lon >= WEST) & (lon <= EAST) & (lat >= SOUTH) & (lat <= NORTH)


def _shown(text: str) -> str:
    return repr(text if len(text) <= 30 else f"{text[:30]}…")
