"""Create the superuser if it does not exist: a release runs this last."""

import os
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand

from djambda.superuser import PREFIX, login_of, required_values, user_model

UNKNOWN_OPTIONS = "Unknown option(s) for createsuperuser"
"""The beginning of the error of `call_command`."""


class Command(BaseCommand):
    help = (
        "Creates the superuser of DJANGO_SUPERUSER_USERNAME, _PASSWORD and _EMAIL, "
        "unless a user with that name exists. Users who log in with an email address get _EMAIL."
    )

    def handle(self, **_: Any) -> None:
        model = user_model()
        if model is None:
            self.stdout.write("django.contrib.auth is not installed: no superuser created.")
            return
        login = login_of(model)
        if not login:
            self.stdout.write(
                f"{PREFIX}{model.USERNAME_FIELD.upper()} is not set: no superuser created."
            )
            return
        if model._default_manager.filter(**{model.USERNAME_FIELD: login}).exists():
            self.stdout.write(f"The superuser {login} already exists.")
            return
        if not os.environ.get(f"{PREFIX}PASSWORD"):
            self.stdout.write(f"{PREFIX}PASSWORD is not set: {login} not created.")
            return
        required = required_values(model)
        if missing := [name for name, value in required.items() if value is None]:
            options = " ".join(f"--{name} ..." for name in [model.USERNAME_FIELD, *required])
            self.stdout.write(
                f"The user model requires {', '.join(missing)}: no superuser created. Run: "
                f"createsuperuser --no-input {options}"
            )
            return
        fields = {model.USERNAME_FIELD: login, **required}
        try:
            call_command("createsuperuser", interactive=False, verbosity=0, **fields)
        except TypeError as error:
            if not str(error).startswith(UNKNOWN_OPTIONS):
                raise
            self.stdout.write(
                "The project has a createsuperuser command with other options: no superuser "
                "created. Run: help createsuperuser"
            )
            return
        self.stdout.write(f"Created the superuser {login}.")
