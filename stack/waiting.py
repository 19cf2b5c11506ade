"""While something takes long: a spinner on a terminal, else a line every few seconds."""

import contextlib
import threading
import time
from collections.abc import Iterator

from rich.console import Console

EVERY_SECONDS = 5


@contextlib.contextmanager
def waiting(console: Console, what: str) -> Iterator[None]:
    """Say that `what` is still under way, such as "Submitting the job"."""
    if console.is_terminal:
        with console.status(f"{what} ..."):
            yield
        return
    began, over = time.monotonic(), threading.Event()

    def tick() -> None:
        while not over.wait(EVERY_SECONDS):
            console.print(f"{what} ... {time.monotonic() - began:.0f} s", markup=False)

    thread = threading.Thread(target=tick, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
