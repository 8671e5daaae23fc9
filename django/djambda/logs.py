"""Lets Lambda write Django's log records as JSON.

Lambda's formatter puts a record's extra attributes into the line, and raises a TypeError at one
that JSON does not know. Django attaches the whole request to what it logs about a failed request,
so without this module every 404 and 500 would end as a crash of the function.
"""

import copy
import json
import logging

STANDARD = frozenset(vars(logging.makeLogRecord({})))


class JsonSafe(logging.Filter):
    """Drops `request` (it leads to cookies and bodies); turns other such attributes into text."""

    def filter(self, record: logging.LogRecord) -> logging.LogRecord:
        extra = vars(record).keys() - STANDARD
        unsafe = [name for name in extra if name == "request" or not _is_json(vars(record)[name])]
        if not unsafe:
            return record
        record = copy.copy(record)  # Other handlers may want the original.
        for name in unsafe:
            value = vars(record).pop(name)
            if name != "request":
                setattr(record, name, str(value))
        return record


def _is_json(value: object) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return False
    return True
