"""Read a REST API's proxy event, in which any field may be missing, null or of another type."""

from djambda_common.problem import relative_address

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lambda_types import GatewayEvent, RequestContext


def header(event: "GatewayEvent", name: str, *, separator: str = ",") -> str:
    """Return a header's values, joined (RFC 9110, section 5.3), or "" if it is missing.

    `name` is in lowercase. Event names have the case that the client sent.
    """
    headers = event.get("multiValueHeaders") or event.get("headers")
    if not isinstance(headers, dict):
        return ""
    texts: list[object] = []
    for key, values in headers.items():
        if key.lower() == name:
            texts += values if isinstance(values, list) else [values]
    return separator.join(text for text in texts if isinstance(text, str))


def cookies(event: "GatewayEvent", name: str) -> list[str]:
    """Return the values of a cookie (RFC 6265, section 4.2.1)."""
    # HTTP/2 clients may send each cookie in a header of its own (RFC 9113, section 8.2.3).
    texts = header(event, "cookie", separator=";").split(";")
    pairs = (text.strip().partition("=") for text in texts)
    return [value for key, _, value in pairs if key == name]


def method(event: "GatewayEvent") -> str:
    """Return the request's method, or "" if it is malformed."""
    name = event["httpMethod"]
    return name if isinstance(name, str) else ""


def request_context(event: "GatewayEvent") -> "RequestContext":
    """Return API Gateway's own data about the request."""
    context = event.get("requestContext")
    return context if isinstance(context, dict) else {}


def address(event: "GatewayEvent") -> str:
    """Return the address of the visitor's page, relative to it, or "" if it is unknown."""
    path = request_context(event).get("path")
    if not isinstance(path, str):
        return ""
    return relative_address(path, _query(event))


def _query(event: "GatewayEvent") -> str:
    parameters = event.get("multiValueQueryStringParameters") or event.get("queryStringParameters")
    if not parameters or not isinstance(parameters, dict):
        return ""
    from urllib.parse import urlencode  # noqa: PLC0415 (its import takes a while)

    pairs = [
        (name, value)
        for name, values in parameters.items()
        for value in (values if isinstance(values, list) else [values])
        if isinstance(value, str)
    ]
    return urlencode(pairs, errors="replace")


def is_https(event: "GatewayEvent") -> bool:
    """Return whether the client uses HTTPS. The header's last value is the gateway's."""
    return header(event, "x-forwarded-proto").rpartition(",")[2].strip() == "https"
