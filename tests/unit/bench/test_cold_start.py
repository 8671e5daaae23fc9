"""The table of cold starts, also where the page cache cannot be dropped."""

from pathlib import Path

import pytest
from bench import cold_start
from bench.cold_start import COLD, COLUMNS, Figures, Start


def test_column_without_measurements_is_empty() -> None:
    figures = Figures({column: [Start(1, 2), Start(3, 4)] for column in COLUMNS} | {COLD: []}, 700)

    assert figures.medians() == (2, 2, None)


def test_page_cache_that_cannot_be_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cold_start, "DROP_CACHES", tmp_path / "missing" / "drop_caches")

    assert not cold_start.drop_page_cache()
