"""A batch as a file equals its results, whatever stands in its cells; what begins like a formula stays text."""

import csv
import json
import shutil
import subprocess
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from pathlib import Path

import openpyxl
import pyarrow.parquet
import pytest
from defusedxml import ElementTree as ET
from hypothesis import given
from hypothesis import strategies as st
from openpyxl.utils.escape import unescape

from generators.coordinates.cells import Cell, Formatted
from generators.coordinates.exporting import ENDINGS, export, sheet_names
from generators.coordinates.reading import FileError
from generators.coordinates.results import COLUMNS, Batch, Result

NASTY: list[Cell] = [
    "=1+1", "+1", "-1+2", "@x", "\ttab", "0012", "https://example.org", "a" * 400, "zeile\nzwei", '"', "'", "{=A1}",
    "1234567890123456789", "_x0041_", "\x01", "대구광역시 중구", " padded ", "😀",
]  # fmt: skip
HEADER = ["=name", "price", "on", "lon"]
DAY = datetime(2024, 5, 1)  # noqa: DTZ001


def results() -> list[Result]:
    made = []
    for number, nasty in enumerate(NASTY, start=1):
        cells: list[Cell] = [nasty, Formatted(1.5, "0.00"), Formatted(DAY, "yyyy-mm-dd"), 128]
        found = (128.6017631234567, 35.87139, "대구광역시 중구 공평로 88", "27110", "2711010100")
        made.append(Result(number, cells, *found, "done", None))
    made.append(Result(99, ["abc", None], None, None, None, None, None, "failed", "x is not a number: 'abc'"))
    made.append(Result(100, ["w", True, Formatted(timedelta(hours=30), "[h]:mm")], 128.1, 35.1, None, None, None,
                       "waiting", None))  # fmt: skip
    return made


def batch(*, counts: dict[str, int] | None = None) -> Batch:
    rows = {"중구": results(), "a/b": results()[:1], "A:B": []}

    def of(key: str) -> Iterator[Result]:
        yield from rows[key]

    return Batch(
        "b1",
        [("file", "=a.csv")],
        HEADER,
        [(key, len(found)) for key, found in rows.items()],
        of,
        counts or {"done": len(NASTY) + 1, "failed": 1},
    )


def test_the_workbook_equals_the_results(tmp_path: Path) -> None:
    export(batch(), tmp_path / "a.xlsx")
    book = openpyxl.load_workbook(tmp_path / "a.xlsx")
    assert book.sheetnames == ["Summary", "중구", "a_b", "A_B (2)"]
    rows = list(book["중구"].iter_rows())
    assert [cell.value for cell in rows[0]] == [*HEADER, *COLUMNS]
    assert {cell.data_type for row in rows for cell in row} <= {"s", "n", "d", "b"}
    for row, result in zip(rows[1:], results(), strict=True):
        values = [unescape(cell.value) if isinstance(cell.value, str) else cell.value for cell in row]
        expected = [cell.value if isinstance(cell, Formatted) else cell for cell in result.cells]
        if result.number == 100:
            assert row[2].number_format == "[h]:mm"
            expected[2] = values[2]
        assert values[: len(expected)] == expected
        assert values[4:] == list(result.found)
    first, failed = rows[1], rows[-2]
    assert (first[0].value, first[0].data_type) == ("=1+1", "s")
    assert (first[1].number_format, first[2].number_format) == ("0.00", "yyyy-mm-dd")
    assert first[0].fill.fgColor.rgb != failed[0].fill.fgColor.rgb == failed[9].fill.fgColor.rgb
    said = {row[0].value: row[1].value for row in book["Summary"].iter_rows()}
    assert (said["state"], said["rows done"], said["file"]) == ("complete", len(NASTY) + 1, "=a.csv")


def test_times_as_workbooks_have_them_come_back(tmp_path: Path) -> None:
    times = [datetime(1900, 3, 1), datetime(9999, 12, 31, 23, 59), time(7, 30), timedelta(days=3), date(2024, 2, 29)]  # noqa: DTZ001
    cells: list[Cell] = [Formatted(value, "yyyy-mm-dd hh:mm") for value in times]
    row = Result(1, cells, 128.0, 35.0, None, None, None, "done", None)
    export(Batch("b", [], ["a"] * 5, [("s", 1)], lambda _: iter([row]), {"done": 1}), tmp_path / "a.xlsx")
    assert [cell.value for cell in openpyxl.load_workbook(tmp_path / "a.xlsx")["s"][2]][:2] == times[:2]
    for ending in ENDINGS:
        export(Batch("b", [], ["a"] * 5, [("s", 1)], lambda _: iter([row]), {"done": 1}), tmp_path / f"a{ending}")


def test_an_export_before_the_end_says_so(tmp_path: Path) -> None:
    export(batch(counts={"done": 1, "waiting": 1, "not yet converted": 3}), tmp_path / "a.xlsx")
    summary = openpyxl.load_workbook(tmp_path / "a.xlsx")["Summary"]
    assert "NOT COMPLETE" in str(summary["B2"].value)


def test_csv_geojson_and_parquet(tmp_path: Path) -> None:
    for ending in ENDINGS:
        export(batch(), tmp_path / f"a{ending}")
    names = [*HEADER, "sheet", "row_number", "lon_2", *COLUMNS[1:]]
    with (tmp_path / "a.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == [f"'{HEADER[0]}", *names[1:]]
    assert rows[1][:8] == ["'=1+1", "1.50", "2024-05-01", "128", "중구", "1", "128.6017631234567", "35.87139"]
    assert not [cell for row in rows for cell in row if cell[:1] in ("=", "+", "-", "@", "\t", "\r")]
    features = json.loads((tmp_path / "a.geojson").read_text(encoding="utf-8"))["features"]
    assert len(features) == len(results()) + 1
    assert features[0]["geometry"] == {"type": "Point", "coordinates": [128.6017631234567, 35.87139]}
    assert features[0]["properties"]["=name"] == "=1+1"
    assert features[len(NASTY)]["geometry"] is None
    table = pyarrow.parquet.read_table(tmp_path / "a.parquet")
    assert table.column_names == names
    assert table["=name"].to_pylist()[: len(NASTY)] == NASTY
    assert table["lat"].to_pylist()[0] == 35.87139


def test_an_unknown_ending_and_a_folder_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"a\.xls: take a name that ends in \.xlsx, \.csv, \.geojson, \.parquet"):
        export(batch(), tmp_path / "a.xls")
    with pytest.raises(FileError, match="can't be written"):
        export(batch(), tmp_path / "missing" / "a.xlsx")


def test_nothing_half_written_is_left(tmp_path: Path) -> None:
    def broken(_: str) -> Iterator[Result]:
        yield results()[0]
        raise RuntimeError

    (tmp_path / "a.xlsx").write_text("what was there")
    made = batch()
    for ending in ENDINGS:
        with pytest.raises(RuntimeError):
            export(Batch(made.batch_id, [], made.header, made.sheets, broken, {}), tmp_path / f"a{ending}")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a.xlsx", "what was there")]


@given(st.lists(st.text(max_size=60), unique=True, max_size=20))
def test_names_of_sheets_are_such_as_excel_takes(keys: list[str]) -> None:
    names = sheet_names(keys)
    assert len({name.casefold() for name in names} - {"summary", "history"}) == len(keys)
    for name in names:
        assert 0 < len(name.encode("utf-16-le")) // 2 <= 31
        assert not set(name) & set("[]:*?/\\")
        assert name[0] != "'" != name[-1]


@pytest.mark.skipif(shutil.which("soffice") is None, reason="LibreOffice (soffice) is not on this machine")
def test_libreoffice_opens_the_workbook(tmp_path: Path) -> None:
    export(batch(), tmp_path / "a.xlsx")
    subprocess.run(
        ["soffice", f"-env:UserInstallation=file://{tmp_path}/profile", "--headless", "--convert-to", "fods", "a.xlsx"],
        cwd=tmp_path,
        check=True,
        timeout=180,
        capture_output=True,
    )
    names = {"table": "urn:oasis:names:tc:opendocument:xmlns:table:1.0",
             "text": "urn:oasis:names:tc:opendocument:xmlns:text:1.0"}  # fmt: skip
    sheet = ET.parse(tmp_path / "a.fods").findall(".//table:table", names)[1]
    assert sheet.get(f"{{{names['table']}}}name") == "중구"
    # Each cell as it is shown.
    rows = [
        ["\n".join("".join(line.itertext()) for line in cell.findall("text:p", names)) for cell in row[:4]]
        for row in sheet.findall("table:table-row", names)
    ]
    assert rows[0] == [*HEADER[:3], "lon"]
    # A tab is an element there.
    assert [row[0] for row in rows[1:7]] == [str(each).lstrip("\t") for each in NASTY[:6]]
    assert rows[1][1:] == ["1.50", "2024-05-01", "128"]
    # As LibreOffice has a cell that is true; there is no other formula.
    formula = f"{{{names['table']}}}formula"
    assert [cell.get(formula) for cell in sheet.iter() if formula in cell.attrib] == ["of:=TRUE()"]
