"""Run the benchmarks and print their tables.

Without arguments, run all of them, and write `docs/benchmarks.md` and `docs/benchmarks.svg`.
"""

import argparse
import os
import platform
import tomllib
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

from rich.console import Console

from bench import ROOT
from bench.report import Table, chart, markdown, text

BENCHMARKS = {
    "adapters": "bench.adapters",
    "cold-start": "bench.cold_start",
    "memory": "bench.memory",
    "sizes": "bench.packages",
    "proxy": "bench.proxy",
    "tasks": "bench.tasks",
}
ROUNDS = 7

console = Console(markup=False, highlight=False, soft_wrap=True)


def main() -> None:
    """Run the benchmarks that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("benchmarks", nargs="*", metavar="benchmark", help=", ".join(BENCHMARKS))
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"rounds (default: {ROUNDS})")
    arguments = parser.parse_args()
    if unknown := set(arguments.benchmarks) - BENCHMARKS.keys():
        parser.error(f"unknown benchmark: {', '.join(sorted(unknown))}")
    if arguments.rounds < 1:
        parser.error("--rounds must be at least 1")
    tables = []
    for name in arguments.benchmarks or BENCHMARKS:
        console.print(f"Measuring: {name} ...")
        for table in run(name, arguments.rounds):
            console.print(f"\n{text(table)}\n")
            tables.append(table)
    if not arguments.benchmarks:
        write(tables)


def run(name: str, rounds: int) -> list[Table]:
    """Return the tables of one benchmark."""
    return import_module(BENCHMARKS[name]).run(rounds)  # type: ignore[no-any-return]


def write(tables: list[Table]) -> None:
    """Write the documentation page and its chart."""
    docs = ROOT / "docs"
    (docs / "benchmarks.md").write_text(markdown(tables, machine(), versions()))
    (docs / "benchmarks.svg").write_text(chart(tables))
    console.print("Written: docs/benchmarks.md, docs/benchmarks.svg")


def machine() -> str:
    """Return the processor, the system and the date, but nothing that identifies the machine."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    model = models[0] if models else platform.processor() or platform.machine()
    return (
        f"{model}, {os.cpu_count()} cores, {platform.system()}, Python "
        f"{platform.python_version()}, {datetime.now(UTC):%d %B %Y}"
    )


def versions() -> str:
    """Return the pinned versions of the peers and of Django."""
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    return ", ".join(pin.replace("==", " ") for pin in [*groups["django"], *groups["bench"]])


if __name__ == "__main__":
    main()
