"""The usage of the current calendar month (UTC), and its price."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from djambda_cli.aws.database import load_cluster_id
from djambda_cli.aws.errors import aws_errors
from djambda_cli.aws.metrics import (
    SECONDS_PER_DAY,
    SECONDS_PER_HOUR,
    Metric,
    capacity,
    load_datapoints,
)

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_lambda import LambdaClient

# Dollars in us-east-1, as in docs/costs.md.
PER_REQUEST = 0.20 / 1_000_000
PER_GB_SECOND = {"x86_64": 0.0000166667, "arm64": 0.0000133334}
PER_API_REQUEST = 3.50 / 1_000_000
PER_ACU_HOUR = 0.12


@dataclass(frozen=True)
class FunctionUsage:
    """A function's invocations and seconds this month; `memory` is in MB."""

    invocations: int
    seconds: float
    memory: int
    architecture: str

    @property
    def dollars(self) -> float:
        """The price that Lambda charges."""
        per_second = PER_GB_SECOND[self.architecture] * self.memory / 1024
        return self.invocations * PER_REQUEST + self.seconds * per_second


@dataclass(frozen=True)
class MonthlyUsage:
    """The usage since the month began. `acu_hours` is None if there are no measurements."""

    django: FunctionUsage
    proxy: FunctionUsage
    acu_hours: float | None

    @property
    def dollars(self) -> dict[str, float]:
        """The price by service, without storage, logs and free tiers."""
        return {
            "database": round((self.acu_hours or 0) * PER_ACU_HOUR, 4),
            "lambda": round(self.django.dollars + self.proxy.dollars, 4),
            "api": round(self.proxy.invocations * PER_API_REQUEST, 4),
        }


def load_usage(
    cloudformation: "CloudFormationClient",
    lambda_: "LambdaClient",
    cloudwatch: Any,
    stack: str,
    functions: tuple[str, str],
) -> MonthlyUsage:
    """Return the usage of a stack and its functions, Django and proxy. Raises `CliError`."""
    since = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    with aws_errors():
        acu_by_hour = load_datapoints(
            cloudwatch,
            capacity(load_cluster_id(cloudformation, stack)),
            "Average",
            since=since,
            period=SECONDS_PER_HOUR,
        )
        django, proxy = (
            _load_function_usage(lambda_, cloudwatch, function, since) for function in functions
        )
    return MonthlyUsage(django, proxy, round(sum(acu_by_hour), 2) if acu_by_hour else None)


def _load_function_usage(
    lambda_: "LambdaClient", cloudwatch: Any, function: str, since: datetime
) -> FunctionUsage:
    configuration = lambda_.get_function_configuration(FunctionName=function)
    invocations, milliseconds = (
        sum(
            load_datapoints(
                cloudwatch,
                Metric("AWS/Lambda", name, "FunctionName", function),
                "Sum",
                since=since,
                period=SECONDS_PER_DAY,
            )
        )
        for name in ("Invocations", "Duration")
    )
    return FunctionUsage(
        int(invocations),
        round(milliseconds / 1000, 1),
        configuration["MemorySize"],
        configuration["Architectures"][0],
    )
