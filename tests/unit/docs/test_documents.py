"""The documents agree with the code and with each other.

Each check also asserts that it has found something to check, so that a change in a
document's format cannot disable it.
"""

import ast
import json
import re
import shlex
import subprocess
import tomllib
from dataclasses import fields
from importlib.metadata import version
from pathlib import Path

import pytest
import typer.main
from packaging.requirements import Requirement
from typer.core import TyperGroup

from awscdk.project_file import ProjectFile, read_project_file
from awscdk.variables import RENAMED, VARIABLES
from djambda_cli.main import app

ROOT = Path(__file__).resolve().parents[3]
DOCS = ROOT / "docs"
README = (ROOT / "README.md").read_text()
PAGES = {
    str(path.relative_to(ROOT)): path.read_text()
    for path in sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
}
HISTORY = "CHANGELOG.md"
"""It names what has been removed since."""

CODE = re.compile(r"^( *)```\w*\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
INLINE_CODE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)\s]+)\)")
MAKE = re.compile(r"^(?:\$ )?make ([a-z]+)", re.MULTILINE)
DJAMBDA = re.compile(r"^(?:\$ )?djambda +(.+)$", re.MULTILINE)


def code(page: str) -> str:
    """Return a page's code, blocks and inline, as lines."""
    blocks = "".join(block for _, block in CODE.findall(page))
    return blocks + "\n".join(INLINE_CODE.findall(CODE.sub("", page))) + "\n"


def headings(page: str) -> set[str]:
    """Return the anchors of a page's headings, as GitHub derives them."""
    titles = re.findall(r"^#+ (.+)$", CODE.sub("", page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def rows(page: str) -> list[list[str]]:
    """Return the cells of a page's tables."""
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in page.splitlines()
        if line.startswith("| ") and not line.startswith("| ---")
    ]


def test_all_pages_are_checked() -> None:
    assert {"README.md", "CONTRIBUTING.md", "SECURITY.md", "docs/tutorial.md"} <= PAGES.keys()
    assert len([name for name in PAGES if name.startswith("docs/how-to/")]) > 5


def test_index_links_to_every_page() -> None:
    linked = {
        (DOCS / target).resolve() for target in LINK.findall((DOCS / "README.md").read_text())
    }

    assert linked == {page.resolve() for page in DOCS.rglob("*.md")} - {DOCS / "README.md"}


def test_make_targets_exist() -> None:
    named = {(name, target) for name, page in PAGES.items() for target in MAKE.findall(code(page))}
    shown = subprocess.run(
        ["make", "--no-print-directory", "help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    targets = {*re.findall(r"make (\w+)", shown), "tools"}

    assert {target for _, target in named} >= {"up", "down", "wipe", "test"}
    assert {(name, target) for name, target in named if target not in targets} == set()


def test_djambda_commands_and_their_options_exist() -> None:
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    lines = {
        (name, line)
        for name, page in PAGES.items()
        if name != HISTORY
        for line in DJAMBDA.findall(code(page))
        if not line.startswith(("[", "-"))
    }

    assert {line.split()[0] for _, line in lines} >= group.commands.keys()
    for name, line in sorted(lines):
        command, options = parse(line)
        assert command in group.commands, f"{name}: djambda {line}"
        known = {
            option
            for parameter in group.commands[command].params
            for option in (*parameter.opts, *parameter.secondary_opts)
        }
        assert set(options) <= known, f"{name}: djambda {line}"


def parse(line: str) -> tuple[str, list[str]]:
    """Return a line's command and its options; those after a management command are Django's."""
    command, *words = shlex.split(line, comments=True)
    options = []
    for word in words:
        if word in {"|", "&&", ">", "or", "then"}:
            break
        if word.startswith("-") and word != "-":
            options.append(word.partition("=")[0])
        elif command == "manage" and options[-1:] != ["--follow"]:
            break
    return command, options


def test_links_between_pages_work() -> None:
    links = [
        (name, *target.partition("#")[::2])
        for name, page in PAGES.items()
        for target in LINK.findall(CODE.sub("", page))
        if "://" not in target
    ]
    anchors = 0

    assert len(links) > 100
    for name, target, anchor in links:
        path = (ROOT / name).parent / target if target else ROOT / name
        assert path.exists(), f"{name}: {target}"
        if anchor:
            anchors += 1
            assert anchor in headings(path.read_text()), f"{name}: {target}#{anchor}"
    assert anchors > 20


@pytest.mark.parametrize(
    "name", ["README.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/decisions.md"]
)
def test_paths_exist(name: str) -> None:
    """Layers are built, and the sample may be replaced with another project."""
    folders = "awscdk|awslambda|cli|common|django|docs|scripts|tests|bench"
    paths = re.findall(rf"^(?:{folders})/[\w./-]*$", code(PAGES[name]), re.MULTILINE)

    assert paths
    sample = () if (ROOT / "django" / "core").exists() else ("django/core", "django/mysite")
    missing = [path for path in paths if not (ROOT / path).exists()]
    assert [path for path in missing if not path.startswith(sample)] == []


def test_steps_of_make_up_are_those_of_the_code() -> None:
    shown = set(re.findall(r"^  ✓ (.+?) +[\d.]+ s$", README, re.MULTILINE))
    calls = [
        node
        for file in (ROOT / "cli").rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call)
    ]
    texts = {
        argument.value
        for call in calls
        for argument in call.args
        if isinstance(argument, ast.Constant)
    }

    assert len(shown) > 8
    assert shown <= texts


def test_result_of_make_up_has_the_codes_captions() -> None:
    [block] = re.findall(r"^```\n\$ make up\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    captions = re.findall(
        r"^  ([A-Z].*?)  +(?=http|admin|\w{24}|\. |djambda )", block, re.MULTILINE
    )
    source = (ROOT / "cli" / "djambda_cli" / "commands" / "up.py").read_text()

    assert len(captions) > 8
    assert [caption for caption in captions if caption not in source] == []


def test_ci_runs_the_test_command_of_the_readme() -> None:
    [command] = re.findall(r"^(make .*)$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)

    assert f"$ {command}\n" in README


def test_every_variable_is_documented_with_its_default() -> None:
    page = PAGES["docs/reference/settings.md"]
    documented = {row[0].strip("`"): row[1].strip("`") for row in rows(page)[1:]}
    template = (ROOT / ".variables.template").read_text()
    names = re.findall(r"^export (\w+)=", template, re.MULTILINE)

    assert names
    assert list(documented) == names == list(VARIABLES)
    for name, variable in VARIABLES.items():
        if variable.default is None:
            assert documented[name] == "required"
        elif variable.default:
            assert documented[name] == variable.default
    for deprecated in RENAMED:
        assert f"`{deprecated}`" in page


def test_every_key_of_the_project_is_documented() -> None:
    page = PAGES["docs/reference/project.md"].partition("## Configuration")[2]
    documented = [row[0].strip("`") for row in rows(page.partition("## Schedules")[0])[1:]]

    assert documented == [field.name for field in fields(ProjectFile)]


def test_example_of_a_project_is_valid(tmp_path: Path) -> None:
    [example] = re.findall(r"```toml\n(.*?)```", PAGES["docs/reference/project.md"], re.DOTALL)
    (tmp_path / "djambda.toml").write_text(example)

    assert read_project_file(tmp_path) != ProjectFile()


def test_every_error_of_the_proxy_is_documented() -> None:
    sources = [ROOT / "awslambda" / "proxy.py", ROOT / "common" / "djambda_common" / "problem.py"]
    problems = {
        (str(call.args[0].value), str(call.args[1].value))
        for source in sources
        for call in ast.walk(ast.parse(source.read_text()))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Name)
        and call.func.id == "Problem"
        and isinstance(call.args[0], ast.Constant)
        and isinstance(call.args[1], ast.Constant)
    }
    documented = {
        (row[0], row[1].strip("`"))
        for row in rows(PAGES["docs/troubleshooting.md"])
        if row[0].isdigit() and row[1]
    }

    assert len(problems) > 8
    assert documented == problems


def test_trust_policy_of_the_pipeline_is_json() -> None:
    [policy] = re.findall(r"```json\n(.*?)```", PAGES["docs/how-to/gitlab.md"], re.DOTALL)

    [statement] = json.loads(policy)["Statement"]
    assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"


def test_django_requirements_are_the_ones_that_are_tested() -> None:
    pinned = [
        Requirement(line)
        for line in (ROOT / "django" / "requirements.txt").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    tested = {Requirement(line).name.lower() for line in project["dependency-groups"]["django"]}

    assert tested
    assert tested <= {requirement.name.lower() for requirement in pinned}
    for requirement in pinned:
        assert str(requirement.specifier) == f"=={version(requirement.name)}"


def test_emulator_and_bootstrap_pins_are_exact() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())

    for group in ("emulator", "node"):
        requirements = project["dependency-groups"][group]
        assert requirements
        assert all("==" in requirement for requirement in requirements)
    assert not (ROOT / "django" / "__init__.py").exists()
