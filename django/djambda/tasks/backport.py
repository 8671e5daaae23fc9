"""The backend for the package `django-tasks`, which brings `django.tasks` to Django 5.2."""

from django_tasks import base, signals
from django_tasks.backends.base import BaseTaskBackend
from django_tasks.exceptions import InvalidTaskError, TaskResultDoesNotExist
from django_tasks.utils import normalize_json

from djambda.tasks.backend import LambdaBackend


class Backend(LambdaBackend, BaseTaskBackend):
    """Sends a task to the Django function, directly or through a queue."""

    base = base
    signals = signals
    missing_result = TaskResultDoesNotExist
    invalid_task = InvalidTaskError
    normalize_json = staticmethod(normalize_json)
