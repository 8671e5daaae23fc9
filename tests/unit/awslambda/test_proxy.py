"""The proxy's responses for each outcome of invoking Django."""

import json
import os
import runpy
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

import invocation
import proxy
from djambda_common.names import ERROR_HEADER
from djambda_common.problem import Problem
from error_page import error_response
from lambda_types import GatewayEvent
from proxy import PROBLEMS, UnknownEventError, lambda_handler
from tests.support.fake_aws import (
    REGION,
    FakeAws,
    FakeContext,
    Reply,
    fails,
    function_fails,
    hangs_up,
    keeps_silent,
    lambda_environment,
    resets,
    responds,
    sends,
)

FUNCTION = f"arn:aws:lambda:{REGION}:123456789012:function:dev-mysite-djambda-lambda:live"
HELLO = {
    "statusCode": 200,
    "multiValueHeaders": {"Set-Cookie": ["a=1", "b=2"], "Content-Type": ["text/html"]},
    "body": "<h1>Grüße</h1>",
    "isBase64Encoded": False,
}


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAws]:
    with lambda_environment() as fake:
        monkeypatch.setenv("FUNCTION_NAME", FUNCTION)
        monkeypatch.setattr(invocation, "PAUSE_WHEN_NOT_READY", 0.01)
        yield fake


def make_event(method: str = "GET", *, browser: bool = True, **changes: Any) -> GatewayEvent:
    accept = "text/html,application/xhtml+xml,*/*;q=0.8" if browser else "application/json"
    event: Any = {
        "resource": "/{proxy+}",
        "path": "/notes/",
        "httpMethod": method,
        "headers": {"Accept": accept, "Host": "api.example"},
        "queryStringParameters": None,
        "requestContext": {"requestId": "gateway-request", "path": "/prod/notes/"},
        "body": None,
        "isBase64Encoded": False,
    }
    return event | changes  # type: ignore[no-any-return]


def get(seconds: float = 29, **event: Any) -> Any:
    return lambda_handler(make_event(**event), FakeContext(seconds))


class TestDjangoResponds:
    def test_response_is_passed_on_unchanged(self, aws: FakeAws) -> None:
        aws.will(responds(HELLO))
        assert get() == HELLO

    def test_event_is_passed_on_unchanged(self, aws: FakeAws) -> None:
        aws.will(responds(HELLO))
        event = make_event(body='{"name": "Grüße \U0001f600 \ud800"}')
        lambda_handler(event, FakeContext())
        [request] = aws.requests
        assert request.json == event
        assert "Grüße".encode() in request.body

    def test_alias_is_invoked_synchronously(self, aws: FakeAws) -> None:
        aws.will(responds(HELLO))
        get()
        [request] = aws.requests
        name = FUNCTION.replace(":", "%3A")
        assert request.path == f"/2015-03-31/functions/{name}/invocations"
        assert request.headers["x-amz-invocation-type"] == "RequestResponse"

    def test_nothing_is_logged(self, aws: FakeAws, capsys: pytest.CaptureFixture[str]) -> None:
        aws.will(responds(HELLO))
        get()
        assert capsys.readouterr().out == ""

    def test_error_pages_of_django_are_passed_on(self, aws: FakeAws) -> None:
        aws.will(responds({**HELLO, "statusCode": 500}))
        assert get()["statusCode"] == 500


FAILURES: dict[str, tuple[Reply, int, str]] = {
    "crashed": (function_fails("KeyError", "'colour'"), 502, "django_failed"),
    "crashed with a timeout in its message": (
        function_fails("RuntimeError", "the report: Task timed out after 3 seconds"),
        502,
        "django_failed",
    ),
    "out of memory": (function_fails("Runtime.OutOfMemory", "exited"), 502, "django_failed"),
    "failed with no dict": (
        responds("boom", x_amz_function_error="Unhandled"),
        502,
        "django_failed",
    ),
    "timed out": (
        function_fails("Sandbox.Timedout", "Task timed out after 29.00 seconds"),
        504,
        "django_timed_out",
    ),
    "timed out, in the format before 2023": (
        function_fails(None, "2022-11-24T00:00:00Z 7 Task timed out after 29.00 seconds"),
        504,
        "django_timed_out",
    ),
    "response too large": (
        function_fails("Function.ResponseSizeTooLarge", "Response payload size exceeded"),
        502,
        "response_too_large",
    ),
    "response too large for Django's handler": (
        responds(
            {
                "statusCode": 502,
                "multiValueHeaders": {ERROR_HEADER: ["response_too_large the-invocation"]},
                "body": "",
            }
        ),
        502,
        "response_too_large",
    ),
    "returned null": (responds(None), 502, "invalid_response"),
    "returned a command's result": (
        responds({"output": "", "exit_code": 0}),
        502,
        "invalid_response",
    ),
    "returned a text status": (responds({"statusCode": "200 OK"}), 502, "invalid_response"),
    "throttled": (fails("TooManyRequestsException", 429), 503, "throttled"),
    "throttled, without a code": (responds({}, 429), 503, "throttled"),
    "throttled by EC2": (fails("EC2ThrottledException", 502), 503, "throttled"),
    "rejected for its size": (fails("RequestTooLargeException", 413), 413, "request_too_large"),
    "access denied": (fails("AccessDeniedException", 403), 502, "misconfigured"),
    "no such function": (fails("ResourceNotFoundException", 404), 502, "misconfigured"),
    "no such subnet": (fails("InvalidSubnetIDException", 502), 502, "misconfigured"),
    "Lambda failed": (fails("ServiceException", 500), 504, "outcome_unknown"),
    "gateway failed": (responds("<html>", 503), 504, "outcome_unknown"),
    "reset": (resets, 504, "outcome_unknown"),
    "closed": (hangs_up, 504, "outcome_unknown"),
    "no HTTP": (sends(b"nonsense\r\n\r\n"), 504, "outcome_unknown"),
    "no JSON": (
        sends(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>"),
        504,
        "outcome_unknown",
    ),
    "silent": (keeps_silent, 504, "outcome_unknown"),
}


@pytest.mark.parametrize(("reply", "status", "error"), FAILURES.values(), ids=FAILURES)
class TestDjangoFails:
    """The fake AWS has a single reply, so a second invocation fails the test."""

    def test_api_client_gets_json_after_one_invocation(
        self, reply: Reply, status: int, error: str, aws: FakeAws
    ) -> None:
        aws.will(reply)
        response = get(method="POST", browser=False, seconds=1.6)
        assert response["statusCode"] == status
        assert response["isBase64Encoded"] is False
        assert response["headers"]["Content-Type"] == "application/json"
        assert response["headers"]["Cache-Control"] == "no-store"
        assert ("Retry-After" in response["headers"]) == (status == 503)
        body = json.loads(response["body"])
        assert body.keys() == {"error", "message", "requestId"}
        assert body["error"] == error
        assert body["requestId"] == "gateway-request"
        assert len(aws.requests) == 1

    def test_browser_gets_a_page(self, reply: Reply, status: int, error: str, aws: FakeAws) -> None:
        aws.will(reply)
        response = get(seconds=1.6)
        assert response["statusCode"] == status
        assert response["headers"]["Content-Type"] == "text/html; charset=utf-8"
        assert response["headers"]["Cache-Control"] == "no-store"
        [problem] = [problem for problem in PROBLEMS.values() if problem.error == error]
        assert f"<title>{problem.title}</title>" in response["body"]
        assert "gateway-request" in response["body"]

    def test_log_has_one_line_without_the_visitors_data(
        self,
        reply: Reply,
        status: int,
        error: str,
        aws: FakeAws,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        aws.will(reply)
        get(
            method="POST",
            seconds=1.6,
            headers={"Cookie": "s=hidden1", "Authorization": "hidden2"},
            queryStringParameters={"token": "hidden3"},
            path="/reset/hidden4/",
            body="hidden5",
        )
        [line] = capsys.readouterr().out.splitlines()
        assert "hidden" not in line
        logged = json.loads(line)
        assert logged["error"] == error
        assert f"{status} {error}" in logged["message"]
        assert logged["requestId"] == "gateway-request"
        assert logged["level"] in {"ERROR", "WARN"}
        assert logged["timestamp"].endswith("Z")


class TestLog:
    def test_names_the_failed_invocation(
        self, aws: FakeAws, capsys: pytest.CaptureFixture[str]
    ) -> None:
        aws.will(function_fails("KeyError", "the visitor's data"))
        get()
        logged = json.loads(capsys.readouterr().out)
        assert logged["errorType"] == "KeyError"
        assert logged["invocationId"] == "django-request"
        assert "the visitor's data" not in str(logged)

    def test_has_the_error_of_aws(self, aws: FakeAws, capsys: pytest.CaptureFixture[str]) -> None:
        aws.will(fails("AccessDeniedException", 403, "is not authorized to perform: x"))
        response = get()
        assert "not authorized to perform" in json.loads(capsys.readouterr().out)["detail"]
        assert "not authorized" not in response["body"]


class TestDjangoIsNotReady:
    def test_invocation_is_retried(self, aws: FakeAws) -> None:
        aws.will(
            fails("ResourceNotReadyException", 502, "The function is inactive"),
            fails("ResourceConflictException", 409, "state: Pending"),
            fails("ENINotReadyException", 502),
            responds(HELLO),
        )
        assert get() == HELLO

    def test_retries_end_before_the_timeout(self, aws: FakeAws) -> None:
        aws.will(*[fails("ResourceConflictException", 409, "state: Pending")] * 1000)
        started = time.monotonic()
        response = get(seconds=1.6, browser=False)
        assert time.monotonic() - started < 10
        assert response["statusCode"] == 503
        assert response["headers"]["Retry-After"] == "5"
        assert json.loads(response["body"])["error"] == "starting"


class TestDjangoIsNotReached:
    def test_unsent_request_is_sent_again(
        self, aws: FakeAws, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(invocation, "MAX_PAYLOAD", 100_000_000)
        aws.will_early(resets, hangs_up)
        aws.will(responds(HELLO))
        assert get(method="POST", body="x" * 50_000_000) == HELLO
        assert len(aws.requests) == 1
        assert aws.connections == 3

    def test_third_failure_is_a_503(self, aws: FakeAws, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://lambda.invalid")
        started = time.monotonic()
        response = get(browser=False)
        assert time.monotonic() - started < 5
        assert response["statusCode"] == 503
        assert response["headers"]["Retry-After"] == "5"
        assert json.loads(response["body"])["error"] == "unreachable"
        assert aws.requests == []


class TestRequestTooLarge:
    def test_is_rejected_before_it_is_sent(self, aws: FakeAws) -> None:
        response = get(method="POST", browser=False, body="x" * invocation.MAX_PAYLOAD)
        assert response["statusCode"] == 413
        assert "4.4 MB" in json.loads(response["body"])["message"]
        assert aws.connections == 0

    def test_counts_the_bytes_that_are_sent(self, aws: FakeAws) -> None:
        aws.will(responds(HELLO))
        # It fits as UTF-8, but not with JSON escapes of six bytes.
        assert get(method="POST", body="ü" * 3_000_000) == HELLO


class TestTime:
    def test_ends_before_the_gateways_timeout(self) -> None:
        assert proxy._seconds_left(make_event(), FakeContext(900)) == pytest.approx(28, abs=0.1)
        assert proxy._seconds_left(make_event(), FakeContext(10)) == pytest.approx(9.5, abs=0.1)

    @pytest.mark.parametrize(("ago", "left"), [(3, 25), (27.9, 1), (-60, 28), (600, 28)])
    def test_starts_when_the_gateway_receives_the_request(self, ago: float, left: float) -> None:
        context: Any = {"requestTimeEpoch": int((time.time() - ago) * 1000)}
        event = make_event(requestContext=context)
        assert proxy._seconds_left(event, FakeContext(900)) == pytest.approx(left, abs=0.1)

    def test_limit_is_kept(self, aws: FakeAws) -> None:
        aws.will(keeps_silent)
        started = time.monotonic()
        assert get(seconds=2)["statusCode"] == 504
        assert 1.4 < time.monotonic() - started < 10


class TestPage:
    def test_offers_a_retry_of_safe_requests(self, aws: FakeAws) -> None:
        aws.will(hangs_up)
        assert "Try again" in get()["body"]

    @pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
    def test_warns_if_the_request_may_have_been_processed(self, method: str, aws: FakeAws) -> None:
        aws.will(hangs_up)
        page = get(method=method)["body"]
        assert "Try again" not in page
        assert "may have been processed" in page

    def test_states_that_the_request_was_not_processed(self, aws: FakeAws) -> None:
        aws.will(fails("TooManyRequestsException", 429))
        page = get(method="POST")["body"]
        assert "not processed" in page
        assert "may have been" not in page

    def test_offers_no_retry_that_cannot_help(self, aws: FakeAws) -> None:
        aws.will(fails("AccessDeniedException", 403))
        assert "Try again" not in get()["body"]

    def test_head_has_no_body(self, aws: FakeAws) -> None:
        aws.will(hangs_up)
        response = get(method="HEAD")
        assert response["statusCode"] == 504
        assert response["body"] == ""

    @pytest.mark.parametrize(
        ("headers", "html"),
        [
            ({"accept": "text/html"}, True),
            ({"ACCEPT": "application/xhtml+xml,text/html;q=0.9"}, True),
            ({"Sec-Fetch-Mode": "navigate", "Accept": "*/*"}, True),
            ({"Sec-Fetch-Mode": "cors", "Accept": "*/*"}, False),
            ({"Accept": "*/*"}, False),
            ({}, False),
            (None, False),
        ],
    )
    def test_is_for_navigating_browsers(
        self, headers: dict[str, str] | None, html: bool, aws: FakeAws
    ) -> None:
        aws.will(hangs_up)
        response = get(headers=headers)
        assert response["headers"]["Content-Type"].startswith("text/html") == html

    @pytest.mark.parametrize("problem", PROBLEMS.values(), ids=lambda problem: problem.error)
    def test_loads_no_other_files(self, problem: Problem) -> None:
        page = error_response(problem, make_event(), "1")["body"]
        assert not [part for part in ("//", "src=", "url(", "@import", "<script") if part in page]
        assert "prefers-color-scheme: dark" in page

    def test_escapes_the_request_id(self) -> None:
        problem = next(iter(PROBLEMS.values()))
        assert "<b>" not in error_response(problem, make_event(), "<b>")["body"]


class TestOtherEvents:
    @pytest.mark.parametrize("event", [{"manage": "migrate"}, {}, [], None, "text"])
    def test_error_names_the_accepted_events(self, event: Any, aws: FakeAws) -> None:
        with pytest.raises(UnknownEventError, match="REST API") as caught:
            lambda_handler(event, FakeContext())
        assert FUNCTION in str(caught.value)
        assert aws.connections == 0

    @pytest.mark.usefixtures("aws")
    def test_error_names_the_keys(self) -> None:
        event: Any = {"manage": "migrate"}
        with pytest.raises(UnknownEventError, match=r"\['manage'\]"):
            lambda_handler(event, FakeContext())

    def test_event_without_a_context_gets_a_response(self, aws: FakeAws) -> None:
        aws.will(hangs_up)
        event: Any = {"httpMethod": "GET", "headers": None, "requestContext": None}
        response = lambda_handler(event, FakeContext())
        assert json.loads(response["body"])["requestId"] == "own-request"


class TestStart:
    def test_imports_no_heavy_modules(self) -> None:
        heavy = {"boto3", "botocore", "dataclasses", "logging", "typing", "urllib.request", "uuid"}
        program = "import sys, proxy; print(*sys.modules)"
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            capture_output=True,
            text=True,
            check=True,
        )
        modules = set(done.stdout.split())
        assert "invocation" in modules
        assert not heavy & modules

    def test_connects_before_the_first_request(self, aws: FakeAws) -> None:
        fresh = runpy.run_path(proxy.__file__)
        deadline = time.monotonic() + 5
        while not aws.connections and time.monotonic() < deadline:
            time.sleep(0.01)
        assert aws.connections == 1
        aws.will(responds(HELLO))
        assert fresh["lambda_handler"](make_event(), FakeContext()) == HELLO
        assert aws.connections == 1
