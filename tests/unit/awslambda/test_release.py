"""The release: which commands run in the new version, and what a deploy says when one fails."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

import invocation
import release
import retry
from custom_resource import MARGIN
from tests.support.fake_aws import (
    REGION,
    FakeAws,
    FakeContext,
    Reply,
    answers,
    custom_resource_event,
    fails,
    function_fails,
    hangs_up,
    keeps_silent,
    lambda_environment,
    resets,
)

FUNCTION = "dev-mysite-djambda-lambda"
DONE = answers({"output": "", "exit_code": 0})
OLD = answers({"FunctionVersion": "6"})
COMMANDS = [
    "wait_for_database",
    "migrate --no-input",
    "collectstatic --no-input",
    "ensure_superuser",
]


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAws]:
    with lambda_environment() as fake:
        monkeypatch.setattr(invocation, "PAUSE_WHEN_NOT_READY", 0.01)
        monkeypatch.setattr(retry, "PAUSES", (0.01, 0.01))
        yield fake


def run(
    aws: FakeAws,
    *replies: Reply,
    kind: str = "Update",
    function: str = FUNCTION,
    seconds: float = 60,
    previous: str = "6",
) -> Any:
    """Release version 7 while AWS replies like this, and return CloudFormation's answer."""
    aws.will(*replies, answers())
    event = custom_resource_event(aws, kind, FunctionName=function, Version="7", Alias="live")
    if kind == "Update":
        event["OldResourceProperties"] = event["ResourceProperties"] | {"Version": previous}
    release.lambda_handler(event, FakeContext(seconds))
    return aws.requests[-1].json


def commands(aws: FakeAws) -> list[str]:
    return [each.json["manage"] for each in aws.requests if each.path.endswith("/invocations")]


class TestCommands:
    @pytest.mark.parametrize("kind", ["Create", "Update"])
    def test_run_in_order_in_the_new_version(self, kind: str, aws: FakeAws) -> None:
        answer = run(aws, OLD, DONE, DONE, DONE, DONE, kind=kind)
        assert answer["Status"] == "SUCCESS"
        assert commands(aws) == COMMANDS
        alias, *invocations, _ = aws.requests
        assert alias.method == "GET"
        assert alias.path == f"/2015-03-31/functions/{FUNCTION}/aliases/live"
        assert {each.path for each in invocations} == {
            f"/2015-03-31/functions/{FUNCTION}%3A7/invocations"
        }

    def test_run_at_the_first_deploy_when_there_is_no_alias(self, aws: FakeAws) -> None:
        no_alias = fails("ResourceNotFoundException", 404)
        assert run(aws, no_alias, DONE, DONE, DONE, DONE, kind="Create")["Status"] == "SUCCESS"
        assert commands(aws) == COMMANDS

    def test_do_not_run_for_the_version_that_is_live(self, aws: FakeAws) -> None:
        assert run(aws, answers({"FunctionVersion": "7"}))["Status"] == "SUCCESS"
        assert commands(aws) == []

    def test_do_not_run_when_cloudformation_undoes_a_later_version(self, aws: FakeAws) -> None:
        """Although 7 is not live: people have gone back to 5 since."""
        assert run(aws, answers({"FunctionVersion": "5"}), previous="10")["Status"] == "SUCCESS"
        assert commands(aws) == []

    def test_do_not_run_on_delete(self, aws: FakeAws) -> None:
        assert run(aws, kind="Delete")["Status"] == "SUCCESS"
        assert len(aws.requests) == 1

    def test_function_may_be_an_arn(self, aws: FakeAws) -> None:
        arn = f"arn:aws:lambda:{REGION}:123456789012:function:{FUNCTION}"
        assert run(aws, OLD, DONE, DONE, DONE, DONE, function=arn)["Status"] == "SUCCESS"
        assert aws.requests[1].path.endswith(f"{arn}:7/invocations".replace(":", "%3A"))

    def test_resource_stays_the_same_from_version_to_version(self, aws: FakeAws) -> None:
        """Another id would make CloudFormation delete the release before."""
        ids = {
            run(aws, OLD, DONE, DONE, DONE, DONE)["PhysicalResourceId"],
            run(aws, answers({"FunctionVersion": "7"}))["PhysicalResourceId"],
        }
        assert len(ids) == 1


class TestFailure:
    def test_stops_the_release_with_the_output_as_reason(self, aws: FakeAws) -> None:
        said = "`migrate --no-input` failed with exit code 1:\nIntegrityError: no"
        answer = run(aws, OLD, DONE, function_fails("ManagementCommandFailed", said))
        assert answer["Status"] == "FAILED"
        assert answer["Reason"] == said
        assert commands(aws) == COMMANDS[:2]

    def test_reason_has_no_stack_frames(self, aws: FakeAws) -> None:
        said = (
            "`migrate --no-input` failed with exit code 1:\n"
            "  Applying core.0002...Traceback (most recent call last):\n"
            '  File "utils.py", line 103, in _execute\n    execute(sql)\n'
            "psycopg2.errors.UndefinedTable: no such relation\n"
        )
        answer = run(aws, OLD, DONE, function_fails("ManagementCommandFailed", said))
        assert answer["Reason"] == (
            "`migrate --no-input` failed with exit code 1:\n"
            "  Applying core.0002...\npsycopg2.errors.UndefinedTable: no such relation\n"
        )

    @pytest.mark.parametrize(
        ("reply", "reason"),
        [
            (
                function_fails("Runtime.ImportModuleError", "No module named 'django'"),
                "`migrate --no-input` failed: Runtime.ImportModuleError: No module named 'django'",
            ),
            (
                function_fails("Sandbox.Timedout", "Task timed out after 900.00 seconds"),
                "`migrate --no-input` was stopped at the Django function's time limit",
            ),
            (
                fails("AccessDeniedException", 403, "may not invoke"),
                "`migrate --no-input` was not run: AccessDeniedException: may not invoke",
            ),
            (resets, "`migrate --no-input` gave no answer"),
            (hangs_up, "`migrate --no-input` gave no answer"),
            (fails("ServiceException", 500), "`migrate --no-input` gave no answer"),
        ],
    )
    def test_is_named_and_the_command_not_run_again(
        self, reply: Reply, reason: str, aws: FakeAws
    ) -> None:
        answer = run(aws, OLD, DONE, reply)
        assert answer["Status"] == "FAILED"
        assert answer["Reason"].startswith(reason)
        assert commands(aws) == COMMANDS[:2]

    def test_alias_that_cannot_be_read_is_named(self, aws: FakeAws) -> None:
        answer = run(aws, fails("AccessDeniedException", 403, "lambda:GetAlias"))
        assert "AccessDeniedException: lambda:GetAlias" in answer["Reason"]
        assert commands(aws) == []


class TestPatience:
    def test_what_did_not_run_is_tried_again(self, aws: FakeAws) -> None:
        answer = run(
            aws,
            OLD,
            fails("ResourceConflictException", 409, "state: Pending"),
            fails("TooManyRequestsException", 429),
            DONE,
            DONE,
            DONE,
            DONE,
        )
        assert answer["Status"] == "SUCCESS"
        assert commands(aws) == [COMMANDS[0], *COMMANDS[:1], *COMMANDS]

    def test_question_is_asked_again(self, aws: FakeAws) -> None:
        busy = fails("TooManyRequestsException", 429)
        answer = run(aws, busy, hangs_up, OLD, DONE, DONE, DONE, DONE)
        assert answer["Status"] == "SUCCESS"

    def test_ends_before_the_functions_own_time(
        self, aws: FakeAws, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(release, "LEAST_SECONDS", 0.1)
        started = time.monotonic()
        answer = run(aws, OLD, keeps_silent, seconds=MARGIN + 1.5)
        assert time.monotonic() - started < 1.5
        assert answer["Status"] == "FAILED"
        assert "It may still be running" in answer["Reason"]

    def test_command_for_which_no_time_is_left_is_not_started(self, aws: FakeAws) -> None:
        answer = run(aws, OLD, seconds=MARGIN + 5)
        assert "`wait_for_database` was not started" in answer["Reason"]
        assert commands(aws) == []
