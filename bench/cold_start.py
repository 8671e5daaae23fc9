"""The time from process start to the first response of a cold function, for each package of a site.

Each function runs as on Lambda: in a new Python process with Lambda's own runtime client, from
read-only folders, so that invalid bytecode is compiled again each time. `measure` starts this
module in a mount namespace in which the packages are read-only; that process takes the times and
prints them as JSON.

    python -m bench.cold_start [package ...] [--rounds 15]
"""

import argparse
import errno
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from base64 import b64decode
from pathlib import Path
from queue import Empty
from statistics import median
from typing import IO, Any, NamedTuple

from rich.console import Console
from rich.table import Table as Grid

from bench import events, packages
from bench.packages import PACKAGES, RECIPES, RUNTIME, Package
from bench.report import Table
from bench.runtime_api import FUNCTION, RuntimeApi
from djambda_common.variables import pack

WITH_VARIABLES = "djambda, 20 variables"
"""The package of djambda, with 20 variables of the project's own."""
OWN_VARIABLES = {f"secret/OWN_VARIABLE_{n}": json.dumps(f"{n:040x}") for n in range(20)}
PAGES = {"first page": "/accounts/login/", "first admin page": "/admin/login/"}
BUCKET = "bench-assets"
RELEASE = "0123456789ab"
SECRETS = {
    "database-password": "not-used",
    "secret-key": "only-for-the-benchmark-" * 3,
    "superuser-password": "not-used",
    **{f"versions/bench/{n}": piece for n, piece in enumerate(pack(OWN_VARIABLES), 1)},
}
TIMEOUT = 60.0
"""Seconds after which a function is considered dead."""

READ_ONLY = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && shift && exec "$@"'
TOKEN = re.compile(r'value="[A-Za-z0-9]{64}"')
HASHED = re.compile(rf'"http://127[^"]+/{BUCKET}/static/[^"]+\.[0-9a-f]{{12}}\.css"')

MODULES = """\
import importlib
import sys

module, name = "{handler}".rsplit(".", 1)
inner = getattr(importlib.import_module(module), name)


def handler(event, context):
    inner(event, context)
    return len(sys.modules) - 1
"""


class Start(NamedTuple):
    """One cold start: ms from the process's start to its response, and ms of CPU time.

    Other load on the machine affects the CPU time less.
    """

    elapsed: float
    cpu: float


class Figures(NamedTuple):
    """The figures of one package: its starts by page, and the number of imported modules."""

    starts: dict[str, list[Start]]
    modules: int

    def medians(self) -> tuple[float, ...]:
        """Return the median of the elapsed ms for each page."""
        return tuple(median(start.elapsed for start in self.starts[page]) for page in PAGES)


class WrongResponseError(Exception):
    """A function did not respond with the expected page; the message contains its response."""


def run(rounds: int) -> list[Table]:
    """Return a table of the times to the first page and to the first admin page."""
    figures = measure([*RECIPES, WITH_VARIABLES], rounds)
    return [
        Table(
            title="Cold start",
            unit="ms",
            columns=tuple(PAGES),
            rows={name: package.medians() for name, package in figures.items()},
            ours="djambda",
            note="The time from the start of a process to its first response, for the same site "
            "under Lambda's runtime client, in read-only folders: `/accounts/login/`, and in "
            f"another process `/admin/login/`. Medians of {rounds} rounds in which the packages "
            "take turns. The modules are those imported for the first page.",
            extra={name: str(package.modules) for name, package in figures.items()},
            extra_title="modules",
            details={
                **{name: recipe.description for name, recipe in RECIPES.items()},
                WITH_VARIABLES: "the same, with variables of the project's own in a snapshot",
            },
        )
    ]


def measure(names: list[str], rounds: int, ssm_ms: int = 0) -> dict[str, Figures]:
    """Build these packages if necessary and return their figures.

    Raises `CalledProcessError`, after the tool's output, if a package cannot be built, the packages
    cannot be made read-only, or a function responds with a wrong page.
    """
    user = () if os.geteuid() == 0 else ("--user", "--map-root-user")
    with packages.exclusive_lock():
        for name in dict.fromkeys(map(_recipe, names)):
            packages.build(name)
        packages.runtime()
        completed = subprocess.run(
            ["unshare", "--mount", *user, "sh", "-c", READ_ONLY, "sh", str(PACKAGES)]
            + [sys.executable, "-m", "bench.cold_start", *names]
            + ["--rounds", str(rounds), "--ssm-ms", str(ssm_ms), "--read-only"],
            stdout=subprocess.PIPE,
            check=True,
        )
    return {
        name: Figures({page: [Start(*start) for start in starts[page]] for page in PAGES}, modules)
        for name, (starts, modules) in json.loads(completed.stdout).items()
    }


def take_times(names: list[str], rounds: int, ssm_ms: int = 0) -> dict[str, Figures]:
    """Return the figures of these packages, which must be read-only.

    Raises `WrongResponseError`, or `RuntimeError` if the packages are writable.
    """
    _require_read_only(PACKAGES)
    built = {name: packages.at(_recipe(name)) for name in names}
    figures = {}
    files = {f"/{BUCKET}/static/staticfiles-{RELEASE}.json": _manifest(built[names[0]])}
    with RuntimeApi(SECRETS, files, ssm_seconds=ssm_ms / 1000) as api:
        expected: dict[str, str] = {}
        for name, package in built.items():  # Also loads the files into memory.
            for page, path in PAGES.items():
                html = _html(name, _start(api, package, path, snapshot=_snapshot(name))[1])
                if html != expected.setdefault(page, html):
                    raise WrongResponseError(f"{name}: {path} is another page:\n{html}")
            figures[name] = Figures({page: [] for page in PAGES}, _modules(api, package))
        for turn in range(rounds):
            first = turn % len(names)
            for name in names[first:] + names[:first]:
                for page, path in PAGES.items():
                    start, response = _start(api, built[name], path, snapshot=_snapshot(name))
                    _html(name, response)
                    figures[name].starts[page].append(start)
    return figures


def _recipe(name: str) -> str:
    """Return the name of the package to build."""
    return name.partition(",")[0]


def _snapshot(name: str) -> str:
    return "bench" if name == WITH_VARIABLES else "none"


def _start(
    api: RuntimeApi,
    package: Package,
    path: str,
    handler: str = "",
    handler_folder: str = "",
    *,
    snapshot: str = "none",
) -> tuple[Start, Any]:
    """Start the function with a request for this path; return the times and the response.

    `handler` replaces the package's own and may be in `handler_folder`.
    """
    api.offer(events.rest(path=path, headers=events.CHROME, base_path=""))
    folders = (str(package.opt), str(RUNTIME), handler_folder)
    variables = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "PYTHONPATH": os.pathsep.join(filter(None, folders)),
        "LAMBDA_TASK_ROOT": str(package.task),
        "AWS_LAMBDA_RUNTIME_API": api.address,
        "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
        "AWS_LAMBDA_FUNCTION_NAME": FUNCTION.rpartition(":")[2],
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_REGION": "us-east-1",
        "AWS_SESSION_TOKEN": "bench",
        "AWS_ENDPOINT_URL": f"http://{api.address}",
        "ALLOWED_HOSTS": events.OWN_DOMAIN,
        "AWS_STORAGE_BUCKET_NAME": BUCKET,
        "DJANGO_SETTINGS_MODULE": "mysite.settings",
        "POSTGRES_DB": "bench",
        "POSTGRES_SERVICE_HOST": "127.0.0.1",
        "POSTGRES_USER": "bench",
        "RELEASE": RELEASE,
        "SECRETS_PATH": "/bench",
        "VARIABLES_SNAPSHOT": snapshot,
        **packages.CREDENTIALS,
    }
    # Lambda's Python is not in a virtual environment.
    python = str(Path(sys.executable).resolve())
    command = [python, "-m", "awslambdaric", handler or package.handler]
    with tempfile.TemporaryFile() as log:
        begin = time.perf_counter_ns()
        process = subprocess.Popen(
            command,
            cwd=package.task,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        try:
            result = api.results.get(timeout=TIMEOUT)
        except Empty:
            result = None
        finally:
            process.kill()
            _, process.returncode, usage = os.wait4(process.pid, 0)
        if result is None or result.failed:
            error = result.content if result else "no response"
            raise WrongResponseError(f"{package.folder.name}: {error}. Its log:\n{_text(log)}")
    cpu = (usage.ru_utime + usage.ru_stime) * 1e3
    return Start((result.at - begin) / 1e6, cpu), result.content


def _text(log: IO[bytes]) -> str:
    log.seek(0)
    return log.read().decode(errors="replace")


def _modules(api: RuntimeApi, package: Package) -> int:
    """Return the number of modules that the function has imported for the first page."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "bench_modules.py").write_text(MODULES.format(handler=package.handler))
        _, count = _start(api, package, PAGES["first page"], "bench_modules.handler", folder)
    return int(count)


def _html(name: str, response: Any) -> str:
    """Return the page without its CSRF token. Raises `WrongResponseError`."""
    body = str(response.get("body"))
    if response.get("isBase64Encoded"):
        body = b64decode(body).decode()
    right = str(response.get("statusCode")) == "200" and TOKEN.search(body) and HASHED.search(body)
    if not right:
        raise WrongResponseError(f"{name} responds with {response.get('statusCode')}:\n{body}")
    return TOKEN.sub("", body)


def _manifest(package: Package) -> bytes:
    """Return the manifest that `collectstatic` writes for the site's static files."""
    paths = {}
    for root in (package.task, package.opt):
        for folder in root.glob("**/static"):
            for path in folder.rglob("*.*"):
                digest = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()[:12]
                name = path.relative_to(folder)
                paths[str(name)] = str(name.with_suffix(f".{digest}{name.suffix}"))
    return json.dumps({"paths": paths, "version": "1.1", "hash": "0123456789ab"}).encode()


def _require_read_only(folder: Path) -> None:
    try:
        (folder / "written").touch()
    except OSError as error:
        if error.errno != errno.EROFS:
            raise
    else:
        (folder / "written").unlink()
        raise RuntimeError(f"{folder} is writable, so that Python could save bytecode")


def main() -> None:
    """Print the times of the named packages, or of all."""
    parser = argparse.ArgumentParser(prog="python -m bench.cold_start")
    parser.add_argument(
        "names", nargs="*", metavar="package", help=", ".join([*RECIPES, WITH_VARIABLES])
    )
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--ssm-ms", type=int, default=0, help="after which SSM responds")
    parser.add_argument("--read-only", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    names = arguments.names or [*RECIPES, WITH_VARIABLES]
    if unknown := set(names) - {*RECIPES, WITH_VARIABLES}:
        parser.error(f"unknown package: {', '.join(sorted(unknown))}")
    if arguments.rounds < 1:
        parser.error("--rounds must be at least 1")
    if arguments.read_only:
        json.dump(take_times(names, arguments.rounds, arguments.ssm_ms), sys.stdout)
        return
    table = Grid("ms", "page", "median", "minimum", "CPU", "modules")
    for name, (starts, modules) in measure(names, arguments.rounds, arguments.ssm_ms).items():
        for page in PAGES:
            elapsed, cpu = zip(*starts[page], strict=True)
            figures = (f"{value:.0f}" for value in (median(elapsed), min(elapsed), median(cpu)))
            table.add_row(name, page, *figures, str(modules))
    Console().print(table)


if __name__ == "__main__":
    main()
