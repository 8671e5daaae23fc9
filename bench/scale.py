"""The tables of `docs/scale.md`: what a site under load needs, and what fails first.

`python -m bench.scale` prints them. A test compares the document with them.
"""

from collections.abc import Iterable
from statistics import median, quantiles

from bench.simulation import (
    COMPUTE,
    CPUS_PER_ACU,
    DEFAULTS,
    NO_CONNECTION,
    NO_FUNCTION,
    QUERIES,
    SERVED,
    THROTTLED,
    Simulation,
    Site,
)
from djambda_cli.aws import usage

PROXY_GB = 0.25
LOADS = (10, 100, 1000)
NEW_ACCOUNT, ACCOUNT = 10, 1000
"""Concurrent executions."""

FASTER = {"API_RATE": 200, "API_BURST": 400}
FASTEST = {"API_RATE": 2000, "API_BURST": 4000}
SITES = (
    Site(10, NEW_ACCOUNT),
    Site(10, ACCOUNT),
    Site(100, NEW_ACCOUNT),
    Site(100, ACCOUNT),
    Site(100, ACCOUNT, {"LAMBDA_CONCURRENCY": 20}),
    Site(100, ACCOUNT, FASTER | {"DB_MAX_ACU": 4}),
    Site(1000, ACCOUNT),
    Site(1000, ACCOUNT, FASTEST),
    Site(1000, ACCOUNT, FASTEST | {"DB_MAX_ACU": 4}),
    Site(1000, ACCOUNT, FASTEST | {"DB_MAX_ACU": 32}),
)


def calculation() -> str:
    """Return the table of what a load needs on average."""
    rows = []
    for load in LOADS:
        requests = load * (COMPUTE + QUERIES)
        acu = load * QUERIES / CPUS_PER_ACU
        rows.append((f"{load:,}", f"{2 * requests:.0f}", f"{requests:.0f}", f"{acu:.1f}"))
    return table(("Requests per second", "Concurrent executions", "Connections", "ACU"), rows)


def simulation() -> str:
    """Return the table of the simulated sites."""
    heading = (
        *("Requests per second", "Account", "Settings", "Served", "Failed", "Median", "95%"),
        *("Executions", "Connections", "Database's CPU", "An hour"),
    )
    return table(heading, (row(site, Simulation(site).run()) for site in SITES))


def row(site: Site, result: Simulation) -> tuple[str, ...]:
    """Return the cells of a simulated site."""
    total = result.outcomes.total()
    settings = "<br>".join(f"`{name}={value}`" for name, value in site.settings.items())
    failed = [
        f"{share:.0%} {outcome}"
        for outcome in (THROTTLED, NO_FUNCTION, NO_CONNECTION)
        if (share := result.outcomes[outcome] / total) >= 0.005  # noqa: PLR2004
    ]
    return (
        f"{site.load:,}",
        f"{site.account:,}",
        settings or "defaults",
        f"{result.outcomes[SERVED] / total:.0%}",
        ", ".join(failed) or "-",
        f"{median(result.times):.2f} s",
        f"{quantiles(result.times, n=20)[-1]:.2f} s",
        f"{result.executions:,}",
        f"{len(result.connected)} of {site.connections:,}",
        f"{result.cpu:.0%}",
        f"${dollars_per_hour(site, result):.2f}",
    )


def dollars_per_hour(site: Site, result: Simulation) -> float:
    """Return the costs of an hour of this load, with the database at its maximum."""
    accepted = result.outcomes.total() - result.outcomes[THROTTLED]
    gigabytes = DEFAULTS.lambda_memory / 1024 + PROXY_GB
    minute = accepted * (usage.PER_API_REQUEST + 2 * usage.PER_REQUEST)
    minute += result.busy * gigabytes * usage.PER_GB_SECOND["x86_64"]
    return 60 * minute + site.setting("DB_MAX_ACU") * usage.PER_ACU_HOUR


def table(heading: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Return a Markdown table."""
    lines = (heading, ("---",) * len(heading), *rows)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    print(f"{calculation()}\n\n{simulation()}")
