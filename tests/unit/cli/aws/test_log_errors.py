"""Each kind of failure is one error, in `djambda logs --errors` and in `djambda status`."""

import itertools
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from djambda_cli.commands import logs as logs_command
from djambda_cli.operations.status import collect_status
from tests.unit.cli.aws_fakes import FakeClient, deployment, lambda_client, refusal, stack_resources
from tests.unit.cli.log_samples import ID, OTHER, PROXY_ERROR

type Lines = list[dict[str, Any] | str]
type Logs = tuple[Lines, ...]
"""The lines of Django, of the proxy, and of the function for failed tasks."""

NOW = datetime.now(UTC)


def record(message: str, **fields: Any) -> dict[str, Any]:
    return {"level": "ERROR", "message": message, "logger": "x", "requestId": ID} | fields


def report(status: str = "error", **fields: Any) -> dict[str, Any]:
    return {
        "type": "platform.report",
        "record": {"requestId": ID, "metrics": {}, "status": status} | fields,
    }


def proxy(error: str, **fields: Any) -> dict[str, Any]:
    return PROXY_ERROR | {"error": error, "message": f"GET request failed: {error}"} | fields


CRASH = {"level": "ERROR", "errorType": "KeyError", "errorMessage": "'x'", "requestId": ID}
START_FAILED = CRASH | {"errorType": "DjangoFailedToStart", "requestId": ""}
INIT_REPORT = {"type": "platform.initReport", "record": {"status": "error", "phase": "init"}}
TIMEOUT = f"2026-11-24T12:00:00.000Z {ID} Task timed out after 28.00 seconds"

FAILURES: dict[str, Logs] = {
    "500 of Django": ([record("Internal Server Error: /x", logger="django.request")], []),
    "several errors in one request": ([record("first"), record("second")], []),
    "crash": ([CRASH, report(errorType="KeyError")], [proxy("django_failed")]),
    "timeout": ([TIMEOUT, report("timeout")], [proxy("django_timed_out")]),
    "out of memory": ([report(errorType="Runtime.OutOfMemory")], [proxy("django_failed")]),
    "response too large": ([record("Response too large: GET /x")], [proxy("response_too_large")]),
    "throttled": ([], [proxy("throttled", invocationId=OTHER)]),
    "unreachable": ([], [{k: v for k, v in PROXY_ERROR.items() if k != "invocationId"}]),
    "start": (
        [START_FAILED, INIT_REPORT, START_FAILED, report(errorType="DjangoFailedToStart")],
        [proxy("django_failed")],
    ),
    "crash of the proxy": ([], [CRASH | {"requestId": OTHER}, report(requestId=OTHER)]),
    "command": ([CRASH | {"errorType": "ManagementCommandFailed"}, report()], []),
    "run of a command": ([record("Run x failed with exit code 1"), report("success")], []),
    "task whose worker was killed": (
        [report(errorType="Runtime.OutOfMemory")] * 3,
        [],
        [record("Task x has failed: Runtime.OutOfMemory", requestId=OTHER, invocationId=ID)],
    ),
    "task that cannot be recorded": ([], [], [CRASH | {"requestId": OTHER}]),
    "error that the project logs": ([record("payment failed", logger="shop")], []),
}
NO_FAILURES: Lines = [
    record("Not Found: /x", level="WARN"),
    report("success"),
    proxy("request_too_large", level="WARN"),
]


class FakeLogs(FakeClient):
    """CloudWatch with these lines, a stream for each failure."""

    GROUPS = ("djambda-lambda", "proxy", "failed-tasks")

    def __init__(self, *failures: Logs) -> None:
        super().__init__(filter_log_events=self.events)
        self.failures = failures

    def events(self, *, logGroupName: str, **_: Any) -> dict[str, Any]:  # noqa: N803
        times = itertools.count(int(NOW.timestamp() * 1000) - 60_000)
        index = self.GROUPS.index(logGroupName.removeprefix("/aws/lambda/dev-shop-"))
        return {
            "events": [
                {
                    "eventId": f"{number} {time}",
                    "logStreamName": f"stream-{number}",
                    "timestamp": time,
                    # Each failure is about requests of its own.
                    "message": (line if isinstance(line, str) else json.dumps(line)).replace(
                        "-4000-", f"-{number:04}-"
                    ),
                }
                for number, failure in enumerate(self.failures)
                for line, time in zip(next(iter(failure[index:]), []), times, strict=False)
            ]
        }


def numbers_of_errors(
    *failures: Logs,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> tuple[int, str]:
    """Return the numbers of `status` and `logs --errors`."""
    stack = {
        "StackName": "dev-shop",
        "StackStatus": "UPDATE_COMPLETE",
        "CreationTime": NOW,
        "Outputs": [{"OutputKey": "SiteUrl", "OutputValue": "https://shop.example.com/"}],
    }
    fake = deployment(
        **{
            "cloudformation": FakeClient(
                describe_stacks={"Stacks": [stack]},
                list_stack_resources=stack_resources("failed-tasks"),
            ),
            "lambda": lambda_client(get_function_configuration=refusal("AccessDenied")),
            "rds": FakeClient(describe_db_clusters=refusal("AccessDenied")),
            "cloudwatch": FakeClient(get_metric_statistics=refusal("AccessDenied")),
            "logs": FakeLogs(*failures),
        }
    )
    monkeypatch.setattr(logs_command, "use_deployment", lambda **_: fake)
    logs_command.logs(only_errors=True, since="24h")
    errors = collect_status(fake).errors
    assert isinstance(errors, list)
    return len(errors), capsys.readouterr().err.strip()


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_failure_is_one_error(
    failure: Logs,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    numbers = numbers_of_errors(failure, monkeypatch=monkeypatch, capsys=capsys)

    assert numbers == (1, "1 error in the last 24h")


def test_status_and_logs_agree(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    numbers = numbers_of_errors(
        *FAILURES.values(), (NO_FAILURES, NO_FAILURES), monkeypatch=monkeypatch, capsys=capsys
    )

    assert numbers == (len(FAILURES), f"{len(FAILURES)} errors in the last 24h")


def test_no_failure(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    numbers = numbers_of_errors((NO_FAILURES, []), monkeypatch=monkeypatch, capsys=capsys)

    assert numbers == (0, "No matching entries.")
