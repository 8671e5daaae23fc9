"""Continue what an earlier emulator has left, and stop so that nothing is lost.

When the emulator stops, functions have a moment to finish while the APIs still respond. A function
that runs on without them would do its work, but could not store that it has. So it is killed then,
and its event or message is delivered again at the next start. This also ends the connections of
those who wait for functions, without which the emulator would not save its state.

It runs with the emulator's interpreter and imports nothing of djambda.
"""

import asyncio
import signal
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import hypercorn.asyncio
from emulator_environment import HOST
from emulator_event_queue import EventQueue
from emulator_messages import Messages
from emulator_schedules import Schedules

START_SECONDS = 1
"""The server accepts requests a moment after the application has started."""
GRACE_SECONDS = 3
INTERRUPTION_SECONDS = 2
POLL_SECONDS = 0.05

type App = Callable[..., Awaitable[None]]


class Lifecycle:
    """The start and the stop of everything that the emulator does by itself."""

    def __init__(self, events: EventQueue, messages: Messages, schedules: Schedules) -> None:
        self._events = events
        self._messages = messages
        self._schedules = schedules

    def with_start(self, app: App) -> App:
        """Return an ASGI application that continues with what is left when its state is loaded."""

        async def run(scope: Any, receive: Any, send: Callable[[Any], Awaitable[None]]) -> None:
            async def send_and_start(message: Any) -> None:
                if message["type"] == "lifespan.startup.complete":
                    self._start()
                await send(message)

            await app(scope, receive, send_and_start if scope["type"] == "lifespan" else send)

        return run

    def use_stop(self) -> None:
        """Let the emulator's server stop functions before itself."""
        serve = hypercorn.asyncio.serve

        async def serve_until_stopped(app: Any, config: Any) -> None:
            requested = asyncio.Event()
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, requested.set)

            async def stop() -> None:
                await requested.wait()
                await self._stop()

            await serve(app, config, shutdown_trigger=stop)

        hypercorn.asyncio.serve = serve_until_stopped

    def _start(self) -> None:
        self._messages.restore()
        self._schedules.restore()
        timer = threading.Timer(START_SECONDS, self._events.resume)
        timer.daemon = True
        timer.start()

    async def _stop(self) -> None:
        self._events.stop()
        self._messages.stop()
        await self._wait(GRACE_SECONDS)
        HOST.interrupt_running()
        await self._wait(INTERRUPTION_SECONDS)

    async def _wait(self, seconds: float) -> None:
        """Wait until no function runs, but not longer."""
        for _ in range(int(seconds / POLL_SECONDS)):
            if not (HOST.running or self._events.is_running or self._messages.are_processed):
                return
            await asyncio.sleep(POLL_SECONDS)
