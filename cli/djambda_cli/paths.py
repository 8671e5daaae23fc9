"""Paths of the checkout's files and of the tools that `cli/bootstrap.py` installs."""

import os
import shutil
import sys
from pathlib import Path

from djambda_cli.errors import CliError

CDK_APP = "awscdk/app.py"


def find_checkout(*folders: Path) -> Path | None:
    """Return the first checkout that is one of these folders or contains one of them."""
    candidates = (parent for folder in folders for parent in (folder, *folder.parents))
    return next((folder for folder in candidates if (folder / CDK_APP).is_file()), None)


# The checkout of an editable installation is its own; a copy in site-packages works on the one that
# it is called in. `require_checkout` reports a missing one, so that `--help` works without.
CHECKOUT = find_checkout(Path(__file__).resolve().parent, Path.cwd())
ROOT = CHECKOUT or Path.cwd()
LOCAL = ROOT / ".local"
TOOLS = Path(sys.executable).parent
DEFAULT_CLOUD = LOCAL / "cloud"
EMULATOR_PYTHON = LOCAL / "emulator" / "bin" / "python"
REQUIREMENTS = ROOT / "django" / "requirements.txt"
LAYER = ROOT / "layers" / "django" / "python"


def require_checkout() -> None:
    """Raise `CliError` if the command runs neither from nor in a checkout of djambda."""
    if CHECKOUT is None:
        raise CliError(
            f"Not a djambda checkout: neither {ROOT} nor a folder above it contains {CDK_APP}. "
            "Run djambda inside one, or clone it."
        )


def search_path() -> str:
    """Return `PATH` with the project's own tools first, as if `.venv` were activated."""
    path = os.environ.get("PATH", os.defpath)
    return os.pathsep.join([str(TOOLS), path, str(LOCAL / "uv" / "bin")])


def tool(name: str) -> str:
    """Return the path of a tool. Raises `CliError` if it is missing."""
    path = shutil.which(name, path=search_path())
    if not path:
        raise CliError(f"{name} is not installed. Install the project's tools: make tools")
    return path
