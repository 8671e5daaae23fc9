"""The log of a deployed function, with the formatter and handler of Lambda's own runtime."""

import json
import logging
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from djambda.logs import protect

FAILING_PAGE = """
import json, logging, sys
from awslambdaric import bootstrap

class Sink:
    lines = []
    def log(self, message, frame_type=None):
        message.encode("utf8")  # As Lambda's own sink does.
        self.lines.append(json.loads(message))

bootstrap._setup_logging(bootstrap.LogFormat.JSON, "INFO", Sink())

from shop import settings
settings.LOGGING = LOGGING

from djambda.awslambda import lambda_handler
from shop import urls
from tests.support.lambda_events import CONTEXT, make_v1_event
from django.urls import path

def fail(request):
    raise ZeroDivisionError("in a page")

urls.urlpatterns.insert(0, path("fail", fail))
if COMMAND:
    lambda_handler({"manage": COMMAND}, CONTEXT)
    Sink.lines.clear()
response = lambda_handler(make_v1_event("GET", "/fail"), CONTEXT)
print(json.dumps({"status": response["statusCode"], "lines": Sink.lines}))
"""

CONSOLE = {"class": "logging.StreamHandler", "stream": "ext://sys.stderr"}


@pytest.mark.parametrize(
    "configuration",
    [
        {"version": 1, "disable_existing_loggers": True},
        {
            "version": 1,
            "disable_existing_loggers": True,
            "handlers": {"console": CONSOLE},
            "root": {"handlers": ["console"], "level": "WARNING"},
        },
        {
            "version": 1,
            "disable_existing_loggers": False,
            "handlers": {"null": {"class": "logging.NullHandler"}},
            "loggers": {"django": {"handlers": ["null"], "level": "CRITICAL", "propagate": False}},
        },
    ],
    ids=["disabled", "console", "silenced"],
)
@pytest.mark.parametrize("command", ["", "check"], ids=["at first", "after a command"])
def test_failed_request_is_logged_whatever_the_project_configures(
    run_deployed: Callable[..., subprocess.CompletedProcess[str]],
    configuration: dict[str, Any],
    command: str,
) -> None:
    code = FAILING_PAGE.replace("LOGGING\n", f"{configuration!r}\n", 1)

    process = run_deployed(code.replace("COMMAND", repr(command)))

    assert process.returncode == 0, process.stderr
    printed = json.loads(process.stdout.splitlines()[-1])
    errors = [line for line in printed["lines"] if line["level"] == "ERROR"]
    assert printed["status"] == 500
    assert [line["message"] for line in errors] == ["Internal Server Error: /prod/fail"]
    assert errors[0]["errorType"] == "ZeroDivisionError"
    assert any("in fail" in frame for frame in errors[0]["stackTrace"])


def test_failed_request_is_logged_even_if_the_project_disables_logging(
    run_deployed: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    disabled = "from shop import settings; logging.disable(logging.CRITICAL)"
    code = FAILING_PAGE.replace("from shop import settings", disabled, 1)

    process = run_deployed(
        code.replace("LOGGING\n", "{'version': 1}\n", 1).replace("COMMAND", "''")
    )

    assert process.returncode == 0, process.stderr
    printed = json.loads(process.stdout.splitlines()[-1])
    levels = [line["level"] for line in printed["lines"]]
    assert (printed["status"], levels) == (500, ["ERROR"])


class StrictHandler(logging.Handler):
    """Encodes records, and raises if it cannot, as the handlers of Lambda's runtime do."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record).encode().decode())


@pytest.mark.parametrize(
    ("message", "arguments", "logged"),
    [
        ("half a pair: %s", ("\ud83d",), "half a pair: \\ud83d"),
        ("too few: %s %s", ("one",), "too few: %s %s"),
        ("no number: %d", ("x",), "no number: %d"),
        ("plain é", (), "plain é"),
    ],
)
def test_no_record_breaks_a_request(message: str, arguments: tuple[str, ...], logged: str) -> None:
    handler = StrictHandler()
    protect(handler)
    logger = logging.Logger("test")
    logger.addHandler(handler)

    logger.info(message, *arguments)

    [line] = handler.lines
    assert logged in line


def test_traceback_with_half_a_surrogate_pair_is_logged() -> None:
    handler = StrictHandler()
    protect(handler)
    logger = logging.Logger("test")
    logger.addHandler(handler)

    try:
        raise ValueError("\ud83d")  # noqa: TRY301
    except ValueError:
        logger.exception("failed")

    [line] = handler.lines
    assert "ValueError: \\ud83d" in line
    assert "Traceback" in line
