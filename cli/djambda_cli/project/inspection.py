"""Start the project as the deployed function does, in a process with the layer's packages.

`inspection_process.py` is that process. If the settings fail because a variable is not set, it
starts again with a placeholder, to find all such variables at once.
"""

import json
import platform
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from awscdk.code import COMMON, RUNTIME, shipped
from awscdk.discovery import Project
from awscdk.interpreters import find_interpreter
from awscdk.layer import MACHINES
from djambda_common.names import BUILD_ID_VARIABLE, NAMES_VARIABLE, SECRET_PARAMETERS
from djambda_common.variables import decode

PROCESS = Path(__file__).with_name("inspection_process.py")
SECONDS = 60
MOST_STARTS = 40
LAMBDA_PACKAGES = ("boto3", "botocore", "s3transfer", "jmespath", "urllib3", "dateutil", "six")
"""The modules of Lambda's Python that a layer does not need."""
LONGEST_WORD = 4
"""Characters of values such as "1" and "prod", which occur everywhere."""
PLACEHOLDERS = ("placeholder", "1", "https://example.com/", "postgres://a:b@127.0.0.1/c", "{}", "")
"""Values for a variable that is not set. Projects convert them to numbers, URLs and so on."""


@dataclass(frozen=True)
class Missing:
    """A variable that is not set, and the first place in the project that reads it."""

    name: str
    place: str


@dataclass(frozen=True)
class Inspection:
    """The result. Without a `failure`, `messages` are those of Django's checks.

    `required` variables prevent the start; the project reads the `optional` ones without a default
    that does anything. `connections` are places that connect to a database during the start.
    `facts` are those of `inspection_process.facts`.
    """

    django: str = ""
    required: list[Missing] = field(default_factory=list)
    optional: list[Missing] = field(default_factory=list)
    failure: str = ""
    messages: list[dict[str, Any]] = field(default_factory=list)
    connections: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)


def obstacle(project: Project, architecture: str) -> str:
    """Return why this machine cannot load the packages of the project's layer, or ""."""
    here = {"arm64": "aarch64"}.get(platform.machine(), platform.machine())
    if sys.platform != "linux" or here != MACHINES[architecture]:
        return f"its packages are for Linux on {architecture}"
    if not find_interpreter(project.python):
        return f"Python {project.python} is not installed"
    return ""


def inspect(
    project: Project,
    variables: Mapping[str, str],
    parameters: Mapping[str, str],
    set_elsewhere: Collection[str] = (),
) -> Inspection:
    """Inspect the project with a current layer.

    `variables` are those of the deployed function that the stack's configuration decides.
    `parameters` are the project's own variables and secrets, as they are stored in SSM;
    `set_elsewhere` are the names of those whose values are not known here.
    """
    variables = {**_function_variables(project), **variables}
    python = find_interpreter(project.python) or Path(sys.executable)
    tasks = [schedule.task for schedule in project.file.schedules if schedule.task]
    generated = {name: secrets.token_urlsafe(50) for name in SECRET_PARAMETERS}
    required: dict[str, Missing] = {}
    placeholders: list[str] = []
    failure = ""
    with _search_path(project) as path:
        for _ in range(MOST_STARTS):
            before = failure
            result = _run(
                python,
                {
                    "path": path,
                    "variables": variables,
                    "parameters": {**generated, **parameters},
                    "tasks": tasks,
                },
            )
            failure = _without_values(_with_paths_on_lambda(result["failure"], path), parameters)
            if missing := _cause(result, required):
                required[missing.name] = missing
                placeholders = list(PLACEHOLDERS)
            elif not failure or not placeholders or failure == before:
                break
            variables[next(reversed(required))] = placeholders.pop(0)
    return Inspection(
        django=result["django"],
        required=[each for each in required.values() if each.name not in set_elsewhere],
        optional=[
            Missing(name, read["place"])
            for name, read in result["reads"].items()
            if read["direct"] and name not in {*required, *set_elsewhere}
        ],
        failure=failure,
        messages=[
            {**each, "message": _with_paths_on_lambda(each["message"], path)}
            for each in result["messages"]
        ],
        connections=result["connections"],
        facts=result["facts"],
    )


def _with_paths_on_lambda(text: str, path: list[str]) -> str:
    """Return a traceback whose paths are relative to the project, or those of the layer."""
    task, layer, _ = path
    return text.replace(f"{task}/", "").replace(f"{layer}/", "/opt/python/")


def _without_values(text: str, parameters: Mapping[str, str]) -> str:
    """Return a text without the values of the project's variables, except for short words."""
    values = {
        value for stored in parameters.values() if len(value := decode(stored)) > LONGEST_WORD
    }
    for value in sorted(values, key=len, reverse=True):
        text = text.replace(value, "********")
    return text


def _cause(result: Mapping[str, Any], known: Mapping[str, Missing]) -> Missing | None:
    """Return the variable that the failure is about: the last one that its message names."""
    if not result["failure"]:
        return None
    named = [name for name in result["reads"] if name not in known and name in result["error"]]
    return Missing(named[-1], result["reads"][named[-1]]["place"]) if named else None


def _run(python: Path, specification: Mapping[str, Any]) -> dict[str, Any]:
    """Run the process once."""
    empty: dict[str, Any] = {"messages": [], "connections": [], "reads": {}, "facts": {}}
    empty |= {"django": "", "error": ""}
    try:
        done = subprocess.run(
            [python, "-B", "-I", "-S", "-X", "utf8", PROCESS],
            input=json.dumps(specification),
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )
        result: dict[str, Any] = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        return {**empty, "failure": f"Django did not start within {SECONDS} s."}
    except ValueError:
        last = "\n".join(done.stderr.splitlines()[-10:])
        return {**empty, "failure": f"Django's process ended.\n{last}"}
    return result


@contextmanager
def _search_path(project: Project) -> Iterator[list[str]]:
    """Yield the folders of the code, the layer and Lambda's own packages.

    The code is a copy of what ships. The project's folder may have a `.env` file, which does not.
    """
    with tempfile.TemporaryDirectory(prefix="djambda-check-") as folder:
        task, layer, of_lambda = (Path(folder, name) for name in ("task", "layer", "lambda"))
        for file in shipped(project.root, project.file.exclude):
            copy = task / file.relative_to(project.root)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)
        for package in (RUNTIME, COMMON):
            if not (task / package.name).exists():  # The sample's folder has the runtime.
                (task / package.name).symlink_to(package)
        layer.symlink_to(project.layer / "python")
        of_lambda.mkdir()
        for name in LAMBDA_PACKAGES:
            spec = find_spec(name)
            if spec and spec.origin:
                module = Path(spec.origin)
                package = module.parent if module.name == "__init__.py" else module
                (of_lambda / package.name).symlink_to(package)
        yield [str(task), str(layer), str(of_lambda)]


def _function_variables(project: Project) -> dict[str, str]:
    """Return the variables of the function that are known before a deploy, or do not matter."""
    return {
        "ALLOWED_HOSTS": "a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com",
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_LAMBDA_FUNCTION_NAME": "function",
        "AWS_STORAGE_BUCKET_NAME": "bucket",
        "DJANGO_SETTINGS_MODULE": project.settings,
        "LANG": "en_US.UTF-8",
        "PATH": "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin",
        "POSTGRES_DB": "djambda",
        "POSTGRES_SERVICE_HOST": "127.0.0.1",
        "POSTGRES_SERVICE_PORT": "1",  # Not that of a server on this machine.
        "POSTGRES_USER": "djambda",
        "SECRETS_PATH": "/none",
        BUILD_ID_VARIABLE: "none",
        NAMES_VARIABLE: " ".join(project.file.variables),
    }
