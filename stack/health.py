"""Waiting until every server answers in its own protocol."""

import concurrent.futures
import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from stack.services import Service
from stack.supervision import State

_PAUSE_SECONDS = 0.5
_PIDS_BEFORE_TROUBLE = 4


@dataclass(frozen=True)
class Answer:
    """How a service stands: `trouble` is empty once it answers."""

    seconds: float
    trouble: str

    @property
    def fine(self) -> bool:
        """Whether the service answered."""
        return not self.trouble


def check(service: Service) -> Answer:
    """Ask once."""
    begun = time.monotonic()
    try:
        service.answers()
    except Exception as error:
        lines = str(error).strip().splitlines()
        return Answer(time.monotonic() - begun, lines[0] if lines else type(error).__name__)
    return Answer(time.monotonic() - begun, "")


class Failing:
    """Tells a server that comes up slowly from one that ends again and again."""

    def __init__(self) -> None:
        self._pids: dict[str, set[int]] = {}

    def see(self, states: Iterable[State]) -> State | None:
        """Take the latest states; return the service that is not going to come up, if there is one."""
        for state in states:
            pids = self._pids.setdefault(state.name, set())
            if state.pid:
                pids.add(state.pid)
            if state.given_up or len(pids) >= _PIDS_BEFORE_TROUBLE:
                return state
        return None


class UnansweredError(Exception):
    """A service that isn't going to answer, and its trouble."""

    def __init__(self, service: str, trouble: str) -> None:
        super().__init__(f"{service}: {trouble}")
        self.service = service
        self.trouble = trouble


def wait(
    services: Iterable[Service],
    states: Callable[[], Iterable[State]],
    seconds: float,
    show: Callable[[str, Answer], None],
) -> None:
    """Ask all services, side by side, until every one answers.

    Args:
        services: whom to ask.
        states: what supervisord knows of them now.
        seconds: how long to wait.
        show: called with a service's name whenever something is known of it.

    Raises:
        UnansweredError: one ran out of time, or ends again and again.
    """
    # Client libraries log every refused connection while a server boots.
    for library in ("kafka", "elastic_transport"):
        logging.getLogger(library).setLevel(logging.CRITICAL)
    begun = time.monotonic()
    over = threading.Event()

    def ask(service: Service) -> Answer:
        while True:
            answer = Answer(time.monotonic() - begun, check(service).trouble)
            show(service.name, answer)
            if answer.fine or answer.seconds > seconds or over.wait(_PAUSE_SECONDS):
                return answer

    services = list(services)
    with concurrent.futures.ThreadPoolExecutor(max_workers=max(1, len(services))) as pool:
        asked = {pool.submit(ask, service): service.name for service in services}
        pending = set(asked)
        failing = Failing()
        try:
            while pending:
                done, pending = concurrent.futures.wait(pending, timeout=_PAUSE_SECONDS)
                for future in done:
                    if trouble := future.result().trouble:
                        raise UnansweredError(asked[future], trouble)
                if state := failing.see(states()):
                    raise UnansweredError(state.name, state.trouble or "it ends right after its start, every time")
        finally:
            over.set()
