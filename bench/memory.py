"""The resident memory of a function after its first page, and after many.

python -m bench.memory [package ...]
"""

import argparse
import json
import sys
from pathlib import Path

from bench.functions import NAMES, page_of, require_read_only, run_read_only, running, service
from bench.packages import PACKAGES
from bench.report import Table, text

OURS = "djambda"
PAGE = "/accounts/login/"
REQUESTS = (1, 1_000, 10_000)
"""After so many requests the memory is measured; of the peers, not after the last."""

type Sizes = dict[str, list[float | None]]


def run(rounds: int) -> list[Table]:
    """Return a table of resident sizes, which differ little between `rounds`."""
    del rounds
    return [table(run_read_only(__spec__.name, NAMES))]


def table(sizes: Sizes) -> Table:
    """Return the sizes as a table."""
    return Table(
        title="Memory",
        unit="MB",
        columns=("first page", *(f"{number:,} pages" for number in REQUESTS[1:])),
        rows={name: tuple(row) for name, row in sizes.items()},
        ours=OURS,
        note=f"The resident memory of the function's process (`VmRSS`) after this number of "
        f"responses to `{PAGE}`, in millions of bytes, shared libraries included. One process of "
        "each package; the last column shows whether ours grows.",
    )


def take_sizes(names: list[str]) -> Sizes:
    """Return the megabytes of these packages, which must be read-only, after each of `REQUESTS`."""
    require_read_only(PACKAGES)
    sizes: Sizes = {}
    with service() as api:
        for name in names:
            done, sizes[name] = 0, []
            with running(api, name) as function:
                for number in REQUESTS if name == OURS else REQUESTS[:-1]:
                    page_of(name, function.request(PAGE, number - done).content)
                    done = number
                    sizes[name].append(_resident(function.pid))
            sizes[name] += [None] * (len(REQUESTS) - len(sizes[name]))
    return sizes


def _resident(process: int) -> float:
    """Return a process's resident memory in millions of bytes. See proc_pid_status(5)."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    [kilobytes] = [line.split()[1] for line in lines if line.startswith("VmRSS:")]
    return int(kilobytes) * 1024 / 1e6


def main() -> None:
    """Print the sizes of the named packages, or of all."""
    parser = argparse.ArgumentParser(prog="python -m bench.memory")
    parser.add_argument("names", nargs="*", metavar="package", help=", ".join(NAMES))
    parser.add_argument("--read-only", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    names = arguments.names or NAMES
    if unknown := set(names) - set(NAMES):
        parser.error(f"unknown package: {', '.join(sorted(unknown))}")
    if arguments.read_only:
        json.dump(take_sizes(names), sys.stdout)
    else:
        sys.stdout.write(text(table(run_read_only(__spec__.name, names))) + "\n")


if __name__ == "__main__":
    main()
