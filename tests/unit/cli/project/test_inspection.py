"""The start of a project with the deployed settings, in a process of its own."""

from pathlib import Path

import django
import pytest

from awscdk.discovery import Project
from awscdk.project_file import ProjectFile
from awscdk.project_schedules import ProjectSchedule
from djambda_cli.project.inspection import Inspection, inspect
from djambda_common.names import SECRET_KEY
from djambda_common.variables import encode

SITE_PACKAGES = Path(django.__file__).parents[1]
SETTINGS = """
import os
ROOT_URLCONF = "site1.urls"
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "site1"]
"""
INVALID_MODEL = """
from django.db import models

class Page(models.Model):
    id = models.BigAutoField(primary_key=True)
    title = models.CharField(choices=1)
"""


class Example:
    """A project whose layer is this environment's packages."""

    def __init__(self, folder: Path) -> None:
        self.root, self.layer = folder / "project", folder / "layer"
        self.names: tuple[str, ...] = ()
        self.schedules: tuple[ProjectSchedule, ...] = ()
        self.layer.mkdir()
        (self.layer / "python").symlink_to(SITE_PACKAGES)
        self.write("manage.py", "")
        self.write("site1/__init__.py", "")
        self.write("site1/settings.py", SETTINGS)
        self.write("site1/urls.py", "urlpatterns = []\n")

    def write(self, name: str, text: str) -> None:
        """Write a file of the project."""
        file = self.root / name
        file.parent.mkdir(exist_ok=True, parents=True)
        file.write_text(text)

    def add_settings(self, text: str) -> None:
        """Add lines to the settings, from line 5."""
        self.write("site1/settings.py", SETTINGS + text)

    def inspect(self, *set_elsewhere: str, **parameters: str) -> Inspection:
        """Inspect it."""
        files = (self.root / "requirements.txt", self.root / "requirements.lock")
        settings = ProjectFile(
            settings="site1.settings", variables=self.names, schedules=self.schedules
        )
        project = Project(self.root, *files, self.layer, file=settings)
        return inspect(project, {"AWS_REGION": "eu-west-1"}, parameters, set_elsewhere)


@pytest.fixture
def example(tmp_path: Path) -> Example:
    return Example(tmp_path)


def test_project_that_starts(example: Example) -> None:
    result = example.inspect()

    assert result.failure == ""
    assert (result.required, result.optional, result.connections) == ([], [], [])
    assert result.django == django.__version__
    assert result.facts["apps"][0] == "djambda"
    assert result.facts["login"] == {"field": "username", "value": ""}


def test_all_missing_variables_are_found(example: Example) -> None:
    example.add_settings(
        'KEY = os.environ["STRIPE_KEY"]\n'
        'WORKERS = int(os.environ["WORKERS"])\n'
        "from site1.more import HOST\n"
        'DSN = os.environ.get("SENTRY_DSN")\n'
        'CACHE = os.environ.get("CACHE_URL", "dummy://")\n'
        'LEVEL = os.getenv("LOG_LEVEL", "")\n'
    )
    example.write(
        "site1/more.py",
        "import os\n"
        "def required(name):\n"
        "    if name not in os.environ:\n"
        '        raise RuntimeError(f"Set the {name} environment variable")\n'
        "    return os.environ[name]\n"
        'HOST = required("MAIL_HOST")\n',
    )

    result = example.inspect()

    assert [(missing.name, missing.place) for missing in result.required] == [
        ("STRIPE_KEY", "site1/settings.py:5"),
        ("WORKERS", "site1/settings.py:6"),
        ("MAIL_HOST", "site1/more.py:3"),
    ]
    assert result.failure == ""
    assert [missing.name for missing in result.optional] == ["SENTRY_DSN", "LOG_LEVEL"]


def test_variables_of_the_project_are_set(example: Example) -> None:
    example.add_settings('KEY = os.environ["STRIPE_KEY"]\nURL = os.environ["DATABASE_URL"]\n')

    result = example.inspect(**{"secret/STRIPE_KEY": encode("sk_live_1234567890")})

    assert result.required == []
    assert result.failure == ""
    assert "sk_live" not in str(result)


def test_variables_whose_values_are_unknown_are_not_missing(example: Example) -> None:
    example.add_settings('KEY = os.environ["KEY"]\nWORKERS = int(os.environ["WORKERS"])\n')

    result = example.inspect("WORKERS")

    assert [missing.name for missing in result.required] == ["KEY"]
    assert result.failure == ""


def test_failure_names_the_place_and_no_secret(example: Example) -> None:
    example.add_settings('raise ValueError("bad key " + os.environ["STRIPE_KEY"])\n')

    result = example.inspect(**{"secret/STRIPE_KEY": encode("sk_live_1234567890")})

    assert result.failure.startswith("ValueError: bad key ***")
    assert 'File "site1/settings.py", line 5' in result.failure
    assert "sk_live" not in str(result)


def test_failure_that_no_variable_causes(example: Example) -> None:
    example.add_settings('KEY = os.environ["STRIPE_KEY"]\nimport no_such_package\n')

    result = example.inspect()

    assert [missing.name for missing in result.required] == ["STRIPE_KEY"]
    assert "No module named 'no_such_package'" in result.failure


@pytest.mark.parametrize(
    "line",
    [
        "import sys; sys.exit('no')",
        "os._exit(3)",
        "INSTALLED_APPS += ['no_such_app']",
        "this is not Python",
        "ROOT_URLCONF = 'no.such.urls'",
    ],
)
def test_project_that_does_not_start(example: Example, line: str) -> None:
    example.add_settings(line)

    assert example.inspect().failure


def test_advice_for_a_deployment_is_no_error(example: Example) -> None:
    example.write(
        "site1/models.py",
        "from django.core.checks import Error, register\n"
        "@register(deploy=True)\n"
        "def advice(**kwargs):\n"
        "    return [Error('Use a better backend.', id='site1.E001')]\n",
    )

    [message] = [each for each in example.inspect().messages if each["id"] == "site1.E001"]

    assert message["is_error"] is False


def test_project_is_not_changed(example: Example) -> None:
    before = sorted(example.root.rglob("*"))

    example.inspect()

    assert sorted(example.root.rglob("*")) == before


def test_output_of_the_project_does_not_matter(example: Example) -> None:
    example.add_settings('print("hello")\nos.write(1, b"hello")\n')

    assert example.inspect().failure == ""


def test_connection_to_the_database_during_the_start(example: Example) -> None:
    example.write(
        "site1/urls.py",
        "from django.contrib.auth.models import User\nurlpatterns = []\nUser.objects.exists()\n",
    )
    example.write("site1/models.py", INVALID_MODEL)

    result = example.inspect()

    assert result.failure == ""
    assert result.connections[0] == "site1/urls.py:3"
    assert [message["id"] for message in result.messages if message["is_error"]] == ["fields.E004"]


def test_search_of_postgres_is_a_fact_if_the_project_uses_it(example: Example) -> None:
    assert example.inspect().facts["uses_postgres_search"] is False

    example.write(
        "site1/urls.py",
        "from django.contrib.postgres.search import SearchVector\nurlpatterns = []\n",
    )

    assert example.inspect().facts["uses_postgres_search"] is True


def test_nothing_can_be_reached(example: Example) -> None:
    example.add_settings(
        "import socket\n"
        "try:\n"
        "    socket.create_connection(('127.0.0.1', 9), timeout=1)\n"
        "except ConnectionRefusedError:\n"
        "    raise RuntimeError('it tried')\n"
        "except OSError as error:\n"
        "    assert 'djambda check' in str(error)\n"
    )

    assert example.inspect().failure == ""


def test_environment_of_this_process_is_not_used(
    example: Example, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STRIPE_KEY", "from the shell")
    monkeypatch.setenv("PYTHONPATH", str(example.root / "elsewhere"))
    example.add_settings('KEY = os.environ["STRIPE_KEY"]\n')

    assert [missing.name for missing in example.inspect().required] == ["STRIPE_KEY"]


def test_names_of_the_project_for_facts_are_set(example: Example) -> None:
    example.add_settings('SECRET_KEY = os.environ["SHOP_KEY"]\nHOST = os.environ["SHOP_HOST"]\n')

    example.names = ("SHOP_KEY=SECRET_KEY", "SHOP_HOST=DATABASE_HOST")

    result = example.inspect()

    assert result.required == []
    assert result.failure == ""


def test_output_of_a_process_that_ends_has_no_secret(example: Example) -> None:
    example.add_settings('os.write(2, b"key " + os.environ["STRIPE_KEY"].encode())\nos._exit(3)\n')

    result = example.inspect(**{"secret/STRIPE_KEY": encode("sk_live_1234567890")})

    assert "key ***" in result.failure
    assert "sk_live" not in result.failure


def test_database_of_this_machine_is_not_reached(example: Example) -> None:
    example.add_settings(
        "from urllib.parse import urlsplit\nassert urlsplit(os.environ['DATABASE_URL']).port == 1\n"
    )

    assert example.inspect().failure == ""


def test_files_that_do_not_ship_are_missing(example: Example) -> None:
    example.write(".env", "STRIPE_KEY=sk_live_1234567890")
    example.add_settings(
        "from pathlib import Path\n"
        "file = Path(__file__).resolve().parents[1] / '.env'\n"
        "if file.exists():\n"
        "    name, value = file.read_text().split('=')\n"
        "    os.environ[name] = value\n"
        "KEY = os.environ['STRIPE_KEY']\n"
    )

    assert [missing.name for missing in example.inspect().required] == ["STRIPE_KEY"]


def test_own_secret_key_is_replaced(example: Example) -> None:
    example.add_settings('SECRET_KEY = "insecure"\n')

    assert "SECRET_KEY" in example.inspect(**{SECRET_KEY: "x" * 50}).facts["replaced"]


def test_commands_and_tasks_are_known(example: Example) -> None:
    example.write("site1/tasks.py", "def plain(): pass\n")
    example.write(
        "site1/background.py",
        "from django.tasks import task\n\n@task\ndef good(): pass\n",
    )
    example.schedules = tuple(
        ProjectSchedule(name, "rate(1 day)", task=f"site1.{name}")
        for name in ("tasks.plain", "tasks.missing", "background.good")
    )

    facts = example.inspect().facts

    assert "migrate" in facts["commands"]
    assert facts["task_problems"].keys() == {"site1.tasks.plain", "site1.tasks.missing"}
    assert "@task" in facts["task_problems"]["site1.tasks.plain"]
