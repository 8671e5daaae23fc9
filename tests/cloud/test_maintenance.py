"""`djambda maintenance` on the local cloud: closed to visitors, open to who has the link."""

import json
from collections.abc import Iterator

import httpx
import pytest

from tests.cloud.local import Cloud


def switch(cloud: Cloud, state: str) -> dict[str, str]:
    done = cloud.shell(f"djambda maintenance {state} --json --local --folder {cloud.folder}")
    assert done.returncode == 0, done.stderr
    said: dict[str, str] = json.loads(done.stdout)
    return said


@pytest.fixture
def link(cloud: Cloud) -> Iterator[httpx.URL]:
    """The site is closed; this is the link that opens it."""
    try:
        yield httpx.URL(switch(cloud, "on")["link"])
    finally:
        switch(cloud, "off")


def invocations(cloud: Cloud) -> int:
    events = cloud.call("logs", "filter_log_events", logGroupName=f"/aws/lambda/{cloud.function}")
    return sum(event["message"].startswith("START") for event in events["events"])


def test_the_closed_site(cloud: Cloud, visitor: httpx.Client, link: httpx.URL) -> None:
    before = invocations(cloud)
    page = visitor.get("")

    assert page.status_code == 503
    assert "Back soon" in page.text
    assert page.headers["retry-after"] == "300"
    assert invocations(cloud) == before

    invitation = visitor.get("", params=link.params)
    assert (invitation.status_code, invitation.headers["location"]) == (303, "/prod/")
    assert visitor.get("").status_code == 200


def test_an_open_site(cloud: Cloud, visitor: httpx.Client) -> None:
    assert switch(cloud, "off") == {"closed": False, "link": None, "url": cloud.site}
    assert visitor.get("").status_code == 200


def test_a_wrong_word(cloud: Cloud) -> None:
    done = cloud.shell(f"djambda maintenance maybe --local --folder {cloud.folder}")

    assert done.returncode == 2
    assert "'on', 'off'" in done.stderr
