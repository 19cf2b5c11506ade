"""What is found for a row: each in its place, whatever stands in it; and what becomes of it with its address.

And of a complex that has an address and no position: it is described again, with its position.
"""

import json
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from generators.coordinates.cells import of_text
from generators.coordinates.checking import Point
from generators.coordinates.sending import record
from jobs.operators.coordinates import conversion
from jobs.rules.carbon.complexes import located, parse
from jobs.rules.coordinates import Converted, Waiting, addressed, convert
from jobs.rules.line import Answer

# x and y as JSON, the system, and the sender's fault.
Asked = tuple[str | None, str | None, str, str | None]
DAEGU: Asked = ("344556.52", '"264,651.13"', "EPSG:5174", None)


def converted(*asked: Asked) -> list[Converted]:
    return convert(*(list(column) for column in zip(*asked, strict=True)))


def test_rows_are_converted_in_their_order_whatever_they_are_in() -> None:
    daegu, seoul, text, unknown, paris, nowhere, sea, ragged, empty, cell, digits, true = converted(
        DAEGU,
        ('"126.978546"', "37.566554", "EPSG:4326", None),
        ('"없음"', "264651.13", "EPSG:5174", None),
        ("344556.52", "264651.13", "EPSG:0", None),
        ("2.35", "48.85", "WGS84", None),
        ("1e30", "264651.13", "EPSG:5174", None),
        ("131.0", "38.5", "WGS84", None),
        ("344556.52", "264651.13", "EPSG:5174", "has more cells than the header: 4, not 3"),
        (None, "264651.13", "EPSG:5174", None),
        ('{"number": 1}', "264651.13", "EPSG:5174", None),
        ("1" * 5_000, "264651.13", "EPSG:5174", None),
        ("true", "264651.13", "EPSG:5174", None),
    )
    assert (daegu.region, daegu.status, daegu.error) == ("27110", "waiting", None)
    assert (daegu.lon, daegu.lat) == (pytest.approx(128.6014, abs=1e-5), pytest.approx(35.8714, abs=1e-5))
    assert (seoul.legal_code, seoul.position) == ("1114010300", "126.978546,37.566554")
    assert (text.status, text.lon, text.error) == ("failed", None, "x is not a number: '없음'")
    assert "PROJ knows no coordinate system 'EPSG:0'" in (unknown.error or "")
    assert (paris.status, paris.lon, paris.error) == ("failed", 2.35, "outside Korea: lon 2.35000, lat 48.85000")
    assert (nowhere.status, nowhere.error) == ("failed", "EPSG:5174 has no such point")
    assert (sea.status, sea.region, sea.error) == ("done", None, "no region there: at sea, or beyond the border")
    assert (ragged.status, ragged.lon, ragged.error) == ("failed", None, "has more cells than the header: 4, not 3")
    assert empty.error == "x is empty"
    assert cell.error == "x is not a number: '{\"number\": 1}'"
    assert (digits.status, digits.error) == ("failed", "EPSG:5174 has no such point")
    assert true.error == "x is not a number: 'True'"
    assert convert([], [], [], []) == []


def test_a_point_in_a_gap_between_boundaries_waits_for_its_address() -> None:
    (found,) = converted(("128.55136475", "35.8372207", "WGS84", None))
    assert (found.status, found.legal_code, found.position) == ("waiting", "2729012200", "128.551365,35.837221")


def test_python_takes_many_rows_of_a_query_at_once() -> None:
    columns = zip(DAEGU, (None, None, "KATEC", "x is empty"), strict=True)
    frame = conversion()._func(*(pd.Series(column, dtype=object) for column in columns))
    assert list(frame.columns) == list(Converted._fields)
    assert frame["status"].tolist() == ["waiting", "failed"]
    assert frame["lon"].isna().tolist() == [False, True]


def test_the_row_with_the_address_is_the_newer_one() -> None:
    waiting = Waiting("b1", "중구", 7, 128.6014, 35.8714, "27110", "2711010100", '["a"]', 84)
    done = addressed(waiting, Answer("대구 중구 공평로 88"))
    assert done[:5] == waiting[:5]
    assert (done.status, done.address, done.error, done.version) == ("done", "대구 중구 공평로 88", None, 85)
    assert (done.region, done.legal_code, done.payload) == ("27110", "2711010100", '["a"]')
    nameless = addressed(waiting, Answer(None))
    assert (nameless.status, nameless.error) == ("done", "no address is known there")
    given_up = addressed(waiting, Answer(None, "no JSON"))
    assert (given_up.status, given_up.error) == ("failed", "its address can't be looked up: no JSON")


COMPLEX = {
    "complex_id": "A1", "name": "단지", "region": "27260", "address": "대구 수성구 동대구로 1", "parcel": None,
    "legal_dong": "2726010100", "lat": None, "lon": None, "households": 300, "heating": "central",
    "used_since": "1999-01-01", "fetched_at": "2026-11-21T00:00:00Z",
}  # fmt: skip
AT = 1_795_200_000_000


def test_a_complex_is_described_again_with_its_position_and_all_else_as_it_was() -> None:
    found = located("A1", json.dumps(COMPLEX), AT, (35.8, 128.6))
    assert found is not None
    key, value, at = found
    assert (key, at) == ("A1", AT + 1)  # After the record without, and before whatever is fetched later.
    assert json.loads(value) == {**COMPLEX, "lat": 35.8, "lon": 128.6}
    assert parse(key, value.encode(), at).lat == 35.8


@pytest.mark.parametrize(
    ("changes", "position"),
    [({}, None), ({}, (37.4, 139.7)), ({"region": "2726"}, (35.8, 128.6)), ({"households": None}, (35.8, 128.6)),
     ({"name": "\ud800"}, (35.8, 128.6))],
)  # fmt: skip
def test_what_carbon_would_refuse_is_not_told_again(changes: dict[str, Any], position: tuple[float, float]) -> None:
    assert located("A1", json.dumps({**COMPLEX, **changes}), AT, position) is None


cell = st.text(max_size=20).map(lambda text: of_text(text.replace("\0", "")))


@given(st.lists(cell, min_size=2, max_size=4))
def test_whatever_is_sent_has_a_result(cells: list[Any]) -> None:
    x, y = (value if isinstance(value, str | int | float) else None for value in cells[:2])
    sent = record(Point(3, "", x, y, cells, None), "b1", "EPSG:5174")
    assert sent.value is not None
    said = json.loads(sent.value)
    (found,) = converted(
        (*(json.dumps(said[each]) if said[each] is not None else None for each in "xy"), "WGS84", None)
    )
    assert (found.status == "waiting") == (found.position is not None)
    assert found.status == "waiting" or found.error
