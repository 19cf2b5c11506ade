"""The search of complexes, and what their part answers without a server."""

from datetime import date
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from board import app, carbon
from board.carbon import Places
from board.search import Entry, Index, initials, pattern, plain
from conf.city import places
from conf.settings import load
from sinks.errors import NotReadyError

SYLLABLES = st.characters(min_codepoint=0xAC00, max_codepoint=0xD7A3)
INDEX = Index(
    [
        Entry("A1", ("범어 롯데캐슬", "대구광역시 수성구 달구벌대로 1", "대구광역시 수성구 범어동 12")),
        Entry("A2", ("수성 범어 I'PARK", "대구광역시 수성구 동대구로 2", "")),
        Entry("A3", ("월성푸르지오", "대구광역시 달서구 월배로 3", "대구광역시 달서구 월성동 범어")),
    ]
)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("범어", ["A1", "A2", "A3"]),  # where it stands further in front comes first, names before addresses
        ("ㅂㅇ", ["A1", "A2", "A3"]),
        ("ㅂㅇ롯ㄷ", ["A1"]),
        ("범어롯데", ["A1"]),
        ("i'park", ["A2"]),
        ("월배로 3", ["A3"]),
        ("ㄷㄱㅂㄷㄹ", ["A1"]),
        ("없는이름", []),
        (".", []),
        ("  ", []),
        ("캐슬수성", []),  # of two complexes side by side
    ],
)
def test_names_and_addresses_are_found_by_parts_and_initials(query: str, found: list[str]) -> None:
    assert INDEX.find(query, 10) == found


def test_no_more_than_asked_for() -> None:
    assert INDEX.find("ㅂㅇ", 2) == ["A1", "A2"]


@given(st.text(SYLLABLES, min_size=1, max_size=8))
def test_initials_of_any_word_find_it(word: str) -> None:
    assert set(initials(word)) <= set("ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ")
    assert pattern(initials(word)).fullmatch(plain(word))


@given(st.text(max_size=20))
def test_any_query_is_fine(query: str) -> None:
    INDEX.find(query, 5)


def test_decomposed_letters_are_the_same() -> None:
    assert INDEX.find("\u1107\u1165\u11b7\u110b\u1165", 1) == ["A1"]


def test_initials_find_every_complex_of_the_city() -> None:
    index = Index(Entry(place.complex_id, (place.name, place.address)) for place in places.complexes())
    for place in places.complexes():
        assert place.complex_id in index.find(initials(place.name), 300)


def test_initials_leave_other_letters_alone() -> None:
    assert initials("수성4가 e편한세상 하이힣 ㄱ") == "ㅅㅅ4ㄱ eㅍㅎㅅㅅ ㅎㅇㅎ ㄱ"


def client(rows: Any) -> TestClient:
    """The service, over what a database would give."""
    known = Places(load)
    known.rows = rows  # type: ignore[method-assign]
    known.refresh()
    return TestClient(app.create(app.Part("Places", "", carbon.routes(known))))


def away(*_: Any) -> list[list[dict[str, Any]]]:
    msg = "PostgreSQL at x can't be used"
    raise NotReadyError(msg)


LISTED = [{"complex_id": "A1", "name": "하나", "region": "27260", "address": "x", "parcel": None, "households": 5}]


def rows(*queries: tuple[str, Any]) -> list[list[dict[str, Any]]]:
    """One complex, of which nothing but its emission is known."""
    month = {"month": date(2026, 5, 1), "kg_co2": 5, "gap_kg": 1, "gas_source": "estimate"}
    found: list[list[dict[str, Any]]] = []
    for query, parameters in queries:
        if "count(*) AS many" in query:
            found.append([{"many": 1, "version": 1}])
        elif "ORDER BY complex_id" in query:
            found.append(LISTED)
        elif "FROM complexes WHERE" in query:
            found.append([{**LISTED[0], "lat": None, "lon": None, "heating": None}] if parameters == ("A1",) else [])
        else:
            is_known = "emission_per" in query and parameters[0] in ("A1", "27260")
            found.append([month] if is_known else [])
    return found


def test_a_complex_and_a_district_say_where_their_figures_are_from() -> None:
    service = client(rows)
    assert service.get("/complexes?q=ㅎㄴ").json() == {
        "query": "ㅎㄴ",
        "complexes": [{"complex_id": "A1", "name": "하나", "region": "27260", "address": "x", "households": 5}],
    }
    told = service.get("/complexes/A1").json()
    assert (told["name"], told["emission"][0]["kg_co2"], told["emission"][0]["gap_kg"]) == ("하나", 5, 1)
    assert told["emission"][0]["gas_source"] in told["sources"]["quantities"]
    assert {factor["item"] for factor in told["sources"]["factors"]} == {"electricity", "gas", "water", "heat"}
    region = service.get("/regions/27260").json()
    assert (region["name"], region["complexes"], region["households"]) == ("수성구", 1, 5)


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("/complexes", 422, "q"),
        ("/complexes?q=", 422, "q"),
        ("/complexes?q=a&limit=0", 422, "limit"),
        ("/complexes?q=a&limit=101", 422, "limit"),
        (f"/complexes?q={'a' * 65}", 422, "q"),
        ("/complexes/A2", 404, "nearest are A1"),
        ("/regions/2726", 422, "code"),
        ("/regions/11110", 404, "nearest are 27260"),
    ],
)
def test_a_wrong_question_is_told_why(path: str, status: int, says: str) -> None:
    answer = client(rows).get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, app.PROBLEM)
    assert says in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/complexes?q=a", "/complexes/A1", "/regions/27260"])
def test_a_server_that_is_away_is_said(path: str) -> None:
    answer = client(away).get(path)
    assert (answer.status_code, answer.json()["detail"]) == (503, "PostgreSQL at x can't be used")
