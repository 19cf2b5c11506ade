"""A stream's generator as a process of its own."""

import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Self

from conf.settings import ROOT
from conf.streams import Stream
from generators.manifest import read_manifest


class Generator:
    """It runs from here on.

    Args:
        stream: whose records it makes.
        manifest: where it writes what was acknowledged; its log is beside it.
        options: of its command line, `malformed_share=0`; `day_curve=False` is --no-day-curve.
    """

    def __init__(self, stream: Stream, manifest: Path, **options: object) -> None:
        self.manifest = manifest
        flags = [_flag(name.replace("_", "-"), value) for name, value in options.items()]
        command = [sys.executable, "-m", str(stream.feed), f"--manifest={manifest}", *flags]
        self._log = manifest.with_suffix(".log")
        with self._log.open("w") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self, seconds: float) -> None:
        """End it in good order: all that it has sent is acknowledged."""
        self.process.send_signal(signal.SIGINT)
        self.finish(seconds)

    def finish(self, seconds: float) -> None:
        """Wait until it has produced everything."""
        assert self.process.wait(seconds) == 0, self._log.read_text()

    def valid(self) -> set[str]:
        """The ids of the valid records, each of them sent once."""
        found = [key for kind, key, _ in read_manifest(self.manifest) if kind == "valid"]
        assert len(found) == len(set(found))
        return set(found)

    def produced(self) -> Counter[str]:
        """How many records of each kind."""
        return Counter(kind for kind, _, _ in read_manifest(self.manifest))


def _flag(name: str, value: object) -> str:
    return f"--no-{name}" if value is False else f"--{name}={value}"
