"""What is near: the shape that all providers of places are read into, and how each of them is asked."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from apis.endpoints import Call, Endpoint

# The names under which quotas count calls.
OPERATION = "places"
KINDS = ("restaurant", "cafe", "hotel")
# How far from an event one eats and drinks, and how far one sleeps; in metres.
EAT_METRES, SLEEP_METRES = 3_000, 5_000


_ID = re.compile(r"[\x21-\x7e]{1,300}")
_MOST_CHARACTERS = 500


class Spot(NamedTuple):
    """Where one can eat or sleep, in WGS84 degrees: one of `KINDS`, and without a name where none may be kept."""

    place_id: str
    kind: str
    name: str | None
    lat: float
    lon: float


Found = tuple[Spot, ...]


def spot(place_id: object, kind: str, name: object, lat: object, lon: object) -> Spot:
    """A spot of what a provider told; a name that nothing can store is none.

    Raises:
        ValueError: the id is none that can be stored, or the position is none.
    """
    position = float(str(lat)), float(str(lon))
    if not (
        isinstance(place_id, str) and _ID.fullmatch(place_id) and abs(position[0]) <= 90 and abs(position[1]) <= 180
    ):
        msg = f"no place: {str(place_id)[:40]!r} at {position}"
        raise ValueError(msg)
    return Spot(place_id, kind, _storable(name) if isinstance(name, str) else None, *position)


def _storable(name: str) -> str | None:
    text = name.encode("utf-8", "replace").decode("utf-8").replace("\0", "").strip()
    return text[:_MOST_CHARACTERS] or None


@dataclass(frozen=True)
class Provider:
    """A provider of places.

    Attributes:
        name: as the settings name it, and the table.
        attribution: what its terms want to be shown beside its data.
        endpoint: where it is asked.
        calls: the calls that find all of `KINDS` around a latitude and longitude.
    """

    name: str
    attribution: str
    endpoint: Endpoint[Found]
    calls: Callable[[Endpoint[Found], float, float], Sequence[Call[Found]]]
