"""The project's PostgreSQL backend with a connection that waits for a paused database.

That is Django's own, or one that a package derives from it; `djambda.database_settings` names it.
Django finds the class by its name, https://docs.djangoproject.com/en/6.1/ref/databases/#subclassing-the-built-in-database-backends
"""

from importlib import import_module
from typing import Any

from django.conf import settings

from djambda.database_settings import POSTGRES
from djambda.db.resume import retry_until_resumed

ATTEMPT_SECONDS = 10

project = import_module(f"{getattr(settings, 'DJAMBDA_DATABASE_ENGINE', POSTGRES)}.base")


class DatabaseWrapper(project.DatabaseWrapper):  # type: ignore[misc, name-defined]
    """Accepts `resume_seconds` in OPTIONS, the total time that connecting may take."""

    def get_connection_params(self) -> dict[str, Any]:
        params: dict[str, Any] = super().get_connection_params()
        params.pop("resume_seconds", None)
        return params

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        def attempt(seconds_left: float) -> Any:
            # In whole seconds; libpq raises 1 to 2.
            timeout = max(2, int(min(seconds_left, ATTEMPT_SECONDS)))
            return connect({**conn_params, "connect_timeout": timeout})

        connect = super().get_new_connection
        seconds = self.settings_dict["OPTIONS"].get("resume_seconds", 25)
        return retry_until_resumed(attempt, seconds=seconds, errors=self.Database.OperationalError)
