"""Run Lambda functions in environments of their own (`emulator_environment.py`).

The emulator keeps a pool of environments for each function, assigns one to each invocation, and
counts concurrent invocations. This replaces what it does with an environment, and adds Lambda's
checks of a request.

It runs with the emulator's interpreter and imports nothing of djambda.
"""

import json
from typing import Any

from emulator_environment import HOST, MEGABYTE, Config, Environment, Result
from ministack.core import lambda_runtime
from ministack.services import lambda_svc

MAX_REQUEST, MAX_ASYNCHRONOUS_REQUEST = 6 * MEGABYTE, MEGABYTE
"""https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"""


def execute(
    function: dict[str, Any], config: Config, event: Any, request_id: str, _started: float
) -> Result:
    """Serve an invocation that the emulator has admitted, with a free environment of its pool."""
    lambda_svc._ensure_reaper_thread()
    environment, _ = lambda_runtime.acquire_worker(
        config["FunctionName"],
        config,
        function["code_zip"],
        qualifier=config.get("Version", "$LATEST"),
    )
    environment.config = config  # Its ARN has the qualifier of this invocation.
    try:
        trace_id = lambda_svc._xray_trace_id_for_invocation(config)
        result: Result = environment.handle(event, request_id, trace_id)
    finally:
        lambda_runtime.release_worker(environment)
    return result


def with_request_limits(handle: Any) -> Any:
    """Return the emulated Lambda API with Lambda's checks of an invocation's payload."""

    async def handle_request(
        method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]
    ) -> Any:
        if method == "POST" and path.endswith("/invocations"):
            is_event = headers.get("x-amz-invocation-type") == "Event"
            limit = MAX_ASYNCHRONOUS_REQUEST if is_event else MAX_REQUEST
            if len(body) > limit:
                return _rejected(
                    413,
                    "RequestTooLargeException",
                    f"Request must be smaller than {limit} bytes for the InvokeFunction operation",
                )
            try:
                json.loads(body or b"{}")
            except ValueError as error:
                return _rejected(
                    400,
                    "InvalidRequestContentException",
                    f"Could not parse request body into json: {error}",
                )
        return await handle(method, path, headers, body, query)

    return handle_request


def use_environments() -> None:
    """Replace the emulator's own way to run functions."""
    HOST.prepare()
    lambda_runtime._worker_class_for = lambda _config: Environment
    lambda_svc._execute_function_dispatch = execute
    lambda_svc.handle_request = with_request_limits(lambda_svc.handle_request)


def _rejected(status: int, error: str, message: str) -> tuple[int, dict[str, str], bytes]:
    headers = {"Content-Type": "application/json", "x-amzn-ErrorType": error}
    return status, headers, json.dumps({"Type": "User", "message": message}).encode()
