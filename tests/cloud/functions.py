"""Functions and REST APIs that tests create in the local cloud, apart from the site's."""

import io
import json
import textwrap
import uuid
import zipfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import boto3
import httpx
from botocore.config import Config

from tests.cloud.local import Cloud


def client(cloud: Cloud, service: str) -> Any:
    """Return a boto3 client for the local cloud, which does not retry."""
    return boto3.client(  # type: ignore[call-overload]
        service,
        endpoint_url=cloud.variables["AWS_ENDPOINT_URL"],
        region_name=cloud.variables["AWS_DEFAULT_REGION"],
        aws_access_key_id=cloud.variables["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=cloud.variables["AWS_SECRET_ACCESS_KEY"],
        config=Config(retries={"total_max_attempts": 1}, max_pool_connections=100),
    )


@dataclass(frozen=True)
class Invocation:
    """The outcome of one invocation. `error` is None, or the kind of the function's error."""

    payload: Any
    error: str | None


@dataclass(frozen=True)
class Function:
    """A function that a test has created."""

    cloud: Cloud
    name: str

    def invoke(self, event: object = None) -> Invocation:
        """Invoke it and wait for its response."""
        with closing(client(self.cloud, "lambda")) as api:
            response = api.invoke(FunctionName=self.name, Payload=json.dumps(event).encode())
            payload = json.loads(response["Payload"].read())
        return Invocation(payload, response.get("FunctionError"))

    def messages(self) -> list[str]:
        """Return the lines of its log."""
        group = f"/aws/lambda/{self.name}"
        events = self.cloud.call("logs", "filter_log_events", logGroupName=group)["events"]
        return [event["message"] for event in events]


def archive(files: dict[str, str]) -> bytes:
    """Return a zip archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in files.items():
            file.writestr(name, content)
    return buffer.getvalue()


@contextmanager
def function(cloud: Cloud, source: str, **configuration: Any) -> Iterator[Function]:
    """Create a function whose module has this source, with a `handler`; delete it at the end."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    with closing(client(cloud, "lambda")) as api:
        api.create_function(
            FunctionName=name,
            Role="arn:aws:iam::000000000000:role/test",
            Handler="module.handler",
            Code={"ZipFile": archive({"module.py": textwrap.dedent(source)})},
            **{"Runtime": "python3.13", "MemorySize": 256, "Timeout": 20, **configuration},
        )
        try:
            yield Function(cloud, name)
        finally:
            api.delete_function(FunctionName=name)


@contextmanager
def rest_api(cloud: Cloud, backend: Function) -> Iterator[httpx.Client]:
    """Create a REST API like the site's in front of a function; yield a client of its stage."""
    with closing(client(cloud, "apigateway")) as api, closing(client(cloud, "lambda")) as functions:
        api_id = api.create_rest_api(name=backend.name, binaryMediaTypes=["*/*"])["id"]
        root = api.get_resources(restApiId=api_id)["items"][0]["id"]
        proxy = api.create_resource(restApiId=api_id, parentId=root, pathPart="{proxy+}")["id"]
        arn = functions.get_function(FunctionName=backend.name)["Configuration"]["FunctionArn"]
        for resource in (root, proxy):
            target = {"restApiId": api_id, "resourceId": resource, "httpMethod": "ANY"}
            api.put_method(**target, authorizationType="NONE")
            api.put_integration(
                **target,
                type="AWS_PROXY",
                integrationHttpMethod="POST",
                uri="arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/"
                f"{arn}/invocations",
            )
        for kind in ("DEFAULT_4XX", "DEFAULT_5XX"):
            headers = {"gatewayresponse.header.Access-Control-Allow-Origin": "'*'"}
            api.put_gateway_response(
                restApiId=api_id, responseType=kind, responseParameters=headers
            )
        api.create_deployment(restApiId=api_id, stageName="prod")
        endpoint = urlsplit(cloud.variables["AWS_ENDPOINT_URL"])
        try:
            with httpx.Client(
                base_url=f"http://127.0.0.1:{endpoint.port}/prod",
                headers={"Host": f"{api_id}.execute-api.localhost:{endpoint.port}"},
                timeout=90,
                limits=httpx.Limits(max_connections=None),
                trust_env=False,
            ) as visitor:
                yield visitor
        finally:
            api.delete_rest_api(restApiId=api_id)
