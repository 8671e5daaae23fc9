"""Paths: the product's files, the project that a command deploys, and the tools that it runs."""

import hashlib
import os
import shutil
import sys
from pathlib import Path

import platformdirs

from awscdk.discovery import STATE, Project, find_home, find_project, project_of_checkout
from awscdk.product import IS_CHECKOUT, PRODUCT
from awscdk.project_file import ProjectError
from djambda_cli.errors import CliError

CDK_APP = PRODUCT / "awscdk" / "app.py"
TOOLS = Path(sys.executable).parent


def find_checkout(folder: Path) -> Path | None:
    """Return the checkout of djambda that is this folder or contains it."""
    candidates = (folder, *folder.parents)
    return next((parent for parent in candidates if (parent / "awscdk/app.py").is_file()), None)


def locate(folder: Path, product: Path | None) -> tuple[Path | None, Path | None]:
    """Return the checkout and the project's home for a command in `folder`; one of them is None.

    In a checkout, the project is the one in its `django/`. `product` is the checkout of an editable
    installation: its own commands work on it, and so do commands outside any project.
    """
    if checkout := find_checkout(folder):
        return product or checkout, None
    try:
        return None, find_home(folder)
    except ProjectError:
        return product, None


CHECKOUT, HOME = locate(Path.cwd(), PRODUCT if IS_CHECKOUT else None)
ROOT = CHECKOUT or HOME or Path.cwd()
"""The folder of `.variables`: the checkout, or the project's home."""
LOCAL = ROOT / (".local" if CHECKOUT else STATE)
"""The state of the project's deployments, which git ignores."""
DEFAULT_CLOUD = LOCAL / "cloud"
CDK_OUTPUT = (CHECKOUT or LOCAL) / "cdk.out"
"""The folder of `djambda synth`. It must not be in a project's root, which ships."""
CREATE_VARIABLES = "cp .variables.template .variables" if CHECKOUT else "djambda init --aws"
"""The command that creates `.variables`."""
INSTALL_TOOLS = "make tools" if IS_CHECKOUT else "djambda up"
"""The command that installs what is missing of Node, the CDK CLI and the emulator."""


def _shared_tools() -> Path:
    """Return the folder of the tools that an installed djambda shares between projects."""
    locks = b"".join((PRODUCT / name).read_bytes() for name in ("uv.lock", "package-lock.json"))
    name = f"tools-{hashlib.sha256(locks).hexdigest()[:12]}"
    return Path(platformdirs.user_cache_dir("djambda")) / name


TOOLS_HOME = PRODUCT if IS_CHECKOUT else _shared_tools()
"""The folder with `node_modules`, `.venv/bin/node` and `.local/emulator`."""
EMULATOR_PYTHON = TOOLS_HOME / ".local" / "emulator" / "bin" / "python"


def load_project() -> Project:
    """Return the project that commands deploy.

    Raises `CliError` if the current folder neither belongs to nor contains one.
    """
    try:
        return project_of_checkout(CHECKOUT) if CHECKOUT else find_project(HOME or Path.cwd())
    except ProjectError as error:
        raise CliError(str(error)) from None


def require_project() -> None:
    """Raise `CliError` if the current folder belongs to no project."""
    if not (CHECKOUT or HOME):
        load_project()


def create_state_folder() -> None:
    """Create the folder of the project's state; git ignores it by itself."""
    LOCAL.mkdir(mode=0o700, exist_ok=True)
    if not CHECKOUT:
        (LOCAL / ".gitignore").write_text("*\n")


def search_path() -> str:
    """Return `PATH` with the project's own tools first, as if `.venv` were activated."""
    path = os.environ.get("PATH", os.defpath)
    own = dict.fromkeys([str(TOOLS), str(TOOLS_HOME / ".venv" / "bin")])
    return os.pathsep.join([*own, path, str(TOOLS_HOME / ".local" / "uv" / "bin")])


def tool(name: str) -> str:
    """Return the path of a tool. Raises `CliError` if it is missing."""
    path = shutil.which(name, path=search_path())
    if not path:
        raise CliError(f"{name} is not installed. Install the tools of djambda: {INSTALL_TOOLS}")
    return path
