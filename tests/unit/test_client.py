"""Calls over HTTP against a server that refuses: what is tried again, when, and what is waited for."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest

from apis import calendar, data_go_kr
from apis.answers import Reaction, RefusedError, Response, by_status
from apis.client import Client, Fetched, GivenUpError, Patience, PutOffError, QuotaSpentError
from apis.endpoints import Access, Api, ApiError, Call, Endpoint
from apis.quota import Quota
from generators.pollers.state import State

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
DAY_ENDS = datetime(2026, 11, 21, 15, tzinfo=UTC)
FINE = (200, {}, b'{"fine": true}')
T = TypeVar("T")

Canned = tuple[int, dict[str, str], bytes]


class Clock:
    """Jumps instead of waiting."""

    def __init__(self) -> None:
        self.time = NOW
        self.slept: list[float] = []

    def now(self) -> datetime:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += timedelta(seconds=seconds)
        await asyncio.sleep(0)


def read(response: Response) -> Any:
    """A JSON document."""
    if refused := by_status(response, key="k", call="c"):
        raise refused
    return json.loads(response.body)


def with_server(
    canned: list[Canned],
    work: Callable[[Client, Endpoint[Any], Clock, list[bytes]], Awaitable[T]],
    *,
    reader: Callable[[Response], Any] = read,
    **changes: Any,
) -> T:
    """Do some calls of a server with these answers; the last one again and again."""
    requests: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
        )
        requests.append(head + await reader.readexactly(length))
        status, headers, body = canned[min(len(requests), len(canned)) - 1]
        lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        await writer.drain()
        writer.close()

    async def run() -> T:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        api = Api(
            "api",
            Access(f"http://127.0.0.1:{port}", "secret"),
            reader,
            calendar.KOREA,
            rate_per_second=1000,
            parameters={"key": "sec ret"},
            headers={"Authorization": "Bearer secret"},
        )
        endpoint = Endpoint(api, "things", "/v1/things", **{"quota": Quota(50), **changes})
        clock, state = Clock(), State(Path(":memory:"), alone=False)
        client = Client(Patience(5, 4, 30, 3, 4), state.quotas, clock=clock)
        async with server:
            try:
                return await work(client, endpoint, clock, requests)
            finally:
                await client.close()
                state.close()

    return asyncio.run(run())


async def ask(client: Client, endpoint: Endpoint[Any], clock: Clock, requests: list[bytes]) -> tuple[Any, ...]:
    """What a call comes to, what was waited for, and how many calls it took."""
    try:
        _, came = await client.ask(Call(endpoint, "s", {"q": "a b"}))
    except (PutOffError, GivenUpError, QuotaSpentError, ApiError) as error:
        return error, clock.slept, len(requests)
    return came, clock.slept, len(requests)


@pytest.mark.parametrize("asked", ["20", "Sat, 21 Nov 2026 03:00:20 GMT"])
@pytest.mark.parametrize("status", [429, 503])
def test_it_waits_as_long_as_it_is_asked_to(status: int, asked: str) -> None:
    came, slept, calls = with_server([(status, {"Retry-After": asked}, b""), FINE], ask)
    assert (came, calls) == ({"fine": True}, 2)
    assert slept == [pytest.approx(20, abs=0.5)]


@pytest.mark.parametrize("body", [b"", b"API rate limit exceeded"])
def test_a_long_wait_is_everybodys(body: bytes) -> None:
    async def twice(*with_: Any) -> tuple[Any, ...]:
        first, *_ = await ask(*with_)
        return first, *await ask(*with_)

    first, second, slept, calls = with_server(
        [(429, {"Retry-After": "3600"}, body), FINE], twice, reader=data_go_kr.read
    )
    assert isinstance(first, QuotaSpentError)
    assert isinstance(second, QuotaSpentError)
    assert first.until == second.until == NOW + timedelta(hours=1)
    assert (slept, calls) == ([], 1)


def test_one_429_is_no_reason_to_stop_for_the_day() -> None:
    came, slept, calls = with_server([(429, {}, b""), (429, {}, b""), FINE], ask)
    assert (came, calls) == ({"fine": True}, 3)
    assert len(slept) == 2


@pytest.mark.parametrize(("headers", "until"), [({}, DAY_ENDS), ({"Retry-After": "60"}, NOW + timedelta(minutes=1))])
def test_a_spent_quota_is_waited_for(headers: dict[str, str], until: datetime) -> None:
    came, slept, calls = with_server([(429, headers, b"API token quota exceeded")], ask, reader=data_go_kr.read)
    assert isinstance(came, QuotaSpentError)
    assert (came.until, slept, calls) == (until, [], 1)


def test_a_refused_key_is_not_tried_again() -> None:
    code = b"<response><header><resultCode>99</resultCode><resultMsg>SERVICE KEY IS NOT REGISTERED</resultMsg></header>"
    came, _, calls = with_server([(200, {}, code + b"</response>")], ask, reader=data_go_kr.read)
    assert isinstance(came, ApiError)
    assert "SERVICE KEY IS NOT REGISTERED" in str(came)
    assert "secret" not in str(came)
    assert calls == 1


def test_a_minutes_quota_is_kept_to() -> None:
    async def work(client: Client, endpoint: Endpoint[Any], clock: Clock, requests: list[bytes]) -> tuple[Any, ...]:
        for _ in range(2):
            assert (await ask(client, endpoint, clock, requests))[0] == {"fine": True}
        spent, *_ = await ask(client, endpoint, clock, requests)
        assert (client.quota_left(endpoint), len(requests)) == (0, 2)
        clock.time = spent.until
        return spent, (await ask(client, endpoint, clock, requests))[0]

    spent, after = with_server([FINE], work, quota=Quota(2, "minute"))
    assert spent.until == NOW + timedelta(minutes=1)
    assert after == {"fine": True}


def test_a_reader_that_stumbles_is_an_answer_that_cant_be_read() -> None:
    def stumbling(_: Response) -> Any:
        raise OverflowError

    came, _, calls = with_server([FINE], ask, reader=stumbling)
    assert isinstance(came, GivenUpError)
    assert calls == 3


def test_bodies_that_cant_be_read_are_counted_until_one_can_be() -> None:
    """Over several asks, where a call may have more of them than an ask has tries."""

    async def work(client: Client, endpoint: Endpoint[Any], clock: Clock, requests: list[bytes]) -> list[Any]:
        client._patience = Patience(5, 1, 30, 3, 4)
        return [type((await ask(client, endpoint, clock, requests))[0]) for _ in range(6)]

    cut = (200, {}, b"{")
    wanted = [PutOffError, PutOffError, dict, PutOffError, PutOffError, GivenUpError]
    assert with_server([cut, cut, FINE, cut, cut, cut], work) == wanted


def test_an_endpoint_is_data() -> None:
    """A POST with a body and headers of its own, and a reader of its own: nothing in the client knows of it."""

    def exhausted(response: Response) -> Any:
        document = json.loads(response.body)
        if document.get("error", {}).get("status") == "RESOURCE_EXHAUSTED":
            raise RefusedError(document["error"]["status"], document["error"]["message"], Reaction.SPENT)
        return document

    async def post(client: Client, endpoint: Endpoint[Any], clock: Clock, requests: list[bytes]) -> tuple[Any, ...]:
        fetched, came = await client.ask(Call(endpoint, "s", json={"radius": 100}))
        with pytest.raises(QuotaSpentError):
            await client.ask(Call(endpoint, "s", json={"radius": 100}))
        return fetched, came, requests[0]

    error = json.dumps({"error": {"status": "RESOURCE_EXHAUSTED", "message": "per minute"}}).encode()
    fetched, came, request = with_server(
        [FINE, (429, {}, error)],
        post,
        reader=exhausted,
        method="POST",
        headers={"X-Goog-FieldMask": "places.id"},
    )
    assert came == {"fine": True}
    assert isinstance(fetched, Fetched)
    assert "sec" not in fetched.url
    assert request.startswith(b"POST /v1/things?key=sec")
    assert b"bearer secret" in request.lower()
    assert b"x-goog-fieldmask: places.id" in request.lower()
    assert request.endswith(b'{"radius":100}')
