"""The local cloud's forwarder, running in a thread of a test."""

import asyncio
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from djambda_cli.local.forwarder import Forwarder
from djambda_cli.local.pause import (
    RESUME_SECONDS,
    State,
    request_pause,
    request_pause_after,
    request_state,
)

PASSWORD = "of-the-forwarder"


@dataclass(frozen=True)
class Forwarding:
    """A running forwarder, to which clients connect on `port`."""

    port: int

    @property
    def state(self) -> State:
        """The current state."""
        return request_state(self.port, PASSWORD)

    def pause_after(self, seconds: float | None) -> None:
        """Let the database pause by itself after so many seconds without sessions."""
        request_pause_after(self.port, PASSWORD, seconds)

    def pause(self, resume_seconds: float = RESUME_SECONDS) -> State:
        """Pause the database, which must have no sessions."""
        state = request_pause(self.port, PASSWORD, resume_seconds)
        assert state.name == "paused", state
        return state


@contextmanager
def forwarding(
    server_port: int,
    *,
    tls: ssl.SSLContext | None = None,
    refusal_seconds: float = 0.5,
) -> Iterator[Forwarding]:
    """Forward connections to the server on `server_port`, until the context ends."""
    ports: list[int] = []
    listening = threading.Event()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def run() -> None:
        forwarder = Forwarder(
            server_port,
            password=PASSWORD,
            tls=tls,
            refusal_seconds=refusal_seconds,
        )
        server = await forwarder.listen()
        ports.append(server.sockets[0].getsockname()[1])
        listening.set()
        await stop.wait()
        server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    thread = threading.Thread(target=loop.run_until_complete, args=[run()])
    thread.start()
    try:
        assert listening.wait(10)
        yield Forwarding(ports[0])
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()
