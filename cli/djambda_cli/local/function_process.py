"""The process of an emulated function: restrict it, then run AWS's own runtime interface client.

`emulator_functions.py` starts it with the emulator's base interpreter, without any site-packages,
and talks to it through a socket instead of Lambda's Runtime API. Everything else is as on AWS:
`awslambdaric` imports the handler, formats the log, encodes responses and reports errors.
"""

import contextlib
import json
import os
import resource
import socket
import struct
import sys
from pathlib import Path
from typing import Any

TASK, OPT, PACKAGES = "/var/task", "/opt", f"/var/lang/lib/python3.{sys.version_info.minor}"
LENGTH = struct.Struct("!Q")
OPEN_FILES = 1024
"""https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"""


class Channel:
    """Messages to and from the emulator. Ends the process when the emulator has ended."""

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=descriptor)
        os.set_inheritable(descriptor, False)
        self._file = self._socket.makefile("rb")

    def send(self, kind: str, body: bytes = b"") -> None:
        """Send one message."""
        message = kind.encode() + b"\n" + body
        try:
            self._socket.sendall(LENGTH.pack(len(message)) + message)
        except OSError:
            os._exit(1)

    def receive(self) -> bytes:
        """Wait for the next message."""
        header = self._file.read(LENGTH.size)
        body = self._file.read(LENGTH.unpack(header)[0]) if len(header) == LENGTH.size else b""
        if not body:
            os._exit(0)
        return body


def restrict(spec: dict[str, Any]) -> dict[str, str]:
    """Restrict this process; return where Lambda's folders are: in their place, or elsewhere."""
    import function_sandbox  # noqa: PLC0415 (only while its folder is in the search path)

    os.umask(0o022)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft > OPEN_FILES:
        resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, hard))
    folders = {TASK: spec["task"], OPT: spec["opt"], PACKAGES: spec["packages"]}
    if spec["isolation"] == "namespace":
        kept = {sys.base_prefix, sys.base_exec_prefix}
        if function_sandbox.isolate(folders, spec["mount_point"], spec["tmp_megabytes"], kept):
            return {folder: folder for folder in folders}
        sys.exit("This machine does not allow a separate file system for a function.")
    if spec["isolation"] == "landlock" and not function_sandbox.deny_writing():
        sys.exit("This machine has no Landlock.")
    return folders


def run(spec: dict[str, Any], channel: Channel) -> None:
    """Run the handler for each event until the emulator ends this process."""
    from awslambdaric import bootstrap, lambda_runtime_client  # noqa: PLC0415

    if not spec["handler"]:  # A trial.
        return

    class Client(lambda_runtime_client.LambdaRuntimeClient):  # type: ignore[misc]
        """The Runtime API: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html."""

        def wait_next_invocation(self) -> Any:
            channel.send("next")
            headers = json.loads(channel.receive())
            return lambda_runtime_client.InvocationRequest(
                invoke_id=headers["request_id"],
                x_amzn_trace_id=headers["trace_id"],
                invoked_function_arn=headers["arn"],
                deadline_time_in_ms=headers["deadline_ms"],
                client_context=None,
                cognito_identity=None,
                tenant_id=None,
                content_type="application/json",
                event_body=channel.receive(),
                invocation_id=None,
            )

        def post_invocation_result(
            self, _invoke_id: str, result: str | bytes, *_arguments: Any
        ) -> None:
            channel.send("response", result if isinstance(result, bytes) else result.encode())

        def post_invocation_error(self, _invoke_id: str, error: str, *_arguments: Any) -> None:
            channel.send("error", error.encode(errors="backslashreplace"))

        def post_init_error(self, error: dict[str, Any], _error_type: str | None = None) -> None:
            channel.send("init_error", json.dumps(error).encode())

    # The log and what is printed share one pipe, so that they stay in order.
    os.environ["_LAMBDA_TELEMETRY_LOG_FD"] = str(os.dup(1))
    bootstrap.run(spec["handler"], Client(""))


def main() -> None:
    """Run with the descriptor of the socket as the only argument that is read."""
    channel = Channel(int(sys.argv[1]))
    spec = json.loads(channel.receive())
    own_folder = str(Path(__file__).parent)
    sys.path.insert(0, own_folder)
    places = restrict(spec)
    sys.path.remove(own_folder)
    library = f"python3.{sys.version_info.minor}"
    sys.path[:0] = [
        places[TASK],
        f"{places[OPT]}/python/lib/{library}/site-packages",
        f"{places[OPT]}/python",
        f"{places[PACKAGES]}/site-packages",
    ]
    os.environ["LAMBDA_TASK_ROOT"] = places[TASK]
    if (
        os.environ.get("LC_CTYPE") == "C.UTF-8"
    ):  # Python has set it: https://peps.python.org/pep-0538/
        del os.environ["LC_CTYPE"]
    sys.argv = ["/var/runtime/bootstrap.py"]
    os.chdir(places[TASK])
    with contextlib.suppress(AttributeError):  # As with Lambda's locale.
        sys.stdout.reconfigure(errors="strict")  # type: ignore[union-attr]
    del sys.modules["function_sandbox"]
    run(spec, channel)


if __name__ == "__main__":
    main()
