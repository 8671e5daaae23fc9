"""CloudFormation gets its answer, whatever the handler does."""

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
    Answer,
    NotAnsweredError,
    Request,
    ResourceFailedError,
    respond,
)
from tests.support.fake_aws import (
    FakeAws,
    FakeContext,
    Reply,
    answers,
    custom_resource_event,
    hangs_up,
    lambda_environment,
    resets,
)

SECRET = "hidden-password"


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAws]:
    with lambda_environment() as fake:
        monkeypatch.setattr(custom_resource, "PAUSES", (0.01, 0.01))
        yield fake


def make(request: Request) -> Answer:
    return Answer("made", {"Password": SECRET}, no_echo=True)


def fail(error: Exception) -> Callable[[Request], Answer]:
    def handle(request: Request) -> Answer:
        raise error

    return handle


def answer_to(
    aws: FakeAws, kind: str, handle: Callable[[Request], Answer], seconds: float = 60
) -> Any:
    """What CloudFormation gets; it gets it once."""
    aws.will(answers())
    respond(custom_resource_event(aws, kind, Size="3"), FakeContext(seconds), handle)
    [request] = aws.requests
    assert request.method == "PUT"
    assert request.path == "/answer?X-Amz-Signature=hidden-signature"
    assert "content-type" not in request.headers
    assert len(request.body) <= 4096
    return request.json


class TestSuccess:
    def test_is_answered_in_cloudformations_form(self, aws: FakeAws) -> None:
        assert answer_to(aws, "Create", make) == {
            "Status": "SUCCESS",
            "PhysicalResourceId": "made",
            "NoEcho": True,
            "Data": {"Password": SECRET},
            "StackId": "arn:aws:cloudformation:eu-central-1:123456789012:stack/dev-mysite/1",
            "RequestId": "request-1",
            "LogicalResourceId": "Release",
        }

    def test_handler_is_told_what_is_wanted_and_how_long_it_may_take(self, aws: FakeAws) -> None:
        requests: list[Request] = []

        def handle(request: Request) -> Answer:
            requests.append(request)
            assert request.seconds_left == pytest.approx(100 - MARGIN, abs=0.5)
            return Answer("made")

        answer_to(aws, "Update", handle, seconds=100)
        assert requests[0].kind == "Update"
        assert requests[0].properties["Size"] == "3"

    @pytest.mark.parametrize("reply", [resets, hangs_up, answers({}, 500), answers({}, 503)])
    def test_is_told_again_when_telling_fails(self, reply: Reply, aws: FakeAws) -> None:
        aws.will(reply, reply, answers())
        respond(custom_resource_event(aws, "Create"), FakeContext(60), make)
        assert [request.json["Status"] for request in aws.requests] == ["SUCCESS"] * 3


class TestFailure:
    def test_reason_is_the_handlers(self, aws: FakeAws) -> None:
        answer = answer_to(aws, "Update", fail(ResourceFailedError("no such thing: make it")))
        assert answer["Status"] == "FAILED"
        assert answer["Reason"] == "no such thing: make it"
        assert answer["PhysicalResourceId"] == "made-before"

    def test_error_that_nobody_expected_is_answered_and_logged(
        self, aws: FakeAws, caplog: pytest.LogCaptureFixture
    ) -> None:
        answer = answer_to(aws, "Create", fail(KeyError("Path")))
        assert answer["Status"] == "FAILED"
        assert answer["Reason"] == "KeyError: 'Path'"
        assert "Traceback" in caplog.text

    def test_what_was_never_made_can_be_deleted(self, aws: FakeAws) -> None:
        """CloudFormation's rollback deletes what failed to be created, by the id it was told."""
        answer = answer_to(aws, "Create", fail(ResourceFailedError("no")))
        aws.requests.clear()
        aws.will(answers())
        event = custom_resource_event(aws, "Delete")
        event["PhysicalResourceId"] = answer["PhysicalResourceId"]
        respond(event, FakeContext(60), fail(AssertionError("nothing is there to delete")))
        assert aws.requests[0].json["Status"] == "SUCCESS"

    def test_running_out_of_time_is_answered_while_the_handler_still_runs(
        self, aws: FakeAws
    ) -> None:
        def handle(request: Request) -> Answer:
            deadline = time.monotonic() + 5
            while not aws.requests and time.monotonic() < deadline:
                time.sleep(0.01)
            assert aws.requests[0].json["Status"] == "FAILED"
            return Answer("too late")

        answer = answer_to(aws, "Create", handle, seconds=MARGIN + 0.1)
        assert "ran out of time" in answer["Reason"]

    def test_not_being_able_to_answer_is_an_error(self, aws: FakeAws) -> None:
        aws.will(*[answers({}, 403)] * 3)
        with pytest.raises(NotAnsweredError, match="HTTP 403") as caught:
            respond(custom_resource_event(aws, "Create"), FakeContext(60), make)
        assert "hidden" not in str(caught.value)

    def test_event_of_somebody_else_is_refused(self) -> None:
        event: Any = {"manage": "migrate"}
        with pytest.raises(ValueError, match=r"custom resource: keys \['manage'\]"):
            respond(event, FakeContext(60), make)


class TestReason:
    def test_that_is_too_long_keeps_its_first_line_and_its_end(self, aws: FakeAws) -> None:
        lines = [f'File "migrations/{number}.py", line 1, "Grüße"' for number in range(500)]
        output = "\n".join(["`migrate` failed with exit code 1:", *lines, "IntegrityError: no"])
        reason = answer_to(aws, "Update", fail(ResourceFailedError(output)))["Reason"]
        assert reason.startswith("`migrate` failed with exit code 1:\n[...]\n")
        assert reason.endswith("IntegrityError: no")
        assert len(reason) > 2500

    def test_that_is_one_long_line_keeps_both_ends(self, aws: FakeAws) -> None:
        reason = answer_to(aws, "Create", fail(ResourceFailedError(f"begin{'x' * 9000}end")))
        assert reason["Reason"].startswith("begin")
        assert reason["Reason"].endswith("end")

    @given(st.text(st.characters(), min_size=1000).map(lambda text: text * 5))
    def test_fits_whatever_it_is(self, reason: str) -> None:
        body = custom_resource._encoded({"Status": "FAILED", "Reason": reason})
        assert len(body) <= 4096
        assert json.loads(body)["Status"] == "FAILED"


@pytest.mark.parametrize("handle", [make, fail(ResourceFailedError("no")), fail(KeyError("x"))])
def test_neither_the_url_nor_the_data_is_logged(
    handle: Callable[[Request], Answer], aws: FakeAws, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    answer_to(aws, "Create", handle)
    assert "hidden" not in caplog.text
