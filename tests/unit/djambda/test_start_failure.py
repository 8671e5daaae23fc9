"""The error of a function in which Django does not start, as Lambda's runtime reports it."""

import json
import os
import subprocess
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from djambda.awslambda import DjangoFailedToStart
from djambda.start_failure import describe
from djambda_common.names import START_FAILURE
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
