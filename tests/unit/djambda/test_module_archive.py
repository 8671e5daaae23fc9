"""Imports from an archive: like those from files in all respects, and from files if it is broken.

The modules' sources are changed after they were archived, so that a value shows its origin.
"""

import importlib
import importlib.metadata
import inspect
import os
import pkgutil
import py_compile
import runpy
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from importlib import import_module, resources
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.core.management import find_commands, load_command_class
from django.template.backends.django import get_installed_libraries

from awscdk.code import add_bytecode
from awscdk.interpreters import OWN_VERSION, find_interpreter
from awscdk.module_archive import ARCHIVE, archive_bytecode
from djambda import module_archive

type Archived = Callable[..., Path]

ORIGIN = "origin = 'archive'\n"


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def archive(folder: Path, python: str = OWN_VERSION) -> None:
    add_bytecode(folder, "/var/task", python)
    archive_bytecode(folder, python)


def change_sources(folder: Path) -> None:
    for source in folder.rglob("*.py"):
        source.write_text(source.read_text().replace("'archive'", "'source'"))


@pytest.fixture
def archived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Archived]:
    """Return a function that archives these files in a folder, which it adds to `sys.path`."""
    before = set(sys.modules)
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.setattr(sys, "path_hooks", sys.path_hooks[:])

    def make(files: dict[str, str], name: str = "task") -> Path:
        folder = tmp_path / name
        write(folder, files)
        archive(folder)
        change_sources(folder)
        sys.path.append(str(folder))
        return folder

    yield make
    for name in set(sys.modules) - before:
        del sys.modules[name]
    for path in list(sys.path_importer_cache):
        if path.startswith(str(tmp_path)):
            del sys.path_importer_cache[path]


def load(name: str) -> Any:
    """Return a module that is imported with the archives."""
    module_archive.install()
    return import_module(name)


def origin(name: str) -> Any:
    return load(name).origin


def test_modules_and_packages_are_imported_from_the_archive(archived: Archived) -> None:
    folder = archived({"cakes.py": ORIGIN, "bakery/__init__.py": ORIGIN, "bakery/a.py": ORIGIN})

    assert [origin(name) for name in ("cakes", "bakery", "bakery.a")] == ["archive"] * 3
    assert list(folder.rglob("*.pyc")) == [folder / ARCHIVE]


def test_finders_from_before_are_replaced(archived: Archived) -> None:
    archived({"bakery/__init__.py": ORIGIN, "bakery/cakes.py": ORIGIN})
    import_module("bakery")

    assert origin("bakery.cakes") == "archive"


def attributes(module: ModuleType) -> dict[str, Any]:
    spec = module.__spec__
    assert isinstance(spec, ModuleSpec)
    return {
        **{name: getattr(module, name, None) for name in ("__file__", "__path__", "__cached__")},
        **{name: getattr(module, name) for name in ("__name__", "__package__", "__doc__")},
        **{name: getattr(spec, name) for name in ("name", "origin", "cached", "has_location")},
        **{name: getattr(spec, name) for name in ("parent", "submodule_search_locations")},
    }


@pytest.mark.parametrize("name", ["cakes", "bakery", "bakery.pies", "bakery.sub", "bakery.sub.x"])
def test_attributes_are_those_of_an_ordinary_import(name: str, archived: Archived) -> None:
    files = ["cakes.py", "bakery/__init__.py", "bakery/pies.py", "bakery/sub/__init__.py"]
    archived(dict.fromkeys([*files, "bakery/sub/x.py"], f"'Docstring'\n{ORIGIN}"))
    ordinary = import_module(name)
    for module in [name for name in sys.modules if name.partition(".")[0] in {"cakes", "bakery"}]:
        del sys.modules[module]

    module = load(name)

    assert (ordinary.origin, module.origin) == ("source", "archive")
    assert attributes(module) == attributes(ordinary)


def test_traceback_has_the_lines_and_no_frames_of_the_import(archived: Archived) -> None:
    folder = archived(
        {"cakes.py": "def bake():\n    raise LookupError('no flour')\n", "x.py": "1 / 0\n"}
    )

    with pytest.raises(LookupError) as baked:
        load("cakes").bake()
    with pytest.raises(ZeroDivisionError) as imported:
        load("x")

    text = "".join(traceback.format_exception(baked.value))
    assert f"File \"{folder}/cakes.py\", line 2, in bake\n    raise LookupError('no flour')" in text
    frames = traceback.extract_tb(imported.value.__traceback__)
    assert frames[-1].filename == f"{folder}/x.py"
    assert module_archive.__file__ not in {frame.filename for frame in frames}


def test_nested_functions_have_the_file_of_their_module(archived: Archived) -> None:
    folder = archived({"cakes.py": "class Cake:\n    def bake(self):\n        return 1\n"})

    assert load("cakes").Cake.bake.__code__.co_filename == f"{folder}/cakes.py"


def test_sources_and_resources_are_found(archived: Archived) -> None:
    archived({"bakery/__init__.py": "def bake():\n    return 1\n", "bakery/menu.txt": "pie"})

    bakery = load("bakery")

    assert inspect.getsource(bakery.bake) == "def bake():\n    return 1\n"
    assert inspect.getsource(bakery).startswith("def bake")
    assert (resources.files("bakery") / "menu.txt").read_text() == "pie"
    assert pkgutil.get_data("bakery", "menu.txt") == b"pie"
    assert bakery.__loader__.get_source("bakery").startswith("def bake")


def test_modules_are_listed(archived: Archived) -> None:
    folder = archived(
        {"bakery/__init__.py": "", "bakery/cakes.py": "", "bakery/sub/__init__.py": ""}
    )
    bakery = load("bakery")

    assert [module.name for module in pkgutil.iter_modules([str(folder)])] == ["bakery"]
    assert {module.name for module in pkgutil.walk_packages(bakery.__path__, "bakery.")} == {
        "bakery.cakes",
        "bakery.sub",
    }


def test_metadata_is_found(archived: Archived) -> None:
    archived(
        {
            "bakery.py": ORIGIN,
            "bakery-1.2.dist-info/METADATA": "Metadata-Version: 2.1\nName: bakery\nVersion: 1.2\n",
        }
    )

    assert origin("bakery") == "archive"
    assert importlib.metadata.version("bakery") == "1.2"


def test_django_finds_commands_and_template_tags(archived: Archived) -> None:
    command = "from django.core.management import BaseCommand\nclass Command(BaseCommand):\n"
    folder = archived(
        {
            "bakery/__init__.py": "",
            "bakery/management/__init__.py": "",
            "bakery/management/commands/__init__.py": "",
            "bakery/management/commands/bake.py": f"{command}    help = 'archive'\n",
            "django/templatetags/x.py": "",
        }
    )
    load("bakery")

    assert find_commands(str(folder / "bakery" / "management")) == ["bake"]
    assert load_command_class("bakery", "bake").help == "archive"
    assert "i18n" in get_installed_libraries()


def test_earlier_folder_wins(archived: Archived) -> None:
    archived({"cakes.py": "origin = 'task'", "bakery/__init__.py": "origin = 'task'"}, "task")
    archived({"cakes.py": "origin = 'layer'", "bakery/__init__.py": "", "pies.py": ORIGIN}, "layer")

    assert [origin(name) for name in ("cakes", "bakery", "pies")] == ["task", "task", "archive"]


def test_earlier_folder_without_an_archive_wins(archived: Archived, tmp_path: Path) -> None:
    archived({"cakes.py": ORIGIN})
    write(tmp_path / "first", {"cakes.py": "origin = 'first'"})
    module_archive.install()

    sys.path.insert(0, str(tmp_path / "first"))

    assert import_module("cakes").origin == "first"


def test_folder_that_is_added_later_is_in_the_archive(archived: Archived) -> None:
    folder = archived({"src/bakery/__init__.py": ORIGIN, "x.py": ""})
    module_archive.install()

    sys.path.insert(0, str(folder / "src"))

    assert import_module("bakery").origin == "archive"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"bakery.py": ORIGIN, "bakery/__init__.py": "origin = 'package'"}, "package"),
        ({"bakery.py": ORIGIN, "bakery/menu.py": ""}, "archive"),
    ],
    ids=["package", "namespace"],
)
def test_module_and_folder_of_the_same_name(
    files: dict[str, str], expected: str, archived: Archived
) -> None:
    archived(files)

    assert origin("bakery") == expected


@pytest.mark.parametrize(
    ("source", "native"),
    [
        ("fast.py", "fast.cpython-313-x86_64-linux-gnu.so"),
        ("fast.py", "fast.abi3.so"),
        ("fast.py", "fast/__init__.cpython-312-aarch64-linux-gnu.so"),
        ("fast/__init__.py", "fast/__init__.abi3.so"),
        ("fast.py", "fast/__init__.py"),
    ],
)
def test_module_that_another_file_may_precede_is_not_archived(
    source: str, native: str, tmp_path: Path
) -> None:
    write(tmp_path, {"other.py": "", source: ORIGIN, native: ""})

    archive(tmp_path)

    opened = module_archive.open_archive(str(tmp_path))
    assert opened is not None
    assert opened.modules(str(tmp_path)).keys() <= {"other", "fast"}
    archived_fast = opened.modules(str(tmp_path)).get("fast")
    assert archived_fast is None or archived_fast[0] is (native == "fast/__init__.py")
    assert (tmp_path / source).parent.joinpath("__pycache__").exists()


def test_namespace_package_has_its_modules_from_both_folders(archived: Archived) -> None:
    archived({"bakery/cakes.py": ORIGIN}, "task")
    archived({"bakery/pies.py": ORIGIN}, "layer")

    assert [origin(f"bakery.{name}") for name in ("cakes", "pies")] == ["archive", "archive"]
    assert len(load("bakery").__path__) == 2


def test_module_that_is_not_in_the_archive(archived: Archived) -> None:
    folder = archived({"bakery/__init__.py": ""})
    write(folder, {"bakery/new.py": "origin = 'file'", "other.py": "origin = 'file'"})

    assert [origin(name) for name in ("bakery.new", "other")] == ["file", "file"]
    with pytest.raises(ModuleNotFoundError, match=r"bakery\.missing"):
        load("bakery.missing")


def test_folder_is_read_again_after_its_caches_are_invalidated(archived: Archived) -> None:
    folder = archived({"bakery/__init__.py": "", "bakery/a.py": ""})
    with pytest.raises(ModuleNotFoundError):
        load("bakery.new")

    write(folder, {"bakery/new.py": "origin = 'file'"})
    importlib.invalidate_caches()

    assert origin("bakery.new") == "file"


def test_native_and_bytecode_only_modules_are_found(archived: Archived) -> None:
    folder = archived({"bakery/__init__.py": "", "bakery/x.py": ORIGIN, "bakery/y.py": ""})
    py_compile.compile(str(folder / "bakery/x.py"), str(folder / "bakery/only.pyc"))
    (folder / "bakery" / "native.abi3.so").touch()

    assert origin("bakery.only") == "source"
    with pytest.raises(ImportError, match=r"native\.abi3\.so"):
        load("bakery.native")


def test_file_that_does_not_compile_raises_its_own_error(archived: Archived) -> None:
    archived({"cakes.py": "", "broken.py": "def"})

    with pytest.raises(SyntaxError) as error:
        load("broken")

    assert str(error.value.filename).endswith("/broken.py")


def test_reload_and_run_as_main(archived: Archived) -> None:
    archived({"cakes.py": ORIGIN, "bakery/__init__.py": "", "bakery/__main__.py": ORIGIN})

    cakes = load("cakes")
    cakes.origin = "changed"

    assert importlib.reload(cakes).origin == "archive"
    assert runpy.run_module("cakes")["origin"] == "archive"
    assert runpy.run_module("bakery", run_name="__main__")["origin"] == "archive"


def flip(content: bytes, place: int) -> bytes:
    changed = bytearray(content)
    changed[place] ^= 0xFF
    return bytes(changed)


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "header only": lambda content: content[:16],
    "part of the index": lambda content: content[:40],
    "part of the code": lambda content: content[:-5],
    "other magic number": lambda content: flip(content, 0),
    "other size": lambda content: flip(content, 7),
    "flipped in the index": lambda content: flip(content, 30),
    "flipped in the code": lambda content: flip(content, -20),
    "no archive": lambda _: b"x" * 1000,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damaged_archive_is_not_used(damage: Callable[[bytes], bytes], archived: Archived) -> None:
    file = archived({"cakes.py": ORIGIN}) / ARCHIVE
    file.write_bytes(damage(file.read_bytes()))

    assert origin("cakes") == "source"


def test_archive_that_cannot_be_read_is_not_used(archived: Archived) -> None:
    file = archived({"cakes.py": ORIGIN}) / ARCHIVE
    file.unlink()
    file.mkdir()

    assert origin("cakes") == "source"


def test_file_that_is_closed_by_others_is_not_needed(
    archived: Archived, monkeypatch: pytest.MonkeyPatch
) -> None:
    archived({"cakes.py": ORIGIN})
    module_archive.install()

    def fail(*_: object) -> bytes:
        raise OSError

    monkeypatch.setattr(os, "pread", fail)

    assert import_module("cakes").origin == "source"


@pytest.mark.parametrize("version", ["3.12", "3.14"])
def test_other_pythons(version: str, tmp_path: Path) -> None:
    python = find_interpreter(version)
    if not python:
        pytest.skip(f"There is no Python {version}")
    write(tmp_path, {"bakery/__init__.py": ORIGIN})
    archive(tmp_path, version)
    change_sources(tmp_path)
    program = (
        "import sys, module_archive; sys.path.append(sys.argv[1]); module_archive.install();"
        "import bakery; print(bakery.origin)"
    )
    folder = Path(module_archive.__file__).parent

    def run(*options: str) -> str:
        command = [str(python), "-B", *options, "-c", program, str(tmp_path)]
        return subprocess.run(
            command, cwd=folder, capture_output=True, text=True, check=True
        ).stdout.strip()

    assert run() == "archive"
    assert run("-O") == "source"  # Its assertions would run.
