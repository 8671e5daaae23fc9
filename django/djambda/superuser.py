"""The superuser that the first release creates, for any user model.

Variables have the values of the fields, as for Django's `createsuperuser --no-input`:
DJANGO_SUPERUSER_USERNAME that of `username`. The stack sets this one and DJANGO_SUPERUSER_EMAIL.
"""

import os
from typing import Any

from django.apps import apps
from django.contrib.auth import get_user_model
from django.db import models

PREFIX = "DJANGO_SUPERUSER_"


def user_model() -> Any:
    """Return the project's user model, or None without `django.contrib.auth`."""
    return get_user_model() if apps.is_installed("django.contrib.auth") else None


def login_of(model: Any) -> str:
    """Return the value of the superuser's USERNAME_FIELD, "" if its variable is not set."""
    field = model._meta.get_field(model.USERNAME_FIELD)
    return os.environ.get(_variable(model.USERNAME_FIELD)) or os.environ.get(_fallback(field), "")


def required_values(model: Any) -> dict[str, Any]:
    """Return the value of each field of REQUIRED_FIELDS, None if there is none."""
    return {name: _value(model._meta.get_field(name)) for name in model.REQUIRED_FIELDS}


def _value(field: Any) -> Any:
    if (value := os.environ.get(_variable(field.name))) is not None:
        return value
    if field.has_default():
        return field.get_default()
    if field.blank:
        return ""
    is_text = isinstance(field, models.CharField | models.TextField)
    return os.environ.get(_fallback(field)) if is_text else None


def _variable(field: str) -> str:
    return PREFIX + field.upper()


def _fallback(field: Any) -> str:
    """Return the variable of the stack for a field without a variable of its own."""
    return _variable("email" if isinstance(field, models.EmailField) else "username")
