"""STS for the jobs: it exchanges the token of a job for temporary credentials of the local cloud.

The local cloud accepts only signed requests of its owner, and AssumeRoleWithWebIdentity has no
signature. So the jobs' calls to STS come here and are repeated with the owner's credentials.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from tests.cloud.local import Cloud

NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"
ROLES = {
    "dev": "arn:aws:iam::000000000000:role/gitlab-dev",
    "review/*": "arn:aws:iam::000000000000:role/gitlab-review",
}
"""The roles that jobs may assume, by their GitLab environments."""
TOKEN = "header.claims.signature"


class Handler(BaseHTTPRequestHandler):
    """The actions of STS that the jobs use, in AWS's query protocol."""

    cloud: Cloud

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        form = {name: values[0] for name, values in parse_qs(body).items()}
        action = form["Action"]
        try:
            result = self._result(action, form)
        except PermissionError as error:
            status, inner = (
                403,
                f"<Error><Code>AccessDenied</Code><Message>{error}</Message></Error>",
            )
            content = f'<ErrorResponse xmlns="{NAMESPACE}">{inner}</ErrorResponse>'
        else:
            status, inner = 200, f"<{action}Result>{to_xml(result)}</{action}Result>"
            content = f'<{action}Response xmlns="{NAMESPACE}">{inner}</{action}Response>'
        self.send_response(status)
        self.send_header("Content-Type", "text/xml")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content.encode())

    def _result(self, action: str, form: dict[str, str]) -> dict[str, Any]:
        if action == "GetCallerIdentity":
            return dict(self.cloud.call("sts", "get_caller_identity"))
        if action == "AssumeRoleWithWebIdentity":
            if form["RoleArn"] not in ROLES.values() or form["WebIdentityToken"] != TOKEN:
                raise PermissionError("the role or the token is another one")
        elif "Authorization" not in self.headers:
            raise PermissionError("the request is not signed")
        return dict(
            self.cloud.call(
                "sts",
                "assume_role",
                RoleArn=form["RoleArn"],
                RoleSessionName=form["RoleSessionName"],
            )
        )

    def log_message(self, *_: object) -> None:
        """Do not log."""


def to_xml(value: object) -> str:
    """Return a boto3 response as XML elements."""
    if isinstance(value, dict):
        elements = {name: item for name, item in value.items() if name != "ResponseMetadata"}
        return "".join(f"<{name}>{to_xml(item)}</{name}>" for name, item in elements.items())
    return escape(value.isoformat() if isinstance(value, datetime) else str(value))


@contextmanager
def sts_of(cloud: Cloud) -> Iterator[str]:
    """Run the service and yield its URL."""
    handler = type("CloudHandler", (Handler,), {"cloud": cloud})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
