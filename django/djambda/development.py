"""Settings for development: an embedded Postgres and a generated secret key.

Neither needs any setup. Never imported on AWS.
"""

import contextlib
import os
import secrets
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from django.utils.functional import SimpleLazyObject


def secret_key(file: Path) -> str:
    """Return the key in `file`, which is created on first use and readable only by its owner."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile("w", dir=file.parent) as temporary:
            temporary.write(secrets.token_urlsafe(48))
            temporary.flush()
            with contextlib.suppress(FileExistsError):  # runserver starts two processes.
                os.link(temporary.name, file)
    return file.read_text()


def embedded_postgres(data: Path) -> dict[str, Any]:
    """Return a `DATABASES` entry for a Postgres of the same version as the deployed one.

    It stores its files in `data` and listens only on a Unix socket. The first connection starts it;
    it stops when the last process that uses it has ended.
    """
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "postgres",
        "USER": "postgres",
        "HOST": SimpleLazyObject(lambda: _start(data)),
    }


def _start(data: Path) -> str:
    """Start the server unless it runs already; return the folder of its socket."""
    from djambda_cli.local import shared_postgres  # noqa: PLC0415 (only in a checkout)

    return str(shared_postgres.start(data))
