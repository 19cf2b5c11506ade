"""The one point of an event, whatever shape its geometry has.

The rule: the point is the centre of mass. Of several points each weighs the same; of areas, each part of the area that
its outer rings enclose weighs the same (holes are not looked at). It is computed in the plane that touches the earth in
the middle of all vertices, so a shape may lie across the antimeridian, and rounded to 6 decimals of a degree (0.1 m),
so that no order in which the same vertices are written makes another point.
"""

import math
from collections.abc import Sequence
from typing import Any

from jobs.rules.fields import Reason, RejectedError

DECIMALS = 6
_LONGITUDE, _LATITUDE = 180, 90
_LEAST_OF_A_RING = 3
_NOTHING = 1e-9

Point = tuple[float, float]
"""Latitude and longitude, WGS84 degrees."""
_Vector = tuple[float, float, float]
_Plane = list[tuple[float, float]]


def point_of(geometry: Any) -> Point:  # noqa: ANN401 - whatever JSON holds
    """The point of a GeoJSON geometry: a Point, MultiPoint, Polygon or MultiPolygon.

    Raises:
        RejectedError: it is of another shape, or a position is none.
    """
    if not isinstance(geometry, dict):
        raise RejectedError(Reason.WRONG_TYPE, "a geometry is an object")
    coordinates = geometry.get("coordinates")
    match geometry.get("type"):
        case "Point":
            return position(coordinates)
        case "MultiPoint":
            return _of_points(_listed(coordinates))
        case "Polygon":
            return _of_areas([_listed(coordinates)])
        case "MultiPolygon":
            return _of_areas([_listed(polygon) for polygon in _listed(coordinates)])
        case other:
            raise RejectedError(Reason.OUT_OF_RANGE, f"no geometry of an event: {str(other)[:40]!r}")


def position(found: Any) -> Point:  # noqa: ANN401 - whatever JSON holds
    """A position as GeoJSON writes it, longitude first; a height behind it is not looked at.

    Raises:
        RejectedError: it is none.
    """
    pair = _listed(found)[:2]
    if len(pair) < 2 or not all(isinstance(each, (int, float)) and not isinstance(each, bool) for each in pair):
        raise RejectedError(Reason.WRONG_TYPE, "a position is two numbers")
    lon, lat = pair
    # NaN and infinity are no JSON, but a number may be larger than a double.
    if not (-_LONGITUDE <= lon <= _LONGITUDE and -_LATITUDE <= lat <= _LATITUDE):
        raise RejectedError(Reason.OUT_OF_RANGE, "a position is a longitude and a latitude, in degrees")
    return _rounded(lat, lon)


def _listed(found: Any) -> list[Any]:  # noqa: ANN401 - whatever JSON holds
    if not isinstance(found, list) or not found:
        raise RejectedError(Reason.WRONG_TYPE, "expected a list that is not empty")
    return found


def _of_points(points: Sequence[Any]) -> Point:
    at = [_vector(position(each)) for each in points]
    return _degrees(_middle(at))


def _of_areas(polygons: Sequence[Sequence[Any]]) -> Point:
    rings = [_ring(polygon[0]) for polygon in polygons]
    middle = _middle([vertex for ring in rings for vertex in ring])
    east, north = _axes(middle)
    pieces = [_weighed([(_dot(each, east), _dot(each, north)) for each in ring]) for ring in rings]
    area = math.fsum(weight for weight, _, _ in pieces)
    if area == 0:  # a line, or a point
        return _degrees(middle)
    x = math.fsum(weight * x for weight, x, _ in pieces) / area
    y = math.fsum(weight * y for weight, _, y in pieces) / area
    up = math.sqrt(max(0.0, 1 - x * x - y * y))
    return _degrees(_sum((up, middle), (x, east), (y, north)))


def _ring(found: Any) -> list[_Vector]:  # noqa: ANN401 - whatever JSON holds
    vertices = [position(each) for each in _listed(found)]
    if len(vertices) > 1 and vertices[0] == vertices[-1]:
        vertices.pop()
    if len(vertices) < _LEAST_OF_A_RING:
        raise RejectedError(Reason.OUT_OF_RANGE, f"a ring has {_LEAST_OF_A_RING} vertices or more")
    return [_vector(each) for each in vertices]


def _weighed(ring: _Plane) -> tuple[float, float, float]:
    """The area of a ring in the plane, and its centre of mass."""
    x0, y0 = ring[0]
    # Seen from the first vertex: a hall's few metres don't drown in the earth's radius.
    near = [(x - x0, y - y0) for x, y in ring]
    sides = [(a, b, a[0] * b[1] - b[0] * a[1]) for a, b in zip(near, [*near[1:], near[0]], strict=True)]
    twice = math.fsum(cross for _, _, cross in sides)
    if twice == 0:
        return 0.0, x0, y0
    x = math.fsum((a[0] + b[0]) * cross for a, b, cross in sides) / (3 * twice)
    y = math.fsum((a[1] + b[1]) * cross for a, b, cross in sides) / (3 * twice)
    return abs(twice) / 2, x0 + x, y0 + y


def _middle(vectors: Sequence[_Vector]) -> _Vector:
    """The direction in the middle; `fsum`, as the order must not matter.

    Raises:
        RejectedError: there is none, as they lie around half the earth or more.
    """
    x, y, z = (math.fsum(each[axis] for each in vectors) for axis in range(3))
    length = math.hypot(x, y, z)
    middle = (x / length, y / length, z / length) if length > _NOTHING * len(vectors) else None
    if middle is None or any(_dot(middle, each) < _NOTHING for each in vectors):
        raise RejectedError(Reason.OUT_OF_RANGE, "a geometry lies around half the earth or more")
    return middle


def _axes(up: _Vector) -> tuple[_Vector, _Vector]:
    """East and north where `up` is up."""
    x, y, z = up
    flat = math.hypot(x, y)
    east = (-y / flat, x / flat, 0.0) if flat else (0.0, 1.0, 0.0)
    north = (y * east[2] - z * east[1], z * east[0] - x * east[2], x * east[1] - y * east[0])
    return east, north


def _sum(*parts: tuple[float, _Vector]) -> _Vector:
    x, y, z = (math.fsum(factor * vector[axis] for factor, vector in parts) for axis in range(3))
    return x, y, z


def _dot(one: _Vector, other: _Vector) -> float:
    return math.fsum(a * b for a, b in zip(one, other, strict=True))


def _vector(point: Point) -> _Vector:
    lat, lon = map(math.radians, point)
    return math.cos(lat) * math.cos(lon), math.cos(lat) * math.sin(lon), math.sin(lat)


def _degrees(vector: _Vector) -> Point:
    x, y, z = vector
    return _rounded(math.degrees(math.atan2(z, math.hypot(x, y))), math.degrees(math.atan2(y, x)))


def _rounded(lat: float, lon: float) -> Point:
    """One way to write each point: no -0.0, and the antimeridian is 180."""
    lat, lon = round(lat, DECIMALS) + 0.0, round(lon, DECIMALS) + 0.0
    return lat, 180.0 if lon == -_LONGITUDE else lon
