"""Files of points as people have them, and garbage: all of it is read, or refused with a sentence, in little memory."""

import io
import itertools
import subprocess
import sys
import zipfile
from datetime import datetime
from pathlib import Path

import openpyxl
import pytest
import xlsxwriter
from hypothesis import given
from hypothesis import strategies as st

from generators.coordinates import cells, checking, workbooks
from generators.coordinates.cells import Formatted
from generators.coordinates.checking import DoubtError, Options, check, points, settle
from generators.coordinates.reading import FileError, read

HEADER = "번호,구,주소,x,y"
ROW = "0012,중구,대구광역시 중구 동인동1가 2,344556.52,264651.13"
OPTIONS = Options("EPSG:5174", sheet_by="구")
MOST_MIB = 300


def written(path: Path, content: bytes | str) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp949", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("separator", [",", "\t", ";", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_any_encoding_and_separator(tmp_path: Path, encoding: str, separator: str, end: str) -> None:
    text = end.join([HEADER, ROW, "", ROW]).replace(",", separator) + end
    table = read(written(tmp_path / "a.csv", text.encode(encoding)))
    assert list(table.header) == HEADER.split(",")
    found = list(points(table, OPTIONS))
    assert [(each.number, each.sheet, each.x, each.y, each.fault) for each in found] == [
        (number, "중구", 344556.52, 264651.13, None) for number in (1, 3)
    ]
    assert found[0].cells[0] == "0012"
    checked = check(table, OPTIONS)
    assert (checked.rows, checked.good, checked.blank) == (2, 2, 1)
    settle(checked, OPTIONS)


@pytest.mark.parametrize(
    ("header", "x", "y"),
    [
        ("좌표정보(X),좌표정보(Y)", 0, 1), ("lat,lon", 1, 0), ("위도,경도", 1, 0), ("Longitude,Latitude,x_note", 0, 1),
        ("id,x좌표,y좌표", 1, 2), ("X (EPSG:5174),Y (EPSG:5174)", 0, 1), ("mapx,mapy", 0, 1),
        ("좌표정보x(epsg5174),좌표정보y(epsg5174)", 0, 1), ("coord_y,coord_x", 1, 0),
    ],
)  # fmt: skip
def test_columns_are_found_by_name(tmp_path: Path, header: str, x: int, y: int) -> None:
    from generators.coordinates.checking import columns

    table = read(written(tmp_path / "a.csv", f"{header}\n{'1,2,3'[: 2 * header.count(',') + 1]}\n"))
    assert columns(table, Options("EPSG:4326"))[:2] == (x, y)


GARBAGE = {
    "empty": (b"", "is empty"),
    "blank": (b"\n\n  \n", "is empty"),
    "no header": (b"1,2\n3,4\n", "has no header, its first row holds numbers"),
    "nothing but a header": (b"x,y\n", "has no rows below its header"),
    "no x": (
        b"a,b\n1,2\n",
        "no column looks like x: name it with --x COLUMN. Its columns are 'a', 'b'|no column looks",
    ),
    "two of them": (b"x,lon,y\n1,2,3\n", "several columns could be x"),
    "text in all x": (b"x,y\nabc,1\n=A1,1\n", r"no row with a point: row 1: x is not a number: 'abc'; row 2: x is a f"),
    "no text": (b"\x89PNG\r\n\0" + bytes(range(256)) * 9, "zero bytes|neither UTF-8"),
    "zeros in text": (b"x,y\n1,2\x00\n", "zero bytes"),
    "no encoding": (b"x,y\n\xff\xfe\xfd,2\n", "neither UTF-8, UTF-16 nor CP949"),
    "mixed encodings": ("x,y,구\n1,2,".encode() + "중구".encode("cp949") + "\n힣".encode(), "neither UTF-8, UTF-16"),
    "an open quote": (b'x,y\n1,"2\n3,4\n', "can't be read from line 2 on: a quote is opened there and never closed"),
    "a quote in a cell": (b'x,y\n1,"5" pipe"\n', "line 2 on: a quote within a cell has to be doubled"),
    "an endless line": (b"x,y" + b"," * 20_000 + b"\n1,2\n", "|has no row|no header"),
    "an endless cell": (b"x,y\n1," + b"2" * 40_000 + b"\n", "line 2 on: a cell has more than 32,767 characters"),
    "an old workbook": (b"\xd0\xcf\x11\xe0" + b"\0" * 99, "before 2007"),
    "a broken archive": (b"PK\x03\x04" + b"\0" * 99, "broken archive"),
}


@pytest.mark.parametrize("what", GARBAGE)
def test_garbage_ends_in_a_sentence(tmp_path: Path, what: str) -> None:
    content, sentence = GARBAGE[what]
    options = Options("EPSG:5174")
    if what == "an endless line":
        checked = check(read(written(tmp_path / "a.csv", content)), options)
        assert checked.rows == 1
        return
    with pytest.raises(FileError, match=sentence):
        check(read(written(tmp_path / "a.csv", content)), options)


@given(st.binary(max_size=300) | st.text(alphabet="xy,;\t\n\"'=1.5\0\r", max_size=200).map(str.encode))
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.csv"
    try:
        check(read(written(path, content)), Options("EPSG:4326"))
    except FileError:
        return


def test_bad_rows_are_counted_with_their_reasons_and_stay_in_place(tmp_path: Path) -> None:
    rows = ["1,2,a,b", ",2,a", "1,2", "1,2,a", "1,2,a,,,", "one,2,a", "=A1*2,2,a", "nan,2,a", '"1,000.5",2,a']
    table = read(written(tmp_path / "a.csv", "\n".join(["x,y,name", *rows])))
    found = list(points(table, Options("EPSG:4326")))
    assert [each.number for each in found] == list(range(1, 10))
    assert [each.fault for each in found] == [
        "has more cells than the header: 4, not 3",
        "x is empty",
        None,
        None,
        None,
        "x is not a number: 'one'",
        "x is a formula, not its value: '=A1*2'",
        "x is not a number: 'nan'",
        None,
    ]
    checked = check(table, Options("EPSG:4326"))
    assert (checked.rows, checked.good) == (9, 4)
    assert checked.faults == {
        "has more cells than the header": 1, "x is empty": 1, "x is not a number": 2,
        "x is a formula, not its value": 1,
    }  # fmt: skip
    assert "9 rows in 1 sheets: 4 good, 5 bad" in str(checked)


def test_what_the_points_are_in_is_checked(tmp_path: Path) -> None:
    table = read(written(tmp_path / "a.csv", "\n".join([HEADER, *[ROW] * 5])))
    swapped = Options("EPSG:5174", x="y", y="x")
    with pytest.raises(DoubtError, match="x and y look swapped"):
        settle(check(table, swapped), swapped)
    auto = Options("auto")
    with pytest.raises(
        DoubtError, match="Name the coordinate system with --crs; likely ones are:\n  EPSG:5174"
    ) as told:
        settle(check(table, auto), auto)
    assert told.value.proposals[0].system == "EPSG:5174"
    with pytest.raises(FileError, match="PROJ knows no coordinate system"):
        check(table, Options("EPSG:0"))
    abroad = read(written(tmp_path / "b.csv", "lon,lat\n2.35,48.85\n"))
    with pytest.raises(DoubtError, match="100% of these points outside Korea"):
        settle(check(abroad, Options("4326")), Options("4326"))


def test_a_row_that_no_record_holds(tmp_path: Path) -> None:
    table = read(written(tmp_path / "a.csv", "x,y,a,b\n1,2,a,b\n1,2," + ",".join(["a" * 30_000] * 2) + "\n"))
    with pytest.raises(FileError, match=r"a\.csv, row 2: more than 50,000 characters, too long to be sent"):
        check(table, Options("EPSG:4326"))


def test_a_column_that_is_no_key_is_refused(tmp_path: Path) -> None:
    table = read(written(tmp_path / "a.csv", "id,x,y\n" + "".join(f"{number},1,2\n" for number in range(1001))))
    with pytest.raises(FileError, match="id has more than 1,000 values"):
        check(table, Options("EPSG:4326", sheet_by="id"))
    long = read(written(tmp_path / "b.csv", f"id,x,y\n{'a' * 101},1,2\n"))
    with pytest.raises(FileError, match="id has a value of more than 100 characters in row 1"):
        check(long, Options("EPSG:4326", sheet_by="id"))


def test_more_rows_than_a_sheet_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert checking.MOST_ROWS == 1_048_576
    monkeypatch.setattr(checking, "MOST_ROWS", 1_000)
    table = read(written(tmp_path / "a.csv", "g,x,y\n" + "a,1,2\n" * 1_000))
    with pytest.raises(FileError, match="1,000 rows, and Excel holds 999 below the header: split it with"):
        check(table, Options("EPSG:4326"))


def workbook(path: Path, rows: list[list[object]], *, constant_memory: bool = True) -> Path:
    with xlsxwriter.Workbook(path, {"constant_memory": constant_memory, "strings_to_formulas": False}) as book:
        sheet = book.add_worksheet("자료")
        for number, row in enumerate(rows):
            sheet.write_row(number, 0, row)
    return path


def test_a_workbook(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(["code", "x", "y", "on", "price", "note"])
    sheet.append(["0012", 344556.52, 264651.13, datetime(2024, 5, 1), 1234.5, "=1+1"])  # noqa: DTZ001
    sheet["D2"].number_format, sheet["E2"].number_format, sheet["F2"].data_type = "yyyy-mm-dd", "#,##0.00", "s"
    sheet["B4"], sheet["C4"] = "=1+1", True
    book.create_sheet("더").append(["x"])
    book.save(path)
    table = read(path)
    assert list(table.notes) == ["read is sheet 'Sheet' alone, not '더'"]
    assert list(table.header) == ["code", "x", "y", "on", "price", "note"]
    first, second = points(table, Options("EPSG:5174"))
    assert first.cells == [
        "0012", 344556.52, 264651.13, Formatted(datetime(2024, 5, 1), "yyyy-mm-dd"),  # noqa: DTZ001
        Formatted(1234.5, "#,##0.00"), "=1+1",
    ]  # fmt: skip
    assert [cells.from_json(cells.to_json(cell)) for cell in first.cells] == first.cells
    assert (second.number, second.fault) == (3, "x is empty")


@pytest.mark.parametrize("constant_memory", [True, False])
def test_workbooks_with_texts_in_line_and_apart(tmp_path: Path, constant_memory: bool) -> None:
    rows: list[list[object]] = [
        HEADER.split(","),
        *([f"{n:04}", "중구", f"주소 {n}", 344556.5, 264651.5] for n in range(99)),
    ]
    table = read(workbook(tmp_path / "a.xlsx", rows, constant_memory=constant_memory))
    assert [each.cells for each in points(table, OPTIONS)] == rows[1:]


def test_a_text_with_what_xml_can_not_hold(tmp_path: Path) -> None:
    texts = ["a\rb", "_x0041_", "\x01"]
    path = workbook(tmp_path / "a.xlsx", [["x", "y", "a", "b", "c", "d"], [1, 2, *texts, "end"]])
    assert next(points(read(path), Options("EPSG:4326"))).cells[2:] == [*texts, "end"]
    # Neither a zero nor half a character is text for a database.
    assert workbooks._readable("_x0000__xD800_") == "\ufffd\ufffd"


@pytest.mark.parametrize("digits", ["1E999", "-1E999", "9" * 400])
def test_a_number_that_none_is(tmp_path: Path, digits: str) -> None:
    row = f"<row r='2'><c r='A2'><v>{digits}</v></c><c r='B2'><v>1</v></c></row>".encode()
    (found,) = points(read(bomb(tmp_path / "a.xlsx", row, replacing=True)), Options("EPSG:4326"))
    assert isinstance(found.cells[0], str)
    assert "x is not a number" in (found.fault or "")


def bomb(path: Path, sheet: bytes, *, times: int = 1, texts: bytes = b"", replacing: bool = False) -> Path:
    """A workbook whose sheet or texts are so many bytes, as often as that; `replacing` the row that is there."""
    workbook(path, [["x", "y"], ["1", "2"]], constant_memory=False)
    with zipfile.ZipFile(path) as archive:
        parts = {part: archive.read(part) for part in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for part, content in parts.items():
            with archive.open(part, "w", force_zip64=True) as file:
                if part == "xl/worksheets/sheet1.xml" and sheet:
                    before, after = content.split(b"</sheetData>")
                    file.write(before[: before.rindex(b"<row ")] if replacing else before)
                    for _ in range(times):
                        file.write(sheet)
                    file.write(b"</sheetData>" + after)
                elif part == "xl/sharedStrings.xml" and texts:
                    for _ in range(times):
                        file.write(texts)
                else:
                    file.write(content)
    return path


BOMBS = {
    "a sheet of gigabytes": (b"<row/>" * (1 << 18), 40, b"", "unpacks to more than can be read"),
    "a row of many cells": (b"<row>" + b"<c/>" * (1 << 20), 10, b"", "a row takes more than 2 MB"),
    "a cell that is long": (b"<row><c><is><t>" + b"a" * (1 << 20), 50, b"", "a row takes more than 2 MB"),
    "a tag that is long": (b"<row " + b" " * (1 << 20), 50, b"", "can't be read as a workbook|a row takes"),
    "rows without end": (b"<row r='9999999'></row>", 1, b"", "more than the 1,048,576 rows"),
    "a cell far to the right": (b"<row r='2'><c r='ZZZZZZ2' t='n'><v>1</v></c></row>", 1, b"", "can't be read as"),
    "texts of gigabytes": (b"", 200, b"a" * (1 << 20), "unpacks to more than can be read"),
    "entities": (
        b"",
        1,
        b"<!DOCTYPE a [<!ENTITY b 'c'>]><sst><si><t>&b;</t></si></sst>",
        "can't be read as a workbook",
    ),
}


@pytest.mark.parametrize("what", BOMBS)
def test_bombs_are_refused(tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbooks, "MOST_SHEET_BYTES", 56 * workbooks.MIB)
    sheet, times, texts, sentence = BOMBS[what]
    path = bomb(tmp_path / "a.xlsx", sheet, times=times, texts=texts)
    with pytest.raises(FileError, match=sentence):
        check(read(path), Options("EPSG:4326"))


def test_any_archive_is_read_or_refused(tmp_path: Path) -> None:
    content = workbook(tmp_path / "a.xlsx", [["x", "y"], [1, 2]]).read_bytes()
    for number in itertools.chain(range(0, len(content), 197), range(30)):
        broken = bytearray(content)
        broken[number] ^= 0x5A
        try:
            check(read(written(tmp_path / "b.xlsx", bytes(broken))), Options("EPSG:4326"))
        except FileError:
            continue
    plain = io.BytesIO()
    with zipfile.ZipFile(plain, "w") as archive:
        archive.writestr("a.txt", "a")
    with pytest.raises(FileError, match="no XLSX workbook"):
        read(written(tmp_path / "c.xlsx", plain.getvalue()))


MEASURE = """
import re, sys
from pathlib import Path
from generators.coordinates.checking import Options, check
from generators.coordinates.reading import FileError, read
try:
    print(check(read(Path(sys.argv[1])), Options("EPSG:4326")).rows)
except FileError as error:
    print(error)
print(int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024)
"""


def used(path: Path) -> tuple[str, int]:
    done = subprocess.run([sys.executable, "-c", MEASURE, str(path)], capture_output=True, text=True, check=True)
    said, mebibytes = done.stdout.strip().splitlines()
    return said, int(mebibytes)


def test_a_large_file_takes_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    row = f"128.6,35.87,{'대구광역시 중구 ' * 20}\n".encode()
    with path.open("wb") as file:
        file.write(b"x,y,address\n")
        for _ in range(60_000_000 // len(row)):
            file.write(row)
    said, mebibytes = used(path)
    assert int(said) == 60_000_000 // len(row)
    assert mebibytes < MOST_MIB


def test_a_workbook_full_of_texts_takes_little_memory(tmp_path: Path) -> None:
    rows: list[list[object]] = [["x", "y", "a", "b"]]
    rows += [[128.6, 35.87, f"대구광역시 중구 동인동 {number}", f"비고 {number}"] for number in range(20_000)]
    said, mebibytes = used(workbook(tmp_path / "a.xlsx", rows, constant_memory=False))
    assert said == "20000"
    assert mebibytes < MOST_MIB
    assert workbooks.MOST_TEXTS_BYTES < MOST_MIB << 19


@given(st.text(max_size=40) | st.floats().map(str) | st.decimals(places=3).map(str) | st.integers().map(str))
def test_a_cell_of_a_text_file_comes_back_as_it_was(text: str) -> None:
    cell = cells.of_text(text)
    assert cells.to_text(cell) == text
    assert cells.from_json(cells.to_json(cell)) == cell
