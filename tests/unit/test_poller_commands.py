"""The command line that all pollers share, without servers."""

from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path

import pytest

from apis.client import QuotaSpentError
from conf.settings import load
from generators.pollers import command
from generators.pollers.carbon import __main__ as carbon
from generators.pollers.command import Kind
from generators.pollers.events import __main__ as events
from generators.pollers.poller import Poller
from generators.pollers.state import State

POLLERS = [(carbon.KIND, carbon.main), (events.KIND, events.main)]


@pytest.fixture(autouse=True)
def _stack_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CITYSTREAM__STACK__DIRECTORY", str(tmp_path))
    monkeypatch.setenv("SIMULATOR_URL", "http://localhost:9")


@pytest.mark.parametrize(("kind", "main"), POLLERS)
def test_status_tells_of_topics_of_what_was_put_aside_and_of_quotas(
    kind: Kind, main: Callable[[list[str]], int], capsys: pytest.CaptureFixture[str]
) -> None:
    state = State(kind.state_file(load()))
    state.put_aside("part", "X", "KeyError: '[id]'", datetime(2026, 11, 21, tzinfo=UTC))
    state.close()
    assert main(["status"]) == 0
    shown = capsys.readouterr().out
    assert all(topic in shown for topic in kind.topics)
    assert "put aside: part X: KeyError: '[id]'" in shown
    assert "quota left today: " in shown


@pytest.mark.parametrize(("_", "main"), POLLERS)
@pytest.mark.parametrize("command", [["watch", "--once"], ["republish"]])
def test_a_stack_that_is_down_is_a_sentence(
    _: Kind, main: Callable[[list[str]], int], command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command) == 1
    assert "is down: `make up` starts it" in capsys.readouterr().err


@pytest.mark.parametrize(("_", "main"), POLLERS)
def test_shared_quotas_take_their_database(
    _: Kind, main: Callable[[list[str]], int], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "localhost:9")
    monkeypatch.setenv("CITYSTREAM__POLLERS__SHARED_QUOTAS", "true")
    assert main(["watch", "--once"]) == 1
    assert "set POSTGRES_URL." in capsys.readouterr().err


@pytest.mark.parametrize(("kind", "main"), POLLERS)
def test_only_topics_that_it_feeds_are_republished(kind: Kind, main: Callable[[list[str]], int]) -> None:
    with pytest.raises(SystemExit):
        main(["republish", "deliveries"])
    assert "deliveries" not in kind.topics


@pytest.mark.parametrize(("kind", "_"), POLLERS)
@pytest.mark.parametrize(
    ("complete", "spent", "code", "said"),
    [
        (True, None, 0, "all is fetched, and Kafka has it"),
        (False, QuotaSpentError("energy", datetime(2026, 11, 21, tzinfo=UTC), "spent"), 3, "run it again after"),
        (False, None, 130, "stopped; the next run goes on from here"),
    ],
)
def test_how_a_run_ended_is_its_exit_code(
    kind: Kind,
    _: object,
    complete: bool,
    spent: QuotaSpentError | None,
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(command, "client", lambda _: nullcontext())
    monkeypatch.setattr(command, "wait_for_brokers", lambda *_: None)

    async def work(poller: Poller) -> bool:
        poller.engine.unfinished = spent
        return complete

    assert kind.run(load(), work, waits=False) == code
    assert said in capsys.readouterr().err
