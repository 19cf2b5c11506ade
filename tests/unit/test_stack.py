"""The local stack without servers: what it writes, what it checks, and what it says."""

import configparser
import os
import re
import socket
import stat
import subprocess
import time
import xml.etree.ElementTree as ET
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from conf import factors
from conf.settings import ROOT, Stack, load
from conf.streams import STREAMS
from conf.templates import templates
from control.facts import Facts
from sinks.jar import fingerprint
from stack import accounts, artifacts, doctor, health, preflight, supervision
from stack.__main__ import jobs, main
from stack.artifacts import DownloadProgress, Programs
from stack.credentials import Credentials, write_private
from stack.errors import StackError
from stack.layout import Layout, Port, PortPlan, postgres_platform
from stack.lifecycle import LocalStack, addresses, all_services, close, env_text, last_lines
from stack.servers import flink, kafka, postgres
from stack.services import Context, Java, Service
from tests import slate


@pytest.fixture
def settings(tmp_path: Path) -> Stack:
    return load().stack.model_copy(update={"directory": tmp_path / "stack", "port_offset": 1000})


@pytest.fixture
def context(settings: Stack, tmp_path: Path) -> Context:
    return Context(
        settings=settings,
        layout=Layout(tmp_path / "stack", as_root=False),
        ports=PortPlan(settings),
        programs=Programs.under(tmp_path / "cache", "linux-amd64"),
        credentials=Credentials(tmp_path / "credentials.json"),
        java=Java(Path("/java"), 17),
    )


def service(name: str = "one", answers: object = lambda: None, **changes: object) -> Service:
    plain = Service(name=name, command=["run"], address="", ports=[], answers=lambda: None)
    return replace(plain, answers=answers, **changes)  # type: ignore[arg-type]


def state(name: str = "one", pid: int = 1, statename: str = "RUNNING") -> supervision.State:
    return supervision.State(name, statename, pid, 0, Path("/log"), "")


class TestLayout:
    def test_roots_data_is_outside_the_checkout(self) -> None:
        layout = Layout(Path("/checkout/.stack"), as_root=True)
        assert layout.data == Path("/var/lib/citystream") / layout.identity
        assert layout.account == "citystream"

    def test_an_ordinary_users_data_is_inside(self) -> None:
        layout = Layout(Path("/checkout/.stack"), as_root=False)
        assert layout.data == Path("/checkout/.stack/data")
        assert layout.account is None

    def test_two_stacks_have_two_identities(self) -> None:
        assert Layout(Path("/a"), as_root=True).identity != Layout(Path("/b"), as_root=True).identity

    def test_a_long_path_gets_a_short_socket(self) -> None:
        assert Layout(Path("/short"), as_root=False).supervisor_socket == Path("/short/run/supervisor.sock")
        long = Layout(Path("/" + "long/" * 30), as_root=False).supervisor_socket
        assert len(str(long)) < 90

    def test_every_port_moves_with_the_offset(self, context: Context) -> None:
        numbers = [port.number for each in all_services(context) for port in each.ports]
        ports = load().stack.ports
        assert numbers[0] == ports.kafka[0] + 1000
        assert len(set(numbers)) == len(numbers)
        assert context.ports.metrics(2).number == ports.metrics + 1002


class TestArtifacts:
    def test_versions_are_those_of_the_pom(self) -> None:
        assert set(artifacts.versions()) == {"kafka", "elasticsearch", "postgres", "log4j"}

    def test_folders_carry_the_versions(self, tmp_path: Path) -> None:
        programs = Programs.under(tmp_path, "linux-amd64")
        assert artifacts.versions()["kafka"] in programs.kafka.name
        assert not programs.complete

    def test_no_registry_is_named(self) -> None:
        assert ET.parse(artifacts.POM).findall(".//{*}repository") == []  # noqa: S314 - our own file

    def test_mavens_output_becomes_one_line(self) -> None:
        progress = DownloadProgress()
        assert progress.read("[INFO] Scanning for projects...") is None
        assert progress.read("Downloading from there: https://host/a/big.zip") == "Downloading big.zip (0 MB done)"
        assert progress.read("Progress (1): 45/107 MB") == "Downloading big.zip 45/107 MB (0 MB done)"
        assert progress.read("Downloaded from there: https://host/a/big.zip (107 MB at 9 MB/s)") == (
            "Downloading big.zip (107 MB done)"
        )

    def test_a_failing_maven_is_one_sentence(self, tmp_path: Path) -> None:
        maven = tmp_path / "mvn"
        maven.write_text("#!/bin/sh\necho '[ERROR] Could not resolve it'\nexit 1\n")
        maven.chmod(0o755)
        with pytest.raises(StackError, match=r"Could not resolve it.*check the network"):
            artifacts.fetch(tmp_path / "cache", "linux-amd64", str(maven), Path("/java"), lambda _: None)


class TestCredentials:
    def test_are_generated_once(self, tmp_path: Path) -> None:
        path = tmp_path / "credentials.json"
        first = Credentials(path)
        password, cluster = first.postgres, first.kafka_cluster
        first.api_key = "key"
        again = Credentials(path)
        assert (again.postgres, again.kafka_cluster, again.api_key) == (password, cluster, "key")
        assert len({first.postgres, first.postgres_owner, first.elastic}) == 3

    def test_are_for_their_owner_only(self, tmp_path: Path) -> None:
        path = tmp_path / "env"
        path.write_text("old")
        path.chmod(0o644)
        write_private(path, "secret")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


class TestConfiguration:
    def test_supervisord_keeps_every_service_running(self, context: Context) -> None:
        text = supervision.configuration(context.layout, all_services(context))
        file = configparser.ConfigParser()  # with interpolation, as supervisord reads it
        file.read_string(text)
        programs = [name.removeprefix("program:") for name in file.sections() if name.startswith("program:")]
        servers = ["kafka-1", "kafka-2", "kafka-3", "postgres", "elasticsearch", "zookeeper", "jobmanager"]
        ours = ["simulator", "board", *(f"{name}-generator" for name, stream in STREAMS.items() if stream.ledger)]
        assert programs == [*servers, "taskmanager-1", "taskmanager-2", *ours]
        assert {file[f"program:{name}"]["autorestart"] for name in programs} == {"true"}

    def test_supervisord_reads_a_percent_sign_as_one(self, context: Context) -> None:
        file = configparser.ConfigParser()
        odd = service(command=["run", "50%", "a b"], environment={"A": "50%"})
        file.read_string(supervision.configuration(context.layout, [odd]))
        assert file["program:one"]["command"] == "run 50% 'a b'"

    def test_another_shell_describes_the_same_stack(self, context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
        before = supervision.programs_of(supervision.configuration(context.layout, all_services(context)))
        monkeypatch.setenv("PATH", "/elsewhere")
        assert supervision.programs_of(supervision.configuration(context.layout, all_services(context))) == before

    def test_servers_that_refuse_root_run_under_the_account(self, context: Context) -> None:
        as_root = replace(context, layout=replace(context.layout, as_root=True))
        accounts = {each.name: each.account for each in all_services(as_root)}
        assert {name for name, account in accounts.items() if account == "citystream"} == {"postgres", "elasticsearch"}

    def test_a_record_survives_the_loss_of_a_broker(self, context: Context) -> None:
        written = kafka._configuration(context, 2)
        assert written["default.replication.factor"] == 3
        assert written["min.insync.replicas"] == 2
        assert written["transaction.state.log.min.isr"] == 2
        assert written["auto.create.topics.enable"] == "false"

    def test_postgres_is_durable(self) -> None:
        assert postgres.SETTINGS["fsync"] == "on"
        assert postgres.SETTINGS["synchronous_commit"] == "on"

    def test_the_api_key_covers_the_projects_indices(self) -> None:
        written = [pattern for template in templates().values() for pattern in template["index_patterns"]]
        assert {"deliveries", "pay_per_category", "districts"} <= {pattern.rstrip("*") for pattern in written}
        assert [name for name in written if not any(fnmatch(name, each) for each in accounts.INDICES)] == []

    def test_flink_takes_the_tunable_settings_and_the_stacks_addresses(self, context: Context) -> None:
        written = flink.configuration(context)
        tunable = yaml.safe_load(flink.TUNABLE.read_text(encoding="utf-8"))
        assert tunable.items() <= written.items()
        assert written["rest.port"] == written["rest.bind-port"] == context.ports.flink.number
        assert written["taskmanager.numberOfTaskSlots"] == context.settings.slots_per_task_manager
        assert "--add-opens=java.base/java.lang=ALL-UNNAMED" in written["env.java.opts.all"]
        assert written["execution.checkpointing.dir"].startswith("file:///")

    def test_flink_processes_get_the_memory_of_the_tunable_settings(self, context: Context) -> None:
        with_java = replace(context, java=preflight.java())
        flink.prepare(with_java)
        command = {each.name: each.command for each in flink.services(with_java)}["taskmanager-2"]
        (file,) = (Path(part[1:]) for part in command if part.startswith("@"))
        arguments = file.read_text(encoding="utf-8").splitlines()
        assert any(re.fullmatch(r'"-Xmx\d+"', argument) for argument in arguments)
        assert '"--add-opens=java.base/java.lang=ALL-UNNAMED"' in arguments
        after_class = arguments[arguments.index('"org.apache.flink.runtime.taskexecutor.TaskManagerRunner"') :]
        assert any("taskmanager.memory.managed.size=" in argument for argument in after_class)
        assert "taskmanager.resource-id=taskmanager-2" in command

    @pytest.mark.parametrize(("version", "asked"), [(17, False), (21, True), (24, False)])
    def test_the_security_manager_is_asked_for_where_java_wants_it(
        self, context: Context, version: int, asked: bool
    ) -> None:
        options = flink.java_options(replace(context, java=Java(Path("/java"), version)), "jobmanager")
        assert ("-Djava.security.manager=allow" in options) is asked

    def test_memory_that_does_not_add_up_is_one_sentence(
        self, context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        small = flink.TUNABLE.read_text(encoding="utf-8").replace("process.size: 1600m", "process.size: 100m")
        monkeypatch.setattr(flink, "TUNABLE", tmp_path / "flink.yaml")
        flink.TUNABLE.write_text(small, encoding="utf-8")
        with pytest.raises(StackError, match=r"Flink refuses flink\.yaml for its taskmanager: .*memory") as raised:
            flink.prepare(replace(context, java=preflight.java()))
        assert "\n" not in str(raised.value)

    def test_flinks_processes_stay_on_the_loopback_interface(self, context: Context, tmp_path: Path) -> None:
        with_java = replace(context, java=preflight.java())
        flink.prepare(with_java)
        arguments = [
            line.strip('"')
            for process in ("jobmanager", "taskmanager")
            for line in (context.layout.generated / "flink" / f"{process}.arguments").read_text().splitlines()
        ]
        agents = {argument for argument in arguments if argument.startswith("-javaagent:")}
        assert len(agents) == 1
        assert sum(argument in agents for argument in arguments) == 2
        (tmp_path / "Opens.java").write_text(
            "class Opens { public static void main(String[] none) throws Exception {"
            " System.out.println(new java.net.InetSocketAddress(1));"
            " try (var server = new java.net.ServerSocket(0)) { System.out.println(server.getInetAddress()); }"
            ' System.out.println(new java.net.InetSocketAddress("192.0.2.1", 3)); } }'
        )
        shown = subprocess.run(
            [with_java.java.program, *agents, str(tmp_path / "Opens.java")], capture_output=True, text=True, check=True
        )
        assert shown.stdout.split() == ["localhost/127.0.0.1:1", "localhost/127.0.0.1", "/192.0.2.1:3"]

    def test_flinks_processes_use_temporary_folders_of_their_own(self, context: Context) -> None:
        commands = {each.name: each.command for each in flink.services(context)}
        folders = {part for command in commands.values() for part in command if part.startswith("-Djava.io.tmpdir=")}
        assert len(folders) == 3
        assert all(str(context.layout.data) in folder for folder in folders)

    def test_nobody_else_enters_the_stacks_folders(self, tmp_path: Path) -> None:
        layout = Layout(tmp_path / "stack", as_root=False)
        layout.data.mkdir(parents=True)
        layout.directory.chmod(0o755)
        close(layout)
        assert {stat.S_IMODE(folder.stat().st_mode) for folder in (layout.directory, layout.data)} == {0o700}

    def test_pages_name_services_that_are_there(self, context: Context) -> None:
        pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
        named = {name for page in pages for name in re.findall(r"SERVICE=([\w-]+)", page.read_text(encoding="utf-8"))}
        assert "deliveries-generator" in named
        assert named - {service.name for service in all_services(context)} == set()

    def test_clients_are_told_the_addresses_that_the_settings_know(self, context: Context) -> None:
        told = addresses(context)
        for name, address in context.settings.addresses().items():
            assert told[name].replace(f":{context.credentials.postgres}@", "@") == address

    def test_nested_flink_settings_are_the_same(self) -> None:
        assert flink.flattened({"a": {"b": {"c": 1}}, "d.e": 2}) == {"a.b.c": 1, "d.e": 2}

    def test_the_env_file_is_one_pair_a_line(self) -> None:
        assert env_text({"A": "1", "B": "x=y"}) == "A=1\nB=x=y\n"


class TestPreflight:
    def test_a_taken_port_names_who_what_and_which(self) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = Port(taken.getsockname()[1], "stack.ports.kafka")
            with pytest.raises(StackError) as raised:
                preflight.ports([service("kafka-1", ports=[port])])
        sentence = str(raised.value)
        for part in (str(port.number), "kafka-1", f"pid {os.getpid()}", "stack.ports.kafka", "PORT_OFFSET"):
            assert part in sentence
        assert "\n" not in sentence

    def test_a_free_port_is_fine(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            number = free.getsockname()[1]
        assert preflight.ports([service(ports=[Port(number, "x")])]) == "1 ports free"

    def test_java_missing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("JAVA_HOME", raising=False)
        monkeypatch.setenv("PATH", "")
        with pytest.raises(StackError, match="Java is missing"):
            preflight.java()

    @pytest.mark.parametrize("version", ["1.8", "11"])
    def test_java_too_old(self, version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        java = tmp_path / "bin" / "java"
        java.parent.mkdir()
        java.write_text(f"#!/bin/sh\necho '    java.specification.version = {version}' >&2\n")
        java.chmod(0o755)
        monkeypatch.setenv("JAVA_HOME", str(tmp_path))
        with pytest.raises(StackError, match=f"Java {version} .* too old"):
            preflight.java()

    def test_maven_missing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", "")
        with pytest.raises(StackError, match="apt install maven"):
            preflight.maven()

    def test_disk_full(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(preflight, "_DISK_GIGABYTES", 10**9)
        with pytest.raises(StackError, match="GB are free"):
            preflight.disk(Layout(tmp_path / "not" / "there", as_root=False))

    def test_folder_not_writable(self, tmp_path: Path) -> None:
        file = tmp_path / "file"
        file.touch()
        with pytest.raises(StackError, match=r"can't be written .*stack.directory"):
            preflight.writable(Layout(file / "stack", as_root=False))

    def test_platform_unknown(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("platform.system", lambda: "Windows")
        assert postgres_platform() is None
        with pytest.raises(StackError, match="docker-compose"):
            preflight.platform()


class TestHealth:
    def test_waits_until_all_answer(self) -> None:
        tries: list[int] = []

        def slowly() -> None:
            tries.append(1)
            if len(tries) < 2:
                raise ConnectionRefusedError

        shown: list[tuple[str, bool]] = []
        health.wait([service(answers=slowly)], list, 5, lambda name, answer: shown.append((name, answer.fine)))
        assert shown == [("one", False), ("one", True)]

    def test_of_no_servers_all_answer(self) -> None:
        """`make workers` with a smaller number starts none."""
        health.wait([], list, 5, lambda *_: None)

    def test_says_who_has_run_out_of_time(self) -> None:
        def never() -> None:
            msg = "not yet\nmore"
            raise StackError(msg)

        with pytest.raises(health.UnansweredError, match="one: not yet"):
            health.wait([service(answers=never)], list, 0, lambda *_: None)

    def test_a_server_that_ends_again_and_again_is_not_waited_for(self) -> None:
        failing = health.Failing()
        assert [failing.see([state(pid=pid)]) for pid in (1, 1, 2, 3)] == [None] * 4
        assert failing.see([state(pid=4)]) == state(pid=4)

    def test_a_server_that_was_given_up_is_not_waited_for(self) -> None:
        assert health.Failing().see([state(statename="FATAL", pid=0)])


def job(**changes: Any) -> Facts:
    """A job that was submitted a minute ago and runs well."""
    plain = {"job": "deliveries", "id": "1", "others": (), "state": "RUNNING", "wanted": True, "restarts": 2}
    plain |= {"since": time.time() - 60, "failure": None, "checkpoint_age": 3.0, "lag": 1500, "rate": 200.0}
    plain |= {"checkpoint_failure": None, "jar": fingerprint(), "parallelism": 2}
    return Facts(**{**plain, "dead_letters": 7, "staged": 0, **changes})


class TestJobs:
    def test_status_shows_how_each_stands(self) -> None:
        console = Console(width=200)
        ended = job(job="carbon", id=None, state=None, wanted=False, since=None, restarts=None, lag=None, rate=None)
        ended = replace(ended, parallelism=None)
        with console.capture() as captured:
            console.print(jobs([job(), replace(ended, checkpoint_age=None, dead_letters=None)]))
        _, one, two = captured.get().splitlines()
        assert one.split() == [
            *["deliveries", "RUNNING", "0:01:00", "x", "2", "2", "1,500", "records", "200/s", "3", "s", "ago"],
            *["0", "epochs", "7"],
        ]
        assert two.split() == ["carbon", "not", "submitted", *"--------"]

    @pytest.mark.parametrize(
        ("changes", "fine", "said"),
        [
            ({}, True, "runs, 2 restarts"),
            ({"state": "FAILED", "failure": "no table"}, False, "is FAILED (no table): `make resume JOB=deliveries`"),
            ({"state": None, "id": None}, False, "should run and is not there: `make resume JOB=deliveries`"),
            ({"state": "RESTARTING"}, False, "should run and is RESTARTING"),
            ({"state": "FINISHED", "wanted": False}, True, "`make submit JOB=deliveries` starts it"),
            ({"others": ("2",)}, False, "2 jobs of this name run"),
            ({"checkpoint_age": 600.0}, False, "its last checkpoint was 600 s ago"),
            ({"checkpoint_failure": "disk full"}, False, "its last checkpoint failed (disk full)"),
            ({"jar": "0123456789ab"}, False, "runs with another jar (0123456789ab) than the one that is built here"),
            ({"jar": None}, True, "runs"),
        ],
    )
    def test_doctor_judges_each(self, changes: dict[str, Any], fine: bool, said: str) -> None:
        finding = doctor.judged(job(**changes), load())
        assert finding.fine is fine
        assert said in finding.text


class TestWorkers:
    def test_are_as_many_as_were_asked_for_until_the_stack_goes_down(self, settings: Stack) -> None:
        stack = LocalStack.of(settings)
        named = [flink.task_manager(number) for number in range(1, settings.task_managers + 1)]
        assert [each.name for each in stack.services() if each.name.startswith("taskmanager")] == named
        (stack.layout.run).mkdir(parents=True)
        (stack.layout.run / "task_managers").write_text("3")
        assert len([each for each in stack.services() if each.name.startswith("taskmanager")]) == 3
        stack.down(lambda _: None)
        assert [each.name for each in stack.services() if each.name.startswith("taskmanager")] == named

    def test_need_a_stack(self, settings: Stack) -> None:
        with pytest.raises(StackError, match="The stack is down: `make up` starts it"):
            LocalStack.of(settings).scale(3, lambda *_: None)

    def test_need_memory(self) -> None:
        preflight.memory_for(-1, 2**60)
        with pytest.raises(StackError, match=r"2 more TaskManagers take 2147483648.0 GiB of memory"):
            preflight.memory_for(2, 2**60)
        assert flink.task_manager_bytes() == 1600 * 2**20


class TestDoctor:
    @pytest.fixture
    def stack(self, settings: Stack, monkeypatch: pytest.MonkeyPatch) -> LocalStack:
        monkeypatch.setattr(preflight, "memory", lambda: "enough")
        return LocalStack.of(settings)

    def test_says_what_is_down(self, stack: LocalStack) -> None:
        found = {finding.subject: finding for finding in doctor.findings(stack, load())}
        assert found["stack"].text == "down: `make up` starts it"
        assert " emission factors" in found["factors"].text

    def test_a_killed_supervisord_is_no_foreign_program(self, stack: LocalStack) -> None:
        """Its servers hold the ports: they are to be ended by `make up`, not by hand."""
        mark = {**os.environ, supervision.MARK: stack.layout.identity}
        with subprocess.Popen(["sleep", "60"], env=mark) as left:
            slate.await_that(lambda: supervision.leftovers(stack.layout), 10, "the process has its environment")
            found = [finding for finding in doctor.findings(stack, load()) if not finding.fine]
            left.kill()
        assert [finding.subject for finding in found] == ["stack"]
        assert "left 1 processes: `make up` ends them" in found[0].text

    def test_wrong_emission_factors_are_found(
        self, stack: LocalStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        wrong = tmp_path / "factors.yaml"
        wrong.write_text("factors: []\n")
        read = factors.load
        monkeypatch.setattr(factors, "load", lambda: read(wrong))
        found = {finding.subject: finding for finding in doctor.findings(stack, load())}
        assert not found["factors"].fine
        assert "Wrong emission factors" in found["factors"].text

    def test_what_it_advises_works_outside_the_virtual_environment(self) -> None:
        assert "python -m" not in Path(doctor.__file__).read_text(encoding="utf-8")


class TestCommands:
    def test_help_lists_every_command(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as exited:
            main(["--help"])
        assert exited.value.code == 0
        shown = capsys.readouterr().out
        assert all(name in shown for name in ("up", "down", "clean", "status", "logs", "restart", "doctor"))

    def test_last_lines(self, tmp_path: Path) -> None:
        log = tmp_path / "log"
        log.write_text("".join(f"line {number}\n" for number in range(10_000)))
        assert last_lines(log, 2) == ["line 9998", "line 9999"]
        assert last_lines(tmp_path / "none", 2) == []

    def test_stale_files_are_removed(self, tmp_path: Path) -> None:
        layout = Layout(tmp_path, as_root=False)
        layout.run.mkdir()
        (layout.run / "supervisord.pid").write_text("1")
        assert supervision.remove_stale_files(layout) == [layout.run / "supervisord.pid"]
        assert supervision.remove_stale_files(layout) == []

    def test_a_supervisor_that_is_not_there_is_down(self, tmp_path: Path) -> None:
        assert not supervision.Supervisor(Layout(tmp_path, as_root=False)).is_up()
