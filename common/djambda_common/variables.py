"""The project's own variables and secrets, as SSM parameters below the deployment's path.

The CLI writes them, the Django function reads them. A value is stored as a JSON string: SSM accepts
neither an empty value nor one that contains "{{".

Each version of the function reads a snapshot of them, so that a version that is rolled back gets
the values of its time. A snapshot consists of as few parameters as possible, because an account can
have 10,000 of them.
"""

import base64
import json
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence

ENV = "env"
SECRET = "secret"  # noqa: S105 (a part of parameters' names)
KINDS = (ENV, SECRET)
"""The folders below the deployment's path. The values of `ENV` may be shown to people."""
SNAPSHOTS = "versions"
"""The folder of the snapshots. Each is a folder whose parameters are numbered from 1."""
COUNT_LENGTH = 6
"""Characters of a snapshot's first parameter for the number of its parameters and a space."""

LIMIT = 4096
"""https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html"""

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
RESERVED = re.compile(
    r"(AWS_|DJAMBDA_|DJANGO_SUPERUSER_|LAMBDA_|LD_|_)\w+|PG[A-Z]+|PYTHON\w+"
    r"|POSTGRES_(DB|SERVICE_\w+|USER)"
    r"|ALLOWED_HOSTS|APP_NAME|DEBUG|DJANGO_SETTINGS_MODULE|EGRESS_FUNCTION|ENVIRONMENT|HOME|PATH"
    r"|RELEASE|SECRETS_PATH|SITE_PREFIX|VARIABLES_SNAPSHOT|VARIABLE_NAMES"
)
"""Names that Lambda, libpq, Python or the stack set."""

SECRET_FACTS = ("DATABASE_PASSWORD", "DATABASE_URL", "SECRET_KEY")
FACTS = (
    *("ALLOWED_HOSTS", "DATABASE_HOST", "DATABASE_NAME", "DATABASE_PORT", "DATABASE_USER", "DEBUG"),
    *SECRET_FACTS,
)
"""The facts about a deployment that a project can read from variables with names of its own."""

SECRET_WORDS = "API|AUTH|CREDENTIAL|DSN|KEY|PASS|SECRET|SIGNATURE|TOKEN"  # noqa: S105 (parts of names)
"""As Django's debug page: https://docs.djangoproject.com/en/6.1/ref/settings/#debug"""
URL_PASSWORD = re.compile(r"://[^/\s:@]*:([^/\s@]+)@")


def default_names(settings: str, own: Iterable[str] = ()) -> dict[str, str]:
    """Return the variables that are set unless the project sets them, with their facts.

    `settings` is the settings module, and `own` has the project's own names, as NAME=FACT.
    """
    return {
        "DATABASE_URL": "DATABASE_URL",
        "DEBUG": "DEBUG",
        "DJANGO_ALLOWED_HOSTS": "ALLOWED_HOSTS",
        "DJANGO_DEBUG": "DEBUG",
        "DJANGO_SECRET_KEY": "SECRET_KEY",
        "SECRET_KEY": "SECRET_KEY",
        f"{settings.partition('.')[0].upper()}_SECRET_KEY": "SECRET_KEY",
        **{name: fact for name, _, fact in (pair.partition("=") for pair in own)},
    }


def encode(value: str) -> str:
    """Return the text to store."""
    return json.dumps(value).replace("{", "\\u007b")


def decode(stored: str) -> str:
    """Return the value of a stored text, even of one that was not stored by djambda."""
    try:
        value = json.loads(stored)
    except ValueError:
        return stored
    return value if isinstance(value, str) else stored


def pack(stored: Mapping[str, str]) -> list[str]:
    """Return the parameters of a snapshot. The keys of `stored` are a kind, "/", and a name."""
    text = base64.b64encode(zlib.compress(json.dumps(stored).encode())).decode()
    size = LIMIT - COUNT_LENGTH
    pieces = [text[start : start + size] for start in range(0, len(text), size)]
    return [f"{len(pieces)} {pieces[0]}", *pieces[1:]]


def count_pieces(first: str) -> int:
    """Return the number of a snapshot's parameters from its first one."""
    return int(first.partition(" ")[0])


def unpack(pieces: Sequence[str]) -> dict[str, str]:
    """Return what was packed."""
    text = pieces[0].partition(" ")[2] + "".join(pieces[1:])
    stored: dict[str, str] = json.loads(zlib.decompress(base64.b64decode(text)))
    return stored


def is_reserved(name: str) -> bool:
    """Return whether Lambda, libpq, Python or the stack set a variable."""
    return bool(RESERVED.fullmatch(name))


def looks_secret(name: str, value: str) -> bool:
    """Return whether a variable is a secret by its name, or because it is a URL with a password."""
    return bool(re.search(SECRET_WORDS, name, re.IGNORECASE) or URL_PASSWORD.search(value))


def problem_of(name: str, value: str = "") -> str:
    """Return why a variable cannot be stored, without its value, or ""."""
    if "=" in name:  # Possibly with the value.
        return f"{name.partition('=')[0]!r} must be given without = and its value"
    if not NAME.fullmatch(name):
        return f"{name!r} is not a name: use letters, digits and _, not starting with a digit"
    if is_reserved(name):
        return f"{name} is reserved: Lambda, libpq, Python or the deployment sets it"
    if "\0" in value:
        return f"The value of {name} contains a null character, which variables cannot contain"
    if (size := len(encode(value))) > LIMIT:
        return f"The value of {name} has {size} bytes when stored: the limit is {LIMIT}"
    return ""
