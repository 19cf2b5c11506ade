"""Which coordinate system points are in, told from where each candidate puts them, with how sure that is.

Three things speak for a candidate: its points lie on land; they lie where addresses are dense, since what people list
are addresses; and the names of the regions they lie in stand in the same rows. The last tells systems apart that differ
by some hundred metres, as EPSG:5174 and EPSG:2097 do: of a few hundred rows, some lie that near to a boundary.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geo.regions import Region, regions
from geo.systems import Numbers, in_korea, system

# In use in Korea, with the logarithm of how usual each is.
CANDIDATES = {
    "EPSG:4326": 0.0,
    "EPSG:5174": 0.0,
    "EPSG:5179": 0.0,
    "EPSG:5181": 0.0,
    "EPSG:5186": 0.0,
    "KATEC": 0.0,
    "WCONGNAMUL": 0.0,
    "EPSG:3857": 0.0,
    "EPSG:5187": -0.5,
    "EPSG:2097": -1.0,
    "EPSG:5178": -1.0,
    "EPSG:5185": -1.0,
    "EPSG:5188": -1.0,
    "EPSG:5175": -1.0,
    "EPSG:5176": -1.0,
    "EPSG:5173": -1.0,
    "EPSG:2096": -1.5,
    "EPSG:2098": -1.5,
    "EPSG:32652": -1.0,
    "EPSG:32651": -1.5,
}
_SWAPPED = -4.0
# A name that fits its row is so much likelier under the right system.
_NAME_FITS = float(np.log(20))
# Points of a file lie together: they count as so many that don't, at most.
_MOST_INDEPENDENT = 5
_LEAST_LOG = -30.0
_LEAST_SURENESS = 0.005
# Surer than this of another system, and the one that was named is doubted.
DOUBT = 0.95
_WORDS = re.compile(r"[\s,()\[\]/]+")


class Proposal(NamedTuple):
    """A candidate.

    Attributes:
        system: its name.
        is_swapped: whether x and y have to change places.
        sureness: from 0 to 1, against all other candidates.
        in_korea: the share of the points that it puts on Korean land.
        names_fit: in how many rows the name of the town or neighbourhood stands that it puts the point in.
        place: where it puts the first of the points.
        lon, lat: of that point.
    """

    system: str
    is_swapped: bool
    sureness: float
    in_korea: float
    names_fit: int
    place: str
    lon: float
    lat: float


class _Landing(NamedTuple):
    name: str
    is_swapped: bool
    lon: Numbers
    lat: Numbers
    found: list[Region | None]
    density: float
    names: float
    names_fit: int

    @property
    def on_land(self) -> float:
        return sum(region is not None for region in self.found) / len(self.found)


def propose(x: ArrayLike, y: ArrayLike, texts: Sequence[str]) -> list[Proposal]:
    """The candidates that put points on Korean land, the surest first.

    Args:
        x: of a sample of the points, at least one.
        y: of the same.
        texts: what else stands in each one's row.
    """
    return _ranked(
        [
            (landing, CANDIDATES[landing.name] + landing.density + landing.names)
            for landing in _landings(list(CANDIDATES), x, y, texts)
            if landing.on_land > 0
        ]
    )


def doubt(name: str, x: ArrayLike, y: ArrayLike, texts: Sequence[str]) -> Proposal | None:
    """What these points are in, where they are hardly in the system that was named; None: nothing speaks against it.

    Where points are dense is no argument here: somebody may well list points of the mountains.
    """
    candidates = list(dict.fromkeys((name, *CANDIDATES)))
    landings = _landings(candidates, x, y, texts)
    ranked = _ranked(
        [
            (landing, (0.0 if landing.name == name else -1.0) + landing.names + _MOST_INDEPENDENT * landing.on_land)
            for landing in landings
        ]
    )
    best = ranked[0]
    return None if (best.system, best.is_swapped) == (name, False) or best.sureness < DOUBT else best


def landing(name: str, x: ArrayLike, y: ArrayLike) -> tuple[float, float]:
    """The shares of points that a system puts into Korea and its sea, and onto Korean land."""
    lon, lat = system(name).to_wgs84(x, y)
    return float(np.mean(in_korea(lon, lat))), float(np.mean(_found(lon, lat) >= 0))


def _landings(names: Sequence[str], x: ArrayLike, y: ArrayLike, texts: Sequence[str]) -> list[_Landing]:
    words = [{word for word in _WORDS.split(text) if word} for text in texts]
    return [
        _land(name, is_swapped, *((y, x) if is_swapped else (x, y)), words)
        for name in names
        for is_swapped in (False, True)
    ]


def _land(name: str, is_swapped: bool, x: ArrayLike, y: ArrayLike, words: Sequence[set[str]]) -> _Landing:
    lon, lat = system(name).to_wgs84(x, y)
    places = _found(lon, lat)
    known = regions()
    found = [known.listed[place] if place >= 0 else None for place in places.tolist()]
    fits = [(region.sigungu in said, region.emd in said) for region, said in zip(found, words, strict=True) if region]
    density = float(np.mean(known.log_density(places))) * min(len(places), _MOST_INDEPENDENT)
    names = _NAME_FITS * sum(map(sum, fits))
    return _Landing(name, is_swapped, lon, lat, found, density, names, sum(emd for _, emd in fits))


def _found(lon: Numbers, lat: Numbers) -> NDArray[np.int64]:
    inside = in_korea(lon, lat)
    places = np.full(len(lon), -1, dtype=np.int64)
    places[inside] = regions().find(lon[inside], lat[inside])
    return places


def _ranked(scored: Sequence[tuple[_Landing, float]]) -> list[Proposal]:
    if not scored:
        return []
    scores = np.array([score + (_SWAPPED if landed.is_swapped else 0.0) for landed, score in scored])
    weights = np.exp(np.maximum(scores - scores.max(), _LEAST_LOG))
    shares = weights / weights.sum()
    made = [
        Proposal(
            landed.name,
            landed.is_swapped,
            round(float(share), 4),
            landed.on_land,
            landed.names_fit,
            next((region.name for region in landed.found if region), ""),
            float(landed.lon[0]),
            float(landed.lat[0]),
        )
        for (landed, _), share in zip(scored, shares, strict=True)
    ]
    made.sort(key=lambda each: -each.sureness)
    return [each for place, each in enumerate(made) if place == 0 or each.sureness >= _LEAST_SURENESS]
