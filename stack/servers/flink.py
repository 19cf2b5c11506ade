"""A Flink session cluster out of the apache-flink package: one JobManager, several TaskManagers.

ZooKeeper, which that package brings as well, keeps what a JobManager that comes back has to know: the jobs, and the
checkpoint each of them goes on from.
"""

import functools
import http.client
import importlib.util
import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from conf.settings import ROOT
from sinks.jar import JAR
from stack import artifacts
from stack.credentials import private_folder
from stack.errors import StackError
from stack.layout import Port
from stack.services import HOST, Context, Service, properties

TUNABLE = ROOT / "conf" / "flink.yaml"
AGENT = Path(artifacts.__file__).with_name("plugin") / "LoopbackOnly.java"
_AGENT_MANIFEST = {"Premain-Class": f"citystream.stack.{AGENT.stem}", "Can-Retransform-Classes": "true"}
# ZooKeeper removes an empty folder within a minute, also that of the JobManager's election while its session is over;
# Curator 5.4, which Flink brings, then never stands for election again (CURATOR-724). So none is ever removed.
ZOOKEEPER_JAVA = {"JVM_ARGS": "-Dznode.container.checkIntervalMs=2147483647"}
_HEARTBEAT_SECONDS = 3
_JAVA_OPTIONS = "env.java.opts.all"
# Of each process: what Flink's scripts ask for its memory, and its main class.
_PROCESSES = {
    "jobmanager": (
        "GET_JM_RESOURCE_PARAMS",
        "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint",
    ),
    "taskmanager": ("GET_TM_RESOURCE_PARAMS", "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"),
}
# Without it, Flink's `cluster.intercept-user-system-exit` fails; Java 24 has no security manager at all.
_SECURITY_MANAGER_ASKED_FOR = range(18, 24)
_MEMORY_PREFIX = "BASH_JAVA_UTILS_EXEC_RESULT:"


def home() -> Path:
    """The Flink distribution inside the running environment.

    Raises:
        StackError: there is none.
    """
    found = importlib.util.find_spec("pyflink")
    if found is None or found.origin is None:
        msg = f"Flink is missing: {sys.executable} has no apache-flink; run `make install`."
        raise StackError(msg)
    return Path(found.origin).parent


def prepare(context: Context) -> None:
    """Write the cluster's configuration, and make the folders it works in."""
    folder = _configuration_folder(context)
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(home() / "conf" / "log4j-console.properties", folder / "log4j-console.properties")
    _lay_out_libraries(_libraries(context))
    (folder / "zoo.cfg").write_text(properties(_zookeeper_configuration(context)), encoding="utf-8")
    (folder / "config.yaml").write_text(yaml.safe_dump(configuration(context)), encoding="utf-8")
    artifacts.compiled(AGENT, _agent(context), context.java.home, manifest=_AGENT_MANIFEST)
    # Private: what Flink keeps of a job holds the secrets that the job was submitted with.
    private_folder(_data(context))
    for name in ("checkpoints", "savepoints", "high-availability", "zookeeper", "pid", "log"):
        (_data(context) / name).mkdir(parents=True, exist_ok=True)
    for process in _PROCESSES:
        _java_arguments(context, process).write_text(_arguments(context, process), encoding="utf-8")
    for number in range(context.settings.task_managers + 1):
        clear_temporary(context, number)


def clear_temporary(context: Context, number: int) -> None:
    """Make a process's temporary folder anew: what a killed one left in it is of no use to the next."""
    temporary = _temporary(context, number)
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)


def _lay_out_libraries(folder: Path) -> None:
    """The distribution's libraries, and what every job brings: PyFlink's own jar and the connectors.

    A job's classes are loaded anew at each of its restarts, and run slowly until they are compiled. What the cluster
    has itself stays loaded and compiled. Our own classes still come from the jar that is submitted.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for jar in [*(home() / "lib").glob("*.jar"), *(home() / "opt").glob("flink-python-*.jar")]:
        (folder / jar.name).symlink_to(jar)
    if JAR.is_file():
        # A copy: a jar must not change under a running process, and `make install` builds this one anew.
        shutil.copyfile(JAR, folder / JAR.name)


def _arguments(context: Context, process: str) -> str:
    """A process's command line as an argument file of Java's.

    The distribution's scripts work it out at each start, with four more Javas one after another: 2 s of processor time,
    while a job waits for the process that was killed.

    Raises:
        StackError: the memory that conf/flink.yaml gives the process doesn't add up.
    """
    folder = _configuration_folder(context)
    libraries = sorted(_libraries(context).glob("*.jar"))
    memory, main_class = _PROCESSES[process]
    command = [
        context.java.program,
        "-classpath",
        os.pathsep.join(map(str, [home() / "bin" / "bash-java-utils.jar", *libraries])),
        "org.apache.flink.runtime.util.bash.BashJavaUtils",
        memory,
        "--configDir",
        str(folder),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    answer = [line.removeprefix(_MEMORY_PREFIX) for line in done.stdout.splitlines() if _MEMORY_PREFIX in line]
    if done.returncode != 0 or not answer:
        reasons = [line for line in (done.stdout + done.stderr).splitlines() if "Exception" in line]
        msg = f"Flink refuses {TUNABLE.name} for its {process}: {reasons[0] if reasons else done.stderr.strip()}"
        raise StackError(msg)
    sizes, settings = (line.split() for line in answer)
    arguments = [
        *sizes,
        *java_options(context, process),
        "-classpath",
        os.pathsep.join(map(str, libraries)),
        main_class,
        "--configDir",
        str(folder),
        *settings,
    ]
    quoted = (argument.replace("\\", "\\\\").replace('"', '\\"') for argument in arguments)
    return "".join(f'"{argument}"\n' for argument in quoted)


def java_options(context: Context, process: str) -> list[str]:
    """A process's options of Java, besides those of its memory."""
    written = configuration(context)
    options = [written.get(name, "") for name in (_JAVA_OPTIONS, f"env.java.opts.{process}")]
    if context.java.version in _SECURITY_MANAGER_ASKED_FOR:
        options.append("-Djava.security.manager=allow")
    logging = (_configuration_folder(context) / "log4j-console.properties").as_uri()
    return [
        "-XX:+IgnoreUnrecognizedVMOptions",
        f"-javaagent:{_agent(context)}",
        *shlex.split(" ".join(options)),
        f"-Dlog4j.configurationFile={logging}",
    ]


def services(context: Context) -> Iterator[Service]:
    """ZooKeeper, the JobManager, then the TaskManagers."""
    ports = context.ports
    yield Service(
        name="zookeeper",
        command=[str(home() / "bin" / "zookeeper.sh"), "start-foreground", "1"],
        address=f"{HOST}:{ports.zookeeper.number}",
        ports=[ports.zookeeper],
        answers=functools.partial(_zookeeper_answers, context),
        environment={**_environment(context), **ZOOKEEPER_JAVA},
    )
    yield Service(
        name="jobmanager",
        command=_command(context, "jobmanager", 0),
        address=url(context),
        ports=[ports.flink, ports.flink_rpc, ports.metrics()],
        answers=functools.partial(_job_manager_answers, context),
        environment=_environment(context),
    )
    for number in range(1, context.settings.task_managers + 1):
        name = task_manager(number)
        yield Service(
            name=name,
            # With a lasting id, a TaskManager that comes back replaces its dead predecessor at once.
            command=[*_command(context, "taskmanager", number), "-D", f"taskmanager.resource-id={name}"],
            address=f"http://{HOST}:{ports.metrics(number).number}/metrics",
            ports=[ports.metrics(number)],
            answers=functools.partial(_task_manager_answers, context, number),
            environment=_environment(context),
        )


def task_manager(number: int) -> str:
    """The name of a TaskManager, for the stack and for Flink."""
    return f"taskmanager-{number}"


def task_manager_bytes() -> int:
    """How much memory conf/flink.yaml gives a TaskManager.

    Raises:
        StackError: conf/flink.yaml can't be read as settings.
    """
    size = str(settings_of(TUNABLE).get("taskmanager.memory.process.size", "0"))
    number, unit = size.rstrip("bBgGkKmM").strip(), size.strip().lower().rstrip("b")[-1:]
    return int(number) << {"k": 10, "m": 20, "g": 30}.get(unit, 0)


def url(context: Context) -> str:
    """The REST API and web page."""
    return f"http://{HOST}:{context.ports.flink.number}"


def configuration(context: Context) -> dict[str, Any]:
    """Flink's configuration with the addresses, ports and folders of this stack.

    Raises:
        StackError: conf/flink.yaml can't be read as settings.
    """
    data = _data(context)
    return tuned(
        {
            "env.java.home": str(context.java.home),
            "jobmanager.rpc.address": HOST,
            "jobmanager.rpc.port": context.ports.flink_rpc.number,
            "jobmanager.bind-host": HOST,
            "rest.address": HOST,
            "rest.port": context.ports.flink.number,
            "rest.bind-address": HOST,
            "rest.bind-port": context.ports.flink.number,
            "taskmanager.host": HOST,
            "taskmanager.bind-host": HOST,
            "taskmanager.numberOfTaskSlots": context.settings.slots_per_task_manager,
            "high-availability.type": "zookeeper",
            "high-availability.zookeeper.quorum": f"{HOST}:{context.ports.zookeeper.number}",
            "high-availability.storageDir": (data / "high-availability").as_uri(),
            "high-availability.jobmanager.port": context.ports.flink_rpc.number,
            "execution.checkpointing.dir": (data / "checkpoints").as_uri(),
            "execution.checkpointing.savepoint-dir": (data / "savepoints").as_uri(),
            "python.executable": sys.executable,
            "python.client.executable": sys.executable,
        }
    )


def tuned(own: Mapping[str, Any]) -> dict[str, Any]:
    """conf/flink.yaml over what the distribution needs, and a cluster's own settings over both.

    Raises:
        StackError: conf/flink.yaml can't be read as settings.
    """
    options = settings_of(home() / "conf" / "config.yaml").get(_JAVA_OPTIONS, "")
    tunable = settings_of(TUNABLE)
    # Java's modules have to be opened to Flink; the distribution knows which.
    return {**tunable, _JAVA_OPTIONS: " ".join(filter(None, [options, tunable.get(_JAVA_OPTIONS)])), **own}


def settings_of(file: Path) -> dict[str, Any]:
    """The settings in a file of Flink's, flat.

    Raises:
        StackError: there are none in it.
    """
    try:
        tree = yaml.safe_load(file.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        msg = f"{file} is not valid YAML: {error}"
        raise StackError(msg) from None
    if not isinstance(tree, dict):
        msg = f"{file} must hold settings, one `key: value` a line."
        raise StackError(msg)
    return flattened(tree)


def flattened(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as the flat keys that Flink's documentation uses."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            flat |= flattened(value, f"{name}.")
        else:
            flat[name] = value
    return flat


def _data(context: Context) -> Path:
    return context.layout.data / "flink"


def _configuration_folder(context: Context) -> Path:
    return context.layout.generated / "flink"


def _libraries(context: Context) -> Path:
    return context.layout.generated / "flink-lib"


def _temporary(context: Context, number: int) -> Path:
    return _data(context) / "tmp" / str(number)


def _agent(context: Context) -> Path:
    """What keeps Flink's processes to the loopback interface."""
    return context.layout.generated / f"{AGENT.stem}.jar"


def _java_arguments(context: Context, process: str) -> Path:
    return _configuration_folder(context) / f"{process}.arguments"


def _command(context: Context, process: str, number: int) -> list[str]:
    """How a process of the cluster is started; the JobManager is number 0."""
    log = _data(context) / "log" / f"{task_manager(number) if number else process}.log"
    temporary = _temporary(context, number)
    return [
        context.java.program,
        f"-Dlog.file={log}",
        f"-Djava.io.tmpdir={temporary}",
        f"@{_java_arguments(context, process)}",
        "-D",
        f"metrics.reporter.prom.port={context.ports.metrics(number).number}",
        "-D",
        f"io.tmp.dirs={temporary}",
    ]


def _environment(context: Context) -> dict[str, str]:
    # Python workers in thread mode look for the environment on the PATH. The rest isn't the caller's, so that two
    # shells describe the same stack.
    path = [str(Path(sys.executable).parent), str(context.java.home / "bin"), "/usr/local/bin", "/usr/bin", "/bin"]
    return {
        "PATH": os.pathsep.join(path),
        "JAVA_HOME": str(context.java.home),
        "FLINK_BIN_DIR": str(home() / "bin"),
        "FLINK_OPT_DIR": str(home() / "opt"),
        "FLINK_PLUGINS_DIR": str(home() / "plugins"),
        "FLINK_CONF_DIR": str(_configuration_folder(context)),
        "FLINK_LOG_DIR": str(_data(context) / "log"),
        "FLINK_LIB_DIR": str(_libraries(context)),
        "FLINK_PID_DIR": str(_data(context) / "pid"),
    }


def _get(port: Port, path: str) -> bytes:
    connection = http.client.HTTPConnection(HOST, port.number, timeout=4)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        answer = response.read()
    finally:
        connection.close()
    if response.status != http.client.OK:
        msg = f"HTTP {response.status} from {path}"
        raise StackError(msg)
    return answer


def _zookeeper_configuration(context: Context) -> dict[str, object]:
    return {
        "dataDir": _data(context) / "zookeeper",
        "clientPort": context.ports.zookeeper.number,
        "clientPortAddress": HOST,
        "tickTime": 1000,
        "admin.enableServer": "false",
        "autopurge.purgeInterval": 1,
    }


def _zookeeper_answers(context: Context) -> None:
    with socket.create_connection((HOST, context.ports.zookeeper.number), timeout=4) as connection:
        connection.sendall(b"srvr")
        answer = connection.recv(1024)
    if not answer.startswith(b"Zookeeper version"):
        msg = f"not serving: {answer.decode(errors='replace').strip() or 'no answer'}"
        raise StackError(msg)


def _job_manager_answers(context: Context) -> None:
    _get(context.ports.flink, "/overview")


def _task_manager_answers(context: Context, number: int) -> None:
    # For some seconds the JobManager still lists a TaskManager that was killed: ask the process itself, and take only
    # a registration that is alive.
    _get(context.ports.metrics(number), "/metrics")
    managers = json.loads(_get(context.ports.flink, "/taskmanagers"))["taskmanagers"]
    beats = {manager["id"]: manager["timeSinceLastHeartbeat"] / 1000 for manager in managers}
    name = task_manager(number)
    if time.time() - beats.get(name, 0) > _HEARTBEAT_SECONDS:
        msg = f"{name} is not registered with the JobManager yet"
        raise StackError(msg)
