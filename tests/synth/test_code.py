"""The staged code: its files, and that only a change of content produces a new asset."""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from awscdk import code
from awscdk.module_archive import ARCHIVE
from djambda.module_archive import open_archive
from tests.synth.conftest import PROJECT


def test_django_ships_without_tests_and_local_files() -> None:
    names = {path.name for path in code.django_package(PROJECT).rglob("*")}

    assert {"manage.py", "awslambda.py", "settings.py"} <= names
    assert names.isdisjoint({"tests", "requirements.txt", "requirements.lock"})
    assert not [name for name in names if name.startswith(".") or name.endswith(".sqlite3")]


def test_helpers_ship_with_the_signed_call() -> None:
    names = {
        path.relative_to(code.helper_package()).as_posix()
        for path in code.helper_package().rglob("*.py")
    }

    assert {"proxy.py", "release.py", "generated_secrets.py", "djambda_common/aws_api.py"} <= names


def test_every_module_has_bytecode_that_lambda_does_not_check() -> None:
    modules = list(code.helper_package().rglob("*.py"))

    assert modules
    for module in modules:
        bytecode = Path(importlib.util.cache_from_source(module)).read_bytes()
        # PEP 552: 1 means hash-based and unchecked; a timestamp would never match on Lambda.
        assert int.from_bytes(bytecode[4:8], "little") == 1
        assert f"/var/task/{module.relative_to(code.helper_package())}".encode() in bytecode


def test_djangos_modules_are_archived_except_for_those_that_open_the_archive() -> None:
    staged = code.django_package(PROJECT)
    archive = open_archive(str(staged))

    assert archive
    for source in staged.rglob("*.py"):
        is_package = source.name == "__init__.py"
        module = source.parent if is_package else source.with_suffix("")
        assert archive.modules(str(module.parent))[module.name][0] is is_package
    assert {path.name.partition(".")[0] for path in staged.rglob("*.pyc")} == {
        Path(name).stem for name in (*code.IMPORTED_FIRST, ARCHIVE)
    }


HANDLER = """
import sys
from pathlib import Path
from djambda import module_archive

def install():
    folder = Path(sys.argv[1])
    files = [Path(getattr(module, "__file__", None) or "/") for module in sys.modules.values()]
    print(*(file.relative_to(folder) for file in files if file.is_relative_to(folder)))
    sys.exit()

module_archive.install = install
import djambda.awslambda
"""


def test_modules_that_open_the_archive_have_bytecode() -> None:
    staged = code.django_package(PROJECT)

    process = subprocess.run(
        [sys.executable, "-B", "-c", HANDLER, str(staged)],
        env={"PYTHONPATH": str(staged), "LAMBDA_TASK_ROOT": str(staged)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert set(process.stdout.split()) == set(code.IMPORTED_FIRST)


def snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Return the modes and contents of all files of a folder, by name."""
    return {
        path.relative_to(folder).as_posix(): (
            path.stat().st_mode & 0o7777,
            b"" if path.is_dir() else path.read_bytes(),
        )
        for path in (folder, *folder.rglob("*"))
    }


@pytest.mark.parametrize(
    ("stage", "executables"),
    [(partial(code.django_package, PROJECT), {"manage.py"}), (code.helper_package, set())],
)
def test_every_user_can_read_the_code(stage: Callable[[], Path], executables: set[str]) -> None:
    staged = stage()
    files = snapshot(staged)

    programs = {name for name, (mode, _) in files.items() if mode == 0o755} - {
        path.relative_to(staged).as_posix() for path in (staged, *staged.glob("**/"))
    }
    assert {mode for mode, _ in files.values()} == {0o644, 0o755}
    assert programs == executables


def test_staging_is_reproducible(monkeypatch: pytest.MonkeyPatch) -> None:
    first = snapshot(code.django_package(PROJECT))

    previous_umask = os.umask(0o077)
    monkeypatch.setenv("PYTHONHASHSEED", "7")
    monkeypatch.setenv("PYTHONOPTIMIZE", "2")
    monkeypatch.setenv("PYTHONPYCACHEPREFIX", "/nowhere")
    try:
        second = snapshot(code.django_package.__wrapped__(PROJECT))
    finally:
        os.umask(previous_umask)

    assert second == first


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.py").write_text("a = 1\n")
    return tmp_path


def test_build_id_depends_on_the_content(folder: Path) -> None:
    first = code.build_id(folder)

    (folder / "a.py").write_text("a = 2\n")

    assert len(first) == 12
    assert code.build_id(folder) != first


def test_build_id_depends_on_file_names(folder: Path) -> None:
    first = code.build_id(folder)

    (folder / "a.py").rename(folder / "b.py")

    assert code.build_id(folder) != first


def test_build_id_depends_on_executable_bits(folder: Path) -> None:
    first = code.build_id(folder)

    (folder / "a.py").chmod(0o755)

    assert code.build_id(folder) != first


def test_build_id_ignores_times_and_bytecode(folder: Path) -> None:
    first = code.build_id(folder)

    os.utime(folder / "a.py", (0, 0))
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "a.cpython-313.pyc").write_bytes(b"from another machine")
    (folder / ARCHIVE).write_bytes(b"from another machine")

    assert code.build_id(folder) == first


def test_warnings_of_the_compiler_are_not_printed(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (folder / "a.py").write_text(r"a = '\S'")

    code.add_bytecode(folder, "/var/task")

    assert "".join(capfd.readouterr()) == ""
