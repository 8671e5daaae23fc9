"""The secret key of a project on the developer's machine."""

import os
import stat
from pathlib import Path

import pytest

from djambda.development import secret_key


def test_the_secret_key_stays_and_is_private(tmp_path: Path) -> None:
    file = tmp_path / "new" / "secret-key"

    key = secret_key(file)

    assert len(key) >= 50
    assert secret_key(file) == key
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [each.name for each in file.parent.iterdir()] == ["secret-key"]
    assert secret_key(tmp_path / "other") != key


def test_two_processes_agree_on_the_secret_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "secret-key"
    link = os.link

    def link_second(source: str, target: str) -> None:
        if not file.exists():
            file.write_text("of the faster process")
        link(source, target)

    monkeypatch.setattr(os, "link", link_second)

    assert secret_key(file) == "of the faster process"
