"""The address of djambda in the pipeline of a project."""

from importlib import metadata

import pytest

from djambda_cli.project import pipeline

COMMIT = "d3635b8da97946b9a49fe4054bdcfdd579647dd3"
GIT = f'"vcs_info": {{"vcs": "git", "commit_id": "{COMMIT}"}}'


class Installed:
    """An installed djambda with this record of its origin."""

    version = "0.1.0"

    def __init__(self, record: str | None) -> None:
        self._record = record

    def read_text(self, _name: str) -> str | None:
        return self._record


@pytest.mark.parametrize(
    ("record", "requirement"),
    [
        (None, "djambda==0.1.0"),
        (
            f'{{"url": "https://x.example/d.git", {GIT}}}',
            f"djambda @ git+https://x.example/d.git@{COMMIT}",
        ),
        ('{"url": "https://x.example/d.whl"}', "djambda @ https://x.example/d.whl"),
        ('{"url": "file:///home/ann/djambda", "dir_info": {}}', pipeline.PLACEHOLDER),
        (
            f'{{"url": "file:///d.git", {GIT}}}',
            pipeline.PLACEHOLDER,
        ),
    ],
)
def test_address_is_the_one_that_djambda_was_installed_from(
    record: str | None, requirement: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metadata, "distribution", lambda _name: Installed(record))

    assert pipeline.installed_requirement() == requirement
