"""The part of the caller's environment that the local cloud uses: nothing of a real account."""

import os
import platform
from collections.abc import Mapping

from djambda_cli.errors import CliError

NOT_INHERITED = ("AWS_", "CDK_", "PG", "POSTGRES_", "DJANGO_", "PYTHON", "VIRTUAL_ENV")
ISOLATION = {
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
    "NO_PROXY": "127.0.0.1,localhost",
    "no_proxy": "127.0.0.1,localhost",
}
"""Variables that keep AWS's tools from finding another account's credentials."""
ARCHITECTURES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}
"""The machine names of operating systems, and Lambda's names for them."""


def inherited(environ: Mapping[str, str], *kept: str) -> dict[str, str]:
    """Return the variables that cannot lead to another account; `kept` are exceptions."""
    return {
        name: value
        for name, value in environ.items()
        if name in kept
        or not (name.upper().startswith(NOT_INHERITED) or name.upper().endswith("_PROXY"))
    }


def machine_architecture() -> str:
    """Return Lambda's name of this machine's architecture. Raises `CliError` if it has none."""
    machine = platform.machine()
    try:
        return ARCHITECTURES[machine.lower()]
    except KeyError:
        raise CliError(
            f"The local cloud does not run on {machine} processors. Lambda has x86_64 and arm64."
        ) from None
