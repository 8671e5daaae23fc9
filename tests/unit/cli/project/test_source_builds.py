"""Packages without a wheel: those of pure Python are built, the others are rejected by name."""

import io
import tarfile
from pathlib import Path

import pytest

from djambda_cli.errors import CliError
from djambda_cli.project.source_builds import build_error
from tests.unit.cli.project.checkouts import Checkout
from tests.unit.cli.project.test_layer import snapshot

BACKEND = """
import zipfile

def build_wheel(folder, settings=None, metadata=None):
    name = "{name}-{version}-{tag}.whl"
    info = "{name}-{version}.dist-info"
    with zipfile.ZipFile(folder + "/" + name, "w") as wheel:
        wheel.writestr("{name}.py", "answer = 42")
        wheel.writestr("{name}.so", "") if {native} else None
        wheel.writestr(
            info + "/METADATA", "Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n"
        )
        wheel.writestr(
            info + "/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: {tag}\\n"
        )
        wheel.writestr(info + "/RECORD", "{name}.py,,\\n" + "{name}.so,,\\n" * {native})
    return name
"""
EXTENSION = """
from setuptools import Extension, setup

setup(name="native", version="1.0", ext_modules=[Extension("native", ["native.c"])])
"""


def source(checkout: Checkout, name: str, version: str, files: dict[str, str]) -> None:
    """Add a source distribution to a folder for `--find-links`."""
    file = checkout.project / "sources" / f"{name}-{version}.tar.gz"
    file.parent.mkdir(exist_ok=True)
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    with tarfile.open(file, "w:gz") as archive:
        for path, text in (files | {"PKG-INFO": metadata}).items():
            entry = tarfile.TarInfo(f"{name}-{version}/{path}")
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))


def own_backend(
    name: str, version: str, tag: str = "py3-none-any", *, native: bool = False
) -> dict[str, str]:
    """Return the files of a source that builds itself, so that a test needs no index."""
    return {
        "pyproject.toml": "[build-system]\nrequires = []\nbuild-backend = 'own_backend'\n"
        "backend-path = ['.']\n",
        "own_backend.py": BACKEND.format(name=name, version=version, tag=tag, native=native),
    }


def require(checkout: Checkout, *lines: str) -> None:
    """Require packages of PyPI and of the folder with sources."""
    checkout.requirements.write_text("\n".join(["--find-links ./sources", *lines, ""]))


def test_package_without_a_wheel_is_built(checkout: Checkout) -> None:
    checkout.wheel("search", "1.0", {"search.py": ""})
    source(checkout, "search", "2.0", own_backend("search", "2.0"))
    checkout.require("--find-links ./sources", "django==6.1.3", "search")

    built = checkout.build("arm64")

    assert built.sources == ["search 2.0"]
    assert (checkout.python / "search.py").read_text() == "answer = 42"
    assert not list(checkout.python.glob("*/uv_build.json"))


def test_source_is_rejected_if_its_hash_has_changed(checkout: Checkout) -> None:
    source(checkout, "search", "2.0", own_backend("search", "2.0"))
    checkout.require("--find-links ./sources", "django==6.1.3", "search")
    checkout.build()
    source(checkout, "search", "2.0", own_backend("search", "2.0") | {"more.py": ""})

    with pytest.raises(CliError) as error:
        checkout.build()

    assert "Hash mismatch" in error.value.output


@pytest.mark.parametrize(
    ("tag", "native"), [("cp313-cp313-linux_x86_64", False), ("py3-none-any", True)]
)
def test_compiled_package_is_rejected_by_name(
    checkout: Checkout, tag: str, *, native: bool
) -> None:
    source(checkout, "search", "2.0", own_backend("search", "2.0", tag, native=native))
    checkout.require("--find-links ./sources", "django==6.1.3", "search")

    with pytest.raises(CliError) as error:
        checkout.build()

    message = str(error.value)
    assert message.startswith("search==2.0 cannot be installed")
    assert "Python 3.13 on x86_64 Linux" in message
    assert "django/requirements.txt" in message


def test_package_with_a_c_extension_is_rejected_by_name(checkout: Checkout) -> None:
    """A package with setuptools, from PyPI, on a machine that may have a compiler."""
    source(checkout, "native", "1.0", {"setup.py": EXTENSION, "native.c": "int answer = 42;"})
    require(checkout, "native==1.0")

    with pytest.raises(CliError) as error:
        checkout.build()

    assert str(error.value).startswith("native==1.0 cannot be installed")
    assert "compiler" in str(error.value)
    assert "native.c" in error.value.output


def test_package_with_other_build_tools_is_rejected_by_name(checkout: Checkout) -> None:
    tools = "[build-system]\nrequires = ['setuptools<70']\nbuild-backend = 'setuptools.build_meta'"
    source(checkout, "old", "1.0", {"setup.py": EXTENSION, "pyproject.toml": tools})
    require(checkout, "old==1.0")

    with pytest.raises(CliError) as error:
        checkout.build()

    assert str(error.value).startswith("old==1.0 cannot be installed")
    assert "build-tools.lock" in str(error.value)
    assert "setuptools<70" in error.value.output


def test_build_from_source_is_reproducible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package of PyPI that has no wheel and is built with setuptools."""
    layers = []
    for name in ("first", "second"):
        monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache" / name))
        checkout = Checkout(tmp_path / name)
        checkout.requirements.write_text("docopt==0.6.2\n")
        built = checkout.build()
        layers.append(snapshot(checkout.python))

    assert built.sources == ["docopt 0.6.2"]
    assert (checkout.python / "docopt.py").is_file()
    assert layers[0] == layers[1]


def test_source_that_cannot_be_downloaded_is_not_blamed_on_a_compiler() -> None:
    stderr = (
        "error: Failed to download and build `utils @ https://example.com/1.3.tar.gz`\n"
        "  cause: Failed to fetch: https://example.com/1.3.tar.gz\n  cause: dns error\n"
    )

    error = build_error(stderr, "requirements.txt", "Python 3.13 on x86_64 Linux")

    assert error
    assert "utils could not be downloaded" in str(error)
    assert "compiler" not in str(error)
    assert "dns error" in error.output
