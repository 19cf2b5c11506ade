"""Energy by lot as the poller fetches it, from the simulator's data and without HTTP."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from apis import data_go_kr, kakao
from apis.client import Fetched, PutOffError, SystemClock
from apis.data_go_kr import Answer
from apis.endpoints import Call, WrongCallError
from conf.settings import load
from generators.pollers.carbon.buildings import Buildings
from generators.pollers.carbon.plan import Calls, Lots
from generators.pollers.state import Message, State
from generators.simulator import envelopes
from generators.simulator.carbon import parcels
from generators.simulator.carbon.services import World
from tests.pollers import RICH, TODAY

WORLD = World(27, date(2024, 5, 1), RICH)
MONTH = date(2025, 5, 1)
CROWDED = next(dong for dong in parcels.dongs() if len(WORLD.metered(dong, MONTH, "gas", TODAY)) > 100)
ASKED: Lots = (CROWDED, MONTH, "gas")
LOTS = [f"{int(lot.mountain)}-{lot.main:04}-{lot.sub:04}" for place in parcels.dongs()[CROWDED]
        for lot in parcels.lots(place)]  # fmt: skip


class Service:
    """Stands for the client and what is behind it."""

    def __init__(self) -> None:
        self.rows = WORLD.metered(CROWDED, MONTH, "gas", TODAY)
        self.refuses_whole = False
        self.fails: set[str] = set()
        self.asked: Counter[str] = Counter()
        self.time = 1_795_000_000_000

    async def ask(self, call: Call[Answer], check: Callable[[Answer], None]) -> tuple[Fetched, Answer]:
        self.asked[call.subject] += 1
        if call.subject in self.fails:
            self.fails.remove(call.subject)
            raise PutOffError(TimeoutError())
        asked = call.parameters
        if self.refuses_whole and not asked["bun"]:
            msg = "refused: 11 NO_MANDATORY_REQUEST_PARAMETERS_ERROR"
            raise WrongCallError(msg)
        rows = [row for row in self.rows if asked["bun"] in ("", row["bun"]) and asked["ji"] in ("", row["ji"])]
        page = int(asked["pageNo"])
        part = rows[(page - 1) * 100 : page * 100]
        body = envelopes.metered(part, page, 100, len(rows), as_json=False, outside=True)
        answer = data_go_kr.read_body(body)
        check(answer)
        self.time += 1
        return Fetched(body, self.time, "http://x"), answer


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    opened = State(tmp_path / "state")
    yield opened
    opened.close()


class Run:
    """A run over one state, and what it sent."""

    def __init__(self, state: State, service: Service) -> None:
        settings = load()
        calls = Calls.of(settings.pollers.operations, data_go_kr.api(settings), kakao.api(settings))
        self.sent: list[Message] = []
        self.said: list[str] = []
        client: Any = service
        self.buildings = Buildings(calls, client, state, SystemClock(), 3, self.said.append, self.sent.extend)

    def fetch(self) -> dict[str, bytes]:
        before = len(self.sent)
        asyncio.run(self.buildings.fetch(ASKED, LOTS))
        return {message.key.removeprefix(f"{CROWDED}|2025-05|gas|"): message.value for message in self.sent[before:]}


def test_all_pages_come_at_once_and_the_same_again_is_not_sent(state: State) -> None:
    service = Service()
    run = Run(state, service)
    sent = run.fetch()
    assert list(sent) == ["1", "2"]
    rows = [item for body in sent.values() for item in data_go_kr.read_body(body).items]
    assert [(row["bun"], row["ji"], row["useQty"]) for row in rows] == [
        (row["bun"], row["ji"], row["useQty"]) for row in service.rows
    ]
    state.acknowledge(run.sent)
    assert run.fetch() == {}


def test_a_page_that_is_put_off_costs_no_other_again(state: State) -> None:
    service = Service()
    run = Run(state, service)
    service.fails = {f"{CROWDED}|2025-05|gas|2"}
    with pytest.raises(PutOffError):
        run.fetch()
    assert run.sent == []
    assert list(run.fetch()) == ["1", "2"]
    assert service.asked == {f"{CROWDED}|2025-05|gas|1": 1, f"{CROWDED}|2025-05|gas|2": 2}


def test_a_page_that_came_to_be_empty_is_sent(state: State) -> None:
    service = Service()
    run = Run(state, service)
    run.fetch()
    state.acknowledge(run.sent)
    service.rows = service.rows[:99]
    sent = run.fetch()
    assert [len(data_go_kr.read_body(body).items) for body in sent.values()] == [99, 0]


def test_where_whole_dongs_are_refused_each_lot_is_asked_for_and_it_is_said_once(state: State) -> None:
    service = Service()
    service.refuses_whole = True
    run = Run(state, service)
    sent = run.fetch()
    assert set(sent) == {lot[2:] for lot in LOTS}
    for number, body in sent.items():
        wanted = [row["useQty"] for row in service.rows if f"{row['bun']}-{row['ji']}" == number]
        assert [item["useQty"] for item in data_go_kr.read_body(body).items] == wanted
    run.fetch()
    assert len(run.said) == 1
    assert service.asked[f"{CROWDED}|2025-05|gas|1"] == 1
