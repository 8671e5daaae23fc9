"""Start a Django project as the deployed function does, and run Django's checks.

`inspection.py` runs this file in a process of its own, with the layer's packages, the runtime and
the variables of the deployment. It reads a specification from the standard input and writes a
result to the standard output, both as JSON. It imports nothing of the CLI.

The process cannot connect to anything: not to the project's database, and not to AWS.
"""

import json
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module, metadata
from types import FrameType
from typing import Any

RUNTIME = ("djambda/", "djambda_common/")
"""Folders in addition to the project's."""
NO_DATABASE = "djambda check does not connect to the database"

reads: dict[str, dict[str, Any]] = {}
"""The variables that the project reads and that are not set: the place of each first read, and
whether the project itself reads it, without a default."""
connections: list[str] = []
"""The places at which the project tried to connect to its database."""


class RecordingEnvironment(type(os.environ)):  # type: ignore[misc]
    """Records what the project reads although it is not set."""

    def __getitem__(self, name: str) -> str:
        try:
            return str(super().__getitem__(name))
        except KeyError:
            _record(name, optional=False)
            raise

    def __contains__(self, name: object) -> bool:
        return self.get(name) is not None

    def get(self, name: Any, default: Any = None) -> Any:
        """Return a variable, or `default` if it is not set."""
        try:
            return super().__getitem__(name)
        except KeyError:
            _record(name, optional=default not in {None, ""})
            return default


def _record(name: str, *, optional: bool) -> None:
    place = _place_in_project()
    if place and name not in reads:
        direct = _is_of_project(next(_callers()).f_code.co_filename)
        reads[name] = {"place": place, "direct": direct and not optional}


def _callers() -> Iterator[FrameType]:
    """Yield the frames of the code that reads a variable, the innermost first."""
    frame = sys._getframe(1)
    while frame.f_back:
        frame = frame.f_back
        if frame.f_code.co_filename not in {__file__, os.__file__, "<frozen os>"}:
            yield frame


def _place_in_project() -> str:
    """Return the file and line of the innermost frame in the project, or ""."""
    for frame in _callers():
        if _is_of_project(file := frame.f_code.co_filename):
            return f"{file.removeprefix(f'{sys.path[0]}/')}:{frame.f_lineno}"
    return ""


def _is_of_project(file: str) -> bool:
    root = f"{sys.path[0]}/"
    return file.startswith(root) and not file.removeprefix(root).startswith(RUNTIME)


def refuse_connections(event: str, _: tuple[Any, ...]) -> None:
    """Fail when Python opens a connection: an audit hook."""
    if event in {"socket.connect", "socket.getaddrinfo", "socket.sendto"}:
        raise OSError(f"djambda check does not open connections ({event})")


def refuse_database() -> None:
    """Let every connection to a database fail at once, and record its place."""
    from django.db import OperationalError  # noqa: PLC0415 (needs the path of `main`)
    from django.db.backends.base.base import BaseDatabaseWrapper  # noqa: PLC0415

    def connect(_: Any) -> None:
        connections.append(_place_in_project())
        raise OperationalError(NO_DATABASE)

    BaseDatabaseWrapper.connect = connect  # type: ignore[method-assign, assignment]


def start(parameters: dict[str, str]) -> None:
    """Start Django with these parameters of the deployment instead of those in SSM."""
    runtime = import_module("djambda.parameters")
    runtime.deployment_secrets = lambda _: lambda: parameters  # type: ignore[attr-defined]
    import_module("djambda.awslambda")


def run_django_checks() -> Iterator[dict[str, Any]]:
    """Yield the messages of `check --deploy`, without the silenced ones.

    Those of `--deploy` are advice: `startproject` writes a setting with an error among them. A
    check that raises an exception, as that of the URLs without a database, is left out.
    """
    from django.core.checks.registry import Tags, registry  # noqa: PLC0415 (as above)

    for check in registry.get_checks(include_deployment_checks=True):
        if Tags.database in check.tags:
            continue
        is_advice = check in registry.deployment_checks
        with suppress(Exception):
            for message in check(app_configs=None, databases=None):
                if not message.is_silenced():
                    yield {
                        "id": message.id or "",
                        "is_error": message.is_serious() and not is_advice,
                        "message": str(message.msg),
                        "hint": str(message.hint or ""),
                        "object": _label(message.obj),
                    }


def _label(checked: Any) -> str:
    """Return how Django shows what a message is about, such as "shop.Photo"."""
    is_model = isinstance(checked, type) and hasattr(checked, "_meta")
    return str(checked._meta.label if is_model else checked or "")


def facts(tasks: list[str]) -> dict[str, Any]:
    """Return what the checks need to know about the started project, and about these tasks."""
    from django.conf import settings  # noqa: PLC0415 (Django has started by now)
    from django.core.management import get_commands  # noqa: PLC0415

    from djambda.replaced_settings import REPLACED  # noqa: PLC0415
    from djambda.superuser import login_of, required_values, user_model  # noqa: PLC0415

    model = user_model()
    haystack = getattr(settings, "HAYSTACK_CONNECTIONS", {})
    return {
        "apps": list(settings.INSTALLED_APPS),
        "engines": {alias: each["ENGINE"] for alias, each in settings.DATABASES.items()},
        "haystack": [str(each.get("ENGINE", "")) for each in haystack.values()],
        "replaced": dict(getattr(settings, REPLACED, {})),
        "login": {"field": model.USERNAME_FIELD, "value": login_of(model)} if model else {},
        "superuser_lacks": [name for name, value in required_values(model).items() if value is None]
        if model
        else [],
        "uses_postgres_search": _uses_postgres_search(),
        "commands": sorted(get_commands()),
        "task_problems": {path: reason for path in tasks if (reason := _task_problem(path))},
    }


def _task_problem(path: str) -> str:
    """Return why there is no task at this path, or ""."""
    from django.utils.module_loading import import_string  # noqa: PLC0415 (as above)

    try:
        found = import_string(path)
    except Exception as error:  # noqa: BLE001 (the project's module is imported)
        return f"it cannot be imported ({error})"
    return "" if callable(getattr(found, "enqueue", None)) else "it is not decorated with @task"


def _uses_postgres_search() -> bool:
    """Return whether a module of the project imports something of Django's full-text search."""
    return any(
        getattr(value, "__module__", "") == "django.contrib.postgres.search"
        for module in list(sys.modules.values())
        if _is_of_project(getattr(module, "__file__", None) or "")
        for value in list(vars(module).values())
    )


def inspect(parameters: dict[str, str], tasks: list[str]) -> dict[str, Any]:
    """Return the result: the failure of the start, or else the messages and the facts.

    A start that fails because there is no database would succeed on Lambda.
    """
    result: dict[str, Any] = {"django": "", "failure": "", "error": "", "messages": [], "facts": {}}
    try:
        result["django"] = metadata.version("django")
        refuse_database()
        start(parameters)
    except BaseException as error:  # noqa: BLE001 (settings can raise anything, also SystemExit)
        cause = error.__cause__ or error
        text = f"{type(cause).__name__}: {cause}"
        if NO_DATABASE not in text:
            result |= {"failure": _description(error), "error": text}
    if not result["failure"]:
        result |= {"facts": facts(tasks), "messages": list(run_django_checks())}
    return result | {"reads": reads, "connections": connections}


def _description(error: BaseException) -> str:
    """Return the description of a failed start, or a traceback of another error."""
    if type(error).__name__ == "DjangoFailedToStart":
        return str(error)
    return "".join(traceback.format_exception(error, limit=-3))


def main() -> None:
    """Read the specification, inspect the project and write the result."""
    output = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # What the project prints is not part of the result.
    specification = json.load(sys.stdin)
    sys.path[:0] = specification["path"]
    os.environ.clear()
    os.environ.update(specification["variables"], LAMBDA_TASK_ROOT=sys.path[0])
    os.environ.__class__ = RecordingEnvironment
    os.chdir(sys.path[0])
    sys.addaudithook(refuse_connections)
    with output:
        json.dump(inspect(specification["parameters"], specification["tasks"]), output)


if __name__ == "__main__":
    main()
