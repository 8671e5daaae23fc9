"""The deployment's configuration: the environment variables, read and validated once.

`app.py` calls `Config.from_environment` before anything else. It reports all problems together, so
that nothing is created from an incomplete configuration.
"""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self, cast

from awscdk.readers import Mailbox
from awscdk.variables import BLOCKED_PATHS, LEAST_TASKS, RENAMED, VARIABLES
from djambda_common.names import (
    DJANGO_SUFFIX,
    PERMITTED_VARIABLE,
    PROXY_SUFFIX,
    QUEUE,
    SENDER_VARIABLE,
)

FUNCTION_NAME_LIMIT = 64
"""https://docs.aws.amazon.com/lambda/latest/api/API_CreateFunction.html"""

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
        """True if the stack creates the identity of MAIL_FROM, unique in an account and region."""
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
        f"LAMBDA_CONCURRENCY={total} leaves no capacity for requests besides the "
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
