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

CLOUD, INSTALLED, SYNTH, UP = "cloud", "installed", "synth", "test_up"
GROUPS = {"browser": CLOUD, "cloud": CLOUD, "iam": CLOUD, "pipeline": CLOUD} | {
    "installed": INSTALLED,
    "synth": SYNTH,
}
"""The folders whose modules share a local cloud, an installation or templates."""
LONGEST = (CLOUD, UP, "test_product_boundary", INSTALLED, SYNTH)


def pytest_configure(config: pytest.Config) -> None:
    """Register the suite's markers."""
    description = "replaces the sample in a copy of the checkout; takes two minutes"
    config.addinivalue_line("markers", f"boundary: {description}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let `make test` run two groups of tests at a time, the longest first.

    Tests that share a local cloud or templates are one group, and so is each other module.
    """
    groups = {item: _group(item) for item in items}
    for item, group in groups.items():
        item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=lambda item: (*LONGEST, groups[item]).index(groups[item]))


def _group(item: pytest.Item) -> str:
    module, folder = item.path.stem, item.path.relative_to(ROOT / "tests").parts[0]
    return module if module == UP else GROUPS.get(folder, module)


@pytest.fixture(scope="session")
def django_db_modify_db_settings() -> None:
    """Run the test project on the embedded Postgres."""
    connections["default"].settings_dict |= embedded_postgres(ROOT / ".local" / "test-postgres")
