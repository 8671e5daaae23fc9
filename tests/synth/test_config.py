"""The configuration: what is accepted, and what each mistake is told."""

import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from awscdk.config import VARIABLES, Config, ConfigurationError, deprecations

ROOT = Path(__file__).resolve().parents[2]
MINIMAL = {"APP_NAME": "mysite", "ENVIRONMENT": "dev", "AWS_DEFAULT_REGION": "us-east-1"}


def problems(**changes: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        Config.from_environment(MINIMAL | changes)
    return caught.value.problems


def test_three_variables_are_enough() -> None:
    assert Config.from_environment(MINIMAL) == Config("mysite", "dev", "us-east-1")


def test_empty_is_the_default() -> None:
    empty = dict.fromkeys(VARIABLES, "")

    assert Config.from_environment(empty | MINIMAL) == Config("mysite", "dev", "us-east-1")


def test_names_come_from_environment_and_app() -> None:
    config = Config.from_environment(MINIMAL)

    assert config.name == "dev-mysite"
    assert config.secrets_path == "/djambda/dev/mysite"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("APP_NAME", "my.site", "without dots"),
        ("APP_NAME", "MySite", "lower-case"),
        ("APP_NAME", "-mysite", "starting with a letter"),
        ("ENVIRONMENT", "dev/1", "lower-case letters"),
        ("AWS_DEFAULT_REGION", "virginia", "e.g. us-east-1"),
        ("AWS_ACCOUNT_ID", "1234", "12 digits"),
        ("HOSTED_ZONE_ID", "zone", "the zone's id"),
        ("DB_MAX_ACU", "0", "1 to 256 ACU"),
        ("DB_MAX_ACU", "1.3", "in steps of 0.5"),
        ("DB_MAX_ACU", "lots", "a number of ACU"),
        ("DB_PAUSE_MINUTES", "4", "5 to 1440 minutes"),
        ("LAMBDA_MEMORY", "64", "128 to 10240 MB"),
        ("LAMBDA_TIMEOUT", "901", "30 to 900 seconds"),
        ("LAMBDA_TIMEOUT", "nan", "30 to 900 seconds"),
        ("LAMBDA_ARCHITECTURE", "amd64", "x86_64 or arm64"),
        ("LAMBDA_CONCURRENCY", "0", "1 to 1000 requests"),
        ("LOG_RETENTION_DAYS", "10", "one of 1, 3, 5, 7"),
        ("EGRESS", "nat", "ipv6, nat-instance or nat-gateway"),
        ("DJANGO_SUPERUSER_USERNAME", "two words", "letters, digits"),
        ("DJANGO_SUPERUSER_EMAIL", "nobody", "an e-mail address"),
        ("EPHEMERAL", "yes", "true or false"),
        ("DEBUG", "1", "true or false"),
    ],
)
def test_bad_value_is_named_with_what_to_use(name: str, value: str, said: str) -> None:
    [problem] = [each for each in problems(**{name: value}) if each.startswith(name)]

    assert problem.startswith(f"{name}={value}: use ")
    assert said in problem


@pytest.mark.parametrize("domain", ["https://example.com", "example.com/", "Example.com", "com"])
def test_domain_is_a_bare_name(domain: str) -> None:
    [problem] = problems(DOMAIN_NAME=domain, HOSTED_ZONE_ID="Z2FDTNDATAQYW2")

    assert "use a lower-case domain name" in problem


@pytest.mark.parametrize(
    "half", [{"DOMAIN_NAME": "www.example.com"}, {"HOSTED_ZONE_ID": "Z2FDTNDATAQYW2"}]
)
def test_domain_and_zone_go_together(half: dict[str, str]) -> None:
    assert problems(**half) == ["DOMAIN_NAME and HOSTED_ZONE_ID go together: set both, or neither"]


def test_missing_variables_and_bad_values_are_told_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Config.from_environment({"EGRESS": "nat", "DEBUG": "maybe"}, ["the layer is missing"])

    named = [problem.split()[0].partition("=")[0] for problem in caught.value.problems]
    assert named == ["the", "APP_NAME", "ENVIRONMENT", "AWS_DEFAULT_REGION", "EGRESS", "DEBUG"]


def test_names_that_make_functions_names_too_long() -> None:
    [problem] = problems(APP_NAME="a" * 46)

    assert "have 49 characters together: use at most 48" in problem


def test_misspelt_variable_is_noticed() -> None:
    assert problems(LAMBDA_MEMROY="512") == [
        "LAMBDA_MEMROY is not a setting: did you mean LAMBDA_MEMORY?"
    ]


@pytest.mark.parametrize("name", ["EGRES", "DOMIAN_NAME", "DJANGO_SUPERUSER_USER_NAME"])
def test_any_setting_may_be_misspelt_and_its_value_is_not_told(name: str) -> None:
    [problem] = problems(**{name: "private"})

    assert problem.startswith(f"{name} is not a setting: did you mean ")
    assert "private" not in problem


def test_variables_of_others_are_left_alone() -> None:
    others = {
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "CI_ENVIRONMENT_NAME": "prod",
        "DJANGO_SUPERUSER_PASSWORD": "secret",
        "APP_NAME_": "next to the right one",
    }

    assert Config.from_environment(MINIMAL | others).name == "dev-mysite"


@pytest.mark.parametrize(
    ("username", "email"), [("root", "root@example.com"), ("me@corp.org", "me@example.com")]
)
def test_superuser_has_an_address(username: str, email: str) -> None:
    config = Config.from_environment(MINIMAL | {"DJANGO_SUPERUSER_USERNAME": username})

    assert config.superuser_email == email


@pytest.mark.parametrize("region", ["us-gov-west-1", "mx-central-1", "ap-southeast-12"])
def test_regions(region: str) -> None:
    assert Config.from_environment(MINIMAL | {"AWS_DEFAULT_REGION": region})


def test_fields_and_defaults_are_those_of_the_variables() -> None:
    assert [field.name for field in fields(Config)] == [name.lower() for name in VARIABLES]


def test_template_has_every_variable_and_can_be_sourced(tmp_path: Path) -> None:
    template = (ROOT / ".variables.template").read_text()
    assert [
        line.removeprefix("export ").removesuffix("=")
        for line in template.splitlines()
        if line.startswith("export ")
    ] == list(VARIABLES)

    filled = tmp_path / ".variables"
    for name, value in MINIMAL.items():
        template = template.replace(f"export {name}=\n", f"export {name}={value}\n")
    filled.write_text(template)
    printed = subprocess.run(
        ["sh", "-c", f". {filled} && env"],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    environment = dict(line.split("=", 1) for line in printed.splitlines())
    assert Config.from_environment(environment) == Config("mysite", "dev", "us-east-1")


def test_app_reports_every_problem_without_a_traceback() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "awscdk" / "app.py"],
        env={"PATH": os.environ["PATH"], "APP_NAME": "my.site", "LAMBDA_MEMORY": "1"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert "This cannot be deployed:\n  - " in done.stderr
    for name in ("APP_NAME=my.site", "ENVIRONMENT is not set", "LAMBDA_MEMORY=1"):
        assert name in done.stderr
    assert "Traceback" not in done.stderr


def test_deprecated_name_still_works_and_warns() -> None:
    environment = {**MINIMAL, "THROW_AWAY": "true"}

    assert Config.from_environment(environment).ephemeral
    [warning] = deprecations(environment)
    assert "EPHEMERAL" in warning
    assert not Config.from_environment({**environment, "EPHEMERAL": "false"}).ephemeral
