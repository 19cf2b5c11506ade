"""Points of uploaded files: what a record of `coordinates.requests` asks, and what is found for it without a server.

Conversion takes many rows at once: PROJ and the boundaries work on arrays. A row that can't be converted is a result
with its reason, since whoever uploaded it looks for it in the workbook; a dead letter is what is no row of a batch.
"""

import json
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from geo.regions import regions
from geo.systems import NoNumberError, UnknownSystemError, in_korea, number, system
from jobs.rules.fields import Fields, Reason, RejectedError, fetched, field, identifier, json_object, same_key, storable

DONE, WAITING, FAILED = "done", "waiting", "failed"
MOST_SHEET_CHARACTERS = 100
# A row of a file; Kafka takes no record above 1 MiB.
MOST_PAYLOAD_BYTES = 1 << 20
_NO_REGION = "no region there: at sea, or beyond the border"


class Request(NamedTuple):
    """A row of a file: its place, its point as it stands there, and all its cells as JSON.

    Attributes:
        fault: what is wrong with the row, where whoever sent it saw something.
    """

    batch_id: str
    sheet: str
    row_number: int
    x: str | float | None
    y: str | float | None
    source_crs: str
    payload: str
    fault: str | None


class Result(NamedTuple):
    """A row of coordinate_results. The row with the address has the higher version of the two that are written."""

    batch_id: str
    sheet: str
    row_number: int
    lon: float | None
    lat: float | None
    address: str | None
    region: str | None
    legal_code: str | None
    status: str
    error: str | None
    payload: str
    version: int

    @property
    def position(self) -> str:
        """The point to 0.1 m: rows with the same one have the same address."""
        return f"{self.lon:.6f},{self.lat:.6f}"


def parse(key: str | None, value: bytes | None, at: int) -> Request:
    """The request that a record holds; its key is `<batch_id>|<sheet>`, `at` its timestamp in ms.

    Raises:
        RejectedError: it breaks a rule.
    """
    fetched(at)
    record = json_object(value)
    sheet = "" if record.get("sheet") == "" else field(record, "sheet", str)
    if len(sheet) > MOST_SHEET_CHARACTERS:
        raise RejectedError(Reason.TOO_LONG, f"sheet has more than {MOST_SHEET_CHARACTERS} characters")
    payload = json.dumps(field(record, "payload", list), ensure_ascii=False, separators=(",", ":"))
    found = Request(
        identifier(record, "batch_id"),
        sheet,
        field(record, "row_number", int),
        _coordinate(record, "x"),
        _coordinate(record, "y"),
        field(record, "source_crs", str),
        storable("payload", payload, longest=MOST_PAYLOAD_BYTES),
        field(record, "fault", str, optional=True),
    )
    same_key(key, found.batch_id, found.sheet)
    if not 1 <= found.row_number < 2**53:
        raise RejectedError(Reason.OUT_OF_RANGE, f"row_number is not 1 or more: {found.row_number}")
    return found


def convert(requests: Sequence[tuple[Request, int]]) -> list[Result]:
    """Positions and regions of rows, in their order.

    Args:
        requests: each with its record's timestamp in ms, of which the version is made.

    Returns:
        `waiting` rows, whose address is to come; `failed` ones with the reason; and `done` ones that have no region,
        and so no address.
    """
    faults = [request.fault for request, _ in requests]
    lon, lat = np.full(len(requests), np.nan), np.full(len(requests), np.nan)
    by_system: dict[str, list[tuple[int, float, float]]] = {}
    for place, (request, _) in enumerate(requests):
        if faults[place]:
            continue
        try:
            point = _number("x", request.x), _number("y", request.y)
        except NoNumberError as error:
            faults[place] = str(error)
        else:
            by_system.setdefault(request.source_crs, []).append((place, *point))
    for name, points in by_system.items():
        places, x, y = zip(*points, strict=True)
        try:
            lon[list(places)], lat[list(places)] = system(name).to_wgs84(x, y)
        except UnknownSystemError as error:
            for place in places:
                faults[place] = str(error)
    inside = in_korea(lon, lat)
    found = iter(regions().at(lon[inside], lat[inside]))
    results = []
    for place, (request, at) in enumerate(requests):
        region = next(found) if inside[place] else None
        is_placed = bool(np.isfinite(lon[place]))
        fault = faults[place] or (None if inside[place] else _elsewhere(request, float(lon[place]), float(lat[place])))
        results.append(
            Result(
                request.batch_id,
                request.sheet,
                request.row_number,
                float(lon[place]) if is_placed else None,
                float(lat[place]) if is_placed else None,
                None,
                region and region.district,
                region and region.code,
                FAILED if fault else WAITING if region else DONE,
                fault or (None if region else _NO_REGION),
                request.payload,
                2 * at,
            )
        )
    return results


def addressed(result: Result, address: str | None) -> Result:
    """A waiting row with its address; None: the API knows none there."""
    error = None if address else "no address is known there"
    return result._replace(address=address, status=DONE, error=error, version=result.version + 1)


def _coordinate(record: Fields, name: str) -> str | float | None:
    if name in record.repeated:
        raise RejectedError(Reason.DUPLICATE_FIELD, f"{name} is there more than once")
    found: object = record.get(name)
    if isinstance(found, str):
        return storable(name, found)
    if found is None or (isinstance(found, int | float) and not isinstance(found, bool)):
        return found
    return json.dumps(found)[:100]


def _number(name: str, value: str | float | None) -> float:
    try:
        return number(value)
    except NoNumberError as error:
        msg = f"{name} {error}"
        raise NoNumberError(msg) from None


def _elsewhere(request: Request, lon: float, lat: float) -> str:
    if not np.isfinite(lon):
        return f"{request.source_crs} has no such point"
    return f"outside Korea: lon {lon:.5f}, lat {lat:.5f}"
