"""The backend for `django.tasks`, of Django 6.0 and later."""

from django.tasks import base, signals
from django.tasks.backends.base import BaseTaskBackend
from django.tasks.exceptions import InvalidTask, TaskResultDoesNotExist
from django.utils.json import normalize_json

from djambda.tasks.backend import LambdaBackend


class Backend(LambdaBackend, BaseTaskBackend):
    """Sends a task to the Django function, directly or through a queue."""

    base = base
    signals = signals
    missing_result = TaskResultDoesNotExist
    invalid_task = InvalidTask
    normalize_json = staticmethod(normalize_json)
