"""Make Django's log records serializable for Lambda's JSON log.

Lambda's formatter writes a record's extra attributes and raises a TypeError if one is not JSON.
Django attaches the request to the records of failed requests, so without this filter every 404 and
500 would crash the function.
"""

import copy
import json
import logging

STANDARD = frozenset(vars(logging.makeLogRecord({})))


class JsonSafeFilter(logging.Filter):
    """Remove `request`, which has cookies and bodies, and convert other attributes to text."""

    def filter(self, record: logging.LogRecord) -> logging.LogRecord:
        extra = vars(record).keys() - STANDARD
        unsafe = [name for name in extra if name == "request" or not _is_json(vars(record)[name])]
        if not unsafe:
            return record
        record = copy.copy(record)  # Other handlers may need the original.
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
