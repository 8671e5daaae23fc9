"""The Django Lambda's handler: looks at an event and hands it to what can answer it.

Django is set up and the application built when Lambda imports this module, in the INIT phase of a
cold start, which has a full CPU whatever the function's memory.
"""

from typing import Any

from djambda import awsgi
from djambda.wsgi import application


class UnknownEvent(ValueError):  # noqa: N818 (Lambda shows the name as errorType)
    """Nothing here can answer this event; the message has its keys and what is accepted."""


def lambda_handler(event: Any, context: Any) -> dict[str, Any]:
    """Answers a request of an API Gateway REST API, or runs a management command.

    Event and answer are those of `djambda.awsgi.response` and `djambda.management_event.manage`.
    """
    if awsgi.is_request(event):
        return awsgi.response(application, event, context)
    if isinstance(event, dict) and "manage" in event:
        from djambda.management_event import manage  # noqa: PLC0415 (requests never need it)

        return manage(event["manage"], context)
    keys = ", ".join(sorted(event)) if isinstance(event, dict) else type(event).__name__
    raise UnknownEvent(
        f"Nothing here answers an event with these keys: {keys or '(none)'}. Accepted are requests "
        "of an API Gateway REST API (httpMethod, path, requestContext ...) and management commands "
        '({"manage": "migrate --no-input"}).'
    )
