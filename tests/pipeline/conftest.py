"""One repository for all tests of the pipeline."""

import pytest

from tests.pipeline.gitlab import Repository, create_repository, install_rsync


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """The product with the test project, as GitLab has it."""
    install_rsync()
    return create_repository(tmp_path_factory.mktemp("gitlab"))
