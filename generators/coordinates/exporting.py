"""A batch as a file: a workbook with a sheet per key, or Parquet, GeoJSON or CSV, by the file's ending.

All are written as a stream and put in their place when they are whole. Text stays text: what begins like a formula is
never one, in CSV by a quote before it.
"""

import csv
import json
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import xlsxwriter

from generators.coordinates.cells import Cell, Formatted, escaped, to_text, unformatted
from generators.coordinates.reading import FileError
from generators.coordinates.results import COLUMNS, FAILED, Batch, Result

_NAME_LENGTH = 31
_NOT_IN_NAMES = re.compile(r"[\[\]:*?/\\\x00-\x1f]")
_RESERVED = {"history"}
_SUMMARY = "Summary"
_DEGREES = "0.0000000"
_LONGEST = 32_767
_FAILED_COLOUR = "#F8CBAD"
_PARQUET_ROWS = 10_000


def export(batch: Batch, path: Path) -> None:
    """Write a batch; what was there under that name is replaced when all is written.

    Raises:
        FileError: the ending is unknown, or the file can't be written.
    """
    write = _WRITERS.get(path.suffix.lower())
    if write is None:
        msg = f"{path.name}: take a name that ends in {', '.join(_WRITERS)}"
        raise FileError(msg)
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".citystream-") as folder:
            made = Path(folder) / path.name
            write(batch, made)
            made.replace(path)
    except (OSError, xlsxwriter.exceptions.FileCreateError) as error:
        msg = f"{path} can't be written: {error.strerror if isinstance(error, OSError) else error}"
        raise FileError(msg) from error


def sheet_names(keys: Sequence[str]) -> list[str]:
    """A sheet's name for each key, as spreadsheets allow them: short, without some characters, and no two alike."""
    taken = {_SUMMARY.casefold(), *_RESERVED}
    made = []
    for key in keys:
        name = _NOT_IN_NAMES.sub("_", key).strip("'").strip() or "(empty)"
        name, count = _cut(name, _NAME_LENGTH), 1
        while name.casefold() in taken:
            count += 1
            end = f" ({count})"
            name = _cut(_NOT_IN_NAMES.sub("_", key).strip("'").strip() or "(empty)", _NAME_LENGTH - len(end)) + end
        taken.add(name.casefold())
        made.append(name)
    return made


def _cut(text: str, length: int) -> str:
    """So many UTF-16 units of a text, as Excel counts."""
    return text.encode("utf-16-le", "replace")[: 2 * length].decode("utf-16-le", "ignore").strip("'").strip()


class _Book:
    """A workbook that is written row by row."""

    def __init__(self, path: Path) -> None:
        self.book = xlsxwriter.Workbook(
            path,
            # Rows go to disk as they come; nothing is taken for a formula, a link or a number that was a text.
            {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False,
             "strings_to_numbers": False, "nan_inf_to_errors": True, "default_date_format": "yyyy-mm-dd",
             "tmpdir": str(path.parent)},
        )  # fmt: skip
        self.bold = self.book.add_format({"bold": True})
        self._formats: dict[tuple[str, bool], Any] = {}

    def format(self, shown: str, *, is_failed: bool) -> Any:  # noqa: ANN401 - the package carries no types
        if (shown, is_failed) not in self._formats:
            look: dict[str, Any] = {} if shown == "General" else {"num_format": shown}
            if is_failed:
                look["bg_color"] = _FAILED_COLOUR
            self._formats[shown, is_failed] = self.book.add_format(look)
        return self._formats[shown, is_failed]

    def write(self, sheet: Any, row: int, column: int, cell: Cell, *, is_failed: bool) -> None:  # noqa: ANN401
        shown, value = ("General", cell) if not isinstance(cell, Formatted) else (cell.format, cell.value)
        look = self.format(shown, is_failed=is_failed) if is_failed or shown != "General" else None
        if value is None:
            if is_failed:
                sheet.write_blank(row, column, None, look)
        elif isinstance(value, bool):
            sheet.write_boolean(row, column, value, look)
        elif isinstance(value, str):
            sheet.write_string(row, column, value[:_LONGEST], look)
        elif isinstance(value, int | float):
            sheet.write_number(row, column, value, look)
        elif isinstance(value, datetime | date | time | timedelta):
            sheet.write_datetime(row, column, value, look)


def _xlsx(batch: Batch, path: Path) -> None:
    made = _Book(path)
    keys = [key for key, _ in batch.sheets]
    names = sheet_names(keys)
    _summary(made, batch, names)
    for key, name in zip(keys, names, strict=True):
        sheet = made.book.add_worksheet(name)
        sheet.freeze_panes(1, 0)
        sheet.set_column(0, len(batch.header) + len(COLUMNS) - 1, 14)
        for column, title in enumerate((*batch.header, *COLUMNS)):
            sheet.write_string(0, column, title, made.bold)
        width = len(batch.header)
        for row, result in enumerate(batch.rows(key), start=1):
            is_failed = result.status == FAILED
            for column, cell in enumerate(result.cells[:width]):
                made.write(sheet, row, column, cell, is_failed=is_failed)
            for column, cell in enumerate(_found(result), start=width):
                made.write(sheet, row, column, cell, is_failed=is_failed)
    made.book.close()


def _summary(made: _Book, batch: Batch, names: Sequence[str]) -> None:
    sheet = made.book.add_worksheet(_SUMMARY)
    sheet.set_column(0, 1, 28)
    state = "complete" if batch.is_complete else "NOT COMPLETE: this is what is done so far; export it again later"
    lines: list[tuple[str, Cell]] = [("batch", batch.batch_id), ("state", state), *batch.about]
    lines += [(f"rows {status}", count) for status, count in batch.counts.items()]
    for row, (title, value) in enumerate(lines):
        sheet.write_string(row, 0, title, made.bold)
        made.write(sheet, row, 1, value, is_failed=False)
    row = len(lines) + 1
    for column, title in enumerate(("sheet", "key", "rows")):
        sheet.write_string(row, column, title, made.bold)
    for (key, count), name in zip(batch.sheets, names, strict=True):
        row += 1
        sheet.write_string(row, 0, name)
        sheet.write_string(row, 1, key)
        sheet.write_number(row, 2, count)


def _found(result: Result) -> Iterator[Cell]:
    for value in result.found:
        yield Formatted(value, _DEGREES) if isinstance(value, float) else value


def _rows(batch: Batch) -> Iterator[tuple[str, Result]]:
    for key, _ in batch.sheets:
        for result in batch.rows(key):
            yield key, result


def _names(batch: Batch) -> list[str]:
    """The columns' names, no two alike: a second `lon` is `lon_2`."""
    made: list[str] = []
    for place, title in enumerate((*batch.header, "sheet", "row_number", *COLUMNS), start=1):
        name, count = title or f"column_{place}", 1
        while name in made:
            count += 1
            name = f"{title or f'column_{place}'}_{count}"
        made.append(name)
    return made


def _padded(batch: Batch, result: Result) -> list[Cell]:
    cells = list(result.cells[: len(batch.header)])
    return cells + [None] * (len(batch.header) - len(cells))


def _csv(batch: Batch, path: Path) -> None:
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        rows = csv.writer(file)
        rows.writerow([escaped(name) for name in _names(batch)])
        for key, result in _rows(batch):
            cells = (*_padded(batch, result), key, result.number, *result.found)
            rows.writerow([escaped(cell) if isinstance(cell, str) else to_text(cell) for cell in cells])


def _geojson(batch: Batch, path: Path) -> None:
    names = _names(batch)
    with path.open("w", encoding="utf-8") as file:
        file.write('{"type": "FeatureCollection", "features": [')
        for count, (key, result) in enumerate(_rows(batch)):
            values = map(unformatted, (*_padded(batch, result), key, result.number, *result.found))
            is_placed = result.lon is not None and result.lat is not None
            feature = {
                "type": "Feature",
                "geometry": {"type": "Point", "coordinates": [result.lon, result.lat]} if is_placed else None,
                "properties": dict(zip(names, values, strict=True)),
            }
            file.write(("," if count else "") + "\n" + json.dumps(feature, ensure_ascii=False, allow_nan=False))
        file.write("\n]}\n")


def _parquet(batch: Batch, path: Path) -> None:
    """Original columns are texts there: of a column of a file, no two cells need be of one type."""
    import pyarrow as pa
    from pyarrow import parquet

    names, width = _names(batch), len(batch.header)
    types = [*[pa.string()] * (width + 1), pa.int64(), pa.float64(), pa.float64(), *[pa.string()] * (len(COLUMNS) - 2)]
    schema = pa.schema(list(zip(names, types, strict=True)))

    def table(rows: list[tuple[Any, ...]]) -> Any:  # noqa: ANN401 - the package carries no types
        columns = zip(*rows, strict=True) if rows else ([] for _ in names)
        return pa.table([pa.array(column, of) for column, of in zip(columns, types, strict=True)], schema=schema)

    with parquet.ParquetWriter(path, schema) as writer:
        rows: list[tuple[Any, ...]] = []
        for key, result in _rows(batch):
            texts = [None if cell is None else to_text(cell) for cell in _padded(batch, result)]
            rows.append((*texts, key, result.number, *result.found))
            if len(rows) == _PARQUET_ROWS:
                writer.write_table(table(rows))
                rows = []
        writer.write_table(table(rows))


_WRITERS: dict[str, Callable[[Batch, Path], None]] = {
    ".xlsx": _xlsx,
    ".csv": _csv,
    ".geojson": _geojson,
    ".parquet": _parquet,
}
ENDINGS = tuple(_WRITERS)
