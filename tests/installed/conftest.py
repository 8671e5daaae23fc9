"""djambda as an installed package: a wheel in an empty home folder, without the checkout."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from playwright.sync_api import Browser, Page

from djambda_cli.paths import search_path
from tests.browser.conftest import browser
from tests.cloud.checkout import ROOT
from tests.cloud.local import HOSTILE

__all__ = ["browser"]

PYTHON = Path(sys.executable).resolve()
PASSED_ON = ("UV_", "PIP_", "NPM_", "NODE_EXTRA", "SSL_", "REQUESTS_")
"""The beginnings of variables that name package indexes and their certificates."""


@dataclass(frozen=True)
class User:
    """A user of this machine with an empty home folder, and with djambda on the path."""

    home: Path
    uv: str
    uv_cache: str

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment of the user's shell."""
        kept = {name: value for name, value in os.environ.items() if name.startswith(PASSED_ON)}
        return HOSTILE | {
            **kept,
            "HOME": str(self.home),
            "PATH": f"{self.home}/.local/bin:/usr/local/bin:/usr/bin:/bin",
            "UV_CACHE_DIR": self.uv_cache,  # Saves the downloads.
        }

    def run(
        self, command: str, *, cwd: Path, text: str = "", variables: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command line with `text` as its standard input and additional `variables`."""
        return subprocess.run(
            shlex.split(command),
            cwd=cwd,
            env={**self.environment, **(variables or {})},
            input=text,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )

    def require(
        self, command: str, *, cwd: Path, text: str = "", variables: Mapping[str, str] | None = None
    ) -> str:
        """Run a command line that must succeed, as `run` does, and return its output."""
        done = self.run(command, cwd=cwd, text=text, variables=variables)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def run_tool(self, requirement: str, command: str, *, cwd: Path) -> None:
        """Run a command of a package that is not installed."""
        self.require(
            f"{self.uv} tool run --python {PYTHON} --from {requirement} {command}", cwd=cwd
        )


@dataclass(frozen=True)
class Site:
    """A deployed site: its URL with a slash at the end, that of its admin, and the login."""

    url: str
    admin: str
    username: str
    password: str


@dataclass(frozen=True)
class Repository:
    """A project in git, as its user has it."""

    user: User
    folder: Path

    def up(self, **variables: str) -> Site:
        """Deploy it to a local cloud that ends with this session."""
        output = self.djambda(f"up --port 0 --owner {os.getpid()}", **variables)
        shown = re.sub(r"\x1b\[[0-9;]*m", "", output)
        lines = dict(re.findall(r"^  (Site|Admin|User|Password) +(\S+)$", shown, re.MULTILINE))
        return Site(lines["Site"], lines["Admin"], lines["User"], lines["Password"])

    def djambda(self, command: str, **variables: str) -> str:
        """Run a command of djambda that must succeed, and return its output."""
        return self.user.require(f"djambda {command}", cwd=self.folder, variables=variables)

    def write(self, files: Mapping[str, str]) -> None:
        """Write files of the project."""
        for name, text in files.items():
            file = self.folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)

    def changes(self) -> list[str]:
        """Return the files that differ from those that were added to git, and new files."""
        status = self.user.require("git status --porcelain --untracked-files=all", cwd=self.folder)
        return [line for line in status.splitlines() if not line.startswith("A  ")]


@contextmanager
def repository(user: User, folder: Path) -> Iterator[Repository]:
    """Add a project's files to git; stop its cloud afterwards."""
    for command in ("git init --quiet", "git add --all"):
        user.require(command, cwd=folder)
    try:
        yield Repository(user, folder)
    finally:
        user.run("djambda down --wipe", cwd=folder)


@pytest.fixture(scope="session")
def user() -> Iterator[User]:
    uv = shutil.which("uv", path=search_path())
    assert uv
    cache = subprocess.run([uv, "cache", "dir"], capture_output=True, text=True, check=True)
    # Postgres does not run as root, and its files are in the user's folders.
    with TemporaryDirectory(prefix="djambda-user-", ignore_cleanup_errors=True) as home:
        Path(home).chmod(0o711)
        user = User(Path(home), uv, cache.stdout.strip())
        subprocess.run([uv, "build", "--quiet", "--wheel", "--out-dir", home, ROOT], check=True)
        [wheel] = user.home.glob("*.whl")
        user.require(f"{uv} tool install --quiet --python {PYTHON} {wheel}", cwd=user.home)
        yield user


@pytest.fixture
def page(browser: Browser, site: Site) -> Iterator[Page]:
    """A page of a fresh browser profile, with the site as its base URL."""
    context = browser.new_context(base_url=site.url, viewport={"width": 1100, "height": 800})
    yield context.new_page()
    context.close()
