"""Complexes all over Korea, for a simulator that is to have more than the city's. Invented, the same for every seed.

Each stands inside the real boundary of a legal dong outside of the city, under its real code and names. Real offices
number them otherwise, and none of these exists. More of them leave those that there were as they are.
"""

import functools
from collections import defaultdict
from collections.abc import Sequence
from random import Random

import shapely

from conf.city import places
from conf.city.places import Complex
from generators import naming
from geo.regions import Region, regions

_CITY = "27"
_FIRST_ID = 10_000_001
# One in so many stands in a village of a town (eup), the others in neighbourhoods (dong).
_VILLAGE_EVERY = 8
_ROADS = ("로", "로", "로", "대로", "길", "로1길", "로2길", "로3길", "로5길", "로12길")
# So far from a boundary, about 50 m: they were simplified each by itself, and some overlap.
_INSIDE_DEGREES = 0.0005
_TRIES = 60


@functools.cache
def complexes(count: int) -> tuple[Complex, ...]:
    """So many complexes: the city's own, and what is drawn outside of it."""
    city = places.complexes()
    names: dict[str, set[str]] = defaultdict(set)
    addresses: set[str] = set()
    return (*city, *(_draw(number, names, addresses) for number in range(count - len(city))))


def is_outside(place: Complex) -> bool:
    """Whether a complex is none of the city's own."""
    return not place.region.startswith(_CITY)


def ground(place: Complex) -> Region:
    """The legal dong that a complex outside of the city stands in."""
    return regions().listed[_known()[place.region, place.neighbourhood]]


def turn(place: Complex) -> int:
    """How many complexes of its legal dong were drawn before one outside of the city."""
    return _stand(int(place.complex_id[1:]) - _FIRST_ID)[1]


def _draw(number: int, names: dict[str, set[str]], addresses: set[str]) -> Complex:
    at, _ = _stand(number)
    region, draw = regions().listed[at], Random(f"citystream korea {number}")
    stem = naming.stem(region.ri or region.emd)
    name = naming.name(stem, names[region.district], draw)
    names[region.district].add(name)
    town = region.emd if region.ri else ""
    road = " ".join(filter(None, (region.sido, region.sigungu, town, f"{stem}{draw.choice(_ROADS)}")))
    address = f"{road} {draw.randint(3, 480)}"
    while address in addresses:
        address = f"{road} {draw.randint(3, 480)}-{draw.randint(1, 40)}"
    addresses.add(address)
    lon, lat = _point(regions().boundary(at), draw)
    return Complex(
        complex_id=f"A{_FIRST_ID + number:08d}",
        name=name,
        region=region.district,
        neighbourhood=_neighbourhood(region),
        address=address,
        lat=lat,
        lon=lon,
        households=naming.households(draw),
    )


def _point(boundary: shapely.Geometry, draw: Random) -> tuple[float, float]:
    """A point (lon, lat) inside, well away from the edge where there is room."""
    west, south, east, north = boundary.bounds
    for _ in range(_TRIES):
        lon, lat = round(draw.uniform(west, east), 6), round(draw.uniform(south, north), 6)
        point = shapely.Point(lon, lat)
        if boundary.contains(point) and boundary.boundary.distance(point) > _INSIDE_DEGREES:
            return lon, lat
    inner = boundary.representative_point()
    return round(inner.x, 6), round(inner.y, 6)


def _stand(number: int) -> tuple[int, int]:
    """Where the complex of this number stands, as its place in `regions().listed`, and how many stand there before."""
    neighbourhoods, villages = _grounds()
    in_villages, rest = divmod(number, _VILLAGE_EVERY)
    grounds, nth = (neighbourhoods, number - in_villages - 1) if rest else (villages, in_villages)
    before, at = divmod(nth, len(grounds))
    return grounds[at], before


@functools.cache
def _grounds() -> tuple[Sequence[int], Sequence[int]]:
    """Neighbourhoods, and villages of towns, in an order without order: places in `regions().listed`."""
    listed = regions().listed
    outside = [at for at, region in enumerate(listed) if region.sigungu and region.emd and region.district[:2] != _CITY]
    inner = [regions().boundary(at).representative_point() for at in outside]
    # Some boundaries stand there twice, as what they were before or as their own only village.
    found = regions().find([point.x for point in inner], [point.y for point in inner]).tolist()
    outside = [at for at, place in zip(outside, found, strict=True) if at == place]
    neighbourhoods = [at for at in outside if not listed[at].ri and listed[at].emd[-1] not in "읍면"]
    villages = [at for at in outside if listed[at].ri and listed[at].emd[-1] == "읍"]
    for grounds in (neighbourhoods, villages):
        Random("citystream korea").shuffle(grounds)
    return neighbourhoods, villages


@functools.cache
def _known() -> dict[tuple[str, str], int]:
    """Places in `regions().listed` of where complexes stand, by district and neighbourhood."""
    listed = regions().listed
    return {(listed[at].district, _neighbourhood(listed[at])): at for grounds in _grounds() for at in grounds}


def _neighbourhood(region: Region) -> str:
    return f"{region.emd} {region.ri}".strip()
