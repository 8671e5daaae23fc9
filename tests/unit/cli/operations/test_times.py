"""Times in words."""

from datetime import UTC, datetime, timedelta

import pytest

from djambda_cli.operations.times import ago

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "just now (12:00)"),
        (-5, "just now (12:00)"),
        (60, "1 minute ago (11:59)"),
        (3 * 3600, "3 hours ago (09:00)"),
        (86_400, "1 day ago (2026-11-23 12:00)"),
        (9 * 86_400, "9 days ago (2026-11-15 12:00)"),
    ],
)
def test_ago(seconds: int, text: str) -> None:
    assert ago(NOW - timedelta(seconds=seconds), NOW) == text
