"""Send a message with the API of Amazon SES, at most once, within a few seconds.

SES's API has an IPv6 address, unlike SMTP servers that a function without IPv4 could reach. A
request is repeated only if SES cannot have accepted the message. The errors are those of `smtplib`,
because a project that handles errors of mail expects these.

https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html
"""

import base64
import json
import smtplib
import time
from collections.abc import Sequence
from itertools import batched
from typing import Any

from djambda import deadline
from djambda_common import aws_api
from djambda_common.http_connection import Response

PATH = "/v2/email/outbound-emails"
JSON = {"content-type": "application/json"}

MAX_BYTES = 40 * 1024 * 1024
MAX_RECIPIENTS = 50
"""https://docs.aws.amazon.com/ses/latest/dg/quotas.html"""

REQUEST_SECONDS = 5.0
COMMAND_SECONDS = 30.0
"""The time that a page, and a command or task, waits for SES."""

RESPONSE_SECONDS = 1.0
"""The time that a page needs to respond after a message could not be sent."""

PAUSES = (0.2, 0.6)
"""Seconds before each repetition of a request that SES cannot have accepted."""

THROTTLED = {"TooManyRequestsException", "ThrottlingException", "Throttling"}
"""https://docs.aws.amazon.com/ses/latest/dg/manage-sending-quotas-errors.html"""

REMEDIES = {
    "AccessDeniedException": "The site may send only from addresses that MAIL_FROM covers. Set "
    "DEFAULT_FROM_EMAIL and SERVER_EMAIL to such an address.",
    "not verified": "Run `djambda doctor`: it reports an identity that is not verified, and the "
    "SES sandbox, in which each recipient must also be verified.",
    "paused": "Run `djambda doctor`: it reports the state of the account.",
    "suspended": "Run `djambda doctor`: it reports the state of the account.",
    "quota": "To request a higher quota: AWS console, Amazon SES, Account dashboard.",
}
"""The next step, by a part of SES's error."""

type Recipients = Sequence[tuple[str, str]]
"""Pairs of a field ("To", "Cc", "Bcc") and an address."""


class NotSentError(smtplib.SMTPException):
    """SES has not accepted the message. `code` is the name of its error, "" without a response."""

    def __init__(self, reason: str, code: str = "") -> None:
        super().__init__(f"The message was not sent: {reason}")
        self.code = code


class UnreachableError(NotSentError):
    """SES cannot be reached in time, and other messages would not be sent either."""


class PartlySentError(smtplib.SMTPException):
    """SES has accepted the message for some recipients. Sending it again would deliver it twice."""


class OutcomeUnknownError(smtplib.SMTPException):
    """SES may have accepted the message: sending it again could deliver it twice."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"The message may have been sent, but SES has not confirmed it: {reason}. Sending it "
            "again could deliver it twice."
        )


def send(message: bytes, *, sender: str, recipients: Recipients) -> None:
    """Send a MIME message to the recipients, whatever its headers say.

    More recipients than SES permits take several requests. Raises `NotSentError`,
    `OutcomeUnknownError` or `PartlySentError`, whose text has none of the recipients.
    """
    if len(message) > MAX_BYTES:
        raise NotSentError(
            f"it has {len(message) / 1024**2:.0f} MB with its attachments, and SES accepts "
            f"{MAX_BYTES // 1024**2} MB. Send a link to the file instead."
        )
    sent, ends = 0, time.monotonic() + _seconds()
    for batch in batched(recipients, MAX_RECIPIENTS):  # noqa: B911 (Python 3.12 lacks it)
        if deadline.current.is_command:  # Nobody waits for all of the batches.
            ends = time.monotonic() + _seconds()
        try:
            _deliver(_request(message, batch), ends)
        except smtplib.SMTPException as error:
            text = str(error)
            for address in {address for _, address in batch} - {sender}:
                text = text.replace(address, "a recipient")
            if sent:
                raise PartlySentError(
                    f"The message was sent to the first {sent} of {len(recipients)} recipients, "
                    f"but not to all of the others. {text}"
                ) from None
            error.args = (text,)
            raise
        sent += len(batch)


def _request(message: bytes, recipients: Recipients) -> bytes:
    destination: dict[str, list[str]] = {}
    for field, address in recipients:
        destination.setdefault(f"{field}Addresses", []).append(address)
    request: dict[str, Any] = {
        # Without FromEmailAddress, which would replace the message's From, and so its name.
        "Destination": destination,
        "Content": {"Raw": {"Data": base64.b64encode(message).decode()}},
    }
    return json.dumps(request).encode()


def _deliver(body: bytes, ends: float) -> None:
    """Send a request, again if that is safe and there is time."""
    deadline.current.act()
    for pause in (*PAUSES, None):
        seconds = ends - time.monotonic()
        if seconds <= 0:
            raise UnreachableError("there is no time left in this request.")
        try:
            response = aws_api.call("ses", path=PATH, headers=JSON, body=body, timeout=seconds)
        except aws_api.NotSent as error:
            failure: smtplib.SMTPException = UnreachableError(f"SES cannot be reached ({error}).")
        except aws_api.OutcomeUnknown as error:
            raise OutcomeUnknownError(str(error)) from None
        else:
            if response.status < 300:  # noqa: PLR2004 (a success)
                return
            failure = _failure_of(response)
            if not _is_throttled(failure):
                raise failure
        if pause is None or ends - time.monotonic() <= pause:
            raise failure
        time.sleep(pause)


def _seconds() -> float:
    ends = deadline.current.ends
    if ends is None:
        return deadline.LATE_SECONDS if deadline.current.is_late else COMMAND_SECONDS
    return min(REQUEST_SECONDS, ends - time.monotonic() - RESPONSE_SECONDS)


def _failure_of(response: Response) -> NotSentError | OutcomeUnknownError:
    code, text = aws_api.error_of(response)
    reason = f"{code or response.status}: {text}".rstrip(": .")
    if response.status >= 500:  # noqa: PLR2004 (an error of the service)
        return OutcomeUnknownError(reason)
    remedies = (REMEDIES[part] for part in REMEDIES if part.lower() in reason.lower())
    return NotSentError(f"SES refused it: {reason}. {next(remedies, '')}".rstrip(), code)


def _is_throttled(failure: smtplib.SMTPException) -> bool:
    """Return whether SES would accept the message a moment later; a daily quota lasts longer."""
    code = getattr(failure, "code", "")
    return code in THROTTLED and "quota" not in str(failure).lower()
