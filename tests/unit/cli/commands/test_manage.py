"""`djambda manage`: its usage."""

import pytest
from typer.testing import CliRunner

from djambda_cli.commands.manage import usage_problem
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


@pytest.mark.parametrize(
    ("command", "misplaced"),
    [
        (["shell", "--local"], "--local"),
        (["migrate", "--plan", "--detach", "--local"], "--detach --local"),
    ],
)
def test_options_of_djambda_after_the_command(command: list[str], misplaced: str) -> None:
    problem = usage_problem(command, follow=None, detach=False)

    assert f"djambda manage {misplaced} {command[0]}" in problem


@pytest.mark.parametrize("command", [["check", "--tag=--local"], ["check", "--", "x"]])
def test_options_of_django(command: list[str]) -> None:
    assert usage_problem(command, follow=None, detach=False) == ""
