"""The response to CloudFormation for each outcome of a handler."""

import json
import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import custom_resource
from custom_resource import (
    MARGIN,
    Request,
    ResourceFailedError,
    ResponseNotSentError,
    Result,
    handle_event,
)
from tests.support.fake_aws import (
    FakeAws,
    FakeContext,
    Reply,
    custom_resource_event,
    hangs_up,
    lambda_environment,
    resets,
    responds,
)

SECRET = "hidden-password"


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAws]:
    with lambda_environment() as fake:
        monkeypatch.setattr(custom_resource, "PAUSES", (0.01, 0.01))
        yield fake


def succeed(request: Request) -> Result:
    return Result("made", {"Password": SECRET}, no_echo=True)


def fail(error: Exception) -> Callable[[Request], Result]:
    def handle(request: Request) -> Result:
        raise error

    return handle


def response_to(
    aws: FakeAws, kind: str, handle: Callable[[Request], Result], seconds: float = 60
) -> Any:
    """Return the only response that CloudFormation gets."""
    aws.will(responds())
    handle_event(custom_resource_event(aws, kind, Size="3"), FakeContext(seconds), handle)
    [request] = aws.requests
    assert request.method == "PUT"
    assert request.path == "/response?X-Amz-Signature=hidden-signature"
    assert "content-type" not in request.headers
    assert len(request.body) <= 4096
    return request.json


class TestSuccess:
    def test_response_has_cloudformations_fields(self, aws: FakeAws) -> None:
        assert response_to(aws, "Create", succeed) == {
            "Status": "SUCCESS",
            "PhysicalResourceId": "made",
            "NoEcho": True,
            "Data": {"Password": SECRET},
            "StackId": "arn:aws:cloudformation:eu-central-1:123456789012:stack/dev-mysite/1",
            "RequestId": "request-1",
            "LogicalResourceId": "Release",
        }

    def test_handler_gets_the_properties_and_the_time_left(self, aws: FakeAws) -> None:
        requests: list[Request] = []

        def handle(request: Request) -> Result:
            requests.append(request)
            assert request.seconds_left == pytest.approx(100 - MARGIN, abs=0.5)
            return Result("made")

        response_to(aws, "Update", handle, seconds=100)
        assert requests[0].kind == "Update"
        assert requests[0].properties["Size"] == "3"

    @pytest.mark.parametrize("reply", [resets, hangs_up, responds({}, 500), responds({}, 503)])
    def test_response_is_sent_again_after_an_error(self, reply: Reply, aws: FakeAws) -> None:
        aws.will(reply, reply, responds())
        handle_event(custom_resource_event(aws, "Create"), FakeContext(60), succeed)
        assert [request.json["Status"] for request in aws.requests] == ["SUCCESS"] * 3


class TestFailure:
    def test_reason_is_the_handlers_message(self, aws: FakeAws) -> None:
        response = response_to(aws, "Update", fail(ResourceFailedError("no such thing: create it")))
        assert response["Status"] == "FAILED"
        assert response["Reason"] == "no such thing: create it"
        assert response["PhysicalResourceId"] == "made-before"

    def test_unexpected_error_is_sent_and_logged(
        self, aws: FakeAws, caplog: pytest.LogCaptureFixture
    ) -> None:
        response = response_to(aws, "Create", fail(KeyError("Path")))
        assert response["Status"] == "FAILED"
        assert response["Reason"] == "KeyError: 'Path'"
        assert "Traceback" in caplog.text

    def test_deleting_a_resource_that_was_not_created_succeeds(self, aws: FakeAws) -> None:
        """CloudFormation's rollback deletes resources that failed to be created."""
        response = response_to(aws, "Create", fail(ResourceFailedError("no")))
        aws.requests.clear()
        aws.will(responds())
        event = custom_resource_event(aws, "Delete")
        event["PhysicalResourceId"] = response["PhysicalResourceId"]
        handle_event(event, FakeContext(60), fail(AssertionError("nothing to delete")))
        assert aws.requests[0].json["Status"] == "SUCCESS"

    def test_timeout_is_sent_while_the_handler_still_runs(self, aws: FakeAws) -> None:
        def handle(request: Request) -> Result:
            deadline = time.monotonic() + 5
            while not aws.requests and time.monotonic() < deadline:
                time.sleep(0.01)
            assert aws.requests[0].json["Status"] == "FAILED"
            return Result("too late")

        response = response_to(aws, "Create", handle, seconds=MARGIN + 0.1)
        assert "ran out of time" in response["Reason"]

    def test_response_that_cannot_be_sent_is_an_error(self, aws: FakeAws) -> None:
        aws.will(*[responds({}, 403)] * 3)
        with pytest.raises(ResponseNotSentError, match="HTTP 403") as caught:
            handle_event(custom_resource_event(aws, "Create"), FakeContext(60), succeed)
        assert "hidden" not in str(caught.value)

    def test_other_events_are_rejected(self) -> None:
        event: Any = {"manage": "migrate"}
        with pytest.raises(ValueError, match=r"custom resource: keys \['manage'\]"):
            handle_event(event, FakeContext(60), succeed)


class TestReason:
    def test_long_text_keeps_its_first_line_and_its_end(self, aws: FakeAws) -> None:
        lines = [f'File "migrations/{number}.py", line 1, "Grüße"' for number in range(500)]
        output = "\n".join(["`migrate` failed with exit code 1:", *lines, "IntegrityError: no"])
        reason = response_to(aws, "Update", fail(ResourceFailedError(output)))["Reason"]
        assert reason.startswith("`migrate` failed with exit code 1:\n[...]\n")
        assert reason.endswith("IntegrityError: no")
        assert len(reason) > 2500

    def test_long_line_keeps_both_ends(self, aws: FakeAws) -> None:
        reason = response_to(aws, "Create", fail(ResourceFailedError(f"begin{'x' * 9000}end")))
        assert reason["Reason"].startswith("begin")
        assert reason["Reason"].endswith("end")

    @given(st.text(st.characters(), min_size=1000).map(lambda text: text * 5))
    def test_any_text_fits(self, reason: str) -> None:
        body = custom_resource._encode({"Status": "FAILED", "Reason": reason})
        assert len(body) <= 4096
        assert json.loads(body)["Status"] == "FAILED"


@pytest.mark.parametrize("handle", [succeed, fail(ResourceFailedError("no")), fail(KeyError("x"))])
def test_neither_the_url_nor_the_data_is_logged(
    handle: Callable[[Request], Result], aws: FakeAws, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    response_to(aws, "Create", handle)
    assert "hidden" not in caplog.text
