"""The check of the site after `up`, `deploy` and `rollback`.

A version can start and migrate, and still respond to each request with an error.
"""

import http.client
import time
from http import HTTPStatus
from urllib.parse import urlsplit

from djambda_cli.aws import maintenance, versions
from djambda_cli.deployment import Deployment
from djambda_cli.errors import CliError
from djambda_cli.steps import Steps
from djambda_cli.terminal import stderr

TIMEOUT_SECONDS = 60
"""Lambda may take that long to prepare a new function or new permissions."""
ATTEMPTS = 3
"""For an error page of Django, as while the database resumes."""
RESPONSE_SECONDS = 35
PAUSE = 2.0


class SiteUnreachableError(CliError):
    """The site cannot be reached from this machine, so that its state is unknown."""


def check_site(deployment: Deployment, steps: Steps, *, undo: str = "") -> None:
    """Wait until the home page responds without a server error. Skips a closed site.

    Raises `CliError` for an error that remains; it names `undo`, the command that restores the
    version before.
    """
    client = deployment.client("lambda")
    if maintenance.load_digest(client, deployment.proxy):
        _warn("The site is closed for maintenance and was not checked.")
        return
    try:
        with steps.step("Check site") as progress:
            deadline = time.monotonic() + TIMEOUT_SECONDS
            errors = 0
            while (status := fetch_status(deployment)) >= HTTPStatus.INTERNAL_SERVER_ERROR:
                errors += status == HTTPStatus.INTERNAL_SERVER_ERROR
                if errors == ATTEMPTS or time.monotonic() > deadline:
                    version = versions.live_version(client, deployment.function)
                    raise CliError(
                        f"Version {version} is live, but {deployment.url} responds with {status}.\n"
                        f"Find the cause:  {deployment.command('logs --errors')}"
                        + (f"\nRoll back:       {undo}" if undo else "")
                    )
                progress(str(status))
                time.sleep(PAUSE)
    except SiteUnreachableError as error:
        _warn(str(error))


def fetch_status(deployment: Deployment) -> int:
    """Return the home page's HTTP status. Raises `SiteUnreachableError`."""
    url = urlsplit(deployment.url)
    # Not every system resolves *.localhost.
    connection = (
        http.client.HTTPConnection("127.0.0.1", url.port or 80, timeout=RESPONSE_SECONDS)
        if deployment.emulator_port
        else http.client.HTTPSConnection(url.netloc, timeout=RESPONSE_SECONDS)
    )
    try:
        # As a browser: the proxy then responds at once while the site wakes up.
        connection.request("GET", url.path, headers={"Host": url.netloc, "Accept": "text/html"})
        return connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        raise SiteUnreachableError(
            f"Could not reach {deployment.url} from this machine: {error}"
        ) from None
    finally:
        connection.close()


def _warn(message: str) -> None:
    stderr.print(f"  ! {message}", style="yellow", markup=False, soft_wrap=True)
