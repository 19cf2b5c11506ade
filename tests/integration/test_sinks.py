"""What the sinks' Python half does at real servers: addresses, migrations behind a lock, and blocked indices."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from conf.settings import Settings
from sinks import elasticsearch, postgres
from sinks.errors import NotReadyError
from tests.deliveries import settings as load


@pytest.fixture
def settings() -> Settings:
    return load()


@pytest.mark.postgres
def test_of_several_hosts_the_one_that_is_there_is_taken(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    url = settings.postgres.url.get_secret_value()
    host = url.rpartition("@")[2].partition("/")[0]
    monkeypatch.setenv("POSTGRES_URL", url.replace(host, f"localhost:1,{host}") + "?target_session_attrs=read-write")
    several = load()
    assert several.postgres.jdbc_url.partition("//")[2].startswith("localhost:1,")
    postgres.check(several, "delivery_information", ["order_id"])


@pytest.mark.postgres
def test_a_migration_gives_way_to_whoever_holds_a_table(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "MIGRATIONS", tmp_path)
    monkeypatch.setattr(postgres, "MIGRATION_PATIENCE", "200ms")
    (tmp_path / "9999_held.sql").write_text("ALTER TABLE staging.epochs ADD COLUMN held int;")
    with postgres.connect(settings) as dump, dump.cursor() as cursor:
        cursor.execute("LOCK TABLE staging.epochs IN ACCESS SHARE MODE")
        with pytest.raises(NotReadyError, match="another session holds a table"):
            postgres.migrate(settings)
    with postgres.connect(settings) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM schema_migrations WHERE name = '9999_held'")
        assert cursor.fetchone() == (0,)


@pytest.fixture
def blocked(settings: Settings) -> Iterator[None]:
    """The index of districts, read-only as at a full disk."""
    elasticsearch.apply_templates(settings)
    elasticsearch.load_districts(settings)
    block = "index.blocks.read_only_allow_delete"
    with elasticsearch.client(settings) as client:
        client.indices.put_settings(index="districts", settings={block: True})
        yield
        client.indices.put_settings(index="districts", settings={block: None})


@pytest.mark.elasticsearch
@pytest.mark.usefixtures("blocked")
def test_a_block_is_not_taken_for_a_missing_right_or_a_wrong_index(settings: Settings) -> None:
    with pytest.raises(NotReadyError, match=r"takes nothing for now .*free the disk space") as refused:
        elasticsearch.load_districts(settings)
    assert "API key" not in str(refused.value)
    assert "delete the index" not in str(refused.value)
