"""`djambda manage`: its usage."""

import pytest
from typer.testing import CliRunner

from djambda_cli.main import app


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--follow ID"),
        ([""], "--follow ID"),
        (["--follow", "x", "check"], "cannot be combined"),
        (["--follow", "x", "--detach"], "cannot be combined"),
    ],
)
def test_usage_errors(arguments: list[str], message: str) -> None:
    completed = CliRunner().invoke(app, ["manage", *arguments])

    assert completed.exit_code == 2
    assert message in " ".join(completed.stderr.replace("│", " ").split())
