"""Discovery of a project's folders, settings module and requirements file."""

from pathlib import Path

import pytest

from awscdk.discovery import find_project, project_of_checkout
from awscdk.project_file import ProjectError, read_project_file

MANAGE = """import os, sys

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "{settings}")
    from django.core.management import execute_from_command_line
    execute_from_command_line(sys.argv)
"""
WSGI = """import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "{settings}")
application = get_wsgi_application()
"""


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return folder


def project(folder: Path, settings: str = "shop.settings") -> Path:
    return write(
        folder,
        {
            "manage.py": MANAGE.format(settings=settings),
            "shop/settings.py": "",
            "requirements.txt": "Django\n",
        },
    )


class TestHome:
    def test_is_the_folder_with_manage(self, tmp_path: Path) -> None:
        found = find_project(project(tmp_path))

        assert (found.root, found.layer) == (tmp_path, tmp_path / ".djambda" / "layer")
        assert found.settings == "shop.settings"
        assert found.requirements == tmp_path / "requirements.txt"

    def test_is_found_from_a_folder_below(self, tmp_path: Path) -> None:
        project(tmp_path)

        assert find_project(tmp_path / "shop").root == tmp_path

    @pytest.mark.parametrize("name", ["backend", "src", "apps/site"])
    def test_is_found_in_a_repository(self, tmp_path: Path, name: str) -> None:
        (tmp_path / ".git").mkdir()
        project(tmp_path / name)

        assert find_project(tmp_path).root == tmp_path / name

    def test_search_does_not_leave_the_repository(self, tmp_path: Path) -> None:
        project(tmp_path)
        (tmp_path / "other" / ".git").mkdir(parents=True)

        with pytest.raises(ProjectError, match="no Django project"):
            find_project(tmp_path / "other")

    def test_virtual_environments_are_not_searched(self, tmp_path: Path) -> None:
        write(tmp_path / "env", {"pyvenv.cfg": "", "manage.py": "", "lib/manage.py": ""})
        write(tmp_path / ".cache", {"manage.py": ""})
        write(tmp_path / "node_modules", {"manage.py": ""})

        with pytest.raises(ProjectError, match="no Django project"):
            find_project(tmp_path)

    def test_several_projects_are_named(self, tmp_path: Path) -> None:
        for name in ("blog", "shop"):
            project(tmp_path / name)

        with pytest.raises(ProjectError, match=r"blog, shop(.|\n)*init --root blog"):
            find_project(tmp_path)

    def test_configuration_selects_one_of_several(self, tmp_path: Path) -> None:
        for name in ("blog", "shop"):
            project(tmp_path / name)
        write(tmp_path, {"djambda.toml": 'root = "shop"\n'})

        found = find_project(tmp_path)

        assert found.root == tmp_path / "shop"
        assert found.lock == tmp_path / ".djambda" / "requirements.lock"

    def test_configured_root_without_manage(self, tmp_path: Path) -> None:
        write(project(tmp_path), {"djambda.toml": 'root = "nowhere"\n'})

        with pytest.raises(ProjectError, match="nowhere"):
            find_project(tmp_path)


class TestSettings:
    def test_of_servers_win_over_those_of_manage(self, tmp_path: Path) -> None:
        write(
            project(tmp_path, "config.settings.local"),
            {
                "config/wsgi.py": WSGI.format(settings="config.settings.production"),
                "config/settings/production.py": "",
            },
        )

        assert find_project(tmp_path).settings == "config.settings.production"

    @pytest.mark.parametrize("development", ["dev", "local", "development"])
    @pytest.mark.parametrize("production", ["production", "prod"])
    def test_production_module_next_to_the_development_module(
        self, tmp_path: Path, development: str, production: str
    ) -> None:
        write(
            project(tmp_path, f"mysite.settings.{development}"),
            {
                "mysite/wsgi.py": WSGI.format(settings=f"mysite.settings.{development}"),
                f"mysite/settings/{production}.py": "",
            },
        )

        assert find_project(tmp_path).settings == f"mysite.settings.{production}"

    def test_development_module_without_a_production_module(self, tmp_path: Path) -> None:
        project(tmp_path, "mysite.settings.dev")

        assert find_project(tmp_path).settings == "mysite.settings.dev"

    def test_of_a_src_layout(self, tmp_path: Path) -> None:
        write(
            project(tmp_path, "app.settings.dev"),
            {
                "src/app/wsgi.py": WSGI.format(settings="app.settings.prod"),
                "src/app/settings/prod.py": "",
            },
        )

        assert find_project(tmp_path).settings == "app.settings.prod"

    def test_configured_module_wins(self, tmp_path: Path) -> None:
        write(
            project(tmp_path),
            {
                "shop/other.py": "",
                "pyproject.toml": '[tool.djambda]\nsettings = "shop.other"\n',
            },
        )

        assert find_project(tmp_path).settings == "shop.other"

    def test_configured_module_must_exist(self, tmp_path: Path) -> None:
        write(project(tmp_path), {"djambda.toml": 'settings = "shop.missing"\n'})

        with pytest.raises(ProjectError, match=r"shop\.missing"):
            _ = find_project(tmp_path).settings


class TestRequirements:
    FILES = (
        "uv.lock",
        "poetry.lock",
        "Pipfile.lock",
        "requirements/production.txt",
        "requirements.txt",
    )

    @pytest.mark.parametrize("best", range(len(FILES)))
    def test_most_exact_file_wins(self, tmp_path: Path, best: int) -> None:
        project(tmp_path)
        (tmp_path / "requirements.txt").unlink()
        write(tmp_path, dict.fromkeys(self.FILES[best:], ""))

        assert find_project(tmp_path).requirements == tmp_path / self.FILES[best]

    def test_pyproject_with_dependencies(self, tmp_path: Path) -> None:
        project(tmp_path)
        (tmp_path / "requirements.txt").unlink()
        write(tmp_path, {"pyproject.toml": '[project]\ndependencies = ["django"]\n'})

        assert find_project(tmp_path).requirements == tmp_path / "pyproject.toml"

    @pytest.mark.parametrize(
        ("file", "content", "command"),
        [
            ("pyproject.toml", "[tool.poetry.dependencies]\ndjango = '^5.2'\n", "poetry lock"),
            ("Pipfile", "[packages]\ndjango = '*'\n", "pipenv lock"),
        ],
    )
    def test_missing_lock_of_another_tool_is_named(
        self, tmp_path: Path, file: str, content: str, command: str
    ) -> None:
        project(tmp_path)
        (tmp_path / "requirements.txt").unlink()
        write(tmp_path, {file: content})

        with pytest.raises(ProjectError, match=command):
            find_project(tmp_path)

    def test_dependencies_of_another_tool_are_ignored(self, tmp_path: Path) -> None:
        write(
            project(tmp_path),
            {"pyproject.toml": "[tool.hatch.envs.default]\ndependencies = ['pytest']\n"},
        )
        (tmp_path / "requirements.txt").unlink()

        with pytest.raises(ProjectError, match=r"requirements\.txt"):
            find_project(tmp_path)

    def test_lock_of_a_workspace(self, tmp_path: Path) -> None:
        project(tmp_path / "backend")
        (tmp_path / "backend" / "requirements.txt").unlink()
        write(tmp_path, {"uv.lock": "", ".git/HEAD": ""})
        write(tmp_path, {"backend/pyproject.toml": "[project]\ndependencies = []\n"})

        assert find_project(tmp_path / "backend").requirements == tmp_path / "uv.lock"

    def test_configured_file(self, tmp_path: Path) -> None:
        write(
            project(tmp_path),
            {"djambda.toml": 'requirements = "deploy.txt"\n', "deploy.txt": ""},
        )

        assert find_project(tmp_path).requirements == tmp_path / "deploy.txt"

    def test_missing_files_are_listed(self, tmp_path: Path) -> None:
        project(tmp_path)
        (tmp_path / "requirements.txt").unlink()

        with pytest.raises(ProjectError, match=r"uv\.lock(.|\n)*requirements\.txt"):
            find_project(tmp_path)


class TestPython:
    @pytest.mark.parametrize(
        ("files", "version"),
        [
            ({}, "3.13"),
            ({".python-version": "3.12.4\n"}, "3.12"),
            ({".python-version": "cpython-3.14\n3.12\n"}, "3.14"),
            ({".python-version": "pypy3.11\n"}, "3.13"),
            ({".python-version": "shop-environment\n"}, "3.13"),
            ({"runtime.txt": "python-3.12.9\n"}, "3.12"),
            ({"pyproject.toml": "[project]\nrequires-python = '>=3.10'\n"}, "3.13"),
            ({"pyproject.toml": "[project]\nrequires-python = '>=3.14'\n"}, "3.14"),
            ({"pyproject.toml": "[project]\nrequires-python = '>=3.11,<3.13'\n"}, "3.12"),
            ({"pyproject.toml": "[project]\nrequires-python = '==3.12.1'\n"}, "3.12"),
            ({"pyproject.toml": "[project]\nrequires-python = '!=3.13.*'\n"}, "3.14"),
            ({"pyproject.toml": "[tool.poetry.dependencies]\npython = '~3.12'\n"}, "3.12"),
            ({"pyproject.toml": "[tool.poetry.dependencies]\npython = '^3.9 || ^3.14'\n"}, "3.13"),
            (
                {"pyproject.toml": "[tool.poetry.dependencies]\npython = {version = '3.12.*'}"},
                "3.12",
            ),
            ({"Pipfile": "[requires]\npython_version = '3.12'\n"}, "3.12"),
            (
                {"Pipfile.lock": '{"_meta": {"requires": {"python_full_version": "3.14.1"}}}'},
                "3.14",
            ),
            ({"uv.lock": 'version = 1\nrequires-python = ">=3.14"\n'}, "3.14"),
            (
                {
                    "poetry.lock": '[[package]]\npython-versions = ">=3.14"\n'
                    '\n[metadata]\npython-versions = "^3.12,<3.13"\n'
                },
                "3.12",
            ),
            ({".python-version": "3.11", "djambda.toml": "python = '3.14'"}, "3.14"),
        ],
    )
    def test_is_what_the_project_requires(
        self, tmp_path: Path, files: dict[str, str], version: str
    ) -> None:
        write(project(tmp_path), files)

        assert find_project(tmp_path).python == version

    def test_of_a_workspace(self, tmp_path: Path) -> None:
        project(tmp_path / "backend")
        write(tmp_path, {".git/HEAD": "", ".python-version": "3.14"})
        write(tmp_path, {"backend/pyproject.toml": "[project]\nrequires-python = '>=3.12'\n"})

        assert find_project(tmp_path).python == "3.14"

    def test_of_folders_outside_the_project_is_ignored(self, tmp_path: Path) -> None:
        write(tmp_path, {".python-version": "3.9"})

        assert find_project(project(tmp_path / "shop")).python == "3.13"

    def test_requirements_that_no_version_satisfies_are_named(self, tmp_path: Path) -> None:
        pyproject = "[project]\nrequires-python = '>=3.13'\n"
        write(project(tmp_path), {".python-version": "3.12", "pyproject.toml": pyproject})

        [problem] = find_project(tmp_path).problems()

        assert ".python-version: 3.12" in problem
        assert "requires-python in pyproject.toml: >=3.13" in problem
        assert "python = " in problem

    @pytest.mark.parametrize("text", ["<3.12", ">=3.15", "three"])
    def test_unsupported_version_is_a_problem(self, tmp_path: Path, text: str) -> None:
        pyproject = f"[project]\nrequires-python = '{text}'\n"
        write(project(tmp_path), {"pyproject.toml": pyproject})

        [problem] = find_project(tmp_path).problems()

        assert text in problem


class TestProjectFile:
    def test_checkout_has_it_in_its_project(self, tmp_path: Path) -> None:
        write(tmp_path, {"django/djambda.toml": "release = ['check']\n"})

        assert project_of_checkout(tmp_path).file.release == ("check",)

    def test_pyproject_of_another_tool_is_none(self, tmp_path: Path) -> None:
        write(tmp_path, {"pyproject.toml": "[tool.ruff]\nline-length = 100\n"})

        assert read_project_file(tmp_path) is None

    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ('setings = "x"', "did you mean settings"),
            ('colour = "x"', "root, settings, requirements"),
            ("settings = 3", "must be text, not 3"),
            ('settings = ""', "must be text"),
            ('groups = "docs"', "must be a list of texts"),
            ("groups = [1]", "must be a list of texts"),
            ("settings =", "cannot be read"),
            ("tasks = direct", "in quotes"),
            ("release = ['migrate \"']", "No closing quotation"),
            ("release = [' ']", "it is empty"),
            ("variables = ['APP_KEY=SECRET']", "must be NAME=FACT"),
            ("variables = ['APP_KEY']", "APP_KEY=SECRET_KEY"),
            ("variables = ['AWS_KEY=SECRET_KEY']", "AWS_KEY is reserved"),
            ("variables = ['A B=SECRET_KEY']", "not a name"),
            ("release = ['python manage.py migrate']", "only the command and its arguments"),
            ("excludes = []", "did you mean exclude"),
            ("exclude = [' ']", "selects nothing"),
            ("exclude = ['!']", "is not a pattern"),
            ("python = 3.12", "must be text"),
            ("python = '3.11'", "3.12, 3.13, 3.14"),
            ("memory = 512", "LAMBDA_MEMORY in .variables"),
            ("lambda-timeout = 60", "LAMBDA_TIMEOUT in .variables"),
        ],
    )
    def test_mistake_is_explained(self, tmp_path: Path, line: str, message: str) -> None:
        write(tmp_path, {"djambda.toml": f"{line}\n"})

        with pytest.raises(ProjectError, match=message):
            read_project_file(tmp_path)

    def test_all_mistakes_are_reported_together(self, tmp_path: Path) -> None:
        write(tmp_path, {"pyproject.toml": "[tool.djambda]\nroots = 'x'\ngroups = 'dev'\n"})

        with pytest.raises(ProjectError, match=r"(?s)did you mean root.*groups in \[tool.djambda"):
            read_project_file(tmp_path)

    def test_two_configurations_are_an_error(self, tmp_path: Path) -> None:
        write(tmp_path, {"pyproject.toml": "[tool.djambda]\n", "djambda.toml": ""})

        with pytest.raises(ProjectError, match="Keep one"):
            read_project_file(tmp_path)
