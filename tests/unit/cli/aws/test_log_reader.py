"""Reading, following and searching the logs in CloudWatch."""

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from djambda_cli.aws.log_entries import parse_events
from djambda_cli.aws.log_reader import (
    ERROR_PATTERN,
    MAX_DELAY_MS,
    Log,
    LogFilter,
    follow_entries,
    load_request,
    read_entries,
)
from djambda_cli.errors import CliError
from djambda_cli.operations.logs import deployment_logs
from tests.unit.cli.aws_fakes import FakeClient, deployment, refusal, stack_resources
from tests.unit.cli.log_samples import END, ID, NOON, OTHER, PROXY_ERROR, START, events


@pytest.mark.parametrize(
    ("log_filter", "messages"),
    [
        (LogFilter(), ["hello", "Not Found"]),
        (LogFilter(errors=True), ["Not Found"]),
        (LogFilter(platform=True), ["start version 7", "hello", "Not Found"]),
        (LogFilter(text="HELL"), ["hello"]),
    ],
)
def test_filters(log_filter: LogFilter, messages: list[str]) -> None:
    lines = events(START, "hello", {"level": "ERROR", "message": "Not Found"})

    assert [one.message for one in parse_events(lines, {}) if log_filter.matches(one)] == messages


def test_cloudwatch_filters_errors() -> None:
    assert ERROR_PATTERN == (
        '{ ($.level = "CRITICAL") || ($.level = "ERROR") || ($.level = "FATAL") || '
        '($.record.status = "error") || ($.record.status = "failure") || '
        '($.record.status = "timeout") }'
    )
    assert LogFilter(errors=True).pattern == ERROR_PATTERN


def load_logs(client: FakeClient, *functions: str) -> list[Log]:
    """Return the logs of a deployment that has these functions in addition."""
    cloudformation = FakeClient(list_stack_resources=stack_resources(*functions))
    return deployment_logs(deployment(logs=client, cloudformation=cloudformation))


class FakeCloudWatch:
    """Log groups, to which lines can be added. Without `ids`, as in the local cloud."""

    def __init__(self, *functions: str, ids: bool = True) -> None:
        self.functions = functions
        self.groups: dict[str, list[dict[str, Any]]] = {
            f"/aws/lambda/dev-shop-{function}": []
            for function in ("djambda-lambda", "proxy", *functions)
        }
        self.ids = map(str, itertools.count()) if ids else None
        self.offline = False

    def add(self, message: str, at: int, function: str = "djambda-lambda") -> None:
        event = {"timestamp": NOON + at, "message": message, "logStreamName": "stream"}
        if self.ids:
            event["eventId"] = next(self.ids)
        self.groups[f"/aws/lambda/dev-shop-{function}"].append(event)

    def logs(self) -> list[Log]:
        return load_logs(FakeClient(filter_log_events=self.filter), *self.functions)

    def filter(
        self,
        logGroupName: str,  # noqa: N803
        startTime: int,  # noqa: N803
        filterPattern: str,  # noqa: N803
        **more: Any,
    ) -> Any:
        if self.offline:
            raise EndpointConnectionError(endpoint_url="https://logs")
        found = [
            event
            for event in self.groups[logGroupName]
            if startTime <= event["timestamp"] <= more.get("endTime", 1e15)
            and filterPattern.strip('"') in event["message"]
        ]
        return {"events": sorted(found, key=lambda event: event["timestamp"])}


def batches(cloudwatch: FakeCloudWatch) -> Iterator[list[str]]:
    for batch in follow_entries(cloudwatch.logs(), NOON, LogFilter(), pause=0):
        yield [entry.message for entry in batch]


@pytest.mark.parametrize("ids", [True, False])
def test_following_shows_each_line_once(ids: bool) -> None:
    cloudwatch = FakeCloudWatch(ids=ids)
    cloudwatch.add("too old", -1)
    cloudwatch.add("same", 0)
    cloudwatch.add("same", 0)
    new = batches(cloudwatch)

    assert next(new) == ["same", "same"]
    assert next(new) == []
    cloudwatch.add("newer", 120_000)
    cloudwatch.add("from the proxy", 5, "proxy")
    assert next(new) == ["from the proxy", "newer"]
    cloudwatch.add("late", 120_000 - MAX_DELAY_MS)
    assert next(new) == ["late"]
    assert next(new) == []


def test_following_continues_after_a_lost_connection() -> None:
    cloudwatch = FakeCloudWatch()
    cloudwatch.add("one", 1)
    new = batches(cloudwatch)

    assert next(new) == ["one"]
    cloudwatch.offline = True
    assert next(new) == []
    cloudwatch.add("two", 2)
    cloudwatch.offline = False
    assert next(new) == ["two"]


def request(cloudwatch: FakeCloudWatch, id: str) -> list[str]:  # noqa: A002
    return [entry.message for entry in load_request(cloudwatch.logs(), id, 0)]


@pytest.fixture
def failed_request() -> FakeCloudWatch:
    """Both logs, with another request before and after."""
    cloudwatch = FakeCloudWatch()
    for at, line in enumerate((START.replace(ID, OTHER), "another", START, "boom", END, "after")):
        cloudwatch.add(line if at < 5 else START.replace(ID, OTHER), at)
    cloudwatch.add(f"START RequestId: {OTHER}9 Version: $LATEST", 0, "proxy")
    cloudwatch.add(json.dumps(PROXY_ERROR), 4, "proxy")
    cloudwatch.add(f"END RequestId: {OTHER}9", 5, "proxy")
    return cloudwatch


@pytest.mark.parametrize("id", ["the-visitors", ID])
def test_request_is_found_in_both_logs(failed_request: FakeCloudWatch, id: str) -> None:  # noqa: A002
    assert request(failed_request, id) == [
        "start version $LATEST",
        "start version 7",
        "boom",
        "end",
        "GET request failed: 502 django_failed",
        "end",
    ]


@pytest.mark.parametrize("id", [ID, OTHER])
def test_request_is_found_in_the_log_of_the_egress_function(id: str) -> None:  # noqa: A002
    cloudwatch = FakeCloudWatch("egress", "failed-tasks")
    for at, line in enumerate((START, "calls the API", END)):
        cloudwatch.add(line, at)
    own = {"message": "request", "requestId": OTHER, "invocationId": ID, "host": "example.com"}
    for at, line in enumerate((START.replace(ID, OTHER), json.dumps(own), START.replace(ID, "9"))):
        cloudwatch.add(line, at, "egress")

    assert sorted(request(cloudwatch, id)) == sorted(
        ["start version 7", "calls the API", "end", "start version 7", "request"]
    )


def test_only_the_logs_of_the_deployments_functions_are_read() -> None:
    def sources(*functions: str) -> list[str]:
        return [log.source.value for log in load_logs(FakeClient(), *functions)]

    assert sources() == ["django", "proxy"]
    assert sources("egress") == ["django", "proxy", "egress"]
    assert sources("failed-tasks", "release") == ["django", "proxy", "failed-tasks"]


def test_log_group_that_a_failed_deploy_has_not_created_is_not_read() -> None:
    resources = stack_resources("egress")
    resources["StackResourceSummaries"][-1]["ResourceStatus"] = "CREATE_FAILED"
    cloudformation = FakeClient(list_stack_resources=resources)

    logs = deployment_logs(deployment(logs=FakeClient(), cloudformation=cloudformation))

    assert len(logs) == 2


def test_stack_that_does_not_exist_has_no_other_logs() -> None:
    missing = refusal("ValidationError", "Stack with id dev-shop does not exist")
    cloudformation = FakeClient(list_stack_resources=missing)

    assert len(deployment_logs(deployment(logs=FakeClient(), cloudformation=cloudformation))) == 2


def test_unknown_request(failed_request: FakeCloudWatch) -> None:
    with pytest.raises(CliError, match="request nothing"):
        request(failed_request, "nothing")


def test_missing_log_group_names_the_deploy_command() -> None:
    missing = FakeClient(filter_log_events=refusal("ResourceNotFoundException"))
    logs = load_logs(missing)

    with pytest.raises(CliError) as error:
        read_entries(logs, 0, LogFilter())

    assert "/aws/lambda/dev-shop-djambda-lambda does not exist in eu-west-1" in str(error.value)
    assert "djambda deploy" in str(error.value)


def test_access_to_the_log_is_denied() -> None:
    refused = FakeClient(filter_log_events=refusal("AccessDeniedException"))

    with pytest.raises(CliError, match="Access denied"):
        read_entries(load_logs(refused), 0, LogFilter())
