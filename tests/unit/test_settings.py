import pytest

from conf import settings


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "read_env_file", lambda path: {})


def refused() -> str:
    with pytest.raises(settings.SettingsError) as caught:
        settings.load()
    return str(caught.value)


def test_the_file_as_it_is_shipped_is_valid() -> None:
    assert settings.load().time_zone == "Asia/Seoul"


@pytest.mark.parametrize(
    ("name", "value", "key"),
    [
        ("CITYSTREAM__DELIVERIES__GENERATOR__RATE", "-1", "deliveries.generator.rate"),
        ("CITYSTREAM__FLINK__STATE_BACKEND", "floppy", "flink.state_backend"),
        ("CITYSTREAM__DELIVERIES__LEDGER", "xa", "deliveries.ledger"),
        ("CITYSTREAM__DELIVERIES__UNHEARD_OF", "1", "deliveries.unheard_of"),
        ("CITYSTREAM__TIME_ZONE", "Asia/Atlantis", "time_zone"),
        ("POSTGRES_URL", "mysql://somewhere", "postgres.url"),
        ("ELASTICSEARCH_URL", "localhost:9200", "elasticsearch.url"),
    ],
)
def test_an_error_names_the_key(monkeypatch: pytest.MonkeyPatch, name: str, value: str, key: str) -> None:
    monkeypatch.setenv(name, value)
    assert key in refused()


def test_an_error_never_shows_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTGRES_URL", "postgres-typo://u:hunter2@h/d")
    assert "hunter2" not in refused()


def test_the_environment_goes_before_the_env_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        settings, "read_env_file", lambda path: {"FLINK_URL": "http://file:1", "ELASTICSEARCH_API_KEY": "k"}
    )
    monkeypatch.setenv("FLINK_URL", "http://environment:2")
    loaded = settings.load()
    assert loaded.flink.url == "http://environment:2"
    assert loaded.elasticsearch.api_key is not None
    assert "k" not in str(loaded.elasticsearch.api_key)


def test_a_postgres_url_is_taken_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTGRES_URL", "postgresql://user:p%40ss@host:5433/city?sslmode=require")
    postgres = settings.load().postgres
    assert (postgres.user, postgres.password) == ("user", "p@ss")
    assert postgres.jdbc_url == "jdbc:postgresql://host:5433/city?sslmode=require"
    assert "p@ss" not in postgres.shown
    assert "p%40ss" not in postgres.shown
    assert "p%40ss" not in repr(postgres)
