"""What `make doctor` finds in servers that answer, each made to be so, and that it finds nothing afterwards."""

import contextlib
import re
import uuid
from collections.abc import Callable, Iterator

import pytest
from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import ConfigResource, ConfigResourceType

from conf.settings import Settings, load
from conf.templates import templates
from control import checks
from sinks import elasticsearch, kafka, postgres
from sinks.errors import NotReadyError
from stack.lifecycle import LocalStack
from tests import slate

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.elasticsearch, pytest.mark.flink]

# A topic and an index that no other test of this suite needs as they are.
TOPIC, INDEX = "coordinates.requests", "carbon"
Check = Callable[[Settings], str]


@pytest.fixture(scope="module")
def settings(servers: None) -> Settings:
    return load()


@pytest.fixture(scope="module")
def admin(settings: Settings) -> Iterator[KafkaAdminClient]:
    with contextlib.closing(kafka.admin(settings)) as admin:
        yield admin


@contextlib.contextmanager
def found(check: Check, settings: Settings, said: str) -> Iterator[None]:
    """The check finds this now, and nothing when the block has put it right."""
    with pytest.raises(NotReadyError, match=re.escape(said)):
        check(settings)
    yield
    assert check(settings)


def test_all_is_well(settings: Settings) -> None:
    for check in (checks.brokers, checks.topics, checks.transactions, checks.staged, checks.index_templates):
        assert check(settings)
    assert "PostgreSQL, Elasticsearch" in checks.clocks(settings)


def test_a_broker_that_is_down(settings: Settings) -> None:
    stack = LocalStack.of(settings.stack)
    stack.supervisor.stop_service("kafka-3")
    try:
        slate.await_that(lambda: said_by(checks.brokers, settings), 60, "the broker is known to be down")
        assert "Kafka's broker 3 is down: start it (`make restart SERVICE=kafka-3`)" in said_by(
            checks.brokers, settings
        )
    finally:
        stack.restart("kafka-3", lambda *_: None)
    slate.await_that(lambda: not said_by(checks.brokers, settings), 120, "all replicas are in sync again")


def said_by(check: Check, settings: Settings) -> str:
    try:
        check(settings)
    except NotReadyError as error:
        return str(error)
    return ""


def test_a_topic_with_another_compression(settings: Settings, admin: KafkaAdminClient) -> None:
    admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, TOPIC, {"compression.type": "zstd"})])
    slate.await_that(lambda: said_by(checks.topics, settings), 30, "the brokers know of it")
    with found(
        checks.topics, settings, f"{TOPIC} has compression.type = zstd, it should be uncompressed: run `make prep"
    ):
        kafka.create_topics(settings)
        slate.await_that(lambda: not said_by(checks.topics, settings), 30, "the brokers know of it")


def test_a_topic_with_too_few_partitions(settings: Settings) -> None:
    wider = settings.topics | {TOPIC: settings.topics[TOPIC].model_copy(update={"partitions": 9})}
    with pytest.raises(NotReadyError, match=rf"topic {TOPIC} has 4 partitions, the settings say 9"):
        checks.topics(settings.model_copy(update={"topics": wider}))


def test_a_transaction_that_was_left_open(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "OPEN_TRANSACTION_SECONDS", 0.5)
    servers = settings.kafka.bootstrap_servers.split(",")
    with contextlib.closing(
        KafkaProducer(bootstrap_servers=servers, transactional_id=f"doctor-{uuid.uuid4()}", acks="all")
    ) as producer:
        producer.init_transactions()
        producer.begin_transaction()
        producer.send(TOPIC, b"half", partition=2)
        producer.flush()
        slate.await_that(lambda: said_by(checks.transactions, settings), 30, "it has been open for long enough")
        with found(checks.transactions, settings, f"A transaction in topic {TOPIC}, partition 2, has been open for"):
            producer.abort_transaction()
            slate.await_that(lambda: not said_by(checks.transactions, settings), 30, "it is over")


def test_an_epoch_that_stays_staged(settings: Settings) -> None:
    def execute(statement: str) -> None:
        with postgres.connect(settings) as connection, connection.cursor() as cursor:
            cursor.execute(statement)

    execute(
        "INSERT INTO staging.epochs (token, ledger, subtask, attempt, chunks, rows, staged_at)"
        " VALUES ('forgotten', 'orders.ledger', 0, gen_random_uuid(), 1, 5, now() - interval '1 hour')"
    )
    with found(checks.staged, settings, "1 epochs of orders.ledger have been staged for up to 3,6"):
        execute("DELETE FROM staging.epochs WHERE token = 'forgotten'")


def test_a_template_that_is_missing_or_changed_and_an_index_older_than_it(settings: Settings) -> None:
    fields = {"complex_id": {"type": "keyword"}}
    old = {**templates()[INDEX], "template": {"mappings": {"dynamic": "strict", "properties": fields}}}
    with elasticsearch.client(settings) as client:
        client.options(ignore_status=404).indices.delete(index=INDEX)
        client.indices.delete_index_template(name=INDEX)
        with found(
            checks.index_templates, settings, f"Elasticsearch has no index template {INDEX}: run `make prepare`"
        ):
            elasticsearch.apply_templates(settings)
        client.indices.put_index_template(name=INDEX, **old)
        with pytest.raises(NotReadyError, match=f"index template {INDEX} is not that of this version"):
            checks.index_templates(settings)
        client.indices.create(index=INDEX)
        elasticsearch.apply_templates(settings)
        with found(checks.index_templates, settings, f"index {INDEX} is older than its template and lacks "):
            client.indices.delete(index=INDEX)


def test_a_clock_that_is_ahead(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one thing that can't be made so on one machine."""
    real = checks._postgres_time
    monkeypatch.setattr(checks, "_postgres_time", lambda settings: (real(settings) or 0) + 60)
    with pytest.raises(NotReadyError, match=r"The clock of PostgreSQL's machine is (59|60)\.\d s ahead of this one's"):
        checks.clocks(settings)
