"""The rows of a file to the topic `coordinates.requests`, each acknowledged, but for those that came through before."""

import json
import sys
import time
from collections.abc import Callable

from conf.settings import Settings
from generators.brokers import client, wait_for_brokers
from generators.coordinates import batches
from generators.coordinates.cells import to_json
from generators.coordinates.checking import Check, Options, Point, check, points, settle, system_of
from generators.coordinates.reading import Table
from generators.plans import Record
from generators.producing import SLICE_SECONDS, Publisher, quiet

TOPIC = "coordinates.requests"
_DEADLINE_SECONDS = 60
_SAY_EVERY_SECONDS = 2.0


def checked(table: Table, options: Options, *, anyway: bool, say: Callable[[str], None]) -> Check:
    """Check a file and say what was found.

    Raises:
        FileError: it can't be used.
        DoubtError: its coordinate system is not told, or hardly the one that was; not with `anyway`, if one is named.
    """
    say(f"{table.path.name}: {table.kind}")
    for note in table.notes:
        say(note)
    found = check(table, options)
    say(str(found))
    if not anyway or system_of(options) == "auto":
        settle(found, options)
    return found


def send(table: Table, options: Options, found: Check, settings: Settings, say: Callable[[str], None]) -> str:
    """Send a batch, or what is missing of it, and return its id.

    Raises:
        FileError: the file changed meanwhile.
        GeneratorError: no broker answers, the topic is missing, or a row was not delivered.
        NotReadyError: the database is away, or its tables are missing.
    """
    batch_id, crs = batches.name(table, options), system_of(options)
    is_new = batches.register(settings, batch_id, table, options, found)
    there = bytearray() if is_new else batches.there(settings, batch_id)
    missing = found.rows - sum(there)
    if not is_new:
        say(f"batch {batch_id} was uploaded before: {found.rows - missing:,} rows came through, {missing:,} are sent")
    quiet()
    wait_for_brokers(settings.kafka.bootstrap_servers, _DEADLINE_SECONDS, TOPIC)
    with client(settings.kafka.bootstrap_servers) as producer:
        publisher, began = Publisher(producer, TOPIC), time.monotonic()
        said = began
        for point in points(table, options):
            if point.number < len(there) and there[point.number]:
                continue
            while publisher.is_full:
                publisher.collect()
                time.sleep(SLICE_SECONDS)
            publisher.send(record(point, batch_id, crs))
            if time.monotonic() - said > _SAY_EVERY_SECONDS:
                publisher.collect()
                said = time.monotonic()
                count = publisher.tally.produced
                left = (missing - count) * (said - began) / max(count, 1)
                say(f"{count:,} of {missing:,} rows sent, {left:,.0f} s left")
        publisher.finish(_DEADLINE_SECONDS)
    batches.sent(settings, batch_id)
    say(f"{publisher.tally.produced:,} rows sent")
    return batch_id


def record(point: Point, batch_id: str, crs: str) -> Record:
    """A row as it is sent; its key keeps the rows of a sheet in order."""
    said = {
        "batch_id": batch_id,
        "sheet": point.sheet,
        "row_number": point.number,
        "x": point.x,
        "y": point.y,
        "source_crs": crs,
        "payload": [to_json(cell) for cell in point.cells],
        **({"fault": point.fault} if point.fault else {}),
    }
    value = json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()
    return Record(f"{batch_id}|{point.sheet}".encode(), value, "valid", "", 0.0)


def to_stderr(text: str) -> None:
    """Say something to the person at the keyboard."""
    print(text, file=sys.stderr, flush=True)
