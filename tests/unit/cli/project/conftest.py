"""Fixtures: a project outside CI."""

from pathlib import Path

import pytest

from tests.unit.cli.project.checkouts import Checkout


@pytest.fixture(autouse=True)
def _not_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)
