"""The generated credentials of a local cloud: of its AWS APIs and of its Postgres.

They are created with the cloud and kept in a file that only its owner can read. Without them no
other user of the machine, and no web page, can use the cloud.
"""

import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

FILE = "credentials.json"


@dataclass(frozen=True)
class Credentials:
    """The access key of the emulated AWS account, and the password of the database."""

    access_key_id: str
    secret_access_key: str
    database_password: str


def load_or_create(folder: Path) -> Credentials:
    """Return the credentials of the local cloud in `folder`, creating them on first use."""
    file = folder / FILE
    if not file.exists():
        credentials = Credentials(
            access_key_id=f"LOCAL{secrets.token_hex(8).upper()}",
            secret_access_key=secrets.token_urlsafe(30),
            database_password=secrets.token_urlsafe(24),
        )
        new = file.with_suffix(".new")  # Renamed when complete.
        new.unlink(missing_ok=True)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as output:
            json.dump(asdict(credentials), output)
        new.rename(file)
    return Credentials(**json.loads(file.read_text()))
