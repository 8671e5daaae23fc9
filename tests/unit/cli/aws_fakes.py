"""Fake boto3 clients, a deployment that has them, and versions of the Django function."""

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import ClientError

from awscdk.config import Config
from djambda_cli.aws import versions
from djambda_cli.deployment import Deployment

CONFIG = Config(app_name="shop", environment="dev", aws_default_region="eu-west-1")


def refusal(code: str, message: str = "no") -> ClientError:
    """An error as boto3 raises it."""
    return ClientError({"Error": {"Code": code, "Message": message}}, "Something")


class FakeClient:
    """A boto3 client with a response for each operation, and `calls` with the arguments.

    A response can be a function of the arguments, or an error. A paginator has one page.
    """

    def __init__(self, **responses: Any) -> None:
        self.responses = responses
        self.calls: list[tuple[str, dict[str, Any]]] = []
        names = (
            *("ParameterNotFound", "ResourceNotFoundException", "NoSuchHostedZone"),
            *("NotFoundException", "PreconditionFailedException"),
        )
        self.exceptions = SimpleNamespace(**{name: _error_class(name) for name in names})

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def call(**arguments: Any) -> Any:
            self.calls.append((operation, arguments))
            response = self.responses[operation]
            if callable(response):
                response = response(**arguments)
            if isinstance(response, ClientError):
                code = response.response["Error"]["Code"]
                kind = getattr(self.exceptions, code, ClientError)
                raise kind(response.response, operation)
            return response

        return call

    def get_paginator(self, operation: str) -> Any:
        """Return a paginator whose only page is the operation's response."""
        return SimpleNamespace(paginate=lambda **arguments: [getattr(self, operation)(**arguments)])


@dataclass(frozen=True)
class FakeDeployment(Deployment):
    """A deployment on AWS with these clients."""

    clients: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str, **_config: Any) -> Any:
        """Return the service's client."""
        return self.clients[service]


def deployment(config: Config = CONFIG, /, **clients: Any) -> FakeDeployment:
    """A deployment on AWS, with clients by their services' names."""
    return FakeDeployment(config, None, clients)


def stack_resources(*functions: str) -> dict[str, Any]:
    """The stack's cluster and the log groups of its functions: Django, the proxy, and these."""
    names = {
        "AWS::RDS::DBCluster": ["the-cluster"],
        "AWS::Logs::LogGroup": [
            f"/aws/lambda/dev-shop-{function}"
            for function in ("djambda-lambda", "proxy", *functions)
        ],
    }
    return {
        "StackResourceSummaries": [
            {"ResourceType": kind, "ResourceStatus": "CREATE_COMPLETE", "PhysicalResourceId": name}
            for kind, of_kind in names.items()
            for name in of_kind
        ]
    }


def _error_class(name: str) -> type[ClientError]:
    return type(name, (ClientError,), {})


ARN = "arn:aws:lambda:eu-west-1:123456789012:function:dev-shop-djambda-lambda"


def published(number: str, **changes: Any) -> dict[str, Any]:
    """A version as Lambda lists it."""
    return {
        "Version": number,
        "LastModified": "2026-11-24T09:00:00.000+0000",
        "Runtime": "python3.12",
        "Architectures": ["arm64"],
        "MemorySize": 1024,
        "Timeout": 900,
        "Layers": [{"Arn": "arn:aws:lambda:eu-west-1:123456789012:layer:deps:4", "CodeSize": 1}],
        "Environment": {"Variables": {"RELEASE": f"release{number}", "DEBUG": ""}},
    } | changes


def lambda_client(*listed: dict[str, Any], live: str = "3", **responses: Any) -> FakeClient:
    """A Lambda client of a function with these versions."""
    alias = {"AliasArn": f"{ARN}:live", "FunctionVersion": live, "RevisionId": "r1"}
    defaults = {
        "get_alias": alias,
        "list_versions_by_function": {"Versions": [published("$LATEST"), *listed]},
        "list_tags": {"Tags": {}},
    }
    return FakeClient(**{**defaults, **responses})


def history(*listed: dict[str, Any], **responses: Any) -> versions.History | None:
    """The history of a function with these versions."""
    client: Any = lambda_client(*listed, **responses)
    return versions.load_history(client, "dev-shop-djambda-lambda")


def live_history(*listed: dict[str, Any], **responses: Any) -> versions.History:
    """The history of a function of which one version is live."""
    loaded = history(*listed, **responses)
    assert loaded is not None
    return loaded


THREE = tuple(published(number) for number in "234")
