"""What a generator was told to note of what was acknowledged, so that results can be held against it."""

import os
from collections.abc import Iterator
from pathlib import Path

from generators.plans import Record


class Manifest:
    """A text file of what was acknowledged, for reconciliation; one line per run of records, fields apart by a tab.

    - `valid FIRST LAST`: the records with the keys from FIRST to LAST. Only the numbers after their last hyphen differ,
      and all between belong to it.
    - `malformed KEY REASON`: a broken record, published under the Kafka key KEY.
    - `KIND KEY`: any other, such as a `repeat` of the record KEY.

    Several processes may append to one file: each batch of lines is written by a single system call.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._lines: list[bytes] = []
        self._first = self._last = b""
        self._follows: tuple[bytes, int] | None = None

    def add(self, record: Record) -> None:
        """Note an acknowledged record."""
        if record.kind != "valid":
            reason = b"\t" + record.reason.encode() if record.kind == "malformed" else b""
            self._lines.append(b"%b\t%b%b\n" % (record.kind.encode(), record.key, reason))
            return
        prefix, _, number = record.key.rpartition(b"-")
        if (prefix, int(number)) != self._follows:
            self._end_run()
            self._first = record.key
        self._last, self._follows = record.key, (prefix, int(number) + 1)

    def flush(self) -> None:
        """Write what was noted so far."""
        self._end_run()
        if self._lines:
            os.write(self._file, b"".join(self._lines))
            self._lines.clear()

    def close(self) -> None:
        """Write the rest."""
        self.flush()
        os.close(self._file)

    def _end_run(self) -> None:
        if self._first:
            self._lines.append(b"valid\t%b\t%b\n" % (self._first, self._last))
            self._first, self._follows = b"", None


def read_manifest(path: Path) -> Iterator[tuple[str, str, str]]:
    """What a run with `--manifest` produced: kind, Kafka key, and for malformed records the reason."""
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            kind, key, *rest = line.rstrip("\n").split("\t")
            if kind == "valid":
                prefix, first = key.rsplit("-", 1)
                last = rest[0].rsplit("-", 1)[1]
                for number in range(int(first), int(last) + 1):
                    yield "valid", f"{prefix}-{number:0{len(first)}d}", ""
            else:
                yield kind, key, rest[0] if rest else ""
