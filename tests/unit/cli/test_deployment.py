"""The deployment that a command works on: its variables, and the emulator instead of AWS."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from djambda_cli import deployment
from djambda_cli.deployment import (
    Deployment,
    planned_deployment,
    resolve_deployment,
    use_deployment,
    verify_target,
)
from djambda_cli.errors import CliError
from tests.unit.cli import aws_fakes
from tests.unit.cli.stack_fakes import CONFIG

SETTINGS = "APP_NAME=shop\nexport ENVIRONMENT=prod\nAWS_DEFAULT_REGION=eu-west-1\n"
SHELL = {"PATH": os.environ["PATH"], "EDITOR": "vi"}


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout without `.variables`."""
    monkeypatch.setattr(deployment, "ROOT", tmp_path)
    monkeypatch.setattr(deployment, "VARIABLES_FILE", tmp_path / ".variables")
    for name in ("APP_NAME", "ENVIRONMENT", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "DEBUG"):
        monkeypatch.setenv(name, "")
    return tmp_path


def resolve(environ: Mapping[str, str] = SHELL) -> Deployment:
    return resolve_deployment(environ, local=False, folder=Path("none"))


def test_variables_file_is_read_with_and_without_export(checkout: Path) -> None:
    (checkout / ".variables").write_text(SETTINGS)

    resolved = resolve()

    assert (resolved.stack, resolved.location) == ("prod-shop", "in eu-west-1")
    assert resolved.emulator_port is None
    assert resolved.command("status") == "djambda status"
    assert resolved.environment["EDITOR"] == "vi"


def test_variables_of_the_shell_take_precedence_over_the_file(checkout: Path) -> None:
    (checkout / ".variables").write_text(SETTINGS)
    exported = {"APP_NAME": "blog", "ENVIRONMENT": "test", "AWS_DEFAULT_REGION": "eu-north-1"}

    resolved = resolve(SHELL | exported)

    assert (resolved.stack, resolved.location) == ("test-blog", "in eu-north-1")


def test_problems_are_reported_before_the_first_deploy(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAIL_FROM", "shop@localhost")
    monkeypatch.setenv("LAMBDA_MEMORI", "512")

    with pytest.raises(CliError, match="MAIL_FROM=shop@localhost") as error:
        planned_deployment(local=False, folder=checkout / "cloud")

    assert "LAMBDA_MEMORI" in str(error.value)


def test_resolving_does_not_change_the_environment(checkout: Path) -> None:
    (checkout / ".variables").write_text(SETTINGS)
    environ = dict(SHELL)
    process_environ = dict(os.environ)

    resolve(environ)

    assert environ == SHELL
    assert dict(os.environ) == process_environ


def test_using_a_deployment_replaces_the_environment(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (checkout / ".variables").write_text(SETTINGS)
    monkeypatch.setattr(os, "environ", dict(os.environ))

    used = use_deployment(local=False, folder=Path("none"))

    assert os.environ["APP_NAME"] == "shop"
    assert dict(os.environ) == used.environment


@pytest.mark.usefixtures("checkout")
def test_missing_configuration_names_the_template() -> None:
    with pytest.raises(CliError, match=r"cp \.variables\.template \.variables"):
        resolve()


def test_invalid_configuration_lists_every_problem(checkout: Path) -> None:
    (checkout / ".variables").write_text("APP_NAME=shop\nLAMBDA_MEMORY=much\n")

    with pytest.raises(CliError) as error:
        resolve()

    assert all(name in str(error.value) for name in ("ENVIRONMENT", "LAMBDA_MEMORY"))


@pytest.mark.parametrize("line", [b"APP_NAME = shop\n", b"\xff\xfe\x00\n", b"export 'oops\n"])
def test_variables_file_that_the_shell_rejects(checkout: Path, line: bytes) -> None:
    (checkout / ".variables").write_bytes(SETTINGS.encode() + line)

    with pytest.raises(CliError, match=r"\.variables.*NAME=value") as error:
        resolve()

    assert error.value.output


def test_emulator_that_the_environment_selects(checkout: Path) -> None:
    (checkout / ".variables").write_text(SETTINGS)

    resolved = resolve(SHELL | {"AWS_ENDPOINT_URL": "http://127.0.0.1:4566"})

    assert (resolved.location, resolved.emulator_port) == ("in the local cloud", 4566)


@pytest.mark.parametrize(
    ("account", "variables", "problem"),
    [
        ("111122223333", {}, None),
        ("111122223333", {"AWS_REGION": "eu-west-1"}, None),
        ("444455556666", {}, "account 444455556666, but AWS_ACCOUNT_ID"),
        ("111122223333", {"AWS_REGION": "us-east-1"}, "AWS_REGION is us-east-1"),
        ("111122223333", {"AWS_PROFILE": "work"}, "profile work is eu-north-1"),
        ("111122223333", {"AWS_PROFILE": "work", "AWS_REGION": "eu-west-1"}, None),
    ],
)
def test_credentials_have_to_match_account_and_region(
    account: str,
    variables: dict[str, str],
    problem: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "config").write_text("[profile work]\nregion = eu-north-1\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    sts = aws_fakes.FakeClient(get_caller_identity={"Account": account})
    target = aws_fakes.deployment(CONFIG, sts=sts)

    if problem is None:
        verify_target(target)
    else:
        with pytest.raises(CliError, match=problem):
            verify_target(target)


@pytest.mark.parametrize(
    ("outputs", "superuser", "settings"),
    [
        ({"Superuser": "admin@example.com"}, "admin@example.com", []),
        ({"Superuser": "none", "ReplacedSettings": "none"}, "", []),
        ({"Superuser": "unknown", "ReplacedSettings": "unknown"}, "admin", []),
        ({}, "admin", []),
        ({"ReplacedSettings": 'A: x, y; B["c"]: z'}, "admin", ["A: x, y", 'B["c"]: z']),
    ],
)
def test_facts_that_the_release_has_found(
    outputs: dict[str, str], superuser: str, settings: list[str]
) -> None:
    described = [
        {"OutputKey": name, "OutputValue": value}
        for name, value in {"SiteUrl": "https://x.example.com/", **outputs}.items()
    ]
    client = aws_fakes.FakeClient(describe_stacks={"Stacks": [{"Outputs": described}]})
    deployed = aws_fakes.deployment(cloudformation=client)

    assert (deployed.superuser, deployed.replaced_settings) == (superuser, settings)


@pytest.mark.parametrize(
    ("outputs", "url"),
    [
        ({}, "https://x.example.com/prod/admin/"),
        ({"AdminPath": "unknown"}, "https://x.example.com/prod/admin/"),
        ({"AdminPath": "/en/office/"}, "https://x.example.com/prod/en/office/"),
        ({"AdminPath": "/"}, "https://x.example.com/prod/"),
        ({"AdminPath": "none"}, ""),
    ],
)
def test_url_of_the_admin(outputs: dict[str, str], url: str) -> None:
    described = [
        {"OutputKey": name, "OutputValue": value}
        for name, value in {"SiteUrl": "https://x.example.com/prod/", **outputs}.items()
    ]
    client = aws_fakes.FakeClient(describe_stacks={"Stacks": [{"Outputs": described}]})

    assert aws_fakes.deployment(cloudformation=client).admin_url == url
