"""Management commands that Lambda cannot run, and their alternatives."""

import pytest

from djambda_cli.operations.interactive_commands import alternative_to


@pytest.mark.parametrize(
    ("command", "alternative"),
    [
        ("createsuperuser", "MANAGE createsuperuser --no-input --username NAME"),
        ("changepassword admin", 'MANAGE shell -c "u = '),
        ("dbshell", 'MANAGE shell -c "c = connection.cursor()'),
        ("dbshell -- -c SELECT", 'MANAGE shell -c "c = connection.cursor()'),
        ("flush", "MANAGE flush --no-input"),
        ("runserver 8000", "djambda open"),
        ("loaddata --format=json -", "MANAGE shell -v 0 -c"),
        ("makemigrations core", "python manage.py makemigrations"),
        ("shell", 'MANAGE shell -v 0 -c "$(cat script.py)"'),
        ("shell --no-imports -i python", 'MANAGE shell -v 0 -c "print(1)"'),
        ("testserver data.json", "python manage.py testserver"),
    ],
)
def test_interactive_command_has_an_alternative(command: str, alternative: str) -> None:
    shown = alternative_to(command.split(), manage="MANAGE", open_site="djambda open")

    assert shown is not None
    assert alternative in shown


@pytest.mark.parametrize(
    "command",
    [
        "createsuperuser --no-input",
        "createsuperuser --noinput --username x",
        "flush --no-input",
        "loaddata site",
        "makemigrations --check",
        "shell -c 1",
        "shell -c1",
        "shell --command=1",
        "shell --help",
        "runserver -h",
        "migrate",
        "help shell",
    ],
)
def test_command_without_interaction_has_none(command: str) -> None:
    assert alternative_to(command.split(), manage="MANAGE", open_site="OPEN") is None
