"""Questions, and the options that answer them."""

import io
import sys

import pytest

from djambda_cli.commands import deploy as command
from djambda_cli.errors import CliError
from djambda_cli.operations.bootstrap import bootstrap_if_needed
from djambda_cli.operations.confirm import Confirm, confirmation
from djambda_cli.steps import Steps
from djambda_cli.terminal import stderr
from tests.unit.cli.aws_fakes import FakeClient, deployment, refusal


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def error_of(confirm: Confirm) -> str:
    """Ask a question and return the error, "" without one."""
    try:
        confirm("Continue?")
    except CliError as error:
        return str(error)
    return ""


def test_option_confirms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())

    assert error_of(confirmation(given=True, option="--yes")) == ""
    assert "--yes" in error_of(confirmation(given=False, option="--yes"))


@pytest.mark.parametrize(("answer", "confirmed"), [("y", True), ("n", False)])
def test_terminal_is_asked(answer: str, confirmed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(f"{answer}\n"))

    assert (error_of(confirmation(given=False, option="--yes")) == "") is confirmed


@pytest.mark.parametrize(
    ("options", "questions"),
    [
        ({}, {"confirm": "--yes", "confirm_data_loss": "--allow-data-loss"}),
        ({"yes": True}, {"confirm": "", "confirm_data_loss": "--allow-data-loss"}),
        ({"allow_data_loss": True}, {"confirm": "--yes", "confirm_data_loss": ""}),
    ],
)
def test_each_question_of_a_deploy_has_its_own_option(
    options: dict[str, bool], questions: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    errors = {}

    def roll_out(*_: object, **confirmations: Confirm) -> None:
        errors.update({name: error_of(confirm) for name, confirm in confirmations.items()})
        raise CliError("The end.")

    monkeypatch.setattr(sys, "stdin", io.StringIO())
    monkeypatch.setattr(command, "use_deployment", lambda **_: deployment())
    monkeypatch.setattr(command, "roll_out", roll_out)

    with pytest.raises(CliError, match=r"The end\."):
        command.deploy(**options)  # type: ignore[arg-type]  # All options are flags.

    assert errors.keys() == questions.keys()
    for name, option in questions.items():
        assert option in errors[name]
        assert bool(option) == bool(errors[name])


def test_bootstrap_is_confirmed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    new_account = deployment(
        ssm=FakeClient(get_parameter=refusal("ParameterNotFound")),
        sts=FakeClient(get_caller_identity={"Account": "123456789012"}),
    )

    with pytest.raises(CliError, match=r"123456789012.*--yes"):
        bootstrap_if_needed(new_account, Steps(stderr), confirmation(given=False, option="--yes"))
