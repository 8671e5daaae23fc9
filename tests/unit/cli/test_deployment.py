"""Which deployment a verb works on: what `.variables` says, and where an emulator is meant."""

from pathlib import Path

import pytest

from djambda_cli import deployment
from djambda_cli.errors import CliError

SETTINGS = "APP_NAME=shop\nexport ENVIRONMENT=prod\nAWS_DEFAULT_REGION=eu-west-1\n"


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout without `.variables`, and a shell that has set nothing."""
    monkeypatch.setattr(deployment, "ROOT", tmp_path)
    monkeypatch.setattr(deployment, "VARIABLES_FILE", tmp_path / ".variables")
    for name in ("APP_NAME", "ENVIRONMENT", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "DEBUG"):
        monkeypatch.setenv(name, "")
    return tmp_path


def find() -> deployment.Deployment:
    return deployment.use_deployment(local=False, folder=Path("none"))


def test_variables_count_with_and_without_export(checkout: Path) -> None:
    (checkout / ".variables").write_text(SETTINGS)

    found = find()

    assert (found.stack, found.location, found.emulator_port) == ("prod-shop", "in eu-west-1", None)
    assert found.command("status") == "djambda status"


def test_no_variables_at_all(checkout: Path) -> None:
    with pytest.raises(CliError, match=r"cp \.variables\.template \.variables"):
        find()


@pytest.mark.parametrize("line", [b"APP_NAME = shop\n", b"\xff\xfe\x00\n", b"export 'oops\n"])
def test_variables_that_the_shell_cannot_read(checkout: Path, line: bytes) -> None:
    (checkout / ".variables").write_bytes(SETTINGS.encode() + line)

    with pytest.raises(CliError, match=r"The shell cannot read \.variables") as error:
        find()

    assert error.value.output


def test_an_emulator_that_the_environment_leads_to(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (checkout / ".variables").write_text(SETTINGS)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")

    found = find()

    assert (found.location, found.emulator_port) == ("in the local cloud", 4566)
