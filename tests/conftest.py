"""Fixtures of all tests: one local cloud and one test database per session.

No test sees the caller's AWS account or deployment.
"""

import signal

import pytest
from django.db import connections

from djambda.development import embedded_postgres
from tests.cloud.checkout import ROOT
from tests.cloud.local import (
    admin,
    checkout,
    cloud,
    cloud_checkout,
    remove_deployment_variables,
    visitor,
)

__all__ = ["admin", "checkout", "cloud", "cloud_checkout", "visitor"]

remove_deployment_variables()

# A shell's background jobs ignore Ctrl-C, and so would the commands that the tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure(config: pytest.Config) -> None:
    """Register the suite's markers."""
    description = "replaces the sample in a copy of the checkout; takes two minutes"
    config.addinivalue_line("markers", f"boundary: {description}")


@pytest.fixture(scope="session")
def django_db_modify_db_settings() -> None:
    """Run the test project on the embedded Postgres."""
    connections["default"].settings_dict |= embedded_postgres(ROOT / ".local" / "test-postgres")
