"""What each contestant of the cold start benchmark puts on Lambda, built as its documentation says.

The application is the same for all: the project's `django/`, with the versions that the project
locks. A package lies unpacked below `.local/bench-packages`, as Lambda would unpack it: `task/` is
/var/task, `opt/` is /opt/python. It is built again when something that goes into it has changed.
"""

import compileall
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from py_compile import PycInvalidationMode
from typing import NamedTuple

from bench import ROOT, environment
from bench.report import Table
from djambda_cli.local.cloud import machine_architecture
from djambda_cli.paths import LAYER, REQUIREMENTS
from djambda_cli.project import layer

PACKAGES = ROOT / ".local" / "bench-packages"
RUNTIME = PACKAGES / "runtime"
CODE = ROOT / "django"
STAGING = ROOT / "awscdk" / "awscdk" / "code.py"
NOT_CODE = shutil.ignore_patterns("__pycache__", "tests")
EPOCH = 315_532_800
"""1980-01-01, the date that the CDK, Zappa and Serverless give to each file that they pack."""

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench"}


@dataclass(frozen=True)
class Package:
    """An unpacked function: its folder, and its handler as Lambda's configuration names it."""

    folder: Path
    handler: str

    @property
    def task(self) -> Path:
        """/var/task."""
        return self.folder / "task"

    @property
    def opt(self) -> Path:
        """/opt/python; not there where everything is in one zip."""
        return self.folder / "opt"


class Recipe(NamedTuple):
    """How a package is made, and what to say about that."""

    make: Callable[[Package], None]
    handler: str
    description: str


AWS_WSGI = """\
import awsgi
from mysite.wsgi import application


def handler(event, context):
    return awsgi.response(application, event, context)
"""

SERVERLESS_WSGI = """\
import serverless_wsgi
from mysite.wsgi import application


def handler(event, context):
    return serverless_wsgi.handle_request(application, event, context)
"""

APIG_WSGI = """\
from apig_wsgi import make_lambda_handler
from mysite.wsgi import application

handler = make_lambda_handler(application, binary_support=True)
"""

FLOOR = """\
import io
import sys

from mysite.wsgi import application

ENVIRON = {
    "REQUEST_METHOD": "GET",
    "SCRIPT_NAME": "",
    "QUERY_STRING": "",
    "SERVER_NAME": "www.example.com",
    "SERVER_PORT": "443",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "HTTP_HOST": "www.example.com",
    "wsgi.version": (1, 0),
    "wsgi.url_scheme": "https",
    "wsgi.input": io.BytesIO(),
    "wsgi.errors": sys.stderr,
    "wsgi.multithread": False,
    "wsgi.multiprocess": False,
    "wsgi.run_once": False,
}


def handler(event, context):
    statuses = []
    environ = ENVIRON | {"PATH_INFO": event["path"]}
    response = application(environ, lambda status, headers, exc_info=None: statuses.append(status))
    body = b"".join(response).decode()
    response.close()
    return {"statusCode": int(statuses[0][:3]), "body": body}
"""

ZAPPA = {
    "production": {
        "aws_region": "us-east-1",
        "debug": False,
        "django_settings": "mysite.settings",
        # As `zappa init` writes it: Lambda brings these.
        "exclude": ["boto3", "dateutil", "botocore", "s3transfer", "concurrent"],
        "log_level": "INFO",
        "project_name": "djambda",
        "runtime": "python3.13",
        "s3_bucket": "zappa-bench",
        # The environment has wheels for Linux already: Zappa need not fetch them once more.
        "use_precompiled_packages": False,
    }
}

STAGE = """\
import shutil
import sys

from awscdk import code

shutil.copytree(code.django(), sys.argv[1])
"""
"""For a process of its own: the CDK starts Node, and what is staged goes when the process ends."""


def at(name: str) -> Package:
    """Where a contestant's package is, whether it has been built or not."""
    return Package(PACKAGES / name, CONTESTANTS[name].handler)


def build(name: str) -> Package:
    """A contestant's package, built where it is missing or old.

    Raises CalledProcessError, after the tool's own words, when pip, the CDK or Zappa fail, and
    CommandError when our layer cannot be built.
    """
    package = at(name)
    if name == "djambda" and not layer.is_current(machine_architecture()):
        layer.build(machine_architecture())
    inputs = _inputs(name)
    stamp = package.folder / "inputs.sha256"
    if not stamp.exists() or stamp.read_text() != inputs:
        shutil.rmtree(package.folder, ignore_errors=True)
        package.folder.mkdir(parents=True)
        CONTESTANTS[name].make(package)
        stamp.write_text(inputs)
    return package


def runtime() -> None:
    """Make /var/runtime, with what Lambda brings: its runtime client and boto3."""
    stamp = RUNTIME / "locked.txt"
    wanted = _locked().read_text()
    if not stamp.exists() or stamp.read_text() != wanted:
        shutil.rmtree(RUNTIME, ignore_errors=True)
        _pip("install", "awslambdaric", "boto3", "-t", RUNTIME)
        stamp.write_text(wanted)


@contextmanager
def alone() -> Iterator[None]:
    """Wait until nobody else builds or measures these packages, and keep others from it."""
    PACKAGES.mkdir(parents=True, exist_ok=True)
    with (PACKAGES / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def run(rounds: int) -> list[Table]:
    """The sizes of the packages. They are what they are: `rounds` changes nothing."""
    del rounds
    with alone():
        packages = {name: build(name) for name in CONTESTANTS if name != "floor"}
        rows: dict[str, tuple[float | None, ...]] = {
            name: _sizes(package.task, package.opt) for name, package in packages.items()
        }
        rows["djambda's layer alone"] = _sizes(packages["djambda"].opt)
    return [
        Table(
            title="Package sizes",
            unit="MB",
            columns=("zipped", "unzipped"),
            rows=rows,
            ours="djambda",
            note="The sample site with its dependencies, as each tool or recipe packs it for "
            "Lambda, in millions of bytes; zipped with deflate. boto3 comes with Lambda and is in "
            "none of them.",
            details={name: CONTESTANTS[name].description for name in packages},
        )
    ]


def _djambda(package: Package) -> None:
    shutil.copytree(LAYER, package.opt)
    _run(sys.executable, "-c", STAGE, package.task, PYTHONPATH=str(STAGING.parents[1]))


def _article(package: Package) -> None:
    _pip("install", "-r", REQUIREMENTS, "aws-wsgi", "-t", package.opt)
    _code(package.task, AWS_WSGI)
    _reset_dates(package.folder)


def _zappa(package: Package) -> None:
    venv, project = package.folder / "venv", package.folder / "project"
    _run(sys.executable, "-m", "venv", venv)
    _pip("install", "-r", REQUIREMENTS, "zappa", python=venv / "bin" / "python")
    _code(project)
    (project / "zappa_settings.json").write_text(json.dumps(ZAPPA))
    _run(
        *(venv / "bin" / "zappa", "package", "production", "--output", "package.zip"),
        cwd=project,
        VIRTUAL_ENV=str(venv),
        **CREDENTIALS,
    )
    shutil.unpack_archive(project / "package.zip", package.task)
    shutil.rmtree(project)
    shutil.rmtree(venv)
    _reset_dates(package.folder)


def _serverless_wsgi(package: Package) -> None:
    _one_zip(package, "serverless-wsgi", SERVERLESS_WSGI)


def _apig_wsgi(package: Package) -> None:
    _one_zip(package, "apig-wsgi", APIG_WSGI)


def _floor(package: Package) -> None:
    _pip("install", "-r", REQUIREMENTS, "-t", package.opt)
    _code(package.task, FLOOR)
    compileall.compile_dir(
        package.folder,
        quiet=2,
        force=True,
        workers=0,
        invalidation_mode=PycInvalidationMode.UNCHECKED_HASH,
    )


CONTESTANTS = {
    "djambda": Recipe(
        _djambda,
        "djambda.awslambda.lambda_handler",
        "the layer of `djambda layer`, and the code as the stack stages it",
    ),
    "article's recipe": Recipe(
        _article,
        "lambda_function.handler",
        "a layer of `pip install -r requirements.txt -t`, the code as it is, aws-wsgi; the CDK's "
        "zips give every file one date, so that no bytecode is valid",
    ),
    "Zappa": Recipe(
        _zappa,
        "handler.lambda_handler",
        "`zappa package`, with what `zappa init` leaves out left out",
    ),
    "serverless-wsgi": Recipe(
        _serverless_wsgi,
        "lambda_function.handler",
        "one zip with `pip install -t`, each file with one date, as serverless-python-requirements "
        "makes it",
    ),
    "apig-wsgi": Recipe(
        _apig_wsgi,
        "lambda_function.handler",
        "one zip with `pip install -t`, each file with one date, as the CDK makes it",
    ),
    "floor": Recipe(
        _floor,
        "lambda_function.handler",
        "the bare WSGI application without an adapter, all that pip installs, and bytecode that is "
        "valid",
    ),
}


def _one_zip(package: Package, adapter: str, handler: str) -> None:
    _pip("install", "-r", REQUIREMENTS, adapter, "-t", package.task)
    _code(package.task, handler)
    _reset_dates(package.folder)


def _code(folder: Path, handler: str = "") -> None:
    shutil.copytree(CODE, folder, ignore=NOT_CODE, dirs_exist_ok=True)
    if handler:
        (folder / "lambda_function.py").write_text(handler)


def _reset_dates(folder: Path) -> None:
    """Give each file the date that it has after a zip: bytecode names another, and is not valid."""
    for path in folder.rglob("*"):
        os.utime(path, (EPOCH, EPOCH))


def _sizes(*folders: Path) -> tuple[float, float]:
    """The folders as one zip each and as files, in millions of bytes."""
    zipped = unzipped = 0
    for folder in folders:
        files = [path for path in folder.rglob("*") if path.is_file()]
        with tempfile.TemporaryFile() as target:
            with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
                for path in files:
                    archive.write(path, path.relative_to(folder))
            zipped += target.tell()
        unzipped += sum(path.stat().st_size for path in files)
    return zipped / 1e6, unzipped / 1e6


def _inputs(name: str) -> str:
    """The SHA-256 of everything that goes into a contestant's package."""
    digest = hashlib.sha256(_locked().read_bytes())
    files = [Path(__file__), *(path for path in CODE.rglob("*") if path.suffix != ".pyc")]
    if name == "djambda":
        files += [STAGING, *LAYER.rglob("*")]
    for path in sorted(path for path in files if path.is_file()):
        digest.update(f"{path.relative_to(ROOT)}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


@cache
def _locked() -> Path:
    """A file with the versions that the project locks: pip takes these."""
    place = PACKAGES / "locked.txt"
    place.write_text(_run(environment(), "-m", "pip", "freeze"))
    return place


def _pip(*arguments: object, python: Path | None = None) -> None:
    """Run the pip of the rivals' environment, for another Python if one is given."""
    other = ("--python", python) if python else ()
    _run(environment(), "-m", "pip", "--quiet", *other, *arguments, "--constraint", _locked())


def _run(*command: object, cwd: Path = ROOT, **variables: str) -> str:
    """Run a tool, which says nothing unless it fails; returns what it wrote."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=os.environ | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.stderr.write(done.stdout)
        done.check_returncode()
    return done.stdout
