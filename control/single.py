"""One job of a name at a time: two would take each other's place in the database for ever.

The job's own `main` asks, so that it holds for the plain `flink run` at whatever cluster.
"""

import contextlib
import time

from conf.settings import Settings
from control.cluster import Cluster
from sinks import postgres
from sinks.errors import NotReadyError

# What a killed process leaves behind on the server is gone by then.
LEFTOVER_SECONDS = 15


def refuse_second(settings: Settings, name: str) -> None:
    """Refuse to start a job beside another one of its name.

    Raises:
        NotReadyError: one runs at the cluster, or writes to the database from another one; or PostgreSQL is away.
    """
    running = None
    with contextlib.suppress(NotReadyError):  # the job may be going to another cluster than the settings say
        running = Cluster(settings.flink.url).running(name)
    if running:
        where = f"({running}) at {settings.flink.url}"
        message = f"The job {name} runs already {where}: stop it first with `make stop JOB={name}`."
        raise NotReadyError(message)
    deadline = time.monotonic() + LEFTOVER_SECONDS
    while writers := _writers(settings, name):
        if time.monotonic() > deadline:
            message = (
                f"Another job {name} writes to PostgreSQL at {settings.postgres.shown}, from {', '.join(writers)}: "
                "stop it where it runs. Should it be gone and only its connections be left, end them with "
                f"pg_terminate_backend; in pg_stat_activity their application_name begins with {name} and a dot."
            )
            raise NotReadyError(message)
        time.sleep(1)


def _writers(settings: Settings, name: str) -> list[str]:
    """Where the sinks of a job of this name are connected from; each names its session <job>.<what>[<subtask>]."""
    with postgres.connect(settings) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT coalesce(host(client_addr), 'this machine') FROM pg_stat_activity"
            " WHERE datname = current_database() AND starts_with(application_name, %s) ORDER BY 1",
            (f"{name}.",),
        )
        return [address for (address,) in cursor.fetchall()]
