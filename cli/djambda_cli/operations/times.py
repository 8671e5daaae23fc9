"""Times in words."""

from datetime import datetime

from djambda_cli.aws.metrics import SECONDS_PER_DAY, SECONDS_PER_HOUR, SECONDS_PER_MINUTE


def ago(moment: datetime, present: datetime) -> str:
    """Return a time in relative and absolute form: "5 minutes ago (09:30)"."""
    seconds = max(0, (present - moment).total_seconds())
    local = moment.astimezone(present.tzinfo)
    time = f"{local:%H:%M}" if local.date() == present.date() else f"{local:%Y-%m-%d %H:%M}"
    units = {"day": SECONDS_PER_DAY, "hour": SECONDS_PER_HOUR, "minute": SECONDS_PER_MINUTE}
    for unit, length in units.items():
        if seconds >= length:
            number = int(seconds // length)
            return f"{number} {unit}{'s' * (number > 1)} ago ({time})"
    return f"just now ({time})"
