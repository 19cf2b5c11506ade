"""The order generator as a supervised process, so that a demo goes on after its command has ended."""

import os
import sys
from collections.abc import Iterator

from stack.services import Context, Service

NAME = "generator"


def services(context: Context) -> Iterator[Service]:
    """The generator with the settings of conf/citystream.yaml; it starts when asked for."""
    chosen = {name: value for name, value in os.environ.items() if name.startswith("CITYSTREAM__STACK__")}
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
