"""`ensure_superuser`: the last command of a release, with work to do in a site's first one only."""

import os
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    help = (
        "Creates the superuser that DJANGO_SUPERUSER_USERNAME, _PASSWORD and _EMAIL describe, "
        "unless there is a user of that name."
    )

    def handle(self, **_: Any) -> None:
        model = get_user_model()
        username = os.environ.get("DJANGO_SUPERUSER_USERNAME")
        if not username:
            self.stdout.write("DJANGO_SUPERUSER_USERNAME is not set: no superuser is needed.")
            return
        if model._default_manager.filter(**{model.USERNAME_FIELD: username}).exists():
            self.stdout.write(f"The superuser {username} exists.")
            return
        # On AWS the password is in the environment once the database has been asked.
        password = os.environ.get("DJANGO_SUPERUSER_PASSWORD")
        if not password:
            self.stdout.write(f"DJANGO_SUPERUSER_PASSWORD is not set: {username} is not created.")
            return
        required = {
            field: os.environ.get(f"DJANGO_SUPERUSER_{field.upper()}", "")
            for field in model.REQUIRED_FIELDS
        }
        model._default_manager.create_superuser(
            **{model.USERNAME_FIELD: username}, password=password, **required
        )
        self.stdout.write(f"The superuser {username} is created.")
