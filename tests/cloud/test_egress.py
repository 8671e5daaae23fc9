"""Requests of the deployed Django go through the egress function to a server with IPv4 only."""

import json
import textwrap
from typing import Any

from djambda_common.names import EGRESS_SUFFIX
from tests.cloud.local import Cloud
from tests.support.http_servers import http_server

LISTED = "127.0.0.2"
"""The host in the project's setting."""


def run(cloud: Cloud, code: str) -> str:
    """Run Python in the deployed Django and return what it prints."""
    result = cloud.manage(["shell", "--no-imports", "-c", textwrap.dedent(code)])
    assert "errorMessage" not in result, result
    output: str = result["output"]
    return output


def egress_log(cloud: Cloud) -> list[dict[str, Any]]:
    """Return the lines about requests in the egress function's log."""
    name = cloud.function.rpartition("-djambda-lambda")[0] + EGRESS_SUFFIX
    group = f"/aws/lambda/{name}"
    events = cloud.call("logs", "filter_log_events", logGroupName=group)["events"]
    lines = [json.loads(event["message"]) for event in events]
    return [line for line in lines if line.get("message") == "request"]


def test_request_of_a_listed_host(cloud: Cloud) -> None:
    with http_server(host=LISTED) as server:
        output = run(
            cloud,
            f"""
            import urllib.request
            request = urllib.request.Request(
                "http://{LISTED}:{server.port}/cookies?token=SECRET", b"SECRET", method="PUT"
            )
            with urllib.request.urlopen(request, timeout=20) as response:
                print(response.status, response.headers.get_all("Set-Cookie"))
            """,
        )

        assert "200 ['a=1', 'b=2; Path=/']" in output
        assert (server.only.method, server.only.body) == ("PUT", b"SECRET")
        [line] = [line for line in egress_log(cloud) if line["method"] == "PUT"]
        assert (line["host"], line["status"]) == (LISTED, 200)
        shown = cloud.djambda(f"logs --request {line['invocationId']} --function egress")
        assert f"method=PUT  host={LISTED}" in shown.stdout
        assert "SECRET" not in json.dumps(line)


def test_errors_are_those_of_the_library_and_repeat_nothing(cloud: Cloud) -> None:
    with http_server(host=LISTED) as server:
        output = run(
            cloud,
            f"""
            import urllib.request
            for url in ("http://{LISTED}:9/", "http://{LISTED}:{server.port}/close"):
                try:
                    urllib.request.urlopen(url, b"", timeout=20)
                except OSError as error:
                    print(repr(error))
            """,
        )

    refused, broken = output.strip().splitlines()
    assert refused.startswith("URLError(ConnectionRefusedError")
    assert broken.startswith("ConnectionResetError")
    assert len(server.requests) == 1


def test_other_hosts_are_reached_directly(cloud: Cloud) -> None:
    with http_server() as server:
        output = run(
            cloud,
            f"""
            import urllib.request
            print(urllib.request.urlopen("{server.url}/status/200").status)
            """,
        )

    assert "200" in output
    assert "127.0.0.1" not in {line["host"] for line in egress_log(cloud)}
