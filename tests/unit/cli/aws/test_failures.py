"""The reason of a failed stack operation."""

from typing import Any

import pytest

from djambda_cli.aws import failures, stacks
from tests.unit.cli.aws_fakes import refusal
from tests.unit.cli.stack_fakes import STACK_TYPE, FakeAws, Item, events, stack

RELEASE = ("ReleaseRunC2636623", "Custom::DjangoRelease", "UPDATE_FAILED")
MESSAGE = "Received response status [FAILED] from custom resource. Message returned: "
SHORTENED = "`migrate` failed:\n[...]\nhere"


def failure_reason(rows: list[Item], *log_pages: Any) -> str | None:
    aws: Any = FakeAws(
        pages={"describe_stack_events": rows, "filter_log_events": list(log_pages)},
    )
    return failures.failure_reason(aws, aws, stack("UPDATE_ROLLBACK_COMPLETE"))


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stacks, "POLL_SECONDS", 0)


def test_first_failure_of_the_last_operation() -> None:
    rows = events(
        ("prod-my-app", STACK_TYPE, "UPDATE_ROLLBACK_COMPLETE", ""),
        ("Alias", "AWS::Lambda::Alias", "UPDATE_FAILED", "Resource update cancelled"),
        (
            *RELEASE,
            f"{MESSAGE}`migrate` failed with exit code 1:\noops (RequestId: 1e9b1a1c-1c6a)",
        ),
        ("prod-my-app", STACK_TYPE, "UPDATE_IN_PROGRESS", "User Initiated"),
        (*RELEASE, "an older failure"),
    )

    assert failure_reason(rows) == "`migrate` failed with exit code 1:\noops"


def test_other_resources_are_named() -> None:
    rows = events(("Cluster0A1B2C3D", "AWS::RDS::DBCluster", "CREATE_FAILED", "not on this plan"))

    assert failure_reason(rows) == "AWS::RDS::DBCluster Cluster: not on this plan"


@pytest.mark.parametrize(
    ("kind", "reason", "has_remedy"),
    [
        ("AWS::SES::EmailIdentity", "identifier 'example.com' already exists.", True),
        ("AWS::SES::EmailIdentity", "HandlerErrorCode: AlreadyExists", True),
        ("AWS::SES::EmailIdentity", "Limit exceeded", False),
        ("AWS::SQS::Queue", "prod-my-app-tasks already exists", False),
    ],
)
def test_identity_that_exists_can_be_used(kind: str, reason: str, *, has_remedy: bool) -> None:
    found = failure_reason(events(("MailIdentity0A1B2C3D", kind, "CREATE_FAILED", reason)))

    assert found
    assert reason in found
    assert ("MAIL_IDENTITY=existing" in found) == has_remedy


@pytest.mark.parametrize(
    "logged",
    [
        ['{"level": "ERROR", "message": "`migrate` failed:\\nall of it\\nhere"}', '{"type": "x"}'],
        ["START RequestId: 1", "`migrate` failed:", "all of it", "here", "END RequestId: 1"],
    ],
    ids=["JSON, as on AWS", "an event for each line, as in the emulator"],
)
def test_shortened_reason_is_loaded_from_the_log(logged: list[str]) -> None:
    page = {"events": [{"message": line} for line in logged]}

    assert failure_reason(events((*RELEASE, SHORTENED)), page) == (
        "`migrate` failed:\nall of it\nhere"
    )


def test_shortened_reason_without_a_log() -> None:
    gone = refusal("ResourceNotFoundException", "The specified log group does not exist.")

    assert failure_reason(events((*RELEASE, SHORTENED)), gone) == SHORTENED


def test_shortened_reason_that_is_not_in_the_log() -> None:
    assert failure_reason(events((*RELEASE, SHORTENED)), {"events": []}) == SHORTENED
