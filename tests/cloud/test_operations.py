"""The verbs that look after a site: `logs`, `status`, `open`, `rollback`, `doctor`."""

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

from tests.cloud.checkout import live_version
from tests.cloud.local import COMMANDS, Cloud


def djambda(cloud: Cloud, words: str) -> subprocess.CompletedProcess[str]:
    """`djambda WORDS` on the cloud."""
    return cloud.shell(f"djambda {words} --local --folder {shlex.quote(str(cloud.folder))}")


def answer(cloud: Cloud, words: str) -> Any:
    """What it prints as JSON."""
    done = djambda(cloud, f"{words} --json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def newer_version(cloud: Cloud, request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    """A version with the changed configuration that the test gives serves; it, and the one before.

    It is made by Lambda alone, as a whole deploy takes its time.
    """
    before = live_version(cloud)
    usual = cloud.call("lambda", "get_function_configuration", FunctionName=cloud.function)
    cloud.call(
        "lambda", "update_function_configuration", FunctionName=cloud.function, **request.param
    )
    newer = cloud.call("lambda", "publish_version", FunctionName=cloud.function)["Version"]
    try:
        serve(cloud, newer)
        yield newer, before
    finally:
        serve(cloud, before)
        restored = {name: usual[name] for name in request.param}
        cloud.call(
            "lambda", "update_function_configuration", FunctionName=cloud.function, **restored
        )
        cloud.call("lambda", "delete_function", FunctionName=cloud.function, Qualifier=newer)


def serve(cloud: Cloud, version: str) -> None:
    """Let a version serve."""
    cloud.call(
        "lambda", "update_alias", FunctionName=cloud.function, Name="live", FunctionVersion=version
    )


def test_logs_of_both_functions_by_time(cloud: Cloud, visitor: httpx.Client) -> None:
    page = f"nothing-{uuid4()}/"
    visitor.get(page)

    shown = djambda(cloud, f"logs --grep {page}")
    assert re.fullmatch(rf"\d\d:\d\d:\d\d\.\d{{3}} django +Not Found: \S+/{page}\n", shown.stdout)

    entry = answer(cloud, f"logs --grep {page}")
    assert entry["message"] == f"Not Found: {httpx.URL(cloud.site).path}{page}"

    whole = djambda(cloud, f"logs --request {entry['invocation']} --all").stdout.splitlines()
    assert whole[0].endswith(f"{entry['invocation']} start version {live_version(cloud)}")
    assert whole[1:2] == shown.stdout.splitlines()
    assert djambda(cloud, f"logs --function proxy --grep {page}").stdout == ""


def test_an_error_in_the_logs(cloud: Cloud) -> None:
    word = f"no-such-command-{uuid4()}"
    cloud.manage(word)

    shown = djambda(cloud, f"logs --errors --since 1h --grep {word}").stdout
    assert "django ERROR" in shown
    assert "Traceback (most recent call last):" in shown


def test_logs_that_are_followed(cloud: Cloud, visitor: httpx.Client) -> None:
    page = f"followed-{uuid4()}"
    follower = subprocess.Popen(
        [str(COMMANDS / "djambda"), "logs", "--follow", "--grep", page, "--local"]
        + ["--folder", str(cloud.folder)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert follower.stdout
        for number in range(3):
            visitor.get(f"{page}-{number}/")
            assert f"{page}-{number}/" in follower.stdout.readline()
        follower.send_signal(signal.SIGINT)
        assert follower.communicate(timeout=20)[0] == ""
        assert follower.returncode == 0
    finally:
        follower.kill()


def test_what_comes_after_very_much_is_there(cloud: Cloud, visitor: httpx.Client) -> None:
    """More events than CloudWatch gives at a time."""
    cloud.manage(["shell", "-v", "0", "-c", "print('much\n' * 12_000)"])
    page = f"late-{uuid4()}/"
    visitor.get(page)

    assert page in djambda(cloud, f"logs --grep {page}").stdout


def test_a_request_that_no_log_has(cloud: Cloud) -> None:
    done = djambda(cloud, f"logs --request {uuid4()}")

    assert done.returncode == 1
    assert "No log has the request" in done.stderr


def test_status(cloud: Cloud, visitor: httpx.Client) -> None:
    assert visitor.get("").status_code == 200

    found = answer(cloud, "status")

    assert found["url"] == cloud.site
    assert str(found["live"]["number"]) == live_version(cloud)
    assert found["stack"]["status"].endswith("_COMPLETE")
    assert found["database"]["state"] == "available"
    assert found["month"]["django"]["invocations"] > 0
    assert found["maintenance"] is False

    shown = djambda(cloud, "status").stdout
    assert f"  Site        {cloud.site}\n" in shown
    assert re.search(
        rf"^  Version     {live_version(cloud)}, published (just now|.* ago)", shown, re.MULTILINE
    )


def test_open(cloud: Cloud, tmp_path: Path) -> None:
    for name in ("open", "xdg-open"):  # Instead of the desktop's.
        browser = tmp_path / name
        browser.write_text(f'#!/bin/sh\necho "$1" >> {tmp_path}/opened\n')
        browser.chmod(0o755)
    path = shlex.quote(f"{tmp_path}{os.pathsep}")

    done = cloud.shell(f"PATH={path}$PATH djambda open --admin --local --folder {cloud.folder}")

    assert done.stdout == f"{cloud.site}admin/\n"
    assert (tmp_path / "opened").read_text() == done.stdout


def test_doctor(cloud: Cloud) -> None:
    found = answer(cloud, "doctor")

    assert found["ok"]
    assert {each["section"] for each in found["findings"]} == {
        "Machine",
        "Configuration",
        "Account",
        "Stack",
    }
    assert f"version {live_version(cloud)} serves" in djambda(cloud, "doctor").stdout


def test_doctor_where_nothing_is_configured(tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    done = subprocess.run(
        [COMMANDS / "djambda", "doctor", "--local", "--folder", tmp_path / "none"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout
    assert "The local cloud is not running. Start it: make up" in done.stdout


@pytest.mark.parametrize("newer_version", [{"MemorySize": 768}], indirect=True)
def test_rollback(cloud: Cloud, newer_version: tuple[str, str], visitor: httpx.Client) -> None:
    newer, before = newer_version

    unanswered = djambda(cloud, "rollback")
    assert unanswered.returncode == 1
    assert "memory: 768 MB becomes 1024 MB" in unanswered.stderr
    assert "Nobody can be asked here: to agree in a script, --yes" in unanswered.stderr
    assert live_version(cloud) == newer

    done = djambda(cloud, "rollback --yes")
    assert (done.returncode, done.stdout) == (0, f"Version {before} serves {cloud.site}\n"), (
        done.stderr
    )
    assert live_version(cloud) == before
    assert [each["number"] for each in answer(cloud, "status")["newer"]] == [int(newer)]

    assert answer(cloud, f"rollback --yes {newer}") == {
        "from": int(before),
        "to": int(newer),
        "url": cloud.site,
        "migrations_not_undone": [],
    }
    assert visitor.get("").status_code == 200

    assert "There is no version 999" in djambda(cloud, "rollback 999").stderr


@pytest.mark.parametrize("newer_version", [{"Handler": "djambda.nothing.at_all"}], indirect=True)
def test_from_a_failed_request_to_the_log_and_back(
    cloud: Cloud, newer_version: tuple[str, str], visitor: httpx.Client
) -> None:
    newer, before = newer_version
    page = visitor.get("")
    assert page.status_code == 502
    [shown_id] = re.findall(r"[0-9a-f]{8}-[0-9a-f-]{27}", page.text)

    # The local cloud's Django logs under an id that nobody is told: only the front door's is there.
    [line] = djambda(cloud, f"logs --request {shown_id}").stdout.splitlines()
    assert f"GET answered with 502 django_failed  error=django_failed  requestId={shown_id}" in line

    assert djambda(cloud, "rollback --yes").returncode == 0
    assert visitor.get("").status_code == 200

    refused = djambda(cloud, f"rollback --yes {newer}")
    assert refused.returncode == 1
    assert f"Version {newer} does not start" in refused.stderr
    assert live_version(cloud) == before
