"""Find a Django project and what a deploy needs to know about it, without running any of it.

The project is the folder with `manage.py`. `djambda.toml` or `[tool.djambda]` (`project_file.py`)
overrides each of the rules below.
"""

import ast
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from awscdk import python_version
from awscdk.project_file import ProjectError, ProjectFile, read_project_file
from awscdk.requirements_file import PRODUCTION, find_requirements, folders_of_project

MANAGE = "manage.py"
STATE = ".djambda"
"""The folder of the files that djambda keeps for a project, next to its configuration."""
SETTINGS_VARIABLE = "DJANGO_SETTINGS_MODULE"
DEPTH = 2
"""The levels below the start at which `manage.py` is searched: `backend/`, `src/site/`."""
DEVELOPMENT = {"dev", "develop", "development", "local"}


@dataclass(frozen=True)
class Project:
    """A Django project, and the files that djambda keeps for it.

    `root` is the folder that ships, with `manage.py`; `requirements` the file that lists its
    packages; `lock` those packages with their hashes; `layer` the folder of the built layer, which
    contains `python/`. `in_checkout` is true for the project in `django/` of the checkout.
    """

    root: Path
    requirements: Path
    lock: Path
    layer: Path
    file: ProjectFile = field(default_factory=ProjectFile)
    in_checkout: bool = False

    @cached_property
    def settings(self) -> str:
        """The settings module. Raises `ProjectError` if there is none."""
        return _settings(self.root, self.file)

    @cached_property
    def python(self) -> str:
        """The version of Python, such as "3.13". Raises `ProjectError` if none is supported."""
        if self.file.python:
            return self.file.python
        folders = (
            [self.root] if self.in_checkout else folders_of_project(self.root, self.requirements)
        )
        return python_version.choose(python_version.requirements_of(folders, self.requirements))

    def problems(self) -> list[str]:
        """Return why the project cannot be deployed as it is: no settings, an unknown Python."""
        found = []
        for fact in ("settings", "python"):
            try:
                getattr(self, fact)
            except ProjectError as error:
                found.append(str(error))
        return found


def find_project(start: Path) -> Project:
    """Return the project that `start` belongs to or contains. Raises `ProjectError`."""
    home = find_home(start)
    return project_in(home, read_project_file(home) or ProjectFile())


def project_in(home: Path, file: ProjectFile) -> Project:
    """Return the project of a configuration in `home`. Raises `ProjectError`."""
    root = _root(home, file)
    return Project(
        root,
        find_requirements(home, root, file),
        lock=home / STATE / "requirements.lock",
        layer=home / STATE / "layer",
        file=file,
    )


def project_of_checkout(checkout: Path) -> Project:
    """Return the project in `django/` of a checkout of djambda. Raises `ProjectError`."""
    root = checkout / "django"
    return Project(
        root,
        root / "requirements.txt",
        lock=root / "requirements.lock",
        layer=checkout / "layers" / "django",
        file=read_project_file(root) or ProjectFile(),
        in_checkout=True,
    )


def find_home(start: Path) -> Path:
    """Return the folder whose project a command in `start` works on. Raises `ProjectError`.

    It is the nearest one, from `start` up, with a configuration or a `manage.py`, else the only
    one below it.
    """
    for folder in (start, *start.parents):
        if (folder / MANAGE).is_file() or read_project_file(folder) is not None:
            return folder
        if (folder / ".git").exists():
            break
    below = projects_below(start)
    if not below:
        raise ProjectError(
            f"There is no Django project in {start}: neither it, nor a folder above or below it, "
            f"contains {MANAGE}. Run djambda in the project's folder, or create a project: "
            "django-admin startproject mysite ."
        )
    if len(below) > 1:
        names = ", ".join(str(folder.relative_to(start)) for folder in below)
        raise ProjectError(
            f"{start} contains several Django projects: {names}. Run djambda in one of these "
            f"folders, or select one: djambda init --root {below[0].relative_to(start)}"
        )
    return below[0]


def projects_below(start: Path) -> list[Path]:
    """Return the folders with `manage.py` up to two levels below `start`."""
    return sorted(_folders_with_manage(start, DEPTH))


def _folders_with_manage(folder: Path, depth: int) -> Iterator[Path]:
    """Yield the folders below `folder` that contain `manage.py`."""
    try:
        entries = [Path(entry) for entry in os.scandir(folder) if entry.is_dir()]
    except OSError:
        return
    for entry in entries:
        if entry.name.startswith(".") or entry.name == "node_modules" or _is_environment(entry):
            continue
        if (entry / MANAGE).is_file():
            yield entry
        elif depth > 1:
            yield from _folders_with_manage(entry, depth - 1)


def _is_environment(folder: Path) -> bool:
    return (folder / "pyvenv.cfg").exists()


def _root(home: Path, file: ProjectFile) -> Path:
    if file.root is not None:
        root = (home / file.root).resolve()
        if not (root / MANAGE).is_file():
            raise ProjectError(f"root = {file.root!r}: {root} contains no {MANAGE}.")
        return root
    if (home / MANAGE).is_file():
        return home
    below = projects_below(home)
    if len(below) != 1:
        problem = "no" if not below else "more than one"
        raise ProjectError(
            f"{home} contains {problem} folder with {MANAGE}. Name it in the configuration: "
            'root = "backend"'
        )
    return below[0]


def _settings(root: Path, file: ProjectFile) -> str:
    if file.settings:
        if module_file(root, file.settings) is None:
            raise ProjectError(f"settings = {file.settings!r}: there is no such module in {root}.")
        return file.settings
    module = settings_module(root)
    deployed = _settings_of_wsgi(root, module)
    if deployed and deployed != module:
        return deployed
    package, _, name = module.rpartition(".")
    if name in DEVELOPMENT:
        for candidate in PRODUCTION:
            if module_file(root, f"{package}.{candidate}"):
                return f"{package}.{candidate}"
    return module


def _settings_of_wsgi(root: Path, module: str) -> str | None:
    """Return the settings module of the `wsgi.py` next to the settings, which servers load."""
    package = module.partition(".")[0]
    for folder in (root / package, root / "src" / package):
        wsgi = folder / "wsgi.py"
        if wsgi.is_file():
            try:
                return named_settings(wsgi)
            except ProjectError:
                return None
    return None


def settings_module(root: Path) -> str:
    """Return the settings module that the project's `manage.py` names, e.g. "mysite.settings".

    Raises `ProjectError` if there is no `manage.py` or it names none.
    """
    manage = root / MANAGE
    if not manage.exists():
        raise ProjectError(
            f"{root.name}/{MANAGE} is missing. Create the project there: "
            f"django-admin startproject mysite {root.name}"
        )
    module = named_settings(manage)
    if module is None:
        raise ProjectError(
            f"{root.name}/{MANAGE} names no settings module. Add the line that Django generates: "
            f'os.environ.setdefault("{SETTINGS_VARIABLE}", "mysite.settings")'
        )
    return module


def settings_modules(root: Path, module: str) -> list[str]:
    """Return the modules that may be the deployed settings: `module` and others next to it."""
    file = module_file(root, module)
    package = module.rpartition(".")[0]
    others: list[str] = []
    if file is not None and file.name == "__init__.py":
        others = [f"{module}.{path.stem}" for path in file.parent.glob("*.py")]
    elif file is not None:
        pattern = "*.py" if "settings" in package.rpartition(".")[2] else "*settings*.py"
        prefix = f"{package}." if package else ""
        others = [f"{prefix}{path.stem}" for path in file.parent.glob(pattern)]
    deployable = {
        other
        for other in others
        if not re.search(r"(^|[._])(__init__|base|common|defaults?|tests?)$", other)
        and not DEVELOPMENT & set(re.split(r"[._]", other.rpartition(".")[2]))
    }
    return [module, *sorted(deployable - {module})]


def named_settings(file: Path) -> str | None:
    """Return the settings module that a Python file puts into the environment, if it does.

    Raises `ProjectError` if the file cannot be parsed.
    """
    try:
        tree = ast.parse(file.read_bytes())
    except OSError as error:
        raise ProjectError(
            f"{file.parent.name}/{file.name} cannot be read ({error.strerror}). Make it a readable "
            "file."
        ) from None
    except (SyntaxError, ValueError) as error:
        raise ProjectError(f"{file.parent.name}/{file.name} cannot be parsed: {error}") from None
    for node in ast.walk(tree):
        match node:
            case (
                ast.Call(args=[ast.Constant(value=name), ast.Constant(value=str(module))])
                | ast.Assign(
                    targets=[ast.Subscript(slice=ast.Constant(value=name))],
                    value=ast.Constant(value=str(module)),
                )
            ) if name == SETTINGS_VARIABLE:
                return module
    return None


def module_file(root: Path, module: str) -> Path | None:
    """Return the file of a module of the project, or None."""
    if not re.fullmatch(r"\w+(\.\w+)*", module):
        return None
    path = Path(*module.split("."))
    for base in (root, root / "src"):
        for file in (base / path.with_suffix(".py"), base / path / "__init__.py"):
            if file.is_file():
                return file
    return None
