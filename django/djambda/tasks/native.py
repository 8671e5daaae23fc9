"""The backends for `django.tasks`, of Django 6.0 and later."""

from django.tasks import base, signals
from django.tasks.backends.base import BaseTaskBackend
from django.tasks.exceptions import TaskResultDoesNotExist
from django.utils.json import normalize_json

from djambda.tasks.backend import LambdaBackend


class DirectBackend(LambdaBackend, BaseTaskBackend):
    """Invokes the Django function asynchronously, once for each task."""

    base = base
    signals = signals
    missing_result = TaskResultDoesNotExist
    normalize_json = staticmethod(normalize_json)
