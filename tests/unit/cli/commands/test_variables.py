"""`djambda env` and `djambda secret`."""

import io
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from djambda_cli.commands import env as env_module
from djambda_cli.commands import secret as secret_module
from djambda_cli.commands.env import env
from djambda_cli.commands.secret import secret
from djambda_cli.errors import CliError
from djambda_cli.main import app
from djambda_cli.operations import variables
from djambda_cli.operations.rollout import Deployed
from djambda_cli.operations.variables import Action, read_value
from djambda_common.variables import encode
from tests.unit.cli.aws_fakes import FakeClient, deployment

PATH = "/djambda/dev/shop"


@pytest.fixture
def stored(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The parameters in a fake SSM, which both commands use."""
    parameters: dict[str, str] = {}

    def put(*, Name: str, Value: str, **arguments: Any) -> Any:  # noqa: N803
        assert arguments == {"Type": "SecureString", "Tier": "Standard", "Overwrite": True}
        parameters[Name] = Value

    def delete(*, Names: list[str]) -> Any:  # noqa: N803
        return {"DeletedParameters": [name for name in Names if parameters.pop(name, None)]}

    def get(*, Path: str, WithDecryption: bool = False) -> Any:  # noqa: N803
        return {
            "Parameters": [
                {"Name": name, "Value": value if WithDecryption else "encrypted"}
                for name, value in parameters.items()
                if name.startswith(f"{Path}/")
            ]
        }

    client = FakeClient(put_parameter=put, delete_parameters=delete, get_parameters_by_path=get)
    for module in (env_module, secret_module):
        monkeypatch.setattr(module, "use_deployment", lambda **_: deployment(ssm=client))
        monkeypatch.setattr(module, "verify_target", lambda _: None)
    monkeypatch.setattr(variables, "verify_target", lambda _: None)
    return parameters


def enter(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Have the standard input contain a text."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))


def test_variable_is_stored_and_listed(
    stored: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    enter(monkeypatch, "the [red] value\n")
    env(Action.SET, "COLOR")
    assert "value" not in "".join(capsys.readouterr())

    env(Action.LIST)

    assert list(stored) == [f"{PATH}/env/COLOR"]
    assert capsys.readouterr().out == "COLOR=the [red] value\n"


def test_secret_is_stored_and_its_name_listed(
    stored: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    enter(monkeypatch, "the value")
    secret(Action.SET, "TOKEN")
    secret(Action.LIST)
    secret(Action.LIST, as_json=True)

    assert list(stored) == [f"{PATH}/secret/TOKEN"]
    output = "".join(capsys.readouterr())
    assert "TOKEN" in output
    assert "the value" not in output


def test_name_is_either_a_variable_or_a_secret(
    stored: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    enter(monkeypatch, "1")
    env(Action.SET, "TOKEN")
    enter(monkeypatch, "2")
    secret(Action.SET, "TOKEN")

    assert list(stored) == [f"{PATH}/secret/TOKEN"]


def test_unset(stored: dict[str, str]) -> None:
    stored[f"{PATH}/env/COLOR"] = '"red"'

    env(Action.UNSET, "COLOR")

    assert stored == {}
    with pytest.raises(CliError, match="COLOR is not set"):
        env(Action.UNSET, "COLOR")


@pytest.mark.parametrize("command", ["env", "secret"])
@pytest.mark.parametrize("words", [["TOKEN=hidden"], ["TOKEN", "hidden"], ["TOKEN", "=", "hidden"]])
def test_value_as_an_argument_is_not_repeated(
    stored: dict[str, str],
    capsys: pytest.CaptureFixture[str],
    command: str,
    words: list[str],
) -> None:
    with pytest.raises(SystemExit) as end:
        app([command, "set", *words])

    assert end.value.code == 1
    output = "".join(capsys.readouterr())
    assert "TOKEN" in output
    assert "hidden" not in output
    assert stored == {}


@pytest.mark.parametrize("name", ["AWS_REGION", "NO SPACES"])
def test_impossible_name_is_reported_before_the_value_is_read(
    stored: dict[str, str], name: str
) -> None:
    with pytest.raises(CliError, match=name):
        secret(Action.SET, name)
    assert stored == {}


def test_value_that_is_too_long_is_not_shown(
    stored: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    enter(monkeypatch, "hidden" * 1000)
    with pytest.raises(CliError) as error:
        secret(Action.SET, "TOKEN")
    assert "hidden" not in str(error.value)
    assert stored == {}


@pytest.mark.parametrize(
    ("command", "action", "target"),
    [
        (env, Action.LIST, "A"),
        (env, Action.SET, ""),
        (env, Action.IMPORT, ""),
        (secret, Action.EXPORT, ""),
    ],
)
def test_number_of_arguments(command: Callable[..., None], action: Action, target: str) -> None:
    with pytest.raises(CliError, match="takes"):
        command(action, target)


@pytest.fixture
def deploys(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The arguments of the deploys, which only record them."""
    recorded: list[dict[str, Any]] = []

    def roll_out(*_: Any, **arguments: Any) -> Deployed:
        recorded.append(arguments)
        return Deployed("https://example.com/", "4", "3", changed=True)

    monkeypatch.setattr(variables, "roll_out", roll_out)
    monkeypatch.setattr(variables, "check_site", lambda *_, **__: None)
    return recorded


@pytest.mark.parametrize("command", [env, secret])
def test_now_deploys_the_live_code(
    stored: dict[str, str],
    deploys: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: Callable[..., None],
) -> None:
    enter(monkeypatch, "hidden")
    command(Action.SET, "COLOR")
    assert deploys == []
    assert "djambda deploy" in capsys.readouterr().err

    command(Action.UNSET, "COLOR", now=True)

    [arguments] = deploys
    assert arguments["only_live_code"] is True
    for name in ("confirm", "confirm_data_loss"):
        with pytest.raises(CliError, match="not changed"):
            arguments[name]("Delete the database?")
    assert "Version 4" in capsys.readouterr().err


@pytest.mark.parametrize("action", [Action.LIST, Action.EXPORT])
def test_now_needs_a_change(action: Action, stored: dict[str, str]) -> None:
    with pytest.raises(CliError, match="--now"):
        env(action, now=True)


FILE = """
DJANGO_ADMIN_URL='a/$b'
MAILGUN_API_KEY=hidden
REDIS_URL=redis://cache/0
BROKER_URL=redis://user:hidden@queue
SENTRY=off
DEBUG=True
AWS_REGION=us-east-1
"""


def test_import_separates_secrets_and_skips_reserved_names(
    stored: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / ".env"
    file.write_text(FILE)
    stored[f"{PATH}/secret/SENTRY"] = '"on"'

    env(Action.IMPORT, str(file))

    assert sorted(stored) == [
        f"{PATH}/env/DJANGO_ADMIN_URL",
        f"{PATH}/env/REDIS_URL",
        f"{PATH}/secret/BROKER_URL",
        f"{PATH}/secret/MAILGUN_API_KEY",
        f"{PATH}/secret/SENTRY",
    ]
    assert stored[f"{PATH}/env/DJANGO_ADMIN_URL"] == '"a/$b"'
    shown = "".join(capsys.readouterr())
    assert "DEBUG: skipped" in shown
    assert "MAILGUN_API_KEY: secret" in shown
    assert "hidden" not in shown


def test_secret_import_makes_everything_a_secret(
    stored: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stored[f"{PATH}/env/COLOR"] = '"blue"'
    enter(monkeypatch, "COLOR=red\n")

    secret(Action.IMPORT, "-")

    assert stored == {f"{PATH}/secret/COLOR": '"red"'}


@pytest.mark.parametrize("line", ["B=" + "hidden" * 1000, "C-D=hidden", "hidden"])
def test_import_changes_nothing_if_a_line_is_not_possible(
    stored: dict[str, str], monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    enter(monkeypatch, f"A=1\n{line}\n")

    with pytest.raises(CliError, match="Nothing was imported") as error:
        env(Action.IMPORT, "-")

    assert stored == {}
    assert "hidden" not in str(error.value)


@pytest.mark.parametrize("name", ["missing", ".", "binary"])
def test_unreadable_file(stored: dict[str, str], tmp_path: Path, name: str) -> None:
    (tmp_path / "binary").write_bytes(b"A=\xff")

    with pytest.raises(CliError, match="Could not"):
        env(Action.IMPORT, str(tmp_path / name))
    assert stored == {}


def test_export_and_import_change_nothing(
    stored: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = {"A": "a'b\" $HOME \\n\r\n 🦄", "B": "", "C": " x\n", "D": "C:\\"}
    before = {f"{PATH}/env/{name}": encode(value) for name, value in values.items()}
    stored.update(before)
    stored[f"{PATH}/secret/TOKEN"] = '"hidden"'
    file = tmp_path / "exported"

    env(Action.EXPORT, str(file))
    env(Action.EXPORT)

    text = file.read_bytes().decode()
    assert "hidden" not in text
    assert text in capsys.readouterr().out
    for name in before:
        del stored[name]
    env(Action.IMPORT, str(file))
    assert {name: value for name, value in stored.items() if "/env/" in name} == before


def test_exported_secrets_are_readable_by_their_owner_only(
    stored: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stored[f"{PATH}/secret/TOKEN"] = '"hidden"'
    file = tmp_path / "exported"

    secret(Action.EXPORT, str(file))

    assert file.read_text() == "TOKEN=hidden\n"
    assert file.stat().st_mode & 0o777 == 0o600
    assert "hidden" not in "".join(capsys.readouterr())
    with pytest.raises(CliError, match="exists"):
        secret(Action.EXPORT, str(file))
    secret(Action.EXPORT, "-")
    assert capsys.readouterr().out == "TOKEN=hidden\n"


@pytest.mark.parametrize(
    ("text", "value"),
    [("a\n", "a"), ("a\r\n", "a"), ("a", "a"), (" a ", " a "), ("a\nb\n", "a\nb\n"), ("", "")],
)
def test_only_the_line_break_of_a_single_line_is_removed(
    monkeypatch: pytest.MonkeyPatch, text: str, value: str
) -> None:
    enter(monkeypatch, text)

    assert read_value("NAME") == value


def test_terminal_does_not_echo_the_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr(variables, "getpass", lambda prompt: f"entered at {prompt}")

    assert read_value("NAME") == "entered at NAME: "
