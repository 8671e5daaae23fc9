"""An error as a page for browsers and as JSON for API clients.

The page is one file without scripts, light or dark as the visitor prefers. It contains only what a
visitor may know; the log has the rest under the same request ID.
"""

import json

SAFE_METHODS = {"GET", "HEAD", "OPTIONS", "TRACE"}
"""They change nothing (RFC 9110, section 9.2.1), so repeating them is safe."""

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"
)
"""The page loads nothing; its style sheet is part of it."""

NOT_PROCESSED = "Your request was not processed. Please go back and try again later."
SEND_AGAIN = "Your request was not processed. You can send the same data again."
MAY_BE_PROCESSED = "Your request may have been processed. Please check before you send it again."
RELOADS = "This page reloads by itself until the site is ready."


class Problem:
    """A reason why there is no response from the site, and the response to send instead.

    `error` is its code in JSON and in the log. `may_have_run` is true if Django may have processed
    the request. `retry_after` is that header's value in seconds, None if retrying does not help.
    `refresh` is the number of seconds after which the page reloads, None if it does not.
    """

    __slots__ = ("error", "may_have_run", "message", "refresh", "retry_after", "status", "title")

    def __init__(  # noqa: PLR0913 (one row of a table)
        self,
        status: int,
        error: str,
        title: str,
        message: str,
        *,
        may_have_run: bool = False,
        retry_after: int | None = None,
        refresh: int | None = None,
    ) -> None:
        self.status = status
        self.error = error
        self.title = title
        self.message = message
        self.may_have_run = may_have_run
        self.retry_after = retry_after
        self.refresh = refresh


REPORT = "If it happens again, please send the site's operator the request ID below."

RESPONSE_TOO_LARGE = Problem(
    502,
    "response_too_large",
    "This page is too large",
    f"The site's response is too large to be delivered. {REPORT}",
    may_have_run=True,
)

TIMED_OUT = Problem(
    503,
    "timed_out",
    "This took too long",
    "The site stopped this request because it took too long.",
    may_have_run=True,
)

WAKING_UP = Problem(
    503,
    "waking_up",
    "Waking up",
    "This site sleeps while nobody uses it, and it is waking up now. "
    "That usually takes less than a minute.",
    retry_after=10,
    refresh=2,
)


UNFINISHED = Problem(
    504,
    "unfinished",
    "Not finished",
    "The site's database has not responded yet.",
    may_have_run=True,
)
"""Like `WAKING_UP`, but for a request that has done something else before."""


def is_navigation(method: str, fetch_mode: str, fetch_destination: str, accept: str) -> bool:
    """Return whether a browser loads a page, which its user sees only when there is a response.

    A frame does not count: the user sees the page around it, and it cannot show an explanation.
    `fetch_mode`, `fetch_destination` and `accept` are the headers Sec-Fetch-Mode, which scripts
    cannot set to "navigate", Sec-Fetch-Dest, and Accept.
    https://www.w3.org/TR/fetch-metadata/#sec-fetch-dest-header
    """
    wants_page = fetch_mode == "navigate" if fetch_mode else "text/html" in accept
    wants_page = wants_page and fetch_destination in {"", "document"}
    return wants_page and method in {"GET", "HEAD"}


def relative_address(path: str, query: str) -> str:
    """Return a page's address as a link from the page to itself, without the fragment.

    Not the whole path, which may be another one for the browser: a CDN can add a prefix to it.
    """
    segment = path.rpartition("/")[2].replace("?", "%3F").replace("#", "%23")
    return f"./{segment}?{query}" if query else f"./{segment}"


def render_json(problem: Problem, request_id: str, *, safe: bool) -> str:
    """Return the JSON for API clients."""
    message = f"{problem.message} {_advice(problem, safe=safe)}".rstrip()
    return json.dumps({"error": problem.error, "message": message, "requestId": request_id})


STYLE = """
:root { color-scheme: light dark; --ink: #1d2733; --soft: #5b6876; --paper: #f4f6f8;
  --card: #fff; --line: #dfe5ea; --accent: #0c6b58 }
@media (prefers-color-scheme: dark) { :root { --ink: #e8edf2; --soft: #9aa7b4;
  --paper: #12181f; --card: #1a222b; --line: #2b3641; --accent: #5cc9b0 } }
* { box-sizing: border-box }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1.5rem;
  background: var(--paper); color: var(--ink); line-height: 1.55;
  font-family: system-ui, -apple-system, "Segoe UI", Roboto, sans-serif }
main { width: 100%; max-width: 32rem; padding: 2.5rem; background: var(--card);
  border: 1px solid var(--line); border-top: 4px solid var(--accent); border-radius: 12px }
.status { margin: 0; color: var(--accent); font-weight: 600; letter-spacing: .04em }
h1 { margin: .25rem 0 1rem; font-size: 1.6rem; line-height: 1.25 }
p { margin: 0 0 1rem }
.button { display: inline-block; margin: .5rem 0 1rem; padding: .6rem 1.2rem; border-radius: 8px;
  border: 0; background: var(--accent); color: var(--card); font: inherit; font-weight: 600;
  text-decoration: none; cursor: pointer }
.waiting { height: 4px; margin: 0 0 1.5rem; border-radius: 2px; background: var(--line);
  overflow: hidden }
.waiting::before { content: ""; display: block; width: 35%; height: 100%; border-radius: 2px;
  background: var(--accent); animation: waiting 1.6s ease-in-out infinite alternate }
@keyframes waiting { to { transform: translateX(186%) } }
@media (prefers-reduced-motion: reduce) { .waiting::before { animation: none } }
.button:focus-visible { outline: 3px solid var(--ink); outline-offset: 2px }
footer { margin-top: 1.5rem; padding-top: 1rem; border-top: 1px solid var(--line);
  color: var(--soft); font-size: .875rem }
code { font-family: ui-monospace, SFMono-Regular, Menlo, monospace; overflow-wrap: anywhere }
"""


def render_page(
    problem: Problem, request_id: str, *, safe: bool, form: str = "", address: str = ""
) -> str:
    """Return the page for browsers. The request was `safe` if repeating it changes nothing.

    `form` is the HTML of a form that sends an unsafe request again. `address` is the URL of the
    page without a fragment: browsers do not reload an address with one.
    https://html.spec.whatwg.org/multipage/browsing-the-web.html#navigate-fragid
    """
    from html import escape  # noqa: PLC0415 (its import takes a while, and few requests need it)

    reloads = safe and problem.refresh is not None
    advice = RELOADS if reloads else SEND_AGAIN if form else _advice(problem, safe=safe)
    can_reload = safe and (problem.may_have_run or problem.retry_after is not None)
    paragraphs = "\n".join(f"<p>{text}</p>" for text in (problem.message, advice) if text)
    # An empty href is the page's own address.
    button = '<a class="button" href="">Try again</a>' if can_reload and not reloads else form
    content = f"{problem.refresh}; url={escape(address)}" if address else problem.refresh
    refresh = f'<meta http-equiv="refresh" content="{content}">' if reloads else ""
    status = '<div class="waiting"></div>' if reloads else f'<p class="status">{problem.status}</p>'
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
{refresh}
<title>{problem.title}</title>
<style>{STYLE}</style>
</head>
<body>
<main>
{status}
<h1>{problem.title}</h1>
{paragraphs}
{button}
<footer>Request ID: <code>{escape(request_id)}</code></footer>
</main>
</body>
</html>
"""


def _advice(problem: Problem, *, safe: bool) -> str:
    if safe:
        return ""
    if problem.may_have_run:
        return MAY_BE_PROCESSED
    return NOT_PROCESSED if problem.retry_after is not None else ""
