"""`djambda manage <command...>`: a management command in the deployed Django, as if it ran here.

The command is handed to the live version without waiting for it (an asynchronous invocation), and
what it prints is read from the assets bucket while it runs: `django/djambda/recorded_run.py` has
the other end. So it ends neither with this process nor with the connection, and is never repeated;
`--follow` comes back to it.
"""

import json
import re
import secrets
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, Protocol

import typer
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnection

from djambda_cli.aws.errors import NOT_READY, aws_errors
from djambda_cli.deployment import Deployment, use_deployment, verify_target
from djambda_cli.errors import CliError
from djambda_cli.options import DEFAULT_FOLDER, Folder, Local
from djambda_cli.terminal import stderr, stdout
from djambda_common.names import ALIAS, ASYNC_START_SECONDS, RUNS_PREFIX

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_s3 import S3Client

MAX_PAYLOAD = 1_000_000
"""Bytes: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html (asynchronous)."""

START_LIMIT = timedelta(seconds=ASYNC_START_SECONDS)

MARGIN = timedelta(seconds=30)
"""For the clocks of this machine and S3, and for what the function writes last."""

SILENCE = timedelta(seconds=10)
"""After that long without anything new, the log is asked whether the function is still there."""

READY_SECONDS = 120
"""How long a function that is being set up, or has no free instance, is asked again."""

OFFLINE_SECONDS = 300
"""How long a connection that is lost is tried again."""

PAUSES = (0.2, 2.0)
"""Seconds between two looks into the bucket: at first, and after a while without anything new."""

SUCCESS = "success"
"""How an invocation ends that has stored its result; or one that found the run started already,
as an event may be delivered twice."""

ENDINGS = {
    "timeout": "was stopped at the function's time limit (LAMBDA_TIMEOUT; 900 s at most)",
    "Runtime.OutOfMemory": "ran out of memory (LAMBDA_MEMORY)",
}

type Show = Callable[[str, bytes], None]


def manage(
    command: Annotated[
        list[str] | None,
        typer.Argument(metavar="COMMAND", help="As after `manage.py`, exactly."),
    ] = None,
    *,
    detach: Annotated[
        bool, typer.Option("--detach", help="Start it, print the run's id, and do not wait.")
    ] = False,
    follow: Annotated[
        str | None, typer.Option(metavar="ID", help="Show a run that was started before.")
    ] = None,
    local: Local = False,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Run a management command in the deployed Django; its exit code is that of the command.

    Output comes as it is printed. The command goes on if this is interrupted. Options of djambda
    come before the command's name; everything from there on is Django's.

    Example: `djambda manage migrate --plan`
    """
    if follow and (command or detach):
        raise typer.BadParameter(
            "--follow shows a run that was started: leave out the command, and --detach."
        )
    if not follow and not (command and command[0]):
        raise typer.BadParameter("Give a command, such as help, which lists them; or --follow ID.")
    deployment = use_deployment(local=local, folder=folder)
    if command:
        refuse_questions(command, deployment.command("manage"))
    verify_target(deployment)
    run = parse_run(follow) if follow else new_run(clock(deployment))
    run_folder = RunFolder(deployment, run)
    terminal = Terminal(f"Running in {deployment.function}")
    follow_it = deployment.command(f"manage --follow {run.id}")
    try:
        request = start(deployment, payload_of(command, run)) if command else ""
        if detach:
            stdout.print(run.id)
            stderr.print(f"It runs. Follow it: {follow_it}", markup=False, soft_wrap=True)
            return
        with terminal:
            exit_code = attend(run, run_folder, terminal.show, request)
    except (KeyboardInterrupt, SystemExit, BrokenPipeError) as stop:
        stderr.print(f"\nThe command goes on. Follow it: {follow_it}", markup=False, soft_wrap=True)
        if isinstance(stop, BrokenPipeError):
            raise
        raise typer.Exit(143 if isinstance(stop, SystemExit) else 130) from None
    except Unreachable as error:
        raise CliError(
            f"{error}\nThe command goes on. Follow it: {follow_it}", output=error.output
        ) from None
    raise typer.Exit(exit_code)


# What is sent


@dataclass(frozen=True)
class Run:
    """One command on its way. Its id begins with the time (UTC) at which it was sent."""

    id: str
    sent: datetime


def new_run(now: datetime) -> Run:
    """A run with an id that nobody else has."""
    return parse_run(f"{now:%Y%m%dt%H%M%S}-{secrets.token_hex(4)}")


def clock(deployment: Deployment) -> datetime:
    """S3's time, by which a run is watched: this machine's may be wrong. Raises CliError."""
    with aws_errors():
        answer = deployment.client("s3").head_bucket(Bucket=deployment.outputs["BucketName"])
    return _date_of(answer)


def _date_of(answer: Any) -> datetime:
    return parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])


def parse_run(text: str) -> Run:
    """Raises CliError for what is no run's id."""
    found = re.fullmatch(r"(\d{8}t\d{6})-[0-9a-f]{8}", text)
    try:
        sent = datetime.strptime(found[1] if found else "", "%Y%m%dt%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        raise CliError(
            f"{text} is no run's id. One looks like 20261124t093000-3f9a2c41: djambda manage "
            "--detach prints it."
        ) from None
    return Run(text, sent)


def payload_of(command: Sequence[str], run: Run) -> bytes:
    """The event. Raises CliError where Lambda would not take it."""
    payload = json.dumps({"manage": command, "run": run.id}, ensure_ascii=False)
    try:
        encoded = payload.encode()
    except UnicodeEncodeError:
        raise CliError("An argument is not UTF-8, and JSON can carry nothing else.") from None
    if len(encoded) > MAX_PAYLOAD:
        raise CliError(
            f"The command has {len(encoded) / 1e6:.1f} MB, and Lambda takes "
            f"{MAX_PAYLOAD / 1e6:.0f} MB. Upload the data to the site (media/ in its bucket), and "
            "have the command read them with Django's default_storage."
        )
    return encoded


def start(deployment: Deployment, payload: bytes) -> str:
    """Hand the event to the live version; the id of the request.

    It may be sent again, by boto3 too: each run is started only once.
    """
    function: LambdaClient = deployment.client("lambda")
    deadline = time.monotonic() + READY_SECONDS
    with aws_errors():
        while True:
            try:
                answer = function.invoke(
                    FunctionName=deployment.function,
                    Qualifier=ALIAS,
                    InvocationType="Event",
                    Payload=payload,
                )
            except ClientError as error:
                passes = error.response["Error"]["Code"] in NOT_READY
                if not passes or time.monotonic() > deadline:
                    raise
                time.sleep(PAUSES[-1])
            else:
                return answer["ResponseMetadata"]["RequestId"]


class Question(NamedTuple):
    """What to type instead of a command that asks, and the beginnings of options with which it
    does not ask."""

    instead: str
    unless: tuple[str, ...] = ()


NO_INPUT = ("--no-input", "--noinput")
CODE = """\
For code, or a script:
  MANAGE shell -v 0 -c "print(1)"
  MANAGE shell -v 0 -c "$(cat script.py)"\
"""
LOAD = """\
Upload the file to the site's media/ in its bucket, and load it from there:
  aws s3 cp dump.json s3://BUCKET/media/dump.json
  MANAGE shell -v 0 -c "
from django.core.files.storage import default_storage
from django.core.management import call_command
open('/tmp/dump.json', 'wb').write(default_storage.open('dump.json').read())
call_command('loaddata', '/tmp/dump.json')"\
"""
QUERY = """\
For a query:
  MANAGE shell -c "c = connection.cursor(); c.execute('SELECT version()'); print(c.fetchall())"\
"""
CHANGE = """\
Change the password in the admin, or with:
  MANAGE shell -c "u = User.objects.get(username='NAME'); u.set_password('NEW'); u.save()"\
"""
SUPERUSER = """\
Without questions, and with the password that the stack has generated for superusers:
  MANAGE createsuperuser --no-input --username NAME --email ADDRESS\
"""
QUESTIONS = {
    "changepassword": Question(CHANGE),
    "createsuperuser": Question(SUPERUSER, NO_INPUT),
    "dbshell": Question(QUERY),
    "flush": Question("This deletes all data at once:\n  MANAGE flush --no-input", NO_INPUT),
    "makemigrations": Question(
        "Migrations belong to the code:\n  python django/manage.py makemigrations",
        ("--check", "--dry-run"),
    ),
    "runserver": Question("The site is served already:\n  OPEN"),
    "shell": Question(CODE, ("-c", "--c")),
    "testserver": Question("On this machine:\n  python django/manage.py testserver"),
}


def refuse_questions(command: Sequence[str], again: str) -> None:
    """Raise CliError for a command that is known to ask, with what to type instead."""
    name, options = command[0], command[1:]
    question = QUESTIONS.get(name)
    if name == "loaddata" and "-" in options:
        question = Question(LOAD)
    if not question or any(each.startswith((*question.unless, "-h", "--h")) for each in options):
        return
    raise CliError(
        f"`{name}` was not started: it wants your machine's keyboard or files, and Lambda has "
        "neither. "
        + question.instead.replace("MANAGE", again).replace(
            "OPEN", again.replace("manage", "open", 1)
        )
    )


# What comes back


@dataclass(frozen=True)
class Look:
    """What is new in a run's folder: parts of output, in order, and whether it started and ended.

    `now` is S3's time, `changed` when the newest of the objects came.
    """

    now: datetime
    parts: tuple[str, ...] = ()
    started: datetime | None = None
    ended: bool = False
    changed: datetime | None = None


class Place(Protocol):
    """Where a run is watched. `RunFolder` is the real one.

    `logs` is the command line that shows the function's log.
    """

    logs: str

    def look(self, after: str) -> Look:
        """What came after the part of that name."""

    def read(self, name: str) -> Any:
        """An object's content."""

    def ending(self, request: str) -> str | None:
        """How the function ended, in the log's words; None while it has not."""

    def wait(self, seconds: float) -> None:
        """Let time pass."""


class Unreachable(CliError):  # noqa: N818 (what it says)
    """The command cannot be watched any more; nothing is known of its end."""


def attend(run: Run, place: Place, show: Show, request: str = "") -> int:
    """Pass on what the command prints until it ends; its exit code.

    `request` is the invocation's id, where it is known before the command has started. Raises
    CliError where it never starts, or where its function ends without a result.
    """
    started: dict[str, Any] = {}
    news = run.sent
    after, pause, lost = "", PAUSES[0], ""
    while True:
        look = place.look(after)
        for name in look.parts:
            for stream, text in place.read(name):
                show(stream, text.encode(errors="surrogateescape"))
            after, pause = name, PAUSES[0]
        if look.ended:
            return _exit_code(place.read("result.json"))
        if lost:
            raise CliError(lost)
        deadline = run.sent + START_LIMIT
        if look.started:
            started = started or place.read("started.json")
            request = started["request"]
            deadline = look.started + timedelta(seconds=started["seconds"])
        late = look.now > deadline + MARGIN
        news = max(news, look.changed or news)
        if late or look.now > news + SILENCE:
            ending = place.ending(request) if request else None
            if started and ending == SUCCESS:
                ending = None
            if ending or late:
                lost = _lost(run, place.logs, request, ending, has_started=bool(started))
                continue  # The result may have come meanwhile.
            news = look.now
        place.wait(pause)
        pause = min(pause * 1.2, PAUSES[-1])


def _exit_code(result: dict[str, Any]) -> int:
    exit_code = int(result["exit_code"])
    if result["complete"]:
        return exit_code
    stderr.print("\n[red]A part of the output could not be stored: the log has more of it.[/red]")
    return exit_code or 1


def _lost(run: Run, logs: str, request: str, ending: str | None, *, has_started: bool) -> str:
    log = f"Its log: {logs} --request {request}"
    if has_started:
        how = ENDINGS.get(ending or "", f"ended without a result ({ending or 'not even a report'})")
        return f"The command {how}. What it had done by then is done. {log}"
    if ending:
        return f"The command was not started: its function failed first ({ending}). {log}"
    return (
        f"Run {run.id} has not started, and will not any more: for 5 minutes no instance of the "
        "function was free (LAMBDA_CONCURRENCY), or none could start. If it is of "
        f"last week, its output is deleted by now. Look: {logs} --errors"
    )


class Terminal:
    """Shows that it waits, until there is output; then that, byte for byte."""

    def __init__(self, label: str) -> None:
        self._waiting = stderr.status(label)

    def __enter__(self) -> None:
        self._waiting.start()

    def __exit__(self, *_: object) -> None:
        self._waiting.stop()

    def show(self, stream: str, data: bytes) -> None:
        """Write to this process's own "out" or "err"."""
        self._waiting.stop()
        target = sys.stderr if stream == "err" else sys.stdout
        target.buffer.write(data)
        target.flush()


class RunFolder:
    """The run's folder in the assets bucket, and its function's log. Raises `Unreachable`."""

    def __init__(self, deployment: Deployment, run: Run) -> None:
        self.logs = deployment.command("logs")
        self._sent = run.sent
        self._s3: S3Client = deployment.client("s3")
        self._logs: CloudWatchLogsClient = deployment.client("logs")
        self._bucket = deployment.outputs["BucketName"]
        self._log_group = f"/aws/lambda/{deployment.function}"
        self._folder = f"{RUNS_PREFIX}{run.id}/"

    def look(self, after: str) -> Look:
        """One listing. S3 shows an object from the moment that it is stored."""
        pages = patiently(
            lambda: list(
                self._s3.get_paginator("list_objects_v2").paginate(
                    Bucket=self._bucket, Prefix=self._folder, StartAfter=self._folder + after
                )
            )
        )
        came = {
            each["Key"].removeprefix(self._folder): each["LastModified"]
            for page in pages
            for each in page.get("Contents", ())
        }
        return Look(
            now=_date_of(pages[-1]),
            parts=tuple(name for name in came if name[0].isdigit()),
            started=came.get("started.json"),
            ended="result.json" in came,
            changed=max(came.values(), default=None),
        )

    def read(self, name: str) -> Any:
        """An object's content, which is JSON."""
        return json.loads(patiently(partial(self._get, name)).decode(errors="surrogatepass"))

    def ending(self, request: str) -> str | None:
        """Why the function ended, from Lambda's own report of the request."""
        pages = self._logs.get_paginator("filter_log_events").paginate(
            logGroupName=self._log_group,
            filterPattern=f'"{request}"',
            startTime=int((self._sent - MARGIN).timestamp() * 1000),
        )
        try:
            messages = [event["message"] for page in pages for event in page["events"]]
        except (BotoCoreError, ClientError):  # Not everybody may read the log.
            return None
        return next((found for each in messages if (found := reported(each, request))), None)

    def wait(self, seconds: float) -> None:
        """Sleep."""
        time.sleep(seconds)

    def _get(self, name: str) -> bytes:
        return self._s3.get_object(Bucket=self._bucket, Key=self._folder + name)["Body"].read()


def reported(message: str, request: str) -> str | None:
    """How an invocation ended, if `message` is Lambda's report of it, as JSON or as text.

    https://docs.aws.amazon.com/lambda/latest/dg/telemetry-schema-reference.html#platform-report
    """
    if message.startswith(f"REPORT RequestId: {request}"):
        status = re.search(r"Status: (\w+)", message)
        return status[1] if status else "error"
    try:
        report = json.loads(message)
    except ValueError:
        return None
    if not isinstance(report, dict) or report.get("type") != "platform.report":
        return None
    record = report["record"]
    if record["requestId"] != request:
        return None
    return str(record.get("errorType") or record.get("status") or "error")


def patiently[T](ask: Callable[[], T], pause: float = PAUSES[-1]) -> T:
    """The answer, also if the connection is gone for a while: it asks again after a `pause` (s).

    Raises `Unreachable`.
    """
    deadline = time.monotonic() + OFFLINE_SECONDS
    told = False
    try:
        with aws_errors():
            while True:
                try:
                    return ask()
                except (HTTPClientError, NoConnection):
                    if time.monotonic() > deadline:
                        raise
                if not told:
                    stderr.print("\nAWS cannot be reached. Trying again ...", style="dim")
                    told = True
                time.sleep(pause)
    except CliError as error:
        raise Unreachable(str(error), output=error.output) from None
