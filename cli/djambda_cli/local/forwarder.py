"""A stand-in for Aurora's pause: functions connect to this forwarder, and it to Postgres.

While the database is paused, connections wait; the first one starts to resume it. When it resumes,
they are refused for some seconds with an error that looks permanent, as clients of Aurora report.
From then on, they are forwarded.
https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-serverless-v2-auto-pause.html

The supervisor runs it as a process, and `pause.py` controls it.
"""

import argparse
import asyncio
import contextlib
import hmac
import json
import os
import ssl
import struct
import sys
import time
from collections.abc import Coroutine
from dataclasses import asdict
from pathlib import Path

from djambda_cli.local.pause import (
    CONTROL,
    HEAD,
    HOST,
    REFUSAL_SECONDS,
    RESUME_SECONDS,
    State,
)
from djambda_cli.local.postgres import CERTIFICATE, KEY

STARTUP_SECONDS = 60
"""The time that a client has for its first message, as with Postgres."""
CHUNK_BYTES = 65_536
PROTOCOL_3 = 3 << 16
TLS_REQUEST, GSS_REQUEST = (1234 << 16) + 5679, (1234 << 16) + 5680
LONGEST_MESSAGE = 10_000


class Forwarder:
    """Forwards connections to the Postgres on `server_port`, and imitates a pause.

    All methods belong to the thread of the event loop.
    """

    def __init__(
        self,
        server_port: int,
        *,
        password: str,
        tls: ssl.SSLContext | None = None,
        refusal_seconds: float = REFUSAL_SECONDS,
    ) -> None:
        """Prepare for connections.

        `password` authenticates the control messages. With `tls`, refusals are sent over TLS.
        """
        self._server_port = server_port
        self._password = password
        self._tls = tls
        self._pause_after: float | None = None
        self._refusal_seconds = refusal_seconds
        self._paused = False
        self._resume_seconds = RESUME_SECONDS
        self._resumed = 0.0  # The time of the event loop at which connections are refused.
        self._open = 0.0  # The time at which they are forwarded.
        self._changed = self._awake_since = time.time()
        self._client_ports: dict[int, int] = {}
        self._connecting = 0
        self._timer: asyncio.TimerHandle | None = None

    async def listen(self, port: int = 0) -> asyncio.Server:
        """Accept connections on a loopback port."""
        return await asyncio.start_server(self._accept, HOST, port)

    @property
    def state(self) -> State:
        """The current state."""
        if self._paused:
            return State("paused", self._changed, self._client_ports)
        if asyncio.get_running_loop().time() < self._open:
            return State("resuming", self._changed, self._client_ports)
        return State("awake", self._awake_since, self._client_ports)

    def pause(self, resume_seconds: float = RESUME_SECONDS) -> None:
        """Pause the database, unless it has sessions or is resuming."""
        if not self._connecting and self.state.name != "resuming":
            self._paused = True
            self._resume_seconds = resume_seconds
            self._changed = time.time()

    def pause_after(self, seconds: float | None) -> None:
        """Let the database pause by itself after so many seconds without sessions; None: never."""
        self._pause_after = seconds
        if not self._connecting:
            self._restart_timer()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Handle one connection of a client."""
        try:
            async with asyncio.timeout(STARTUP_SECONDS):
                head = await reader.readexactly(HEAD.size)
                length, code = HEAD.unpack(head)
                if code == CONTROL:
                    await self._control(await _body(reader, length), writer)
                    return
            if not await self._is_open():
                async with asyncio.timeout(STARTUP_SECONDS):
                    await self._refuse(head, reader, writer)
                return
            await self._forward(head, reader, writer)
        except (OSError, asyncio.IncompleteReadError, TimeoutError, ValueError):
            pass  # The client or the server has gone, or it is no client of Postgres.
        finally:
            writer.close()

    async def _control(self, body: bytes, writer: asyncio.StreamWriter) -> None:
        message = json.loads(body)
        if not hmac.compare_digest(message["password"].encode(), self._password.encode()):
            return
        match message["command"]:
            case "pause":
                self.pause(message["seconds"])
            case "pause_after":
                self.pause_after(message["seconds"])
        writer.write(json.dumps(asdict(self.state)).encode())
        await writer.drain()

    async def _is_open(self) -> bool:
        """Resume a paused database and wait for it; return whether connections are forwarded."""
        loop = asyncio.get_running_loop()
        if self._paused:
            self._paused = False
            self._resumed = loop.time() + self._resume_seconds
            self._open = self._resumed + self._refusal_seconds
            self._changed = time.time()
            self._awake_since = self._changed + self._resume_seconds + self._refusal_seconds
            self._restart_timer()
        await asyncio.sleep(self._resumed - loop.time())
        return loop.time() >= self._open

    async def _refuse(
        self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Send the error that clients of a resuming Aurora have reported."""
        encryption = "no encryption"
        length, code = HEAD.unpack(head)
        while code in {TLS_REQUEST, GSS_REQUEST}:
            if code == TLS_REQUEST and self._tls:
                writer.write(b"S")
                await writer.start_tls(self._tls)
                encryption = "SSL encryption"
            else:
                writer.write(b"N")
            length, code = HEAD.unpack(await reader.readexactly(HEAD.size))
        if code != PROTOCOL_3:
            return
        words = [*(await _body(reader, length)).decode(errors="replace").split("\0"), ""]
        client = dict(zip(words[::2], words[1::2], strict=False))
        writer.write(
            _error(
                f'no pg_hba.conf entry for host "{HOST}", user "{client.get("user", "")}", '
                f'database "{client.get("database", "")}", {encryption}'
            )
        )
        await writer.drain()

    async def _forward(
        self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Connect the client to Postgres until one of them ends the connection."""
        self._connecting += 1
        self._stop_timer()
        own_port = 0
        try:
            server_reader, server_writer = await asyncio.open_connection(HOST, self._server_port)
            with contextlib.closing(server_writer):
                own_port = server_writer.get_extra_info("sockname")[1]
                self._client_ports[own_port] = writer.get_extra_info("peername")[1]
                server_writer.write(head)
                await _first_completed(
                    _copy(reader, server_writer),
                    _copy(server_reader, writer),
                )
        finally:
            self._client_ports.pop(own_port, None)
            self._connecting -= 1
            if not self._connecting:
                self._restart_timer()

    def _restart_timer(self) -> None:
        self._stop_timer()
        if self._pause_after is not None:
            loop = asyncio.get_running_loop()
            idle_since = max(loop.time(), self._open)
            self._timer = loop.call_at(idle_since + self._pause_after, self.pause)

    def _stop_timer(self) -> None:
        if self._timer:
            self._timer.cancel()


async def _first_completed(*coroutines: Coroutine[None, None, None]) -> None:
    """Run coroutines until one of them ends, and cancel the others."""
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(CHUNK_BYTES):
        writer.write(chunk)
        await writer.drain()


async def _body(reader: asyncio.StreamReader, length: int) -> bytes:
    """Return the rest of a first message. Raises `ValueError` if it is too long."""
    if not HEAD.size <= length <= LONGEST_MESSAGE:
        raise ValueError(length)
    return await reader.readexactly(length - HEAD.size)


def _error(message: str) -> bytes:
    """Return an ErrorResponse (invalid_authorization_specification)."""
    fields = b"".join(
        field.encode() + b"\0" for field in ("SFATAL", "VFATAL", "C28000", f"M{message}", "")
    )
    return b"E" + struct.pack("!I", len(fields) + 4) + fields


async def _run(arguments: argparse.Namespace) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(arguments.data / CERTIFICATE, arguments.data / KEY)
    password = os.environ["DATABASE_PASSWORD"]
    forwarder = Forwarder(arguments.server_port, password=password, tls=tls)
    await forwarder.listen(arguments.port)
    await asyncio.Event().wait()


def main() -> int:
    """Run `python -m djambda_cli.local.forwarder` until SIGINT."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--server-port", type=int, required=True)
    parser.add_argument("--data", type=Path, required=True)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_run(parser.parse_args()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
