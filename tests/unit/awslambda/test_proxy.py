"""The front door: what a visitor gets for everything that can happen behind it."""

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
from error_page import Problem, answer
from lambda_types import GatewayEvent
from proxy import PROBLEMS, UnknownEventError, lambda_handler
from tests.support.fake_aws import (
    REGION,
    FakeAws,
    FakeContext,
    Reply,
    answers,
    fails,
    function_fails,
    hangs_up,
    keeps_silent,
    lambda_environment,
    resets,
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


class TestDjangoAnswers:
    def test_answer_is_passed_on_unchanged(self, aws: FakeAws) -> None:
        aws.will(answers(HELLO))
        assert get() == HELLO

    def test_event_is_passed_on_unchanged(self, aws: FakeAws) -> None:
        aws.will(answers(HELLO))
        event = make_event(body='{"name": "Grüße \U0001f600 \ud800"}')
        lambda_handler(event, FakeContext())
        [request] = aws.requests
        assert request.json == event
        assert "Grüße".encode() in request.body

    def test_it_is_the_alias_that_is_invoked_and_waited_for(self, aws: FakeAws) -> None:
        aws.will(answers(HELLO))
        get()
        [request] = aws.requests
        name = FUNCTION.replace(":", "%3A")
        assert request.path == f"/2015-03-31/functions/{name}/invocations"
        assert request.headers["x-amz-invocation-type"] == "RequestResponse"

    def test_nothing_is_logged(self, aws: FakeAws, capsys: pytest.CaptureFixture[str]) -> None:
        aws.will(answers(HELLO))
        get()
        assert capsys.readouterr().out == ""

    def test_errors_of_django_itself_are_answers(self, aws: FakeAws) -> None:
        aws.will(answers({**HELLO, "statusCode": 500}))
        assert get()["statusCode"] == 500


FAILURES: dict[str, tuple[Reply, int, str]] = {
    "crashed": (function_fails("KeyError", "'colour'"), 502, "django_failed"),
    "crashed for somebody else's time-out": (
        function_fails("RuntimeError", "the report: Task timed out after 3 seconds"),
        502,
        "django_failed",
    ),
    "out of memory": (function_fails("Runtime.OutOfMemory", "exited"), 502, "django_failed"),
    "failed with no dict": (
        answers("boom", x_amz_function_error="Unhandled"),
        502,
        "django_failed",
    ),
    "timed out": (
        function_fails("Sandbox.Timedout", "Task timed out after 29.00 seconds"),
        504,
        "django_timed_out",
    ),
    "timed out, as said before 2023": (
        function_fails(None, "2022-11-24T00:00:00Z 7 Task timed out after 29.00 seconds"),
        504,
        "django_timed_out",
    ),
    "answer too large": (
        function_fails("Function.ResponseSizeTooLarge", "Response payload size exceeded"),
        502,
        "answer_too_large",
    ),
    "answered null": (answers(None), 502, "invalid_answer"),
    "answered as a command": (answers({"output": "", "exit_code": 0}), 502, "invalid_answer"),
    "answered with no number": (answers({"statusCode": "200 OK"}), 502, "invalid_answer"),
    "throttled": (fails("TooManyRequestsException", 429), 503, "throttled"),
    "throttled, no name": (answers({}, 429), 503, "throttled"),
    "throttled by EC2": (fails("EC2ThrottledException", 502), 503, "throttled"),
    "refused for its size": (fails("RequestTooLargeException", 413), 413, "request_too_large"),
    "access denied": (fails("AccessDeniedException", 403), 502, "misconfigured"),
    "no such function": (fails("ResourceNotFoundException", 404), 502, "misconfigured"),
    "no such subnet": (fails("InvalidSubnetIDException", 502), 502, "misconfigured"),
    "Lambda failed": (fails("ServiceException", 500), 504, "outcome_unknown"),
    "gateway failed": (answers("<html>", 503), 504, "outcome_unknown"),
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
    """The server has one reply only: a second invocation would fail the test as well."""

    def test_program_gets_json_and_the_function_is_invoked_once(
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
        [problem] = [each for each in PROBLEMS.values() if each.error == error]
        assert f"<title>{problem.title}</title>" in response["body"]
        assert "gateway-request" in response["body"]

    def test_log_has_one_line_and_nothing_of_the_visitor(
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
        assert logged["message"] == f"POST answered with {status} {error}"
        assert logged["requestId"] == "gateway-request"
        assert logged["level"] in {"ERROR", "WARN"}
        assert logged["timestamp"].endswith("Z")


class TestLog:
    def test_leads_to_the_failed_invocation(
        self, aws: FakeAws, capsys: pytest.CaptureFixture[str]
    ) -> None:
        aws.will(function_fails("KeyError", "the visitor's words"))
        get()
        logged = json.loads(capsys.readouterr().out)
        assert logged["errorType"] == "KeyError"
        assert logged["invocationId"] == "django-request"
        assert "the visitor's words" not in str(logged)

    def test_has_what_aws_said(self, aws: FakeAws, capsys: pytest.CaptureFixture[str]) -> None:
        aws.will(fails("AccessDeniedException", 403, "is not authorized to perform: x"))
        response = get()
        assert "not authorized to perform" in json.loads(capsys.readouterr().out)["detail"]
        assert "not authorized" not in response["body"]


class TestDjangoIsNotReady:
    def test_it_is_waited_for(self, aws: FakeAws) -> None:
        aws.will(
            fails("ResourceNotReadyException", 502, "The function is inactive"),
            fails("ResourceConflictException", 409, "state: Pending"),
            fails("ENINotReadyException", 502),
            answers(HELLO),
        )
        assert get() == HELLO

    def test_but_not_for_ever(self, aws: FakeAws) -> None:
        aws.will(*[fails("ResourceConflictException", 409, "state: Pending")] * 1000)
        started = time.monotonic()
        response = get(seconds=1.6, browser=False)
        assert time.monotonic() - started < 2
        assert response["statusCode"] == 503
        assert response["headers"]["Retry-After"] == "5"
        assert json.loads(response["body"])["error"] == "starting"


class TestDjangoIsNotReached:
    def test_what_cannot_have_arrived_is_sent_again(
        self, aws: FakeAws, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(invocation, "MAX_PAYLOAD", 100_000_000)
        aws.will_early(resets, hangs_up)
        aws.will(answers(HELLO))
        assert get(method="POST", body="x" * 50_000_000) == HELLO
        assert len(aws.requests) == 1
        assert aws.connections == 3

    def test_after_three_tries_the_visitor_is_told(
        self, aws: FakeAws, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://lambda.invalid")
        started = time.monotonic()
        response = get(browser=False)
        assert time.monotonic() - started < 5
        assert response["statusCode"] == 503
        assert response["headers"]["Retry-After"] == "5"
        assert json.loads(response["body"])["error"] == "unreachable"
        assert aws.requests == []


class TestRequestTooLarge:
    def test_is_refused_before_it_is_sent(self, aws: FakeAws) -> None:
        response = get(method="POST", browser=False, body="x" * invocation.MAX_PAYLOAD)
        assert response["statusCode"] == 413
        assert "up to 4.4 MB" in json.loads(response["body"])["message"]
        assert aws.connections == 0

    def test_counts_what_is_really_sent(self, aws: FakeAws) -> None:
        aws.will(answers(HELLO))
        # As UTF-8 it fits; escaped, six bytes a letter, it would not.
        assert get(method="POST", body="ü" * 3_000_000) == HELLO


class TestTime:
    def test_runs_out_before_the_gateway_gives_up(self) -> None:
        assert proxy._seconds_left(make_event(), FakeContext(900)) == 28
        assert proxy._seconds_left(make_event(), FakeContext(10)) == pytest.approx(9.5, abs=0.1)

    @pytest.mark.parametrize(("ago", "left"), [(3, 25), (27.9, 1), (-60, 28), (600, 28)])
    def test_counts_from_when_the_gateway_got_the_request(self, ago: float, left: float) -> None:
        context: Any = {"requestTimeEpoch": int((time.time() - ago) * 1000)}
        event = make_event(requestContext=context)
        assert proxy._seconds_left(event, FakeContext(900)) == pytest.approx(left, abs=0.1)

    def test_is_kept(self, aws: FakeAws) -> None:
        aws.will(keeps_silent)
        started = time.monotonic()
        assert get(seconds=2)["statusCode"] == 504
        assert 1.4 < time.monotonic() - started < 2


class TestPage:
    def test_offers_to_ask_again_where_that_changes_nothing(self, aws: FakeAws) -> None:
        aws.will(hangs_up)
        assert "Try again" in get()["body"]

    @pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
    def test_warns_where_it_may(self, method: str, aws: FakeAws) -> None:
        aws.will(hangs_up)
        page = get(method=method)["body"]
        assert "Try again" not in page
        assert "It is not known whether what you sent was carried out" in page

    def test_says_that_nothing_was_changed_where_that_is_certain(self, aws: FakeAws) -> None:
        aws.will(fails("TooManyRequestsException", 429))
        page = get(method="POST")["body"]
        assert "Nothing was changed." in page
        assert "not known" not in page

    def test_offers_nothing_that_would_not_help(self, aws: FakeAws) -> None:
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
    def test_is_for_browsers_that_navigate(
        self, headers: dict[str, str] | None, html: bool, aws: FakeAws
    ) -> None:
        aws.will(hangs_up)
        response = get(headers=headers)
        assert response["headers"]["Content-Type"].startswith("text/html") == html

    @pytest.mark.parametrize("problem", PROBLEMS.values(), ids=lambda problem: problem.error)
    def test_loads_nothing(self, problem: Problem) -> None:
        page = answer(problem, make_event(), "1")["body"]
        assert not [part for part in ("//", "src=", "url(", "@import", "<script") if part in page]
        assert "prefers-color-scheme: dark" in page

    def test_escapes_what_it_shows(self) -> None:
        problem = next(iter(PROBLEMS.values()))
        assert "<b>" not in answer(problem, make_event(), "<b>")["body"]


class TestOtherEvents:
    @pytest.mark.parametrize("event", [{"manage": "migrate"}, {}, [], None, "text"])
    def test_are_refused_with_what_is_accepted(self, event: Any, aws: FakeAws) -> None:
        with pytest.raises(UnknownEventError, match="REST API") as caught:
            lambda_handler(event, FakeContext())
        assert FUNCTION in str(caught.value)
        assert aws.connections == 0

    @pytest.mark.usefixtures("aws")
    def test_are_named_by_their_keys(self) -> None:
        event: Any = {"manage": "migrate"}
        with pytest.raises(UnknownEventError, match=r"\['manage'\]"):
            lambda_handler(event, FakeContext())

    def test_event_without_a_context_still_gets_an_answer(self, aws: FakeAws) -> None:
        aws.will(hangs_up)
        event: Any = {"httpMethod": "GET", "headers": None, "requestContext": None}
        response = lambda_handler(event, FakeContext())
        assert json.loads(response["body"])["requestId"] == "own-request"


class TestStart:
    def test_imports_little(self) -> None:
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

    def test_connects_ahead(self, aws: FakeAws) -> None:
        fresh = runpy.run_path(proxy.__file__)
        deadline = time.monotonic() + 5
        while not aws.connections and time.monotonic() < deadline:
            time.sleep(0.01)
        assert aws.connections == 1
        aws.will(answers(HELLO))
        assert fresh["lambda_handler"](make_event(), FakeContext()) == HELLO
        assert aws.connections == 1
