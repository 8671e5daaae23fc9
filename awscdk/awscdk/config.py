"""The deployment's configuration: the environment, read once and checked whole.

`app.py` calls `Config.from_environment` before anything else. Every problem is found before it is
reported, so that one run shows all there is to mend, and nothing is created from half a setup.
`VARIABLES` is the one list of what can be set: `.variables.template` is tested against it.
"""

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from awscdk.readers import flag, matching, number, one_of, optional
from djambda_common.names import DJANGO_SUFFIX, PROXY_SUFFIX

LOG_RETENTION_DAYS = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731),
    *(1096, 1827, 2192, 2557, 2922, 3288, 3653),
)
"""https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html"""

FUNCTION_NAME_LIMIT = 64
"""https://docs.aws.amazon.com/lambda/latest/api/API_CreateFunction.html"""

ALIKE = 0.85
"""From here on (1 is equal), difflib takes an unknown variable for a misspelt one of ours."""


class ConfigurationError(Exception):
    """The configuration cannot be deployed; `problems` says each reason and what to do."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(f"  - {problem}" for problem in problems))
        self.problems = problems


@dataclass(frozen=True)
class Variable:
    """One environment variable: what it is for, how its text is read, and what it may be."""

    help: str
    read: Callable[[str], object]
    default: str | None = ""
    """Read when the variable is unset or empty; None if it must be set."""


def retention(text: str) -> int:
    """Read a number of days that CloudWatch Logs accepts."""
    if text not in map(str, LOG_RETENTION_DAYS):
        raise ValueError(f"use one of {', '.join(map(str, LOG_RETENTION_DAYS))} days")
    return int(text)


NAME = matching(
    r"[a-z]([a-z0-9-]*[a-z0-9])?",
    "lower-case letters, digits and hyphens, starting with a letter and without dots: "
    "it becomes part of addresses and names",
)

VARIABLES = {
    "APP_NAME": Variable("The application: part of every name, e.g. my-app.", NAME, None),
    "ENVIRONMENT": Variable("What this deployment is, e.g. dev or prod.", NAME, None),
    "AWS_DEFAULT_REGION": Variable(
        "The region to deploy to, e.g. us-east-1.",
        matching(r"[a-z]{2}(-[a-z]+)+-[0-9]{1,2}", "a region's name, e.g. us-east-1"),
        None,
    ),
    "AWS_ACCOUNT_ID": Variable(
        "The account to deploy to; cdk refuses credentials of any other. Empty: any account.",
        optional(matching(r"[0-9]{12}", "the account's 12 digits")),
    ),
    "DOMAIN_NAME": Variable(
        "Your own domain for the site, with HOSTED_ZONE_ID. Empty: API Gateway's address.",
        optional(
            matching(
                r"([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}",
                "a lower-case domain name without https:// or a path, e.g. www.example.com",
            )
        ),
    ),
    "HOSTED_ZONE_ID": Variable(
        "The Route 53 hosted zone that the domain is in.",
        optional(matching(r"Z[A-Z0-9]{5,31}", "the zone's id, e.g. Z2FDTNDATAQYW2")),
    ),
    "DB_MAX_ACU": Variable(
        "The database's largest size in Aurora capacity units (2 GiB of memory each).",
        number(1, 256, step=0.5, unit="ACU"),
        "2",
    ),
    "DB_PAUSE_MINUTES": Variable(
        "Minutes without a connection after which the database pauses and costs nothing.",
        number(5, 1440, unit="minutes"),
        "5",
    ),
    "LAMBDA_MEMORY": Variable(
        "The Django function's memory in MB; its share of a CPU grows with it.",
        number(128, 10_240, unit="MB"),
        "1024",
    ),
    "LAMBDA_TIMEOUT": Variable(
        "Seconds a management command may take. (A web request ends at 29 in any case.)",
        number(30, 900, unit="seconds"),
        "900",
    ),
    "LAMBDA_ARCHITECTURE": Variable(
        "x86_64 or arm64 (costs 20% less; the layer must be built for it).",
        one_of("x86_64", "arm64"),
        "x86_64",
    ),
    "LAMBDA_CONCURRENCY": Variable(
        "How many requests Django may handle at once, reserved. Empty: up to the account's limit.",
        optional(number(1, 1000, unit="requests")),
    ),
    "LOG_RETENTION_DAYS": Variable("Days after which logs are deleted.", retention, "14"),
    "EGRESS": Variable(
        "How Django reaches the internet: ipv6 ($0), nat-instance or nat-gateway (for IPv4 too).",
        one_of("ipv6", "nat-instance", "nat-gateway"),
        "ipv6",
    ),
    "DJANGO_SUPERUSER_USERNAME": Variable(
        "The admin that the first deploy creates; its password is generated.",
        matching(r"[\w.@+-]{1,150}", "letters, digits and @ . + - _"),
        "admin",
    ),
    "DJANGO_SUPERUSER_EMAIL": Variable(
        "The admin's e-mail address. Empty: the user name at example.com.",
        optional(matching(r"[^@\s]+@[^@\s]+", "an e-mail address")),
    ),
    "EPHEMERAL": Variable(
        "true: deleting the stack also deletes database and files. For previews and trials.",
        flag,
        "false",
    ),
    "DEBUG": Variable("true: Django shows its debug pages. Never in production.", flag, "false"),
}

RENAMED = {"THROW_AWAY": "EPHEMERAL"}
"""Deprecated names of variables, accepted until the next minor release."""


@dataclass(frozen=True)
class Config:
    """A configuration that can be deployed. Fields are `VARIABLES` by their lower-case names."""

    app_name: str
    environment: str
    aws_default_region: str
    aws_account_id: str | None = None
    domain_name: str | None = None
    hosted_zone_id: str | None = None
    db_max_acu: float = 2
    db_pause_minutes: int = 5
    lambda_memory: int = 1024
    lambda_timeout: int = 900
    lambda_architecture: str = "x86_64"
    lambda_concurrency: int | None = None
    log_retention_days: int = 14
    egress: str = "ipv6"
    django_superuser_username: str = "admin"
    django_superuser_email: str | None = None
    ephemeral: bool = False
    debug: bool = False

    @property
    def name(self) -> str:
        """The stack's name, and the start of its functions' names."""
        return f"{self.environment}-{self.app_name}"

    @property
    def django_function_name(self) -> str:
        """What management commands are sent to."""
        return self.name + DJANGO_SUFFIX

    @property
    def proxy_function_name(self) -> str:
        """The proxy Lambda's name."""
        return self.name + PROXY_SUFFIX

    @property
    def secrets_path(self) -> str:
        """Where the generated secrets are in SSM, without a slash at the end."""
        return f"/djambda/{self.environment}/{self.app_name}"

    @property
    def superuser_email(self) -> str:
        """The admin's address, by default one where nobody reads mail (RFC 2606)."""
        user = self.django_superuser_username.partition("@")[0]
        return self.django_superuser_email or f"{user}@example.com"

    @classmethod
    def from_environment(
        cls, environment: Mapping[str, str], found_elsewhere: Sequence[str] = ()
    ) -> Self:
        """Read every variable.

        Raises ConfigurationError with all problems at once, those `found_elsewhere` included.
        """
        values: dict[str, object] = {}
        problems = [*found_elsewhere, *_misspelt(environment)]
        for name, variable in VARIABLES.items():
            text = _text(environment, name) or variable.default
            if text is None:
                problems.append(f"{name} is not set: {variable.help}")
                continue
            try:
                values[name.lower()] = variable.read(text)
            except ValueError as error:
                problems.append(f"{name}={text}: {error}")
        problems += _contradictions(values)
        if problems:
            raise ConfigurationError(problems)
        return cls(**values)  # type: ignore[arg-type]  # Each reader gives its field's type.


def deprecations(environment: Mapping[str, str]) -> list[str]:
    """Return a warning for each deprecated variable that is set."""
    return [
        f"{old} is deprecated and will be removed in the next release: set {new} instead"
        for old, new in RENAMED.items()
        if environment.get(old)
    ]


def _text(environment: Mapping[str, str], name: str) -> str:
    """Return a variable's value, or that of its deprecated name if it is unset or empty."""
    names = (name, *(old for old, new in RENAMED.items() if new == name))
    return next((text for each in names if (text := environment.get(each, "").strip())), "")


def _contradictions(values: Mapping[str, object]) -> list[str]:
    """What no variable has wrong by itself; one that is wrong already is not among `values`."""
    problems = []
    domain, zone = (values.get(name, "wrong") for name in ("domain_name", "hosted_zone_id"))
    if bool(domain) != bool(zone):
        problems.append("DOMAIN_NAME and HOSTED_ZONE_ID go together: set both, or neither")
    name = f"{values.get('environment', '')}-{values.get('app_name', '')}"
    if len(name) + len(DJANGO_SUFFIX) > FUNCTION_NAME_LIMIT:
        room = FUNCTION_NAME_LIMIT - len(DJANGO_SUFFIX) - 1
        problems.append(
            f"ENVIRONMENT and APP_NAME have {len(name) - 1} characters together: use at most "
            f"{room}, or the functions' names are longer than Lambda allows"
        )
    return problems


def _misspelt(environment: Mapping[str, str]) -> list[str]:
    """Variables that nobody reads and that look like one of ours which is not set.

    Their values are not told: nobody knows what is in them.
    """
    unset = [name for name in VARIABLES if not environment.get(name)]
    problems = []
    for name in sorted(environment.keys() - VARIABLES.keys()):
        near = difflib.get_close_matches(name, unset, n=1, cutoff=ALIKE)
        if near:
            problems.append(f"{name} is not a setting: did you mean {near[0]}?")
    return problems
