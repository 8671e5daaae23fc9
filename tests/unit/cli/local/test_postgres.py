"""The local cloud's Postgres: its locale, its extensions, TLS, and data of earlier versions."""

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg2
import pytest

from awscdk.database_parameters import FORCE_TLS, PARAMETERS
from djambda_cli.errors import CliError
from djambda_cli.local import ports, postgres
from tests.support.waiting import wait_until

PASSWORD = "of-the-database"
EXTENSIONS = (
    *("btree_gin", "btree_gist", "citext", "cube", "earthdistance", "fuzzystrmatch", "hstore"),
    *("intarray", "isn", "ltree", "pg_trgm", "pgcrypto", "tablefunc", "unaccent", "uuid-ossp"),
)
"""Those of contrib that Aurora offers and Django projects use:
https://docs.aws.amazon.com/AmazonRDS/latest/AuroraPostgreSQLReleaseNotes/AuroraPostgreSQL.Extensions.html"""


@contextmanager
def open_folder() -> Iterator[Path]:
    """Yield a folder that the server's user may enter, too."""
    with TemporaryDirectory(prefix="djambda-test-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


@pytest.fixture
def folder() -> Iterator[Path]:
    with open_folder() as path:
        yield path


@pytest.fixture(scope="module")
def new() -> Iterator[Path]:
    """The folder of a new cluster."""
    with open_folder() as path:
        initialize(path)
        yield path


@pytest.fixture(scope="module")
def port(new: Path) -> Iterator[int]:
    """The port of the new cluster's server."""
    with server(new) as port:
        yield port


def initialize(folder: Path) -> None:
    postgres.initialize(folder, user="djambda", database="site", password=PASSWORD)


def connect(port: int, **options: Any) -> Any:
    server = {"host": "127.0.0.1", "port": port, "user": "djambda", "dbname": "site"}
    connection = psycopg2.connect(**{**server, "password": PASSWORD, **options})
    connection.autocommit = True
    return connection


@contextmanager
def server(folder: Path) -> Iterator[int]:
    """Run the server; yield its port."""
    port = ports.choose(folder / "port", requested=0, preferred=0)
    command, user = postgres.command(folder, port)
    with subprocess.Popen(command, user=user, stderr=subprocess.DEVNULL) as process:
        try:
            wait_until(lambda: postgres.is_ready(folder / "data"))
            yield port
        finally:
            process.terminate()


def query(port: int, statement: str, **options: Any) -> Any:
    with closing(connect(port, **options)) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall() if cursor.description else None


def test_new_cluster_behaves_like_the_deployed_one(port: int) -> None:
    assert query(port, "SELECT 'É' ILIKE 'é', upper('é'), 'É' ~* 'é', 'é' ~ '\\w'") == [
        (True, "É", True, True)
    ]
    letters = "SELECT array_agg(x ORDER BY x) FROM unnest(array['b', 'É', 'a', 'é', 'A', 'z']) x"
    assert query(port, letters) == [(["a", "A", "b", "é", "É", "z"],)]
    for name in EXTENSIONS:
        query(port, f'CREATE EXTENSION "{name}"')
    for name, value in PARAMETERS.items():
        if name != FORCE_TLS:
            assert query(port, f"SELECT current_setting('{name}')::interval") == [
                (timedelta(milliseconds=int(value)),)
            ]


def test_connections_need_tls_and_the_password(new: Path, port: int) -> None:
    session = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
    assert query(port, session, sslmode="require") == [(True,)]
    with pytest.raises(psycopg2.OperationalError, match="no encryption"):
        connect(port, sslmode="disable")
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        connect(port, password="another")
    key = new / "data" / postgres.KEY
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_parameters_of_rds_alone_are_known() -> None:
    """Postgres does not know them: this package implements them."""
    assert {name for name in PARAMETERS if name.startswith("rds.")} == {FORCE_TLS}


def test_data_of_an_earlier_version_is_kept(folder: Path) -> None:
    """It has the locale C and trusts every connection."""
    data = folder / "data"
    data.mkdir()
    postgres.give_to_server(data)
    postgres._run("initdb", "-D", data, "-U", "djambda", "--auth=trust", "-E", "UTF8", "--locale=C")
    (data / "pg_hba.conf").write_text("host all all 127.0.0.1/32 trust\n")
    create = "CREATE TABLE words AS SELECT chr(n) || 'x' AS word FROM generate_series(65, 900) n"
    postgres._run_alone(data, "postgres", 'CREATE DATABASE "site"')
    postgres._run_alone(data, "site", create)
    postgres._run_alone(data, "site", "CREATE UNIQUE INDEX by_word ON words (word)")

    initialize(folder)

    with pytest.raises(CliError) as caught:
        postgres._run_alone(data, "site", "SELECT nothing")
    assert 'column "nothing" does not exist' in caught.value.output
    with server(folder) as port:
        assert query(port, "SELECT 'É' ILIKE 'é'") == [(True,)]
        assert query(port, "SELECT count(*) FROM words") == [(836,)]
        query(port, "CREATE EXTENSION amcheck")
        query(port, "SELECT bt_index_check('by_word', heapallindexed => true)")
        with pytest.raises(psycopg2.errors.UniqueViolation):
            query(port, "INSERT INTO words VALUES ('éx')")


def test_replaced_database_is_empty(port: int) -> None:
    query(port, "CREATE TABLE notes ()")

    with closing(connect(port)):  # Open sessions do not prevent it.
        postgres.replace_database(port, user="djambda", database="site", password=PASSWORD)

    assert query(port, "SELECT count(*) FROM pg_tables WHERE tablename = 'notes'") == [(0,)]
    assert query(port, "SELECT 'É' ILIKE 'é'") == [(True,)]


def test_missing_postgres_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "PACKAGES", tmp_path)

    with pytest.raises(CliError, match="make tools"):
        postgres.binary.__wrapped__("postgres")


USE_SHARED_SERVER = (
    "import sys; from pathlib import Path; from djambda_cli.local import shared_postgres; "
    "print(shared_postgres.start(Path(sys.argv[1])), flush=True); sys.stdin.read()"
)


def use_shared_server(data: Path) -> subprocess.Popen[str]:
    """Start a process that prints the folder of the socket, and ends with its standard input."""
    return subprocess.Popen(
        [sys.executable, "-c", USE_SHARED_SERVER, str(data)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's server had a user of its own")
def test_shared_server_takes_over_the_data_of_an_earlier_version(folder: Path) -> None:
    data = folder / "shared"
    data.mkdir()
    postgres.give_to_server(data)
    postgres._run("initdb", "-D", data, "-U", "postgres", "-E", "UTF8", "--locale=C")
    for path in (data, *data.rglob("*")):
        os.chown(path, 12345, 12345)

    with use_shared_server(data) as user:
        assert user.stdout
        host = user.stdout.readline().strip()
        found = query(5432, "SELECT 'É' ILIKE 'é'", host=host, user="postgres", dbname="postgres")
        user.communicate()

    assert found == [(True,)]
    wait_until(lambda: not Path(host).exists())


def test_shared_server_runs_while_a_process_uses_it(folder: Path) -> None:
    data = folder / "shared"

    with use_shared_server(data) as first, use_shared_server(data) as second:
        assert first.stdout
        assert second.stdout
        socket_folder = Path(first.stdout.readline().strip())
        assert Path(second.stdout.readline().strip()) == socket_folder
        first.communicate()
        assert query(5432, "SELECT 1", host=str(socket_folder), user="postgres", dbname="postgres")
        second.communicate()
    wait_until(lambda: not socket_folder.exists())

    with use_shared_server(data) as third:
        assert third.stdout
        other = Path(third.stdout.readline().strip())
        assert query(5432, "SELECT 1", host=str(other), user="postgres", dbname="postgres")
        third.communicate()
    wait_until(lambda: not other.exists())
