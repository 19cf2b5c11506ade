"""XLSX files, read row by row through openpyxl, which is kept from what would fill the memory.

openpyxl reads a workbook's texts into a list of objects and a row with all its cells at once; a small archive can hold
gigabytes of either. So texts are kept in one piece of memory, and what goes to the parser is watched on its way.
"""

import re
import warnings
import zipfile
import zlib
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any
from xml.etree.ElementTree import ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import iterparse
from openpyxl.reader.excel import ExcelReader
from openpyxl.utils.escape import unescape
from openpyxl.utils.exceptions import InvalidFileException

from generators.coordinates.cells import Cell, Formatted
from generators.coordinates.reading import MOST_COLUMNS, MOST_ROWS, FileError, Table, names

MIB = 1 << 20
# Unpacked. Texts stay in memory; a sheet of a million rows and ten columns has some 500 MB.
MOST_TEXTS_BYTES = 128 * MIB
MOST_SHEET_BYTES = 2048 * MIB
MOST_OTHER_BYTES = 32 * MIB
MOST_ROW_BYTES = 2 * MIB
_ROW_ENDS = re.compile(rb"</(?:\w+:)?row>|<(?:\w+:)?row\b[^<>]*/>")
_ROWS_END = re.compile(rb"</((?:\w+:)?)sheetData>|<((?:\w+:)?)sheetData\s*/>")
_LONGEST_TAG = 4096
# No number that a spreadsheet holds; such as 1E999, which reads as infinite.
_MOST = 1e308
_READ = 64 * 1024
_FAILURES = (
    InvalidFileException, zipfile.BadZipFile, DefusedXmlException, ParseError, KeyError, ValueError, TypeError,
    IndexError, AttributeError, OSError, EOFError, NotImplementedError,
    zlib.error,
)  # fmt: skip


class _Texts:
    """A list of texts in one piece of memory; openpyxl takes texts from it by their number."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._ends = array("Q", [0])

    def append(self, text: str) -> None:
        self._bytes += text.encode("utf-8", "surrogatepass")
        self._ends.append(len(self._bytes))

    def __getitem__(self, number: int) -> str:
        if not 0 <= number < len(self._ends) - 1:
            raise IndexError(number)
        return self._bytes[self._ends[number] : self._ends[number + 1]].decode("utf-8", "surrogatepass")


class _Watched:
    """A worksheet on its way to the parser: no row is larger than a row can be, and it ends where its rows end."""

    def __init__(self, file: IO[bytes], path: Path) -> None:
        self._file = file
        self._path = path
        self._tail = b""
        self._in_row = 0
        self._rest: bytes | None = None

    def read(self, size: int = -1) -> bytes:
        if self._rest is not None:
            rest, self._rest = self._rest, b""
            return rest
        chunk = self._file.read(min(size, _READ) if size > 0 else _READ)
        # A tag may lie across two chunks.
        seen = self._tail + chunk
        if end := _ROWS_END.search(seen):
            prefix = end[1] if end[1] is not None else end[2]
            self._rest = b""
            return chunk[: end.end() - len(self._tail)] + b"</%bworksheet>" % prefix
        ends = [found.end() for found in _ROW_ENDS.finditer(seen)]
        self._in_row = len(seen) - ends[-1] if ends else self._in_row + len(chunk)
        if self._in_row > MOST_ROW_BYTES:
            msg = f"{self._path.name} is no spreadsheet that Excel wrote: a row takes more than 2 MB"
            raise FileError(msg)
        self._tail = seen[-_LONGEST_TAG:] if not ends else seen[ends[-1] :][-_LONGEST_TAG:]
        return chunk

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> "_Watched":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Archive(zipfile.ZipFile):
    """A workbook's archive, whose sheets are watched when they are opened."""

    path: Path

    def open(self, name: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as the class it extends
        file = super().open(name, *args, **kwargs)
        part = name if isinstance(name, str) else name.filename
        return _Watched(file, self.path) if "/worksheets/" in part and part.endswith(".xml") else file


# The package carries no types.
class _Reader(ExcelReader):  # type: ignore[misc]
    def __init__(self, path: Path) -> None:
        super().__init__(path, read_only=True, data_only=True, keep_links=False)
        self.archive.close()
        self.archive: _Archive = _Archive(path)
        self.archive.path = path

    def read_strings(self) -> None:
        self.shared_strings = _Texts()
        part = next((each for each in self.package.Override if each.ContentType.endswith("sharedStrings+xml")), None)
        if part is None:
            return
        with self.archive.open(part.PartName.lstrip("/")) as file:
            pieces: list[str] = []
            depth, root = 0, None
            for event, element in iterparse(file, events=("start", "end"), forbid_dtd=True):
                tag = element.tag.rpartition("}")[2]
                root = element if root is None else root
                # Furigana (rPh) are no part of the text.
                depth += (event == "start") - (event == "end") if tag == "rPh" else 0
                if event == "end" and tag == "t" and not depth:
                    pieces.append(element.text or "")
                elif event == "end" and tag == "si":
                    self.shared_strings.append("".join(pieces))
                    pieces.clear()
                    root.clear()


def read_workbook(path: Path, digest: str) -> Table:
    """The first sheet of a workbook that is visible.

    Raises:
        FileError: it can't be read.
    """
    _weigh(path)
    with _failures(path):
        book = _open(path)
        sheets = [sheet for sheet in book.worksheets if sheet.sheet_state == "visible"]
        if not sheets:
            msg = f"{path.name} has no sheet that is visible"
            raise FileError(msg)
        name, others = sheets[0].title, [sheet.title for sheet in sheets[1:]]
        # With a width of ours: a cell may say that it stands in column 300,000,000.
        first = next(sheets[0].iter_rows(max_col=MOST_COLUMNS + 1, values_only=True), ())
        book.close()
    header = names(first, path)

    def rows() -> Iterator[list[Cell]]:
        with _failures(path):
            book = _open(path)
            try:
                for number, row in enumerate(book[name].iter_rows(max_col=len(header) + 1)):
                    if number == MOST_ROWS:
                        msg = f"{path.name} has more than the {MOST_ROWS:,} rows that a sheet holds: split it"
                        raise FileError(msg)
                    if number == 0:
                        continue
                    cells = [_cell(cell) for cell in row]
                    while cells and cells[-1] is None:
                        cells.pop()
                    yield cells
            finally:
                book.close()

    notes = [f"read is sheet {name!r} alone, not {', '.join(map(repr, others))}"] if others else []
    return Table(path, digest, f"XLSX, sheet {name!r}", header, rows, notes)


def _open(path: Path) -> Any:  # noqa: ANN401 - openpyxl carries no types
    reader = _Reader(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of styles and extensions that openpyxl leaves out
        reader.read()
    for sheet in reader.wb.worksheets:
        # The size that a file states may be wrong, and many state none.
        sheet.reset_dimensions()
    return reader.wb


class _failures:
    """Whatever a broken file brings up, as a sentence."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, _FAILURES):
            msg = (
                f"{self._path.name} can't be read as a workbook ({type(error).__name__}): open it in Excel or "
                "LibreOffice and save it anew as .xlsx, or as CSV"
            )
            raise FileError(msg) from error


def _cell(cell: Any) -> Cell:  # noqa: ANN401 - openpyxl carries no types
    value = cell.value
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _readable(value) or None
    if isinstance(value, int | float) and not abs(value) < _MOST:
        return str(value)
    shown = cell.number_format
    return value if shown == "General" and isinstance(value, int | float) else Formatted(value, shown)


def _readable(text: str) -> str:
    """A text with what XML can't hold, which Excel writes as _x000D_ for a carriage return; without what no text is."""
    if "_x" not in text:
        return text
    found: str = unescape(text).replace("\0", "\ufffd")
    return found.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _weigh(path: Path) -> None:
    """Refuse an archive that would unpack to more than a workbook does."""
    try:
        with zipfile.ZipFile(path) as archive:
            parts = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        msg = f"{path.name} is a broken archive: copy or save it anew"
        raise FileError(msg) from None
    if not any(part.filename.endswith("workbook.xml") for part in parts):
        msg = f"{path.name} is an archive, but no XLSX workbook: unpack it, or save the table as CSV or XLSX"
        raise FileError(msg)
    for part in parts:
        if "/worksheets/" in part.filename:
            most = MOST_SHEET_BYTES
        elif part.filename.endswith("sharedStrings.xml"):
            most = MOST_TEXTS_BYTES
        elif part.filename.endswith((".xml", ".rels")):
            most = MOST_OTHER_BYTES
        else:
            continue  # pictures and the like, which are never unpacked
        if part.file_size > most:
            msg = (
                f"{path.name} unpacks to more than can be read ({part.filename}: {part.file_size / MIB:,.0f} MB, at "
                f"most {most // MIB:,}): save the table as CSV"
            )
            raise FileError(msg)
