"""`djambda logs`: its options."""

from datetime import datetime

import pytest
import typer

from djambda_cli.commands.logs import milliseconds
from tests.unit.cli.log_samples import PRESENT


@pytest.mark.parametrize(
    ("since", "moment"),
    [
        ("90s", "2026-11-24T14:28:30+01:00"),
        ("10m", "2026-11-24T14:20:00+01:00"),
        ("2h", "2026-11-24T12:30:00+01:00"),
        ("3d", "2026-11-21T14:30:00+01:00"),
        ("1w", "2026-11-17T14:30:00+01:00"),
        ("2026-11-24T10:00", "2026-11-24T10:00:00+01:00"),
        ("2026-11-24T10:00Z", "2026-11-24T10:00:00+00:00"),
        ("2026-11-24", "2026-11-24T00:00:00+01:00"),
    ],
)
def test_since(since: str, moment: str) -> None:
    wanted = datetime.fromisoformat(moment).timestamp() * 1000

    assert milliseconds(since, PRESENT) == wanted


@pytest.mark.parametrize("since", ["", "yesterday", "10", "m", "-5m", "999999999w", "10:00"])
def test_invalid_since(since: str) -> None:
    with pytest.raises(typer.BadParameter, match="use 90s, 10m"):
        milliseconds(since, PRESENT)
