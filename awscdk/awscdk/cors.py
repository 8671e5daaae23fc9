"""CORS headers on the errors that API Gateway itself sends, such as a 429 from throttling.

Their headers are static, so they can name one origin only. With several, the errors are readable by
all origins, but only for requests without cookies. They contain nothing about the visitor. AWS does
not support headers on the gateway's own 413:
https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-known-issues.html
"""

from aws_cdk import aws_apigateway as apigateway

TYPES = {
    "ClientErrors": apigateway.ResponseType.DEFAULT_4_XX,
    "ServerErrors": apigateway.ResponseType.DEFAULT_5_XX,
}


def share_errors(rest_api: apigateway.RestApi, origins: tuple[str, ...]) -> None:
    """Let pages of `origins` read the errors of `rest_api`."""
    if not origins:
        return
    origin = origins[0] if len(origins) == 1 else "*"
    headers = {"Access-Control-Allow-Origin": f"'{origin}'"}
    if origin != "*":
        headers["Access-Control-Allow-Credentials"] = "'true'"
    for name, response_type in TYPES.items():
        rest_api.add_gateway_response(name, type=response_type, response_headers=headers)
