"""A local cloud as the tests use it: over HTTP, through boto3, and with the commands users type.

`djambda up` starts it, in an environment that would lead a careless tool to a real account. It has
a free port and its own folder, and ends with the test session, even if that crashes.
"""

import json
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import boto3
import httpx
import psutil
import pytest

from awscdk.variables import VARIABLES
from tests.cloud.checkout import WORKING_TREE, Checkout, copy_with_shop
from tests.iam import recorder

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
    "APP_NAME": "another-site",
    "DOMAIN_NAME": "www.example.com",
    "HOSTED_ZONE_ID": "Z0123456789ABCDEFGHIJ",
    "MAIL_FROM": "Shop <shop@example.com>",
}
"""Variables of a shell that is set up for a real account, and for mail."""

MISSING_BUCKET = "no-such-bucket"


@dataclass(frozen=True)
class Cloud:
    """A deployed local cloud: its folder, the exported variables, and the checkout it runs."""

    folder: Path
    variables: dict[str, str]
    checkout: Checkout

    @property
    def site(self) -> str:
        """The site's URL, with a slash at the end."""
        return self.variables["SITE_URL"]

    @property
    def options(self) -> str:
        """The options that select this cloud in a command line."""
        return f"--local --folder {shlex.quote(str(self.folder))}"

    def browser(self) -> httpx.Client:
        """Return an HTTP client with a cookie jar, connected to the site through 127.0.0.1.

        It does not ask for HTML, and so waits for a site that starts, as API clients do.
        """
        url = urlsplit(self.site)
        return httpx.Client(
            base_url=f"http://127.0.0.1:{url.port}{url.path}",
            headers={"Host": url.netloc},
            timeout=60,
            trust_env=False,
        )

    def shell(
        self, command: str, *, checkout: Checkout | None = None, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command line as users do after sourcing the variables.

        `djambda` is that of `checkout`, by default the cloud's own, and its folder is the current
        one unless `cwd` names another.
        """
        checkout = checkout or self.checkout
        variables = shlex.quote(str(self.folder.with_name("variables")))
        commands = shlex.quote(str(checkout.commands))
        return subprocess.run(
            ["bash", "-c", f'. {variables}\nPATH={commands}:"$PATH"\n{command}'],
            cwd=cwd or checkout.folder,
            env={**os.environ, **HOSTILE},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    def djambda(
        self, arguments: str, *, checkout: Checkout | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run `djambda ARGUMENTS` on this cloud."""
        return self.shell(f"djambda {arguments} {self.options}", checkout=checkout)

    def call(self, service: str, operation: str, **arguments: Any) -> Any:
        """Return the response to one boto3 call to this cloud."""
        client = boto3.client(  # type: ignore[call-overload]
            service,
            endpoint_url=self.variables["AWS_ENDPOINT_URL"],
            region_name=self.variables["AWS_DEFAULT_REGION"],
            aws_access_key_id=self.variables["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.variables["AWS_SECRET_ACCESS_KEY"],
        )
        with closing(client):
            return getattr(client, operation)(**arguments)

    @property
    def function(self) -> str:
        """The Django function's name."""
        return f"{self.variables['ENVIRONMENT']}-{self.variables['APP_NAME']}-djambda-lambda"

    def live_version(self) -> str:
        """Return the number of the live version."""
        alias = self.call("lambda", "get_alias", FunctionName=self.function, Name="live")
        version: str = alias["FunctionVersion"]
        return version

    def stack_status(self, stack: str = "local-djambda") -> str:
        """Return the status of a stack, such as "UPDATE_COMPLETE"."""
        described = self.call("cloudformation", "describe_stacks", StackName=stack)
        status: str = described["Stacks"][0]["StackStatus"]
        return status

    def manage(self, command: str | list[str]) -> dict[str, Any]:
        """Run a management command in the live version; return the invocation's payload."""
        response = self.call(
            "lambda",
            "invoke",
            FunctionName=self.function,
            Qualifier="live",
            Payload=json.dumps({"manage": command}).encode(),
        )
        payload: dict[str, Any] = json.loads(response["Payload"].read())
        return payload


# Fixtures, for the product's tests and those of the sample


@pytest.fixture(scope="session")
def cloud_checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """The checkout that the session's local cloud runs: the product with the test project."""
    checkout = copy_with_shop(tmp_path_factory.mktemp("product"))
    recorder.install(checkout.folder / "cli" / "djambda_cli" / "local")
    return checkout


@pytest.fixture(scope="session")
def cloud(cloud_checkout: Checkout) -> Iterator[Cloud]:
    """The session's deployed local cloud."""
    with cloud_folder() as folder:
        done = run_up(folder, "--port", "0", checkout=cloud_checkout)
        assert done.returncode == 0, done.stdout + done.stderr
        yield Cloud(folder, read_variables(folder), cloud_checkout)


@pytest.fixture
def checkout(cloud: Cloud, tmp_path: Path) -> Checkout:
    """A copy of the deployed checkout, for changes."""
    return cloud.checkout.copy_to(tmp_path / "checkout")


@pytest.fixture
def visitor(cloud: Cloud) -> Iterator[httpx.Client]:
    """A browser without a session."""
    with cloud.browser() as client:
        yield client


@pytest.fixture
def admin(visitor: httpx.Client, cloud: Cloud) -> httpx.Client:
    """A browser with the superuser logged in."""
    assert log_in(visitor, cloud).status_code == 302
    return visitor


def remove_deployment_variables() -> None:
    """Hide the caller's AWS account and deployment from the tests."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "CDK_")) or name in VARIABLES:
            del os.environ[name]


@contextmanager
def cloud_folder() -> Iterator[Path]:
    """Yield a folder for a local cloud, which is stopped and deleted afterwards.

    Every user may enter it, unlike pytest's temporary folders: Postgres does not run as root.
    """
    with TemporaryDirectory(prefix="djambda-test-", ignore_cleanup_errors=True) as parent:
        Path(parent).chmod(0o711)
        folder = Path(parent, "cloud")
        try:
            yield folder
        finally:
            run_down(folder)


def run_up(folder: Path, *options: str, checkout: Checkout) -> subprocess.CompletedProcess[str]:
    """Run `djambda up` on a folder; the cloud ends with this test session.

    Its deployment has an egress function, unlike those of `tests/installed`.
    """
    return subprocess.run(
        [checkout.djambda, "up", "--folder", folder, "--owner", str(os.getpid()), *options],
        env={**os.environ, **HOSTILE, "EGRESS": "proxy"},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


def run_down(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run `djambda down` on a folder."""
    return subprocess.run(
        [WORKING_TREE.djambda, "down", "--folder", folder, *options],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def processes_in(folder: Path) -> list[psutil.Process]:
    """Return the processes of the cloud in a folder."""
    return [
        process
        for process in psutil.process_iter(["cmdline", "cwd"])
        if str(folder) in " ".join([*(process.info["cmdline"] or []), process.info["cwd"] or ""])
        and process.pid != os.getpid()
    ]


def read_variables(folder: Path) -> dict[str, str]:
    """Return the variables that a shell exports after sourcing the variables file."""
    printed = subprocess.run(
        ["bash", "-c", f". {shlex.quote(str(folder.with_name('variables')))} && env -0"],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return dict(line.split("=", 1) for line in printed.split("\0") if line)


def log_in(client: httpx.Client, cloud: Cloud) -> httpx.Response:
    """Log the superuser in with the login page's form."""
    page = client.get("accounts/login/")
    return client.post(
        "accounts/login/",
        data={
            "csrfmiddlewaretoken": csrf_token(page),
            "username": cloud.variables["DJANGO_SUPERUSER_USERNAME"],
            "password": cloud.variables["DJANGO_SUPERUSER_PASSWORD"],
        },
        headers={"Origin": f"http://{client.headers['Host']}"},
    )


def csrf_token(page: httpx.Response) -> str:
    """Return the CSRF token of a page's first form."""
    token: str = re.findall(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)[0]
    return token
