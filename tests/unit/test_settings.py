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
        ("CITYSTREAM__DELIVERIES__UNHEARD_OF", "1", "CITYSTREAM__DELIVERIES__UNHEARD_OF"),
        ("CITYSTREAM__TIME_ZONE", "Asia/Atlantis", "time_zone"),
        ("POSTGRES_URL", "mysql://somewhere", "postgres.url"),
        ("ELASTICSEARCH_URL", "localhost:9200", "elasticsearch.url"),
    ],
)
def test_an_error_names_the_key(monkeypatch: pytest.MonkeyPatch, name: str, value: str, key: str) -> None:
    monkeypatch.setenv(name, value)
    assert key in refused()


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("CITYSTREAM__FORCAST__DAYS", "CITYSTREAM__FORECAST__DAYS"),
        ("CITYSTREAM_FORECAST__DAYS", "CITYSTREAM__FORECAST__DAYS"),
        ("CITYSTREAM__SIMULATOR__TROUBLE__EROORS", "CITYSTREAM__SIMULATOR__TROUBLE__ERRORS"),
        ("CITYSTREAM__TOPIC__DELIVERIES__PARTITIONS", "CITYSTREAM__TOPICS__*__PARTITIONS"),
        ("CITYSTREAM_STACK_DIRECTORY", "CITYSTREAM__STACK__DIRECTORY"),
    ],
)
def test_a_misspelt_variable_is_refused_with_the_nearest_right_one(
    monkeypatch: pytest.MonkeyPatch, name: str, meant: str
) -> None:
    monkeypatch.setenv(name, "1")
    assert f"{name}, which is no setting: did you mean {meant}?" in refused()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CITYSTREAM__TOPICS__DELIVERIES__PARTITIONS", "8"),
        ("CITYSTREAM__CARBON__STATIONS", '{"27720": "278"}'),
        ("CITYSTREAM__POLLERS__WATCH__WEATHER_DAYS", "4"),
        ("CITYSTREAM_CHAOS", "long"),
        ("CITYSTREAM_STACK", "0123456789ab"),
        ("citystream__forecast__days", "5"),
    ],
)
def test_a_right_variable_is_taken(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    settings.load()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("CITYSTREAM__CARBON__STATIONS", '{"27730": "278"}', "there is no region 27730: did you mean 27"),
        ("CITYSTREAM__POLLERS__STATIONS", '{"2771": "143"}', "there is no region 2771: did you mean 27710?"),
        ("CITYSTREAM__STACK__PORT_OFFSET", "60000", "port_offset 60000 moves ports.kafka from 19092 to 79092"),
        ("CITYSTREAM__STACK__PORT_OFFSET", "-19000", "ports are 1024 to 65535"),
    ],
)
def test_what_does_not_exist_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str) -> None:
    monkeypatch.setenv(name, value)
    assert said in refused()


def test_the_regions_of_another_city_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CITYSTREAM__POLLERS__STATIONS", '{"11110": "108"}')
    assert settings.load().pollers.stations["11110"] == "108"


class TestAddresses:
    """Those of the chosen stack, whichever other one runs on this machine."""

    def test_move_with_the_stacks_ports(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CITYSTREAM__STACK__PORT_OFFSET", "2000")
        monkeypatch.setenv("CITYSTREAM__STACK__PORTS__FLINK", "18082")
        loaded = settings.load()
        assert loaded.kafka.bootstrap_servers == "127.0.0.1:21092,127.0.0.1:21192,127.0.0.1:21292"
        assert loaded.postgres.shown == "postgresql://citystream@127.0.0.1:17432/citystream"
        assert loaded.elasticsearch.url == "http://127.0.0.1:21200"
        assert loaded.flink.url == "http://127.0.0.1:20082"
        assert loaded.board.url == "http://127.0.0.1:20000"
        assert loaded.simulator.url == "http://127.0.0.1:20100"

    def test_a_setting_in_the_environment_goes_before_the_env_file(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(settings, "read_env_file", lambda path: {"FLINK_URL": "http://file:1"})
        monkeypatch.setenv("CITYSTREAM__FLINK__URL", "http://environment:2")
        assert settings.load().flink.url == "http://environment:2"

    def test_of_a_stack_that_is_down_are_not_used(self) -> None:
        with pytest.raises(settings.SettingsError) as caught:
            settings.serving("kafka", "postgres")
        assert "is down: `make up` starts it" in str(caught.value)
        assert str(caught.value).endswith("set KAFKA_BOOTSTRAP_SERVERS, POSTGRES_URL.")

    def test_named_in_the_environment_need_no_stack(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "elsewhere:9092")
        assert settings.serving("kafka").kafka.bootstrap_servers == "elsewhere:9092"
        assert capsys.readouterr().err == "Acting on the servers in KAFKA_BOOTSTRAP_SERVERS.\n"
        with pytest.raises(settings.SettingsError, match=r"set POSTGRES_URL\."):
            settings.serving("kafka", "postgres")

    def test_of_a_stack_that_is_up_are_said_to_be(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("CITYSTREAM__STACK__DIRECTORY", ".stack-b")
        monkeypatch.setattr(settings, "read_env_file", lambda path: {"FLINK_URL": f"http://{path.parent.name}:1"})
        assert settings.serving("flink").flink.url == "http://.stack-b:1"
        assert capsys.readouterr().err == "Acting on the stack in .stack-b.\n"


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
