"""`make bench`: the whole table of rates and ratios, all measured in one run on a stack of its own.

Loads a topic with orders once, then reads it with each contestant in turn. Takes about half an hour for ten million.
"""

import os
import subprocess
import sys
import time
from dataclasses import dataclass, field

from rich.console import Console

# A stack of its own, beside one that may be running; before anything reads the settings.
os.environ.setdefault("CITYSTREAM__STACK__DIRECTORY", ".stack-bench")
os.environ.setdefault("CITYSTREAM__STACK__PORT_OFFSET", "2000")

from conf.settings import ROOT, Settings
from stack import control
from stack.cluster import Cluster

TOPIC = "deliveries"
TUTORIAL_TOPIC = "bench.tutorial"
console = Console(highlight=False)


@dataclass
class Measured:
    """What one contestant did."""

    name: str
    records: int
    seconds: float
    notes: list[str] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Records per second."""
        return self.records / self.seconds


def produce(topic: str, count: int) -> Measured:
    """Fill a topic with orders, as fast as two generator processes can."""
    command = [sys.executable, "-m", "generators.deliveries", f"--topic={topic}", f"--count={count}", "--rate=0"]
    flags = ["--processes=2", "--malformed-share=0.001", "--late-share=0.02", "--duplicate-share=0.01"]
    began = time.monotonic()
    subprocess.run([*command, *flags], cwd=ROOT, check=True)
    return Measured("generator, 2 processes, acknowledged by all replicas", count, time.monotonic() - began)


def run_bounded(settings: Settings, name: str, records: int, *arguments: str) -> Measured:
    """Submit bench/jobs/<name>.py, which stops at the topic's end; time from all tasks running to the last finished."""
    cluster = Cluster(settings.flink.url)
    command = control.flink_command(settings, name, parallelism=settings.flink.parallelism)
    command[-1] = f"bench/jobs/{name}.py"
    environment = {**os.environ, "PATH": f"{os.path.dirname(sys.executable)}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        [*command, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)
    job = cluster.newest(f"bench.{name}")
    while (state := cluster.state(job)) != "FINISHED":
        if state in ("FAILED", "CANCELED"):
            raise RuntimeError(cluster.last_failure(job))
        time.sleep(0.5)
    began, ended = cluster.times(job)
    return Measured(name, records, ended - began)
