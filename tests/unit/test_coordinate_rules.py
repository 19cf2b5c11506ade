"""What a record asks, and what is found for it: each row once, in its place, whatever stands in it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generators.coordinates.cells import of_text
from generators.coordinates.checking import Point
from generators.coordinates.sending import record
from jobs.rules.coordinates import MOST_SHEET_CHARACTERS, Request, addressed, convert, parse
from jobs.rules.fields import RejectedError

AT = 1_764_115_200_000


def request(**changes: Any) -> Request:
    made = Request("b1", "중구", 7, 344556.52, 264651.13, "EPSG:5174", '["a"]', None)
    return made._replace(**changes)


def said(**changes: Any) -> bytes:
    made = {"batch_id": "b1", "sheet": "중구", "row_number": 7, "x": 344556.52, "y": "264,651.13",
            "source_crs": "EPSG:5174", "payload": ["a"]}  # fmt: skip
    made |= changes
    return json.dumps({name: value for name, value in made.items() if value is not ...}).encode()


def test_a_record_is_read() -> None:
    assert parse("b1|중구", said(), AT) == request(y="264,651.13")
    assert parse("b1|", said(sheet="", x=None, fault="x is empty"), AT) == request(
        sheet="", x=None, y="264,651.13", fault="x is empty"
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"batch_id": ...}, "missing-field"), ({"batch_id": "b" * 65}, "too-long"), ({"sheet": "a" * 101}, "too-long"),
        ({"sheet": 7}, "wrong-type"), ({"row_number": 0}, "out-of-range"), ({"row_number": "7"}, "wrong-type"),
        ({"row_number": 2**60}, "out-of-range"), ({"payload": {}}, "wrong-type"), ({"payload": ...}, "missing-field"),
        ({"source_crs": None}, "missing-field"), ({"payload": ["\0"]}, "nul-byte"), ({"sheet": "동구"}, "key-mismatch"),
    ],
)  # fmt: skip
def test_what_is_no_row_of_a_batch_is_a_dead_letter(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(RejectedError) as refused:
        parse("b1|중구", said(**changes), AT)
    assert refused.value.reason == reason


def test_rows_are_converted_in_their_order_whatever_they_are_in() -> None:
    asked = [
        request(),
        request(row_number=8, x="126.978546", y="37.566554", source_crs="EPSG:4326"),
        request(row_number=9, x="없음"),
        request(row_number=10, source_crs="EPSG:0"),
        request(row_number=11, x=2.35, y=48.85, source_crs="WGS84"),
        request(row_number=12, x=1e30),
        request(row_number=13, x=131.0, y=38.5, source_crs="WGS84"),
        request(row_number=14, fault="has more cells than the header: 4, not 3"),
        request(row_number=15, x=None),
    ]
    found = convert([(each, AT) for each in asked])
    assert [each.row_number for each in found] == list(range(7, 16))
    daegu, seoul, text, unknown, paris, nowhere, sea, ragged, empty = found
    assert (daegu.region, daegu.status, daegu.error, daegu.version) == ("27110", "waiting", None, 2 * AT)
    assert (daegu.lon, daegu.lat) == (pytest.approx(128.6014, abs=1e-5), pytest.approx(35.8714, abs=1e-5))
    assert (seoul.legal_code, seoul.position) == ("1114010300", "126.978546,37.566554")
    assert (text.status, text.lon, text.error) == ("failed", None, "x is not a number: '없음'")
    assert "PROJ knows no coordinate system 'EPSG:0'" in (unknown.error or "")
    assert (paris.status, paris.lon, paris.error) == ("failed", 2.35, "outside Korea: lon 2.35000, lat 48.85000")
    assert (nowhere.status, nowhere.error) == ("failed", "EPSG:5174 has no such point")
    assert (sea.status, sea.region, sea.error) == ("done", None, "no region there: at sea, or beyond the border")
    assert (ragged.status, ragged.error) == ("failed", "has more cells than the header: 4, not 3")
    assert empty.error == "x is empty"
    assert convert([]) == []


def test_the_row_with_the_address_is_the_newer_one() -> None:
    (waiting,) = convert([(request(), AT)])
    done = addressed(waiting, "대구 중구 공평로 88")
    assert (done.status, done.address, done.error) == ("done", "대구 중구 공평로 88", None)
    assert waiting.version < done.version < convert([(request(), AT + 1)])[0].version
    nameless = addressed(waiting, None)
    assert (nameless.status, nameless.error) == ("done", "no address is known there")


cell = st.text(max_size=20).map(lambda text: of_text(text.replace("\0", "")))


@given(st.lists(cell, min_size=2, max_size=4), st.text(alphabet="a구| '", max_size=MOST_SHEET_CHARACTERS))
def test_what_is_sent_is_read_and_has_a_result(cells: list[Any], sheet: str) -> None:
    x, y = (value if isinstance(value, str | int | float) else None for value in cells[:2])
    sent = record(Point(3, sheet, x, y, cells, None), "b1", "EPSG:5174")
    assert sent.value is not None
    read = parse(sent.key.decode(), sent.value, AT)
    (found,) = convert([(read, AT)])
    assert (found.sheet, found.row_number, found.payload) == (sheet, 3, read.payload)
    assert found.status == "waiting" or found.error
