"""The policies of the documentation as an account would have them, for the local cloud."""

from typing import Any

from tests.iam.calls import ACCOUNT
from tests.unit.docs.policies import documented_policies

EXAMPLE_ACCOUNT = "111122223333"
EXAMPLE = "prod-my-app"


def environment_policies(environment: str, app: str) -> dict[str, Any]:
    """Return the documented policies for one environment, by their headings."""
    return documented_policies(
        {
            EXAMPLE_ACCOUNT: ACCOUNT,
            EXAMPLE: f"{environment}-{app}",
            "djambda/prod/my-app": f"djambda/{environment}/{app}",
        }
    )


def review_policies(app: str) -> dict[str, Any]:
    """Return the documented policies for all review environments of an application."""
    return documented_policies(
        {
            EXAMPLE_ACCOUNT: ACCOUNT,
            f"{EXAMPLE}-storageassets": "review-*-storageassets",
            f"{EXAMPLE}-databasecluster": "review-*-databasecluster",
            EXAMPLE: f"review-*-{app}",
            "djambda/prod/my-app": f"djambda/review-*/{app}",
        }
    )


def principal(role: str) -> str:
    """Return the ARN of a role's session."""
    return f"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/session"
