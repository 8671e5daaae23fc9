"""`djambda init`: write the configuration of a project, and of a deployment on AWS.

`djambda.toml` records what discovery found, so that it stays the same when the project grows. Both
files are only created, never changed.
"""

import json
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import botocore.session
import typer
from rich.prompt import Confirm, Prompt

from awscdk.discovery import MANAGE, find_home, project_in, projects_below, settings_modules
from awscdk.product import PRODUCT
from awscdk.project_file import FILE, ProjectError, ProjectFile, read_project_file
from awscdk.variables import VARIABLES
from djambda_cli.errors import CliError
from djambda_cli.paths import find_checkout
from djambda_cli.project import pipeline
from djambda_cli.terminal import stderr, stdout

VARIABLES_FILE = ".variables"
LONGEST_NAME = 40
"""Characters of a default `APP_NAME`, which leaves some of Lambda's limit to `ENVIRONMENT`."""


def init(
    *,
    root: Annotated[
        str, typer.Option(help="The folder with manage.py, if there are several.")
    ] = "",
    settings: Annotated[
        str, typer.Option(help="The settings module, e.g. config.settings.production.")
    ] = "",
    aws: Annotated[
        bool | None, typer.Option("--aws/--no-aws", help="Also write .variables for AWS.")
    ] = None,
    gitlab: Annotated[
        bool, typer.Option("--gitlab", help="Also write .gitlab-ci.yml, to deploy from GitLab.")
    ] = False,
) -> None:
    """Write djambda.toml and, for AWS, .variables. `djambda up` does not need them.

    Example: `djambda init --aws`
    """
    folder = Path.cwd()
    if find_checkout(folder):
        raise CliError(
            "The project in the checkout of djambda needs no configuration. For AWS: "
            "cp .variables.template .variables"
        )
    try:
        home = _find_home(folder, root)
        _write_project_file(home, root=root, settings=settings)
        if gitlab:
            _write_pipeline(home)
        _write_variables(home, aws=aws)
    except ProjectError as error:
        raise CliError(str(error)) from None
    except EOFError:
        raise typer.Abort from None


def _find_home(folder: Path, root: str) -> Path:
    """Return the folder of the configuration. Raises `ProjectError` if there is no project."""
    if root:
        return folder
    try:
        return find_home(folder)
    except ProjectError:
        if not projects_below(folder):
            raise
        return folder


def _write_project_file(home: Path, *, root: str, settings: str) -> None:
    """Write the project's configuration if it has none. Raises `CliError` or `ProjectError`."""
    existing = read_project_file(home)
    if existing is not None:
        if root or settings:
            raise CliError(f"{home} already has a configuration. Edit it instead.")
        module = project_in(home, existing).settings
        stdout.print(f"The project has a configuration. Settings: {module}", soft_wrap=True)
        return
    if not root and not (home / MANAGE).is_file():
        folders = [str(path.relative_to(home)) for path in projects_below(home)]
        root = choose("Which project?", folders, option="--root")
    project = project_in(home, ProjectFile(root=root or None, settings=settings or None))
    file = ProjectFile(
        root=root or None,
        settings=_choose_settings(
            [project.settings] if settings else settings_modules(project.root, project.settings)
        ),
        requirements=os.path.relpath(project.requirements, home),
    )
    _create(home / FILE, render(file))


def _choose_settings(modules: Sequence[str]) -> str:
    if len(modules) > 1 and sys.stdin.isatty():
        return choose("Which settings module?", modules, option="--settings")
    if len(modules) > 1:
        stderr.print(
            f"Selected the settings {modules[0]}, not {', '.join(modules[1:])}. To select others, "
            "change djambda.toml.",
            soft_wrap=True,
        )
    return modules[0]


def choose(question: str, choices: Sequence[str], *, option: str) -> str:
    """Return the user's choice; the first is the default.

    Raises `CliError` without a terminal, with the option to pass.
    """
    if not sys.stdin.isatty():
        raise CliError(
            f"{question} {', '.join(choices)}. Cannot ask without a terminal. Pass {option}."
        )
    return Prompt.ask(question, choices=[*choices], default=choices[0], console=stderr)


def render(file: ProjectFile) -> str:
    """Return the text of `djambda.toml`, with the root, the settings and the requirements."""
    keys = {"root": file.root, "settings": file.settings, "requirements": file.requirements}
    return (
        "# The project that djambda deploys. Reference: docs/reference/project.md of djambda.\n"
        + "".join(
            f"{key} = {json.dumps(value, ensure_ascii=False)}\n"
            for key, value in keys.items()
            if value
        )
    )


def _write_variables(home: Path, *, aws: bool | None) -> None:
    """Write the variables of a deployment on AWS, if they are wanted and do not exist."""
    file = home / VARIABLES_FILE
    if file.exists():
        stdout.print(f"{os.path.relpath(file)} exists and was not changed.", soft_wrap=True)
        return
    if aws is None and sys.stdin.isatty():
        aws = Confirm.ask(f"Write {VARIABLES_FILE} for AWS?", default=True, console=stderr)
    if not aws:
        stdout.print("Next: djambda up. Before djambda deploy: djambda init --aws")
        return
    defaults = {
        "APP_NAME": os.environ.get("APP_NAME") or app_name(home.name),
        "ENVIRONMENT": os.environ.get("ENVIRONMENT") or "dev",
        "AWS_DEFAULT_REGION": _region(),
    }
    values = {name: _ask(name, default) for name, default in defaults.items()}
    _create(file, with_values((PRODUCT / ".variables.template").read_text(), values))
    if missing := [name for name, value in values.items() if not value]:
        stdout.print(f"Set {', '.join(missing)} in it.")
    stdout.print("Next: djambda doctor, then djambda deploy")


def _write_pipeline(home: Path) -> None:
    """Write the pipeline of the project's repository. Raises `CliError`."""
    if not (home / ".git").exists():
        raise CliError(
            f"{home} is not the root of a git repository, where GitLab expects {pipeline.FILE}. "
            "Run this in the root, with the project's folder: djambda init --gitlab --root FOLDER"
        )
    if (home / pipeline.FILE).exists():
        stdout.print(f"{pipeline.FILE} exists and was not changed.")
        return
    requirement = pipeline.installed_requirement()
    _create(home / pipeline.FILE, pipeline.render(requirement))
    if requirement == pipeline.PLACEHOLDER:
        stdout.print("Set DJAMBDA in it to an address of djambda that GitLab can reach.")


def app_name(folder: str) -> str:
    """Return a valid `APP_NAME` for the name of a folder."""
    name = re.sub(r"[^a-z0-9]+", "-", folder.lower())[:LONGEST_NAME].lstrip("-0123456789")
    return name.rstrip("-") or "my-app"


def with_values(template: str, values: dict[str, str]) -> str:
    """Return the template of `.variables` with these values."""
    for name, value in values.items():
        template = re.sub(
            rf"^export {name}=$", f"export {name}={value}", template, flags=re.MULTILINE
        )
    _, *entries = template.split("\n\n")
    return "\n\n".join(["# A deployment on AWS. An empty variable has its default.", *entries])


def _ask(name: str, default: str) -> str:
    """Return the value of a variable from the user, or the default without a terminal."""
    variable = VARIABLES[name]
    while sys.stdin.isatty():
        stderr.print(variable.help, style="dim")
        value = Prompt.ask(name, default=default or None, console=stderr) or ""
        try:
            variable.read(value)
        except ValueError as error:
            stderr.print(f"{name}={value}: {error}", style="red", markup=False, soft_wrap=True)
        else:
            return value
    return default


def _region() -> str:
    """Return the region of the shell or of the AWS profile, "" if there is none."""
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    return region or botocore.session.Session().get_config_variable("region") or ""


def _create(file: Path, text: str) -> None:
    """Write a new file. Raises `CliError` if it cannot be written."""
    try:
        with file.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        raise CliError(f"Could not write {file}: {error.strerror}") from None
    stdout.print(f"Wrote {os.path.relpath(file)}", soft_wrap=True)
