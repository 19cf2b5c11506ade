"""`python -m kibana build` writes conf/kibana/*.ndjson from the definitions; `import` sends them to a Kibana."""

import argparse
import sys

from conf.errors import Parser, command
from conf.settings import ROOT, load
from kibana import carbon, deliveries
from kibana.importing import await_ready, client, import_file
from kibana.objects import lines

DIRECTORY = ROOT / "conf" / "kibana"
FILES = {"carbon.ndjson": carbon.DASHBOARDS, "deliveries.ndjson": deliveries.DASHBOARDS}


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
        for dashboard in (each for dashboards in FILES.values() for each in dashboards):
            print(f"{dashboard.attributes['title']}: {http.base_url}/app/dashboards#/view/{dashboard.id}")


@command
def main(arguments: list[str] | None = None) -> int:
    """Run one command; 0 when all is well."""
    parser = Parser(prog="python -m kibana", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser("build", help="write conf/kibana/*.ndjson")
    command.set_defaults(run=build)
    command = commands.add_parser("import", help="import them, over what an earlier import left")
    command.add_argument("--url", help="Kibana's address; without it, KIBANA_URL or the setting kibana.url")
    command.add_argument(
        "--wait", type=float, default=30, metavar="SECONDS", help="for Kibana to be ready (%(default)s)"
    )
    command.set_defaults(run=import_all)
    chosen = parser.parse_args(arguments)
    chosen.run(chosen)
    return 0


if __name__ == "__main__":
    sys.exit(main())
