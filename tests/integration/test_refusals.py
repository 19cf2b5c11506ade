"""A job that could not do its work refuses to start, and says what to change."""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from kafka.admin import ConfigResource, ConfigResourceType

from jobs.deliveries import build
from sinks import elasticsearch, kafka, postgres
from sinks.errors import NotReadyError
from tests import deliveries, slate

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.elasticsearch]


@contextmanager
def environment(**changes: str) -> Iterator[None]:
    """These variables set, and the settings read anew."""
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        deliveries.settings()


def refusal() -> str:
    with pytest.raises(NotReadyError) as caught:
        build(deliveries.settings())
    return str(caught.value)


def test_all_is_well() -> None:
    build(deliveries.settings())


def test_wrong_password() -> None:
    url = deliveries.settings().postgres.url.get_secret_value()
    secret = deliveries.settings().postgres.password
    with environment(POSTGRES_URL=url.replace(secret, "wr0ngsecret")):
        said = refusal()
    assert "password authentication failed" in said
    assert "POSTGRES_URL" in said
    assert secret not in said
    assert "wr0ngsecret" not in said


def test_wrong_api_key() -> None:
    with environment(ELASTICSEARCH_API_KEY="d3Jvbmc6a2V5"):
        assert "ELASTICSEARCH_API_KEY" in refusal()


@pytest.mark.parametrize(
    ("name", "value", "remedy"),
    [
        ("KAFKA_BOOTSTRAP_SERVERS", "localhost:1", "KAFKA_BOOTSTRAP_SERVERS"),
        ("POSTGRES_URL", "postgresql://nobody@localhost:1/none", "POSTGRES_URL"),
        ("ELASTICSEARCH_URL", "http://localhost:1", "ELASTICSEARCH_URL"),
    ],
)
def test_a_server_that_is_away(name: str, value: str, remedy: str) -> None:
    with environment(**{name: value}):
        assert remedy in refusal()


@pytest.mark.parametrize(
    ("change", "undo", "said"),
    [
        (
            "ALTER TABLE pay_per_category RENAME TO elsewhere",
            "ALTER TABLE elsewhere RENAME TO pay_per_category",
            "no table",
        ),
        (
            "ALTER TABLE delivery_information RENAME COLUMN menu TO dish",
            "ALTER TABLE delivery_information RENAME COLUMN dish TO menu",
            "no column menu",
        ),
    ],
)
def test_a_missing_table_or_column(change: str, undo: str, said: str) -> None:
    settings = deliveries.settings()
    with postgres.connect(settings) as connection, connection.cursor() as cursor:
        cursor.execute(change)
    try:
        message = refusal()
    finally:
        with postgres.connect(settings) as connection, connection.cursor() as cursor:
            cursor.execute(undo)
    assert said in message
    assert "make prepare" in message


def test_a_missing_topic() -> None:
    settings = deliveries.settings()
    with closing(kafka.admin(settings)) as admin:
        admin.delete_topics(["deliveries.dead-letters"])
        slate.await_that(lambda: "deliveries.dead-letters" not in admin.list_topics(), 30, "the topic is gone")
    try:
        assert "no topic deliveries.dead-letters: run `make prepare`" in refusal()
    finally:
        assert kafka.create_topics(settings) == ["deliveries.dead-letters"]


@pytest.mark.parametrize(
    ("topic", "config"),
    [("deliveries", {"compression.type": "producer"}), ("deliveries.dead-letters", {"max.message.bytes": "1048588"})],
)
def test_a_topic_that_takes_other_records(topic: str, config: dict[str, str]) -> None:
    settings = deliveries.settings()
    with closing(kafka.admin(settings)) as admin:
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, config)])
    try:
        (key,) = config
        assert f"topic {topic} has {key} = {config[key]}" in (message := refusal())
        assert "run `make prepare`" in message
    finally:
        assert kafka.create_topics(settings) == []
    kafka.check(settings, "deliveries")


def test_a_missing_template() -> None:
    settings = deliveries.settings()
    with elasticsearch.client(settings) as client:
        client.indices.delete_index_template(name="charge_per_day")
    try:
        assert "no index template charge_per_day: run `make prepare`" in refusal()
    finally:
        assert "charge_per_day" in elasticsearch.apply_templates(settings)


def test_prepare_can_be_run_again() -> None:
    settings = deliveries.settings()
    assert kafka.create_topics(settings) == []
    assert postgres.migrate(settings) == []
