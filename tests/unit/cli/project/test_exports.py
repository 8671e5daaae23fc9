"""The packages of other tools' lock files."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from awscdk.discovery import Project
from awscdk.project_file import ProjectFile
from djambda_cli.errors import CliError
from djambda_cli.paths import tool
from djambda_cli.project.exports import POETRY, export, with_absolute_paths, with_markers
from djambda_cli.project.runtime_packages import for_lambda, pinned

HASH = "sha256:" + "0" * 64
WORKSPACE = """
[project]
name = "shop"
version = "1.0"
requires-python = ">=3.13"
dependencies = ["pricing", "sqlparse==0.5.3"]

[project.optional-dependencies]
search = ["docopt==0.6.2"]

[dependency-groups]
dev = ["iniconfig==2.1.0"]
deploy = ["six==1.17.0"]

[tool.uv.workspace]
members = ["libs/*"]

[tool.uv.sources]
pricing = { workspace = true }
"""
MEMBER = """
[project]
name = "pricing"
version = "1.0"
requires-python = ">=3.13"

[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
"""


def project(lock: Path, file: ProjectFile | None = None) -> Project:
    home = lock.parent
    return Project(home, lock, home / "new.lock", home / "layer", file or ProjectFile())


@pytest.fixture(scope="module")
def uv_lock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("workspace")
    (folder / "libs" / "pricing").mkdir(parents=True)
    (folder / "pyproject.toml").write_text(WORKSPACE)
    (folder / "libs" / "pricing" / "pyproject.toml").write_text(MEMBER)
    subprocess.run(
        [tool("uv"), "lock", "--quiet", "--python", sys.executable], cwd=folder, check=True
    )
    return folder / "uv.lock"


class TestUv:
    def test_has_the_packages_of_production(self, uv_lock: Path) -> None:
        lock = export(project(uv_lock))

        assert dict(pinned(lock)) == {"sqlparse": "0.5.3"}
        assert "--hash=sha256:" in lock
        assert f"{uv_lock.parent}/libs/pricing\n" in lock

    def test_has_the_selected_groups_and_extras(self, uv_lock: Path) -> None:
        file = ProjectFile(groups=("deploy",), extras=("search",))

        names = dict(pinned(export(project(uv_lock, file)))).keys()

        assert names == {"sqlparse", "six", "docopt"}

    def test_unknown_group_is_named(self, uv_lock: Path) -> None:
        with pytest.raises(CliError) as error:
            export(project(uv_lock, ProjectFile(groups=("depoly",))))

        assert "depoly" in error.value.output

    def test_lock_is_not_updated(self, uv_lock: Path, tmp_path: Path) -> None:
        (tmp_path / "pyproject.toml").write_text(WORKSPACE.replace("0.5.3", "0.5.2"))
        (tmp_path / "libs" / "pricing").mkdir(parents=True)
        (tmp_path / "libs" / "pricing" / "pyproject.toml").write_text(MEMBER)
        lock = tmp_path / "uv.lock"
        lock.write_bytes(uv_lock.read_bytes())

        assert dict(pinned(export(project(lock))))["sqlparse"] == "0.5.3"
        assert lock.read_bytes() == uv_lock.read_bytes()


def test_pipenv(tmp_path: Path) -> None:
    entry = {"hashes": [HASH], "index": "pypi", "version": "==0.5.3"}
    content = {
        "_meta": {
            "hash": {"sha256": "0"},
            "pipfile-spec": 6,
            "requires": {},
            "sources": [{"name": "pypi", "url": "https://pypi.org/simple", "verify_ssl": True}],
        },
        "default": {"sqlparse": entry},
        "develop": {"iniconfig": entry | {"version": "==2.1.0"}},
    }
    (tmp_path / "Pipfile").write_text('[packages]\nsqlparse = "*"\n')
    (tmp_path / "Pipfile.lock").write_text(json.dumps(content))

    lock = export(project(tmp_path / "Pipfile.lock"))

    assert dict(pinned(lock)) == {"sqlparse": "0.5.3"}
    assert HASH in lock


def test_poetry(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "shop"\nversion = "1.0"\nrequires-python = ">=3.13"\n'
        'dependencies = ["sqlparse (==0.5.3)"]\n[tool.poetry]\npackage-mode = false\n'
    )
    (tmp_path / "poetry.lock").write_text(
        '[[package]]\nname = "sqlparse"\nversion = "0.5.3"\ndescription = ""\noptional = false\n'
        'python-versions = ">=3.8"\ngroups = ["main"]\n'
        f'files = [{{file = "sqlparse-0.5.3-py3-none-any.whl", hash = "{HASH}"}}]\n\n'
        '[metadata]\nlock-version = "2.1"\npython-versions = ">=3.13"\ncontent-hash = "HASH"\n'
    )
    # Poetry refuses a lock whose hash of pyproject.toml differs.
    code = (
        "from poetry.factory import Factory\n"
        "print(Factory().create_poetry().locker._get_content_hash())"
    )
    run = [tool("uv"), *POETRY[:4], "python", "-c", code]
    digest = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    lock_file = tmp_path / "poetry.lock"
    lock_file.write_text(lock_file.read_text().replace("HASH", digest.strip()))

    lock = export(project(tmp_path / "poetry.lock"))

    assert dict(pinned(lock)) == {"sqlparse": "0.5.3"}
    assert HASH in lock


def test_broken_lock_is_named(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(WORKSPACE)
    (tmp_path / "uv.lock").write_text("version = ")

    with pytest.raises(CliError, match=r"uv\.lock"):
        export(project(tmp_path / "uv.lock"))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("-e ./libs/pricing", "/home/shop/libs/pricing"),
        ("--editable=../pricing", "/home/pricing"),
        ("./libs/pricing ; python_version > '3'", "/home/shop/libs/pricing ; python_version > '3'"),
        ("file:./libs/pricing", "/home/shop/libs/pricing"),
        ("pricing @ file:./libs/pricing", "/home/shop/libs/pricing"),
        ("sqlparse==0.5.3 \\\n    --hash=sha256:00", "sqlparse==0.5.3 --hash=sha256:00"),
        ("own @ git+https://example.com/own@0abc", "own @ git+https://example.com/own@0abc"),
    ],
)
def test_paths_of_local_packages_become_absolute(line: str, expected: str) -> None:
    assert with_absolute_paths(line, Path("/home/shop")) == f"{expected}\n"


def test_paths_without_a_dot_become_absolute(tmp_path: Path) -> None:
    (tmp_path / "libs" / "pricing").mkdir(parents=True)

    assert with_absolute_paths("-e libs/pricing", tmp_path) == f"{tmp_path}/libs/pricing\n"


def test_packages_for_other_platforms_than_that_of_pipenv_have_their_markers() -> None:
    pipfile = {
        "packages": {
            "Py_Readline": {"version": "*", "sys_platform": "== 'win32'", "index": "pypi"},
            "tzdata": {"markers": "os_name == 'nt' or python_version < '3.9'"},
            "six": "*",
        },
        "pipenv": {"allow_prereleases": True},
    }

    lock = with_markers("py-readline\ntzdata\nsix==1.17.0\n", pipfile)

    assert for_lambda(lock, "3.13") == "six==1.17.0\n"
