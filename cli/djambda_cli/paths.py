"""Where things are: the checkout's own files, and the tools that `cli/bootstrap.py` made."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOCAL = ROOT / ".local"
TOOLS = Path(sys.executable).parent
DEFAULT_CLOUD = LOCAL / "cloud"
EMULATOR_PYTHON = LOCAL / "emulator" / "bin" / "python"
REQUIREMENTS = ROOT / "django" / "requirements.txt"
LAYER = ROOT / "layers" / "django" / "python"
CDK_APP = "awscdk/app.py"
