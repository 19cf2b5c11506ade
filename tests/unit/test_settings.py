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


@pytest.mark.parametrize(
    ("url", "jdbc"),
    [
        ("postgresql://u:p@h/d", "jdbc:postgresql://h:5432/d"),
        (
            "postgresql://u:p@h1:5433,h2/d?target_session_attrs=read-write",
            "jdbc:postgresql://h1:5433,h2:5432/d?targetServerType=primary",
        ),
        (
            "postgres://u:p@h1,h2,h3/d?load_balance_hosts=random&target_session_attrs=prefer-standby",
            "jdbc:postgresql://h1:5432,h2:5432,h3:5432/d?loadBalanceHosts=true&targetServerType=preferSecondary",
        ),
        ("postgresql://u:p@[::1]:5433,[2001:db8::1]/d", "jdbc:postgresql://[::1]:5433,[2001:db8::1]:5432/d"),
        ("postgresql:///d?host=h1,h2&port=5433&user=u", "jdbc:postgresql://h1:5433,h2:5433/d"),
        (
            "postgresql://u:p@h/d?options=-c%20geqo%3Doff&application_name=x&sslmode=verify-full&sslrootcert=/a%20b",
            "jdbc:postgresql://h:5432/d?options=-c%20geqo%3Doff&sslmode=verify-full&sslrootcert=%2Fa%20b",
        ),
        ("postgresql://u:p@h/%EB%8F%84%EC%8B%9C%2F1+1", "jdbc:postgresql://h:5432/%EB%8F%84%EC%8B%9C%2F1%2B1"),
    ],
)
def test_a_postgres_url_is_said_in_the_jvms_words(monkeypatch: pytest.MonkeyPatch, url: str, jdbc: str) -> None:
    monkeypatch.setenv("POSTGRES_URL", url)
    postgres = settings.load().postgres
    assert postgres.jdbc_url == jdbc
    assert postgres.shown.startswith("postgresql://u@h") or "[::1]" in postgres.shown


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://u:hunter2@h", "expected postgresql://USER:PASSWORD@HOST:PORT/DATABASE"),
        ("postgresql://h/d", "expected postgresql://"),
        ("postgresql://u:hunter2@/d", "expected postgresql://"),
        ("postgresql://u:hunter2@h1,/d", "expected postgresql://"),
        ("postgresql://u:hunter2@h:port/d", "a port is a number"),
        ("postgresql://u:hunter2@h:99999/d", "a port is a number"),
        ("postgresql://u:hunter2@h1,h2,h3/d?port=1,2", "each host has its own"),
        ("postgresql://u:hunter2@%2Fvar%2Frun/d", "does not connect by a socket"),
        ("postgresql://u:hunter2@hunter2@h/d", "an @ in the password is written %40"),
        ("postgresql://u:hunter2%zz@h/d", "percent-encoded"),
        ("postgresql://u:p@h/d?targetServerType=primary", "targetServerType: not a parameter that both"),
        ("postgresql://u:p@h/d?passfile=/x&sslcrl=/y", "passfile, sslcrl: not a parameter that both"),
        ("postgresql://u:p@h/d?target_session_attrs=rw", "target_session_attrs is one of any, read-write"),
    ],
)
def test_a_postgres_url_that_not_both_understand_is_refused(
    monkeypatch: pytest.MonkeyPatch, url: str, said: str
) -> None:
    monkeypatch.setenv("POSTGRES_URL", url)
    sentence = refused()
    assert said in sentence
    assert "hunter2" not in sentence


def test_a_postgres_url_is_taken_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTGRES_URL", "postgresql://user:p%40ss@host:5433/city?sslmode=require")
    postgres = settings.load().postgres
    assert (postgres.user, postgres.password) == ("user", "p@ss")
    assert postgres.jdbc_url == "jdbc:postgresql://host:5433/city?sslmode=require"
    assert "p@ss" not in postgres.shown
    assert "p%40ss" not in postgres.shown
    assert "p%40ss" not in repr(postgres)
