"""The Pythons of this machine."""

import sys
from pathlib import Path

from awscdk.interpreters import OWN_VERSION, find_interpreter


def test_own_version_is_this_interpreter() -> None:
    assert find_interpreter(OWN_VERSION) == Path(sys.executable)


def test_version_that_is_not_installed() -> None:
    assert find_interpreter("3.99") is None
