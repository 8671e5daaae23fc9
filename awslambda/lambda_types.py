"""Types of the events and contexts that Lambda passes to the functions in this folder.

The proxy imports them for the type checker only: importing `typing` would be a tenth of its start.
"""

from typing import NotRequired, Protocol, TypedDict


class Context(Protocol):
    """https://docs.aws.amazon.com/lambda/latest/dg/python-context.html"""

    aws_request_id: str

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until Lambda stops the function."""
        ...


class RequestContext(TypedDict, total=False):
    """API Gateway's own data about a request."""

    path: str
    requestId: str
    requestTimeEpoch: int


class GatewayEvent(TypedDict):
    """The fields of a REST API's proxy event that the proxy reads.

    https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html#api-gateway-simple-proxy-for-lambda-input-format
    """

    httpMethod: str
    path: NotRequired[str]
    body: NotRequired[str | None]
    isBase64Encoded: NotRequired[bool]
    headers: dict[str, str] | None
    multiValueHeaders: NotRequired[dict[str, list[str]] | None]
    queryStringParameters: dict[str, str] | None
    multiValueQueryStringParameters: NotRequired[dict[str, list[str]] | None]
    requestContext: RequestContext


class GatewayResponse(TypedDict):
    """A REST API's proxy response: the proxy's own has `headers`, Django's `multiValueHeaders`."""

    statusCode: int
    headers: NotRequired[dict[str, str]]
    multiValueHeaders: NotRequired[dict[str, list[str]]]
    body: str
    isBase64Encoded: bool


class CustomResourceEvent(TypedDict, total=False):
    """https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-requests.html"""

    RequestType: str
    RequestId: str
    ResponseURL: str
    StackId: str
    LogicalResourceId: str
    PhysicalResourceId: str
    ResourceProperties: dict[str, str]
    OldResourceProperties: dict[str, str]
