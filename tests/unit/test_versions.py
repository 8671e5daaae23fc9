"""The runtime's own tests on the oldest supported versions of Python and Django.

The suite itself runs on the newest Django and on the default Python.
"""

import os
import re
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest
from uv import find_uv_bin

from awscdk.interpreters import find_interpreter

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = (
    *("aws-wsgi", "awslambdaric", "boto3", "cryptography", "django-storages"),
    *("django-tasks", "httpx"),
    *("hypothesis", "packaging", "pathspec", "platformdirs", "psutil", "psycopg2-binary"),
    *("pybase64", "pytest", "pytest-django", "requests", "uv"),
)
"""The packages that the tests import, and `tests/conftest.py`."""
SLOW = ("test_awsgi_properties.py", "test_awslambda_properties.py")
"""They try random input, on whatever version."""


@pytest.mark.parametrize(("python", "django"), [("3.12", "5.2.19")])
def test_runtime_on_the_oldest_versions(python: str, django: str) -> None:
    interpreter = find_interpreter(python)
    if not interpreter:
        pytest.skip(f"Python {python} is not installed")
    packages = [f"{name}=={version(name)}" for name in PACKAGES]

    completed = subprocess.run(
        [find_uv_bin(), "run", "--no-project", "--isolated", "--python", str(interpreter)]
        + ["--with", ",".join([f"django=={django}", *packages])]
        + ["pytest", "-q", "-p", "no:cacheprovider", "tests/unit/djambda"]
        + [f"--ignore=tests/unit/djambda/{name}" for name in SLOW],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": "awscdk:cli:common", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert completed.returncode == 0, completed.stdout + completed.stderr
    assert re.search(r"\b[1-9]\d* passed", completed.stdout)
