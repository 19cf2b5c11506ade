"""docker-compose.yml and deploy/Dockerfile hold together, and with the local stack: files, commands, names, versions.

Each check is a function of a checkout that returns what is wrong; it is also shown a checkout in which that is broken.
"""

import importlib.util
import re
import shutil
import tomllib
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from conf.settings import ADDRESSES, ROOT, Settings
from conf.streams import STREAMS
from stack import accounts
from stack.layout import Port, PortPlan
from stack.servers import flink, kafka, postgres

# Images whose own programs a command or a health check may start, and what is known to be in them.
PROGRAMS = {
    "apache/kafka": {"bash"},
    "postgres": {"postgres", "pg_isready"},
    "docker.elastic.co/elasticsearch/elasticsearch": {"curl"},
    "docker.elastic.co/kibana/kibana": {"curl"},
    "prom/prometheus": {"wget"},
    "grafana/grafana": {"wget"},
    "ghcr.io/kafbat/kafka-ui": {"wget"},
    "citystream": {"bash", "curl", "python"},
}
# Variables of the official images and exporters; those of ours are checked against the settings.
FOREIGN = re.compile(
    r"(KAFKA|POSTGRES|ELASTICSEARCH|SERVER|XPACK|TELEMETRY|GF|DATA_SOURCE|ES|JAVA)_[A-Z0-9_]+|CLUSTER_ID"
)
# What one-shots of ours read beside the settings.
OWN = {"ELASTIC_PASSWORD", "KIBANA_USER", "KIBANA_PASSWORD", *accounts.BUILT_IN.values()}
COMPOSE = {"COMPOSE_PROFILES", "COMPOSE_PROJECT_NAME"}
VARIABLE = re.compile(r"(?<!\$)\$\{(\w+)(?::?([-?])([^}]*))?\}")


class Checkout:
    """The files that the checks read."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.text = self.read("docker-compose.yml")
        self.compose: dict[str, Any] = yaml.safe_load(self.text)
        self.services: dict[str, dict[str, Any]] = self.compose["services"]
        self.dockerfile = self.read("deploy/Dockerfile")
        self.settings = yaml.safe_load(self.read("conf/citystream.yaml"))
        lines = [line for line in self.read(".env.example").splitlines() if line and not line.startswith("#")]
        self.env = dict(line.split("=", 1) for line in lines)

    def read(self, path: str) -> str:
        return (self.root / path).read_text(encoding="utf-8")

    def ours(self) -> Iterator[tuple[str, dict[str, Any]]]:
        return ((name, each) for name, each in self.services.items() if repository(each["image"]) == "citystream")

    def properties(self, pom: str) -> dict[str, str]:
        found = ET.fromstring(self.read(pom)).find("{*}properties")  # noqa: S314
        return {each.tag.partition("}")[2]: each.text or "" for each in (found if found is not None else [])}


def repository(image: str) -> str:
    return image.rpartition(":")[0]


def tag(image: str) -> str:
    return image.rpartition(":")[2]


def images(checkout: Checkout) -> Iterator[str]:
    yield from (each["image"] for each in checkout.services.values())
    yield from re.findall(r"^FROM (\S+)", checkout.dockerfile, re.MULTILINE)


def unpinned(checkout: Checkout) -> list[str]:
    """Images without a whole version in their tag."""
    return [image for image in images(checkout) if not re.search(r":v?\d+\.\d+(\.\d+)?[\w.-]*$", image)]


def missing_files(checkout: Checkout) -> list[str]:
    """Bind mounts, env files, build files and COPY sources that are not there."""
    wanted: list[str] = []
    for service in checkout.services.values():
        wanted += [mount.split(":")[0] for mount in service.get("volumes", []) if mount.startswith(".")]
        wanted += service.get("env_file", [])
        if build := service.get("build"):
            wanted += [build["context"], build["dockerfile"]]
    for source in re.findall(r"^COPY (?!--from)((?:\S+ )+)\S+$", checkout.dockerfile, re.MULTILINE):
        wanted += source.split()
    allowed = {line.removeprefix("!") for line in checkout.read(".dockerignore").splitlines() if line.startswith("!")}
    ignored = [
        source
        for line in re.findall(r"^COPY (?!--from)((?:\S+ )+)\S+$", checkout.dockerfile, re.MULTILINE)
        for source in line.split()
        if source.split("/")[0] not in allowed
    ]
    return [path for path in wanted if path != "." and not list(checkout.root.glob(path))] + ignored


def missing_volumes(checkout: Checkout) -> list[str]:
    """Named volumes that are not declared, and declared ones that nothing uses."""
    used = {
        mount.split(":")[0]
        for service in checkout.services.values()
        for mount in service.get("volumes", [])
        if not mount.startswith(".")
    }
    return sorted(used ^ set(checkout.compose["volumes"]))


def missing_commands(checkout: Checkout) -> list[str]:
    """Modules and programs that a command or a health check names and that are not there."""
    wrong = []
    for name, service in checkout.services.items():
        known = PROGRAMS.get(repository(service["image"]), set())
        entry, command = service.get("entrypoint", []), service.get("command", [])
        words = " ".join([*entry, *command])
        modules = re.findall(r"python -m ([\w.]+)", words)
        if repository(service["image"]) == "citystream" and not modules:
            wrong.append(f"{name}: starts no module")
        for module in modules:
            path = checkout.root / module.replace(".", "/")
            if not path.with_suffix(".py").is_file() and not (path / "__main__.py").is_file():
                wrong.append(f"{name}: {module}")
        test = service.get("healthcheck", {}).get("test", [])
        program = test[1].split()[0] if test else None
        started = [program, command[0] if command and not entry and not command[0].startswith("-") else None]
        wrong += [f"{name}: {each}" for each in started if each is not None and each not in known]
        if "stack.control" in command:
            job = command[-1]
            if not (checkout.root / "jobs" / f"{job}.py").is_file():
                wrong.append(f"{name}: job {job}")
    return wrong


def wrong_dependencies(checkout: Checkout) -> list[str]:
    """Services that wait for one that is not there, or for what it never becomes."""
    wrong = []
    for name, service in checkout.services.items():
        for other, how in service.get("depends_on", {}).items():
            target = checkout.services.get(other)
            if target is None:
                wrong.append(f"{name} -> {other}: no such service")
                continue
            condition, once = how["condition"], target.get("restart") == "no"
            if condition == "service_healthy" and ("healthcheck" not in target or once):
                wrong.append(f"{name} -> {other}: never healthy")
            if condition == "service_completed_successfully" and not once:
                wrong.append(f"{name} -> {other}: never completes")
            if condition == "service_started":
                wrong.append(f"{name} -> {other}: started is not ready")
            if set(target.get("profiles", [])) - set(service.get("profiles", [])):
                wrong.append(f"{name} -> {other}: is in a profile of its own")
    return wrong


def unlimited(checkout: Checkout) -> list[str]:
    """Services without a memory limit, a restart policy or a bound on their logs."""
    wanted = ("mem_limit", "restart", "logging")
    return [f"{name}: {key}" for name, each in checkout.services.items() for key in wanted if key not in each]


def open_ports(checkout: Checkout) -> list[str]:
    """Ports that are published elsewhere than where .env says."""
    published = [port for each in checkout.services.values() for port in each.get("ports", [])]
    wrong = [port for port in published if not port.startswith("${BIND_ADDRESS:-127.0.0.1}:${")]
    return wrong + ([] if checkout.env.get("BIND_ADDRESS") == "127.0.0.1" else ["BIND_ADDRESS"])


def unknown_settings(checkout: Checkout) -> list[str]:
    """Environment variables that no setting, no one-shot and no image knows."""
    wrong = []
    for name, service in checkout.services.items():
        is_ours = repository(service["image"]) == "citystream"
        for variable in service.get("environment", {}):
            if variable.startswith("CITYSTREAM__"):
                known = is_setting(checkout.settings, variable.removeprefix("CITYSTREAM__").lower().split("__"))
            elif is_ours:
                known = variable in ADDRESSES or variable in OWN
            elif repository(service["image"]).endswith("/elasticsearch"):
                known = variable in ("ELASTIC_PASSWORD", "ES_JAVA_OPTS") or "." in variable
            else:
                known = bool(FOREIGN.fullmatch(variable))
            if not known:
                wrong.append(f"{name}: {variable}")
    return wrong


def is_setting(tree: Any, path: list[str]) -> bool:
    for key in path:
        if not isinstance(tree, dict) or key not in tree:
            return False
        tree = tree[key]
    return True


def wrong_variables(checkout: Checkout) -> list[str]:
    """Variables that .env.example and docker-compose.yml don't both know, or know differently."""
    lines = [line for line in checkout.text.splitlines() if not line.lstrip().startswith("#")]
    used = VARIABLE.findall("\n".join(lines))
    wrong = sorted(set(checkout.env) ^ ({name for name, _, _ in used} | COMPOSE))
    for name, operator, rest in used:
        if operator == "?" and "cp .env.example .env" not in rest:
            wrong.append(f"{name}: its error does not say what to do")
        if operator == "-" and rest != checkout.env.get(name):
            wrong.append(f"{name}: another default")
        if operator == "" or (operator == "?") != name.endswith(("_PASSWORD", "ENCRYPTION_KEY")):
            wrong.append(f"{name}: only secrets have to be set")
    return wrong


def unknown_profiles(checkout: Checkout) -> list[str]:
    """Profiles that .env.example doesn't bring up, or that no service is in."""
    used = {profile for each in checkout.services.values() for profile in each.get("profiles", [])}
    return sorted(used ^ set(checkout.env.get("COMPOSE_PROFILES", "").split(",")))


def versions(checkout: Checkout) -> list[str]:
    """Versions that differ from the one place that states them."""
    tags = {repository(image): tag(image) for image in images(checkout)}
    project = tomllib.loads(checkout.read("pyproject.toml"))["project"]
    stack = checkout.properties("stack/pom.xml")
    java = checkout.properties("sinks/java/pom.xml")
    locked = re.search(r"^apache-flink==(\S+)", checkout.read("requirements.lock"), re.MULTILINE)
    python = project["requires-python"].removeprefix(">=").split(",")[0]
    postgres_version = stack["postgres.version"].rpartition(".")[0]  # the archive's third number is its own
    expected = {
        "citystream": project["version"],
        "apache/kafka": stack["kafka.version"],
        "docker.elastic.co/elasticsearch/elasticsearch": stack["elasticsearch.version"],
        "docker.elastic.co/kibana/kibana": stack["elasticsearch.version"],
        "postgres": f"{postgres_version}-bookworm",
        "flink": f"{java['flink.version']}-java{java['maven.compiler.release']}",
    }
    wrong = [
        f"{name}: {tags.get(name)}, not {version}" for name, version in expected.items() if tags.get(name) != version
    ]
    if locked is None or locked[1] != java["flink.version"]:
        wrong.append("requirements.lock: apache-flink")
    if not tags["python"].startswith(f"{python}.") or f"/lib/python{python}/" not in checkout.dockerfile:
        wrong.append(f"python: {tags['python']}, not {python}")
    if not tags["maven"].endswith(f"-{java['maven.compiler.release']}"):
        wrong.append(f"maven: {tags['maven']}, not Java {java['maven.compiler.release']}")
    return wrong


def other_than_the_local_stack(checkout: Checkout) -> list[str]:
    """Server settings in which docker-compose.yml differs from the local stack."""
    wrong = []
    command = [word.removeprefix("-c") for word in checkout.services["postgres"]["command"][1:]]
    if dict(word.split("=", 1) for word in command) != dict(postgres.SETTINGS):
        wrong.append("postgres")
    local = {f"KAFKA_{key.upper().replace('.', '_')}": str(value) for key, value in kafka.SETTINGS.items()}
    for node in (1, 2, 3):
        environment = checkout.services[f"kafka-{node}"]["environment"]
        wrong += [f"kafka-{node}: {key}" for key, value in local.items() if environment.get(key) != value]
        if environment["KAFKA_NODE_ID"] != str(node) or f"INTERNAL://kafka-{node}:" not in str(environment):
            wrong.append(f"kafka-{node}: its id")
    containers = yaml.safe_load(checkout.read("deploy/flink.yaml"))
    own = {"io.tmp.dirs", "metrics.reporter.prom.port"}  # the local stack gives these to each process
    elsewhere = {"env.java.home", "taskmanager.host", "taskmanager.numberOfTaskSlots"}  # stack/container.py, the image
    if set(containers) - own != LOCAL_FLINK - elsewhere:
        wrong.append(f"flink: {sorted((set(containers) - own) ^ (LOCAL_FLINK - elsewhere))}")
    if set(containers) & set(yaml.safe_load(checkout.read("conf/flink.yaml"))):
        wrong.append("flink: set in both files")
    return wrong


def meeting_ports(checkout: Checkout) -> list[str]:
    """Published ports that the local stack or the tests' stack listens on."""
    stack = Settings().stack
    taken = set()
    for offset in (0, 1000, 2000):
        plan = PortPlan(stack.model_copy(update={"port_offset": offset}))
        named = [getattr(plan, name) for name, kind in vars(PortPlan).items() if isinstance(kind, property)]
        flat = [port for each in named for port in (each if isinstance(each, list) else [each])]
        taken |= {port.number for port in flat if isinstance(port, Port)} | {plan.metrics(n).number for n in range(3)}
    ports = [name for name in checkout.env if name.endswith("_PORT")]
    doubled = [name for name in ports if list(checkout.env.values()).count(checkout.env[name]) > 1]
    return doubled + [name for name in ports if int(checkout.env[name]) in taken]


def builders(checkout: Checkout) -> list[str]:
    """Services of ours that would be pulled; one builds the image, the others take it."""
    building = [name for name, each in checkout.ours() if "build" in each]
    return building[1:] + [name for name, each in checkout.ours() if each.get("pull_policy") != "never"]


def unscraped(checkout: Checkout) -> list[str]:
    """Targets of Prometheus that are no service."""
    scraped = yaml.safe_load(checkout.read("conf/prometheus/prometheus.yaml"))["scrape_configs"]
    targets = [target for job in scraped for each in job["static_configs"] for target in each["targets"]]
    return [target for target in targets if target.split(":")[0] not in checkout.services]


def unserved_streams(checkout: Checkout) -> list[str]:
    """Streams whose job no service submits, or whose topics none fills; a feed is in the profile `demo`."""
    wrong = []
    for stream in STREAMS.values():
        submit = checkout.services.get(f"submit-{stream.name}", {})
        if submit.get("command", [])[-2:] != ["ensure", stream.name] or "profiles" in submit:
            wrong.append(f"{stream.name}: its job")
        if stream.feed is not None:
            words = {
                word
                for _, each in checkout.ours()
                if each.get("profiles") == ["demo"]
                for word in " ".join(each["command"]).split()
            }
            if stream.feed not in words:
                wrong.append(f"{stream.name}: its feed")
    return wrong


Check = Callable[[Checkout], list[str]]
# Each check, and changes of a file that it has to notice.
BROKEN: list[tuple[Check, str, str, str]] = [
    (unpinned, "docker-compose.yml", "grafana/grafana:12.3.1", "grafana/grafana"),
    (unpinned, "docker-compose.yml", "prom/prometheus:v3.5.0", "prom/prometheus:latest"),
    (unpinned, "deploy/Dockerfile", "maven:3.9.11-eclipse-temurin-17", "maven:3"),
    (missing_files, "docker-compose.yml", "./conf/prometheus:", "./conf/prometheos:"),
    (missing_files, "docker-compose.yml", "dockerfile: deploy/Dockerfile", "dockerfile: Dockerfile"),
    (missing_files, "deploy/Dockerfile", "COPY sql sql", "COPY sqls sql"),
    (missing_files, ".dockerignore", "!sql\n", ""),
    (missing_volumes, "docker-compose.yml", "grafana:/var/lib/grafana", "graphana:/var/lib/grafana"),
    (missing_commands, "docker-compose.yml", "[sinks.prepare]", "[sinks.prepared]"),
    (missing_commands, "docker-compose.yml", "generators.pollers.carbon backfill", "generators.poller backfill"),
    (missing_commands, "docker-compose.yml", "stack.container, zookeeper", "stack.containers, zookeeper"),
    (missing_commands, "docker-compose.yml", "ensure, carbon]", "ensure, carbons]"),
    (missing_commands, "docker-compose.yml", "[CMD, pg_isready", "[CMD, pg_ready"),
    (wrong_dependencies, "docker-compose.yml", "simulator: {condition", "simulators: {condition"),
    (
        wrong_dependencies,
        "docker-compose.yml",
        "prepare: {condition: service_completed_successfully}",
        "prepare: {condition: service_healthy}",
    ),
    (
        wrong_dependencies,
        "docker-compose.yml",
        "jobmanager: {condition: service_healthy}",
        "jobmanager: {condition: service_completed_successfully}",
    ),
    (wrong_dependencies, "docker-compose.yml", "build: {context", "profiles: [demo]\n    build: {context"),
    (unlimited, "docker-compose.yml", "mem_limit: 1600m", "cpus: 1"),
    (open_ports, "docker-compose.yml", "${BIND_ADDRESS:-127.0.0.1}:${FLINK_PORT", "${FLINK_PORT"),
    (open_ports, ".env.example", "BIND_ADDRESS=127.0.0.1", "BIND_ADDRESS=0.0.0.0"),
    (unknown_settings, "docker-compose.yml", "SLOTS_PER_TASK_MANAGER:", "SLOTS_PER_TASKMANAGER:"),
    (unknown_settings, "docker-compose.yml", "FLINK_URL: http", "FLINK_ADDRESS: http"),
    (unknown_settings, "docker-compose.yml", "GF_USERS_ALLOW_SIGN_UP", "USERS_ALLOW_SIGN_UP"),
    (wrong_variables, "docker-compose.yml", "${KAKAO_REST_KEY:-}", "${KAKAO_KEY:-}"),
    (wrong_variables, "docker-compose.yml", "${KIBANA_PORT:-5601}:5601", "${KIBANA_PORT:-5602}:5601"),
    (
        wrong_variables,
        "docker-compose.yml",
        "${GRAFANA_PASSWORD:?run",
        "${GRAFANA_PASSWORD:-admin}${GRAFANA_PASSWORD:?run",
    ),
    (wrong_variables, ".env.example", "MONITORING_PASSWORD=", "MONITOR_PASSWORD="),
    (unknown_profiles, ".env.example", "COMPOSE_PROFILES=demo,monitoring", "COMPOSE_PROFILES=demo"),
    (versions, "docker-compose.yml", "apache/kafka:4.1.1", "apache/kafka:4.1.0"),
    (versions, "docker-compose.yml", "elasticsearch/elasticsearch:8.19.8", "elasticsearch/elasticsearch:8.19.9"),
    (versions, "docker-compose.yml", "kibana/kibana:8.19.8", "kibana/kibana:8.19.9"),
    (versions, "docker-compose.yml", "postgres:17.6", "postgres:17.5"),
    (versions, "docker-compose.yml", "citystream:0.1.0", "citystream:0.2.0"),
    (versions, "deploy/Dockerfile", "FROM flink:2.2.1-java17", "FROM flink:2.2.0-java17"),
    (versions, "deploy/Dockerfile", "FROM python:3.11.14", "FROM python:3.12.1"),
    (versions, "deploy/Dockerfile", "eclipse-temurin-17", "eclipse-temurin-21"),
    (versions, "requirements.lock", "apache-flink==2.2.1", "apache-flink==2.2.0"),
    (versions, "sinks/java/pom.xml", "<flink.version>2.2.1", "<flink.version>2.2.0"),
    (versions, "stack/pom.xml", "<elasticsearch.version>8.19.8", "<elasticsearch.version>8.19.9"),
    (other_than_the_local_stack, "docker-compose.yml", "-csynchronous_commit=on", "-csynchronous_commit=off"),
    (other_than_the_local_stack, "docker-compose.yml", 'MIN_INSYNC_REPLICAS: "2"', 'MIN_INSYNC_REPLICAS: "1"'),
    (other_than_the_local_stack, "docker-compose.yml", 'KAFKA_NODE_ID: "2"', 'KAFKA_NODE_ID: "1"'),
    (other_than_the_local_stack, "deploy/flink.yaml", "high-availability.type: zookeeper\n", ""),
    (other_than_the_local_stack, "deploy/flink.yaml", "io.tmp.dirs:", "heartbeat.interval: 5\nio.tmp.dirs:"),
    (meeting_ports, ".env.example", "FLINK_PORT=8081", "FLINK_PORT=18081"),
    (meeting_ports, ".env.example", "GRAFANA_PORT=3000", "GRAFANA_PORT=9090"),
    (builders, "docker-compose.yml", "command: [board]", "command: [board]\n    build: {context: .}"),
    (builders, "docker-compose.yml", "pull_policy: never", "pull_policy: missing"),
    (unserved_streams, "docker-compose.yml", "submit-carbon:", "submit-emission:"),
    (unserved_streams, "docker-compose.yml", "ensure, deliveries]", "ensure, carbon]"),
    (unserved_streams, "docker-compose.yml", "command: [generators.deliveries]", "command: [generators.simulator]"),
    (unserved_streams, "docker-compose.yml", "python -m generators.pollers.carbon", "python -m generators.simulator"),
    (unscraped, "conf/prometheus/prometheus.yaml", "jobmanager:9249", "job-manager:9249"),
]
CHECKS = list(dict.fromkeys(check for check, *_ in BROKEN))
LOCAL_FLINK: set[str] = set()


@pytest.fixture(scope="session", autouse=True)
def _local_flink() -> None:
    import inspect

    LOCAL_FLINK.update(re.findall(r'^\s+"([\w.-]+)":', inspect.getsource(flink.configuration), re.MULTILINE))
    assert "rest.port" in LOCAL_FLINK


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_nothing_is_wrong(check: Check) -> None:
    assert check(Checkout(ROOT)) == []


@pytest.fixture(scope="session")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout of links: whatever is broken in it is a file of its own."""
    root = tmp_path_factory.mktemp("checkout")
    for path in ROOT.iterdir():
        if not path.name.startswith(".") or path.name in (".env.example", ".dockerignore"):
            (root / path.name).symlink_to(path)
    return root


@pytest.mark.parametrize(
    ("check", "file", "old", "new"), BROKEN, ids=[f"{check.__name__}: {new[:40]}" for check, _, _, new in BROKEN]
)
def test_what_is_broken_is_noticed(check: Check, file: str, old: str, new: str, copy: Path, tmp_path: Path) -> None:
    text = (ROOT / file).read_text(encoding="utf-8")
    assert old in text
    root = shutil.copytree(copy, tmp_path / "checkout", symlinks=True)
    top = root / Path(file).parts[0]
    if top.is_symlink() and top.is_dir():
        source = top.resolve()
        top.unlink()
        shutil.copytree(source, top, ignore=shutil.ignore_patterns("target", "__pycache__"))
    elif top.is_symlink():
        top.unlink()
    (root / file).write_text(text.replace(old, new), encoding="utf-8")
    before = check(Checkout(ROOT))
    assert set(check(Checkout(root))) - set(before), "the check does not notice"


def test_every_module_of_ours_is_in_the_image() -> None:
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    dockerfile = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
    copied = set(re.findall(r"^COPY (?:(\w+)|(\w+)/\*\.py) (?:\w+)/?$", dockerfile, re.MULTILINE))
    assert set(packages) - {"bench", "monitoring"} <= {name for pair in copied for name in pair}


def test_the_role_of_jobs_is_the_local_stacks() -> None:
    assert importlib.util.find_spec("stack.accounts") is not None
    assert {"kibana_system", "remote_monitoring_user"} == set(accounts.BUILT_IN)
