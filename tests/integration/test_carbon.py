"""The carbon job on real servers: a whole history, then corrections, late weather, moves and bad bodies.

After each, every table and document is held against its recomputation.
"""

from collections.abc import Iterator
from contextlib import closing
from datetime import date

import pytest
from fastapi.testclient import TestClient

from board import app
from board import carbon as carbon_part
from control import jobs
from control.cluster import Cluster
from jobs.carbon import build
from sinks import elasticsearch, kafka, postgres
from sinks.errors import NotReadyError
from tests import carbon, slate
from tests.carbon import History

pytestmark = [
    *(pytest.mark.kafka, pytest.mark.postgres, pytest.mark.elasticsearch, pytest.mark.flink),
    pytest.mark.timeout(1200),
]
SECONDS = 240
FIRST, COUNT = date(2024, 1, 1), 30
MAY = date(2026, 5, 1)
NO_RAIN = {"sumRn": "", "ddMes": "", "avgRhm": ""}


@pytest.fixture(scope="module")
def history(servers: None) -> Iterator[History]:
    """The job, running, with everything that was in its topics before it began; what tests add to it stays."""
    history = carbon.synthetic(complexes=30, first=FIRST, count=COUNT)
    with carbon.running(carbon.settings(), lambda: history.send(carbon.settings())):
        yield history


@pytest.fixture
def agrees(history: History) -> Iterator[None]:
    """What a test has added is sent, every table follows, and nothing has restarted the job."""
    settings = carbon.settings()
    cluster = Cluster(settings.flink.url)
    job = cluster.running(carbon.JOB) or ""
    started = cluster.last_start(job)
    yield
    history.send(settings)
    carbon.settle(settings, SECONDS)
    carbon.await_agreement(settings, history, SECONDS)
    assert cluster.last_start(job) == started


def test_every_table_equals_its_recomputation(history: History) -> None:
    carbon.await_agreement(carbon.settings(), history, SECONDS)


def test_the_comparison_sees_a_gram(history: History) -> None:
    settings = carbon.settings()
    carbon.await_agreement(settings, history, SECONDS)
    change = "UPDATE emission_per_region_day SET kg_co2 = kg_co2 {} 0.001 WHERE region = '27260' AND day = '2025-02-03'"
    with postgres.connect(settings) as connection, connection.cursor() as cursor:
        cursor.execute(change.format("+"))
    assert "emission_per_region_day: 0 missing, 0 too many, 1 wrong" in "".join(carbon.differences(settings, history))
    with postgres.connect(settings) as connection, connection.cursor() as cursor:
        cursor.execute(change.format("-"))


@pytest.mark.usefixtures("agrees")
def test_a_correction_replaces_the_old_value_everywhere(history: History) -> None:
    history.use("A00004", MAY, electricity="123456.7", gas="1000", water="2000")
    history.use("A00005", date(2025, 5, 1), electricity="99999")  # part of a baseline
    history.use("A00006", MAY)  # all that was entered is taken back


@pytest.mark.usefixtures("agrees")
def test_a_correction_of_either_source_replaces_it_everywhere(history: History) -> None:
    """What was metered fills in; what the office enters later wins; where it is taken back, the meter counts again."""
    dong, there = carbon.DONGS[0], list(history.complexes)[0:30:3]
    for month in (MAY, date(2025, 5, 1)):
        rows = [(lot, "123456.789") for complex_id in there for lot in history.lots[complex_id]]
        history.meter(dong, month, "gas", rows, "1")
        history.meter(dong, month, "gas", [], "2")
        history.use(there[1], month, electricity="999")
        history.use(there[2], month, electricity="999", gas="88")
    history.use(there[2], MAY)
    history.meter("2772025021", date(2023, 5, 1), "gas", [(history.lots["A00001"][0], "77777")], told_as="4772025021")


@pytest.mark.usefixtures("agrees")
def test_lots_change_hands(history: History) -> None:
    taken = history.lots["A00003"]
    history.stand("A00006", carbon.DONGS[0], taken)  # both name it now, and neither has it
    history.stand("A00009", carbon.DONGS[1], [(False, 12, 0)])
    history.stand("A00003", carbon.DONGS[0], [(True, 999, 9)])


@pytest.mark.usefixtures("agrees")
def test_what_was_fetched_earlier_replaces_nothing(history: History) -> None:
    history.raw("energy.usage", "A00007|2026-01", carbon.body("A00007", date(2026, 1, 1), electricity="1"))
    topic, key, value, _ = history.records.pop()
    history.records.append((topic, key, value, 1_790_000_000_000))


@pytest.mark.usefixtures("agrees")
def test_the_same_again_changes_nothing(history: History) -> None:
    for (complex_id, month), used in list(history.usage.items())[::50]:
        history.use(complex_id, month, **used)
    for station, day in list(history.weather)[::100]:
        history.measure(day, station)


@pytest.mark.usefixtures("agrees")
def test_weather_that_comes_late_or_is_corrected_spreads_the_month_again(history: History) -> None:
    for day in (1, 2, 3):
        history.measure(date(2026, 7, day), avgTa="31.5", minTa="25", maxTa="36", **NO_RAIN)
    history.use("A00003", date(2026, 7, 1), electricity="77777")
    history.measure(date(2026, 1, 15), avgTa="-11.4")
    history.measure(date(2026, 1, 16), avgTa="")


@pytest.mark.usefixtures("agrees")
def test_usage_waits_for_its_complex(history: History) -> None:
    settings = carbon.settings()
    for month in carbon.months(FIRST, COUNT):
        history.use("B00001", month, electricity="5000", gas="700.7", water="80")
    history.send(settings)
    carbon.await_agreement(settings, history, SECONDS)
    history.describe(
        "B00001",
        **{"name": "later", "region": "27260", "address": "x", "lat": 35.8, "lon": 128.6, "households": 300},
        heating="central",
    )


@pytest.mark.usefixtures("agrees")
def test_a_complex_moves_and_grows(history: History) -> None:
    history.describe("A00010", region="27720")
    history.describe("A00011", households=2000, name="단지 열하나", lat=None, lon=None)
    history.describe("A00012", region="27999")  # a region that no other complex is in
    history.describe("A00012", region="27110")


BAD = {
    "a tombstone": (None, "null-value"),
    "truncated": (carbon.body("A00001", MAY, electricity="5")[:-40], "not-xml"),
    "an entity bomb": (
        b'<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;">]><response>&b;</response>',
        "forbidden-xml",
    ),
    "an HTML page": (b"<!DOCTYPE html><html><body><h1>502 Bad Gateway</h1></body></html>", "html-page"),
    "an error in the gateway's envelope": (
        b"<OpenAPI_ServiceResponse><cmmMsgHeader><errMsg>SERVICE ERROR</errMsg><returnAuthMsg>"
        b"SERVICE_KEY_IS_NOT_REGISTERED_ERROR</returnAuthMsg><returnReasonCode>30</returnReasonCode></cmmMsgHeader>"
        b"</OpenAPI_ServiceResponse>",
        "api-error",
    ),
    "a plain word": (b"Unauthorized", "not-xml"),
    "a negative quantity": (carbon.body("A00001", MAY, electricity="-5"), "out-of-range"),
    "another complex's body": (carbon.body("A00002", MAY, electricity="5"), "key-mismatch"),
    "not UTF-8": (b"\xff\xfe\x00", "not-xml"),
    "half a megabyte": (b"<response>" * 50_000, "not-xml"),
}


@pytest.mark.usefixtures("agrees")
def test_every_bad_record_is_one_dead_letter_with_its_bytes(history: History) -> None:
    settings = carbon.settings()
    for value, _ in BAD.values():
        history.raw("energy.usage", "A00001|2026-05", value)
    history.raw("complexes", None, b'{"complex_id": "A00001", "name": "\\ud800"}')  # and no key
    history.raw("energy.buildings", "2726010100|2026-05|gas|1", b"Unauthorized")
    history.raw("weather.daily", "143|2026-05-01", b'{"stnId": "143", "tm": "2026-05-01", "avgTa": 17}')
    history.send(settings)
    slate.await_that(
        lambda: len(carbon.dead_letters(settings, "energy.usage")) >= len(BAD), SECONDS, "the dead letters are there"
    )
    letters = carbon.dead_letters(settings, "energy.usage")
    assert sorted((str(slate.raw(letter)), letter["reason"]) for letter in letters) == sorted(
        (str(value), reason) for value, reason in BAD.values()
    )
    assert all(letter["topic"] == "energy.usage" and letter["detail"] is not None for letter in letters)
    others = {"complexes": "invalid-utf8", "energy.buildings": "not-xml", "weather.daily": "wrong-type"}
    for topic, reason in others.items():
        slate.await_that(lambda topic=topic: carbon.dead_letters(settings, topic), SECONDS, "its dead letter is there")
        assert [letter["reason"] for letter in carbon.dead_letters(settings, topic)] == [reason]
    cluster = Cluster(settings.flink.url)
    job = cluster.running(carbon.JOB) or ""
    slate.await_that(
        lambda: cluster.metric(job, "dead_lettered") == len(BAD) + 3, SECONDS, "dead letters are counted by reason"
    )
    assert cluster.metric(job, "citystream.reason.html-page.dead_lettered") == 1


def test_the_service_tells_what_the_tables_hold(history: History) -> None:
    settings = carbon.settings()
    carbon.await_agreement(settings, history, SECONDS)
    known = carbon_part.Places(lambda: settings)
    known.refresh()
    service = TestClient(app.create(app.Part("Places", "", carbon_part.routes(known))))
    assert [each["complex_id"] for each in service.get("/complexes?q=ㄷㅈ 7").json()["complexes"]] == ["A00007"]
    want = carbon.expected(history)
    for table, path, key, part in (
        ("emission_per_complex_month", "/complexes/A00007", {"complex_id": "A00007"}, "emission"),
        ("energy_usage", "/complexes/A00007", {"complex_id": "A00007"}, "energy"),
        ("carbon_points", "/complexes/A00007", {"complex_id": "A00007"}, "points"),
        ("emission_per_region_month", "/regions/27260", {"region": "27260"}, "emission"),
    ):
        told = service.get(path).json()[part]
        rows = want[table].filter(**key).sort("month" if part != "points" else "half_year").to_dicts()
        assert len(told) == len(rows) > 0, table
        for one, row in zip(told, rows, strict=True):
            if part == "emission":
                grams = (row["kg_co2"], row["gap_kg"])
                assert (one["kg_co2"], one["gap_kg"]) == tuple(None if g is None else g / 1000 for g in grams)
            elif part == "energy":
                assert (one["gas_source"], one["electricity_source"]) == (row["gas_source"], row["electricity_source"])
            else:
                assert (one["points"], one["half_year"]) == (row["points"], row["half_year"])
    likely = want["carbon_points_expected"].join(want["carbon_points"], on=["complex_id", "half_year"], how="anti")
    running = likely["complex_id"][0]
    told = service.get(f"/complexes/{running}").json()
    rows = likely.filter(complex_id=running).sort("half_year").to_dicts()
    assert [(each["half_year"], each["points"]) for each in told["expected_points"]] == [
        (row["half_year"], row["points"]) for row in rows
    ]
    # A connection that broke is opened again.
    with postgres.connect(settings) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", (known._connection.info.backend_pid,))
    assert service.get(f"/complexes/{running}").json() == told


def test_a_savepoint_holds_all_that_is_known(history: History) -> None:
    settings = carbon.settings()
    jobs.stop(settings, carbon.JOB)
    jobs.resume(settings, carbon.JOB, parallelism=3)
    history.use("A00008", MAY, electricity="4444")
    history.measure(date(2026, 5, 2), avgTa="29.9")
    history.describe("A00009", region="27110")
    history.send(settings)
    carbon.await_agreement(settings, history, SECONDS)


def test_a_start_without_state_comes_to_the_same(history: History) -> None:
    settings = carbon.settings()
    jobs.stop(settings, carbon.JOB)
    jobs.submit(settings, carbon.JOB, fresh=True)
    history.use("A00009", MAY, electricity="3333")
    history.send(settings)
    carbon.await_agreement(settings, history, SECONDS)


# ----- what it refuses to start without


def refusal() -> str:
    with pytest.raises(NotReadyError) as caught:
        build(carbon.settings())
    return str(caught.value)


def test_a_missing_table_topic_or_template_is_named() -> None:
    settings = carbon.settings()
    with postgres.connect(settings) as connection, connection.cursor() as cursor:
        cursor.execute("ALTER TABLE carbon_points RENAME TO elsewhere")
    try:
        assert "no table carbon_points: run `make prepare`" in refusal()
    finally:
        with postgres.connect(settings) as connection, connection.cursor() as cursor:
            cursor.execute("ALTER TABLE elsewhere RENAME TO carbon_points")
    with elasticsearch.client(settings) as client:
        client.indices.delete_index_template(name="carbon")
    try:
        assert "no index template carbon: run `make prepare`" in refusal()
    finally:
        elasticsearch.apply_templates(settings)


def test_a_missing_topic_is_named() -> None:
    settings = carbon.settings()
    with closing(kafka.admin(settings)) as admin:
        admin.delete_topics(["weather.daily.dead-letters"])
        slate.await_that(lambda: "weather.daily.dead-letters" not in admin.list_topics(), 60, "the topic is gone")
    try:
        assert "no topic weather.daily.dead-letters: run `make prepare`" in refusal()
    finally:
        assert kafka.create_topics(settings) == ["weather.daily.dead-letters"]
