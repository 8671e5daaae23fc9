"""A local cloud as the tests use it: over HTTP, through boto3, and with the commands users type.

The session's own is started by the command that users type, in an environment that would lead a
careless tool to a real account; it has a free port and its own folder, and ends with the test
session, also when that crashes.
"""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import boto3
import httpx

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = Path(sys.executable).parent
HOSTILE = {
    "AWS_PROFILE": "production",
    "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "AWS_SESSION_TOKEN": "a-real-session",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_ENDPOINT_URL_S3": "https://s3.amazonaws.com",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
    "CDK_DEFAULT_ACCOUNT": "123456789012",
    "HTTP_PROXY": "http://192.0.2.1:3128",
    "PGHOST": "192.0.2.1",
    "APP_NAME": "somebody-elses",
    "DOMAIN_NAME": "www.example.com",
    "HOSTED_ZONE_ID": "Z0123456789ABCDEFGHIJ",
}


@dataclass(frozen=True)
class Cloud:
    """The deployed local cloud: its folder, its site and what its variables file exports."""

    folder: Path
    variables: dict[str, str]

    @property
    def site(self) -> str:
        """The site's URL, with a slash at the end."""
        return self.variables["SITE_URL"]

    def browser(self) -> httpx.Client:
        """An HTTP client with a cookie jar, on the site's host by way of 127.0.0.1."""
        url = urlsplit(self.site)
        return httpx.Client(
            base_url=f"http://127.0.0.1:{url.port}{url.path}",
            headers={"Host": url.netloc, "Accept": "text/html"},
            timeout=60,
            trust_env=False,
        )

    def shell(self, command: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
        """Run a command line as a user does after sourcing the variables."""
        variables = shlex.quote(str(self.folder.with_name("variables")))
        return subprocess.run(
            ["bash", "-c", f". {variables}\n{command}"],
            cwd=cwd,
            env={**os.environ, **HOSTILE},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    def call(self, service: str, operation: str, **arguments: Any) -> Any:
        """One call of boto3 to this cloud: its answer."""
        client = boto3.client(  # type: ignore[call-overload]
            service,
            endpoint_url=self.variables["AWS_ENDPOINT_URL"],
            region_name=self.variables["AWS_DEFAULT_REGION"],
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )
        with closing(client):
            return getattr(client, operation)(**arguments)

    @property
    def function(self) -> str:
        """The Django function's name."""
        return f"{self.variables['ENVIRONMENT']}-{self.variables['APP_NAME']}-djambda-lambda"

    def manage(self, command: str | list[str]) -> dict[str, Any]:
        """Run a management command in the live version; the invocation's payload."""
        answer = self.call(
            "lambda",
            "invoke",
            FunctionName=self.function,
            Qualifier="live",
            Payload=json.dumps({"manage": command}).encode(),
        )
        payload: dict[str, Any] = json.loads(answer["Payload"].read())
        return payload


@contextmanager
def folder_of_a_cloud() -> Iterator[Path]:
    """A temporary folder that everybody may enter, as pytest's may not be, and a cloud's in it.

    Postgres does not run as root. In containers without user namespaces it runs as nobody.
    """
    with TemporaryDirectory(prefix="djambda-test-", ignore_cleanup_errors=True) as place:
        Path(place).chmod(0o711)
        folder = Path(place, "cloud")
        try:
            yield folder
        finally:
            run_down(folder)


def run_up(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """`djambda up` on a folder, owned by this test session."""
    return subprocess.run(
        [COMMANDS / "djambda", "up", "--folder", folder, "--owner", str(os.getpid()), *options],
        env={**os.environ, **HOSTILE},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


def run_down(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """`djambda down` on a folder."""
    return subprocess.run(
        [COMMANDS / "djambda", "down", "--folder", folder, *options],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def read_variables(folder: Path) -> dict[str, str]:
    """What sourcing the variables file leaves in a shell."""
    printed = subprocess.run(
        ["bash", "-c", f". {shlex.quote(str(folder.with_name('variables')))} && env -0"],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return dict(line.split("=", 1) for line in printed.split("\0") if line)


def log_in(client: httpx.Client, cloud: Cloud) -> httpx.Response:
    """Log the superuser in, as the form of the log-in page does."""
    page = client.get("accounts/login/")
    [token] = re.findall(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)[:1]
    return client.post(
        "accounts/login/",
        data={
            "csrfmiddlewaretoken": token,
            "username": cloud.variables["DJANGO_SUPERUSER_USERNAME"],
            "password": cloud.variables["DJANGO_SUPERUSER_PASSWORD"],
        },
        headers={"Origin": f"http://{client.headers['Host']}"},
    )
