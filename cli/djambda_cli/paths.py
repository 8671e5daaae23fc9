"""Where things are: the checkout's own files, and the tools that `cli/bootstrap.py` made."""

import os
import shutil
import sys
from pathlib import Path

from djambda_cli.errors import CliError

ROOT = Path(__file__).resolve().parents[2]
LOCAL = ROOT / ".local"
TOOLS = Path(sys.executable).parent
DEFAULT_CLOUD = LOCAL / "cloud"
EMULATOR_PYTHON = LOCAL / "emulator" / "bin" / "python"
REQUIREMENTS = ROOT / "django" / "requirements.txt"
LAYER = ROOT / "layers" / "django" / "python"
CDK_APP = "awscdk/app.py"


def search_path() -> str:
    """The search path with the project's own tools first, also where `.venv` is not activated."""
    given = os.environ.get("PATH", os.defpath)
    return os.pathsep.join([str(TOOLS), given, str(LOCAL / "uv" / "bin")])


def tool(name: str) -> str:
    """Where a tool is. Raises CliError if it is missing."""
    found = shutil.which(name, path=search_path())
    if not found:
        raise CliError(f"{name} is missing here. Install the project's tools: make tools")
    return found
