"""What every tier shares: no test can see the caller's AWS account; one local cloud a session."""

import os
from collections.abc import Iterator

import pytest

from tests.cloud.local import Cloud, read_variables, run_down, run_up

for name in [name for name in os.environ if name.startswith(("AWS_", "CDK_"))]:
    del os.environ[name]


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """The session's deployed local cloud, for the cloud and browser tiers."""
    folder = tmp_path_factory.mktemp("local") / "cloud"
    try:
        done = run_up(folder, "--port", "0")
        assert done.returncode == 0, done.stdout + done.stderr
        yield Cloud(folder, read_variables(folder))
    finally:
        run_down(folder)
