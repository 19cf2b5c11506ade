import re
from collections.abc import Callable
from datetime import UTC, date, datetime

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.testclient import TestClient

from board import app, forecast
from board.__main__ import parts, remembered
from board.forecast import Known, Ready, nearest
from forecast.weather import NOTHING_ANNOUNCED, Announced
from tests.emission import small_city, trained_on_small_city


@pytest.fixture(scope="module")
def known() -> Known:
    town = small_city()
    model = trained_on_small_city()
    return Known(Ready(model, town.weather, NOTHING_ANNOUNCED), {"version": model.version}, model=model)


def create(known: Known, refresh: Callable[[Known], None] | None = None) -> FastAPI:
    return app.create(forecast.answering(known, refresh))


@pytest.fixture
def client(known: Known) -> TestClient:
    return TestClient(create(known))


@pytest.mark.parametrize("query", ["region=27260", "complex=A00000003"])
def test_a_forecast_has_its_days_bounds_and_origin(client: TestClient, query: str) -> None:
    answer = client.get(f"/forecast?{query}").json()
    assert [day["day"] for day in answer["days"]] == [f"2026-11-{day}" for day in range(21, 28)]
    assert all(0 <= day["lower"] < day["kg_co2"] < day["upper"] for day in answer["days"])
    assert {day["weather"] for day in answer["days"]} == {"normal"}
    assert answer["unit"] == "kg CO2 per day"
    assert "estimate" in answer["label"]
    assert (answer["model_version"], answer["weather_until"]) == ("20261121T010000Z", "2026-11-20")
    assert answer[query.split("=")[0]] == query.split("=")[1]


def test_a_past_day_has_its_weather(client: TestClient) -> None:
    answer = client.get("/forecast?region=27260&days=3&start=2026-11-19").json()
    assert [day["weather"] for day in answer["days"]] == ["observed", "observed", "normal"]


def test_a_day_says_by_which_weather_it_is_forecast(known: Known) -> None:
    ready = known.ready
    assert ready
    issued = datetime(2026, 11, 20, 20, tzinfo=UTC)
    said = [("short-term", issued, date(2026, 11, day), -5.0, -9.0, 0.0, 0.0) for day in range(21, 25)]
    said += [("mid-term", issued, date(2026, 11, day), -5.0, -9.0, 0.0, None) for day in range(24, 27)]
    colder = Known(Ready(ready.model, ready.weather, Announced.of(said)), known.described, model=known.model)
    days = TestClient(create(colder)).get("/forecast?region=27260&start=2026-11-20&days=8").json()["days"]
    words = ["observed", *["forecast"] * 4, *["mid-term"] * 2, "normal"]
    assert [day["weather"] for day in days] == words
    usual = TestClient(create(known)).get("/forecast?region=27260&start=2026-11-20&days=8").json()["days"]
    assert all(day["kg_co2"] > other["kg_co2"] for day, other in list(zip(days, usual, strict=True))[1:7])


@pytest.mark.parametrize(
    ("query", "status", "says"),
    [
        ("", 422, "give either region or complex"),
        ("region=27260&complex=A00000003", 422, "give either region or complex"),
        ("region=2726", 422, "region"),
        ("region=27260&days=0", 422, "days"),
        ("region=27260&days=15", 422, "days"),
        ("region=27260&days=seven", 422, "days"),
        ("region=27260&start=tomorrow", 422, "start"),
        ("region=27260&start=2026-12-20", 422, "forecasts reach to 2026-12-04"),
        ("region=27260&start=1999-01-01", 422, "the weather is known from"),
        ("region=27260&start=1767225600", 422, "start"),
        ("region=27260&start=20261121", 422, "start"),
        ("region=11110", 404, "27110"),
        ("complex=A000000035", 404, "A00000003"),
    ],
)
def test_a_wrong_question_is_told_why(client: TestClient, query: str, status: int, says: str) -> None:
    answer = client.get(f"/forecast?{query}")
    assert answer.status_code == status
    assert says in answer.json()["detail"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/forecast", 422),
        ("GET", "/forecast?region=1", 422),
        ("GET", "/forecast?complex=nowhere", 404),
        ("GET", "/nowhere", 404),
        ("POST", "/forecast", 405),
        ("GET", "/broken", 500),
    ],
)
def test_errors_have_one_form(known: Known, method: str, path: str, status: int) -> None:
    broken = APIRouter()

    @broken.get("/broken")
    async def fail() -> None:
        raise KeyError

    whole = app.create(forecast.answering(known), app.Part("", "", broken))
    answer = TestClient(whole, raise_server_exceptions=False).request(method, path)
    assert answer.status_code == answer.json()["status"] == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert set(answer.json()) - {"nearest"} == {"title", "status", "detail"}
    assert isinstance(answer.json()["detail"], str)


def test_an_unknown_id_is_told_a_few_of_the_nearest_not_all() -> None:
    ids = [f"A{number:08d}" for number in range(0, 10_000, 10)]
    assert nearest(ids, "A00005001") == ["A00004990", "A00005000", "A00005010", "A00005020", "A00005030"]
    assert nearest(ids, "") == ids[:5]
    assert nearest(ids, "nowhere") == ids[-5:]
    assert nearest(ids[:2], "x") == ids[:2]


def test_the_description_needs_no_internet(client: TestClient) -> None:
    page = client.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    linked = re.findall(r"""(?:href|src)=["']([^"']+)["']""", page.text)
    assert linked
    for address in linked:
        assert client.get(address.replace("&amp;", "&")).status_code == 200
    assert re.findall(r"https?://[^\s\"'<]+", page.text) == []


def test_without_a_model_it_is_up_and_says_what_to_run() -> None:
    def look(known: Known) -> None:
        known.trouble = "There is no model in models: run `make train`."

    with TestClient(create(Known(), look)) as client:
        while client.get("/health").json()["trouble"] is None:
            pass
        assert client.get("/health").json()["status"] == "waiting"
        for path in ("/forecast?region=27260", "/models/current"):
            answer = client.get(path)
            assert answer.status_code == 503
            assert "run `make train`" in answer.json()["detail"]


def test_a_failing_look_leaves_what_is_known(known: Known) -> None:
    def look(known: Known) -> None:
        message = "out of luck"
        raise OSError(message)

    one = Known(known.ready, known.described, model=known.model)
    with TestClient(create(one, look)) as client:
        while one.trouble is None:
            pass
        assert client.get("/forecast?region=27260").status_code == 200
        assert "out of luck" in client.get("/health").json()["trouble"]


def test_newer_emission_asks_for_a_newer_model(known: Known) -> None:
    assert known.model is not None
    one = Known(known.ready, known.described, known.model.known_until, model=known.model)
    client = TestClient(create(one))
    assert client.get("/models/current").json() == {"version": known.model.version, "hint": None}
    one.newest_emission = datetime(2026, 12, 31, tzinfo=UTC).date()
    assert "make train" in client.get("/models/current").json()["hint"]


def test_the_interface_is_described(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    assert set(paths) == {"/forecast", "/health", "/models/current"}
    assert {"404", "422", "503"} <= set(paths["/forecast"]["get"]["responses"])


def test_every_part_is_found() -> None:
    assert {part.title for part in parts()} >= {"Coordinates", "Forecast"}


def test_settings_are_not_read_for_each_request_and_not_kept_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("board.__main__.time.monotonic", lambda: now[0])
    found = remembered(lambda: now[0], 5)  # type: ignore[arg-type, return-value]
    seen = []
    for at in (0.0, 4.0, 6.0, 10.0):
        now[0] = at
        seen.append(found())
    assert seen == [0, 0, 6, 6]
