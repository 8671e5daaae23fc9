"""`describe_site`: facts about a released site that only Django knows, for the stack's outputs."""

import json
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand
from django.urls import NoReverseMatch, get_script_prefix, reverse

from djambda.replaced_settings import REPLACED
from djambda.superuser import login_of, user_model


class Command(BaseCommand):
    help = (
        "Prints the superuser's login, the admin's path and the settings that the deployment "
        "replaces, with the reasons, as JSON."
    )
    requires_system_checks = ()

    def handle(self, **_: Any) -> None:
        description = {
            "superuser": _superuser(),
            "admin_path": _admin_path(),
            "replaced_settings": getattr(settings, REPLACED, {}),
        }
        self.stdout.write(json.dumps(description))


def _admin_path() -> str:
    """Return the path of Django's admin below the site's URL, such as "/admin/", "" without one."""
    try:
        return "/" + reverse("admin:index").removeprefix(get_script_prefix())
    except (NoReverseMatch, ImproperlyConfigured):
        return ""


def _superuser() -> str:
    """Return the login of the superuser of `ensure_superuser`, "" if it does not exist."""
    model = user_model()
    login = login_of(model) if model else ""
    users = model._default_manager.filter(**{model.USERNAME_FIELD: login}) if login else None
    return login if users and users.exists() else ""
