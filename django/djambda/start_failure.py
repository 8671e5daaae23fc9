"""Describe why Django does not start: the exception, its causes, and where they were raised.

The description is all that a deploy, `djambda manage` and the log show. It is short enough for
CloudFormation and contains no value of a secret environment variable.
"""

import importlib
import linecache
import os
import re
import traceback
from collections.abc import Iterator
from pathlib import Path

from djambda import ipv4_hosts
from djambda.default_variables import secret_names
from djambda_common.variables import SECRET_WORDS, URL_PASSWORD

HIDDEN = (str(Path(__file__).parent), str(Path(importlib.__file__).parent))
"""The folders of code that is in each traceback."""

SHOWN_EXCEPTIONS = 3
SHOWN_FRAMES = 3
MESSAGE_LENGTH = 600
LINE_LENGTH = 160

SECRET_NAME = re.compile(rf"(?!SECRETS_PATH$).*({SECRET_WORDS}|URL)", re.IGNORECASE)
LEAST_SECRET_LENGTH = 5
"""Shorter values are words such as "1" or "prod", which occur everywhere."""


def describe(error: BaseException) -> str:
    """Return an exception and its causes, each with its last frames, preferably the project's."""
    chain = list(causes(error))
    if len(chain) > SHOWN_EXCEPTIONS:
        chain = [*chain[: SHOWN_EXCEPTIONS - 1], chain[-1]]
    lines: list[str] = []
    for link in chain:
        message = _shortened(f"{type(link).__name__}: {link}".rstrip(": "), MESSAGE_LENGTH)
        lines += [f"caused by {message}" if lines else message, *_location(link)]
    if explanation := ipv4_hosts.hint(error):
        lines.append(explanation)
    return _without_secrets("\n".join(lines))


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and those from which it was raised."""
    link: BaseException | None = error
    seen: set[int] = set()
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)


def _location(error: BaseException) -> list[str]:
    """Return the lines of code that raised an exception, as in a traceback."""
    linecache.checkcache()
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith(("<", *HIDDEN))
    ]
    shown = [frame for frame in frames if _is_project(frame.filename)][-SHOWN_FRAMES:]
    if not isinstance(error, SyntaxError):  # It names its place itself.
        shown = shown or frames[-SHOWN_FRAMES:]
        if shown and frames[-1] is not shown[-1]:
            shown.append(frames[-1])
    lines = []
    for frame in shown:
        lines.append(f'  File "{frame.filename}", line {frame.lineno}, in {frame.name}')
        if frame.line:
            lines.append(f"    {_shortened(frame.line, LINE_LENGTH)}")
    if isinstance(error, SyntaxError):
        *details, _ = traceback.format_exception_only(error)
        lines += "".join(details).splitlines()
    return lines


def _is_project(filename: str) -> bool:
    root = os.environ.get("LAMBDA_TASK_ROOT") or str(Path.cwd())
    return filename.startswith(f"{root}/") and "/site-packages/" not in filename


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[:length]} ..."


def _without_secrets(text: str) -> str:
    values = {
        secret
        for name, value in os.environ.items()
        if SECRET_NAME.match(name) or name in secret_names
        for secret in (value, *URL_PASSWORD.findall(value))
        if len(secret) >= LEAST_SECRET_LENGTH
    }
    for value in sorted(values, key=len, reverse=True):
        text = text.replace(value, "********")
    return text
