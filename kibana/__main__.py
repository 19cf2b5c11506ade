"""`python -m kibana build` writes conf/kibana/*.ndjson from the definitions; `import` sends them to a Kibana."""

import argparse
import importlib.util
import sys

from conf.errors import Parser, command
from conf.settings import ROOT, load
from conf.streams import STREAMS
from kibana.importing import await_ready, client, dashboard, import_file
from kibana.objects import SavedObject, lines

DIRECTORY = ROOT / "conf" / "kibana"
# Of each stream that has something to show: its module's dashboards, by the name of the file.
FILES: dict[str, list[SavedObject]] = {
    f"{name}.ndjson": importlib.import_module(f"kibana.{name}").DASHBOARDS
    for name in sorted(STREAMS)
    if importlib.util.find_spec(f"kibana.{name}")
}


def build(_: argparse.Namespace) -> None:
    """Write the files."""
    DIRECTORY.mkdir(exist_ok=True)
    for name, dashboards in FILES.items():
        text = lines(dashboards)
        (DIRECTORY / name).write_text(text, encoding="utf-8")
        print(f"{(DIRECTORY / name).relative_to(ROOT)}: {text.count(chr(10))} objects")


def import_all(arguments: argparse.Namespace) -> None:
    """Import the files."""
    with client(load().kibana, arguments.url) as http:
        await_ready(http, arguments.wait, lambda line: print(line, flush=True))
        for name in FILES:
            print(f"{name}: {import_file(http, DIRECTORY / name)} objects imported")
        for each in (each for dashboards in FILES.values() for each in dashboards):
            print(f"{each.attributes['title']}: {dashboard(http, each.id)}")


@command
def main(arguments: list[str] | None = None) -> int:
    """Run one command; 0 when all is well."""
    parser = Parser(prog="python -m kibana", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    part = commands.add_parser("build", help="write conf/kibana/*.ndjson")
    part.set_defaults(run=build)
    part = commands.add_parser("import", help="import them, over what an earlier import left")
    part.add_argument("--url", help="Kibana's address; without it, KIBANA_URL or the setting kibana.url")
    part.add_argument("--wait", type=float, default=30, metavar="SECONDS", help="for Kibana to be ready (%(default)s)")
    part.set_defaults(run=import_all)
    chosen = parser.parse_args(arguments)
    chosen.run(chosen)
    return 0


if __name__ == "__main__":
    sys.exit(main())
