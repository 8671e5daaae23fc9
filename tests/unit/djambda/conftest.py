"""Fixtures: a fake SSM and S3 on loopback, and a deployed function's environment."""

import hashlib
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit
from xml.sax.saxutils import escape

import pytest
from django.db import connections
from pytest_django import Settings

from djambda import deadline
from djambda.aws import configure
from djambda.parameters import deployment_secrets
from djambda.replaced_settings import REPLACED
from djambda_common import aws_api
from tests.support.lambda_events import API_HOST

DJANGO = Path(__file__).parents[3] / "django"
SHOP = Path(__file__).parents[2] / "projects" / "shop"
SECRETS_PATH = "/djambda/dev/mysite"
TASKS_ALIAS = "arn:aws:lambda:eu-west-1:123456789012:function:dev-mysite-djambda-lambda:tasks"
DEFAULT_VARIABLES = (
    *("DATABASE_URL", "DEBUG", "DJANGO_ALLOWED_HOSTS", "DJANGO_DEBUG"),
    *("DJANGO_SECRET_KEY", "SECRET_KEY", "SHOP_SECRET_KEY"),
)
SECRETS = {
    "database-password": "the-database-password",
    "secret-key": "the-secret-key-of-fifty-or-more-characters-1234567890",
    "superuser-password": "the-superuser-password",
}


class FakeAws:
    """SSM, S3 and Lambda, as far as the runtime uses them, over real HTTP.

    It stores `parameters` and `objects` (key -> content and headers), and records `requests`, such
    as "GetParameters" and "GET static/x.css", asynchronous `invocations`,
    one-time `schedules` and `sqs_calls`. `ssm_errors` and
    `lambda_errors` are the statuses of the next responses, `scheduler_errors` those and the types
    of errors, and `throttled` is the number of
    requests that SSM throttles before.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.parameters = {f"{SECRETS_PATH}/{name}": value for name, value in SECRETS.items()}
        self.objects: dict[str, tuple[bytes, dict[str, str]]] = {}
        self.requests: list[str] = []
        self.ssm_errors: list[int] = []
        self.lambda_errors: list[int] = []
        self.scheduler_errors: list[tuple[int, str]] = []
        self.invocations: list[dict[str, Any]] = []
        self.schedules: dict[str, dict[str, Any]] = {}
        self.sqs_calls: list[tuple[str, dict[str, Any]]] = []
        self.dead_letters: list[dict[str, Any]] = []
        self.throttled = 0

    def ssm(self, action: str, query: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Return a status and the response of SSM."""
        self.requests.append(action)
        assert query.pop("WithDecryption") is True
        if self.throttled:
            self.throttled -= 1
            return 400, {"__type": "ThrottlingException", "message": "Rate exceeded"}
        if self.ssm_errors:
            denied = {"__type": "AccessDeniedException", "message": "not allowed"}
            return self.ssm_errors.pop(), denied
        return 200, getattr(self, action)(query)

    def GetParameters(self, query: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        """Return the parameters that exist, of at most ten."""
        assert 1 <= len(query["Names"]) <= 10
        names = [name for name in query["Names"] if name in self.parameters]
        return {
            "Parameters": [{"Name": name, "Value": self.parameters[name]} for name in names],
            "InvalidParameters": [name for name in query["Names"] if name not in names],
        }

    def GetParametersByPath(self, query: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        """Return a page with one parameter."""
        names = [name for name in self.parameters if name.startswith(f"{query['Path']}/")]
        start = int(query.get("NextToken", 0))
        page: dict[str, Any] = {
            "Parameters": [
                {"Name": name, "Value": self.parameters[name]} for name in names[start : start + 1]
            ]
        }
        if start + 1 < len(names):
            page["NextToken"] = str(start + 1)
        return page

    def listing(self) -> str:
        contents = "".join(
            f"<Contents><Key>{escape(key)}</Key>"
            f"<ETag>&quot;{hashlib.md5(content, usedforsecurity=False).hexdigest()}&quot;</ETag>"
            "</Contents>"
            for key, (content, _) in self.objects.items()
        )
        return f"<ListBucketResult>{contents}</ListBucketResult>"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # Otherwise the body is a second packet, which waits for 40 ms.
    aws: FakeAws

    def do_POST(self) -> None:
        if self.path.endswith("/invocations"):
            self._invoke()
            return
        if self.path.startswith("/schedules/"):
            schedule = json.loads(self._body())
            if self.aws.scheduler_errors:
                status, kind = self.aws.scheduler_errors.pop(0)
                self._respond(status, b'{"Message": "not now"}', {"x-amzn-ErrorType": kind})
                return
            self.aws.schedules[self.path.removeprefix("/schedules/")] = schedule
            self._respond(200, b"{}")
            return
        if self.headers["X-Amz-Target"].startswith("AmazonSQS."):
            self._call_sqs(self.headers["X-Amz-Target"].removeprefix("AmazonSQS."))
            return
        action = self.headers["X-Amz-Target"].removeprefix("AmazonSSM.")
        status, response = self.aws.ssm(action, json.loads(self._body()))
        self._respond(status, json.dumps(response).encode())

    def _invoke(self) -> None:
        event = json.loads(self._body())
        assert self.headers["X-Amz-Invocation-Type"] == "Event"
        assert self.path == f"/2015-03-31/functions/{quote(TASKS_ALIAS, safe='')}/invocations"
        if self.aws.lambda_errors:
            self._respond(self.aws.lambda_errors.pop(0), b'{"message": "not now"}')
            return
        self.aws.invocations.append(event)
        self._respond(202, b"")

    def _call_sqs(self, action: str) -> None:
        parameters = json.loads(self._body())
        self.aws.sqs_calls.append((action, parameters))
        messages = self.aws.dead_letters if action == "ReceiveMessage" else []
        self._respond(200, json.dumps({"Messages": messages} if messages else {}).encode())

    def do_DELETE(self) -> None:
        self.aws.requests.append(f"DELETE {self._key()}")
        self.aws.objects.pop(self._key(), None)
        self._respond(204, b"")

    def do_GET(self) -> None:
        if "list-type=2" in self.path:
            self._respond(200, self.aws.listing().encode(), {"Content-Type": "application/xml"})
            return
        self.aws.requests.append(f"{self.command} {self._key()}")
        content, headers = self.aws.objects.get(self._key(), (None, {}))
        if content is None:  # As from S3 if the caller may not list the bucket.
            public = self._key().startswith("static/")
            self._respond(403 if self.command == "GET" and public else 404, b"")
        else:
            self._respond(200, content, headers)

    do_HEAD = do_GET  # noqa: N815 (the name that http.server calls)

    def do_PUT(self) -> None:
        self.aws.requests.append(f"PUT {self._key()}")
        stored = (self._body(), dict(self.headers))
        if self.headers["If-None-Match"] != "*":
            self.aws.objects[self._key()] = stored
        elif self.aws.objects.setdefault(self._key(), stored) is not stored:
            self._respond(412, b"<Error><Code>PreconditionFailed</Code></Error>")
            return
        self._respond(200, b"", {"ETag": '"x"'})

    def handle_expect_100(self) -> bool:
        proceed = super().handle_expect_100()
        self.wfile.flush()
        return proceed

    def _key(self) -> str:
        return unquote(urlsplit(self.path).path).removeprefix("/bucket/")

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers["Content-Length"]))

    def _respond(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name in ("Content-Type", "Cache-Control", "ETag", "x-amzn-ErrorType"):
            if headers and name in headers:
                self.send_header(name, headers[name])
        if status != 204:  # S3 omits it there, as RFC 9110 requires.
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture(autouse=True)
def new_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget whether the database of an earlier test was asleep."""
    monkeypatch.setattr(deadline, "current", deadline.Deadline(connect_seconds=25))


@pytest.fixture
def unsafe_request(monkeypatch: pytest.MonkeyPatch) -> deadline.Deadline:
    """Return the limits of a request that may change something."""
    limits = deadline.Deadline(connect_seconds=25, seconds=25)
    limits.is_safe = False
    monkeypatch.setattr(deadline, "current", limits)
    return limits


@pytest.fixture
def database(django_db_setup: None) -> Iterator[dict[str, Any]]:
    """Make the deployed backend the default one; yield its settings, which a test may change."""
    from djambda.db.base import DatabaseWrapper  # noqa: PLC0415 (reads the settings)

    original = connections["default"]
    options = {"sslmode": "disable"}
    parameters = {**original.settings_dict, "OPTIONS": options, "CONN_HEALTH_CHECKS": True}
    connections["default"] = DatabaseWrapper(parameters, "default")
    yield connections["default"].settings_dict
    connections["default"].close()
    connections["default"] = original


@pytest.fixture
def aws() -> Iterator[FakeAws]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Handler.aws = FakeAws(f"http://127.0.0.1:{server.server_port}")
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        yield Handler.aws
        server.shutdown()
    if kept := aws_api._idle.pop(Handler.aws.url, None):
        kept[0].close()


@pytest.fixture
def environment(aws: FakeAws) -> dict[str, str]:
    """Return the environment of a deployed Django Lambda whose services are those of `aws`."""
    return {
        "ALLOWED_HOSTS": f"{API_HOST},www.example.com",
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_ENDPOINT_URL": aws.url,
        "AWS_LAMBDA_FUNCTION_NAME": "dev-mysite-djambda-lambda",
        "AWS_LAMBDA_FUNCTION_VERSION": "7",
        "AWS_REGION": "eu-west-1",
        "AWS_SECRET_ACCESS_KEY": "the-secret-access-key",
        "AWS_STORAGE_BUCKET_NAME": "bucket",
        "DJANGO_SETTINGS_MODULE": "shop.settings",
        "POSTGRES_DB": "mysite",
        "POSTGRES_SERVICE_HOST": "db.example.com",
        "POSTGRES_SERVICE_PORT": "5432",
        "POSTGRES_USER": "mysite",
        "RELEASE": "0123456789ab",
        "SECRETS_PATH": SECRETS_PATH,
        "VARIABLES_SNAPSHOT": "none",
    }


@pytest.fixture
def deployed(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[str, str]]:
    """Set this process's environment to that of a deployed Django Lambda."""
    for name in ("PGPORT", "PGSSLMODE", "DJANGO_SUPERUSER_PASSWORD", *DEFAULT_VARIABLES):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    deployment_secrets.cache_clear()
    filters = {handler: list(handler.filters) for handler in logging.getLogger().handlers}
    yield environment
    for handler, before in filters.items():
        handler.filters = before
    for thread in threading.enumerate():
        if thread.name == "prefetch":  # It reads the environment.
            thread.join()
    for name in ("DJANGO_SUPERUSER_PASSWORD", *DEFAULT_VARIABLES):
        os.environ.pop(name, None)


@pytest.fixture
def run_deployed(environment: dict[str, str]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that runs code in a process with a deployed function's environment."""

    def run(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-W", "error", "-c", code],
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": os.pathsep.join(
                    [str(DJANGO), str(SHOP), str(DJANGO.parent), str(DJANGO.parent / "common")]
                ),
                **environment,
                **variables,
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


@pytest.fixture
def on_aws(deployed: dict[str, str], settings: Settings, aws: FakeAws) -> None:
    """Set the settings for storages to those of a deployed function."""
    set_storages(settings)
    settings.STORAGES["staticfiles"]["OPTIONS"]["manifest"]._thread.join()
    aws.requests.clear()


def set_storages(settings: Settings, **project: Any) -> None:
    """Set the settings for storages to those of a deployed function with the project's."""
    configure(project)
    for name, value in project.items():
        if name.startswith(("AWS_", "MEDIA_", "STATIC_", "STORAGES")):
            setattr(settings, name, value)


def configured(**settings: Any) -> dict[str, Any]:
    """Return a project's settings after `configure`."""
    configure(settings)
    return settings


def replaced(**settings: Any) -> dict[str, str]:
    """Return the record of the replaced settings of a project."""
    record: dict[str, str] = configured(**settings).get(REPLACED, {})
    return record
