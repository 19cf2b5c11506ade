"""A Flink process in a container: `python -m stack.container jobmanager`.

It writes Flink's config.yaml from conf/flink.yaml and deploy/flink.yaml, and becomes the distribution's own script.
"""

import os
import shutil
import socket
import sys
from pathlib import Path

import yaml

from conf.errors import Parser, command
from conf.settings import ROOT, load
from stack.servers import flink

OWN = ROOT / "deploy" / "flink.yaml"


def arguments(process: str) -> list[str]:
    """What the distribution's script for this process is called with."""
    if process == "zookeeper":
        return ["start-foreground", "1"]
    if process == "taskmanager":
        # With a lasting id, a TaskManager that comes back replaces its dead predecessor at once.
        own = {"taskmanager.host": socket.gethostname(), "taskmanager.resource-id": socket.gethostname()}
        return ["start-foreground", *(part for key, value in own.items() for part in ("-D", f"{key}={value}"))]
    return ["start-foreground"]


@command
def main() -> int:
    """Become the process; returns only when that fails."""
    parser = Parser(prog="python -m stack.container", description=__doc__)
    parser.add_argument("process", choices=["zookeeper", "jobmanager", "taskmanager"])
    process = parser.parse_args().process
    home = Path(os.environ.get("FLINK_HOME", "/opt/flink"))
    slots = {"taskmanager.numberOfTaskSlots": load().stack.slots_per_task_manager}
    configuration = flink.tuned({**flink.settings_of(OWN), **slots})
    (home / "conf" / "config.yaml").write_text(yaml.safe_dump(configuration), encoding="utf-8")
    # What a killed process left in its temporary folder is of no use to the next.
    temporary = Path(configuration["io.tmp.dirs"])
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    # Not this folder: a file in a Python worker's folder would shadow the standard library.
    os.chdir(temporary)
    script = str(home / "bin" / f"{process}.sh")
    own = flink.ZOOKEEPER_JAVA if process == "zookeeper" else {}
    os.execve(script, [script, *arguments(process)], {**os.environ, **own})  # noqa: S606 - it takes this process's place


if __name__ == "__main__":
    sys.exit(main())
