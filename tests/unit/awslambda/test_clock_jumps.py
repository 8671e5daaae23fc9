"""The proxy when the clock jumps by a day: no request fails, waits longer or is sent twice.

Certificates aside, and AWS rejects signatures while the clock differs by more than five minutes.
"""

import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

import invocation
import proxy
from djambda import deadline
from djambda_common.gateway_time import seconds_since
from proxy import lambda_handler
from tests.support.fake_aws import (
    FakeAws,
    FakeContext,
    Handler,
    Reply,
    fails,
    hangs_up,
    lambda_environment,
    responds,
)
from tests.support.lambda_events import make_v1_event

DAY = 86_400
HELLO = {"statusCode": 200, "headers": {}, "body": "hello", "isBase64Encoded": False}


class Clock:
    """The wall clock, which `jump` changes."""

    def __init__(self) -> None:
        self._now = time.time
        self.offset = 0

    def __call__(self) -> float:
        return self._now() + self.offset

    def after(self, reply: Reply, offset: int) -> Reply:
        """Return the reply, which changes the clock before it responds."""

        def jumping_reply(handler: Handler) -> None:
            self.offset = offset
            reply(handler)

        return jumping_reply


@pytest.fixture(params=[DAY, -DAY], ids=["forward", "back"])
def jump(request: pytest.FixtureRequest) -> int:
    seconds: int = request.param
    return seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "time", clock)
    return clock


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Iterator[FakeAws]:
    with lambda_environment() as fake:
        monkeypatch.setenv("FUNCTION_NAME", "django")
        monkeypatch.setattr(invocation, "PAUSE_WHEN_NOT_READY", 0.01)
        yield fake


def request(clock: Clock) -> Any:
    """Return a write that the gateway receives now."""
    event = make_v1_event("POST", "/notes/", body=b"x")
    event["requestContext"]["requestTimeEpoch"] = int(clock() * 1000)
    return event


def respond(event: Any) -> Any:
    return lambda_handler(event, FakeContext())


def test_jump_before_the_request_arrives(clock: Clock, jump: int) -> None:
    event = request(clock)
    clock.offset = jump

    assert proxy._seconds_left(event, FakeContext(900)) == pytest.approx(28, abs=0.5)


def test_jump_while_django_responds(aws: FakeAws, clock: Clock, jump: int) -> None:
    aws.will(clock.after(responds(HELLO), jump))

    assert respond(request(clock))["statusCode"] == 200
    assert len(aws.requests) == 1


def test_jump_while_the_function_starts(aws: FakeAws, clock: Clock, jump: int) -> None:
    not_ready = fails("ResourceNotReadyException", 502)
    aws.will(clock.after(not_ready, jump), not_ready, responds(HELLO))

    assert respond(request(clock))["statusCode"] == 200
    assert len(aws.requests) == 3


def test_jump_between_two_requests(aws: FakeAws, clock: Clock, jump: int) -> None:
    """The connection between them may be used again, or not, but no request is lost."""
    for offset in (0, jump, 0):
        clock.offset = offset
        aws.will(responds(HELLO))

        assert respond(request(clock))["statusCode"] == 200

    assert len(aws.requests) == 3


def test_failure_after_a_jump_is_not_repeated(aws: FakeAws, clock: Clock, jump: int) -> None:
    aws.will(clock.after(hangs_up, jump))

    assert respond(request(clock))["statusCode"] == 504
    assert len(aws.requests) == 1


@pytest.mark.parametrize("milliseconds", [0, (29 + DAY) * 1000], ids=["forward", "back"])
def test_jump_while_the_function_runs(milliseconds: int) -> None:
    """Lambda's remaining time is 0 or a day: awslambdaric compares the deadline to the clock."""
    context = SimpleNamespace(get_remaining_time_in_millis=lambda: milliseconds)
    assert proxy._seconds_left(make_v1_event(), context) > 20  # type: ignore[arg-type]
    with deadline.limited_request(make_v1_event(), context):
        ends = deadline.current.ends
        assert ends is not None
        assert 20 < ends - time.monotonic() < 29


@pytest.mark.parametrize("epoch", [10**400, -(10**400), 1.5e30, True, None, "x"])
def test_impossible_time_is_ignored(epoch: object) -> None:
    assert seconds_since(epoch) == 0
