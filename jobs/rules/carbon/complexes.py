"""Apartment complexes, as the poller describes them from K-apt's list and basis."""

import json
import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from jobs.rules.fields import Fields, Reason, RejectedError, fetched, field, identifier, json_object, same_key

HEATING = ("individual", "district", "central")
REGION = re.compile(r"[0-9]{5}")
LEGAL_DONG = re.compile(r"[0-9]{10}")
MOST_HOUSEHOLDS = 1_000_000
# Korea with its islands, WGS84. Swapped coordinates never fall inside.
LATITUDES, LONGITUDES = (33.0, 38.7), (124.5, 132.0)


class Complex(NamedTuple):
    """An apartment complex; its position is WGS84, or unknown.

    `parcel` is its address by parcel, in a legal dong of ten digits; each may be unknown.
    """

    complex_id: str
    name: str
    region: str
    address: str
    lat: float | None
    lon: float | None
    households: int
    heating: str | None
    legal_dong: str | None
    parcel: str | None


def parse(key: str | None, value: bytes | None, at: int) -> Complex:
    """The complex that a record holds; its key is `<complex_id>`, `at` its timestamp in ms.

    Raises:
        RejectedError: it breaks a rule.
    """
    fetched(at)
    record = json_object(value)
    found = Complex(
        identifier(record, "complex_id"),
        field(record, "name", str),
        field(record, "region", str),
        field(record, "address", str),
        _degrees(record, "lat", LATITUDES),
        _degrees(record, "lon", LONGITUDES),
        field(record, "households", int),
        field(record, "heating", str, optional=True),
        field(record, "legal_dong", str, optional=True),
        field(record, "parcel", str, optional=True),
    )
    same_key(key, found.complex_id)
    if not REGION.fullmatch(found.region):
        raise RejectedError(Reason.OUT_OF_RANGE, f"region is not a code of 5 digits: {found.region[:40]!r}")
    if found.legal_dong is not None and not LEGAL_DONG.fullmatch(found.legal_dong):
        detail = f"legal_dong is not a code of 10 digits: {found.legal_dong[:40]!r}"
        raise RejectedError(Reason.OUT_OF_RANGE, detail)
    if not 0 <= found.households <= MOST_HOUSEHOLDS:
        raise RejectedError(Reason.OUT_OF_RANGE, f"households is not within 0 to {MOST_HOUSEHOLDS}")
    if found.heating is not None and found.heating not in HEATING:
        raise RejectedError(
            Reason.OUT_OF_RANGE, f"heating is none of {', '.join(sorted(HEATING))}: {found.heating[:40]!r}"
        )
    if (found.lat is None) != (found.lon is None):
        raise RejectedError(Reason.MISSING_FIELD, "lat" if found.lat is None else "lon")
    return found


def located(
    complex_id: str, content: str, at: int, position: tuple[float, float] | None
) -> tuple[str, str, int] | None:
    """The record that tells of a complex's position besides: its key, value, and timestamp in ms.

    Its timestamp is a millisecond behind that of the record without: it replaces that one, and no later one.

    Args:
        complex_id: the record's key.
        content: its value.
        at: its timestamp.
        position: latitude and longitude.

    Returns:
        None where the position is not known, or what comes of it would break a rule.
    """
    if position is None:
        return None
    record = {**json.loads(content), "lat": position[0], "lon": position[1]}
    value = json.dumps(record, ensure_ascii=False)
    try:
        parse(complex_id, value.encode("utf-8", "surrogatepass"), at + 1)
    except RejectedError:
        return None
    return complex_id, value, at + 1


def _degrees(record: Fields, name: str, bounds: tuple[float, float]) -> float | None:
    degrees: float | int | None = field(record, name, float, optional=True)
    if degrees is not None and not bounds[0] <= degrees <= bounds[1]:
        raise RejectedError(Reason.OUT_OF_RANGE, f"{name} is not in Korea ({bounds[0]} to {bounds[1]})")
    return None if degrees is None else float(degrees)


def station_of(default: str, stations: Mapping[str, str]) -> Callable[[str], str]:
    """The weather station of a region, as a function."""
    known = dict(stations)
    return lambda region: known.get(region, default)
