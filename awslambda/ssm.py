"""Call SSM Parameter Store."""

import json
from collections.abc import Iterator
from typing import Any

from retry import request_json

BATCH = 10
"""The parameters that one request can delete."""


def call_ssm(action: str, **parameters: object) -> Any:
    """https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_Operations.html"""
    return request_json(
        "ssm",
        headers={
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": f"AmazonSSM.{action}",
        },
        body=json.dumps(parameters).encode(),
    )


def parameters_below(path: str, **options: bool) -> Iterator[dict[str, str]]:
    """Yield the parameters below a path, page by page."""
    query: dict[str, object] = {"Path": path, **options}
    while True:
        page = call_ssm("GetParametersByPath", **query)
        yield from page["Parameters"]
        if not page.get("NextToken"):
            return
        query["NextToken"] = page["NextToken"]


def delete_parameters(names: list[str]) -> None:
    """Delete parameters; those that do not exist are ignored."""
    for start in range(0, len(names), BATCH):
        call_ssm("DeleteParameters", Names=names[start : start + BATCH])
