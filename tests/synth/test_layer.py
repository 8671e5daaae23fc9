"""The layer check: the layers it refuses, and the commands it names."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from awscdk.discovery import project_of_checkout
from awscdk.layer import expected_manifest, problems

MANYLINUX = "manylinux_2_17_x86_64.manylinux2014_x86_64"


class Layer:
    """A layer folder and the requirements file that it should match."""

    def __init__(self, folder: Path) -> None:
        self.project = project_of_checkout(folder)
        self.folder = folder / "layers" / "django"
        self.requirements = folder / "django" / "requirements.txt"
        self.requirements.parent.mkdir()
        self.requirements.write_text("# Needed:\nDjango==6.1.3\npsycopg2-binary==2.9.13\n")
        self.lock = folder / "django" / "requirements.lock"
        self.lock.write_text("django==6.1.3 --hash=sha256:00\n")

    def install(self, name: str, version: str, tag: str) -> None:
        """Write the metadata that pip installs from a wheel with this tag."""
        info = self.folder / "python" / f"{name}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Name: {name}\nVersion: {version}\n")
        (info / "WHEEL").write_text(f"Wheel-Version: 1.0\nTag: {tag}\n")

    def add_manifest(self, **changes: Any) -> None:
        """Write the manifest of `djambda layer`."""
        folder = self.folder / "python"
        folder.mkdir(parents=True)
        content = expected_manifest(self.project, "x86_64") | {"builder": "0"} | changes
        (folder / ".djambda-layer.json").write_text(json.dumps(content))

    def write(self, name: str, text: str) -> None:
        """Write a file of the project."""
        (self.requirements.parent / name).write_text(text)

    def problems(self, architecture: str = "x86_64") -> list[str]:
        return problems(self.project, architecture)


@pytest.fixture
def layer(tmp_path: Path) -> Layer:
    return Layer(tmp_path)


def test_missing_layer_names_the_build_command(layer: Layer) -> None:
    [problem] = layer.problems()

    assert problem.startswith("layers/django/python is missing or empty")
    assert "`djambda layer`" in problem
    assert "pip install -r django/requirements.txt -t layers/django/python" in problem
    assert "--only-binary=:all: --platform manylinux2014_x86_64" in problem


def test_empty_layer_is_reported_as_missing(layer: Layer) -> None:
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
def test_wheel_for_another_platform_is_refused(layer: Layer, tag: str) -> None:
    layer.install("Django", "6.1.3", "py3-none-any")
    layer.install("psycopg2_binary", "2.9.13", tag)

    [problem] = layer.problems()

    assert "psycopg2_binary" in problem
    assert "Python 3.13 on x86_64 Linux" in problem


def test_wheels_are_for_the_python_of_the_project(layer: Layer) -> None:
    layer.write(".python-version", "3.12\n")
    layer.install("Django", "6.1.3", "py3-none-any")
    layer.install("psycopg2_binary", "2.9.13", f"cp313-cp313-{MANYLINUX}")

    [problem] = layer.problems()

    assert "Python 3.12 on x86_64 Linux" in problem


def test_missing_and_outdated_requirements_are_reported(layer: Layer) -> None:
    layer.install("Django", "6.1.2", "py3-none-any")

    outdated, missing = layer.problems()

    assert "lacks Django==6.1.3 of django/requirements.txt" in outdated
    assert "lacks psycopg2-binary==2.9.13" in missing


def test_requirements_for_other_systems_are_ignored(layer: Layer) -> None:
    layer.requirements.write_text(
        "--index-url https://pypi.org/simple\n"
        "Django==6.1.3 \\\n    --hash=sha256:00\n"
        "tzdata==2026.1 ; sys_platform == 'win32'\n"
        "tomli==2.0 ; python_version < '3.11'\n"
    )
    layer.install("Django", "6.1.3", "py3-none-any")

    assert layer.problems() == []


def test_layer_with_a_current_manifest_passes(layer: Layer) -> None:
    layer.add_manifest()

    assert layer.problems() == []


@pytest.mark.parametrize(
    ("changes", "facts"),
    [
        ({"architecture": "arm64"}, {"arm64", "LAMBDA_ARCHITECTURE", "x86_64"}),
        ({"python": "3.12"}, {"3.12", "3.13"}),
        ({"requirements": "0" * 64}, {"django/requirements.txt"}),
        ({"lock": "0" * 64}, {"django/requirements.lock"}),
        ({"languages": ["en"]}, {"LANGUAGES", "LANGUAGE_CODE"}),
    ],
)
def test_outdated_manifest_is_refused(
    layer: Layer, changes: dict[str, str], facts: set[str]
) -> None:
    layer.add_manifest(**changes)

    [problem] = layer.problems()

    assert problem.startswith("layers/django/python was built ")
    assert all(fact in problem.partition("build it with")[0] for fact in facts)


def test_comments_and_spacing_of_requirements_are_ignored(layer: Layer) -> None:
    layer.add_manifest()

    layer.requirements.write_text("Django==6.1.3 # the newest\n\n  psycopg2-binary==2.9.13")

    assert layer.problems() == []


def test_missing_lock_file_is_reported(layer: Layer) -> None:
    layer.add_manifest()

    layer.lock.unlink()

    assert "django/requirements.lock" in layer.problems()[0]


@pytest.mark.parametrize(
    "code",
    [
        "from django.contrib.gis.db import models",
        "ENGINE = 'django.contrib.gis.db.backends.postgis'",
    ],
)
def test_code_that_uses_gis_needs_a_layer_with_it(layer: Layer, code: str) -> None:
    layer.add_manifest()

    layer.write("models.py", code)

    [problem] = layer.problems()
    assert "django.contrib.gis" in problem


def test_layer_with_an_unused_gis_passes(layer: Layer) -> None:
    layer.add_manifest(gis=True)

    assert layer.problems() == []


def test_tests_that_use_gis_do_not_need_it_in_the_layer(layer: Layer) -> None:
    layer.add_manifest()

    layer.write("test_maps.py", "import django.contrib.gis")

    assert layer.problems() == []


def test_files_that_only_their_owner_can_read_are_refused(layer: Layer) -> None:
    layer.add_manifest()

    (layer.folder / "python" / ".djambda-layer.json").chmod(0o600)

    assert "only their owner can read" in layer.problems()[0]


def test_layer_above_the_size_limit_is_refused(layer: Layer) -> None:
    layer.add_manifest()
    large = layer.folder / "python" / "model.bin"
    large.touch()

    os.truncate(large, 250 * 1024 * 1024)

    [problem] = layer.problems()
    assert "has 262 MB" in problem


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"architecture": "x86_64"}'])
def test_damaged_manifest_is_refused(layer: Layer, content: str) -> None:
    layer.add_manifest()
    (layer.folder / "python" / ".djambda-layer.json").write_text(content)

    assert ".djambda-layer.json" in layer.problems()[0].partition("build it with")[0]


def test_files_that_a_zip_cannot_contain_are_named(layer: Layer) -> None:
    layer.add_manifest()
    (layer.folder / "python" / "old.py").symlink_to("missing.py")

    [problem] = layer.problems()

    assert "old.py, a link without a target" in problem


@pytest.mark.parametrize(
    ("content", "fact"), [(b"\xff\xfed\0j\0", "not UTF-8"), (b"-r requirements.txt", "itself")]
)
def test_requirements_that_cannot_be_read_are_named(
    layer: Layer, content: bytes, fact: str
) -> None:
    layer.add_manifest()
    layer.requirements.write_bytes(content)

    [problem] = layer.problems()

    assert problem.startswith("django/requirements.txt")
    assert fact in problem


def test_requirements_with_a_byte_order_mark_are_read(layer: Layer) -> None:
    layer.add_manifest()
    layer.requirements.write_bytes(b"\xef\xbb\xbf" + layer.requirements.read_bytes())

    assert layer.problems() == []
