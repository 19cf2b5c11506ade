"""The execution environment every job runs in: checkpoints, state, time zone, object reuse; and how it is submitted."""

import sys
from collections.abc import Callable, Sequence
from types import ModuleType

import cloudpickle
from pyflink.common import Configuration
from pyflink.datastream import CheckpointingMode, StreamExecutionEnvironment
from pyflink.table import StreamTableEnvironment

import apis
import conf
from conf.errors import CitystreamError
from conf.settings import Settings, load, serving
from control.single import refuse_second
from sinks import jar


def environment(
    settings: Settings, *, state_backend: str | None = None, python_mode: str = "process"
) -> tuple[StreamExecutionEnvironment, StreamTableEnvironment]:
    """A streaming environment with the project's guarantees switched on, and `flink.state_backend` or another one.

    Python runs in processes of its own, or with `python_mode="thread"` inside the TaskManagers.

    What a cluster's own configuration should decide (memory, restart strategy, where checkpoints go) is left to it, and
    the parallelism to `flink run --parallelism`.
    """
    configuration = Configuration()
    for key, value in {
        # A record is handed on without a copy between chained operators; our operators copy what they keep.
        "pipeline.object-reuse": "true",
        "state.backend.type": state_backend or settings.flink.state_backend,
        "execution.checkpointing.incremental": "true",
        # Most look-ups are for an id that was never seen: without a filter each reads from every level. In one piece
        # per file, filters and indexes would push each other out of a small cache (docs/decisions/0010).
        "state.backend.rocksdb.use-bloom-filter": "true",
        "state.backend.rocksdb.memory.partitioned-index-filters": "true",
        # Else a rescale fails where the path of the TaskManagers' temporary folder is long.
        "state.backend.rocksdb.options-factory": "citystream.state.LogsBesideData",
        "execution.checkpointing.interval": f"{int(settings.flink.checkpoint_interval_seconds * 1000)} ms",
        "execution.checkpointing.min-pause": "500 ms",
        "execution.checkpointing.timeout": "10 min",
        # While a server is away its sink holds the stream back, and no checkpoint completes: no reason to restart.
        "execution.checkpointing.tolerable-failed-checkpoints": "1000000",
        "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
        "python.execution-mode": python_mode,
        # A Python bundle is at most this old and this large before its results go on.
        "python.fn-execution.bundle.time": "500",
        "python.fn-execution.bundle.size": "5000",
        "table.local-time-zone": settings.time_zone,
        "table.exec.uid.generation": "ALWAYS",
        "pipeline.global-job-parameters": f"{jar.PARAMETER}:{jar.fingerprint()}",
    }.items():
        configuration.set_string(key, value)
    env = StreamExecutionEnvironment.get_execution_environment(configuration)
    env.get_checkpoint_config().set_checkpointing_mode(CheckpointingMode.EXACTLY_ONCE)
    return env, StreamTableEnvironment.create(env)


def submit(
    build: Callable[[Settings], StreamExecutionEnvironment], name: str, *, carrying: Sequence[ModuleType]
) -> None:
    """Build a job and hand it to the cluster; end the process with one sentence where that can't be done.

    Args:
        build: makes the job from the settings.
        name: the job's name.
        carrying: the packages whose code travels with the job, besides `apis` and `conf`: Python workers need not have
            them.
    """
    for package in (apis, conf, *carrying):
        cloudpickle.register_pickle_by_value(package)
    documents = ["elasticsearch"] if getattr(getattr(load(), name), "documents", False) else []
    try:
        settings = serving("kafka", "postgres", *documents)
        refuse_second(settings, name)
        build(settings).execute(name)
    except CitystreamError as error:
        sys.exit(str(error))
