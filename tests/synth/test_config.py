"""The configuration: valid values, and the problems of invalid ones."""

import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from awscdk.config import Config, ConfigurationError, deprecations
from awscdk.variables import VARIABLES

ROOT = Path(__file__).resolve().parents[2]
MINIMAL = {"APP_NAME": "mysite", "ENVIRONMENT": "dev", "AWS_DEFAULT_REGION": "us-east-1"}


def problems(**changes: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        Config.from_environment(MINIMAL | changes)
    return caught.value.problems


def test_three_variables_are_enough() -> None:
    assert Config.from_environment(MINIMAL) == Config("mysite", "dev", "us-east-1")


def test_empty_variables_have_defaults() -> None:
    empty = dict.fromkeys(VARIABLES, "")

    assert Config.from_environment(empty | MINIMAL) == Config("mysite", "dev", "us-east-1")


def test_names_contain_environment_and_app() -> None:
    config = Config.from_environment(MINIMAL)

    assert config.name == "dev-mysite"
    assert config.secrets_path == "/djambda/dev/mysite"


@pytest.mark.parametrize(
    ("name", "value", "fact"),
    [
        ("APP_NAME", "my.site", "without dots"),
        ("APP_NAME", "MySite", "lowercase"),
        ("APP_NAME", "-mysite", "starting with a letter"),
        ("ENVIRONMENT", "dev/1", "lowercase letters"),
        ("AWS_DEFAULT_REGION", "virginia", "e.g. us-east-1"),
        ("AWS_ACCOUNT_ID", "1234", "12 digits"),
        ("AVAILABILITY_ZONES", "us-east-1a", "2 different zones"),
        ("AVAILABILITY_ZONES", "us-east-1a,us-east-1a", "2 different zones"),
        ("AVAILABILITY_ZONES", "us-east-1a us-east-1b", "2 different zones"),
        ("AVAILABILITY_ZONES", "us-east-1a,us-west-2a", "AWS_DEFAULT_REGION=us-east-1"),
        ("HOSTED_ZONE_ID", "zone", "hosted zone"),
        ("CORS_ORIGINS", "app.example.com", "https://app.example.com"),
        ("CORS_ORIGINS", "https://app.example.com/", "trailing slash"),
        ("CORS_ORIGINS", "https://app.example.com/path", "path"),
        ("CORS_ORIGINS", "https://App.example.com", "lowercase"),
        ("CORS_ORIGINS", "https://*.example.com", "wildcard"),
        ("CORS_ORIGINS", "https://app.example.com,*", "'*'"),
        ("CORS_ORIGINS", "https://app.example.com:443", "default port"),
        ("CORS_ORIGINS", "https://a.example https://b.example", "commas"),
        ("CORS_ORIGINS", "https://a.example,", "''"),
        ("CORS_ORIGINS", "null", "'null'"),
        ("CORS_ORIGINS", ",".join(f"https://{n}.example.com" for n in range(100)), "2048"),
        ("DB_MAX_ACU", "0", "1 to 256 ACU"),
        ("DB_MAX_ACU", "1.3", "in steps of 0.5"),
        ("DB_MAX_ACU", "lots", "a number of ACU"),
        ("DB_PAUSE_MINUTES", "4", "5 to 1440 minutes"),
        ("LAMBDA_MEMORY", "64", "128 to 10240 MB"),
        ("LAMBDA_TIMEOUT", "901", "30 to 900 seconds"),
        ("LAMBDA_TIMEOUT", "nan", "30 to 900 seconds"),
        ("LAMBDA_ARCHITECTURE", "amd64", "x86_64 or arm64"),
        ("LAMBDA_CONCURRENCY", "0", "1 to 1000 requests"),
        ("API_RATE", "0", "1 to 10000 requests per second"),
        ("API_RATE", "10001", "1 to 10000 requests per second"),
        ("API_RATE", "1.5", "1 to 10000 requests per second"),
        ("API_RATE", "100/s", "a number of requests per second"),
        ("API_BURST", "-1", "1 to 5000 requests"),
        ("API_BURST", "10000", "1 to 5000 requests"),
        ("API_BURST", "inf", "1 to 5000 requests"),
        ("LOG_RETENTION_DAYS", "10", "one of 1, 3, 5, 7"),
        ("EGRESS", "nat", "ipv6, proxy, nat-instance or nat-gateway"),
        ("MAIL_FROM", "shop", "site@example.com"),
        ("MAIL_FROM", "shop@localhost", "site@example.com"),
        ("MAIL_FROM", "a@example.com, b@example.com", "site@example.com"),
        ("MAIL_FROM", "żółw@example.com", "ASCII"),
        ("MAIL_FROM", "shop@bücher.example", "ASCII"),
        ("MAIL_FROM", "Shop shop@example.com", "site@example.com"),
        ("MAIL_FROM", "*@example.com", "site@example.com"),
        ("MAIL_FROM", "${aws:username}@example.com", "site@example.com"),
        ("MAIL_FROM", "Shop\nBcc: <shop@example.com>", "site@example.com"),
        ("MAIL_FROM", "Shop <shop@example.com\n>", "site@example.com"),
        ("MAIL_FROM", '"Shop" Bcc: x <shop@example.com>', "site@example.com"),
        ("MAIL_FROM", f"{'n' * 101} <shop@example.com>", "site@example.com"),
        ("MAIL_IDENTITY", "domain", "create or existing"),
        ("DJANGO_SUPERUSER_USERNAME", "two words", "letters, digits"),
        ("DJANGO_SUPERUSER_EMAIL", "nobody", "an email address"),
        ("EPHEMERAL", "yes", "true or false"),
        ("DEBUG", "1", "true or false"),
    ],
)
def test_invalid_value_is_named_with_the_valid_ones(name: str, value: str, fact: str) -> None:
    [problem] = [line for line in problems(**{name: value}) if line.startswith(name)]

    assert problem.startswith(f"{name}={value}: use ")
    assert fact in problem


@pytest.mark.parametrize(
    ("text", "origins"),
    [
        ("*", ("*",)),
        ("https://app.example.com", ("https://app.example.com",)),
        (
            " http://localhost:5173 , capacitor://localhost,http://[::1]:3000,http://localhost:5173",
            ("http://localhost:5173", "capacitor://localhost", "http://[::1]:3000"),
        ),
    ],
)
def test_origins_are_a_list(text: str, origins: tuple[str, ...]) -> None:
    assert Config.from_environment(MINIMAL | {"CORS_ORIGINS": text}).cors_origins == origins


def test_zones_are_a_list() -> None:
    config = Config.from_environment(MINIMAL | {"AVAILABILITY_ZONES": "us-east-1b, us-east-1d"})

    assert config.availability_zones == ("us-east-1b", "us-east-1d")


@pytest.mark.parametrize("domain", ["https://example.com", "example.com/", "Example.com", "com"])
def test_domain_must_be_a_plain_name(domain: str) -> None:
    [problem] = problems(DOMAIN_NAME=domain, HOSTED_ZONE_ID="Z2FDTNDATAQYW2")

    assert problem.startswith(f"DOMAIN_NAME={domain}: ")
    assert "www.example.com" in problem


@pytest.mark.parametrize(
    "half", [{"DOMAIN_NAME": "www.example.com"}, {"HOSTED_ZONE_ID": "Z2FDTNDATAQYW2"}]
)
def test_domain_and_zone_belong_together(half: dict[str, str]) -> None:
    [problem] = problems(**half)

    assert "DOMAIN_NAME" in problem
    assert "HOSTED_ZONE_ID" in problem


def test_missing_and_invalid_variables_are_reported_together() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Config.from_environment({"EGRESS": "nat", "DEBUG": "maybe"}, ["the layer is missing"])

    names = [problem.split()[0].partition("=")[0] for problem in caught.value.problems]
    assert names == ["the", "APP_NAME", "ENVIRONMENT", "AWS_DEFAULT_REGION", "EGRESS", "DEBUG"]


def test_function_names_that_are_too_long() -> None:
    [problem] = problems(APP_NAME="a" * 46)

    assert {"ENVIRONMENT", "APP_NAME", "49", "48"} <= set(re.findall(r"\w+", problem))


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("LAMBDA_MEMROY", "LAMBDA_MEMORY"),
        ("EGRES", "EGRESS"),
        ("DOMIAN_NAME", "DOMAIN_NAME"),
        ("DJANGO_SUPERUSER_USER_NAME", "DJANGO_SUPERUSER_USERNAME"),
    ],
)
def test_misspelled_name_is_reported_without_its_value(name: str, setting: str) -> None:
    [problem] = problems(**{name: "private"})

    assert {name, setting} <= set(re.findall(r"\w+", problem))
    assert "private" not in problem


def test_other_variables_are_ignored() -> None:
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
def test_superuser_has_an_email_address(username: str, email: str) -> None:
    config = Config.from_environment(MINIMAL | {"DJANGO_SUPERUSER_USERNAME": username})

    assert config.superuser_email == email


@pytest.mark.parametrize("region", ["us-gov-west-1", "mx-central-1", "ap-southeast-12"])
def test_region_names(region: str) -> None:
    assert Config.from_environment(MINIMAL | {"AWS_DEFAULT_REGION": region})


def test_fields_match_the_variables() -> None:
    assert [field.name for field in fields(Config)] == [name.lower() for name in VARIABLES]


def test_template_describes_every_variable() -> None:
    _, *entries = (ROOT / ".variables.template").read_text().split("\n\n")
    defaults = {None: " Required.", "": ""}

    assert [entry.rstrip("\n") for entry in entries] == [
        f"# {variable.help}"
        f"{defaults.get(variable.default, f' Default: {variable.default}.')}\nexport {name}="
        for name, variable in VARIABLES.items()
    ]


def test_template_can_be_sourced(tmp_path: Path) -> None:
    template = (ROOT / ".variables.template").read_text()
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


def test_app_reports_all_problems_without_a_traceback() -> None:
    completed = subprocess.run(
        [sys.executable, ROOT / "awscdk" / "app.py"],
        env={"PATH": os.environ["PATH"], "APP_NAME": "my.site", "LAMBDA_MEMORY": "1"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert completed.returncode == 1
    assert "Cannot deploy:\n  - " in completed.stderr
    for name in ("APP_NAME=my.site", "ENVIRONMENT is not set", "LAMBDA_MEMORY=1"):
        assert name in completed.stderr
    assert "Traceback" not in completed.stderr


def test_deprecated_name_works_with_a_warning() -> None:
    environment = {**MINIMAL, "THROW_AWAY": "true"}

    assert Config.from_environment(environment).ephemeral
    [warning] = deprecations(environment)
    assert "EPHEMERAL" in warning
    assert not Config.from_environment({**environment, "EPHEMERAL": "false"}).ephemeral


@pytest.mark.parametrize("name", ["AWS_ACCOUNT", "AWS_ACCOUNT_NAME", "AWS_REGION"])
def test_variable_of_another_tool_is_no_typo(name: str) -> None:
    assert Config.from_environment({**MINIMAL, name: "123456789012"})


@pytest.mark.parametrize(
    ("text", "header"),
    [
        ("shop@example.com", "shop@example.com"),
        ("Shop@Example.COM", "Shop@example.com"),
        ("<shop@example.com>", "shop@example.com"),
        ("My shop <my.shop+1@mail.example.com>", "My shop <my.shop+1@mail.example.com>"),
        ('"Shop, Inc." <shop@example.com>', '"Shop, Inc." <shop@example.com>'),
        ("Shop, Inc. <shop@example.com>", '"Shop, Inc." <shop@example.com>'),
        ("Café <shop@xn--bcher-kva.example>", "=?utf-8?b?Q2Fmw6k=?= <shop@xn--bcher-kva.example>"),
    ],
)
def test_sender_of_mail(text: str, header: str) -> None:
    mail_from = Config.from_environment(MINIMAL | {"MAIL_FROM": text}).mail_from

    assert mail_from is not None
    assert mail_from.header == header


@pytest.mark.parametrize(
    ("total", "tasks", "names"),
    [
        ("5", "", ["LAMBDA_CONCURRENCY=5", "more than 5", "less than 5"]),
        ("3", "7", ["LAMBDA_CONCURRENCY=3", "TASKS_CONCURRENCY=7", "more than 7"]),
        ("6", "", []),
        ("", "1000", []),
    ],
)
def test_queue_leaves_capacity_for_requests(total: str, tasks: str, names: list[str]) -> None:
    environment = MINIMAL | {"LAMBDA_CONCURRENCY": total, "TASKS_CONCURRENCY": tasks}

    Config.from_environment(environment, tasks="direct")
    Config.from_environment(environment)
    try:
        Config.from_environment(environment, tasks="queue")
        message = ""
    except ConfigurationError as error:
        [message] = error.problems

    assert bool(message) == bool(names)
    assert all(name in message for name in names)
