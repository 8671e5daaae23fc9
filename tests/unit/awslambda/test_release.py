"""The release: the commands that run in the new version, and the reason when one fails."""

import json
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
    custom_resource_event,
    fails,
    function_fails,
    hangs_up,
    keeps_silent,
    lambda_environment,
    resets,
    responds,
)

FUNCTION = "dev-mysite-djambda-lambda"
DONE = responds({"output": "", "exit_code": 0})
OLD = responds({"FunctionVersion": "6"})
COMMANDS = [
    "wait_for_database",
    "migrate --no-input",
    "collectstatic --no-input",
    "ensure_superuser",
]
DESCRIPTION = {
    "superuser": "admin@example.com",
    "admin_path": "/office/",
    "replaced_settings": {"DEBUG": "the stack's"},
}
DESCRIBED = responds({"output": f"noise\n{json.dumps(DESCRIPTION)}\n", "exit_code": 0})
ALL_DONE = (DONE, DONE, DONE, DONE, DESCRIBED)
UNKNOWN = dict.fromkeys(("Superuser", "AdminPath", "ReplacedSettings"), "unknown")


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAws]:
    with lambda_environment() as fake:
        monkeypatch.setattr(invocation, "PAUSE_WHEN_NOT_READY", 0.01)
        monkeypatch.setattr(retry, "PAUSES", (0.01, 0.01))
        monkeypatch.setattr(retry, "IAM_PAUSES", ())
        yield fake


def run(
    aws: FakeAws,
    *replies: Reply,
    kind: str = "Update",
    function: str = FUNCTION,
    seconds: float = 60,
    previous: str = "6",
    **properties: Any,
) -> Any:
    """Release version 7 while AWS replies like this, and return the response to CloudFormation."""
    aws.will(*replies, responds())
    properties |= {"FunctionName": function, "Version": "7", "Alias": "live"}
    event = custom_resource_event(aws, kind, **properties)
    if kind == "Update":
        event["OldResourceProperties"] = event["ResourceProperties"] | {"Version": previous}
    release.lambda_handler(event, FakeContext(seconds))
    return aws.requests[-1].json


def commands(aws: FakeAws) -> list[str]:
    return [
        request.json["manage"] for request in aws.requests if request.path.endswith("/invocations")
    ]


class TestCommands:
    @pytest.mark.parametrize("kind", ["Create", "Update"])
    def test_run_in_order_in_the_new_version(self, kind: str, aws: FakeAws) -> None:
        response = run(aws, OLD, *ALL_DONE, kind=kind)
        assert response["Status"] == "SUCCESS"
        assert commands(aws) == [*COMMANDS, "describe_site"]
        alias, *invocations, _ = aws.requests
        assert alias.method == "GET"
        assert alias.path == f"/2015-03-31/functions/{FUNCTION}/aliases/live"
        assert {request.path for request in invocations} == {
            f"/2015-03-31/functions/{FUNCTION}%3A7/invocations"
        }

    def test_of_the_project_replace_the_default_ones(self, aws: FakeAws) -> None:
        own = ["createcachetable", "migrate --no-input", "migrate --database other"]

        response = run(aws, OLD, DONE, *ALL_DONE, Commands=own)

        assert response["Status"] == "SUCCESS"
        assert commands(aws) == [COMMANDS[0], *own, COMMANDS[-1], "describe_site"]

    def test_run_at_the_first_deploy_without_an_alias(self, aws: FakeAws) -> None:
        no_alias = fails("ResourceNotFoundException", 404)
        assert run(aws, no_alias, *ALL_DONE, kind="Create")["Status"] == "SUCCESS"
        assert commands(aws) == [*COMMANDS, "describe_site"]

    def test_do_not_run_for_the_live_version(self, aws: FakeAws) -> None:
        response = run(aws, responds({"FunctionVersion": "7"}), DESCRIBED)
        assert response["Status"] == "SUCCESS"
        assert response["Data"]["Superuser"] == "admin@example.com"
        assert commands(aws) == ["describe_site"]

    def test_do_not_run_when_cloudformation_rolls_back_a_newer_version(self, aws: FakeAws) -> None:
        """Even if 7 is not live, because the site was rolled back to 5."""
        response = run(aws, responds({"FunctionVersion": "5"}), previous="10")
        assert response["Status"] == "SUCCESS"
        assert response["Data"] == UNKNOWN
        assert commands(aws) == []

    def test_do_not_run_on_delete(self, aws: FakeAws) -> None:
        assert run(aws, kind="Delete")["Status"] == "SUCCESS"
        assert len(aws.requests) == 1

    def test_function_may_be_an_arn(self, aws: FakeAws) -> None:
        arn = f"arn:aws:lambda:{REGION}:123456789012:function:{FUNCTION}"
        assert run(aws, OLD, *ALL_DONE, function=arn)["Status"] == "SUCCESS"
        assert aws.requests[1].path.endswith(f"{arn}:7/invocations".replace(":", "%3A"))

    def test_resource_id_is_the_same_for_all_versions(self, aws: FakeAws) -> None:
        """With another id, CloudFormation would delete the previous release."""
        ids = {
            run(aws, OLD, *ALL_DONE)["PhysicalResourceId"],
            run(aws, responds({"FunctionVersion": "7"}), DESCRIBED)["PhysicalResourceId"],
        }
        assert len(ids) == 1


class TestDescription:
    def test_superuser_and_settings_become_attributes(self, aws: FakeAws) -> None:
        assert run(aws, OLD, *ALL_DONE)["Data"] == {
            "Superuser": "admin@example.com",
            "AdminPath": "/office/",
            "ReplacedSettings": "DEBUG: the stack's",
        }

    def test_attributes_are_never_empty(self, aws: FakeAws) -> None:
        nothing = json.dumps({"superuser": "", "admin_path": "", "replaced_settings": {}})
        described = responds({"output": nothing, "exit_code": 0})
        data = run(aws, OLD, *ALL_DONE[:4], described)["Data"]
        assert data == dict.fromkeys(("Superuser", "AdminPath", "ReplacedSettings"), "none")

    def test_long_list_fits_into_the_response(self, aws: FakeAws) -> None:
        settings = {f"SETTING_{number}": "ü" * 60 for number in range(100)}
        long = {"superuser": "a" * 5000, "admin_path": "/" * 500}
        output = json.dumps({**long, "replaced_settings": settings})
        response = run(aws, OLD, *ALL_DONE[:4], responds({"output": output, "exit_code": 0}))
        assert len(json.dumps(response, ensure_ascii=False).encode()) < 4096
        assert "SETTING_0: ü" in response["Data"]["ReplacedSettings"]
        assert "more in the release function's log" in response["Data"]["ReplacedSettings"]

    @pytest.mark.parametrize(
        "reply",
        [
            function_fails("ManagementCommandFailed", "Unknown command: 'describe_site'"),
            responds({"output": "", "exit_code": 0}),
            responds({"output": "[]", "exit_code": 0}),
            resets,
        ],
    )
    def test_release_succeeds_without_a_description(self, reply: Reply, aws: FakeAws) -> None:
        response = run(aws, OLD, *ALL_DONE[:4], reply)
        assert response["Status"] == "SUCCESS"
        assert response["Data"] == UNKNOWN


class TestFailure:
    def test_reason_is_the_commands_output(self, aws: FakeAws) -> None:
        message = "`migrate --no-input` failed with exit code 1:\nIntegrityError: no"
        response = run(aws, OLD, DONE, function_fails("ManagementCommandFailed", message))
        assert response["Status"] == "FAILED"
        assert response["Reason"] == message
        assert commands(aws) == COMMANDS[:2]

    def test_reason_has_the_last_frames(self, aws: FakeAws) -> None:
        frames = {
            name: f'  File "{path}", line 103, in run\n    {name}()\n'
            for name, path in (
                ("execute", "/var/task/djambda/management_command.py"),
                ("first", "/var/task/shop/migrations/0002_prices.py"),
                ("second", "/var/task/shop/prices.py"),
                ("price", "/opt/python/django_prices/models.py"),
                ("atomic", "/opt/python/django/db/migrations/executor.py"),
                ("raise_error", "/opt/python/django/db/backends/utils.py"),
            )
        }
        frames["atomic"] += "    ~~~~~~^^\n"
        message = (
            "`migrate --no-input` failed with exit code 1:\n"
            f"  Applying shop.0002...Traceback (most recent call last):\n{''.join(frames.values())}"
            "psycopg2.errors.UndefinedTable: no such relation\n"
        )
        response = run(aws, OLD, DONE, function_fails("ManagementCommandFailed", message))
        assert response["Reason"] == (
            "`migrate --no-input` failed with exit code 1:\n"
            f"  Applying shop.0002...\n{frames['second']}{frames['price']}"
            "psycopg2.errors.UndefinedTable: no such relation\n"
        )

    def test_reason_has_the_frames_of_a_failed_start(self, aws: FakeAws) -> None:
        message = "KeyError: 'X'\n  File \"settings.py\", line 5, in <module>\n    os.environ['X']"
        response = run(aws, OLD, function_fails("DjangoFailedToStart", message))
        assert response["Reason"] == f"Django failed to start: {message}"

    @pytest.mark.parametrize(
        ("reply", "reason"),
        [
            (
                function_fails("Runtime.ImportModuleError", "No module named 'django'"),
                "`migrate --no-input` failed: Runtime.ImportModuleError: No module named 'django'",
            ),
            (
                function_fails("Sandbox.Timedout", "Task timed out after 900.00 seconds"),
                "`migrate --no-input` was stopped at the Django function's timeout",
            ),
            (
                fails("AccessDeniedException", 403, "may not invoke"),
                "`migrate --no-input` was not run: AccessDeniedException: may not invoke",
            ),
            (resets, "`migrate --no-input` did not respond"),
            (hangs_up, "`migrate --no-input` did not respond"),
            (fails("ServiceException", 500), "`migrate --no-input` did not respond"),
        ],
    )
    def test_reason_names_the_command_which_is_not_repeated(
        self, reply: Reply, reason: str, aws: FakeAws
    ) -> None:
        response = run(aws, OLD, DONE, reply)
        assert response["Status"] == "FAILED"
        assert response["Reason"].startswith(reason)
        assert commands(aws) == COMMANDS[:2]

    def test_new_policy_may_not_be_in_effect_yet(
        self, aws: FakeAws, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(release, "IAM_PAUSES", (0.01, 0.01))
        denied = fails("AccessDeniedException", 403, "lambda:InvokeFunction")
        response = run(aws, OLD, denied, DONE, denied, denied, DONE, DONE, DONE, DESCRIBED)
        assert response["Status"] == "SUCCESS"

    def test_new_policy_may_keep_django_from_starting(
        self, aws: FakeAws, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(release, "IAM_PAUSES", (0.01, 0.01))
        denied = function_fails(
            "DjangoFailedToStart", "ImproperlyConfigured: AccessDeniedException: ssm:GetParameters"
        )

        assert run(aws, OLD, denied, denied, *ALL_DONE)["Status"] == "SUCCESS"

        response = run(aws, OLD, denied, denied, denied)
        assert response["Reason"] == (
            "Django failed to start: ImproperlyConfigured: AccessDeniedException: ssm:GetParameters"
        )

    def test_reason_names_the_denied_action(self, aws: FakeAws) -> None:
        response = run(aws, fails("AccessDeniedException", 403, "lambda:GetAlias"))
        assert "AccessDeniedException: lambda:GetAlias" in response["Reason"]
        assert commands(aws) == []


class TestRetries:
    def test_invocation_that_did_not_run_is_retried(self, aws: FakeAws) -> None:
        response = run(
            aws,
            OLD,
            fails("ResourceConflictException", 409, "state: Pending"),
            fails("TooManyRequestsException", 429),
            *ALL_DONE,
        )
        assert response["Status"] == "SUCCESS"
        assert commands(aws) == [COMMANDS[0], *COMMANDS[:1], *COMMANDS, "describe_site"]

    def test_reading_the_alias_is_retried(self, aws: FakeAws) -> None:
        busy = fails("TooManyRequestsException", 429)
        response = run(aws, busy, hangs_up, OLD, *ALL_DONE)
        assert response["Status"] == "SUCCESS"

    def test_response_is_sent_before_the_functions_timeout(
        self, aws: FakeAws, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(release, "LEAST_SECONDS", 0.1)
        started = time.monotonic()
        response = run(aws, OLD, keeps_silent, seconds=MARGIN + 1.5)
        assert time.monotonic() - started < MARGIN + 1.5
        assert response["Status"] == "FAILED"
        assert "It may still be running" in response["Reason"]

    def test_command_without_time_left_is_not_started(self, aws: FakeAws) -> None:
        response = run(aws, OLD, seconds=MARGIN + 5)
        assert "`wait_for_database` was not started" in response["Reason"]
        assert commands(aws) == []
