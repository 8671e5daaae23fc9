"""One repository for all tests of the pipeline."""

import pytest

from tests.pipeline.gitlab import Repository, clone, need_rsync


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """The checkout, as GitLab has it."""
    need_rsync()
    return clone(tmp_path_factory.mktemp("gitlab"))
