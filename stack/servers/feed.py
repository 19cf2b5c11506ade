"""The order generator as a supervised process, so that a demo goes on after its command has ended."""

import contextlib
import os
import sys
from collections.abc import Iterator

from stack.layout import Layout
from stack.services import Context, Service
from stack.supervision import Supervisor

NAME = "generator"


def services(context: Context) -> Iterator[Service]:
    """The generator with the settings of conf/citystream.yaml; it starts when asked for."""
    chosen = {name: value for name, value in sorted(os.environ.items()) if name.startswith("CITYSTREAM__STACK__")}
    yield Service(
        name=NAME,
        command=[sys.executable, "-m", "generators.deliveries"],
        address="topic deliveries",
        ports=[],
        answers=lambda: None,
        environment={"PYTHONUNBUFFERED": "1", **chosen},
        stop_signal="INT",
        stop_seconds=30,
        autostart=False,
    )


@contextlib.contextmanager
def paused(layout: Layout) -> Iterator[None]:
    """No orders from the supervised generator meanwhile, where it runs; what it has sent is acknowledged."""
    supervisor = Supervisor(layout)
    # One that has just been started is about to send, too.
    runs = supervisor.is_up() and any(state.name == NAME and state.coming for state in supervisor.states())
    if runs:
        supervisor.stop_service(NAME)
    try:
        yield
    finally:
        if runs:
            supervisor.start_service(NAME)
