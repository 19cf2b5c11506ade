"""Points of uploaded files: what is found for them without a server, and what becomes of a row with its address.

Conversion takes many rows at once: PROJ and the boundaries work on arrays. A row that can't be converted is a result
with its reason, since whoever uploaded it looks for it in the workbook; a dead letter is what is no row of a batch.
"""

import json
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from geo.regions import Region, regions
from geo.systems import NoNumberError, UnknownSystemError, in_korea, number, system
from jobs.rules.line import Answer

DONE, WAITING, FAILED = "done", "waiting", "failed"
_NO_REGION = "no region there: at sea, or beyond the border"
_MOST_CHARACTERS = 100


class Converted(NamedTuple):
    """What is found for a row.

    Attributes:
        lon, lat: in WGS84 degrees.
        region: the first five digits of the legal code.
        legal_code: ten digits.
        status: `waiting` for its address; `failed`; or `done`, where there is no region, and so no address.
        error: why it failed, or has no region.
        position: the point to 0.1 m, of waiting rows: those with the same one have the same address.
    """

    lon: float | None
    lat: float | None
    region: str | None
    legal_code: str | None
    status: str
    error: str | None
    position: str | None


class Waiting(NamedTuple):
    """A row of coordinate_results that waits for its address."""

    batch_id: str
    sheet: str
    row_number: int
    lon: float
    lat: float
    region: str
    legal_code: str
    payload: str
    version: int


class Result(NamedTuple):
    """A row of coordinate_results. Of the two that are written, the one with the address has the higher version."""

    batch_id: str
    sheet: str
    row_number: int
    lon: float
    lat: float
    address: str | None
    region: str
    legal_code: str
    status: str
    error: str | None
    payload: str
    version: int


def convert(
    xs: Sequence[str | None], ys: Sequence[str | None], systems: Sequence[str], faults: Sequence[str | None]
) -> list[Converted]:
    """Positions and regions of rows, in their order.

    Args:
        xs: longitudes or eastings, each as the JSON that stands in the record.
        ys: latitudes or northings.
        systems: the names of the coordinate systems.
        faults: what is wrong with a row, where whoever sent it saw something.
    """
    errors = list(faults)
    lon, lat = np.full(len(xs), np.nan), np.full(len(xs), np.nan)
    by_system: dict[str, list[tuple[int, float, float]]] = {}
    for place, (x, y, name) in enumerate(zip(xs, ys, systems, strict=True)):
        if errors[place]:
            continue
        try:
            by_system.setdefault(name, []).append((place, _number("x", x), _number("y", y)))
        except NoNumberError as error:
            errors[place] = str(error)
    for name, points in by_system.items():
        if not points:
            continue
        places, x_of, y_of = zip(*points, strict=True)
        try:
            lon[list(places)], lat[list(places)] = system(name).to_wgs84(x_of, y_of)
        except UnknownSystemError as error:
            for place in places:
                errors[place] = str(error)
    inside = in_korea(lon, lat)
    found = iter(regions().at(lon[inside], lat[inside]))
    return [
        _found(error, name, *there, next(found) if is_inside else None, is_inside=is_inside)
        for error, name, there, is_inside in zip(
            errors, systems, zip(lon.tolist(), lat.tolist(), strict=True), inside.tolist(), strict=True
        )
    ]


def addressed(waiting: Waiting, answer: Answer) -> Result:
    """A waiting row with its address; where the answer is None, none is known there."""
    status, error = DONE, None if answer.value else "no address is known there"
    if answer.error:
        status, error = FAILED, f"its address can't be looked up: {answer.error}"
    return Result(
        *waiting[:5],
        answer.value,
        waiting.region,
        waiting.legal_code,
        status,
        error,
        waiting.payload,
        waiting.version + 1,
    )


def _found(
    error: str | None, name: str, lon: float, lat: float, region: Region | None, *, is_inside: bool
) -> Converted:
    if not np.isfinite(lon):
        return Converted(None, None, None, None, FAILED, error or f"{name} has no such point", None)
    if not is_inside:
        return Converted(lon, lat, None, None, FAILED, f"outside Korea: lon {lon:.5f}, lat {lat:.5f}", None)
    if region is None:
        return Converted(lon, lat, None, None, DONE, _NO_REGION, None)
    return Converted(lon, lat, region.district, region.code, WAITING, None, f"{lon:.6f},{lat:.6f}")


def _number(name: str, said: str | None) -> float:
    try:
        return number(_value(said))
    except NoNumberError as error:
        msg = f"{name} {error}"
        raise NoNumberError(msg) from None


def _value(said: str | None) -> object:
    """A cell as it stood in the file."""
    if said is None:
        return None
    if said[0] in "[{":
        return said[:_MOST_CHARACTERS]
    try:
        return json.loads(said)
    except ValueError:  # Python reads only some thousand digits.
        return said[:_MOST_CHARACTERS]
