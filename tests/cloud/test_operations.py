"""The commands that operate a site: `logs`, `status`, `open`, `rollback`, `doctor`."""

import json
import os
import re
import shlex
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.cloud.checkout import Checkout
from tests.cloud.local import Cloud


def result(cloud: Cloud, arguments: str) -> Any:
    """Return the JSON that `djambda ARGUMENTS --json` prints."""
    done = cloud.djambda(f"{arguments} --json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def newer_version(cloud: Cloud, request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    """A live version with a changed configuration, the test's parameter, and its predecessor.

    Lambda alone publishes it, because a deploy takes long.
    """
    before = cloud.live_version()
    usual = cloud.call("lambda", "get_function_configuration", FunctionName=cloud.function)
    cloud.call(
        "lambda", "update_function_configuration", FunctionName=cloud.function, **request.param
    )
    newer = cloud.call("lambda", "publish_version", FunctionName=cloud.function)["Version"]
    try:
        make_live(cloud, newer)
        yield newer, before
    finally:
        make_live(cloud, before)
        restored = {name: usual[name] for name in request.param}
        cloud.call(
            "lambda", "update_function_configuration", FunctionName=cloud.function, **restored
        )
        cloud.call("lambda", "delete_function", FunctionName=cloud.function, Qualifier=newer)


def make_live(cloud: Cloud, version: str) -> None:
    """Move the alias to a version."""
    cloud.call(
        "lambda", "update_alias", FunctionName=cloud.function, Name="live", FunctionVersion=version
    )


def test_logs_of_both_functions_in_order(cloud: Cloud, visitor: httpx.Client) -> None:
    page = f"nothing-{uuid4()}/"
    visitor.get(page)

    # The project's own handler prints the first line, and Lambda's writes the second.
    shown = cloud.djambda(f"logs --grep {page}")
    printed, logged = shown.stdout.splitlines()
    beginning, message = r"\d\d:\d\d:\d\d\.\d{3} django ", rf"Not Found: \S+/{page}"
    assert re.fullmatch(rf"{beginning} +{message}", printed)
    assert re.fullmatch(rf"{beginning}WARNING +django.request: {message}  status_code=404", logged)

    entry = json.loads(cloud.djambda(f"logs --json --grep {page}").stdout.splitlines()[1])
    assert entry["message"] == f"Not Found: {httpx.URL(cloud.site).path}{page}"

    whole = cloud.djambda(f"logs --request {entry['invocation']} --all").stdout.splitlines()
    assert whole[0].endswith(f"{entry['invocation']} start version {cloud.live_version()}")
    assert whole[1:3] == shown.stdout.splitlines()
    assert cloud.djambda(f"logs --function proxy --grep {page}").stdout == ""


def test_errors_in_the_logs(cloud: Cloud) -> None:
    word = f"no-such-command-{uuid4()}"
    cloud.manage(word)

    shown = cloud.djambda(f"logs --errors --since 1h --grep {word}").stdout
    assert "django ERROR" in shown
    assert "raise ManagementCommandFailed(" in shown


def test_logs_and_status_count_the_same_errors(cloud: Cloud) -> None:
    cloud.manage(f"no-such-command-{uuid4()}")

    errors = result(cloud, "status")["errors"]
    assert errors
    count = f"{len(errors):,} error{'s' * (len(errors) > 1)}"
    assert cloud.djambda("logs --errors --since 24h").stderr.startswith(count)
    assert count in cloud.djambda("status").stdout


def test_logs_of_an_invocation(cloud: Cloud) -> None:
    word = str(uuid4())
    payload = json.dumps({"manage": ["shell", "-v", "0", "-c", f"print('{word}')"]})
    response = cloud.call("lambda", "invoke", FunctionName=cloud.function, Payload=payload)

    request = response["ResponseMetadata"]["RequestId"]
    assert word in cloud.djambda(f"logs --request {request}").stdout


def test_logs_follow(cloud: Cloud, visitor: httpx.Client) -> None:
    page = f"followed-{uuid4()}"
    follower = subprocess.Popen(
        [str(cloud.checkout.djambda), "logs", "--follow", "--grep", page, "--local"]
        + ["--folder", str(cloud.folder)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert follower.stdout
        for number in range(3):
            visitor.get(f"{page}-{number}/")
            for _ in range(2):  # The project's own handler and Lambda's.
                assert f"{page}-{number}/" in follower.stdout.readline()
        follower.send_signal(signal.SIGINT)
        assert follower.communicate(timeout=20)[0] == ""
        assert follower.returncode == 0
    finally:
        follower.kill()


def test_logs_beyond_one_page(cloud: Cloud, visitor: httpx.Client) -> None:
    """Print more events than CloudWatch returns at a time."""
    cloud.manage(["shell", "-v", "0", "-c", "print('much\n' * 12_000)"])
    page = f"late-{uuid4()}/"
    visitor.get(page)

    assert page in cloud.djambda(f"logs --grep {page}").stdout


def test_unknown_request_id(cloud: Cloud) -> None:
    request = str(uuid4())
    done = cloud.djambda(f"logs --request {request}")

    assert (done.returncode, done.stdout) == (1, "")
    assert request in done.stderr


def test_status(cloud: Cloud, visitor: httpx.Client) -> None:
    assert visitor.get("").status_code == 200

    status = result(cloud, "status")

    assert status["url"] == cloud.site
    assert str(status["live"]["number"]) == cloud.live_version()
    assert status["stack"]["status"].endswith("_COMPLETE")
    assert status["database"]["state"] == "awake"
    assert status["month"]["django"]["invocations"] > 0
    assert status["maintenance"] is False

    shown = cloud.djambda("status").stdout
    assert f"  Site        {cloud.site}\n" in shown
    assert re.search(rf"^  Version     {cloud.live_version()}\b", shown, re.MULTILINE)


def test_open(cloud: Cloud, tmp_path: Path) -> None:
    for name in ("open", "xdg-open"):
        browser = tmp_path / name
        browser.write_text(f'#!/bin/sh\necho "$1" >> {tmp_path}/opened\n')
        browser.chmod(0o755)
    path = shlex.quote(f"{tmp_path}{os.pathsep}")

    done = cloud.shell(f"PATH={path}$PATH djambda open --admin {cloud.options}")

    assert done.stdout == f"{cloud.site}admin/\n"
    assert (tmp_path / "opened").read_text() == done.stdout


def test_doctor(cloud: Cloud) -> None:
    report = result(cloud, "doctor")

    assert report["ok"]
    assert {finding["section"] for finding in report["findings"]} == {
        "Machine",
        "Project",
        "Configuration",
        "Account",
        "Stack",
    }
    assert re.search(rf"version {cloud.live_version()}\b", cloud.djambda("doctor").stdout)


def test_doctor_without_a_running_cloud(cloud_checkout: Checkout, tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    done = subprocess.run(
        [cloud_checkout.djambda, "doctor", "--local", "--folder", tmp_path / "none"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout
    assert "Start it: djambda up --folder" in done.stdout


@pytest.mark.parametrize("newer_version", [{"MemorySize": 768}], indirect=True)
def test_rollback(cloud: Cloud, newer_version: tuple[str, str], visitor: httpx.Client) -> None:
    newer, before = newer_version

    unconfirmed = cloud.djambda("rollback")
    assert unconfirmed.returncode == 1
    for fact in ("memory", "768", "1024", "--yes"):
        assert fact in unconfirmed.stderr
    assert cloud.live_version() == newer

    done = cloud.djambda("rollback --yes")
    assert done.returncode == 0, done.stderr
    assert f"Version {before} " in done.stdout
    assert cloud.live_version() == before
    assert [version["number"] for version in result(cloud, "status")["newer"]] == [int(newer)]

    assert result(cloud, f"rollback --yes {newer}") == {
        "from": int(before),
        "to": int(newer),
        "url": cloud.site,
        "migrations_not_undone": [],
    }
    assert visitor.get("").status_code == 200

    assert "version 999" in cloud.djambda("rollback 999").stderr


@pytest.mark.parametrize("newer_version", [{"Handler": "djambda.nothing.at_all"}], indirect=True)
def test_failed_request_is_in_the_log_and_rollback_fixes_it(
    cloud: Cloud, newer_version: tuple[str, str], visitor: httpx.Client
) -> None:
    newer, before = newer_version
    page = visitor.get("")
    assert page.status_code == 502
    [shown_id] = re.findall(r"[0-9a-f]{8}-[0-9a-f-]{27}", page.text)

    shown = cloud.djambda(f"logs --request {shown_id}").stdout
    assert f"error=django_failed  requestId={shown_id}" in shown

    assert cloud.djambda("rollback --yes").returncode == 0
    assert visitor.get("").status_code == 200

    refused = cloud.djambda(f"rollback --yes {newer}")
    assert refused.returncode == 1
    assert f"Version {newer} " in refused.stderr
    assert cloud.live_version() == before
