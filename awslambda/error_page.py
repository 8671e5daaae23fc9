"""The proxy's own responses when Django has none: a page for browsers, JSON for API clients."""

from cors import cors_headers, is_permitted_preflight
from djambda_common.problem import (
    CONTENT_SECURITY_POLICY,
    SAFE_METHODS,
    Problem,
    render_json,
    render_page,
)
from gateway_event import address, header, method
from hsts import hsts_headers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lambda_types import GatewayEvent, GatewayResponse


def error_response(
    problem: Problem,
    event: "GatewayEvent",
    request_id: str,
    permissions: dict[str, str] | None = None,
) -> "GatewayResponse":
    """Return the response that explains the problem to the sender of `event`.

    `permissions` are the site's CORS headers for `event`, if it has any. If the sender asks for
    permission to send a request, the request will get the explanation.
    """
    headers = own_headers(event)
    if permissions:
        headers = {name: headers[name] for name in headers.keys() - cors_headers(event).keys()}
        headers |= permissions
    if is_permitted_preflight(event):
        return own_response(204, headers)
    safe = method(event) in SAFE_METHODS
    if problem.retry_after is not None:
        headers["Retry-After"] = str(problem.retry_after)
    if _wants_html(event):
        headers["Content-Type"] = "text/html; charset=utf-8"
        form = "" if safe else _resend_html(problem, event)
        body = render_page(problem, request_id, safe=safe, form=form, address=address(event))
    else:
        headers["Content-Type"] = "application/json"
        body = render_json(problem, request_id, safe=safe)
    return own_response(problem.status, headers, "" if method(event) == "HEAD" else body)


def _resend_html(problem: Problem, event: "GatewayEvent") -> str:
    if problem.may_have_run or problem.retry_after is None:
        return ""
    from resend import resend_html  # noqa: PLC0415 (rarely needed)

    return resend_html(event)


def own_headers(event: "GatewayEvent") -> dict[str, str]:
    """Return the headers that all of the proxy's own responses to `event` have."""
    return {
        "Cache-Control": "no-store",
        "Content-Security-Policy": CONTENT_SECURITY_POLICY,
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        **hsts_headers(event),
        **cors_headers(event),
    }


def own_response(status: int, headers: dict[str, str], body: str = "") -> "GatewayResponse":
    """Return a response in the format that API Gateway expects."""
    return {"statusCode": status, "headers": headers, "body": body, "isBase64Encoded": False}


def _wants_html(event: "GatewayEvent") -> bool:
    """Return whether a browser is navigating. https://www.w3.org/TR/fetch-metadata/#sec-fetch-mode-header"""
    return header(event, "sec-fetch-mode") == "navigate" or "text/html" in header(event, "accept")
