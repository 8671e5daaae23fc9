"""The deployment's configuration: the environment variables, read and validated once.

`app.py` calls `Config.from_environment` before anything else. It reports all problems together, so
that nothing is created from an incomplete configuration. `VARIABLES` is the only list of settings;
`.variables.template` is tested against it.
"""

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self, cast

from awscdk.readers import (
    Mailbox,
    flag,
    mailbox,
    matching,
    number,
    one_of,
    optional,
    origins,
    patterns,
    zones,
)
from djambda_common.names import (
    BLOCKED_PATHS_VARIABLE,
    CORS_VARIABLE,
    DJANGO_SUFFIX,
    MAIL_FROM_VARIABLE,
    PERMITTED_VARIABLE,
    PROXY_SUFFIX,
    QUEUE,
    SENDER_VARIABLE,
)

LOG_RETENTION_DAYS = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731),
    *(1096, 1827, 2192, 2557, 2922, 3288, 3653),
)
"""https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html"""

ZONES = 2
"""The minimum of an Aurora subnet group."""

LEAST_TASKS = 2
"""https://docs.aws.amazon.com/lambda/latest/api/API_ScalingConfig.html"""

FUNCTION_NAME_LIMIT = 64
"""https://docs.aws.amazon.com/lambda/latest/api/API_CreateFunction.html"""

API_RATE_QUOTA, API_BURST_QUOTA = 10_000, 5_000
"""An account's limits in a region, for all APIs; some regions have 2,500 and 1,250.

https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html"""

BLOCKED_PATHS = "*.php,*.asp,*.aspx,*.jsp,*/.env*,*/.git/*,*/.aws/*,/cgi-bin/*,/wp-*"
"""What scanners request from every site, and Django sites do not have."""

COMMON_VARIABLES = {
    *("AWS_ACCOUNT", "AWS_ACCOUNT_ALIAS", "AWS_ACCOUNT_NAME", "AWS_DEFAULT_OUTPUT", "AWS_REGION"),
}
"""Variables of other tools that resemble settings."""

SIMILARITY = 0.85
"""The ratio (1 is equal) from which an unknown variable counts as a misspelled setting."""


class ConfigurationError(Exception):
    """The configuration is invalid; `problems` has all reasons, each with a remedy."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(f"  - {problem}" for problem in problems))
        self.problems = problems


@dataclass(frozen=True)
class Variable:
    """An environment variable: its description, its reader, its default."""

    help: str
    read: Callable[[str], object]
    default: str | None = ""
    """The text to read if the variable is unset or empty; None if it is required."""


def retention(text: str) -> int:
    """Return a number of days that CloudWatch Logs accepts."""
    if text not in map(str, LOG_RETENTION_DAYS):
        raise ValueError(f"use one of {', '.join(map(str, LOG_RETENTION_DAYS))} days")
    return int(text)


NAME = matching(
    r"[a-z]([a-z0-9-]*[a-z0-9])?",
    "lowercase letters, digits and hyphens, starting with a letter and without dots: "
    "it becomes part of URLs and resource names",
)

VARIABLES = {
    "APP_NAME": Variable("The application, e.g. my-app. It is part of every name.", NAME, None),
    "ENVIRONMENT": Variable("The deployment, e.g. dev or prod.", NAME, None),
    "AWS_DEFAULT_REGION": Variable(
        "The region to deploy to, e.g. us-east-1.",
        matching(r"[a-z]{2}(-[a-z]+)+-[0-9]{1,2}", "the name of a region, e.g. us-east-1"),
        None,
    ),
    "AWS_ACCOUNT_ID": Variable(
        "The account to deploy to; credentials of others are rejected. Empty: any account.",
        optional(matching(r"[0-9]{12}", "the account's 12 digits")),
    ),
    "AVAILABILITY_ZONES": Variable(
        "The network's two zones, e.g. us-east-1a,us-east-1b; never change them. Empty: AWS's "
        "first two.",
        zones(ZONES),
    ),
    "DOMAIN_NAME": Variable(
        "The site's domain, with HOSTED_ZONE_ID. Empty: API Gateway's URL.",
        optional(
            matching(
                r"([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}",
                "a lowercase domain name without https:// or a path, e.g. www.example.com",
            )
        ),
    ),
    "HOSTED_ZONE_ID": Variable(
        "The domain's hosted zone in Route 53.",
        optional(matching(r"Z[A-Z0-9]{5,31}", "the ID of a hosted zone, e.g. Z2FDTNDATAQYW2")),
    ),
    CORS_VARIABLE: Variable(
        "Origins whose pages may read the proxy's errors, or * for all. Empty: the site's only.",
        origins,
    ),
    "DB_MAX_ACU": Variable(
        "The database's maximum size in Aurora capacity units (2 GiB of memory each).",
        number(1, 256, step=0.5, unit="ACU"),
        "1",
    ),
    "DB_PAUSE_MINUTES": Variable(
        "Minutes without a connection after which the database pauses and costs nothing.",
        number(5, 1440, unit="minutes"),
        "5",
    ),
    "LAMBDA_MEMORY": Variable(
        "The Django function's memory in MB; its CPU share grows with it.",
        number(128, 10_240, unit="MB"),
        "1024",
    ),
    "LAMBDA_TIMEOUT": Variable(
        "Seconds that a management command may take; web requests are limited to 29.",
        number(30, 900, unit="seconds"),
        "900",
    ),
    "LAMBDA_ARCHITECTURE": Variable(
        "x86_64 or arm64 (20% cheaper; the layer must be built for it).",
        one_of("x86_64", "arm64"),
        "x86_64",
    ),
    "LAMBDA_CONCURRENCY": Variable(
        "The requests that Django can handle at once (reserved). Empty: the account's limit.",
        optional(number(1, 1000, unit="requests")),
    ),
    "TASKS_CONCURRENCY": Variable(
        'The tasks that run at once, if the project has tasks = "queue".',
        number(LEAST_TASKS, 1000, unit="tasks"),
        "5",
    ),
    "API_RATE": Variable(
        "Requests per second that the site accepts; API Gateway answers others with 429.",
        number(1, API_RATE_QUOTA, unit="requests per second"),
        "100",
    ),
    "API_BURST": Variable(
        "Requests that the site accepts at once, above API_RATE, after a quiet moment.",
        number(1, API_BURST_QUOTA, unit="requests"),
        "200",
    ),
    BLOCKED_PATHS_VARIABLE: Variable(
        "Paths that the proxy answers with 404, without waking the site: patterns with * at the "
        "beginning or end, or none.",
        patterns,
        BLOCKED_PATHS,
    ),
    "LOG_RETENTION_DAYS": Variable("Days after which logs are deleted.", retention, "14"),
    "EGRESS": Variable(
        "Django's access to the internet: ipv6 ($0), proxy (also HTTP over IPv4, $0 while idle), "
        "nat-instance or nat-gateway.",
        one_of("ipv6", "proxy", "nat-instance", "nat-gateway"),
        "ipv6",
    ),
    MAIL_FROM_VARIABLE: Variable(
        "The sender of the site's mail, with quotes: 'My site <site@example.com>'. Empty: no mail.",
        optional(mailbox),
    ),
    "MAIL_IDENTITY": Variable(
        "create or existing: whether SES has the identity of MAIL_FROM already. Empty: create, but "
        "existing in ephemeral environments.",
        optional(one_of("create", "existing")),
    ),
    "DJANGO_SUPERUSER_USERNAME": Variable(
        "The superuser that the first deploy creates; its password is generated.",
        matching(r"[\w.@+-]{1,150}", "letters, digits and @ . + - _"),
        "admin",
    ),
    "DJANGO_SUPERUSER_EMAIL": Variable(
        "The superuser's email address. Empty: the user name at example.com.",
        optional(matching(r"[^@\s]+@[^@\s]+", "an email address")),
    ),
    "EPHEMERAL": Variable(
        "true: deleting the stack also deletes the database and files. For previews.",
        flag,
        "false",
    ),
    "DEBUG": Variable("true: Django shows its debug pages. Never in production.", flag, "false"),
}

RENAMED = {"THROW_AWAY": "EPHEMERAL"}
"""Deprecated names of variables, accepted until the next minor release."""


@dataclass(frozen=True)
class Config:
    """A valid configuration. Its fields are the `VARIABLES` by their lowercase names."""

    app_name: str
    environment: str
    aws_default_region: str
    aws_account_id: str | None = None
    availability_zones: tuple[str, ...] = ()
    domain_name: str | None = None
    hosted_zone_id: str | None = None
    cors_origins: tuple[str, ...] = ()
    db_max_acu: float = 1
    db_pause_minutes: int = 5
    lambda_memory: int = 1024
    lambda_timeout: int = 900
    lambda_architecture: str = "x86_64"
    lambda_concurrency: int | None = None
    tasks_concurrency: int = 5
    api_rate: int = 100
    api_burst: int = 200
    blocked_paths: tuple[str, ...] = tuple(BLOCKED_PATHS.split(","))
    log_retention_days: int = 14
    egress: str = "ipv6"
    mail_from: Mailbox | None = None
    mail_identity: str | None = None
    django_superuser_username: str = "admin"
    django_superuser_email: str | None = None
    ephemeral: bool = False
    debug: bool = False

    @property
    def name(self) -> str:
        """The stack's name, which is also the prefix of its functions' names."""
        return f"{self.environment}-{self.app_name}"

    @property
    def django_function_name(self) -> str:
        """The name of the Django function, which also runs management commands."""
        return self.name + DJANGO_SUFFIX

    @property
    def proxy_function_name(self) -> str:
        """The proxy Lambda's name."""
        return self.name + PROXY_SUFFIX

    @property
    def secrets_path(self) -> str:
        """The path of the generated secrets in SSM, without a trailing slash."""
        return f"/djambda/{self.environment}/{self.app_name}"

    @property
    def mail_domain(self) -> str | None:
        """The domain of MAIL_FROM if the site's hosted zone can have its records.

        The zone is that of DOMAIN_NAME or of a parent domain.
        """
        site, domain = self.domain_name, self.mail_from and self.mail_from.domain
        if not site or not domain:
            return None
        is_related = f".{domain}".endswith(f".{site}") or f".{site}".endswith(f".{domain}")
        return domain if is_related else None

    @property
    def mail_variables(self) -> dict[str, str]:
        """The Django function's variables with MAIL_FROM and a pattern of permitted senders."""
        if not self.mail_from:
            return {}
        return {SENDER_VARIABLE: self.mail_from.header, PERMITTED_VARIABLE: self.mail_senders}

    @property
    def mail_senders(self) -> str:
        """A pattern of the addresses from which the site may send: MAIL_FROM, or its domain's."""
        address = self.mail_from.address if self.mail_from else ""
        return f"*@{self.mail_domain}" if self.mail_domain else address

    @property
    def creates_mail_identity(self) -> bool:
        """Whether the stack creates the identity of MAIL_FROM, unique in an account and region."""
        return self.mail_identity == "create" or not (self.mail_identity or self.ephemeral)

    @property
    def superuser_email(self) -> str:
        """The superuser's email address, by default one that cannot receive mail (RFC 2606)."""
        user = self.django_superuser_username.partition("@")[0]
        return self.django_superuser_email or f"{user}@example.com"

    @classmethod
    def from_environment(
        cls,
        environment: Mapping[str, str],
        other_problems: Sequence[str] = (),
        *,
        tasks: str | None = None,
    ) -> Self:
        """Read and validate every variable, for a project with this backend of tasks.

        Raises `ConfigurationError` with all problems, including `other_problems`.
        """
        values: dict[str, object] = {}
        problems = [*other_problems, *_misspelled_names(environment)]
        for name, variable in VARIABLES.items():
            text = _text(environment, name) or variable.default
            if text is None:
                problems.append(f"{name} is not set. {variable.help}")
                continue
            try:
                values[name.lower()] = variable.read(text)
            except ValueError as error:
                problems.append(f"{name}={text}: {error}")
        problems += _invalid_combinations(values)
        if tasks == QUEUE:
            problems += _too_many_tasks(values)
        if problems:
            raise ConfigurationError(problems)
        return cls(**values)  # type: ignore[arg-type]  # Each reader returns its field's type.


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
    return next((text for key in names if (text := environment.get(key, "").strip())), "")


def _invalid_combinations(values: Mapping[str, object]) -> list[str]:
    """Return the problems of values that are valid alone, but not together."""
    problems = []
    domain, zone = (values.get(name, "invalid") for name in ("domain_name", "hosted_zone_id"))
    if bool(domain) != bool(zone):
        problems.append("DOMAIN_NAME and HOSTED_ZONE_ID belong together: set both or neither")
    region = values.get("aws_default_region")
    names = cast("tuple[str, ...]", values.get("availability_zones", ()))
    if region and any(name[:-1] != region for name in names):
        problems.append(
            f"AVAILABILITY_ZONES={','.join(names)}: use zones of AWS_DEFAULT_REGION={region}"
        )
    name = f"{values.get('environment', '')}-{values.get('app_name', '')}"
    if len(name) + len(DJANGO_SUFFIX) > FUNCTION_NAME_LIMIT:
        limit = FUNCTION_NAME_LIMIT - len(DJANGO_SUFFIX) - 1
        problems.append(
            f"ENVIRONMENT and APP_NAME have {len(name) - 1} characters together: use at most "
            f"{limit}, so that the functions' names are short enough for Lambda"
        )
    return problems


def _too_many_tasks(values: Mapping[str, object]) -> list[str]:
    """Return the problem of a queue whose tasks leave no capacity for requests."""
    total, tasks = (values.get(name) for name in ("lambda_concurrency", "tasks_concurrency"))
    if not isinstance(total, int) or not isinstance(tasks, int) or total > tasks:
        return []
    return [
        f"LAMBDA_CONCURRENCY={total} leaves no capacity for requests beside the "
        f"TASKS_CONCURRENCY={tasks} of the queue, and Lambda would throttle tasks until they fail: "
        f"set LAMBDA_CONCURRENCY to more than {tasks}, or leave it empty"
        + (f", or set TASKS_CONCURRENCY to less than {total}" if total > LEAST_TASKS else "")
    ]


def _misspelled_names(environment: Mapping[str, str]) -> list[str]:
    """Return a problem for each unknown variable that resembles an unset setting.

    Values are not shown, because they may be secret.
    """
    unset = [name for name in VARIABLES if not environment.get(name)]
    problems = []
    for name in sorted(environment.keys() - VARIABLES.keys() - COMMON_VARIABLES):
        matches = difflib.get_close_matches(name, unset, n=1, cutoff=SIMILARITY)
        if matches:
            problems.append(f"{name} is not a setting: did you mean {matches[0]}?")
    return problems
