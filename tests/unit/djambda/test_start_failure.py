"""The error of a function in which Django does not start, as Lambda's runtime reports it."""

import json
import os
import socket
import subprocess
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from djambda.awslambda import DjangoFailedToStart
from djambda.start_failure import describe
from djambda_common.names import DATABASE_ASLEEP, START_FAILURE
from tests.support.lambda_events import make_v1_event
from tests.unit.djambda.conftest import DJANGO

START = """
import json
from awslambdaric import bootstrap

class Client:
    def post_init_error(self, error):
        print(json.dumps(error))

bootstrap.run("djambda.awslambda.lambda_handler", Client())
"""

VALID = """
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes"]
from djambda.aws import configure
configure(globals())
"""

FAILURES = {
    "missing package": (
        "import missing_package",
        ["ModuleNotFoundError", "import missing_package"],
    ),
    "missing variable": (
        "import os\nPAYMENT_KEY = os.environ['PAYMENT_KEY']",
        ["KeyError: 'PAYMENT_KEY'", "PAYMENT_KEY = os.environ"],
    ),
    "syntax": ("DEBUG = (", ["SyntaxError", "DEBUG = ("]),
    "missing app": (
        VALID.replace("django.contrib.auth", "payments"),
        ["ModuleNotFoundError: No module named 'payments'"],
    ),
    "missing driver": (
        "import sys\nsys.modules |= {'psycopg': None, 'psycopg2': None}" + VALID,
        ["ImproperlyConfigured: Error loading psycopg", "caused by ModuleNotFoundError"],
    ),
    "cause": (
        """
        def load():
            try:
                raise ValueError("the cause")
            except ValueError as error:
                raise LookupError("the effect") from error
        load()
        """,
        ["LookupError: the effect", "caused by ValueError: the cause", 'raise ValueError("the c'],
    ),
    "exit": ("import sys\nsys.exit('no license')", ["SystemExit: no license", "sys.exit"]),
}


@pytest.fixture
def start(
    run_deployed: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> Callable[..., dict[str, str]]:
    """Return a function that starts a project with these settings and returns the error."""

    def run(settings: str, **variables: str) -> dict[str, str]:
        package = tmp_path / "broken"
        package.mkdir()
        (package / "settings.py").write_text(textwrap.dedent(settings))
        process = run_deployed(
            START,
            DJANGO_SETTINGS_MODULE="broken.settings",
            LAMBDA_TASK_ROOT=str(tmp_path),
            PYTHONPATH=os.pathsep.join([str(DJANGO), str(tmp_path), str(DJANGO.parent / "common")]),
            **variables,
        )
        error: dict[str, str] = json.loads(process.stdout.splitlines()[-1])
        return error

    return run


@pytest.mark.parametrize(("settings", "facts"), FAILURES.values(), ids=FAILURES)
def test_error_has_the_projects_frames(
    start: Callable[..., dict[str, str]], settings: str, facts: list[str], tmp_path: Path
) -> None:
    error = start(settings)

    assert error["errorType"] == START_FAILURE == DjangoFailedToStart.__name__
    message = error["errorMessage"]
    for fact in facts:
        assert fact in message
    assert "importlib" not in message
    if "INSTALLED_APPS" not in settings:
        assert f'File "{tmp_path}/broken/settings.py", line ' in message


@pytest.mark.parametrize(
    ("name", "value", "secret"),
    [
        ("PAYMENT_TOKEN", "the-token-value", "the-token-value"),
        ("DATABASE_URL", "postgres://ann:the-password@db.example.com/x", "the-password"),
        ("AWS_SECRET_ACCESS_KEY", "the-aws-secret", "the-aws-secret"),
    ],
)
def test_values_of_secret_variables_are_hidden(
    start: Callable[..., dict[str, str]], name: str, value: str, secret: str
) -> None:
    error = start(f"import os\nint(os.environ['{name}'])", **{name: value})

    assert f"os.environ['{name}']" in error["errorMessage"]
    assert "ValueError" in error["errorMessage"]
    assert secret not in json.dumps(error)


def test_description_is_short() -> None:
    def fail(depth: int) -> None:
        try:
            if depth:
                fail(depth - 1)
        finally:
            raise ValueError("x" * 5000)

    with pytest.raises(ValueError, match="x") as error:
        fail(20)

    assert len(describe(error.value).encode()) < 3500


@pytest.fixture
def start_without_database(
    run_deployed: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> Iterator[Callable[..., list[str]]]:
    """Return a function that starts a project while connections to its database hang.

    It runs `code` after the handler's import, in a project with the given files, and returns the
    lines that the process prints.
    """
    with socket.create_server(("127.0.0.1", 0)) as server:

        def start(code: str, **files: str) -> list[str]:
            package = tmp_path / "eager"
            package.mkdir()
            (package / "__init__.py").touch()
            settings = "from shop.settings import *\nROOT_URLCONF = 'eager.urls'\n"
            for name, text in {"urls": "urlpatterns = []", "settings": settings, **files}.items():
                (package / f"{name}.py").write_text(text)
            completed = run_deployed(
                f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{code}",
                DJANGO_SETTINGS_MODULE="eager.settings",
                PGSSLMODE="disable",
                POSTGRES_SERVICE_HOST="127.0.0.1",
                POSTGRES_SERVICE_PORT=str(server.getsockname()[1]),
            )
            assert completed.returncode == 0, completed.stderr
            return completed.stdout.splitlines()

        yield start


CONNECT = "from django.db import connection\n"
WITH_APP = """from shop.settings import *
ROOT_URLCONF = "eager.urls"
INSTALLED_APPS = [*INSTALLED_APPS, "eager"]
"""


def test_urls_that_need_the_database_do_not_delay_the_start(
    start_without_database: Callable[..., list[str]],
) -> None:
    urls = f"""{CONNECT}try:
    connection.ensure_connection()
except Exception:
    print("without the database")
urlpatterns = []
"""
    event = make_v1_event("GET", "/", headers=[("Accept", "text/html")])
    code = f"""import time; started = time.monotonic()
from djambda.awslambda import lambda_handler
print(time.monotonic() - started < 10)
for _ in range(2):
    print(lambda_handler({event!r}, None)["multiValueHeaders"]["x-djambda-error"])
"""
    assert start_without_database(code, urls=urls) == ["True", *["['waking_up ']"] * 2]


def test_start_that_needs_the_database_fails_soon(
    start_without_database: Callable[..., list[str]],
) -> None:
    apps = """from django.apps import AppConfig
class EagerConfig(AppConfig):
    name = "eager"
    def ready(self):
        from django.db import connection
        for _ in range(9):
            try:
                connection.ensure_connection()
            except Exception:
                pass
        connection.ensure_connection()
"""
    code = """import time; started = time.monotonic()
try:
    import djambda.awslambda
except Exception as error:
    print(type(error).__name__, "waking up" in str(error), time.monotonic() - started < 9)
"""
    lines = start_without_database(code, apps=apps, settings=WITH_APP)
    assert lines == [f"{DATABASE_ASLEEP} True True"]


def test_start_that_can_do_without_the_database_goes_on(
    start_without_database: Callable[..., list[str]],
) -> None:
    apps = """from django.apps import AppConfig
class EagerConfig(AppConfig):
    name = "eager"
    def ready(self):
        from django.db import OperationalError, connection
        try:
            connection.ensure_connection()
        except OperationalError:
            print("later")
"""
    lines = start_without_database("import djambda.awslambda", apps=apps, settings=WITH_APP)
    assert lines == ["later"]
