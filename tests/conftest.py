"""What every tier shares: no test sees the caller's AWS account or settings; one local cloud a
session."""

import os
from collections.abc import Iterator

import httpx
import pytest

from awscdk.config import VARIABLES
from tests.cloud.local import Cloud, folder_of_a_cloud, log_in, read_variables, run_up

for name in list(os.environ):
    if name.startswith(("AWS_", "CDK_")) or name in VARIABLES:
        del os.environ[name]


@pytest.fixture(scope="session")
def cloud() -> Iterator[Cloud]:
    """The session's deployed local cloud, for the cloud and browser tiers."""
    with folder_of_a_cloud() as folder:
        done = run_up(folder, "--port", "0")
        assert done.returncode == 0, done.stdout + done.stderr
        yield Cloud(folder, read_variables(folder))


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
