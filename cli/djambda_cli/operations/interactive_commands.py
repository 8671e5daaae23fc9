"""Management commands that read the terminal or local files, and their alternatives.

Lambda has neither; such a command would fail only after a cold start.
"""

from collections.abc import Sequence
from typing import NamedTuple


class InteractiveCommand(NamedTuple):
    """The alternative to a command, and the options (or their beginnings) that make it run."""

    alternative: str
    allowed_with: tuple[str, ...] = ()


NO_INPUT = ("--no-input", "--noinput")
HELP = ("-h", "--h")

CODE = """\
To run code or a script:
  {manage} shell -v 0 -c "print(1)"
  {manage} shell -v 0 -c "$(cat script.py)"\
"""
LOAD = """\
Upload the file to media/ in the site's bucket and load it from there:
  aws s3 cp dump.json s3://BUCKET/media/dump.json
  {manage} shell -v 0 -c "
from django.core.files.storage import default_storage
from django.core.management import call_command
open('/tmp/dump.json', 'wb').write(default_storage.open('dump.json').read())
call_command('loaddata', '/tmp/dump.json')"\
"""
QUERY = """\
To run a query:
  {manage} shell -c "c = connection.cursor(); c.execute('SELECT version()'); print(c.fetchall())"\
"""
NEW_CREDENTIALS = """\
Change the password in the admin, or run:
  {manage} shell -c "u = User.objects.get(username='NAME'); u.set_password('NEW'); u.save()"\
"""
SUPERUSER = """\
To use the password that the stack has generated for superusers:
  {manage} createsuperuser --no-input --username NAME --email ADDRESS\
"""

INTERACTIVE_COMMANDS = {
    "changepassword": InteractiveCommand(NEW_CREDENTIALS),
    "createsuperuser": InteractiveCommand(SUPERUSER, NO_INPUT),
    "dbshell": InteractiveCommand(QUERY),
    "flush": InteractiveCommand(
        "To delete all data without confirmation:\n  {manage} flush --no-input", NO_INPUT
    ),
    "makemigrations": InteractiveCommand(
        "Migrations belong to the code. Create them on this machine:\n"
        "  python manage.py makemigrations",
        ("--check", "--dry-run"),
    ),
    "runserver": InteractiveCommand("The site is running already:\n  {open_site}"),
    "shell": InteractiveCommand(CODE, ("-c", "--c")),
    "testserver": InteractiveCommand("On this machine:\n  python manage.py testserver"),
}


def alternative_to(command: Sequence[str], *, manage: str, open_site: str) -> str | None:
    """Return what to run instead of an interactive command, or None if it is not interactive.

    `manage` and `open_site` are the command lines to show.
    """
    name, options = command[0], command[1:]
    interactive = INTERACTIVE_COMMANDS.get(name)
    if name == "loaddata" and "-" in options:
        interactive = InteractiveCommand(LOAD)
    if interactive is None:
        return None
    if any(option.startswith((*interactive.allowed_with, *HELP)) for option in options):
        return None
    return interactive.alternative.format(manage=manage, open_site=open_site)
