"""`djambda up`: the site's login."""

import io
from pathlib import Path
from typing import Any

import pytest

from djambda_cli.commands import up as up_command
from djambda_cli.commands.up import deploy_to, summary
from djambda_cli.errors import CliError
from djambda_cli.local.cloud import LocalCloud
from djambda_cli.operations.access import Access
from djambda_cli.steps import Steps
from djambda_cli.terminal import stderr

URL = "http://abc.execute-api.localhost:4566/prod/"


@pytest.mark.parametrize("login", ["admin", "admin@example.com"])
def test_summary_has_the_superusers_login(login: str) -> None:
    shown = summary(Access(URL, f"{URL}office/", login, "the-password"), ".local/variables")

    assert f"User      {login}\n" in shown
    assert f"Admin     {URL}office/\n" in shown
    assert "Domain    http://abc.localhost:4566/ " in shown
    assert "the-password" in shown


def test_summary_names_the_command_that_creates_a_missing_superuser() -> None:
    shown = summary(Access(URL, "", "", "the-password"), ".local/variables")

    assert "createsuperuser" in shown
    assert "Admin" not in shown
    assert "the-password" not in shown


def test_summary_names_commands_for_the_folder_of_the_cloud() -> None:
    access = Access(URL, "", "admin", "the-password")

    assert "djambda down\n" in summary(access, "variables")
    shown = summary(access, "variables", " --folder '/tmp/a b[x]'")
    assert r"djambda status --local --folder '/tmp/a b\[x]'" in shown
    assert r"djambda down --folder '/tmp/a b\[x]'" in shown


def test_loss_of_data_is_confirmed_for_the_folder_of_the_cloud(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def lose_data(*_: object, confirm_data_loss: Any, **__: object) -> None:
        confirm_data_loss("Deploy anyway?")

    monkeypatch.setattr(up_command, "use_deployment", lambda **_: None)
    monkeypatch.setattr(up_command, "roll_out", lose_data)
    monkeypatch.setattr("sys.stdin", io.StringIO())

    with pytest.raises(CliError, match=rf"djambda deploy --local --folder {tmp_path}`"):
        deploy_to(LocalCloud(tmp_path), Steps(stderr))
