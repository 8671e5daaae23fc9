"""A stack on a fake AWS, for the tests of deploys and deletions."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from awscdk.config import Config
from tests.unit.cli.aws_fakes import FakeClient, FakeDeployment, refusal

CONFIG = Config("my-app", "prod", "eu-west-1", aws_account_id="111122223333")
STACK_ID = "arn:aws:cloudformation:eu-west-1:111122223333:stack/prod-my-app/1"
STACK_TYPE = "AWS::CloudFormation::Stack"
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
LATER = datetime(2026, 11, 24, 13, tzinfo=UTC)

type Item = dict[str, Any]


def stack(status: str, updated: datetime = NOON, **more: Any) -> Any:
    """The description of a stack."""
    return {
        "StackName": "prod-my-app",
        "StackId": STACK_ID,
        "StackStatus": status,
        "LastUpdatedTime": updated,
        **more,
    }


def changes(*resources: Item) -> dict[str, list[Item]]:
    """The pages of a change set."""
    return {"describe_change_set": [{"Changes": [{"ResourceChange": item} for item in resources]}]}


def events(*rows: tuple[str, str, str, str]) -> list[Item]:
    """The pages of a stack's events, the newest first: resource, type, status, reason."""
    return [
        {
            "StackEvents": [
                {
                    "LogicalResourceId": name,
                    "ResourceType": type_,
                    "ResourceStatus": status,
                    "ResourceStatusReason": reason,
                    "Timestamp": NOON,
                }
            ]
        }
        for name, type_, status, reason in rows
    ]


@dataclass
class FakeAws:
    """A client of every service, which records its calls.

    `describe_stacks` returns one of `stacks` after the other, and then the last one again; None is
    a stack that does not exist. `pages` has the pages of paginators, `responses` those of other
    operations: a response, an error, or a list of them that is used like `stacks`.
    """

    stacks: list[Item | None] = field(default_factory=lambda: [None])
    pages: dict[str, list[Any]] = field(default_factory=dict)
    responses: dict[str, Any] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)

    def describe_stacks(self, **_: Any) -> Item:
        """Return the next description of the stack."""
        described = self.stacks.pop(0) if len(self.stacks) > 1 else self.stacks[0]
        if described is None:
            raise refusal("ValidationError", "Stack with id prod-my-app does not exist")
        return {"Stacks": [described]}

    def get_paginator(self, operation: str) -> Any:
        """Return a paginator of the operation's pages; a page can be an error."""
        pages = self.pages.get(operation, [])

        class Paginator:
            def paginate(self, **_: Any) -> Iterator[Item]:
                for page in pages:
                    if isinstance(page, Exception):
                        raise page
                    yield page

        return Paginator()

    def __getattr__(self, operation: str) -> Any:
        if operation == "exceptions":
            return FakeClient().exceptions

        def call(**arguments: Any) -> Any:
            self.calls.append(f"{operation} {' '.join(map(str, arguments.values()))}")
            response = self.responses.get(operation, {})
            if isinstance(response, list):
                response = response.pop(0) if len(response) > 1 else response[0]
            if isinstance(response, Exception):
                raise response
            return response

        return call

    def deployment(self) -> FakeDeployment:
        """Return a deployment that has only this client."""
        return FakeDeployment(CONFIG, None, clients=defaultdict(lambda: self))
