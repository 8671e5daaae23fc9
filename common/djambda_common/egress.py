"""The events and results of the egress function, which makes HTTP requests for Django.

An event is {"method", "url", "headers", "body", "timeout", "seconds", "verify"}. A result is
{"status", "reason", "version", "headers", "body"} or {"error", "message"}. Headers are lists of
pairs, bodies are base64, times are seconds or null, and `error` is one of the constants below.
"""

BLOCKED = "blocked"
CONNECT_TIMEOUT = "connect_timeout"
INVALID = "invalid"
NAME = "name"
REFUSED = "refused"
TLS = "tls"
UNREACHABLE = "unreachable"
NOT_SENT = (BLOCKED, CONNECT_TIMEOUT, INVALID, NAME, REFUSED, TLS, UNREACHABLE)
"""Errors before the request: the server has received nothing."""

BROKEN = "broken"
READ_TIMEOUT = "read_timeout"
TOO_LARGE = "too_large"
"""Errors after it: the server may have processed the request."""

MAX_PAYLOAD = 6 * 1024 * 1024
"""Bytes of an event or a result: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"""
MAX_BODY = 4_400_000
"""Bytes of a body, which base64 makes a third longer; the rest is for the headers."""
