"""`djambda maintenance` on the local cloud: closed to visitors, open with the bypass link."""

import json
from collections.abc import Iterator

import httpx
import pytest

from tests.cloud.local import Cloud


def switch(cloud: Cloud, state: str) -> dict[str, str]:
    """Run `djambda maintenance STATE` and return its JSON."""
    done = cloud.djambda(f"maintenance {state} --json")
    assert done.returncode == 0, done.stderr
    result: dict[str, str] = json.loads(done.stdout)
    return result


@pytest.fixture
def link(cloud: Cloud) -> Iterator[httpx.URL]:
    """The bypass link of the closed site."""
    try:
        yield httpx.URL(switch(cloud, "on")["link"])
    finally:
        switch(cloud, "off")


def invocations(cloud: Cloud) -> int:
    """Count the invocations of the Django function."""
    events = cloud.call("logs", "filter_log_events", logGroupName=f"/aws/lambda/{cloud.function}")
    return sum(event["message"].startswith("START") for event in events["events"])


def test_closed_site(cloud: Cloud, visitor: httpx.Client, link: httpx.URL) -> None:
    before = invocations(cloud)
    page = visitor.get("")

    assert page.status_code == 503
    assert page.headers["retry-after"] == "300"
    assert invocations(cloud) == before

    bypass = visitor.get("", params=link.params)
    assert (bypass.status_code, bypass.headers["location"]) == (303, "/prod/")
    assert visitor.get("").status_code == 200


def test_open_site(cloud: Cloud, visitor: httpx.Client) -> None:
    assert switch(cloud, "off") == {"closed": False, "link": None, "url": cloud.site}
    assert visitor.get("").status_code == 200


def test_unknown_state_is_a_usage_error(cloud: Cloud) -> None:
    done = cloud.djambda("maintenance maybe")

    assert done.returncode == 2
    assert "'on', 'off'" in done.stderr
