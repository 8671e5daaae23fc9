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

LONGEST = ("cloud", "iam", "test_product_boundary", "installed", "pipeline", "browser", "synth")
"""The folders and modules that `make test`, which runs two modules at a time, starts first.

The pipeline deploys other configurations to the session's cloud than the modules before need.
"""


def pytest_configure(config: pytest.Config) -> None:
    """Register the suite's markers."""
    description = "replaces the sample in a copy of the checkout; takes two minutes"
    config.addinivalue_line("markers", f"boundary: {description}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start with the modules that take the longest."""

    def position(item: pytest.Item) -> int:
        first = item.path.relative_to(ROOT / "tests").parts[0].removesuffix(".py")
        return (*LONGEST, first).index(first)

    items.sort(key=position)


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> None:
    """Run the test project on the embedded Postgres, with a database for each process."""
    connections["default"].settings_dict |= embedded_postgres(ROOT / ".local" / "test-postgres")
