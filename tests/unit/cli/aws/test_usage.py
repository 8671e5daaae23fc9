"""Usage and price of the current month."""

from datetime import UTC, datetime, timedelta
from typing import Any

from djambda_cli.aws.usage import FunctionUsage, MonthlyUsage, load_usage
from tests.unit.cli.aws_fakes import FakeClient

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def test_dollars_by_service() -> None:
    month = MonthlyUsage(
        django=FunctionUsage(3000, 900.0, 1024, "arm64"),
        proxy=FunctionUsage(3000, 900.0, 256, "x86_64"),
        acu_hours=17.5,
    )

    assert month.dollars == {"database": 2.1, "lambda": 0.017, "api": 0.0105}


def test_usage_is_summed_over_the_month() -> None:
    def statistics(**request: Any) -> dict[str, Any]:
        statistic = request["Statistics"][0]
        amount = {"Invocations": 10, "Duration": 1500, "ServerlessDatabaseCapacity": 2}
        return {
            "Datapoints": [
                {"Timestamp": NOW + timedelta(hours=hour), statistic: amount[request["MetricName"]]}
                for hour in range(2)
            ]
        }

    resource = {"ResourceType": "AWS::RDS::DBCluster", "PhysicalResourceId": "cluster"}
    clients: dict[str, Any] = {
        "cloudformation": FakeClient(
            list_stack_resources={"StackResourceSummaries": [resource]},
        ),
        "lambda": FakeClient(
            get_function_configuration={"MemorySize": 512, "Architectures": ["x86_64"]}
        ),
        "cloudwatch": FakeClient(get_metric_statistics=statistics),
    }
    usage = FunctionUsage(20, 3.0, 512, "x86_64")

    assert load_usage(
        clients["cloudformation"],
        clients["lambda"],
        clients["cloudwatch"],
        "dev-shop",
        ("django", "proxy"),
    ) == MonthlyUsage(usage, usage, 4.0)
