"""The secret key of a project on the developer's machine."""

import os
import stat
from pathlib import Path

import pytest

from djambda.development import secret_key


def test_secret_key_is_kept_and_private(tmp_path: Path) -> None:
    file = tmp_path / "new" / "secret-key"

    key = secret_key(file)

    assert len(key) >= 50
    assert secret_key(file) == key
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["secret-key"]
    assert secret_key(tmp_path / "other") != key


def test_concurrent_processes_use_the_same_secret_key(
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
