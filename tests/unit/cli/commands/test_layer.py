"""`djambda layer`: its summary, and an architecture that Lambda does not have."""

import pytest
from typer.testing import CliRunner

from djambda_cli.commands.layer import summary
from djambda_cli.main import app
from djambda_cli.project.layer import BuiltLayer, Sizes

PACKAGES = [("numpy", 150_000_000), ("django", 20_100_000)]


def built(
    unzipped: int, *, lock_changes: list[str] | None = None, sources: list[str] | None = None
) -> BuiltLayer:
    return BuiltLayer(Sizes(unzipped, 0, PACKAGES), 60_000_000, sources or [], lock_changes, [])


def test_summary_has_the_sizes_and_the_share_of_the_limit() -> None:
    shown = summary(built(131_072_000), "layers/django/python")

    assert "layers/django/python" in shown
    assert "60.0 MB" in shown
    assert "131.1 MB (50%" in shown
    assert "numpy" not in shown
    assert "requirements.lock" not in shown


def test_summary_of_a_large_layer_lists_the_largest_packages() -> None:
    assert "numpy 150.0 MB, django 20.1 MB" in summary(built(210_000_000), "layer")


def test_summary_mentions_a_lock_file_to_commit() -> None:
    shown = summary(built(0, lock_changes=["django 6.1.2 → 6.1.3"]), "layer")

    assert "requirements.lock" in shown
    assert "django 6.1.2 → 6.1.3" in shown


def test_summary_names_the_packages_that_were_built_from_source() -> None:
    assert "django-haystack 3.4.0" in summary(built(0, sources=["django-haystack 3.4.0"]), "layer")


@pytest.mark.parametrize("architecture", ["sparc", ""])
def test_unknown_architecture_is_refused(architecture: str) -> None:
    result = CliRunner().invoke(app, ["layer", "--architecture", architecture])

    assert result.exit_code == 1
    assert "x86_64 and arm64" in result.stderr
