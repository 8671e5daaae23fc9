"""The stand-in for the network streams of `httpcore`, which `httpx` uses."""

import io
import ssl
from collections.abc import Callable
from types import ModuleType
from typing import Any

import httpcore

from djambda.egress import hosts, tls
from djambda.egress.exchange import Exchange
from djambda.egress.function import RequestFailed


class StandIn(httpcore.NetworkStream):
    """Stands in for a stream: sends the request when `httpcore` reads."""

    def __init__(self, host: str, port: int, timeout: float | None) -> None:
        self._host = host
        self._address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._exchange = Exchange(f"http://{self._address}", connect_timeout=timeout)
        self._response: io.BytesIO | None = None
        self._error: Exception | None = None

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        """Take the next bytes of the request."""
        try:
            self._exchange.write(buffer)
        except RequestFailed as failure:
            self._error = httpcore.WriteError(str(failure.error))  # `httpcore` ignores it here.
            raise self._error from failure

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Return the next bytes of the response."""
        if self._error:
            raise self._error
        if self._response is None:
            try:
                self._response = io.BytesIO(self._exchange.perform(timeout))
            except RequestFailed as failure:
                raise _as_httpcore_error(failure) from failure
        return self._response.read(max_bytes)

    def close(self) -> None:
        """Do nothing."""

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002
    ) -> "StandIn":
        """Make the request over TLS."""
        self._exchange.origin = f"https://{self._address}"
        try:
            if server_hostname not in {None, self._host}:
                raise tls.unsupported("a certificate of another name")
            self._exchange.verify = tls.verifies(ssl_context)
        except ssl.SSLError as error:
            raise httpcore.ConnectError(str(error)) from error
        return self

    def get_extra_info(self, info: str) -> Any:
        """Return nothing, except that there is nothing to read from an idle connection."""
        return False if info == "is_readable" else None


class AsyncStandIn(httpcore.AsyncNetworkStream):
    """A `StandIn` that waits in another thread."""

    def __init__(self, stand_in: StandIn) -> None:
        self._stand_in = stand_in

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Take the next bytes of the request."""
        self._stand_in.write(buffer, timeout)

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Return the next bytes of the response."""
        return await _in_thread(self._stand_in.read, max_bytes, timeout)  # type: ignore[no-any-return]

    async def aclose(self) -> None:
        """Do nothing."""

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> "AsyncStandIn":
        """Make the request over TLS."""
        self._stand_in.start_tls(ssl_context, server_hostname, timeout)
        return self

    def get_extra_info(self, info: str) -> Any:
        """Return the stand-in's."""
        return self._stand_in.get_extra_info(info)


def install(module: ModuleType) -> None:
    """Let the backends of `httpcore` use the function."""
    module.SyncBackend.connect_tcp = _connecting(module.SyncBackend.connect_tcp)
    for backend in (module.AnyIOBackend, module.TrioBackend):
        if hasattr(backend, "connect_tcp"):  # Otherwise the library for it is not installed.
            backend.connect_tcp = _connecting_async(backend.connect_tcp)


def _connecting(connect: Any) -> Any:
    def connect_tcp(
        self: Any, host: str, port: int, timeout: float | None = None, **options: Any
    ) -> Any:
        if hosts.go_through_function(host, port):
            return StandIn(host, port, timeout)
        return connect(self, host, port, timeout, **options)

    return connect_tcp


def _connecting_async(connect: Any) -> Any:
    async def connect_tcp(
        self: Any, host: str, port: int, timeout: float | None = None, **options: Any
    ) -> Any:
        if await _in_thread(hosts.go_through_function, host, port):
            return AsyncStandIn(StandIn(host, port, timeout))
        return await connect(self, host, port, timeout, **options)

    return connect_tcp


async def _in_thread(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return the result of a function that waits. AnyIO is there, because `httpx` needs it."""
    from anyio import to_thread  # noqa: PLC0415

    return await to_thread.run_sync(function, *arguments, abandon_on_cancel=True)


def _as_httpcore_error(failure: RequestFailed) -> Exception:
    is_timeout = isinstance(failure.error, TimeoutError)
    message = str(failure.error)
    if failure.was_sent:
        return httpcore.ReadTimeout(message) if is_timeout else httpcore.ReadError(message)
    return httpcore.ConnectTimeout(message) if is_timeout else httpcore.ConnectError(message)
