"""The generators of events as supervised processes, so that a demo goes on after its command has ended."""

import contextlib
import os
import sys
from collections.abc import Iterator

from conf.streams import STREAMS, Stream
from stack.layout import Layout
from stack.services import Context, Service
from stack.supervision import Supervisor


def name(stream: Stream) -> str:
    """The service that feeds a stream."""
    return f"{stream.name}-generator"


# Streams of events keep a ledger; what fills the others is asked for by the day.
FEEDS = {name(stream): stream for stream in STREAMS.values() if stream.ledger and stream.feed}


def services(context: Context) -> Iterator[Service]:
    """Each generator with the settings of conf/citystream.yaml; it starts when asked for."""
    chosen = {name: value for name, value in sorted(os.environ.items()) if name.startswith("CITYSTREAM__STACK__")}
    for service, stream in FEEDS.items():
        yield Service(
            name=service,
            command=[sys.executable, "-m", str(stream.feed)],
            address=f"topic {', '.join(stream.topics)}",
            ports=[],
            answers=lambda: None,
            environment={"PYTHONUNBUFFERED": "1", **chosen},
            stop_signal="INT",
            stop_seconds=30,
            autostart=False,
        )


@contextlib.contextmanager
def paused(layout: Layout) -> Iterator[None]:
    """No events from the supervised generators meanwhile, where they run; what they have sent is acknowledged."""
    supervisor = Supervisor(layout)
    # One that has just been started is about to send, too.
    coming = {state.name for state in supervisor.states() if state.coming} if supervisor.is_up() else set()
    pausing = [service for service in FEEDS if service in coming]
    try:
        for service in pausing:
            supervisor.stop_service(service)
        yield
    finally:
        for service in pausing:
            supervisor.start_service(service)
