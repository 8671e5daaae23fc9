"""The product does not depend on the sample.

In a copy of the checkout, a new project takes the sample's place, and the product's checks and
tests run there. That takes two minutes; `pytest -m "not boundary"` skips it.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.cloud.checkout import COMMANDS, ROOT, TOOLS, Checkout, copy_listed_files

pytestmark = pytest.mark.boundary

SAMPLE = ("core", "mysite", "manage.py")
START_PROJECT = "django-admin startproject website django"
# Not this module, which would start itself; those of scripts and versions use no project.
TESTS = (
    "pytest tests/unit tests/synth -q -p no:cacheprovider"
    " --ignore tests/unit/scripts --ignore tests/unit/test_versions.py"
)


def start(checkout: Checkout, command: str, **variables: str) -> subprocess.Popen[str]:
    """Start a command in the copy, with the checkout's tools and the copy's packages."""
    inherited = {name: value for name, value in os.environ.items() if name[:6] != "PYTEST"}
    return subprocess.Popen(
        ["bash", "-c", command],
        cwd=checkout.folder,
        env={
            **inherited,
            "PATH": os.pathsep.join([str(COMMANDS), os.environ["PATH"]]),
            "PYTHONPATH": checkout.python_path,
            **variables,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(checkout: Checkout, command: str, **variables: str) -> str:
    """Run a command in the copy and return its output; it must succeed."""
    process = start(checkout, command, **variables)
    output, _ = process.communicate()
    assert process.returncode == 0, f"$ {command}\n{output}"
    return output


@pytest.fixture(scope="module")
def other_project() -> Iterator[Checkout]:
    """A copy of the checkout with a new project instead of the sample."""
    with TemporaryDirectory(prefix="djambda-test-", ignore_cleanup_errors=True) as parent:
        Path(parent).chmod(0o711)  # Postgres does not run as root.
        folder = Path(parent, "checkout")
        copy_listed_files(folder)
        (folder / ".local").mkdir()
        for name in TOOLS:
            (folder / name).symlink_to(ROOT / name)
        if (ROOT / ".mypy_cache").exists():
            shutil.copytree(ROOT / ".mypy_cache", folder / ".mypy_cache")
        for name in SAMPLE:
            path = folder / "django" / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        checkout = Checkout(folder, COMMANDS)
        run(checkout, START_PROJECT)
        yield checkout


@pytest.fixture(scope="module", autouse=True)
def tests_of_the_product(other_project: Checkout) -> Iterator[subprocess.Popen[str]]:
    """The product's tests, running beside the tests of this module."""
    with start(other_project, TESTS) as process:
        yield process
        process.kill()


def test_checks_pass(other_project: Checkout) -> None:
    recipe = run(other_project, "make --dry-run --no-print-directory check")
    commands = [line for line in recipe.splitlines() if line.startswith(("ruff", "mypy", "cd "))]

    assert [command.split()[0] for command in commands] == ["ruff", "ruff", "mypy"]
    for command in commands:
        run(other_project, command)


def test_make_test_runs_only_the_products_tests(other_project: Checkout) -> None:
    recipe = run(other_project, "make --dry-run --no-print-directory test")

    [tests] = [line for line in recipe.splitlines() if "pytest" in line]
    assert "pyproject.toml" not in tests


def test_cloud_tests_are_collected(other_project: Checkout) -> None:
    folders = "tests/cloud tests/browser tests/pipeline"
    collected = run(other_project, f"pytest {folders} --collect-only -q -p no:cacheprovider")

    for folder in folders.split():
        assert f"{folder}/test_" in collected


def test_stack_has_the_new_settings_module(other_project: Checkout) -> None:
    deployment = {
        "APP_NAME": "website",
        "ENVIRONMENT": "dev",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "CDK_OUTDIR": "cdk.out",
    }
    run(other_project, "djambda layer")

    run(other_project, "python awscdk/app.py", **deployment)

    template = json.loads(other_project.read("cdk.out/dev-website.template.json"))
    modules = [
        resource["Properties"]["Environment"]["Variables"].get("DJANGO_SETTINGS_MODULE")
        for resource in template["Resources"].values()
        if "Environment" in resource.get("Properties", {})
    ]
    assert "website.settings" in modules


def test_products_tests_pass(tests_of_the_product: subprocess.Popen[str]) -> None:
    output, _ = tests_of_the_product.communicate()

    assert tests_of_the_product.returncode == 0, output
