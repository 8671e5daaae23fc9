"""Waiting for a database that is asleep.

Aurora Serverless pauses while nobody uses it. A connection attempt wakes it up, within 15 s mostly,
30 s or more after a day. Until then attempts time out, or fail in ways that look final
("no pg_hba.conf entry"); trying again is what AWS advises.
https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-serverless-v2-auto-pause.html
"""

import logging
import re
import time
from collections.abc import Callable

logger = logging.getLogger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 0.25, 2.0
"""Seconds between two attempts; the pause doubles."""

FINAL = re.compile(
    r"password authentication failed"
    r"|(database|role) .* does not exist"
    r"|server does not support SSL"
    r"|invalid (connection option|sslmode value|port number)"
)
"""What libpq says when trying again is no use, https://www.postgresql.org/docs/17/errcodes-appendix.html."""


def patiently[T](
    attempt: Callable[[float], T],
    *,
    seconds: float,
    errors: type[Exception],
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> T:
    """What `attempt(seconds_left)` returns, tried again after `errors` until `seconds` are over.

    Raises the last error then, and at once if it will not go away by itself.
    """
    deadline = clock() + seconds
    pause = FIRST_PAUSE
    while True:
        try:
            return attempt(deadline - clock())
        except errors as error:
            if FINAL.search(str(error)) or clock() + pause >= deadline:
                raise
            logger.info("The database does not answer yet, trying again: %s", _first_line(error))
        sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
