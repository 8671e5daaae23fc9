"""The Django Lambda's handler: looks at an event and hands it to what can answer it.

Django starts when Lambda imports this module, in the INIT phase of a cold start, which has a full
CPU whatever the function's memory.
"""

import gc
from typing import Any
from wsgiref.types import WSGIApplication

from djambda import awsgi


class UnknownEvent(ValueError):  # noqa: N818 (Lambda shows the name as errorType)
    """Nothing here can answer this event; the message has its keys and what is accepted."""


def lambda_handler(event: Any, context: Any) -> dict[str, Any]:
    """Answers an HTTP request, or runs a management command.

    Event and answer are those of `djambda.awsgi.response` and `djambda.management_command.manage`.
    """
    if awsgi.is_request(event):
        return awsgi.response(application, event, context)
    if isinstance(event, dict) and "manage" in event:
        from djambda.management_command import manage  # noqa: PLC0415 (requests never need it)

        return manage(event["manage"], context, event.get("run"))
    keys = ", ".join(sorted(event)) if isinstance(event, dict) else type(event).__name__
    raise UnknownEvent(
        f"Nothing here answers an event with these keys: {keys or '(none)'}. Accepted are "
        f'{awsgi.ACCEPTED}, and management commands ({{"manage": "migrate --no-input"}}).'
    )


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


def start_django() -> WSGIApplication:
    """The WSGI application, with what else the first request would have to wait for.

    Almost all that an import makes stays. Looking for garbage among it meanwhile would take a tenth
    of the start, and looking through it again and again later would slow down requests.
    """
    gc.disable()
    from django.template import engines  # noqa: PLC0415 (not before the line above)
    from django.urls import get_resolver  # noqa: PLC0415

    application = load_application()
    get_resolver().reverse_dict  # noqa: B018 (loads the URLconf and all that it names)
    engines.all()
    gc.freeze()
    gc.enable()
    return application


application = start_django()
