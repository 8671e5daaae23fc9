"""Wait for a paused database.

Aurora Serverless pauses when it is unused. A connection attempt resumes it, mostly within 15 s, but
in 30 s or more after a day. Until then attempts time out, or fail with errors that look permanent
("no pg_hba.conf entry"); AWS advises to retry.
https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-serverless-v2-auto-pause.html
"""

import logging
import re
import time
from collections.abc import Callable

logger = logging.getLogger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 0.25, 2.0
"""Seconds between two attempts; the pause doubles."""

PERMANENT = re.compile(
    r"password authentication failed"
    r"|(database|role|certificate file) .* does not exist"
    r"|permission denied for database|is not permitted to log in"
    r"|server does not support SSL|certificate verify failed"
    r"|invalid (connection option|sslmode value|port number)"
)
"""Messages of errors that retrying does not fix.
https://www.postgresql.org/docs/17/errcodes-appendix.html"""

NOT_ASLEEP = re.compile(
    r"too many (clients|connections)|connection slots are reserved"
    r"|Name or service not known"
)
"""Messages of a server that is awake and has no room, and of one that does not exist."""


def retry_until_resumed[T](
    attempt: Callable[[float], T],
    *,
    seconds: float,
    errors: type[Exception],
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> T:
    """Return `attempt(seconds_left)`, retrying after `errors` for up to `seconds`.

    Raises the last error after that time, and a permanent error at once.
    """
    deadline = clock() + seconds
    pause = FIRST_PAUSE
    while True:
        try:
            return attempt(deadline - clock())
        except errors as error:
            if is_permanent(error) or clock() + pause >= deadline:
                raise
            logger.info("The database does not respond yet, retrying: %s", _first_line(error))
        sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


def is_permanent(error: Exception) -> bool:
    """Return whether retrying cannot help."""
    return bool(PERMANENT.search(str(error)))


def is_waking_up(error: Exception) -> bool:
    """Return whether a server that responds like this may be resuming."""
    return not is_permanent(error) and not NOT_ASLEEP.search(str(error))


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
