"""The time from process start to the first response of a cold function, for each package of a site.

The page cache has the packages' files: those of a warm start from memory. For the last column, it
is dropped before each start: a new machine reads them from its disk.

    python -m bench.cold_start [package ...] [--rounds 15]
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import NamedTuple

from rich.console import Console
from rich.table import Table as Grid

from bench import in_turns
from bench.functions import (
    NAMES,
    WITH_VARIABLES,
    WrongResponseError,
    page_of,
    recipe,
    require_read_only,
    run_read_only,
    running,
    service,
)
from bench.packages import PACKAGES, RECIPES, at
from bench.report import Table
from bench.runtime_api import RuntimeApi

FIRST_PAGE = "first page"
PAGES = {FIRST_PAGE: "/accounts/login/", "first admin page": "/admin/login/"}
COLD = "cold page cache"
COLUMNS = (*PAGES, COLD)
DROP_CACHES = Path("/proc/sys/vm/drop_caches")

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
    """The figures of one package: its starts by column, and the number of imported modules."""

    starts: dict[str, list[Start]]
    modules: int

    def medians(self) -> tuple[float | None, ...]:
        """Return the median of the elapsed ms for each column, None where nothing was measured."""
        return tuple(
            median(start.elapsed for start in self.starts[column]) if self.starts[column] else None
            for column in COLUMNS
        )


def run(rounds: int) -> list[Table]:
    """Return a table of the times to the first page and to the first admin page."""
    figures = measure(NAMES, rounds)
    return [
        Table(
            title="Cold start",
            unit="ms",
            columns=COLUMNS,
            rows={name: package.medians() for name, package in figures.items()},
            ours="djambda",
            note="The time from the start of a process to its first response, for the same site "
            "under Lambda's runtime client, in read-only folders: `/accounts/login/`, and in "
            f"another process `/admin/login/`. Medians of {rounds} rounds in which the packages "
            "take turns. All files are in memory, as on a machine that has started the function "
            "before. In the last column, the first page's files are read from the disk, as on a "
            "new machine: 3 is written to `/proc/sys/vm/drop_caches` before each start, which "
            "requires root on Linux. The modules are those imported for the first page.",
            extra={name: str(package.modules) for name, package in figures.items()},
            extra_title="modules",
            details={
                **{name: recipe.description for name, recipe in RECIPES.items()},
                WITH_VARIABLES: "the same, with the project's own variables in a snapshot",
            },
        )
    ]


def measure(names: list[str], rounds: int, ssm_ms: int = 0) -> dict[str, Figures]:
    """Build these packages if necessary and return their figures. Raises `CalledProcessError`."""
    options = ("--rounds", str(rounds), "--ssm-ms", str(ssm_ms))
    return {
        name: Figures({page: [Start(*each) for each in starts[page]] for page in starts}, modules)
        for name, (starts, modules) in run_read_only(__spec__.name, names, *options).items()
    }


def take_times(names: list[str], rounds: int, ssm_ms: int = 0) -> dict[str, Figures]:
    """Return the figures of these packages, which must be read-only.

    Raises `WrongResponseError`, or `RuntimeError` if the packages are writable.
    """
    require_read_only(PACKAGES)
    figures = {}
    with service(ssm_seconds=ssm_ms / 1000) as api:
        expected: dict[str, str] = {}
        for name in names:  # Also loads the files into memory.
            for page, path in PAGES.items():
                html = _start(api, name, path)[1]
                if html != expected.setdefault(page, html):
                    raise WrongResponseError(f"{name}: {path} is another page:\n{html}")
            figures[name] = Figures({column: [] for column in COLUMNS}, _modules(api, name))
        for name in in_turns(names, rounds):
            for page, path in PAGES.items():
                figures[name].starts[page].append(_start(api, name, path)[0])
        for name in in_turns(names, rounds):
            if drop_page_cache():
                figures[name].starts[COLD].append(_start(api, name, PAGES[FIRST_PAGE])[0])
    return figures


def drop_page_cache() -> bool:
    """Empty the page cache, except for files that running processes use; return False if refused.

    https://docs.kernel.org/admin-guide/sysctl/vm.html#drop-caches
    """
    os.sync()  # Only written pages can be dropped.
    try:
        DROP_CACHES.write_text("3\n")
    except OSError:
        return False
    return True


def _start(api: RuntimeApi, name: str, path: str) -> tuple[Start, str]:
    """Start the function with a request for this path; return the times and the page."""
    with running(api, name) as function:
        result = function.request(path)
    elapsed = (result.at - function.begin) / 1e6
    return Start(elapsed, function.cpu), page_of(name, result.content)


def _modules(api: RuntimeApi, name: str) -> int:
    """Return the number of modules that the function has imported for the first page."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "bench_modules.py").write_text(
            MODULES.format(handler=at(recipe(name)).handler)
        )
        with running(api, name, handler="bench_modules.handler", handler_folder=folder) as function:
            return int(function.request(PAGES[FIRST_PAGE]).content)


def main() -> None:
    """Print the times of the named packages, or of all."""
    parser = argparse.ArgumentParser(prog="python -m bench.cold_start")
    parser.add_argument("names", nargs="*", metavar="package", help=", ".join(NAMES))
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--ssm-ms", type=int, default=0, help="after which SSM responds")
    parser.add_argument("--read-only", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    names = arguments.names or NAMES
    if unknown := set(names) - set(NAMES):
        parser.error(f"unknown package: {', '.join(sorted(unknown))}")
    if arguments.rounds < 1:
        parser.error("--rounds must be at least 1")
    if arguments.read_only:
        json.dump(take_times(names, arguments.rounds, arguments.ssm_ms), sys.stdout)
        return
    table = Grid("ms", "page", "median", "minimum", "CPU", "modules")
    for name, (starts, modules) in measure(names, arguments.rounds, arguments.ssm_ms).items():
        for page in [column for column in COLUMNS if starts[column]]:
            elapsed, cpu = zip(*starts[page], strict=True)
            figures = (f"{value:.0f}" for value in (median(elapsed), min(elapsed), median(cpu)))
            table.add_row(name, page, *figures, str(modules))
    Console().print(table)


if __name__ == "__main__":
    main()
