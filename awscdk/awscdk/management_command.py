"""Management commands as a project's configuration contains them."""

import shlex

NOT_COMMANDS = {"python", "python3", "manage.py", "./manage.py", "django-admin"}


def command_problem(command: str) -> str:
    """Return why a text is not a management command, or ""."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        return f"is not a command: {error}"
    if not words:
        return "is not a command: it is empty"
    if words[0] in NOT_COMMANDS:
        return 'is not a command: write only the command and its arguments, e.g. "createcachetable"'
    return ""
