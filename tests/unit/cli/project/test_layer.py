"""The layer builder, with the real uv on an index of small wheels: the files in the layer,
reproducible builds, the lock file, and the errors."""

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import CodeType

import pytest

from awscdk.discovery import Project, project_of_checkout
from awscdk.module_archive import ARCHIVE
from awscdk.project import fingerprint, fingerprint_of_lock
from djambda.module_archive import open_archive
from djambda_cli.errors import CliError
from djambda_cli.paths import ROOT
from tests.unit.cli.project.checkouts import DJANGO_IN_LAYER, Checkout, hash_of


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout with a built layer, for tests that only read it."""
    checkout = Checkout(tmp_path_factory.mktemp("built"))
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv("CI", raising=False)
        checkout.build()
    return checkout


@pytest.fixture
def umask() -> Iterator[Callable[[int], int]]:
    previous = os.umask(0o022)
    yield os.umask
    os.umask(previous)


def snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Return the modes and contents of all files of a folder, by name."""
    return {
        path.relative_to(folder).as_posix(): (
            path.stat().st_mode & 0o7777,
            b"" if path.is_dir() else path.read_bytes(),
        )
        for path in (folder, *folder.rglob("*"))
    }


def code_objects(code: CodeType) -> Iterator[CodeType]:
    """Yield a module's code object and those of its functions."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from code_objects(constant)


def test_package_metadata_is_kept(built: Checkout) -> None:
    names = {path.name for path in (built.python / "django-6.1.3.dist-info").rglob("*")}

    assert {"METADATA", "WHEEL", "LICENSE", "RECORD"} <= names


def test_bytecode_is_archived_and_has_neither_columns_nor_local_paths(built: Checkout) -> None:
    archive = open_archive(str(built.python))
    assert archive
    code = archive.code(archive.modules(str(built.python))["django"])

    assert code
    assert list(built.python.rglob("*.pyc")) == [built.python / ARCHIVE]
    assert {function.co_filename for function in code_objects(code)} == {
        "/opt/python/django/__init__.py"
    }
    assert {
        position[2:]
        for function in code_objects(code)
        for position in function.co_positions()
        if position[0] != position[1] or position[2] is not None
    } <= {(None, None)}


def test_build_is_reproducible(
    tmp_path: Path, umask: Callable[[int], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    umask(0o077)
    first = Checkout(tmp_path / "first")
    first.build()
    umask(0o002)
    monkeypatch.setenv("PYTHONHASHSEED", "7")
    monkeypatch.setenv("PYTHONOPTIMIZE", "2")
    monkeypatch.setenv("PYTHONPYCACHEPREFIX", str(tmp_path / "elsewhere"))
    second = Checkout(tmp_path / "a" / "second")
    second.build()

    assert snapshot(first.python) == snapshot(second.python)
    assert {mode for mode, _ in snapshot(first.python).values()} == {0o644, 0o755}


def test_wheels_match_the_architecture(checkout: Checkout) -> None:
    for machine in ("x86_64", "aarch64"):
        tag = f"cp313-cp313-manylinux_2_17_{machine}"
        checkout.wheel("driver", "1.0", {"driver.py": f"'{machine}'"}, tag)
    checkout.require("django==6.1.3", "driver")

    for architecture, machine in {"x86_64": "'x86_64'", "arm64": "'aarch64'"}.items():
        checkout.build(architecture)

        assert (checkout.python / "driver.py").read_text() == machine


def test_lock_is_written_once_with_hashes(checkout: Checkout) -> None:
    assert checkout.build().lock_changes == ["django 6.1.3 (new)"]
    assert checkout.build().lock_changes is None

    wheel = checkout.project / "index" / "django" / "django-6.1.3-py3-none-any.whl"
    assert checkout.lock.read_text().splitlines()[1:-1] == [
        "--index-url ./index",
        "django==6.1.3 \\",
        f"    --hash=sha256:{hash_of(wheel)}",
    ]


def test_comments_do_not_change_the_lock(checkout: Checkout) -> None:
    checkout.build()

    checkout.require("django==6.1.3   # the LTS release", "", "# A comment.")

    assert checkout.is_current()
    assert checkout.build().lock_changes is None


def test_changed_requirements_keep_the_other_locked_versions(checkout: Checkout) -> None:
    checkout.wheel("driver", "1.0", {"driver.py": ""})
    checkout.require("django==6.1.3", "driver")
    checkout.build()
    checkout.wheel("driver", "1.1", {"driver.py": ""})
    checkout.wheel("extra", "1.0", {"extra.py": ""})
    checkout.write("base.txt", "django==6.1.3\ndriver\n")

    checkout.require("-r base.txt", "extra==1.0")
    built = checkout.build()

    assert built.lock_changes == ["extra 1.0 (new)"]
    lines = checkout.lock.read_text().splitlines()
    assert [line for line in lines if "==" in line] == [
        "django==6.1.3 \\",
        "driver==1.0 \\",
        "extra==1.0 \\",
    ]


def test_included_file_is_part_of_the_requirements(checkout: Checkout) -> None:
    checkout.write("base.txt", "django==6.1.3\n")
    checkout.require("-r base.txt")
    checkout.build()

    checkout.write("base.txt", "django==6.1.4\n")

    assert not checkout.is_current()


def test_lock_is_not_updated_in_ci(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    checkout.build()
    monkeypatch.setenv("CI", "true")
    checkout.build()
    checkout.require("django")

    with pytest.raises(CliError, match=r"requirements\.lock.*`djambda layer`"):
        checkout.build()


def test_changed_local_package_makes_the_layer_outdated(tmp_path: Path) -> None:
    package = tmp_path / "libs" / "pricing"
    package.mkdir(parents=True)
    (package / "pricing.py").write_text("PRICE = 1\n")
    (tmp_path / "requirements.lock").write_text(f"{package}\n")
    project = Project(tmp_path, tmp_path, tmp_path / "requirements.lock", tmp_path)
    before = fingerprint_of_lock(project)

    (package / "pricing.py").write_text("PRICE = 2\n")

    assert fingerprint_of_lock(project) != before


def test_committed_lock_matches_the_requirements() -> None:
    project = project_of_checkout(ROOT)

    [first_line, *_] = project.lock.read_text().splitlines()

    assert first_line.endswith(f" {fingerprint(project)}")


def no_such_package(checkout: Checkout) -> None:
    checkout.require("django==6.1.3", "djagno-storages")


def no_such_version(checkout: Checkout) -> None:
    checkout.require("django==6.1.99")


def no_requirement(checkout: Checkout) -> None:
    checkout.require("django=6.1.3")


def no_wheel(checkout: Checkout) -> None:
    checkout.wheel("driver", "1.0", {}, "cp313-cp313-win_amd64")
    checkout.require("driver==1.0")


def no_file(checkout: Checkout) -> None:
    checkout.requirements.unlink()


def no_included_file(checkout: Checkout) -> None:
    checkout.require("-r base.txt")


def other_hash(checkout: Checkout) -> None:
    lock = checkout.lock.read_text()
    checkout.lock.write_text(re.sub("sha256:.*", "sha256:" + 64 * "0", lock))


def too_large(checkout: Checkout) -> None:
    checkout.write("film.mp4", "")
    os.truncate(checkout.project / "film.mp4", 262_144_000)


@pytest.mark.parametrize(
    ("change", "facts", "uv_output"),
    [
        (no_such_package, ["lock django/requirements.txt"], "djagno-storages"),
        (no_such_version, ["lock django/requirements.txt"], "django==6.1.99"),
        (no_requirement, ["lock django/requirements.txt"], "django=6.1.3"),
        (no_wheel, ["wheel", "Python 3.13 on x86_64"], "driver==1.0"),
        (no_file, ["django/requirements.txt is missing"], ""),
        (no_included_file, ["lock django/requirements.txt"], "base.txt"),
        (other_hash, ["install django/requirements.lock", "hash"], "Hash mismatch"),
        (too_large, ["262 MB", "largest packages are django 0.0 MB"], ""),
    ],
)
def test_failed_build_keeps_the_existing_layer(
    checkout: Checkout, change: Callable[[Checkout], None], facts: list[str], uv_output: str
) -> None:
    checkout.build()
    before = snapshot(checkout.python)

    change(checkout)

    with pytest.raises(CliError) as error:
        checkout.build()
    assert all(fact in str(error.value) for fact in facts)
    assert uv_output in error.value.output
    assert snapshot(checkout.python) == before


def other_lock(checkout: Checkout) -> None:
    checkout.lock.write_text(checkout.lock.read_text() + "more==1.0\n")


def gis(checkout: Checkout) -> None:
    checkout.write("mysite/models.py", "import django.contrib.gis\n")


def fewer_languages(checkout: Checkout) -> None:
    checkout.write("mysite/settings.py", "LANGUAGES = [('en', 'English')]\n")


def no_layer(checkout: Checkout) -> None:
    shutil.rmtree(checkout.python)


def pip(checkout: Checkout) -> None:
    (checkout.python / ".djambda-layer.json").unlink()


def old_manifest(checkout: Checkout) -> None:
    (checkout.python / ".djambda-layer.json").write_text('{"architecture": "x86_64"}')


def other_builder(checkout: Checkout) -> None:
    manifest = checkout.python / ".djambda-layer.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"builder": "older"}))


@pytest.mark.parametrize(
    "change",
    [
        *(no_such_version, other_lock, gis, fewer_languages),
        *(no_layer, pip, old_manifest, other_builder),
    ],
)
def test_layer_is_current_until_an_input_changes(
    checkout: Checkout, change: Callable[[Checkout], None]
) -> None:
    checkout.build()
    assert checkout.is_current()
    assert not checkout.is_current("arm64")

    change(checkout)

    assert not checkout.is_current()


def test_layer_with_an_unused_gis_is_not_current(checkout: Checkout) -> None:
    gis(checkout)
    checkout.build()
    assert checkout.is_current()

    (checkout.project / "mysite" / "models.py").unlink()

    assert not checkout.is_current()


def test_concurrent_builds_wait_for_each_other(checkout: Checkout) -> None:
    with ThreadPoolExecutor() as pool:
        both = list(pool.map(checkout.build, ["x86_64", "x86_64"]))

    assert sorted(built.lock_changes is not None for built in both) == [False, True]
    assert checkout.files() == DJANGO_IN_LAYER
    assert checkout.is_current()


def test_sizes_include_the_layer_and_the_code(checkout: Checkout) -> None:
    checkout.write("mysite/tests/test_site.py", "a" * 1000)
    code = sum(
        path.stat().st_size * (2 if path.suffix == ".py" else 1)
        for path in checkout.project.rglob("*")
        if path.is_file() and "tests" not in path.parts and path != checkout.requirements
    )

    built = checkout.build()

    content = [path.read_bytes() for path in checkout.python.rglob("*") if path.is_file()]
    assert built.sizes.unzipped == sum(map(len, content))
    assert built.sizes.code == code
    assert 0 < built.zipped < built.sizes.unzipped + 300 * len(content)
    assert built.sizes.packages[0][0] == "django"
