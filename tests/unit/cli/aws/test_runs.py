"""Runs of management commands: ids, payloads, lost connections."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError

from djambda_cli.aws.runs import (
    MAX_PAYLOAD,
    RunFolder,
    RunUnreachableError,
    encode_payload,
    new_run,
    parse_run,
    retry_while_offline,
)
from djambda_cli.errors import CliError
from tests.unit.cli.aws_fakes import FakeClient, refusal

SENT = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
RUN = parse_run("20261124t093000-3f9a2c41")


def test_run_id_contains_its_time() -> None:
    run = new_run(SENT)

    assert parse_run(run.id) == run
    assert run.sent == SENT
    assert run.id.startswith("20261124t093000-")
    assert new_run(SENT) != run


@pytest.mark.parametrize(
    "text", ["", "x", "20261124t093000", "20261340t093000-3f9a2c41", "20261124t093000-3f9a2c41/.."]
)
def test_invalid_run_id(text: str) -> None:
    with pytest.raises(CliError, match="--detach"):
        parse_run(text)


def test_arguments_are_sent_unchanged() -> None:
    command = ["shell", "-c", "print('a  b', \"c\")\n", "--no-input", "é 😀", "", "--"]

    assert json.loads(encode_payload({"manage": command}, RUN)) == {
        "manage": command,
        "run": RUN.id,
    }


def test_command_too_large_for_lambda() -> None:
    with pytest.raises(CliError, match=r"1\.0 MB.*media/"):
        encode_payload({"manage": ["shell", "-c", "#" * MAX_PAYLOAD]}, RUN)


def test_argument_that_is_not_utf8() -> None:
    with pytest.raises(CliError, match="UTF-8"):
        encode_payload({"manage": ["shell", "-c", "print('\udce9')"]}, RUN)


def test_reason_of_a_failed_start_is_in_the_log() -> None:
    failure = {"errorType": "DjangoFailedToStart", "errorMessage": "KeyError: 'X'"}
    lines = ["DjangoFailedToStart", json.dumps(failure), json.dumps({"errorType": "Other"})]
    log = FakeClient(filter_log_events={"events": [{"message": line} for line in lines]})
    denied = FakeClient(filter_log_events=refusal("AccessDeniedException"))

    def reason(client: FakeClient) -> str:
        return RunFolder(RUN, FakeClient(), "bucket", client, "function").load_start_failure()  # type: ignore[arg-type]

    assert reason(log) == "KeyError: 'X'"
    assert reason(denied) == ""


def test_lost_connection_is_retried(capsys: pytest.CaptureFixture[str]) -> None:
    responses: list[Any] = [
        EndpointConnectionError(endpoint_url="https://s3.example.com"),
        ReadTimeoutError(endpoint_url="https://s3.example.com"),
        "content",
    ]

    def request() -> Any:
        response = responses.pop(0)
        if isinstance(response, Exception):
            raise response
        return response

    assert retry_while_offline(request, pause=0) == "content"
    assert capsys.readouterr().err.count("Retrying") == 1


def test_rejected_request_is_not_retried() -> None:
    def request() -> None:
        raise ClientError({"Error": {"Code": "ExpiredToken", "Message": "expired"}}, "GetObject")

    with pytest.raises(RunUnreachableError, match="Log in again"):
        retry_while_offline(request)
