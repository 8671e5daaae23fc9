"""Functions that run as on Lambda, for the benchmarks of cold starts and memory.

Each is a new Python process with Lambda's own runtime client. It gets requests from
`bench.runtime_api`, and runs in read-only folders, so that invalid bytecode is compiled again each
time: `run_read_only` starts a benchmark in a mount namespace in which the packages are read-only.
"""

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
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import Empty
from typing import Any

from bench import events, packages
from bench.packages import PACKAGES, RECIPES, RUNTIME, Package
from bench.runtime_api import FUNCTION, Result, RuntimeApi
from djambda_common.variables import pack

WITH_VARIABLES = "djambda, 20 variables"
"""The package of djambda, with 20 variables of the project's own."""
NAMES = [*RECIPES, WITH_VARIABLES]
OWN_VARIABLES = {f"secret/OWN_VARIABLE_{n}": json.dumps(f"{n:040x}") for n in range(20)}
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


class WrongResponseError(Exception):
    """A function did not respond with the expected page; the message contains its response."""


def run_read_only(module: str, names: Sequence[str], *options: str) -> Any:
    """Build these packages if necessary, run `python -m module`, and return the JSON it prints.

    The module gets the names, the options and `--read-only`. Raises `CalledProcessError`, after the
    tool's output, if a package cannot be built, the packages cannot be made read-only, or the
    module fails.
    """
    user = () if os.geteuid() == 0 else ("--user", "--map-root-user")
    with packages.exclusive_lock():
        for name in dict.fromkeys(map(recipe, names)):
            packages.build(name)
        packages.runtime()
        completed = subprocess.run(
            ["unshare", "--mount", *user, "sh", "-c", READ_ONLY, "sh", str(PACKAGES)]
            + [sys.executable, "-m", module, *names, *options, "--read-only"],
            stdout=subprocess.PIPE,
            check=True,
        )
    return json.loads(completed.stdout)


def recipe(name: str) -> str:
    """Return the name of the package to build."""
    return name.partition(",")[0]


def service(*, ssm_seconds: float = 0) -> RuntimeApi:
    """Return the services for all packages, whose static files are the same."""
    files = {f"/{BUCKET}/static/staticfiles-{RELEASE}.json": _manifest(packages.at("djambda"))}
    return RuntimeApi(SECRETS, files, ssm_seconds=ssm_seconds)


class Function:
    """A running function. `pid` is its process, `begin` its start in ns of `perf_counter_ns`."""

    def __init__(self, api: RuntimeApi, name: str, command: list[str], folders: list[str]) -> None:
        self.name = name
        self.cpu = 0.0
        """Milliseconds of processor time, after the end."""
        self._api = api
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 (closed by `close`)
        package = packages.at(recipe(name))
        variables = _variables(api, package, name, folders)
        api.start()
        self.begin = time.perf_counter_ns()
        self._process = subprocess.Popen(
            command,
            cwd=package.task,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )
        self.pid = self._process.pid

    def request(self, path: str, times: int = 1) -> Result:
        """Send requests for this path, one after the other; return the last result.

        Raises `WrongResponseError`, after the log, if the function fails.
        """
        self._api.offer(events.rest(path=path, headers=events.CHROME, base_path=""), times)
        for _ in range(times):
            try:
                result = self._api.results.get(timeout=TIMEOUT)
            except Empty:
                result = Result(0, failed=True, content="no response")
            if result.failed:
                self._log.seek(0)
                log = self._log.read().decode(errors="replace")
                raise WrongResponseError(f"{self.name}: {result.content}. Its log:\n{log}")
        return result

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        _, self._process.returncode, usage = os.wait4(self.pid, 0)
        self.cpu = (usage.ru_utime + usage.ru_stime) * 1e3
        self._log.close()


@contextmanager
def running(
    api: RuntimeApi, name: str, *, handler: str = "", handler_folder: str = ""
) -> Iterator[Function]:
    """Start the function of a package, and end it.

    `handler` replaces the package's own and may be in `handler_folder`.
    """
    package = packages.at(recipe(name))
    folders = [str(package.opt), str(RUNTIME), *([handler_folder] if handler_folder else [])]
    # Lambda's Python is not in a virtual environment.
    python = str(Path(sys.executable).resolve())
    command = [python, "-m", "awslambdaric", handler or package.handler]
    function = Function(api, name, command, folders)
    try:
        yield function
    finally:
        function.close()


def _variables(api: RuntimeApi, package: Package, name: str, folders: list[str]) -> dict[str, str]:
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "PYTHONPATH": os.pathsep.join(folders),
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
        "VARIABLES_SNAPSHOT": "bench" if name == WITH_VARIABLES else "none",
        **packages.CREDENTIALS,
    }


def page_of(name: str, response: Any) -> str:
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


def require_read_only(folder: Path) -> None:
    """Raise `RuntimeError` if the folder is writable."""
    try:
        (folder / "written").touch()
    except OSError as error:
        if error.errno != errno.EROFS:
            raise
    else:
        (folder / "written").unlink()
        raise RuntimeError(f"{folder} is writable, so that Python could save bytecode")
