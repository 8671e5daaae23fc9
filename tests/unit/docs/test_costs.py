"""The table of costs: its sums, the prices of `djambda status`, and the default of DB_MAX_ACU."""

import re
from pathlib import Path

import pytest

from awscdk.variables import VARIABLES
from djambda_cli.aws import usage

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "costs.md").read_text()
AMOUNT = re.compile(r"\d[\d,]*\.?\d*")


def rows() -> dict[str, list[list[float]]]:
    """Return the first table's numbers in each cell, by the row's first words."""
    table = PAGE.partition("## Costs of a site")[2].partition("\n\n- ")[0]
    lines = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| ")]
    return {
        label.strip("*"): [
            [float(number.replace(",", "")) for number in AMOUNT.findall(cell)] for cell in cells
        ]
        for label, *cells in lines[2:]
    }


def row(start: str) -> list[list[float]]:
    """Return the numbers of the row with this start."""
    [cells] = [cells for label, cells in rows().items() if label.startswith(start)]
    return cells


@pytest.mark.parametrize(
    ("label", "acu"), [("Aurora at 0.5", 0.5), ("Aurora at 1", 1), ("Aurora at 2", 2)]
)
def test_database_costs_are_hours_times_capacity(label: str, acu: float) -> None:
    hours = [cell[-1] for cell in row("Hours")]
    if acu < 1:
        hours = [cell[0] for cell in row("Hours")]

    assert [cell[0] for cell in row(label)] == pytest.approx(
        [amount * acu * usage.PER_ACU_HOUR for amount in hours], abs=0.005
    )


@pytest.mark.parametrize(
    ("total", "limit"), [("Total by", "Aurora at 1"), ("Total with", "Aurora at 2")]
)
def test_totals_are_the_sums_of_their_columns(total: str, limit: str) -> None:
    others = ("Aurora storage", "Aurora I/O", "API", "Lambda", "S3", "Logs")
    sums = [sum(row(label)[column][0] for label in others) for column in range(4)]
    limits = [
        bound
        for column in range(4)
        for bound in (row("Aurora at 0.5")[column][0], row(limit)[column][0])
    ]

    expected = [sums[i // 2] + bound for i, bound in enumerate(limits)]
    assert [number for cell in row(total) for number in cell] == pytest.approx(expected, abs=0.005)


def test_default_maximum_is_the_documented_one() -> None:
    default = VARIABLES["DB_MAX_ACU"].default

    assert f"`DB_MAX_ACU={default}`, the default" in PAGE


def test_status_uses_the_documented_prices() -> None:
    for price in (
        f"${usage.PER_ACU_HOUR} per ACU-hour",
        f"${usage.PER_GB_SECOND['x86_64']:.10f} per GB-second",
        f"${usage.PER_API_REQUEST * 1_000_000:.2f} per million",
        f"${usage.PER_REQUEST * 1_000_000:.2f} per million",
    ):
        assert price in PAGE
