"""Functions run locally under the conditions of Lambda, so that what works here works there."""

import json
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest
from botocore.exceptions import ClientError

from awscdk.interpreters import find_interpreter
from djambda_cli.local.cloud import LocalCloud
from tests.cloud.functions import Function, archive, client, function
from tests.cloud.local import Cloud

RUN = """
    def handler(event, context):
        names = {"context": context}
        exec(event, names)
        return names.get("result")
"""
"""Runs the Python code in the event, and returns its `result`."""

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux can restrict a process")


@pytest.fixture(scope="module")
def runner(cloud: Cloud) -> Iterator[Function]:
    """A function that runs code."""
    with function(cloud, RUN) as created:
        yield created


def run(runner: Function, code: str) -> Any:
    """Run the code in the function and return its `result`."""
    invocation = runner.invoke(code)
    assert invocation.error is None, invocation.payload
    return invocation.payload


def skip_if_shared(runner: Function) -> None:
    """Skip a test where this machine forbids namespaces and the cloud is below `/tmp`."""
    if run(runner, "import os; result = os.environ['LAMBDA_TASK_ROOT']").startswith("/tmp"):  # noqa: S108
        pytest.skip("this machine does not allow mount namespaces")


@pytest.mark.parametrize("package", ["yaml", "h11", "graphql", "ministack", "djambda_cli", "pip"])
def test_packages_of_this_machine_are_missing(runner: Function, package: str) -> None:
    invocation = runner.invoke(f"import {package}")

    assert invocation.payload["errorType"] == "ModuleNotFoundError"


@pytest.mark.parametrize("package", ["boto3", "botocore", "awslambdaric", "simplejson"])
def test_packages_of_the_runtime_are_there(runner: Function, package: str) -> None:
    run(runner, f"import {package}")


def test_search_path_is_that_of_lambda(runner: Function) -> None:
    task, site_packages, layer, runtime, *library = run(runner, "import sys; result = sys.path")

    assert site_packages == f"{layer}/lib/python3.13/site-packages"
    assert runtime.endswith("/site-packages")
    assert not any(entry.endswith("-packages") for entry in library)
    if task == "/var/task":
        assert (layer, runtime) == ("/opt/python", "/var/lang/lib/python3.13/site-packages")


def test_environment_is_that_of_lambda(runner: Function) -> None:
    environment = run(runner, "import os; result = dict(os.environ)")

    assert (
        environment.items()
        >= {
            "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
            "AWS_LAMBDA_FUNCTION_NAME": runner.name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_REGION": "us-east-1",
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            "_HANDLER": "module.handler",
        }.items()
    )
    local = {"AWS_ENDPOINT_URL", "EGRESS_ALLOWS_LOOPBACK", "PGHOSTADDR", "PGPORT", "PGSSLMODE"}
    lambdas = {"LANG", "LD_LIBRARY_PATH", "PATH", "PYTHONPATH", "TZ", "_HANDLER"}
    assert {name for name in environment if not name.startswith(("AWS_", "LAMBDA_"))} == (
        lambdas | local - {"AWS_ENDPOINT_URL"}
    )


def test_runtime_of_another_python_that_up_has_added(cloud: Cloud) -> None:
    interpreter = find_interpreter("3.12")
    if not interpreter:
        pytest.skip("Python 3.12 is not installed")
    LocalCloud(cloud.folder).add_python("3.12", interpreter)

    with function(cloud, RUN, Runtime="python3.12") as other:
        version = run(other, "import boto3, sys; result = sys.version_info.minor")

    assert version == 12


def test_another_runtime_is_refused(cloud: Cloud) -> None:
    with function(cloud, RUN, Runtime="python3.11") as other:
        invocation = other.invoke("")

    assert "python3.11" in invocation.payload["errorMessage"]


@LINUX
@pytest.mark.parametrize("place", ["os.environ['LAMBDA_TASK_ROOT']", "'/opt'", "'/var'", "'/'"])
def test_only_tmp_is_writable(runner: Function, place: str) -> None:
    skip_if_shared(runner)
    invocation = runner.invoke(f"import os; open(os.path.join({place}, 'file'), 'w')")

    assert invocation.error
    assert invocation.payload["errorType"] in {"OSError", "PermissionError"}
    run(runner, "open('/tmp/file', 'w').write('x')")


@LINUX
def test_code_cannot_be_changed(runner: Function) -> None:
    skip_if_shared(runner)
    for change in ("open(file, 'a')", "os.chmod(file, 0o777)", "os.remove(file)"):
        invocation = runner.invoke(f"import os, module; file = module.__file__; {change}")

        assert invocation.error, change
    assert run(runner, "result = 1") == 1


@LINUX
def test_semaphores_are_missing(runner: Function) -> None:
    """Lambda has no writable /dev/shm."""
    invocation = runner.invoke("import multiprocessing; multiprocessing.Lock()")

    assert invocation.payload["errorType"] in {"OSError", "PermissionError"}


@LINUX
def test_tmp_has_the_configured_size_and_belongs_to_one_environment(runner: Function) -> None:
    if run(runner, "import os; result = os.environ['LAMBDA_TASK_ROOT']") != "/var/task":
        pytest.skip("this machine does not allow mount namespaces")
    size = "import os; s = os.statvfs('/tmp'); result = s.f_blocks * s.f_frsize"
    wait = "import time, os; open('/tmp/own', 'w'); time.sleep(1); result = os.listdir('/tmp')"

    assert run(runner, size) == 512 * 1024 * 1024
    run(runner, "open('/tmp/first', 'w')")
    with ThreadPoolExecutor() as pool:
        listings = list(pool.map(lambda _: run(runner, wait), range(2)))
    assert ["own"] in listings


@LINUX
@pytest.mark.parametrize("child", [False, True], ids=["function", "its child"])
def test_memory_is_limited(cloud: Cloud, child: bool) -> None:
    use = "import time; used = b'x' * 400_000_000; time.sleep(10)"
    if child:
        use = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {use!r}])"
    with function(cloud, RUN, MemorySize=256) as limited:
        invocation = limited.invoke(use)
        [report] = [line for line in limited.messages() if line.startswith("REPORT")]

        assert invocation.error == "Unhandled"
        assert invocation.payload["errorType"] == "Runtime.OutOfMemory"
        assert "signal: killed" in invocation.payload["errorMessage"]
        assert "Error Type: Runtime.OutOfMemory" in report
        assert run(limited, "result = 1") == 1


def test_time_is_limited(cloud: Cloud) -> None:
    with function(cloud, RUN, Timeout=1) as limited:
        invocation = limited.invoke("import time; time.sleep(60)")
        [report] = [line for line in limited.messages() if line.startswith("REPORT")]

        assert invocation.payload["errorType"] == "Sandbox.Timedout"
        assert "Task timed out after 1.00 seconds" in invocation.payload["errorMessage"]
        assert "Status: timeout" in report
        assert run(limited, "result = 1") == 1


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import os; os._exit(3)", "exit status 3"),
        ("import os; os.kill(os.getpid(), 9)", "signal: killed"),
        ("import os; os._exit(0)", "without providing a reason"),
    ],
)
def test_process_that_ends(runner: Function, code: str, reason: str) -> None:
    invocation = runner.invoke(code)

    assert invocation.payload["errorType"] == "Runtime.ExitError"
    assert reason in invocation.payload["errorMessage"]
    assert run(runner, "result = 1") == 1


@pytest.mark.parametrize(
    ("source", "error_type"),
    [
        ("import missing", "Runtime.ImportModuleError"),
        ("def handler(:", "Runtime.UserCodeSyntaxError"),
        ("other = 1", "Runtime.HandlerNotFound"),
        ("raise ValueError('at import')", "ValueError"),
        ("import sys; sys.exit(1)", "Runtime.ExitError"),
    ],
)
def test_module_that_does_not_load(cloud: Cloud, source: str, error_type: str) -> None:
    with function(cloud, source) as broken:
        assert broken.invoke().payload["errorType"] == error_type
        assert broken.invoke().payload["errorType"] == error_type


def test_environment_survives_an_exception(runner: Function) -> None:
    run(runner, "import builtins; builtins.kept = 1")

    invocation = runner.invoke("raise KeyError('x')")

    assert invocation.payload["errorType"] == "KeyError"
    assert invocation.payload["stackTrace"]
    assert run(runner, "import builtins; result = builtins.kept") == 1


def test_response_that_is_not_json(runner: Function) -> None:
    invocation = runner.invoke("result = {1, 2}")

    assert invocation.payload["errorType"] == "Runtime.MarshalError"


def test_response_over_6_mb(runner: Function) -> None:
    invocation = runner.invoke("result = 'x' * (6 * 1024 * 1024 + 100)")

    assert invocation.payload["errorType"] == "Function.ResponseSizeTooLarge"
    assert len(run(runner, "result = 'x' * (6 * 1024 * 1024)")) == 6 * 1024 * 1024


@pytest.mark.parametrize(("kind", "limit"), [("RequestResponse", 6), ("Event", 1)])
def test_request_over_the_limit(cloud: Cloud, runner: Function, kind: str, limit: int) -> None:
    payload = json.dumps("#" * (limit * 1024 * 1024)).encode()

    with closing(client(cloud, "lambda")) as api, pytest.raises(ClientError) as raised:
        api.invoke(FunctionName=runner.name, InvocationType=kind, Payload=payload)

    assert raised.value.response["Error"]["Code"] == "RequestTooLargeException"
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 413


def test_request_that_is_not_json(cloud: Cloud, runner: Function) -> None:
    with closing(client(cloud, "lambda")) as api, pytest.raises(ClientError) as raised:
        api.invoke(FunctionName=runner.name, Payload=b"{")

    assert raised.value.response["Error"]["Code"] == "InvalidRequestContentException"


def test_reserved_concurrency(cloud: Cloud) -> None:
    def error_of(function: Function) -> tuple[str, int] | None:
        try:
            function.invoke("import time; time.sleep(2)")
        except ClientError as error:
            response = error.response
            return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]
        return None

    with function(cloud, RUN) as limited, closing(client(cloud, "lambda")) as api:
        api.put_function_concurrency(FunctionName=limited.name, ReservedConcurrentExecutions=1)
        with ThreadPoolExecutor() as pool:
            errors = set(pool.map(error_of, [limited] * 2))

    assert errors == {None, ("TooManyRequestsException", 429)}


def test_json_log(cloud: Cloud) -> None:
    source = """
        import logging
        def handler(event, context):
            print("printed")
            logging.warning("a\\nwarning")
            print("half", end="")
            raise ValueError("failed")
    """
    with function(cloud, source, LoggingConfig={"LogFormat": "JSON"}) as logging_function:
        logging_function.invoke()
        lines = logging_function.messages()

    records = [json.loads(line) for line in lines if line.startswith("{")]
    start, warning, error, report = records
    assert lines[1] == "printed"
    assert "half" in lines
    assert start["type"] == "platform.start"
    assert (warning["level"], warning["message"]) == ("WARNING", "a\nwarning")
    assert warning["requestId"] == start["record"]["requestId"]
    assert (error["level"], error["errorType"]) == ("ERROR", "ValueError")
    assert report["type"] == "platform.report"
    assert report["record"]["metrics"]["maxMemoryUsedMB"] > 0


def test_layers_come_after_the_code(cloud: Cloud) -> None:
    with closing(client(cloud, "lambda")) as api:
        files = {"python/module.py": "1 / 0", "python/from_layer.py": "value = 1", "bin/x": ""}
        layer = api.publish_layer_version(LayerName="test", Content={"ZipFile": archive(files)})
        arn = layer["LayerVersionArn"]
    with function(cloud, RUN, Layers=[arn]) as layered:
        assert run(layered, "import from_layer; result = from_layer.value") == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_processes_are_not_those_of_root(runner: Function) -> None:
    if run(runner, "import os; result = os.environ['LAMBDA_TASK_ROOT']") != "/var/task":
        pytest.skip("this machine does not allow namespaces")
    assert run(runner, "import os; result = os.getuid()") == 993
    mount = "import subprocess as s; result = s.run(['mount', '-o', 'remount,rw', '/']).returncode"
    assert run(runner, mount) != 0
