"""The layer check: what is refused, and what it is told to do."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from awscdk.layer import problems, purpose

MANYLINUX = "manylinux_2_17_x86_64.manylinux2014_x86_64"


class Layer:
    """A layer folder and the requirements file that it should match."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "layers" / "django"
        self.requirements = folder / "django" / "requirements.txt"
        self.requirements.parent.mkdir()
        self.requirements.write_text("# Needed:\nDjango==6.1.3\npsycopg2-binary==2.9.13\n")
        self.lock = folder / "django" / "requirements.lock"
        self.lock.write_text("django==6.1.3 --hash=sha256:00\n")

    def install(self, name: str, version: str, tag: str) -> None:
        """What pip leaves of a wheel with this tag."""
        info = self.folder / "python" / f"{name}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Name: {name}\nVersion: {version}\n")
        (info / "WHEEL").write_text(f"Wheel-Version: 1.0\nTag: {tag}\n")

    def stamp(self, **changes: Any) -> None:
        """What `djambda layer` leaves."""
        folder = self.folder / "python"
        folder.mkdir(parents=True)
        content = purpose(self.requirements, "x86_64") | {"left_out": ["gis", "sqs"]} | changes
        (folder / ".djambda-layer.json").write_text(json.dumps(content))

    def write(self, name: str, text: str) -> None:
        """A file of the project."""
        (self.requirements.parent / name).write_text(text)

    def problems(self, architecture: str = "x86_64") -> list[str]:
        return problems(self.folder, self.requirements, architecture)


@pytest.fixture
def layer(tmp_path: Path) -> Layer:
    return Layer(tmp_path)


def test_missing_layer_says_how_to_build_it(layer: Layer) -> None:
    [problem] = layer.problems()

    assert problem.startswith("layers/django/python is missing or empty")
    assert "`djambda layer`" in problem
    assert "pip install -r django/requirements.txt -t layers/django/python" in problem
    assert "--only-binary=:all: --platform manylinux2014_x86_64" in problem


def test_empty_layer_is_a_missing_one(layer: Layer) -> None:
    (layer.folder / "python").mkdir(parents=True)

    assert "is missing or empty" in layer.problems()[0]


def test_plain_pip_layer_passes(layer: Layer) -> None:
    layer.install("Django", "6.1.3", "py3-none-any")
    layer.install("psycopg2_binary", "2.9.13", f"cp313-cp313-{MANYLINUX}")
    layer.install("cryptography", "46.0", f"cp311-abi3-{MANYLINUX}")

    assert layer.problems() == []


@pytest.mark.parametrize(
    "tag",
    [
        f"cp311-cp311-{MANYLINUX}",
        f"cp314-abi3-{MANYLINUX}",
        "cp313-cp313-manylinux_2_39_x86_64",
        "cp313-cp313-macosx_14_0_arm64",
        "cp313-cp313-win_amd64",
        "cp313-cp313-manylinux2014_aarch64",
        "cp313-cp313-musllinux_1_2_x86_64",
    ],
)
def test_wheel_that_lambda_cannot_load(layer: Layer, tag: str) -> None:
    layer.install("Django", "6.1.3", "py3-none-any")
    layer.install("psycopg2_binary", "2.9.13", tag)

    [problem] = layer.problems()

    assert "holds psycopg2_binary for" in problem
    assert "which Python 3.13 on x86_64 Linux cannot load" in problem


def test_what_requirements_ask_for_must_be_there_in_that_version(layer: Layer) -> None:
    layer.install("Django", "6.1.2", "py3-none-any")

    old, missing = layer.problems()

    assert "lacks Django==6.1.3 of django/requirements.txt" in old
    assert "lacks psycopg2-binary==2.9.13" in missing


def test_requirements_for_other_systems_are_not_missed(layer: Layer) -> None:
    layer.requirements.write_text(
        "--index-url https://pypi.org/simple\n"
        "Django==6.1.3 \\\n    --hash=sha256:00\n"
        "tzdata==2026.1 ; sys_platform == 'win32'\n"
        "tomli==2.0 ; python_version < '3.11'\n"
    )
    layer.install("Django", "6.1.3", "py3-none-any")

    assert layer.problems() == []


def test_stamped_layer_passes(layer: Layer) -> None:
    layer.stamp()

    assert layer.problems() == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"architecture": "arm64"}, "was built for arm64, and LAMBDA_ARCHITECTURE is x86_64"),
        ({"python": "3.12"}, "was built for Python 3.12, and Lambda runs 3.13"),
        ({"requirements": "0" * 64}, "was built before django/requirements.txt changed"),
        ({"lock": "0" * 64}, "was built before django/requirements.lock changed"),
        (
            {"languages": ["en"]},
            "was built before LANGUAGES or LANGUAGE_CODE of the settings changed",
        ),
    ],
)
def test_stamp_that_does_not_match(layer: Layer, changes: dict[str, str], said: str) -> None:
    layer.stamp(**changes)

    [problem] = layer.problems()

    assert problem.startswith(f"layers/django/python {said}: build it with")


def test_comments_and_spacing_change_no_requirement(layer: Layer) -> None:
    layer.stamp()

    layer.requirements.write_text("Django==6.1.3 # the newest\n\n  psycopg2-binary==2.9.13")

    assert layer.problems() == []


def test_layer_whose_lock_is_gone(layer: Layer) -> None:
    layer.stamp()

    layer.lock.unlink()

    assert "was built before django/requirements.lock changed" in layer.problems()[0]


@pytest.mark.parametrize(
    ("code", "named"),
    [
        ("from django.contrib.gis.db import models", "gis"),
        ("ENGINE = 'django.contrib.gis.db.backends.postgis'", "gis"),
        ('boto3.client("sqs")', "sqs"),
        ("import django.contrib.gis\nQUEUES = 'sqs'", "gis, sqs"),
    ],
)
def test_what_was_left_out_is_missed_when_the_code_names_it(
    layer: Layer, code: str, named: str
) -> None:
    layer.stamp()

    layer.write("models.py", code)

    [problem] = layer.problems()
    assert problem.startswith(
        f"layers/django/python was built without what the code names now ({named}): build it with"
    )


def test_what_only_tests_name_is_not_missed(layer: Layer) -> None:
    layer.stamp()

    layer.write("test_queues.py", 'boto3.client("sqs")')

    assert layer.problems() == []


def test_files_that_lambda_may_not_read(layer: Layer) -> None:
    layer.stamp()

    (layer.folder / "python" / ".djambda-layer.json").chmod(0o600)

    assert "has files that only their owner may read" in layer.problems()[0]


def test_layer_that_is_too_large(layer: Layer) -> None:
    layer.stamp()
    large = layer.folder / "python" / "model.bin"
    large.touch()

    os.truncate(large, 250 * 1024 * 1024)

    [problem] = layer.problems()
    assert "has 262 MB, and Lambda takes 262 MB with the code" in problem


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"architecture": "x86_64"}'])
def test_stamp_that_cannot_be_read(layer: Layer, content: str) -> None:
    layer.stamp()
    (layer.folder / "python" / ".djambda-layer.json").write_text(content)

    assert "has a stamp (.djambda-layer.json) that cannot be read" in layer.problems()[0]
