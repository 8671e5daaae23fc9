"""The Django Lambda's handler: responds to HTTP requests, runs management commands and tasks.

Django starts when Lambda imports this module: the INIT phase of a cold start has a full CPU at any
memory size.
"""

import contextlib
import gc
import os
import sys

from djambda import module_archive

if "LAMBDA_TASK_ROOT" in os.environ:
    gc.disable()  # As in `start_django`, which enables it again.
    module_archive.install()

from typing import Any
from wsgiref.types import WSGIApplication

from djambda import awsgi, deadline
from djambda.logs import log_failures
from djambda.parameters import deployment_secrets
from djambda_common.names import EGRESS_VARIABLE, TASKS_VARIABLE

RETRY = "The database was paused and is waking up now. Try again in a minute."


class UnknownEvent(ValueError):  # noqa: N818 (Lambda shows the name as errorType)
    """The event is not supported; the message names its keys and the supported events."""


def lambda_handler(event: Any, context: Any) -> dict[str, Any]:
    """Respond to an HTTP request, or run a task or a management command, which may be scheduled.

    `djambda.awsgi.response`, `djambda.management_command.manage`, `djambda.schedules.run_schedule`
    and `djambda.tasks.worker.run_task` describe events and results.
    """
    if EGRESS_VARIABLE in os.environ:
        from djambda.egress import function  # noqa: PLC0415 (only with `EGRESS=proxy`)

        function.invocation_id = context.aws_request_id
    if awsgi.is_request(event):
        from djambda.web_request import respond  # noqa: PLC0415 (see `start_django`)

        return respond(application, event, context)
    if isinstance(event, dict) and "schedule" in event:
        from djambda.schedules import run_schedule  # noqa: PLC0415 (as below)

        return run_schedule(event, context)
    if isinstance(event, dict) and "manage" in event:
        from djambda.management_command import manage  # noqa: PLC0415 (requests never need it)

        with _held_tasks(context):
            return manage(event["manage"], context, event.get("run"))
    if isinstance(event, dict) and "task" in event and TASKS_VARIABLE in os.environ:
        from djambda.tasks.worker import run_task  # noqa: PLC0415 (as above)

        return run_task(event["task"], context)
    if isinstance(event, dict) and "Records" in event and TASKS_VARIABLE in os.environ:
        from djambda.tasks.queue import run_messages  # noqa: PLC0415 (as above)

        return run_messages(event["Records"], context)
    keys = ", ".join(sorted(event)) if isinstance(event, dict) else type(event).__name__
    raise UnknownEvent(
        f"Events with these keys are not supported: {keys or '(none)'}. Supported are "
        f'{awsgi.ACCEPTED}, and management commands ({{"manage": "migrate --no-input"}}).'
    )


def _held_tasks(context: Any) -> contextlib.AbstractContextManager[None]:
    """Return the context manager that keeps tasks until the end of a release."""
    if TASKS_VARIABLE not in os.environ:
        return contextlib.nullcontext()
    from djambda.tasks.outbox import hold  # noqa: PLC0415 (few projects need it)

    return hold(context)


class DjangoFailedToStart(Exception):  # noqa: N818 (Lambda shows the name as errorType)
    """The message is the description of `start_failure`."""


class DatabaseAsleep(DjangoFailedToStart):
    """The project's start needs the database, which is paused. Lambda starts it again."""


def load_application() -> WSGIApplication:
    """Return the project's WSGI application: `WSGI_APPLICATION`, or Django's default without it."""
    from django.conf import settings  # noqa: PLC0415 (see `start_django`)
    from django.core.wsgi import get_wsgi_application  # noqa: PLC0415
    from django.utils.module_loading import import_string  # noqa: PLC0415

    application: WSGIApplication = (
        import_string(settings.WSGI_APPLICATION)
        if settings.WSGI_APPLICATION
        else get_wsgi_application()
    )
    return application


def add_source_folder() -> None:
    """Add `src/` of the deployed project to the import path if it contains the settings package.

    On the developer's machine, an editable installation does it.
    """
    folder = os.path.join(os.environ.get("LAMBDA_TASK_ROOT", ""), "src")  # noqa: PTH118
    package = os.environ.get("DJANGO_SETTINGS_MODULE", "").partition(".")[0]
    if os.path.exists(os.path.join(folder, package)) and folder not in sys.path:  # noqa: PTH110, PTH118
        sys.path.insert(1, folder)


def start_django() -> WSGIApplication:
    """Return the WSGI application, with everything loaded that the first request needs.

    Garbage collection is off meanwhile, which saves a tenth of the start: imported objects remain.
    Freezing them keeps later collections from traversing them during requests.
    """
    gc.disable()
    if path := os.environ.get("SECRETS_PATH"):
        deployment_secrets(path)  # SSM responds while Django is imported.
    from django.template import engines  # noqa: PLC0415 (not before the line above)

    from djambda.aws import configure_settings_module  # noqa: PLC0415
    from djambda.db import watchdog  # noqa: PLC0415
    from djambda.rejected_requests import reject_malformed_requests  # noqa: PLC0415
    from djambda.web_request import load_urls  # noqa: PLC0415

    add_source_folder()
    configure_settings_module()
    application = reject_malformed_requests(load_application())
    log_failures()
    watchdog.start()
    with contextlib.suppress(deadline.DatabaseNeeded):  # The first request loads them then.
        load_urls(wait=False)
    engines.all()
    gc.freeze()
    gc.enable()
    return application


try:
    application = start_django()
except (Exception, SystemExit) as error:
    from djambda.start_failure import describe

    # Not the error itself: Lambda's runtime shows no traceback of an ImportError, and no causes.
    if deadline.current.asleep:
        raise DatabaseAsleep(f"{describe(error)}\n{RETRY}") from error
    raise DjangoFailedToStart(describe(error)) from error
