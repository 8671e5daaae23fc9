"""Recognize a local cloud that another version of djambda runs: `up` restarts it."""

import hashlib
from pathlib import Path

from awscdk import database_parameters
from awscdk.product import PRODUCT
from djambda_common import schedule_expressions


def code_id() -> str:
    """Return an id of the code that runs a local cloud, and of the packages that it uses."""
    digest = hashlib.sha256()
    locks = (PRODUCT / "uv.lock", PRODUCT / "package-lock.json")
    shared = (database_parameters.__file__, schedule_expressions.__file__)
    modules = (*map(Path, shared), *sorted(Path(__file__).parent.glob("*.py")))
    for file in (*locks, *modules):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]
