"""Tasks of the package `django-tasks`."""

import sys
from typing import Any

from django_tasks import task

from tests.unit.djambda.tasks import functions


@task
def echo(*args: Any, **kwargs: Any) -> Any:
    return functions.echo(*args, **kwargs)


@task
async def echo_later(*args: Any, **kwargs: Any) -> Any:
    return functions.echo(*args, **kwargs)


@task
def fail(_secret: str = "") -> None:
    raise RuntimeError("boom")


@task
def leave() -> None:
    sys.exit(3)


@task
def return_object() -> object:
    return object()


@task
def return_nan() -> float:
    return float("nan")


@task
def show_state() -> list[str]:
    return functions.state()


class Group:
    """A class, in which tasks cannot be."""

    @staticmethod
    @task
    def echo() -> None:
        """Do nothing."""


def _implementation() -> None:
    """Do nothing."""


renamed = task(_implementation)


@task(takes_context=True)
def attempt(context: Any) -> int:
    number: int = context.attempt
    return number


@task(takes_context=True)
def succeed_later(context: Any) -> int:
    if context.attempt == 1:
        raise RuntimeError("first")
    number: int = context.attempt
    return number


@task
def enqueue_another() -> None:
    echo.enqueue(2)
