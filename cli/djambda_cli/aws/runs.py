"""Runs of management commands: start one in the live version and read its folder in the bucket.

The function stores a run's output below `runs/<id>/` while the command runs
(`django/djambda/recorded_run.py`). Each run has an id, which the function starts only once.
"""

import json
import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as AwsConnectionError

from djambda_cli.aws.errors import NOT_READY, aws_errors
from djambda_cli.aws.platform_events import invocation_ending, json_fields
from djambda_cli.errors import CliError
from djambda_cli.terminal import stderr
from djambda_common.names import ALIAS, RUNS_PREFIX, START_FAILURES

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_s3 import S3Client

MAX_PAYLOAD = 1_000_000
"""Bytes: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html (asynchronous)."""

READY_SECONDS = 120
"""The time in which a function that is being set up, or has no free instance, has to be ready."""

OFFLINE_SECONDS = 300
"""The time in which a lost connection has to be back."""

RETRY_SECONDS = 2.0

CLOCK_MARGIN = timedelta(seconds=30)
"""For differences between the clocks of S3, CloudWatch and Lambda."""

RESULT = "result.json"
STARTED = "started.json"


@dataclass(frozen=True)
class ManagementRun:
    """One execution of a management command. Its id begins with the UTC time of its start."""

    id: str
    sent: datetime


@dataclass(frozen=True)
class RunSnapshot:
    """The state of a run's folder: new parts of the output, in order, and what else it contains.

    `now` is S3's time, `changed` the time of the newest object.
    """

    now: datetime
    parts: tuple[str, ...] = ()
    started: datetime | None = None
    has_result: bool = False
    changed: datetime | None = None


class RunUnreachableError(CliError):
    """AWS cannot be reached to watch the run; the command continues."""


def new_run(now: datetime) -> ManagementRun:
    """Return a run with a new id."""
    return parse_run(f"{now:%Y%m%dt%H%M%S}-{secrets.token_hex(4)}")


def parse_run(id_: str) -> ManagementRun:
    """Return the run with this id. Raises `CliError` if it is not the id of a run."""
    match = re.fullmatch(r"(\d{8}t\d{6})-[0-9a-f]{8}", id_)
    try:
        sent = datetime.strptime(match[1] if match else "", "%Y%m%dt%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        raise CliError(
            f"{id_} is not the id of a run. One looks like 20261124t093000-3f9a2c41. "
            "`djambda manage --detach` prints it."
        ) from None
    return ManagementRun(id_, sent)


def encode_payload(event: Mapping[str, Any], run: ManagementRun) -> bytes:
    """Return the event of a run. Raises `CliError` if Lambda would not accept it."""
    payload = json.dumps({**event, "run": run.id}, ensure_ascii=False)
    try:
        encoded = payload.encode()
    except UnicodeEncodeError:
        raise CliError("An argument is not valid UTF-8, which JSON requires.") from None
    if len(encoded) > MAX_PAYLOAD:
        raise CliError(
            f"The command has {len(encoded) / 1e6:.1f} MB, but Lambda accepts at most "
            f"{MAX_PAYLOAD / 1e6:.0f} MB. Upload the data to media/ in the site's bucket and read "
            "it with Django's default_storage."
        )
    return encoded


def start_run(client: "LambdaClient", function: str, payload: bytes) -> str:
    """Invoke the live version asynchronously and return the request's id.

    A repeated request, by boto3 or by this function, starts the run only once.
    """
    deadline = time.monotonic() + READY_SECONDS
    with aws_errors():
        while True:
            try:
                response = client.invoke(
                    FunctionName=function,
                    Qualifier=ALIAS,
                    InvocationType="Event",
                    Payload=payload,
                )
            except ClientError as error:
                is_temporary = error.response["Error"]["Code"] in NOT_READY
                if not is_temporary or time.monotonic() > deadline:
                    raise
                time.sleep(RETRY_SECONDS)
            else:
                return response["ResponseMetadata"]["RequestId"]


def load_time(client: "S3Client", bucket: str) -> datetime:
    """Return S3's time, to which runs are compared: this machine's may be wrong."""
    with aws_errors():
        return _response_time(client.head_bucket(Bucket=bucket))


class RunFolder:
    """A run's folder in the bucket, and the report in its function's log.

    The methods raise `RunUnreachableError`.
    """

    def __init__(
        self,
        run: ManagementRun,
        s3: "S3Client",
        bucket: str,
        logs: "CloudWatchLogsClient",
        function: str,
    ) -> None:
        self._sent = run.sent
        self._s3 = s3
        self._bucket = bucket
        self._logs = logs
        self._log_group = f"/aws/lambda/{function}"
        self._prefix = f"{RUNS_PREFIX}{run.id}/"

    def load_snapshot(self, after: str) -> RunSnapshot:
        """Return the folder's state, with the parts after the one named `after`."""
        pages = retry_while_offline(
            lambda: list(
                self._s3.get_paginator("list_objects_v2").paginate(
                    Bucket=self._bucket, Prefix=self._prefix, StartAfter=self._prefix + after
                )
            )
        )
        times = {
            object_["Key"].removeprefix(self._prefix): object_["LastModified"]
            for page in pages
            for object_ in page.get("Contents", ())
        }
        return RunSnapshot(
            now=_response_time(pages[-1]),
            parts=tuple(name for name in times if name[0].isdigit()),
            started=times.get(STARTED),
            has_result=RESULT in times,
            changed=max(times.values(), default=None),
        )

    def load(self, name: str) -> Any:
        """Return an object's JSON content."""
        content = retry_while_offline(partial(self._get, name))
        return json.loads(content.decode(errors="surrogatepass"))

    def load_ending(self, request: str) -> str | None:
        """Return the status in Lambda's report of the request, or None if there is none."""
        messages = self._load_messages(f'"{request}"')
        endings = (invocation_ending(message, request) for message in messages)
        return next((ending for ending in endings if ending), None)

    def load_start_failure(self) -> str:
        """Return why Django has not started since the run was sent, or "" if it has."""
        failures = [
            str(field.get("errorMessage", ""))
            for failure in START_FAILURES
            for field in map(json_fields, self._load_messages(f'"{failure}"'))
            if field.get("errorType") == failure
        ]
        return failures[-1] if failures else ""

    def _load_messages(self, pattern: str) -> list[str]:
        try:
            pages = self._logs.get_paginator("filter_log_events").paginate(
                logGroupName=self._log_group,
                filterPattern=pattern,
                startTime=int((self._sent - CLOCK_MARGIN).timestamp() * 1000),
            )
            return [event["message"] for page in pages for event in page["events"]]
        except (BotoCoreError, ClientError):  # The permission to read the log is optional.
            return []

    def wait(self, seconds: float) -> None:
        """Sleep."""
        time.sleep(seconds)

    def _get(self, name: str) -> bytes:
        return self._s3.get_object(Bucket=self._bucket, Key=self._prefix + name)["Body"].read()


def retry_while_offline[T](request: Callable[[], T], pause: float = RETRY_SECONDS) -> T:
    """Return the request's result, retried every `pause` seconds if the connection is lost.

    Raises `RunUnreachableError`.
    """
    deadline = time.monotonic() + OFFLINE_SECONDS
    is_reported = False
    try:
        with aws_errors():
            while True:
                try:
                    return request()
                except (HTTPClientError, AwsConnectionError):
                    if time.monotonic() > deadline:
                        raise
                if not is_reported:
                    stderr.print("\nCould not reach AWS. Retrying ...", style="dim")
                    is_reported = True
                time.sleep(pause)
    except CliError as error:
        raise RunUnreachableError(str(error), output=error.output) from None


def _response_time(response: Any) -> datetime:
    return parsedate_to_datetime(response["ResponseMetadata"]["HTTPHeaders"]["date"])
