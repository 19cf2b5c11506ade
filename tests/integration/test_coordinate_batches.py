"""Upload and export against real brokers and a real PostgreSQL; the job's part is played by rows put into its table."""

import csv
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from fastapi.testclient import TestClient
from kafka import KafkaConsumer, TopicPartition

from board import app, coordinates
from conf import settings
from generators.coordinates.__main__ import main
from generators.coordinates.results import COLUMNS
from geo.regions import regions
from geo.systems import system
from sinks import postgres

pytestmark = [pytest.mark.kafka, pytest.mark.postgres]
TOPIC = "coordinates.requests"
HEADER = ["번호", "구", "주소", "좌표정보(X)", "좌표정보(Y)", "금액"]
ROWS = 3000


def sent(batch_id: str) -> dict[str, list[dict[str, Any]]]:
    """The records of a batch, by key, in the order of their partition."""
    consumer = KafkaConsumer(
        bootstrap_servers=settings.load().kafka.bootstrap_servers.split(","), enable_auto_commit=False
    )
    try:
        partitions = [TopicPartition(TOPIC, number) for number in consumer.partitions_for_topic(TOPIC)]
        consumer.assign(partitions)
        consumer.seek_to_beginning()
        ends, found = consumer.end_offsets(partitions), defaultdict(list)
        while any(consumer.position(partition) < end for partition, end in ends.items()):
            for records in consumer.poll(1000).values():
                for each in records:
                    said = json.loads(each.value)
                    if said["batch_id"] == batch_id:
                        found[each.key.decode()].append(said)
        return found
    finally:
        consumer.close()


def play_the_job(batch_id: str, requests: list[dict[str, Any]]) -> None:
    with postgres.connect(settings.load()) as connection, connection.cursor() as cursor:
        for said in requests:
            lon, lat = (None, None) if "fault" in said else (128.6, 35.87)
            cursor.execute(
                "INSERT INTO coordinate_results VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, 1)",
                (
                    batch_id, said["sheet"], said["row_number"], lon, lat, lon and "공평로 88", lon and "27110",
                    lon and "2711010100", "failed" if lon is None else "done", said.get("fault"),
                    json.dumps(said["payload"]),
                ),
            )  # fmt: skip


def points_file(path: Path) -> list[list[str]]:
    draw = range(ROWS)
    lon, lat = [128.55 + number % 61 / 1000 for number in draw], [35.83 + number % 53 / 1000 for number in draw]
    x, y = system("EPSG:5174").from_wgs84(lon, lat)
    found = regions().at(lon, lat)
    rows = [
        [f"{n:05}", region.sigungu, region.name, f"{x[n]:.4f}", f"{y[n]:.4f}", f"{n}.50"]
        for n, region in enumerate(found)
        if region
    ]
    rows[5][3] = "없음"
    with path.open("w", encoding="cp949", newline="") as file:
        csv.writer(file).writerows([HEADER, *rows])
    return rows


def test_a_file_becomes_a_batch_and_the_same_file_resumes_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = points_file(tmp_path / "points.csv")
    upload = ["upload", str(tmp_path / "points.csv"), "--crs", "5174", "--sheet-by", "구"]
    assert main(upload) == 0
    told = capsys.readouterr()
    batch_id = told.out.split()[-1]
    assert f"{len(rows):,} rows in" in told.err
    assert "1 rows: x is not a number" in told.err
    found = sent(batch_id)
    assert set(found) == {f"{batch_id}|{row[1]}" for row in rows}
    for key, requests in found.items():
        numbers = [said["row_number"] for said in requests]
        assert numbers == [number for number, row in enumerate(rows, start=1) if f"{batch_id}|{row[1]}" == key]
    in_order = sorted((said for requests in found.values() for said in requests), key=lambda said: said["row_number"])
    assert [said["payload"][:3] for said in in_order] == [row[:3] for row in rows]
    assert {said["source_crs"] for said in in_order} == {"EPSG:5174"}
    assert in_order[5]["fault"] == "x is not a number: '없음'"
    assert (in_order[5]["x"], in_order[6]["x"]) == ("없음", float(rows[6][3]))

    play_the_job(batch_id, in_order[:2000])
    out = tmp_path / "out.xlsx"
    assert main(["export", batch_id, str(out), "--wait", "0.1"]) == 0
    assert "not complete yet, export it again later: 1,999 done, 1 failed" in capsys.readouterr().err
    assert "NOT COMPLETE" in str(openpyxl.load_workbook(out)["Summary"]["B2"].value)

    assert main(upload) == 0
    told = capsys.readouterr()
    assert told.out.split()[-1] == batch_id
    assert f"2,000 rows came through, {len(rows) - 2000:,} are sent" in told.err
    again = [said for requests in sent(batch_id).values() for said in requests]
    assert len(again) == 2 * len(rows) - 2000

    play_the_job(batch_id, in_order[2000:])
    assert main(["export", batch_id, str(out)]) == 0
    assert f"{out}: {len(rows) - 1:,} done, 1 failed" in capsys.readouterr().err
    book = openpyxl.load_workbook(out)
    assert book.sheetnames == ["Summary", *dict.fromkeys(row[1] for row in rows)]
    back = []
    for sheet in book.worksheets[1:]:
        head, *lines = sheet.iter_rows()
        assert [cell.value for cell in head] == [*HEADER, *COLUMNS]
        back += lines
    back.sort(key=lambda line: str(line[0].value))
    assert [[line[0].value, line[1].value, f"{line[5].value:.2f}", line[11].value] for line in back] == [
        [row[0], row[1], row[5], "failed" if place == 5 else "done"] for place, row in enumerate(rows)
    ]
    assert {line[5].number_format for line in back} == {"0.00"}
    assert back[5][12].value == "x is not a number: '없음'"


def test_nothing_is_sent_of_a_file_that_is_doubted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    points_file(tmp_path / "points.csv")
    for options, sentence in (
        (["--crs", "EPSG:2097"], "they look like EPSG:5174"),
        (["--crs", "auto"], "likely ones are:\n  EPSG:5174"),
        (["--crs", "EPSG:5174", "--x", "좌표정보(Y)", "--y", "좌표정보(X)"], "x and y look swapped"),
        (["--crs", "EPSG:5174", "--sheet-by", "동"], "there is no column '동'"),
    ):
        assert main(["upload", str(tmp_path / "points.csv"), *options]) == 1
        told = capsys.readouterr()
        assert told.out == ""
        assert sentence in told.err
    with postgres.connect(settings.load()) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM coordinate_uploads WHERE source_crs <> 'EPSG:5174'")
        assert cursor.fetchone() == (0,)
    assert main(["export", "unknown", str(tmp_path / "a.xlsx")]) == 1
    assert "There is no batch 'unknown'" in capsys.readouterr().err


def test_over_http(tmp_path: Path) -> None:
    rows = points_file(tmp_path / "points.csv")
    client = TestClient(app.create(coordinates.part(settings.load)))
    content = (tmp_path / "points.csv").read_bytes()
    asked = {"crs": "EPSG:5174", "sheet_by": "구", "name": "../점.csv"}
    answer = client.post("/coordinates", params=asked | {"x": "좌표정보(X)"}, content=content)
    assert answer.status_code == 202, answer.text
    said = answer.json()
    batch_id = said["batch_id"]
    assert (said["rows"], said["bad"]) == (len(rows), 1)
    assert said["examples"] == ["row 6: x is not a number: '없음'"]
    assert client.post("/coordinates", params=asked, content=content).json()["batch_id"] == batch_id
    assert client.get("/coordinates/unknown").status_code == 404
    assert client.get("/coordinates/unknown.xlsx").status_code == 404
    for ending, begins in ((".xlsx", b"PK"), (".csv", b"\xef\xbb\xbf"), (".geojson", b"{"), (".parquet", b"PAR1")):
        result = client.get(f"/coordinates/{batch_id}{ending}")
        assert result.status_code == 200
        assert result.content.startswith(begins)
        assert f'filename="{batch_id}{ending}"' in result.headers["content-disposition"]
    far = client.get(f"/coordinates/{batch_id}").json()
    assert far["rows"] == len(rows) == far["done"] + far["failed"] + far["unseen"]
