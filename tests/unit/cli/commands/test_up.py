"""`djambda up`: the site's login."""

import pytest

from djambda_cli.commands.up import summary
from djambda_cli.operations.access import Access

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
