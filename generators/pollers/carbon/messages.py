"""From answers to Kafka messages: what the job is promised. Pure.

| topic | key | value |
|---|---|---|
| `energy.usage` | `<complex_id>|<YYYY-MM>` | the body as it came |
| `complexes` | `<complex_id>` | one JSON object |
| `weather.daily` | `<station>|<YYYY-MM-DD>` | the service's item, as JSON |

A message's timestamp is the time of fetching, its headers are `fetched_at` (ISO 8601, UTC) and `url` (without a key).
"""

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime

from apis.data_go_kr import Item

ENERGY, COMPLEXES, WEATHER = "energy.usage", "complexes", "weather.daily"
QUANTITIES = ("helect", "hgas", "hheat", "hwaterHot", "hwaterCool")

_HEATING = {"개별": "individual", "지역": "district", "중앙": "central"}


@dataclass(frozen=True)
class Message:
    """One Kafka record; `fetched_ms` is its timestamp, `id` its place in the spool."""

    topic: str
    key: str
    value: bytes
    url: str
    fetched_ms: int
    id: int = 0

    @property
    def headers(self) -> list[tuple[str, bytes]]:
        """Its headers."""
        return [("fetched_at", iso(self.fetched_ms).encode()), ("url", self.url.encode())]


def iso(milliseconds: int) -> str:
    """A time on the wire."""
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def energy_key(complex_id: str, month: date) -> str:
    """The key of a complex's month."""
    return f"{complex_id}|{month:%Y-%m}"


def weather_key(station: str, day: date) -> str:
    """The key of a station's day."""
    return f"{station}|{day}"


def was_entered(item: Item) -> bool:
    """Whether anybody entered the month: not all quantities are 0 or absent."""
    return any(item.get(name, "").strip("0. ") for name in QUANTITIES)


def weather_value(item: Item) -> bytes:
    """A day, as the service wrote it."""
    return json.dumps(item, ensure_ascii=False).encode()


def complex_value(basis: Item, position: tuple[float, float] | None, fetched_ms: int) -> bytes:
    """A complex, from what K-apt's basis service and the geocoder tell of it."""
    lat, lon = position or (None, None)
    heating = basis.get("codeHeatNm", "")
    return json.dumps(
        {
            "complex_id": basis["kaptCode"],
            "name": basis.get("kaptName", ""),
            "region": basis.get("bjdCode", "")[:5],
            "address": address(basis),
            "lat": lat,
            "lon": lon,
            "households": _whole(basis.get("kaptdaCnt", "")),
            "heating": next((kind for name, kind in _HEATING.items() if heating.startswith(name)), None),
            "used_since": _day(basis.get("kaptUsedate", "")),
            "fetched_at": iso(fetched_ms),
        },
        ensure_ascii=False,
    ).encode()


def address(basis: Item) -> str:
    """The road address, or the older one of the parcel."""
    return basis.get("doroJuso", "").strip() or basis.get("kaptAddr", "").strip()


def _whole(text: str) -> int | None:
    try:
        return int(float(text))
    except ValueError:
        return None


def _day(text: str) -> str | None:
    try:
        return datetime.strptime(text, "%Y%m%d").date().isoformat()  # noqa: DTZ007 - a day
    except ValueError:
        return None
