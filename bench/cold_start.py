"""From process start to the first answer of a cold Lambda, for each way to package the same site.

Each function runs as on Lambda: a fresh Python with Lambda's own runtime client, in a tree that
nothing can be written to, so that bytecode which is not valid is compiled anew each time. `measure`
starts this module once more, in a mount namespace where the packages are read-only; that process
takes the times and prints them as JSON.

    python -m bench.cold_start [contestant ...] [--rounds 15]
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
from bench.packages import CONTESTANTS, PACKAGES, RUNTIME, Package
from bench.report import Table
from bench.runtime_api import FUNCTION, RuntimeApi

PAGES = {"first page": "/accounts/login/", "first admin page": "/admin/login/"}
BUCKET = "bench-assets"
RELEASE = "0123456789ab"
SECRETS = {
    "database-password": "not-used",
    "secret-key": "only-for-the-benchmark-" * 3,
    "superuser-password": "not-used",
}
TIMEOUT = 60.0
"""Seconds after which a function is taken for dead."""

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
    """One cold start: ms from the process's start to its answer, and ms of CPU that it used.

    What else the machine does lengthens the first a lot and the second little.
    """

    elapsed: float
    cpu: float


class Figures(NamedTuple):
    """Of one contestant: its starts by page, and how many modules it has imported."""

    starts: dict[str, list[Start]]
    modules: int

    def medians(self) -> tuple[float, ...]:
        """The elapsed ms for each page."""
        return tuple(median(start.elapsed for start in self.starts[page]) for page in PAGES)


class WrongAnswer(Exception):  # noqa: N818 (the contestant's, not the benchmark's)
    """A contestant did not answer with the page; the message has what it said."""


def run(rounds: int) -> list[Table]:
    """How long each contestant takes to its first page and to its first admin page."""
    figures = measure(list(CONTESTANTS), rounds)
    return [
        Table(
            title="Cold start",
            unit="ms",
            columns=tuple(PAGES),
            rows={name: each.medians() for name, each in figures.items()},
            ours="djambda",
            note="From the start of a process to its first answer, for the same site under "
            "Lambda's runtime client, in a read-only tree: `/accounts/login/`, and `/admin/login/` "
            f"in a process of its own. Medians of {rounds} rounds in which the contestants take "
            "turns. The modules are those imported after the first page.",
            extra={name: str(each.modules) for name, each in figures.items()},
            extra_title="modules",
            details={name: recipe.description for name, recipe in CONTESTANTS.items()},
        )
    ]


def measure(names: list[str], rounds: int) -> dict[str, Figures]:
    """The figures of these contestants, whose packages are built if need be.

    Raises CalledProcessError, after the tool's own words, when a package cannot be built, the
    packages cannot be made read-only, or a contestant answers wrongly.
    """
    user = () if os.geteuid() == 0 else ("--user", "--map-root-user")
    with packages.alone():
        for name in names:
            packages.build(name)
        packages.runtime()
        done = subprocess.run(
            ["unshare", "--mount", *user, "sh", "-c", READ_ONLY, "sh", str(PACKAGES)]
            + [sys.executable, "-m", "bench.cold_start", *names]
            + ["--rounds", str(rounds), "--read-only"],
            stdout=subprocess.PIPE,
            check=True,
        )
    return {
        name: Figures({page: [Start(*each) for each in starts[page]] for page in PAGES}, modules)
        for name, (starts, modules) in json.loads(done.stdout).items()
    }


def take_times(names: list[str], rounds: int) -> dict[str, Figures]:
    """The figures of these contestants, to be called where their packages are read-only.

    Raises WrongAnswer, and RuntimeError where something can be written to the packages.
    """
    _require_read_only(PACKAGES)
    contestants = {name: packages.at(name) for name in names}
    figures = {}
    manifest = _manifest(contestants[names[0]])
    with RuntimeApi(SECRETS, {f"/{BUCKET}/static/staticfiles-{RELEASE}.json": manifest}) as api:
        expected: dict[str, str] = {}
        for name, package in contestants.items():  # Also brings the files into memory.
            for page, path in PAGES.items():
                html = _html(name, _start(api, package, path)[1])
                if html != expected.setdefault(page, html):
                    raise WrongAnswer(f"{name} answers {path} with another page:\n{html}")
            figures[name] = Figures({page: [] for page in PAGES}, _modules(api, package))
        for turn in range(rounds):
            first = turn % len(names)
            for name in names[first:] + names[:first]:
                for page, path in PAGES.items():
                    start, answer = _start(api, contestants[name], path)
                    _html(name, answer)
                    figures[name].starts[page].append(start)
    return figures


def _start(
    api: RuntimeApi, package: Package, path: str, handler: str = "", more: str = ""
) -> tuple[Start, Any]:
    """Start the function and give it a request for this path: the time it took, and its answer.

    `handler` instead of the package's own is looked for in the folder `more` too.
    """
    api.offer(events.rest(path=path, headers=events.CHROME, base_path=""))
    variables = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "PYTHONPATH": os.pathsep.join(filter(None, (str(package.opt), str(RUNTIME), more))),
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
        **packages.CREDENTIALS,
    }
    # Lambda's Python is in no virtual environment.
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
            answer = api.answers.get(timeout=TIMEOUT)
        except Empty:
            answer = None
        finally:
            process.kill()
            _, process.returncode, usage = os.wait4(process.pid, 0)
        if answer is None or answer.failed:
            said = answer.content if answer else "nothing"
            raise WrongAnswer(f"{package.folder.name} says {said}. Its log:\n{_text(log)}")
    cpu = (usage.ru_utime + usage.ru_stime) * 1e3
    return Start((answer.at - begin) / 1e6, cpu), answer.content


def _text(log: IO[bytes]) -> str:
    log.seek(0)
    return log.read().decode(errors="replace")


def _modules(api: RuntimeApi, package: Package) -> int:
    """How many modules the function has imported after the first page."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "bench_modules.py").write_text(MODULES.format(handler=package.handler))
        _, count = _start(api, package, PAGES["first page"], "bench_modules.handler", folder)
    return int(count)


def _html(name: str, answer: Any) -> str:
    """The page without what differs from one answer to the next. Raises WrongAnswer."""
    body = str(answer.get("body"))
    if answer.get("isBase64Encoded"):
        body = b64decode(body).decode()
    right = str(answer.get("statusCode")) == "200" and TOKEN.search(body) and HASHED.search(body)
    if not right:
        raise WrongAnswer(f"{name} answers with {answer.get('statusCode')}:\n{body}")
    return TOKEN.sub("", body)


def _manifest(package: Package) -> bytes:
    """What `collectstatic` writes of the site's static files, all of which the pages link to."""
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
        raise RuntimeError(f"{folder} can be written to: times would be too good")


def main() -> None:
    """Print the times of some contestants, or of all."""
    parser = argparse.ArgumentParser(prog="python -m bench.cold_start")
    parser.add_argument("names", nargs="*", metavar="contestant", help=", ".join(CONTESTANTS))
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--read-only", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    names = asked.names or list(CONTESTANTS)
    if unknown := set(names) - CONTESTANTS.keys():
        parser.error(f"no such contestant: {', '.join(sorted(unknown))}")
    if asked.rounds < 1:
        parser.error("--rounds has to be 1 or more")
    if asked.read_only:
        json.dump(take_times(names, asked.rounds), sys.stdout)
        return
    table = Grid("ms", "page", "median", "minimum", "CPU", "modules")
    for name, (starts, modules) in measure(names, asked.rounds).items():
        for page in PAGES:
            elapsed, cpu = zip(*starts[page], strict=True)
            figures = (f"{each:.0f}" for each in (median(elapsed), min(elapsed), median(cpu)))
            table.add_row(name, page, *figures, str(modules))
    Console().print(table)


if __name__ == "__main__":
    main()
