"""From answers to Kafka messages: what the job is promised. Pure.

| topic | key | value |
|---|---|---|
| `energy.usage` | `<complex_id>|<YYYY-MM>` | the body as it came |
| `energy.buildings` | `<legal dong>|<YYYY-MM>|<electricity or gas>|<page, or bun-ji of a lot>` | the body as it came |
| `complexes` | `<complex_id>` | one JSON object |
| `weather.daily` | `<station>|<YYYY-MM-DD>` | the service's item, as JSON |
| `weather.forecast` | `<station>|<kind>|<issue>|<YYYY-MM-DD>` | one JSON object |

A message's timestamp is the time of fetching, its headers are `fetched_at` (ISO 8601, UTC) and `url` (without a key).
"""

import contextlib
import json
from collections.abc import Sequence
from datetime import date, datetime

from apis import legal_dongs, parcels
from apis.client import milliseconds
from apis.data_go_kr import Item, whole
from apis.kakao import Position
from apis.kma import Announced, Term
from generators.pollers.state import iso

ENERGY, BUILDINGS, COMPLEXES, WEATHER = "energy.usage", "energy.buildings", "complexes", "weather.daily"
FORECAST = "weather.forecast"
QUANTITIES = ("helect", "hgas", "hheat", "hwaterHot", "hwaterCool")

_HEATING = {"개별": "individual", "지역": "district", "중앙": "central"}
_LEGAL_CODE_DIGITS = 10
# Nothing entered, or "other".
_NO_HEATING = ("", "-", "기타")


def energy_key(complex_id: str, month: date) -> str:
    """The key of a complex's month."""
    return f"{complex_id}|{month:%Y-%m}"


def buildings_key(dong: str, month: date, item: str) -> str:
    """The key of a legal dong's month, under its code of that month; a page or a lot goes behind it."""
    return f"{legal_dongs.at(dong, month)}|{month:%Y-%m}|{item}"


def weather_key(station: str, day: date) -> str:
    """The key of a station's day."""
    return f"{station}|{day}"


def was_entered(item: Item) -> bool:
    """Whether anybody entered the month: not all quantities are 0 or absent."""
    return any(item.get(name, "").strip("0. ") for name in QUANTITIES)


def weather_value(item: Item) -> bytes:
    """A day, as the service wrote it."""
    return json.dumps(item, ensure_ascii=False).encode()


def issue_key(station: str, issued: datetime) -> str:
    """An issue of a station's weather forecast."""
    return f"{station}|{iso(milliseconds(issued))}"


def forecast_key(station: str, term: Term, issued: datetime, day: date) -> str:
    """The key of a day as an issue has it."""
    return f"{station}|{term.name}|{iso(milliseconds(issued))}|{day}"


def forecast_value(station: str, term: Term, issued: datetime, said: Announced) -> bytes:
    """A day as an issue has it."""
    about = {"station": station, "kind": term.name, "issued_at": iso(milliseconds(issued))}
    return json.dumps({**about, **said._asdict(), "day": said.day.isoformat()}).encode()


def complex_value(basis: Item, position: Position | None, fetched_ms: int) -> bytes:
    """A complex, from what K-apt's basis service and the geocoder tell of it.

    What is empty is null; what can't be read is there as it came, for the job to refuse.
    """
    lat, lon = position or (None, None)
    return json.dumps(
        {
            "complex_id": basis["kaptCode"],
            "name": basis.get("kaptName", ""),
            "region": _region(basis.get("bjdCode", "")),
            "address": address(basis),
            "legal_dong": _legal_dong(basis.get("bjdCode", "")),
            "parcel": basis.get("kaptAddr", "").strip() or None,
            "lat": lat,
            "lon": lon,
            "households": _whole(basis.get("kaptdaCnt", "")),
            "heating": _heating(basis.get("codeHeatNm", "")),
            "used_since": _day(basis.get("kaptUsedate", "")),
            "fetched_at": iso(fetched_ms),
        },
        ensure_ascii=False,
    ).encode()


def address(basis: Item) -> str:
    """The road address, or the older one of the parcel."""
    return basis.get("doroJuso", "").strip() or basis.get("kaptAddr", "").strip()


def stands(basis: Item) -> tuple[str, Sequence[str]] | None:
    """The legal dong that a complex stands in and the lots that its address names; None: it names none."""
    dong, lots = _legal_dong(basis.get("bjdCode", "")), parcels.lots(basis.get("kaptAddr", ""))
    return (dong, lots) if dong and lots else None


def _legal_dong(code: str) -> str | None:
    """A legal code as it is numbered now."""
    return legal_dongs.current(code) if len(code) == _LEGAL_CODE_DIGITS else None


def _region(code: str) -> str:
    legal_dong = _legal_dong(code)
    return legal_dong[:5] if legal_dong else code


def _whole(text: str) -> int | str | None:
    found = whole(text)
    return (text or None) if found is None else found


def _heating(name: str) -> str | None:
    if name in _NO_HEATING:
        return None
    return next((kind for begin, kind in _HEATING.items() if name.startswith(begin)), name)


def _day(text: str) -> str | None:
    for form in ("%Y%m%d", "%Y-%m-%d", "%Y.%m.%d"):
        with contextlib.suppress(ValueError):
            return datetime.strptime(text, form).date().isoformat()  # noqa: DTZ007 - a day
    return text or None
