"""What every tier shares: no test sees the caller's AWS account or settings; one local cloud a
session."""

import os
from collections.abc import Iterator

import httpx
import pytest

from awscdk.config import VARIABLES
from tests.cloud.local import Cloud, log_in, read_variables, run_down, run_up

for name in list(os.environ):
    if name.startswith(("AWS_", "CDK_")) or name in VARIABLES:
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


@pytest.fixture
def visitor(cloud: Cloud) -> Iterator[httpx.Client]:
    """Somebody who has just opened the site."""
    with cloud.browser() as client:
        yield client


@pytest.fixture
def admin(visitor: httpx.Client, cloud: Cloud) -> httpx.Client:
    """The superuser, logged in."""
    assert log_in(visitor, cloud).status_code == 302
    return visitor
