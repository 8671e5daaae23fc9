"""Requests that no exception stops: their process ends, and the log shows where they hang."""

from collections.abc import Callable
from subprocess import CompletedProcess

import pytest

PROGRAM = """
import ctypes, time
from django.conf import settings
settings.configure()
from djambda import deadline
from djambda.db import watchdog
deadline.GATEWAY_SECONDS = 0.2 + deadline.RESPONSE_SECONDS
deadline.SIGNALS = 1
watchdog.start()

{code}

with deadline.limited_request({{}}, None):
    hang()
"""

IN_C = """
def hang():
    library, mutex = ctypes.CDLL(None), ctypes.create_string_buffer(64)
    while True:
        library.pthread_mutex_lock(mutex)
"""

CATCHES_EVERYTHING = """
def hang():
    while True:
        try:
            time.sleep(30)
        except BaseException:
            pass
"""


@pytest.mark.parametrize("code", [IN_C, CATCHES_EVERYTHING], ids=["C", "catches everything"])
def test_ends(code: str, run_deployed: Callable[..., CompletedProcess[str]]) -> None:
    done = run_deployed(PROGRAM.format(code=code))

    assert done.returncode == 1
    assert "in hang" in done.stderr
