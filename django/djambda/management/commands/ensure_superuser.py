"""Create the superuser if it does not exist: a release runs this last."""

import os
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    help = (
        "Creates the superuser of DJANGO_SUPERUSER_USERNAME, _PASSWORD and _EMAIL, "
        "unless a user with that name exists."
    )

    def handle(self, **_: Any) -> None:
        model = get_user_model()
        username = os.environ.get("DJANGO_SUPERUSER_USERNAME")
        if not username:
            self.stdout.write("DJANGO_SUPERUSER_USERNAME is not set: no superuser created.")
            return
        if model._default_manager.filter(**{model.USERNAME_FIELD: username}).exists():
            self.stdout.write(f"The superuser {username} already exists.")
            return
        # On AWS, the query above has waited for the secrets, which set this variable.
        password = os.environ.get("DJANGO_SUPERUSER_PASSWORD")
        if not password:
            self.stdout.write(f"DJANGO_SUPERUSER_PASSWORD is not set: {username} not created.")
            return
        required = {
            field: os.environ.get(f"DJANGO_SUPERUSER_{field.upper()}", "")
            for field in model.REQUIRED_FIELDS
        }
        model._default_manager.create_superuser(
            **{model.USERNAME_FIELD: username}, password=password, **required
        )
        self.stdout.write(f"Created the superuser {username}.")
