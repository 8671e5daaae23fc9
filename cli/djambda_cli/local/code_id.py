"""Recognize a local cloud that another version of djambda runs: `up` restarts it."""

import hashlib
from pathlib import Path

from awscdk.product import PRODUCT


def code_id() -> str:
    """Return an id of the code that runs a local cloud, and of the packages that it uses."""
    digest = hashlib.sha256((PRODUCT / "uv.lock").read_bytes())
    for file in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]
