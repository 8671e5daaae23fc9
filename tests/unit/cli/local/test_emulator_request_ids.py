"""The request IDs of emulated invocations."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from djambda_cli.local.emulator_request_ids import RequestIds, with_callers_id


@pytest.mark.parametrize(
    ("path", "is_callers"),
    [("/2015-03-31/functions/site:live/invocations", True), ("/2015-03-31/functions", False)],
)
def test_invocation_has_the_id_of_its_response(path: str, is_callers: bool) -> None:
    executed: list[str] = []
    sent: list[dict[str, Any]] = []
    execute = with_callers_id(lambda *arguments: executed.append(arguments[3]))

    async def emulator(_scope: Any, _receive: Any, send: Any) -> None:
        await asyncio.to_thread(execute, {}, {}, {}, "own", 0.0)
        headers = [(b"content-type", b"text/plain"), (b"x-amzn-requestid", b"emulators")]
        await send({"type": "http.response.start", "headers": headers})

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "path": path}
    # Playwright's event loop may run in this thread.
    with ThreadPoolExecutor() as pool:
        pool.submit(asyncio.run, RequestIds(emulator)(scope, None, send)).result()  # type: ignore[arg-type]

    headers = dict(sent[0]["headers"])
    assert headers[b"content-type"] == b"text/plain"
    if is_callers:
        assert executed == [headers[b"x-amzn-requestid"].decode()]
        assert executed != ["own"]
    else:
        assert (executed, headers[b"x-amzn-requestid"]) == (["own"], b"emulators")
