"""`djambda logs`: its options."""

from datetime import datetime

import pytest
import typer

from djambda_cli.aws.log_entries import LogSource
from djambda_cli.commands import logs as logs_command
from djambda_cli.commands.logs import milliseconds
from djambda_cli.errors import CliError
from tests.unit.cli.aws_fakes import FakeClient, deployment, stack_resources
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


def test_function_that_the_deployment_does_not_have(monkeypatch: pytest.MonkeyPatch) -> None:
    cloudformation = FakeClient(list_stack_resources=stack_resources("failed-tasks"))
    fake = deployment(logs=FakeClient(), cloudformation=cloudformation)
    monkeypatch.setattr(logs_command, "use_deployment", lambda **_: fake)

    with pytest.raises(CliError, match=r"no function egress.*django, proxy, failed-tasks"):
        logs_command.logs(function=LogSource.EGRESS)
