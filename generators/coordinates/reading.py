"""Files with a table in them, read as a stream: CSV with any separator and encoding, and XLSX.

Nothing is held but the row at hand and, of a workbook, its texts in one piece: memory stays far below 300 MB, whatever
is in the file. What can't be read ends in a sentence that says what to do.
"""

import codecs
import csv
import hashlib
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from conf.errors import CitystreamError
from generators.coordinates.cells import Cell, of_text

MOST_BYTES = 1 << 30
# As a spreadsheet has them.
MOST_ROWS, MOST_COLUMNS = 1_048_576, 16_384
MOST_CHARACTERS = 32_767
_CHUNK = 1 << 20
_SAMPLE_ROWS = 50
_SEPARATORS = (",", "\t", ";", "|", "^", "~", ":", " ")
_ZIP, _OLD_EXCEL = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"
_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_NAMES = {"utf-8-sig": "UTF-8", "utf-8": "UTF-8", "cp949": "CP949"}


class FileError(CitystreamError):
    """The file can't be used; the message says why and what to do."""


@dataclass(frozen=True)
class Table:
    """What a file holds.

    Attributes:
        path: the file.
        digest: SHA-256 of its bytes, in hex.
        kind: for people: the format, encoding and separator.
        header: the names in its first row.
        notes: what a person should know, such as sheets that are not read.
        rows: opens the file and gives the rows below the header, blank ones as empty lists.
    """

    path: Path
    digest: str
    kind: str
    header: Sequence[str]
    rows: Callable[[], Iterator[list[Cell]]]
    notes: Sequence[str] = ()


def read(path: Path) -> Table:
    """The table in a file; its ending does not matter.

    Raises:
        FileError: there is none, or it can't be read.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(4096)
    except OSError as error:
        msg = f"{path} can't be read: {error.strerror}"
        raise FileError(msg) from None
    if not size:
        msg = f"{path.name} is empty: nothing to do"
        raise FileError(msg)
    if size > MOST_BYTES:
        msg = f"{path.name} has {size / 2**20:,.0f} MB, at most {MOST_BYTES >> 20:,} are read: split it"
        raise FileError(msg)
    if start.startswith(_OLD_EXCEL):
        msg = f"{path.name} is an Excel file of before 2007, or one with a password: save it as .xlsx without one"
        raise FileError(msg)
    if start.startswith(_ZIP):
        from generators.coordinates.workbooks import read_workbook

        return read_workbook(path, _digest(path))
    return _read_text(path, start)


def names(cells: Sequence[Cell], path: Path) -> list[str]:
    """The names in a header row.

    Raises:
        FileError: there are none, or too many.
    """
    found = [str(cell).strip() if cell is not None else "" for cell in cells]
    while found and not found[-1]:
        found.pop()
    if not found:
        msg = f"{path.name} has no header: its first row has to name the columns"
        raise FileError(msg)
    if len(found) > MOST_COLUMNS:
        msg = f"{path.name} has {len(found):,} columns, a spreadsheet holds {MOST_COLUMNS:,}"
        raise FileError(msg)
    return found


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_text(path: Path, start: bytes) -> Table:
    encoding = _encoding(path, start)
    separator = _separator(path, encoding)

    def rows() -> Iterator[list[str]]:
        with path.open(encoding=encoding, newline="") as lines:
            yield from _parsed(lines, separator, path)

    def below_header() -> Iterator[list[Cell]]:
        found = rows()
        next(found)
        for row in found:
            yield [of_text(text) for text in row] if any(row) else []

    header = names(next(rows(), []), path)
    shown = {"\t": "tab", " ": "space"}.get(separator, separator)
    kind = f"CSV, {_NAMES.get(encoding, 'UTF-16')}, separator {shown}"
    return Table(path, _digest(path), kind, header, below_header)


def _parsed(lines: io.TextIOWrapper, separator: str, path: Path) -> Iterator[list[str]]:
    csv.field_size_limit(MOST_CHARACTERS)
    reader = csv.reader(lines, delimiter=separator, strict=True)
    began = 1
    try:
        for row in reader:
            began = reader.line_num + 1
            yield row
    except csv.Error as error:
        text = str(error)
        if "field larger" in text:
            text = f"a cell has more than {MOST_CHARACTERS:,} characters; is a quote opened there and never closed?"
        elif "unexpected end" in text:
            text = "a quote is opened there and never closed"
        elif "expected after" in text:
            text = 'a quote within a cell has to be doubled, as in "5"" pipe"'
        msg = f"{path.name} can't be read from line {began} on: {text}"
        raise FileError(msg) from None


def _encoding(path: Path, start: bytes) -> str:
    for bom, name in _BOMS:
        if start.startswith(bom):
            return _checked(path, [name])
    # Of text without a byte-order mark, every other byte is zero in UTF-16, for the separators at least.
    even, odd = start[::2].count(0), start[1::2].count(0)
    if max(even, odd) > max(len(start) // 8, 4 * min(even, odd)):
        return _checked(path, ["utf-16-le" if odd > even else "utf-16-be"])
    return _checked(path, ["utf-8", "cp949"])


def _checked(path: Path, encodings: Sequence[str]) -> str:
    """The first encoding that the whole file is in."""
    for encoding in encodings:
        decoder = codecs.getincrementaldecoder(encoding)()
        try:
            with path.open("rb") as file:
                while chunk := file.read(_CHUNK):
                    if "\0" in decoder.decode(chunk):
                        msg = f"{path.name} is no text, there are zero bytes in it: save the table as CSV or XLSX"
                        raise FileError(msg)
                decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            continue
        return encoding
    msg = f"{path.name} is neither UTF-8, UTF-16 nor CP949 throughout: save it as CSV UTF-8"
    raise FileError(msg)


def _separator(path: Path, encoding: str) -> str:
    """What parts the header into most columns and the rows below into as many."""
    with path.open(encoding=encoding, newline="") as file:
        sample = [line for _, line in zip(range(_SAMPLE_ROWS), iter(lambda: file.readline(_CHUNK), ""), strict=False)]
    if not any(line.strip() for line in sample):
        msg = f"{path.name} is empty: nothing to do"
        raise FileError(msg)
    if len(sample[0]) == _CHUNK:
        msg = f"{path.name} is no table: its first line does not end"
        raise FileError(msg)

    def fit(separator: str) -> tuple[float, int]:
        try:
            header, *rows = [row for row in csv.reader(sample, delimiter=separator) if row]
        except (csv.Error, ValueError):
            return 0.0, 0
        if len(header) < 2:
            return 0.0, 0
        same = sum(len(row) == len(header) for row in rows)
        return (round(same / len(rows), 1) if rows else 1.0), len(header)

    # Of equals the first, which is the more usual one.
    best = max(_SEPARATORS[:4], key=fit)
    if fit(best)[1] < 2:
        best = max(_SEPARATORS, key=fit)
    return best if fit(best)[1] >= 2 else ","
