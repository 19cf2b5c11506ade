"""Who may act from the board, and who may read where reading is closed; what actions do is faked here."""

import logging
import threading
import time
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest
from fastapi.testclient import TestClient

from board import access, actions, app
from board.__main__ import parts
from conf.settings import Settings, SettingsError, load
from control.redrive import Choice, Outcome
from sinks.errors import NotReadyError

TOKEN = "correct-horse-battery-staple"  # noqa: S105
BEARER = {"authorization": f"Bearer {TOKEN}"}
PERSON = {"accept": "text/html"}
SCALE = "/api/actions/scale", {"job": "tickets", "parallelism": 3}
REDRIVE = "/api/actions/redrive", {"topic": "deliveries.dead-letters", "reasons": ["not-json"]}


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was asked of Kafka and Flink."""
    found: list[Any] = []

    def redrive(_: Settings, topic: str, choice: Choice, *, dry_run: bool) -> Outcome:
        found.append((topic, choice, dry_run))
        return Outcome(Counter({"not-json": 2}), before=1)

    def scale(_: Settings, job: str, parallelism: int) -> int:
        found.append((job, parallelism))
        return 2

    monkeypatch.setattr(actions, "redrive", redrive)
    monkeypatch.setattr(actions, "scale", scale)
    return found


def client(monkeypatch: pytest.MonkeyPatch, token: str | None = TOKEN, closed: bool = False) -> TestClient:
    """The whole service with this token."""
    monkeypatch.setenv("BOARD_TOKEN", token or "")
    monkeypatch.setenv("CITYSTREAM__BOARD__CLOSED", str(closed))
    # No stack that runs here has a say.
    monkeypatch.setattr("conf.settings.read_env_file", lambda _: {})
    return TestClient(app.create(*parts()))


def refused(answer: Any, status: int) -> str:
    """The sentence of a problem."""
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    assert answer.json()["status"] == status
    assert (answer.headers.get("www-authenticate") == "Bearer") == (status == 401)
    return str(answer.json()["detail"])


@pytest.mark.parametrize(("path", "content"), [SCALE, REDRIVE, ("/api/session", None)])
def test_without_a_token_nothing_can_be_done(
    monkeypatch: pytest.MonkeyPatch, done: list[Any], path: str, content: Any
) -> None:
    asked = client(monkeypatch, None)
    assert "BOARD_TOKEN" in refused(asked.post(path, json=content, headers=BEARER), 403)
    assert asked.get("/api/session").json() == {"actions": False, "closed": False, "known": False}
    assert done == []


@pytest.mark.parametrize(("path", "content"), [SCALE, REDRIVE, ("/api/session", None)])
@pytest.mark.parametrize(
    "given", ["", "Bearer", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", f"Basic {TOKEN}", "Bearer 토큰", TOKEN]
)
def test_a_wrong_token_does_nothing_and_is_in_no_log(
    monkeypatch: pytest.MonkeyPatch,
    done: list[Any],
    caplog: pytest.LogCaptureFixture,
    path: str,
    content: Any,
    given: str,
) -> None:
    caplog.set_level(logging.DEBUG)
    answer = client(monkeypatch).post(path, json=content, headers={"authorization": given.encode()})
    assert TOKEN not in refused(answer, 401)
    assert done == []
    assert TOKEN not in caplog.text


def test_with_the_token_letters_go_back_and_a_job_scales(monkeypatch: pytest.MonkeyPatch, done: list[Any]) -> None:
    asked = client(monkeypatch)
    path, content = REDRIVE
    answer = asked.post(path, json={**content, "since": "2026-11-26T14:00:00+09:00", "last": 9}, headers=BEARER)
    assert answer.json() == {
        "topic": "deliveries.dead-letters",
        "dry_run": False,
        "sent": {"not-json": 2},
        "before": 1,
    }
    assert asked.post(path, json={**content, "dry_run": True}, headers=BEARER).json()["dry_run"] is True
    assert asked.post(SCALE[0], json=SCALE[1], headers=BEARER).json() == {
        "job": "tickets",
        "parallelism": 3,
        "before": 2,
    }
    reasons = frozenset({"not-json"})
    since = datetime(2026, 11, 26, 5, tzinfo=UTC)
    assert done == [
        ("deliveries", Choice(reasons, None, 9, since), False),
        ("deliveries", Choice(reasons), True),
        ("tickets", 3),
    ]


def test_a_browser_gives_the_token_once_and_keeps_none(monkeypatch: pytest.MonkeyPatch, done: list[Any]) -> None:
    asked = client(monkeypatch)
    begun = asked.post("/api/session", headers=BEARER)
    assert begun.json() == {"actions": True, "closed": False, "known": True}
    cookie = begun.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "Max-Age" not in cookie
    assert TOKEN not in cookie
    assert asked.post(SCALE[0], json=SCALE[1]).status_code == 200
    assert asked.get("/api/session").json()["known"] is True
    # Another token ends it, and so does whoever has it.
    other = client(monkeypatch, "another-horse-battery-staple")
    other.cookies.update(asked.cookies)
    refused(other.post(SCALE[0], json=SCALE[1]), 401)
    assert asked.delete("/api/session").json()["known"] is False
    refused(asked.post(SCALE[0], json=SCALE[1]), 401)
    assert len(done) == 1


def test_a_session_ends_and_its_end_is_not_to_be_forged(monkeypatch: pytest.MonkeyPatch, done: list[Any]) -> None:
    asked = client(monkeypatch)
    asked.post("/api/session", headers=BEARER)
    end, proof = asked.cookies[access.COOKIE].split(".")
    now = time.time()
    for forged in (f"{int(end) + 1}.{proof}", proof, f".{proof}", f"{end}.", end, "토큰.토큰".encode().hex()):
        refused(asked.post(SCALE[0], json=SCALE[1], headers={"cookie": f"{access.COOKIE}={forged}"}), 401)
    monkeypatch.setattr("board.access.time.time", lambda: now + access.SESSION_SECONDS + 2)
    refused(asked.post(SCALE[0], json=SCALE[1]), 401)
    assert done == []


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},  # another port of this machine
        {"origin": "http://testserver:9999"},
        {"origin": "https://example.org"},
        {"origin": "null"},
    ],
)
@pytest.mark.parametrize("path", [SCALE[0], REDRIVE[0], "/api/session", "/coordinates?crs=auto"])
def test_a_page_of_another_site_only_reads(
    monkeypatch: pytest.MonkeyPatch, done: list[Any], headers: dict[str, str], path: str
) -> None:
    asked = client(monkeypatch)
    asked.post("/api/session", headers=BEARER)
    assert "another site" in refused(asked.post(path, json=SCALE[1], headers=headers), 403)
    assert asked.get("/api/session", headers=headers).status_code == 200
    assert done == []


@pytest.mark.parametrize("headers", [{"sec-fetch-site": "same-origin"}, {"origin": "http://testserver"}, {}])
def test_our_own_page_and_a_program_may_ask(
    monkeypatch: pytest.MonkeyPatch, done: list[Any], headers: dict[str, str]
) -> None:
    asked = client(monkeypatch)
    asked.post("/api/session", headers=BEARER)
    assert asked.post(SCALE[0], json=SCALE[1], headers=headers).status_code == 200


def test_whatever_changes_something_needs_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = client(monkeypatch)
    described = asked.get("/openapi.json").json()["paths"]
    changing = {path for path, methods in described.items() if methods.keys() - {"get"}}
    # Points may be sent by whoever may read: what they become is rows of a batch of their own.
    assert changing == {SCALE[0], REDRIVE[0], "/api/session", "/coordinates"}


@pytest.mark.parametrize(
    "path",
    [
        *("/api/board", "/api/places", "/api/boundaries", "/api/live", "/api/lists/orders", "/api/dead-letters"),
        *("/docs", "/openapi.json", "/complexes?q=x", "/regions/27260", "/forecast?region=27260"),
        "/coordinates/b1.xlsx",
    ],
)
def test_reading_can_be_closed(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    refused(client(monkeypatch, closed=True).get(path), 401)
    refused(client(monkeypatch, None, closed=True).get(path), 403)


def test_where_reading_is_closed_the_page_asks_for_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = client(monkeypatch, closed=True)
    refused(asked.post("/coordinates?crs=auto", content=b"x,y"), 401)
    assert asked.get("/", headers=PERSON).status_code == 200
    assert asked.get("/static/app.js").status_code == 200
    assert asked.get("/health").status_code == 200
    assert asked.get("/api/session").json() == {"actions": True, "closed": True, "known": False}
    assert asked.get("/api/boundaries", headers=BEARER).status_code == 200
    asked.post("/api/session", headers=BEARER)
    assert asked.get("/api/boundaries").status_code == 200


@pytest.mark.parametrize(
    ("path", "content", "status", "says"),
    [
        (REDRIVE[0], {"topic": "deliveries"}, 404, "deliveries.dead-letters"),
        (REDRIVE[0], {"topic": "deliveries.dead-letters"}, 422, "which letters"),
        (REDRIVE[0], {"topic": "deliveries.dead-letters", "reasons": ["x"], "mend": "os:remove"}, 422, "mend"),
        (REDRIVE[0], {"topic": "deliveries.dead-letters", "first": -1}, 422, "first"),
        (REDRIVE[0], {"topic": "deliveries.dead-letters", "since": "2026-11-26T14:00"}, 422, "since"),
        (SCALE[0], {"job": "nothing", "parallelism": 2}, 404, "tickets"),
        (SCALE[0], {"job": "tickets", "parallelism": 0}, 422, "parallelism"),
    ],
)
def test_what_can_not_be_meant_is_refused(
    monkeypatch: pytest.MonkeyPatch, done: list[Any], path: str, content: Any, status: int, says: str
) -> None:
    assert says in refused(client(monkeypatch).post(path, json=content, headers=BEARER), status)
    assert done == []


def test_what_a_server_refuses_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def scale(*_: object) -> int:
        message = "The job tickets can have 4 task slots."
        raise NotReadyError(message)

    monkeypatch.setattr(actions, "scale", scale)
    asked = client(monkeypatch)
    for _ in range(2):  # and is not at work any more
        assert "4 task slots" in refused(asked.post(SCALE[0], json=SCALE[1], headers=BEARER), 503)


def test_one_at_a_time_does_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, end = threading.Event(), threading.Event()

    def scale(_: Settings, job: str, __: int) -> int:
        if job == "tickets":
            begun.set()
            end.wait(30)
        return 1

    monkeypatch.setattr(actions, "scale", scale)
    asked = client(monkeypatch)
    first = threading.Thread(target=lambda: asked.post(SCALE[0], json=SCALE[1], headers=BEARER))
    first.start()
    try:
        assert begun.wait(30)
        assert "at work" in refused(asked.post(SCALE[0], json=SCALE[1], headers=BEARER), 409)
        other = {"job": "deliveries", "parallelism": 3}
        assert asked.post(SCALE[0], json=other, headers=BEARER).status_code == 200
    finally:
        end.set()
        first.join()
    assert asked.post(SCALE[0], json=SCALE[1], headers=BEARER).status_code == 200


@pytest.mark.parametrize("token", ["short", "a token with many spaces", "토큰토큰토큰토큰토큰토큰토큰토큰"])
def test_a_token_that_is_none_is_said_without_it(monkeypatch: pytest.MonkeyPatch, token: str) -> None:
    monkeypatch.setenv("BOARD_TOKEN", token)
    with pytest.raises(SettingsError, match=r"board\.token") as refusal:
        load()
    assert token not in str(refusal.value)
