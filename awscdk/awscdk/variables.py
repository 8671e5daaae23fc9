"""The environment variables that configure a deployment: the only list of settings.

`Config` reads and validates them. `.variables.template` and `docs/reference/settings.md` are tested
against this list.
"""

from collections.abc import Callable
from dataclasses import dataclass

from awscdk.readers import (
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
from djambda_common.names import BLOCKED_PATHS_VARIABLE, CORS_VARIABLE, MAIL_FROM_VARIABLE

LOG_RETENTION_DAYS = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731),
    *(1096, 1827, 2192, 2557, 2922, 3288, 3653),
)
"""https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html"""

ZONES = 2
"""The minimum of an Aurora subnet group."""

LEAST_TASKS = 2
"""https://docs.aws.amazon.com/lambda/latest/api/API_ScalingConfig.html"""

API_RATE_QUOTA, API_BURST_QUOTA = 10_000, 5_000
"""An account's limits in a region, for all APIs; some regions have 2,500 and 1,250.

https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html"""

BLOCKED_PATHS = "*.php,*.asp,*.aspx,*.jsp,*/.env*,*/.git/*,*/.aws/*,/cgi-bin/*,/wp-*"
"""Paths that scanners request from every site, and that Django sites do not have."""


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
        "The account to deploy to; credentials for others are refused. Empty: any account.",
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
                r"(?=.{1,64}$)([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}",  # ACM's maximum.
                "a lowercase domain name of up to 64 characters without https:// or a path, e.g. "
                "www.example.com",
            )
        ),
    ),
    "HOSTED_ZONE_ID": Variable(
        "The domain's hosted zone in Route 53.",
        optional(matching(r"Z[A-Z0-9]{5,31}", "the ID of a hosted zone, e.g. Z2FDTNDATAQYW2")),
    ),
    CORS_VARIABLE: Variable(
        "Origins whose pages may read the proxy's errors; * for all. Empty: only the site's own.",
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
        "The requests that Django can handle at once, reserved. Empty: the account's limit.",
        optional(number(1, 1000, unit="requests")),
    ),
    "TASKS_CONCURRENCY": Variable(
        'The tasks that run at once, if the project has tasks = "queue".',
        number(LEAST_TASKS, 1000, unit="tasks"),
        "5",
    ),
    "API_RATE": Variable(
        "Requests per second that the site accepts; API Gateway responds to others with 429.",
        number(1, API_RATE_QUOTA, unit="requests per second"),
        "100",
    ),
    "API_BURST": Variable(
        "Requests that the site accepts at once above API_RATE, after a quiet moment.",
        number(1, API_BURST_QUOTA, unit="requests"),
        "200",
    ),
    BLOCKED_PATHS_VARIABLE: Variable(
        "Paths to which the proxy responds with 404, without waking the site: patterns with * at "
        "the beginning or end, or none.",
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
        "The sender of the site's mail, in quotes: 'My site <site@example.com>'. Empty: no mail.",
        optional(mailbox),
    ),
    "MAIL_IDENTITY": Variable(
        "create or existing: whether the deploy creates the identity of MAIL_FROM in SES. Empty: "
        "create, but existing in ephemeral environments.",
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
    "DEBUG": Variable(
        "true: Django shows its debug pages. Never use it in production.", flag, "false"
    ),
}

RENAMED = {"THROW_AWAY": "EPHEMERAL"}
"""Deprecated names of variables, accepted until the next minor release."""
