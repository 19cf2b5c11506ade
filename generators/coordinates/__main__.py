"""Upload files of points and export what was found: `python -m generators.coordinates --help`."""

import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from conf import settings
from conf.errors import Parser, command
from conf.settings import Settings
from generators.coordinates import batches
from generators.coordinates.checking import AUTO, Check, DoubtError, Options, columns, shown
from generators.coordinates.exporting import ENDINGS, export
from generators.coordinates.reading import Table, read
from generators.coordinates.sending import checked, send, to_stderr

_LOOK_SECONDS = 1.0
_SAY_SECONDS = 5.0


@command
def main(arguments: Sequence[str] | None = None) -> int:
    """Upload or export; 0 when all rows were acknowledged, or the file is written."""
    chosen = _parser().parse_args(arguments)
    known = settings.load()
    if chosen.command == "export":
        return _export(known, chosen.batch, chosen.out, chosen.wait)
    table = read(chosen.file)
    options, found = _settled(table, Options(chosen.crs, chosen.x, chosen.y, chosen.sheet_by), anyway=chosen.anyway)
    batch_id = send(table, options, found, known, to_stderr)
    to_stderr(str(batches.progress(known, batch_id)))
    print(f"batch {batch_id}")
    return 0


def _parser() -> Parser:
    parser = Parser(
        prog="python -m generators.coordinates",
        description="Points of a file to WGS84 positions, regions and addresses, and back as a workbook.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    upload = commands.add_parser(
        "upload",
        help="check a file and send its rows; the last word printed is the batch's id",
        description="Check a CSV or XLSX file and send its rows. The same file again resumes the same batch.",
    )
    add = upload.add_argument
    add(
        "file",
        type=Path,
        help="CSV, in UTF-8, UTF-16 or CP949, or XLSX, of which the first sheet is read",
    )
    add("--crs", required=True, metavar="NAME", help="the coordinate system: EPSG:5174 or another that PROJ knows, "
        f"KATEC, WTM, WCONGNAMUL; {AUTO}: have the likely ones proposed")  # fmt: skip
    add("--x", metavar="COLUMN", help="the column of x, longitude or easting; found by its name unless it is given")
    add("--y", metavar="COLUMN", help="the column of y, latitude or northing")
    add("--sheet-by", metavar="COLUMN", help="each value of this column becomes a sheet; without it there is one sheet")
    add("--anyway", action="store_true", help="send the points even where they are hardly in that system")
    out = commands.add_parser(
        "export",
        help="write what was found",
        description="Write what was found so far: one sheet per key, and whether more is to come.",
    )
    out.add_argument("batch", help="the id that the upload printed")
    out.add_argument("out", type=Path, help=f"the file to write; its ending says how: {', '.join(ENDINGS)}")
    out.add_argument("--wait", type=float, default=0, metavar="SECONDS", help="wait so long for the batch's end")
    return parser


def _settled(table: Table, options: Options, *, anyway: bool) -> tuple[Options, Check]:
    """Options with a coordinate system; on a terminal, a person is asked which of the likely ones it is."""
    try:
        return options, checked(table, options, anyway=anyway, say=to_stderr)
    except DoubtError as doubt:
        if options.crs.strip().lower() != AUTO or not doubt.proposals or not sys.stdin.isatty():
            raise
        for number, proposal in enumerate(doubt.proposals, start=1):
            to_stderr(f"{number}. {shown(proposal)}")
        print("Which one? Its number, or Enter for none: ", end="", file=sys.stderr, flush=True)
        answer = sys.stdin.readline().strip()
        if answer not in map(str, range(1, len(doubt.proposals) + 1)):
            raise
        picked = doubt.proposals[int(answer) - 1]
        at = columns(table, options)
        x, y = (table.header[place] for place in ((at.y, at.x) if picked.is_swapped else (at.x, at.y)))
        return _settled(table, replace(options, crs=picked.system, x=x, y=y), anyway=True)


def _export(known: Settings, batch_id: str, out: Path, seconds: float) -> int:
    until, said = time.monotonic() + seconds, 0.0
    far = batches.progress(known, batch_id)
    while not far.is_complete and (now := time.monotonic()) < until:
        if now - said >= _SAY_SECONDS:
            said = now
            to_stderr(str(far))
        time.sleep(min(_LOOK_SECONDS, until - now))
        far = batches.progress(known, batch_id)
    with batches.opened(known, batch_id) as batch:
        export(batch, out)
        state = "" if batch.is_complete else "not complete yet, export it again later: "
        counts = ", ".join(f"{count:,} {status}" for status, count in batch.counts.items())
    to_stderr(f"{out}: {state}{counts}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
