"""Where things are, and what they are called: districts, complexes, venues."""

import contextlib
from collections.abc import Callable
from typing import Any

from board.database import Row
from conf.city.places import complexes, districts
from conf.city.venues import venues
from sinks.errors import NotReadyError

# The complexes that jobs know of: those of the public register, where it was fetched, are in a table.
LISTED = "SELECT complex_id, name, region, address, lat, lon, households FROM complexes ORDER BY complex_id"


def places(rows: Callable[[str], list[Row]]) -> dict[str, Any]:
    """Districts, complexes and venues.

    Args:
        rows: runs a query; without its table, the complexes are those of the city's own file.

    Where the database is away, it is the city's own file, too: a map with names is better than none.
    """
    known = {
        each.complex_id: {
            "complex_id": each.complex_id,
            "name": each.name,
            "region": each.region,
            "address": each.address,
            "lat": each.lat,
            "lon": each.lon,
            "households": each.households,
        }
        for each in complexes()
    }
    with contextlib.suppress(NotReadyError):
        known |= {row["complex_id"]: row for row in rows(LISTED)}
    return {
        "districts": [
            {"code": each.code, "ko": each.name, "en": each.romanised, "lat": each.lat, "lon": each.lon}
            for each in districts()
        ],
        "complexes": [known[key] for key in sorted(known)],
        "venues": [each._asdict() for each in venues()],
    }
