"""The status of a deployment: its stack, versions, database, usage and errors.

Collecting it wakes neither Django nor the database. A part that cannot be loaded, for example
because a permission is missing, is `Unavailable` with the reason; the others are collected anyway.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from djambda_cli.aws import stacks
from djambda_cli.aws.database import Database, load_cluster_id, load_database
from djambda_cli.aws.errors import aws_errors
from djambda_cli.aws.log_entries import LogEntry
from djambda_cli.aws.log_errors import distinct_errors
from djambda_cli.aws.log_reader import LogFilter, read_entries
from djambda_cli.aws.maintenance import load_digest
from djambda_cli.aws.schedules import Schedule
from djambda_cli.aws.usage import MonthlyUsage, load_usage
from djambda_cli.aws.versions import History
from djambda_cli.deployment import Deployment
from djambda_cli.errors import CliError
from djambda_cli.local.cloud import LocalCloud
from djambda_cli.local.database import load_state
from djambda_cli.operations.history import require_history
from djambda_cli.operations.logs import logs_loader
from djambda_cli.operations.schedules import as_json, loader, schedule_names
from djambda_common.names import SUPERUSER_PASSWORD

ERROR_PERIOD = timedelta(hours=24)
ERROR_SINCE = "24h"
SHOW_ERRORS = f"logs --errors --since {ERROR_SINCE}"
"""The command that lists the errors that the status counts."""


@dataclass(frozen=True)
class StackStatus:
    """The stack's status in CloudFormation, and the time of its last change."""

    name: str
    status: str
    changed: datetime
    is_busy: bool


@dataclass(frozen=True)
class Unavailable:
    """A part of the status that could not be loaded."""

    reason: str


@dataclass(frozen=True)
class DeploymentStatus:
    """All parts.

    `admin_url`: "" if there is no admin. `superuser`: its login, "" if there is none, with the name
    of its password's SSM parameter.
    `in_maintenance`: closed for visitors. `errors`: those of the last 24 hours.
    """

    url: str
    admin_url: str
    superuser: str
    password_parameter: str
    replaced_settings: list[str]
    stack: StackStatus | None
    history: History | Unavailable
    database: Database | Unavailable
    in_maintenance: bool | Unavailable
    month: MonthlyUsage | Unavailable
    schedules: list[Schedule] | Unavailable
    errors: list[LogEntry] | Unavailable

    def as_json(self) -> dict[str, Any]:
        """Return the status for scripts. Unavailable parts are null."""
        return {
            "url": self.url,
            "admin_url": self.admin_url or None,
            "superuser": self.superuser or None,
            "replaced_settings": self.replaced_settings,
            "stack": asdict(self.stack) if self.stack else None,
            "live": _available(self.history, lambda history: history.live.as_json()),
            "newer": _available(
                self.history, lambda history: [version.as_json() for version in history.newer]
            ),
            "database": _available(self.database, asdict),
            "maintenance": _available(self.in_maintenance, bool),
            "month": _available(
                self.month, lambda month: asdict(month) | {"dollars": month.dollars}
            ),
            "schedules": _available(
                self.schedules,
                lambda schedules: [as_json(each, datetime.now(UTC)) for each in schedules],
            ),
            "errors": _available(self.errors, lambda errors: [entry.as_json() for entry in errors]),
        }


def collect_status(deployment: Deployment) -> DeploymentStatus:
    """Load all parts concurrently. Raises `CliError` if there is no stack."""
    # boto3's clients are thread-safe, but creating them is not.
    cloudformation = deployment.client("cloudformation")
    lambda_ = deployment.client("lambda")
    rds = deployment.client("rds")
    cloudwatch = deployment.client("cloudwatch")
    load_logs = logs_loader(deployment)
    load_schedules = loader(deployment, schedule_names(deployment))
    url, stack = deployment.url, load_stack(deployment)
    since = datetime.now(UTC) - ERROR_PERIOD

    with ThreadPoolExecutor() as pool:
        history = pool.submit(_load_part, lambda: require_history(deployment, lambda_))
        database = pool.submit(
            _load_part,
            lambda: (
                load_local_database(deployment.local, cloudformation, deployment.stack)
                if deployment.local
                else load_database(cloudformation, rds, cloudwatch, deployment.stack)
            ),
        )
        in_maintenance = pool.submit(
            _load_part, lambda: bool(load_digest(lambda_, deployment.proxy))
        )
        month = pool.submit(
            _load_part,
            lambda: load_usage(
                cloudformation,
                lambda_,
                cloudwatch,
                deployment.stack,
                (deployment.function, deployment.proxy),
            ),
        )
        schedules = pool.submit(_load_part, load_schedules)
        errors = pool.submit(
            _load_part,
            lambda: read_entries(
                load_logs(), int(since.timestamp() * 1000), LogFilter(errors=True)
            ),
        )
    entries = errors.result()
    return DeploymentStatus(
        url=url,
        admin_url=deployment.admin_url,
        superuser=deployment.superuser,
        password_parameter=f"{deployment.config.secrets_path}/{SUPERUSER_PASSWORD}",
        replaced_settings=deployment.replaced_settings,
        stack=stack,
        history=history.result(),
        database=database.result(),
        in_maintenance=in_maintenance.result(),
        month=month.result(),
        schedules=schedules.result(),
        errors=entries if isinstance(entries, Unavailable) else distinct_errors(entries),
    )


def load_local_database(cloud: LocalCloud, cloudformation: Any, stack: str) -> Database:
    """Return the state of the local cloud's database. Raises `CliError`."""
    with aws_errors():
        cluster = load_cluster_id(cloudformation, stack)
    state = load_state(cloud)
    return Database(cluster, state.name, datetime.fromtimestamp(state.since, UTC), None)


def load_stack(deployment: Deployment) -> StackStatus | None:
    """Return the stack's status, or None if there is no stack. Raises `CliError`."""
    stack = stacks.describe(deployment.client("cloudformation"), deployment.stack)
    if stack is None or stack["StackStatus"] == stacks.UNDER_REVIEW:
        return None
    changed = stack.get("LastUpdatedTime", stack["CreationTime"])
    return StackStatus(stack["StackName"], stack["StackStatus"], changed, stacks.is_busy(stack))


def _load_part[T](load: Callable[[], T]) -> T | Unavailable:
    try:
        return load()
    except CliError as error:
        return Unavailable(" ".join([*str(error).split(), *error.output.split()]))


def _available[T, R](part: T | Unavailable, convert: Callable[[T], R]) -> R | None:
    return None if isinstance(part, Unavailable) else convert(part)
