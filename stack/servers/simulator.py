"""The public APIs on this machine, as a supervised process: what the pollers call unless they are told otherwise."""

import functools
import os
import sys
from collections.abc import Iterator

import httpx

from stack.errors import StackError
from stack.services import HOST, Context, Service

NAME = "simulator"


def services(context: Context) -> Iterator[Service]:
    """The simulator with the settings of conf/citystream.yaml."""
    port = context.ports.simulator
    own = ("CITYSTREAM__STACK__", "CITYSTREAM__SIMULATOR__")
    chosen = {name: value for name, value in sorted(os.environ.items()) if name.startswith(own)}
    yield Service(
        name=NAME,
        command=[sys.executable, "-m", "generators.simulator", "--host", HOST, "--port", str(port.number)],
        address=url(context),
        ports=[port],
        answers=functools.partial(_answers, url(context)),
        environment={"PYTHONUNBUFFERED": "1", **chosen},
        stop_seconds=10,
    )


def url(context: Context) -> str:
    """Where it answers."""
    return f"http://{HOST}:{context.ports.simulator.number}"


def _answers(address: str) -> None:
    status = httpx.get(f"{address}/simulator/health", timeout=4).status_code
    if status != httpx.codes.OK:
        msg = f"it answers with HTTP {status}"
        raise StackError(msg)
