"""The decision to build the layer before a deploy."""

import pytest

from djambda_cli.operations import synthesis
from djambda_cli.paths import load_project
from djambda_cli.project import layer

PROJECT = load_project()


def test_ci_uses_a_layer_that_synth_accepts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layer, "is_current", lambda *_: False)
    monkeypatch.setattr(synthesis, "problems", lambda *_: [])
    monkeypatch.delenv("CI", raising=False)
    assert not synthesis.layer_is_usable(PROJECT, "x86_64")

    monkeypatch.setenv("CI", "true")
    assert synthesis.layer_is_usable(PROJECT, "x86_64")
