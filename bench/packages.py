"""The sample site packaged for Lambda by djambda and its peers, as their documentation says.

All packages contain the same application: the project's `django/`, with its locked versions. They
are unpacked below `.local/bench-packages` as on Lambda: `task/` is /var/task, `opt/` is
/opt/python. A package is built again when one of its inputs has changed.
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

from awscdk import code, module_archive
from awscdk.discovery import project_of_checkout
from bench import ROOT, environment
from bench.report import Table
from djambda_cli.local.environment import machine_architecture
from djambda_cli.paths import LOCAL
from djambda_cli.project import layer

PACKAGES = ROOT / ".local" / "bench-packages"
RUNTIME = PACKAGES / "runtime"
PROJECT = ROOT / "django"
SAMPLE = project_of_checkout(ROOT)
LAYER = SAMPLE.layer / "python"
COMMON = ROOT / "common" / "djambda_common"
NOT_CODE = shutil.ignore_patterns("__pycache__", "tests")
EPOCH = 315_532_800
"""1980-01-01, the date of each file in a zip of the CDK, Zappa or Serverless."""

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench"}


@dataclass(frozen=True)
class Package:
    """An unpacked function: its folder, and its handler in Lambda's configuration."""

    folder: Path
    handler: str

    @property
    def task(self) -> Path:
        """/var/task."""
        return self.folder / "task"

    @property
    def opt(self) -> Path:
        """/opt/python; it does not exist if everything is in one zip."""
        return self.folder / "opt"


class Recipe(NamedTuple):
    """A function that builds a package, the handler, and a description."""

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
        # As `zappa init` writes it: they are in Lambda's runtime.
        "exclude": ["boto3", "dateutil", "botocore", "s3transfer", "concurrent"],
        "log_level": "INFO",
        "project_name": "djambda",
        "runtime": "python3.13",
        "s3_bucket": "zappa-bench",
        # The environment has wheels for Linux already.
        "use_precompiled_packages": False,
    }
}


def at(name: str) -> Package:
    """Return a package, which may not have been built yet."""
    return Package(PACKAGES / name, RECIPES[name].handler)


def build(name: str) -> Package:
    """Return a package; build it if it is missing or outdated.

    Raises `CalledProcessError`, after printing the output, if pip or Zappa fails, and `CliError`
    if our layer cannot be built.
    """
    package = at(name)
    if name == "djambda" and not layer.is_current(SAMPLE, machine_architecture()):
        layer.build(SAMPLE, machine_architecture(), LOCAL)
    inputs = _inputs(name)
    record = package.folder / "inputs.sha256"
    if not record.exists() or record.read_text() != inputs:
        shutil.rmtree(package.folder, ignore_errors=True)
        package.folder.mkdir(parents=True)
        RECIPES[name].make(package)
        record.write_text(inputs)
    return package


def runtime() -> None:
    """Create /var/runtime with the packages of Lambda's runtime: its client and boto3."""
    record = RUNTIME / "locked.txt"
    versions = _locked().read_text()
    if not record.exists() or record.read_text() != versions:
        shutil.rmtree(RUNTIME, ignore_errors=True)
        _pip("install", "awslambdaric", "boto3", "-t", RUNTIME)
        record.write_text(versions)


@contextmanager
def exclusive_lock() -> Iterator[None]:
    """Wait for other processes that build or measure these packages, and keep them waiting."""
    PACKAGES.mkdir(parents=True, exist_ok=True)
    with (PACKAGES / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def run(rounds: int) -> list[Table]:
    """Return a table of the packages' sizes, which do not depend on `rounds`."""
    del rounds
    with exclusive_lock():
        packages = {name: build(name) for name in RECIPES if name != "floor"}
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
            note="The sample site with its dependencies, as each tool or recipe packages it for "
            "Lambda, in millions of bytes, zipped with deflate. No package contains boto3, which "
            "is part of Lambda's runtime.",
            details={name: RECIPES[name].description for name in packages},
        )
    ]


def _djambda(package: Package) -> None:
    shutil.copytree(LAYER, package.opt)
    shutil.copytree(code.django_package(SAMPLE), package.task)


def _article(package: Package) -> None:
    _pip("install", "-r", SAMPLE.requirements, "aws-wsgi", "-t", package.opt)
    _copy_code(package.task, AWS_WSGI)
    _reset_dates(package.folder)


def _zappa(package: Package) -> None:
    venv, project = package.folder / "venv", package.folder / "project"
    _run(sys.executable, "-m", "venv", venv)
    _pip("install", "-r", SAMPLE.requirements, "zappa", python=venv / "bin" / "python")
    _copy_code(project)
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
    _pip("install", "-r", SAMPLE.requirements, "-t", package.opt)
    _copy_code(package.task, FLOOR)
    compileall.compile_dir(
        package.folder,
        quiet=2,
        force=True,
        workers=0,
        invalidation_mode=PycInvalidationMode.UNCHECKED_HASH,
    )


RECIPES = {
    "djambda": Recipe(
        _djambda,
        "djambda.awslambda.lambda_handler",
        "the layer of `djambda layer`, and the code as staged for a deploy",
    ),
    "article's recipe": Recipe(
        _article,
        "lambda_function.handler",
        "a layer of `pip install -r requirements.txt -t`, unchanged code, aws-wsgi; the CDK's zips "
        "reset the files' dates, so that no bytecode is valid",
    ),
    "Zappa": Recipe(
        _zappa,
        "handler.lambda_handler",
        "`zappa package` with the exclusions of `zappa init`",
    ),
    "serverless-wsgi": Recipe(
        _serverless_wsgi,
        "lambda_function.handler",
        "one zip with `pip install -t` and reset dates, as serverless-python-requirements makes it",
    ),
    "apig-wsgi": Recipe(
        _apig_wsgi,
        "lambda_function.handler",
        "one zip with `pip install -t` and reset dates, as the CDK makes it",
    ),
    "floor": Recipe(
        _floor,
        "lambda_function.handler",
        "the bare WSGI application without an adapter, everything that pip installs, and valid "
        "bytecode",
    ),
}


def _one_zip(package: Package, adapter: str, handler: str) -> None:
    _pip("install", "-r", SAMPLE.requirements, adapter, "-t", package.task)
    _copy_code(package.task, handler)
    _reset_dates(package.folder)


def _copy_code(folder: Path, handler: str = "") -> None:
    shutil.copytree(PROJECT, folder, ignore=NOT_CODE, dirs_exist_ok=True)
    shutil.copytree(COMMON, folder / COMMON.name, ignore=NOT_CODE)
    if handler:
        (folder / "lambda_function.py").write_text(handler)


def _reset_dates(folder: Path) -> None:
    """Set each file's date as a zip does, which invalidates its bytecode."""
    for path in folder.rglob("*"):
        os.utime(path, (EPOCH, EPOCH))


def _sizes(*folders: Path) -> tuple[float, float]:
    """Return the size of the folders, zipped one by one and unzipped, in millions of bytes."""
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
    """Return the SHA-256 of all inputs of a package."""
    digest = hashlib.sha256(_locked().read_bytes())
    folders = (PROJECT, COMMON)
    files = [path for folder in folders for path in folder.rglob("*") if path.suffix != ".pyc"]
    files.append(Path(__file__))
    if name == "djambda":
        files += [Path(code.__file__), Path(module_archive.__file__), *LAYER.rglob("*")]
    for path in sorted(path for path in files if path.is_file()):
        digest.update(f"{path.relative_to(ROOT)}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


@cache
def _locked() -> Path:
    """Return a constraints file for pip with the locked versions."""
    file = PACKAGES / "locked.txt"
    file.write_text(_run(environment(), "-m", "pip", "freeze"))
    return file


def _pip(*arguments: object, python: Path | None = None) -> None:
    """Run the pip of the peers' environment, for another Python if one is given."""
    target = ("--python", python) if python else ()
    _run(environment(), "-m", "pip", "--quiet", *target, *arguments, "--constraint", _locked())


def _run(*command: object, cwd: Path = ROOT, **variables: str) -> str:
    """Run a tool and return its output; print the output if it fails."""
    completed = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=os.environ | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if completed.returncode:
        sys.stderr.write(completed.stdout)
        completed.check_returncode()
    return completed.stdout
