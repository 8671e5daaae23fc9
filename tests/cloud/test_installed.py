"""djambda as an installed package, in a project that has never heard of it: `wagtail start`.

The wheel is installed into an empty home folder, without the checkout, and no file of the project
changes.
"""

import os
import re
import shlex
import shutil
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import httpx
import pytest

from djambda_cli.paths import search_path
from tests.cloud.checkout import ROOT
from tests.cloud.local import HOSTILE, csrf_token

PYTHON = Path(sys.executable).resolve()
WAGTAIL = "wagtail==8.0"
PASSED_ON = ("UV_", "PIP_", "NPM_", "NODE_EXTRA", "SSL_", "REQUESTS_")
"""The beginnings of variables that name package indexes and their certificates."""


@dataclass(frozen=True)
class User:
    """A user of this machine with an empty home folder, and with djambda on the path."""

    home: Path
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

    def run(self, command: str, *, cwd: Path) -> subprocess.CompletedProcess[str]:
        """Run a command line."""
        return subprocess.run(
            shlex.split(command),
            cwd=cwd,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )


@pytest.fixture(scope="module")
def user() -> Iterator[User]:
    uv = shutil.which("uv", path=search_path())
    assert uv
    cache = subprocess.run([uv, "cache", "dir"], capture_output=True, text=True, check=True)
    # Postgres does not run as root, and its files are in the user's folders.
    with TemporaryDirectory(prefix="djambda-user-", ignore_cleanup_errors=True) as home:
        Path(home).chmod(0o711)
        user = User(Path(home), cache.stdout.strip())
        subprocess.run([uv, "build", "--quiet", "--wheel", "--out-dir", home, ROOT], check=True)
        [wheel] = user.home.glob("*.whl")
        done = user.run(f"{uv} tool install --quiet --python {PYTHON} {wheel}", cwd=user.home)
        assert done.returncode == 0, done.stderr
        yield user


@pytest.fixture(scope="module")
def project(user: User) -> Iterator[Path]:
    """Yield the folder of a new Wagtail project, whose cloud is stopped afterwards."""
    uv = shutil.which("uv", path=search_path())
    folder = user.home / "bakery"
    folder.mkdir()
    start = f"{uv} tool run --python {PYTHON} --from {WAGTAIL} wagtail start mysite {folder}"
    for command in (start, "git init --quiet", "git add --all"):
        done = user.run(command, cwd=folder)
        assert done.returncode == 0, done.stdout + done.stderr
    try:
        yield folder
    finally:
        user.run("djambda down --wipe", cwd=folder)


@pytest.fixture(scope="module")
def site(user: User, project: Path) -> Iterator[httpx.Client]:
    """Yield a client of the deployed site, with the superuser logged in."""
    done = user.run(f"djambda up --port 0 --owner {os.getpid()}", cwd=project)
    assert done.returncode == 0, done.stdout + done.stderr
    shown = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)
    url = urlsplit(re.findall(r"Site +(\S+)", shown)[0])
    with httpx.Client(
        base_url=f"http://127.0.0.1:{url.port}{url.path}",
        headers={"Host": url.netloc, "Accept": "text/html", "Referer": url.geturl()},
        timeout=60,
        trust_env=False,
    ) as client:
        form = {
            "csrfmiddlewaretoken": csrf_token(client.get("admin/login/")),
            "username": re.findall(r"User +(\S+)", shown)[0],
            "password": re.findall(r"Password +(\S+)", shown)[0],
        }
        assert client.post("admin/login/", data=form).status_code == 302
        yield client


def test_page_is_published_and_found(site: httpx.Client) -> None:
    [home] = set(re.findall(r"admin/pages/(\d+)/", site.get("admin/pages/").text)) - {"1"}
    page = site.get(f"admin/pages/add/home/homepage/{home}/").text
    form = dict(re.findall(r'name="([^"]+)"[^>]*value="([^"]*)"', page))
    form |= {"title": "Bread and rolls", "slug": "bread", "action-publish": "action-publish"}

    published = site.post(f"admin/pages/add/home/homepage/{home}/", data=form)

    assert published.status_code == 302
    assert "Bread and rolls" in site.get("bread/").text
    assert "Bread and rolls" in site.get("search/?query=bread").text


def test_uploaded_image_has_a_rendition(site: httpx.Client) -> None:
    token = csrf_token(site.get("admin/images/add/"))

    uploaded = site.post(
        "admin/images/add/",
        data={"csrfmiddlewaretoken": token, "title": "Orange", "collection": "1"},
        files={"file": ("orange.png", png(400, 300), "image/png")},
    )

    assert uploaded.status_code == 302
    page = site.get("admin/images/").text
    [rendition] = re.findall(r'<img[^>]+src="([^"]+max-165x165[^"]+)"', page)
    image = httpx.get(rendition.replace("&amp;", "&"), trust_env=False)
    assert image.headers["Content-Type"] == "image/png"
    assert struct.unpack(">II", image.content[16:24]) == (165, 123)


def test_project_is_unchanged(user: User, project: Path, site: httpx.Client) -> None:
    status = user.run("git status --porcelain --untracked-files=all", cwd=project).stdout

    assert status
    assert all(line.startswith("A  ") for line in status.splitlines()), status


def test_commands_work_in_the_project(user: User, project: Path, site: httpx.Client) -> None:
    done = user.run("djambda manage --local check", cwd=project)

    assert done.returncode == 0
    assert "System check identified no issues" in done.stdout


def png(width: int, height: int) -> bytes:
    """Return an image of one color."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)

    rows = b"".join(b"\0" + b"\xff\x80\x00" * width for _ in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )
