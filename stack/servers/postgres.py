"""PostgreSQL: one database, one user for jobs, TCP on the loopback interface only."""

import functools
from collections.abc import Iterator, Mapping
from pathlib import Path

import psycopg2
from psycopg2 import sql

from stack.credentials import write_private
from stack.services import HOST, Context, Service

USER = "citystream"
DATABASE = "citystream"
_OWNER = "postgres"

SETTINGS: Mapping[str, str] = {
    # Durability is a promise of the jobs' sinks: these two are never relaxed.
    "fsync": "on",
    "synchronous_commit": "on",
    # A database backend whose TaskManager was killed ends soon, and with it the locks it holds.
    "client_connection_check_interval": "5s",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    # There is no standby and no archive: the log only has to bring this one server back.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "wal_compression": "on",
    # Fewer checkpoints under bulk load: each makes the next write of every page go to the log in full.
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "shared_buffers": "256MB",
    "max_connections": "100",
    "autovacuum": "on",
    "log_lock_waits": "on",
    "log_line_prefix": "%m [%p] %q%u@%d ",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


def prepare(context: Context) -> None:
    """Write the configuration; create the cluster of databases where there is none."""
    data = _data(context)
    hba = context.write("pg_hba.conf", f"host all all {HOST}/32 scram-sha-256\n")
    settings = {
        "hba_file": str(hba),
        "listen_addresses": HOST,
        "port": str(context.ports.postgres.number),
        "unix_socket_directories": "",
        **SETTINGS,
    }
    context.write("postgresql.conf", "".join(f"{key} = '{value}'\n" for key, value in settings.items()))
    if not (data / "PG_VERSION").is_file():
        _create(context, data)


def services(context: Context) -> Iterator[Service]:
    """The one server."""
    yield Service(
        name="postgres",
        command=[_program(context, "postgres"), "-D", str(_data(context)), f"--config-file={_configuration(context)}"],
        address=f"{HOST}:{context.ports.postgres.number}",
        ports=[context.ports.postgres],
        answers=functools.partial(_answers, context),
        account=context.layout.account,
        stop_signal="INT",  # the fast shutdown: roll back what is open, write a checkpoint
        stop_seconds=30,
    )


def url(context: Context) -> str:
    """The libpq URL for jobs, password included."""
    return f"postgresql://{USER}:{context.credentials.postgres}@{HOST}:{context.ports.postgres.number}/{DATABASE}"


def _data(context: Context) -> Path:
    return context.layout.data / "postgres" / "data"


def _configuration(context: Context) -> Path:
    return context.layout.generated / "postgresql.conf"


def _program(context: Context, name: str) -> str:
    return str(context.programs.postgres / "bin" / name)


def _create(context: Context, data: Path) -> None:
    # initdb empties what it made when it fails, so a data folder with PG_VERSION is a whole one.
    password = context.own(data.parent) / "password"
    write_private(password, context.credentials.postgres_owner + "\n")
    context.give(password)
    command = [_program(context, "initdb"), f"--pgdata={data}", f"--username={_OWNER}", f"--pwfile={password}"]
    command += ["--auth=scram-sha-256", "--encoding=UTF8"]
    # PostgreSQL's own C.UTF-8 sorts the same on every operating system.
    command += ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    try:
        context.run_once(command, {})
    finally:
        password.unlink()


def _answers(context: Context) -> None:
    try:
        _connect(context, USER, context.credentials.postgres, DATABASE).close()
    except psycopg2.OperationalError as error:
        # The first start: no such user yet, which PostgreSQL reports as a wrong password.
        if "authentication failed" not in str(error) and "does not exist" not in str(error):
            raise
        _create_database(context)


def _create_database(context: Context) -> None:
    connection = _connect(context, _OWNER, context.credentials.postgres_owner, "postgres")
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            user, database = sql.Identifier(USER), sql.Identifier(DATABASE)
            cursor.execute("SELECT FROM pg_roles WHERE rolname = %s", (USER,))
            verb = "ALTER" if cursor.fetchone() else "CREATE"
            # CREATEDB: a test suite works in a database of its own.
            statement = sql.SQL("{} ROLE {} LOGIN CREATEDB PASSWORD {}")
            cursor.execute(statement.format(sql.SQL(verb), user, sql.Literal(context.credentials.postgres)))
            cursor.execute("SELECT FROM pg_database WHERE datname = %s", (DATABASE,))
            if not cursor.fetchone():
                cursor.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(database, user))
    finally:
        connection.close()


def _connect(context: Context, user: str, password: str, database: str) -> psycopg2.extensions.connection:
    return psycopg2.connect(
        host=HOST,
        port=context.ports.postgres.number,
        user=user,
        password=password,
        dbname=database,
        connect_timeout=4,
        application_name="citystream-stack",
    )
