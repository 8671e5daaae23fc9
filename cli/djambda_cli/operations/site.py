"""Is the site there? What `up`, `deploy` and `rollback` look at when they are through.

A version can have started and migrated, and still answer every page with an error: whoever has just
let it serve should be the first to know.
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

PATIENCE_SECONDS = 60
"""For a function that is being set up, and permissions that are new."""
TRIES = 3
"""For a page of Django's that is an error, as while the database wakes up."""
ANSWER_SECONDS = 35
PAUSE = 2.0


class Unseen(CliError):  # noqa: N818 (what it says)
    """The site cannot be reached from here, which says nothing about how it is."""


def look(deployment: Deployment, steps: Steps, *, back: str = "") -> None:
    """Wait until the home page is no server error; a site that is closed is left alone.

    Raises CliError for one that stays so, with the command `back` to what was there before.
    """
    if maintenance.load_digest(deployment.client("lambda"), deployment.proxy):
        stderr.print("  ! The site is closed for maintenance: it was not asked.", style="yellow")
        return
    try:
        with steps.step("The site answers") as progress:
            deadline = time.monotonic() + PATIENCE_SECONDS
            tries = 0
            while (status := status_of(deployment)) >= HTTPStatus.INTERNAL_SERVER_ERROR:
                tries += status == HTTPStatus.INTERNAL_SERVER_ERROR
                if tries == TRIES or time.monotonic() > deadline:
                    version = versions.live_version(
                        deployment.client("lambda"), deployment.function
                    )
                    raise CliError(
                        f"Version {version} serves, and {deployment.url} answers {status}.\n"
                        f"Why: {deployment.command('logs --errors')}"
                        + (f"\nBack: {back}" if back else "")
                    )
                progress(f"{status}")
                time.sleep(PAUSE)
    except Unseen as error:
        stderr.print(f"  ! {error}", style="yellow", soft_wrap=True)


def status_of(deployment: Deployment) -> int:
    """The status of the home page, as a browser asks for it. Raises `Unseen`."""
    url = urlsplit(deployment.url)
    # Not every system resolves *.localhost.
    connection = (
        http.client.HTTPConnection("127.0.0.1", url.port or 80, timeout=ANSWER_SECONDS)
        if deployment.emulator_port
        else http.client.HTTPSConnection(url.netloc, timeout=ANSWER_SECONDS)
    )
    try:
        connection.request("GET", url.path, headers={"Host": url.netloc, "Accept": "text/html"})
        return connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        raise Unseen(f"{deployment.url} cannot be reached from here: {error}") from None
    finally:
        connection.close()
