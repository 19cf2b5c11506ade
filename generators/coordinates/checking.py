"""What is in a table of points, before anything is sent: its columns, its rows, good or bad, and where they lie."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

from generators.coordinates.cells import Cell, Plain, to_text, unformatted
from generators.coordinates.reading import MOST_ROWS, FileError, Table
from geo import proposals
from geo.proposals import Proposal
from geo.systems import NoNumberError, UnknownSystemError, number, system

DEFAULT_SHEET = "points"
MOST_SHEETS = 1000
MOST_SHEET_CHARACTERS = 100
AUTO = "auto"
# So that a row fits into a record of Kafka, whatever its characters are.
MOST_ROW_CHARACTERS = 50_000
_SAMPLE = 300
_EXAMPLES = 3
_MARKS = r"(좌표정보|좌표|중심점?|위치|coordinate|coord|position|pos|point|map|tmap|tm|utmk|katec|wgs84|gps|geo)?"
_AFTER = r"(좌표값?|값|coordinate|coord|pos|deg|(wgs|epsg)?\d{4,5}|wgs84|tm|utmk|katec)*"
_X = re.compile(rf"{_MARKS}(x|lon|lng|long|longitude|easting|경도){_AFTER}")
_Y = re.compile(rf"{_MARKS}(y|lat|latitude|northing|위도){_AFTER}")


@dataclass(frozen=True)
class Options:
    """How a file is to be read; with its content they name the batch.

    Attributes:
        crs: the coordinate system of the points, or `auto` to have it proposed.
        x, y: the columns' names; None: found by name.
        sheet_by: the column of whose values each becomes a sheet; None: one sheet.
    """

    crs: str
    x: str | None = None
    y: str | None = None
    sheet_by: str | None = None


class Point(NamedTuple):
    """A row: its number, from 1 below the header; its sheet; x and y as they stand there; all its cells; what is bad.

    A row with a fault goes the same way as the others, and comes back with its fault.
    """

    number: int
    sheet: str
    x: Plain
    y: Plain
    cells: list[Cell]
    fault: str | None


class Columns(NamedTuple):
    """The places of the columns that matter."""

    x: int
    y: int
    sheet: int | None


@dataclass
class Check:
    """What was found.

    Attributes:
        sheets: rows per sheet, in the order of the file.
        faults: how many rows are bad, by what is wrong with them, without what stands there.
        examples: some of them, as sentences.
        blank: rows without anything in them, which are left out.
        x, y, texts: of a sample of the good rows.
    """

    sheets: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)
    blank: int = 0
    x: list[float] = field(default_factory=list)
    y: list[float] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """All that will be sent."""
        return self.sheets.total()

    @property
    def good(self) -> int:
        """Of them, those with a point."""
        return self.rows - self.faults.total()

    def __str__(self) -> str:
        lines = [f"{self.rows:,} rows in {len(self.sheets):,} sheets: {self.good:,} good, {self.faults.total():,} bad"]
        lines += [f"  {count:,} rows: {fault}" for fault, count in self.faults.most_common()]
        lines += [f"  such as {example}" for example in self.examples]
        if self.blank:
            lines.append(f"  {self.blank:,} blank rows are left out")
        return "\n".join(lines)


class DoubtError(FileError):
    """The coordinate system is not told, or hardly the one that was.

    Attributes:
        proposals: the likely ones, the surest first.
    """

    def __init__(self, text: str, found: Sequence[Proposal]) -> None:
        super().__init__(text)
        self.proposals = found


def columns(table: Table, options: Options) -> Columns:
    """Find the columns.

    Raises:
        FileError: one is missing, or several would do.
    """
    if len(table.header) > 1 and all(_is_number(name) for name in table.header if name):
        msg = f"{table.path.name} has no header, its first row holds numbers: put a row of names above it, such as x,y"
        raise FileError(msg)
    return Columns(
        _column(table, "x", options.x, _X),
        _column(table, "y", options.y, _Y),
        None if options.sheet_by is None else _column(table, "sheet-by", options.sheet_by, None),
    )


def points(table: Table, options: Options) -> Iterator[Point]:
    """The rows, in the order of the file; blank ones are left out.

    Raises:
        FileError: the file can't be read to its end.
    """
    at = columns(table, options)
    for count, cells in enumerate(table.rows(), start=1):
        if cells:
            yield _point(count, cells, at, len(table.header))


def check(table: Table, options: Options) -> Check:
    """Go through all rows once.

    Raises:
        FileError: there is nothing to send, or it would not fit into a workbook.
    """
    system_of(options)
    found, draw, seen, last = Check(), Random(0), 0, 0
    for point in points(table, options):
        found.blank += point.number - last - 1
        last = point.number
        if sum(len(cell) for cell in point.cells if isinstance(cell, str)) > MOST_ROW_CHARACTERS:
            msg = f"{table.path.name}, row {last:,}: more than {MOST_ROW_CHARACTERS:,} characters, too long to be sent"
            raise FileError(msg)
        found.sheets[point.sheet] += 1
        if len(found.sheets) > MOST_SHEETS:
            msg = f"{options.sheet_by} has more than {MOST_SHEETS:,} values, each a sheet: take another for --sheet-by"
            raise FileError(msg)
        if len(point.sheet) > MOST_SHEET_CHARACTERS:
            msg = (
                f"{options.sheet_by} has a value of more than {MOST_SHEET_CHARACTERS} characters in row {last:,}: take "
                "another column for --sheet-by"
            )
            raise FileError(msg)
        if point.fault:
            found.faults[point.fault.partition(":")[0]] += 1
            if len(found.examples) < _EXAMPLES:
                found.examples.append(f"row {point.number:,}: {point.fault}")
            continue
        seen += 1
        place = len(found.x) if len(found.x) < _SAMPLE else draw.randrange(seen)
        if place < _SAMPLE:
            row = number(point.x), number(point.y), " ".join(c for c in point.cells if isinstance(c, str))
            for values, value in zip((found.x, found.y, found.texts), row, strict=True):
                values[place : place + 1] = [value]  # type: ignore[index]
    _refuse(table, options, found)
    return found


def system_of(options: Options) -> str:
    """The name of the coordinate system, as it goes with each row; `auto` stays as it is.

    Raises:
        FileError: there is none of that name.
    """
    if options.crs.strip().lower() == AUTO:
        return AUTO
    try:
        return system(options.crs).name
    except UnknownSystemError as error:
        raise FileError(str(error)) from None


def settle(check: Check, options: Options) -> None:
    """Return where nothing speaks against the coordinate system that was named.

    Raises:
        DoubtError: none was named, or these points are hardly in it.
    """
    name = system_of(options)
    if name == AUTO:
        found = proposals.propose(check.x, check.y, check.texts)[:4]
        lines = "".join(f"\n  {shown(each)}" for each in found)
        msg = (
            f"Name the coordinate system with --crs; likely ones are:{lines}"
            if found
            else "No coordinate system in use in Korea puts these points on its land: name theirs with --crs"
        )
        raise DoubtError(msg, found)
    in_korea, _ = proposals.landing(name, check.x, check.y)
    other = proposals.doubt(name, check.x, check.y, check.texts)
    if other:
        remedy = "x and y look swapped" if other.system == name else f"they look like {other.system}"
        how = f"--crs {other.system}" + (", with the columns of --x and --y changed round" if other.is_swapped else "")
        msg = (
            f"These points are hardly in {name}: {remedy} ({shown(other)}). Use {how}; or send them as they are with "
            "--anyway"
        )
        raise DoubtError(msg, [other])
    if in_korea < 0.5:
        msg = (
            f"{name} puts {1 - in_korea:.0%} of these points outside Korea: compare --crs, or have it proposed with "
            "--crs auto; or send them as they are with --anyway"
        )
        raise DoubtError(msg, [])


def shown(proposal: Proposal) -> str:
    """A proposal for people."""
    swapped = " with x and y swapped" if proposal.is_swapped else ""
    sure = min(proposal.sureness, 0.99)
    return (
        f"{proposal.system}{swapped}: {sure:.0%} sure, {proposal.in_korea:.0%} of the points on land, the first at "
        f"lon {proposal.lon:.5f}, lat {proposal.lat:.5f}" + (f" in {proposal.place}" if proposal.place else "")
    )


def _point(count: int, cells: list[Cell], at: Columns, width: int) -> Point:
    while len(cells) > width and cells[-1] is None:
        cells.pop()

    def cell(place: int) -> Cell:
        return cells[place] if place < len(cells) else None

    x, y, fault = unformatted(cell(at.x)), unformatted(cell(at.y)), None
    sheet = DEFAULT_SHEET if at.sheet is None else to_text(cell(at.sheet)).strip()
    if len(cells) > width:
        fault = f"has more cells than the header: {len(cells)}, not {width}"
    else:
        for name, value in (("x", x), ("y", y)):
            try:
                number(value)
            except NoNumberError as error:
                fault = f"{name} {error}"
                break
    return Point(count, sheet, x, y, cells, fault)


def _refuse(table: Table, options: Options, found: Check) -> None:
    if not found.rows:
        msg = f"{table.path.name} has no rows below its header: nothing to do"
        raise FileError(msg)
    if not found.good:
        msg = f"{table.path.name} has no row with a point: {'; '.join(found.examples)}"
        raise FileError(msg)
    sheet, most = found.sheets.most_common(1)[0]
    if most > MOST_ROWS - 1:
        how = "take another column for --sheet-by" if options.sheet_by else "split it with --sheet-by COLUMN"
        msg = f"Sheet {sheet!r} would have {most:,} rows, and Excel holds {MOST_ROWS - 1:,} below the header: {how}"
        raise FileError(msg)


def _column(table: Table, what: str, name: str | None, pattern: re.Pattern[str] | None) -> int:
    if name is not None or pattern is None:
        found = [place for place, each in enumerate(table.header) if each == (name or "").strip()]
        missing = f"--{what}: there is no column {name!r}"
    else:
        found = [place for place, each in enumerate(table.header) if pattern.fullmatch(_letters(each))]
        missing = f"no column looks like {what}: name it with --{what} COLUMN"
    if len(found) == 1:
        return found[0]
    if found:
        several = ", ".join(repr(table.header[place]) for place in found)
        missing = f"several columns could be {what} ({several}): name one with --{what} COLUMN, or rename them"
    listed = ", ".join(map(repr, table.header[:20])) + (", ..." if len(table.header) > 20 else "")
    msg = f"{table.path.name}, {missing}. Its columns are {listed}"
    raise FileError(msg)


def _letters(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.casefold())


def _is_number(name: str) -> bool:
    try:
        number(name)
    except NoNumberError:
        return False
    return True
