"""The board: up with the stack, whether there is anything to show yet or not."""

import functools
import http.client
import os
import sys
from collections.abc import Iterator

from stack.services import HOST, Context, Service


def services(context: Context) -> Iterator[Service]:
    """The one server; it finds the others' addresses in the stack's env file."""
    chosen = {name: value for name, value in sorted(os.environ.items()) if name.startswith("CITYSTREAM__STACK__")}
    yield Service(
        name="board",
        command=[sys.executable, "-m", "board"],
        address=url(context),
        ports=[context.ports.board],
        answers=functools.partial(_answers, context),
        environment={"PYTHONUNBUFFERED": "1", "BOARD_URL": url(context), **chosen},
    )


def url(context: Context) -> str:
    """The address for clients."""
    return f"http://{HOST}:{context.ports.board.number}"


def _answers(context: Context) -> None:
    connection = http.client.HTTPConnection(HOST, context.ports.board.number, timeout=4)
    try:
        connection.request("GET", "/health")
        connection.getresponse().read()
    finally:
        connection.close()
