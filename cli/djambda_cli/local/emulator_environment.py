"""The execution environment of an emulated function, with Lambda's limits and errors.

Each is a process that runs AWS's own runtime interface client (`function_process.py`) in a
restricted file system (`function_sandbox.py`). This side is Lambda's service: the variables, the
initialization, the timeout, the memory limit, and the report in the log.
"""

import contextlib
import json
import os
import select
import signal
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from emulator_function_log import FunctionLog, Report
from emulator_host import LENGTH, Host, interpreter, start_process
from ministack.core import lambda_runtime
from ministack.services import lambda_svc

type Config = dict[str, Any]
type Result = dict[str, Any]

LOCAL_VARIABLES = (
    *("AWS_ENDPOINT_URL", "EGRESS_ALLOWS_LOOPBACK", "PGHOSTADDR", "PGPORT", "PGSSLMODE"),
)
"""The only variables that functions do not have on AWS: they lead to this cloud and this machine.
In contrast, functions here have no AWS_LAMBDA_RUNTIME_API."""
MEGABYTE = 1024 * 1024
MAX_RESPONSE = 6 * MEGABYTE + 100
"""https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"""
INIT_SECONDS = 10
"""https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html"""


class Failure(Exception):  # noqa: N818 (an invocation's, not the emulator's)
    """An invocation that got no response. `status` is that of Lambda's report.

    `payload` is the error as the runtime has reported and logged it, if it has.
    """

    def __init__(
        self, error_type: str, message: str, *, status: str = "error", payload: bytes = b""
    ) -> None:
        super().__init__(message)
        self.error_type = error_type
        self.message = message
        self.status = status
        self.payload = payload


HOST = Host(Path(tempfile.gettempdir(), "functions"))


class Environment(lambda_runtime.Worker):  # type: ignore[misc]
    """An execution environment: one process, which serves one invocation at a time.

    The base class contains the emulator's bookkeeping of its pool, which ends the process through
    `_proc`.
    """

    def __init__(self, name: str, config: Config, code: bytes) -> None:
        super().__init__(name, config, code)
        self.log = FunctionLog(config)
        self.out_of_memory = False
        self.peak_memory = 0
        self._channel: Any  # The socket to the process.
        self._pipe: Any  # The pipe with what it has written.
        self._received = bytearray()
        self._is_waiting = False
        self._init_seconds: float | None = None

    @property
    def pid(self) -> int:
        """The process id, which is also that of the process group."""
        return self._proc.pid if self._proc else 0

    def check_memory(self, used: int) -> None:
        """Kill the process if it uses too much memory, as Lambda does."""
        self.peak_memory = max(self.peak_memory, used)
        if used > self.config.get("MemorySize", 128) * MEGABYTE and self._proc:
            self.out_of_memory = True
            self._kill()

    def handle(self, event: Any, request_id: str, trace_id: str | None) -> Result:
        """Serve one invocation; return the result in the form that the emulator expects."""
        timeout = self.config.get("Timeout", 3)
        self.log.begin(request_id)
        begin = time.monotonic()
        failure = None
        payload = b""
        self._init_seconds = None
        try:
            self._initialize(request_id, timeout)
            self.log.start()
            begin = time.monotonic()
            payload = self._invoke(event, request_id, trace_id, timeout)
        except Failure as error:
            failure = error
            text = {"errorType": error.error_type, "errorMessage": error.message}
            payload = error.payload or json.dumps(text).encode()
        seconds = time.monotonic() - begin
        report = Report(seconds, self._init_seconds, self.peak_memory)
        if failure:
            report = replace(
                report,
                status=failure.status,
                error_type=failure.error_type,
                error="" if failure.payload else failure.message,
            )
        self.log.end(report)
        result: Result = {"body": payload, "log": self.log.tail}
        if failure:
            result |= {"error": True, "function_error": "Unhandled"}
        return result

    def _initialize(self, request_id: str, timeout: float) -> None:
        if self._proc is not None and self._proc.poll() is None:
            return
        begin = time.monotonic()
        for seconds in (INIT_SECONDS, timeout):  # The second time as a part of the invocation.
            self._start()
            self._register()
            try:
                kind, body = self._receive(time.monotonic() + seconds, request_id)
            except TimeoutError:
                self._stop()
                continue
            finally:
                self._unregister()
            self._init_seconds = time.monotonic() - begin
            if kind == "next":
                self._is_waiting = True
                return
            self._stop()
            raise _reported(body)
        raise _timed_out(request_id, timeout)

    def _invoke(self, event: Any, request_id: str, trace_id: str | None, timeout: float) -> bytes:
        deadline = time.monotonic() + timeout
        self._register()
        try:
            if not self._is_waiting:
                self._receive(deadline, request_id)
            self._is_waiting = False
            self._send(
                {
                    "request_id": request_id,
                    "trace_id": trace_id,
                    "arn": self.config.get("FunctionArn", ""),
                    "deadline_ms": int((time.time() + timeout) * 1000),
                }
            )
            self._send(event)
            kind, body = self._receive(deadline, request_id)
        except TimeoutError:
            self._stop()
            raise _timed_out(request_id, timeout) from None
        finally:
            self._unregister()
        self._read_log()
        if len(body) > MAX_RESPONSE:
            self._stop()  # The runtime cannot deliver it, and ends.
            raise Failure(
                "Function.ResponseSizeTooLarge",
                "Response payload size exceeded maximum allowed payload size "
                f"({MAX_RESPONSE} bytes).",
            )
        if kind == "error":
            raise _reported(body)
        return body

    def _start(self) -> None:
        runtime = self.config.get("Runtime", "")
        if not interpreter(runtime):
            raise Failure(
                "InvalidRuntimeException",
                f"The function's runtime is {runtime}, which this local cloud does not have. "
                "To add the Python of a project: djambda up",
            )
        layers = (lambda_svc._resolve_layer_zip(each) for each in self.config.get("Layers", []))
        spec = {
            "handler": self.config.get("Handler", ""),
            "task": str(HOST.unpacked([self.code_zip])),
            "opt": str(HOST.unpacked(layer for layer in layers if layer)),
            "tmp_megabytes": self.config.get("EphemeralStorage", {}).get("Size", 512),
            "isolation": HOST.isolation,
        }
        self.out_of_memory = False
        self.peak_memory = 0
        self._received.clear()
        self.log.open_stream()
        variables = _variables(self.config, self.log.stream)
        self._proc, self._channel, self._pipe = start_process(HOST, runtime, spec, variables)

    def _register(self) -> None:
        with HOST.lock:
            HOST.running.add(self)

    def _unregister(self) -> None:
        with HOST.lock:
            HOST.running.discard(self)

    def _send(self, message: object) -> None:
        body = json.dumps(message).encode()
        with contextlib.suppress(OSError):  # The next `_receive` reports why the process ended.
            self._channel.sendall(LENGTH.pack(len(body)) + body)

    def _receive(self, deadline: float, request_id: str) -> tuple[str, bytes]:
        """Return the next message's kind and body, and read the log meanwhile.

        Raises `TimeoutError`, or `Failure` if the process ends.
        """
        poll = select.poll()
        poll.register(self._channel, select.POLLIN)
        poll.register(self._pipe, select.POLLIN)
        while (message := self._next_message()) is None:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                self._read_log()
                raise TimeoutError
            for descriptor, _event in poll.poll(remaining * 1000):
                if descriptor == self._channel.fileno():
                    self._read_channel(request_id)
                elif not self._read_log():
                    poll.unregister(self._pipe)
        return message

    def _next_message(self) -> tuple[str, bytes] | None:
        """Remove the first message from those received; return None if there is no complete one."""
        if len(self._received) < LENGTH.size:
            return None
        end = LENGTH.size + LENGTH.unpack_from(self._received)[0]
        if len(self._received) < end:
            return None
        kind, _, body = bytes(self._received[LENGTH.size : end]).partition(b"\n")
        del self._received[:end]
        return kind.decode(), body

    def _read_channel(self, request_id: str) -> None:
        try:
            data = self._channel.recv(MEGABYTE)
        except OSError:
            data = b""
        if not data:
            raise self._exited(request_id)
        self._received += data

    def _read_log(self) -> bool:
        """Read what the process has logged; return False at the end."""
        try:
            while data := os.read(self._pipe.fileno(), MEGABYTE):
                self.log.feed(data)
        except BlockingIOError:
            return True
        return False

    def _exited(self, request_id: str) -> Failure:
        """Return the failure of a process that has ended."""
        self._kill()
        code = self._proc.wait() if self._proc else 0
        self._read_log()
        self._stop()
        if code < 0:
            reason = f"with error: signal: {signal.strsignal(-code) or -code}".lower()
        else:
            reason = f"with error: exit status {code}" if code else "without providing a reason"
        error_type = "Runtime.OutOfMemory" if self.out_of_memory else "Runtime.ExitError"
        return Failure(error_type, f"RequestId: {request_id} Error: Runtime exited {reason}")

    def interrupt(self) -> None:
        """Let the current invocation fail."""
        self._kill()

    def _kill(self) -> None:
        """Kill the process and its children."""
        if pid := self.pid:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)

    def _stop(self) -> None:
        if self._proc:
            self._kill()
            self._proc.wait()
        self._proc = None
        self._discard_tmpdir()

    def _discard_tmpdir(self) -> None:
        """Close what belongs to the process, which the emulator has ended."""
        for each in ("_channel", "_pipe"):
            if hasattr(self, each):
                getattr(self, each).close()
        self.log.flush()


def _variables(config: Config, stream: str) -> dict[str, str]:
    """Return a function's complete environment.

    https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
    """
    logging = config.get("LoggingConfig") or {}
    name = config["FunctionName"]
    region = lambda_runtime._account_region_from_function_config(config)[1]
    log_format = logging.get("LogFormat", "Text")
    return {
        "LANG": "en_US.UTF-8",
        "LD_LIBRARY_PATH": "/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:"
        "/var/task:/var/task/lib:/opt/lib",
        "PATH": "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin",
        "PYTHONPATH": "/var/runtime",
        "TZ": ":UTC",
        **{key: os.environ[key] for key in LOCAL_VARIABLES if key in os.environ},
        **(config.get("Environment") or {}).get("Variables", {}),
        **lambda_runtime.execution_credentials(config),
        "_HANDLER": config.get("Handler", ""),
        "AWS_DEFAULT_REGION": region,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{config.get('Runtime', '')}",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(config.get("MemorySize", 128)),
        "AWS_LAMBDA_FUNCTION_NAME": name,
        "AWS_LAMBDA_FUNCTION_VERSION": config.get("Version", "$LATEST"),
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_FORMAT": log_format,
        "AWS_LAMBDA_LOG_GROUP_NAME": logging.get("LogGroup") or f"/aws/lambda/{name}",
        "AWS_LAMBDA_LOG_LEVEL": logging.get("ApplicationLogLevel")
        or ("INFO" if log_format == "JSON" else ""),
        "AWS_LAMBDA_LOG_STREAM_NAME": stream,
        "AWS_REGION": region,
        "LAMBDA_RUNTIME_DIR": "/var/runtime",
    }


def _reported(body: bytes) -> Failure:
    """Return an error that the runtime has reported, and logged."""
    error = json.loads(body)
    return Failure(error["errorType"], error["errorMessage"], payload=body)


def _timed_out(request_id: str, timeout: float) -> Failure:
    message = f"RequestId: {request_id} Error: Task timed out after {timeout:.2f} seconds"
    return Failure("Sandbox.Timedout", message, status="timeout")
