import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from fastapi.testclient import TestClient

from board import app, operations, pages, tables, vendor
from board.database import MissingError, Row
from board.view import Listing, View, views
from conf.settings import ROOT, Settings, load
from conf.streams import STREAMS
from sinks.errors import NotReadyError

STATIC = ROOT / "board" / "static"
PERSON = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
OWN = [path for path in STATIC.rglob("*.js") if "vendor" not in path.parts]


def settings() -> Settings:
    """A database that does not answer, though a stack may be up."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POSTGRES_URL", "postgresql://nobody:nothing@127.0.0.1:1/none")
        return load()


@pytest.fixture(scope="module")
def client() -> TestClient:
    return TestClient(app.create(pages.part(settings)))


def of(rows: Any) -> TestClient:
    """The answers with this in the place of the database."""
    from fastapi import APIRouter

    routes = APIRouter()
    routes.include_router(
        tables.routes(views(), rows, lambda subject, id: id == "27260", lambda: ZoneInfo("Asia/Seoul"))
    )
    return TestClient(app.create(app.Part("Board", "", routes)))


def test_every_page_has_an_address(client: TestClient) -> None:
    for page in (
        "/",
        "/regions",
        "/regions/27260",
        "/complexes/A70200001",
        "/shows/S1",
        "/orders",
        "/operations",
        "/letters",
        "/batches/b1",
    ):
        answer = client.get(page, headers=PERSON)
        assert answer.status_code == 200, page
        assert "/static/app.js" in answer.text
        module = page.split("/")[1] or "overview"
        assert (STATIC / "pages" / f"{module}.js").is_file()


def test_a_person_gets_a_page_where_there_is_none_and_a_program_a_problem(client: TestClient) -> None:
    person = client.get("/nowhere", headers=PERSON)
    assert (person.status_code, "/static/app.js" in person.text) == (404, True)
    assert client.get("/nowhere").headers["content-type"] == "application/problem+json"


def test_nothing_runs_in_a_page_but_our_files(client: TestClient) -> None:
    page = client.get("/", headers=PERSON)
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not re.findall(r"https?:", policy)
    assert not re.findall(r"<script(?![^>]*src=)|<style|\son\w+=|style=", page.text)
    for linked in re.findall(r"""(?:href|src)="(/[^"#]+)""", page.text):
        assert client.get(linked).status_code == 200, linked
    assert client.get("/static/app.js").headers["x-content-type-options"] == "nosniff"


def test_modules_import_what_is_there_and_put_no_markup_together() -> None:
    assert OWN
    for path in OWN:
        text = path.read_text(encoding="utf-8")
        for name in re.findall(r"""(?:from|import)\s*\(?\s*["'](\.[^"']+)["']""", text):
            assert (path.parent / name).is_file(), (path.name, name)
        assert not re.findall(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|https?://(?!www\.w3\.org)",
            text,
        ), path


def test_libraries_are_those_of_their_manifest() -> None:
    manifest = json.loads(vendor.MANIFEST.read_text(encoding="utf-8"))
    assert {package: set(files) for package, files in manifest.items()} == {
        package: set(files.values()) for package, files in vendor.PACKAGES.items()
    }
    for files in manifest.values():
        assert any("LICENSE" in name for name in files)
        for name, checksum in files.items():
            assert vendor.checksum(vendor.FOLDER / name) == checksum, name
    assert {path.name for path in vendor.FOLDER.iterdir()} == {
        "vendor.json",
        *(name for files in manifest.values() for name in files),
    }


def keys(language: str) -> set[str]:
    """Of a dictionary: names that a text in quotes stands behind."""
    text = (STATIC / f"text.{language}.js").read_text(encoding="utf-8")
    return set(re.findall(r"""(?:^\s*|, )(\w+): (?=")""", text, re.M))


def test_both_languages_say_the_same_things() -> None:
    assert keys("en") == keys("ko")
    assert len(keys("en")) > 200
    said = {
        name: text for path in OWN for name, text in re.findall(r"""\bt\("(\w+)"()""", path.read_text(encoding="utf-8"))
    }
    assert said.keys() - keys("en") == set()


def test_every_column_has_a_name_in_both_languages() -> None:
    listed = {column for view in views().values() for listing in view.listings.values() for column in listing.columns}
    assert listed - keys("en") == set()


def test_a_stream_with_a_view_has_its_front_end() -> None:
    assert views().keys() <= STREAMS.keys()
    for name, view in views().items():
        text = (STATIC / "streams" / f"{name}.js").read_text(encoding="utf-8")
        for section in re.findall(r"""section: "(\w+)\"""", text):
            assert section in view.sections, section
        parts = {part for details in view.details.values() for part in details}
        for part in re.findall(r"""part: "(\w+)\"""", text):
            assert part in parts, part
        for page in view.pages:
            assert (STATIC / "pages" / f"{page[1:]}.js").is_file()


LISTING = Listing(
    "orders",
    ("id", "at", "menu", "region"),
    order="at",
    key=("id",),
    filters=("region",),
    search=("menu",),
    time="at",
    default_hours=1,
    most_hours=2,
)


def test_a_list_is_sorted_filtered_and_paged_by_the_database() -> None:
    query = tables.sql_of(LISTING, sort="menu", descending=False, filters=["region"], search=True)
    assert "region = %(f_region)s" in query
    assert "position(lower(%(q)s) IN lower(menu)) > 0" in query
    assert query.endswith("ORDER BY menu ASC NULLS LAST, id LIMIT %(limit)s OFFSET %(offset)s")
    for wrong in ({"sort": "pay; DROP TABLE x"}, {"filters": ["menu"]}):
        with pytest.raises(ValueError, match="there is no column"):
            tables.sql_of(LISTING, **{"sort": "at", "descending": True, "filters": [], "search": False, **wrong})  # type: ignore[arg-type]


def test_a_range_of_a_long_ledger_has_an_end() -> None:
    now = datetime(2026, 11, 26, 12, tzinfo=UTC)
    hour = timedelta(hours=1)
    assert tables.window(LISTING, None, None, now)[1] > now
    assert tables.window(LISTING, now - 5 * hour, None, now) == (now - 5 * hour, now - 4 * hour)
    assert tables.window(LISTING, None, now - 5 * hour, now) == (now - 6 * hour, now - 5 * hour)
    with pytest.raises(ValueError, match="more than 2 h apart"):
        tables.window(LISTING, now - 5 * hour, now, now)


def test_answers_of_lists() -> None:
    asked: list[Mapping[str, Any]] = []
    nothing = dict.fromkeys(
        (*views()["deliveries"].listings["orders"].columns, *views()["tickets"].listings["shows"].columns)
    )

    def rows(query: str, parameters: Mapping[str, Any]) -> list[Row]:
        asked.append(parameters)
        return [{**nothing, "order_id": str(n)} for n in range(parameters["limit"])]

    client = of(rows)
    answer = client.get("/api/lists/orders?size=10&offset=20&region=27260&q=%00%25").json()
    assert (len(answer["rows"]), answer["more"]) == (10, True)
    assert {"offset": 20, "f_region": "27260", "q": "%"}.items() <= asked[0].items()
    for path, status in {
        "/api/lists/nothing": 404, "/api/lists/orders?sort=nothing": 422, "/api/lists/orders?size=501": 422,
        "/api/lists/orders?offset=-1": 422, "/api/lists/orders?from=yesterday": 422,
        "/api/lists/orders?from=2026-11-01T00:00:00Z&to=2026-11-26T00:00:00Z": 422,
        "/api/lists/orders?from=2026-11-01T00:00:00": 422,
        "/api/lists/orders?from=0001-01-01T00:00:00Z&to=": 200, "/api/lists/orders?from=9999-12-31T23:59:59Z": 422,
    }.items():  # fmt: skip
        assert client.get(path).status_code == status, path
    # Days are whole ones of the city.
    days = client.get("/api/lists/shows?from=2026-11-25&to=2026-11-26").json()
    assert (days["from"], days["to"]) == ("2026-11-25T00:00:00+09:00", "2026-11-27T00:00:00+09:00")
    table = client.get("/api/lists/orders.csv")
    assert table.text.startswith("\ufeffordered_at,order_id")
    assert table.headers["content-disposition"] == 'attachment; filename="orders.csv"'


def test_a_text_that_a_spreadsheet_would_run_is_text() -> None:
    (_, line, _) = tables.as_csv([{"a": "=1+1", "b": -3, "c": None}, {"a": "x", "b": 1, "c": 2}], "abc")
    assert line == "'=1+1,-3,\r\n"


def test_answers_about_one_thing() -> None:
    def rows(query: str, parameters: Mapping[str, Any]) -> list[Row]:
        if "emission" in query:
            raise MissingError
        return [{"day": "2026-11-26", "pay": 5}] if parameters["id"] == "27110" else []

    client = of(rows)
    parts = client.get("/api/regions/27110?from=2026-11-01&to=").json()["parts"]
    assert (parts["pay_per_day"], parts["emission_per_day"]) == ([{"day": "2026-11-26", "pay": 5}], None)
    assert client.get("/api/regions/27260").status_code == 200  # it is known, and nothing has happened there
    for path in ("/api/regions/11110", "/api/nothing/1", "/api/regions/27110/nothing.csv"):
        assert client.get(path).status_code == 404
    assert client.get("/api/regions/27110?from=yesterday").status_code == 422
    assert client.get("/api/regions/27110/pay_per_day.csv").text == "\ufeffday,pay\r\n2026-11-26,5\r\n"


def test_a_database_that_is_away_is_a_problem_with_a_sentence() -> None:
    def rows(query: str, parameters: Mapping[str, Any]) -> list[Row]:
        raise NotReadyError("PostgreSQL is away: start it.")  # noqa: EM101

    for path in ("/api/lists/orders", "/api/regions/27260", "/api/regions/27260/pay_per_day.csv"):
        answer = of(rows).get(path)
        assert (answer.status_code, answer.json()["detail"]) == (503, "PostgreSQL is away: start it.")


def test_what_pages_begin_with(client: TestClient) -> None:
    board = client.get("/api/board").json()
    assert board["streams"] == list(views())
    assert set(board["pages"]) >= {"/orders", "/shows"}
    places = client.get("/api/places").json()
    assert (len(places["districts"]), len(places["complexes"])) == (9, 300)
    boundaries = client.get("/api/boundaries").json()
    assert {feature["properties"]["code"] for feature in boundaries["features"]} == {
        each["code"] for each in places["districts"]
    }


def test_a_letter_shows_its_bytes_as_text() -> None:
    class Record:
        topic, partition, offset = "deliveries.dead-letters", 0, 7

        def __init__(self, value: bytes) -> None:
            self.value = value

    told = operations.letter(Record(b'{"reason": "not-json", "topic": "deliveries", "raw_base64": "PHNjcmlwdD4="}'))
    assert (told["reason"], told["raw"], told["bytes"]) == ("not-json", "<script>", 8)
    assert operations.letter(Record(b'{"reason": "x", "raw_base64": "/wA="}'))["raw"] == "ff 00"
    assert operations.letter(Record(b"no json"))["reason"] == "unreadable"


def test_a_view_that_brings_nothing_breaks_nothing() -> None:
    assert View() == View(sections={}, details={}, listings={}, pages=())
