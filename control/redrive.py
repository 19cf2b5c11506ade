"""Send dead letters back to the topic that their records came from, each once (docs/decisions/0049).

A letter's record and the note that it was sent are one Kafka transaction, and jobs read what is committed: whoever is
killed half-way has sent whole transactions or nothing of them, and the next run goes on after the last.
"""

import base64
import contextlib
import importlib
import importlib.util
import json
import sys
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from kafka import KafkaProducer
from kafka.errors import KafkaError

from conf.settings import Settings
from control import reading
from sinks import kafka
from sinks.errors import NotReadyError

# Short transactions: one that its producer left open holds up the topic's readers until it times out.
BATCH = 500
TRANSACTION_SECONDS = 30
HEADER = "citystream.redriven-from"


@dataclass(frozen=True)
class Letter:
    """A dead letter: what the job said of a record, and the record as far as it is still there.

    Attributes:
        reason, detail: why it is dead.
        topic, partition, offset: where the record is, or was.
        seen_at: when the letter was written.
        value: the record's bytes; None for a tombstone.
        key: the record's key; None, too, when retention has deleted the record.
    """

    reason: str
    detail: str
    topic: str
    partition: int
    offset: int
    seen_at: datetime
    value: bytes | None
    key: bytes | None = None

    @property
    def place(self) -> str:
        """Where its record is: the letter's key, by which repeats are told."""
        return f"{self.topic}|{self.partition}|{self.offset}"


# Gives the record's new value, or None for a letter that stays where it is.
Mend = Callable[[Letter], bytes | None]


@dataclass(frozen=True)
class Choice:
    """Which letters are sent.

    Attributes:
        reasons: those with one of these; empty: all.
        first, last: offsets in the dead-letter topic, both included.
        since, until: when they were written; `until` is not included.
        mend: makes the new value of each; None: as it was.
    """

    reasons: frozenset[str] = frozenset()
    first: int | None = None
    last: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    mend: Mend | None = None

    @property
    def all(self) -> bool:
        """Whether nothing is chosen at all, so that every letter would only come back."""
        return self == Choice()

    def takes(self, letter: Letter, offset: int) -> bool:
        """Whether a letter, which lies at this offset of its topic, is one of them."""
        return not (
            (self.reasons and letter.reason not in self.reasons)
            or (self.first is not None and offset < self.first)
            or (self.last is not None and offset > self.last)
            or (self.since is not None and letter.seen_at < self.since)
            or (self.until is not None and letter.seen_at >= self.until)
        )


@dataclass
class Outcome:
    """How many letters, each counted once: sent by reason; sent before; chosen and left by the mend."""

    sent: Counter[str] = field(default_factory=Counter)
    before: int = 0
    left: int = 0


def mend_of(name: str) -> Mend:
    """The function `module:function`, or `path/of/file.py:function`.

    Raises:
        NotReadyError: there is no such function, or the module fails.
    """
    where, _, function = name.rpartition(":")
    try:
        if where.endswith(".py"):
            spec = importlib.util.spec_from_file_location(Path(where).stem, where)
            if spec is None or spec.loader is None:
                raise ImportError(where)
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
        else:
            sys.path.insert(0, str(Path.cwd()))
            module = importlib.import_module(where)
        found: Mend = getattr(module, function)
    except Exception as error:
        message = (
            f"There is no mend {name} ({type(error).__name__}: {error}): give module:function or file.py:function."
        )
        raise NotReadyError(message) from error
    return found


def redrive(settings: Settings, topic: str, choice: Choice, *, dry_run: bool = False) -> Outcome:
    """Send the chosen letters of `topic`'s dead letters back to `topic`, those that were not yet.

    A record keeps its key, where it is still there, and gets a header that says which one it was; its time is now.

    Raises:
        NotReadyError: Kafka is away or refuses, a topic is missing, or the mend fails; what was sent until then is sent
            and noted.
    """
    with contextlib.ExitStack() as stack:
        producer = None if dry_run else stack.enter_context(_producer(settings, topic))
        # Only now: the producer has put an end to what a killed one left open.
        known = _redriven(settings, topic)
        records = stack.enter_context(reading.Places(settings, topic))
        letters = stack.enter_context(reading.Reader(settings, reading.dead_letter_topics([topic])))
        run = _Run(choice, records, producer, known)
        letters.read(run.take)
        run.send()
        return run.outcome


class _Run:
    """Takes letters one after the other; sends them in batches."""

    def __init__(
        self, choice: Choice, records: reading.Places, producer: KafkaProducer | None, known: "_Known"
    ) -> None:
        self.outcome = Outcome()
        self._choice, self._records, self._producer, self._known = choice, records, producer, known
        self._seen: set[str] = set()
        self._waiting: list[tuple[Letter, bytes | None]] = []

    def take(self, record: Any) -> None:  # noqa: ANN401 - a ConsumerRecord
        letter = _letter(record.value)
        if letter is None or letter.place in self._seen or not self._choice.takes(letter, record.offset):
            return
        self._seen.add(letter.place)
        if letter.place in self._known.places:
            self.outcome.before += 1
            return
        whole = Letter(**{**vars(letter), "key": self._records.key(letter.partition, letter.offset)})
        value = _mended(self._choice.mend, whole)
        if value is None and self._choice.mend is not None:
            self.outcome.left += 1
            return
        self._waiting.append((whole, value))
        if len(self._waiting) == BATCH:
            self.send()

    def send(self) -> None:
        """Send what waits, and note it, in one transaction."""
        if self._waiting and self._producer is not None:
            self._commit(self._producer, self._waiting)
        self.outcome.sent.update(letter.reason for letter, _ in self._waiting)
        self._waiting.clear()

    def _commit(self, producer: KafkaProducer, sending: Sequence[tuple[Letter, bytes | None]]) -> None:
        producer.begin_transaction()
        acknowledgements = []
        for letter, value in sending:
            headers = [(HEADER, letter.place.encode())]
            note = json.dumps({"reason": letter.reason, "seen_at": letter.seen_at.isoformat()}).encode()
            acknowledgements += [
                producer.send(letter.topic, value, letter.key, headers=headers),
                producer.send(kafka.REDRIVEN, note, self._known.key(letter.place)),
            ]
        producer.flush()
        for acknowledgement in acknowledgements:
            acknowledgement.get(TRANSACTION_SECONDS)
        producer.commit_transaction()


def _mended(mend: Mend | None, letter: Letter) -> bytes | None:
    if mend is None:
        return letter.value
    try:
        value = mend(letter)
    except Exception as error:
        message = f"The mend failed for the letter {letter.place}: {type(error).__name__}: {error}"
        raise NotReadyError(message) from error
    if value is not None and not isinstance(value, bytes):
        message = (
            f"The mend gave a {type(value).__name__} for the letter {letter.place}: give bytes, or None to leave it."
        )
        raise NotReadyError(message)
    return value


def _letter(value: bytes) -> Letter | None:
    """A dead letter; None for one about a document, whose record is valid and in the ledger."""
    said = json.loads(value)
    if said["reason"] == reading.REJECTED or None in (said["topic"], said["partition"], said["offset"]):
        return None
    return Letter(
        reason=said["reason"],
        detail=said["detail"],
        topic=said["topic"],
        partition=said["partition"],
        offset=said["offset"],
        seen_at=datetime.fromisoformat(said["seen_at"]),
        value=None if said["raw_base64"] is None else base64.b64decode(said["raw_base64"]),
    )


@dataclass(frozen=True)
class _Known:
    """The letters of a topic that were sent before. A topic that was made anew has another id, and no such letters."""

    topic_id: uuid.UUID
    places: frozenset[str]

    def key(self, place: str) -> bytes:
        """A note's key."""
        return f"{self.topic_id}|{place}".encode()


def _redriven(settings: Settings, topic: str) -> _Known:
    with contextlib.closing(kafka.admin(settings)) as admin:
        described = admin.describe_topics([topic])
    topic_id = described[0]["topic_id"]
    prefix = f"{topic_id}|".encode()
    places: set[str] = set()

    def take(record: Any) -> None:  # noqa: ANN401 - a ConsumerRecord
        if record.key.startswith(prefix):
            places.add(record.key.removeprefix(prefix).decode())

    with reading.Reader(settings, [kafka.REDRIVEN]) as notes:
        notes.read(take)
    return _Known(topic_id, frozenset(places))


@contextlib.contextmanager
def _producer(settings: Settings, topic: str) -> Iterator[KafkaProducer]:
    """The one producer that redrives a topic: it ends the transactions of whoever did before."""
    servers = settings.kafka.bootstrap_servers
    try:
        with contextlib.closing(
            KafkaProducer(
                bootstrap_servers=servers.split(","),
                transactional_id=f"citystream.redrive.{topic}",
                transaction_timeout_ms=TRANSACTION_SECONDS * 1000,
                acks="all",
                enable_idempotence=True,
                max_request_size=kafka.DEAD_LETTER_BYTES,
                allow_auto_create_topics=False,
            )
        ) as producer:
            producer.init_transactions()
            yield producer
    except KafkaError as error:
        message = (
            f"Kafka at {servers} did not take the letters ({type(error).__name__}: {error}): what was sent before is "
            "noted, and the same command goes on after it. Another redrive of the same topic takes its place."
        )
        raise NotReadyError(message) from error
