"""Settings that name files: a function can write to its temporary folder only.

Each instance of the function has its own folder, which is deleted with the instance.
"""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from djambda.replaced_settings import Settings, record, remove, replace

READ_ONLY = "Lambda's disk is read-only except for the temporary folder"
NOT_SHARED = "the instances of a function share neither files nor memory"

FILE_HANDLERS = {
    "logging.FileHandler",
    "logging.handlers.RotatingFileHandler",
    "logging.handlers.TimedRotatingFileHandler",
    "logging.handlers.WatchedFileHandler",
}
STREAM_OPTIONS = {"level", "formatter", "filters"}

LOCAL_MEMORY = "django.core.cache.backends.locmem.LocMemCache"
FILE_CACHE = "django.core.cache.backends.filebased.FileBasedCache"
UNSHARED_CACHES = {LOCAL_MEMORY, FILE_CACHE, "django.core.cache.backends.dummy.DummyCache"}
CACHED_SESSIONS = {
    "django.contrib.sessions.backends.cache",
    "django.contrib.sessions.backends.cached_db",
}
FILE_SESSIONS = "django.contrib.sessions.backends.file"


def use_temporary_folder(settings: Settings) -> None:
    """Replace the files that a function cannot write or cannot share."""
    uploads = settings.get("FILE_UPLOAD_TEMP_DIR")
    if not is_temporary(uploads):
        remove(settings, "FILE_UPLOAD_TEMP_DIR", READ_ONLY)
    elif uploads:
        Path(uploads).mkdir(parents=True, exist_ok=True)
    if not is_temporary(settings.get("EMAIL_FILE_PATH")):
        replace(
            settings, "EMAIL_FILE_PATH", _temporary("emails"), f"{READ_ONLY}, and no mail is sent"
        )
    if settings.get("MAILERS"):
        settings["MAILERS"] = _mailers(settings)
    if settings.get("LOGGING"):
        settings["LOGGING"] = _logging(settings)
    if settings.get("CACHES"):
        settings["CACHES"] = _caches(settings)
    _use_shared_sessions(settings)


def is_temporary(path: object) -> bool:
    """Return whether a function can write to `path`. None counts as Django's own choice."""
    if not path:
        return True
    file, code = Path(str(path)), os.environ.get("LAMBDA_TASK_ROOT")
    if code and file.is_relative_to(code):  # The local cloud keeps the code in a temporary folder.
        return False
    return file.is_relative_to(tempfile.gettempdir())


def _temporary(name: str) -> str:
    return str(Path(tempfile.gettempdir(), name))


def _mailers(settings: Settings) -> dict[str, Any]:
    mailers = dict(settings["MAILERS"])
    for alias, mailer in mailers.items():
        options = mailer.get("OPTIONS") or {}
        if not is_temporary(options.get("file_path")):
            record(settings, f'MAILERS["{alias}"]', f"{READ_ONLY}, and no mail is sent")
            options = {**options, "file_path": _temporary("emails")}
            mailers[alias] = {**mailer, "OPTIONS": options}
    return mailers


def _logging(settings: Settings) -> Mapping[str, Any]:
    """Return LOGGING with the console in place of files: Django does not start otherwise."""
    logging: Mapping[str, Any] = settings["LOGGING"]
    handlers = dict(logging.get("handlers") or {})
    for name, handler in handlers.items():
        if handler.get("class") not in FILE_HANDLERS:
            continue
        if is_temporary(handler.get("filename")):
            Path(handler["filename"]).parent.mkdir(parents=True, exist_ok=True)
        else:
            record(
                settings, f'LOGGING["handlers"]["{name}"]', f"{READ_ONLY}: it logs to the console"
            )
            kept = {key: value for key, value in handler.items() if key in STREAM_OPTIONS}
            handlers[name] = {"class": "logging.StreamHandler", **kept}
    if handlers == logging.get("handlers", {}):
        return logging
    return {**logging, "handlers": handlers}


def _caches(settings: Settings) -> dict[str, Any]:
    caches = dict(settings["CACHES"])
    for alias, cache in caches.items():
        if cache.get("BACKEND") == FILE_CACHE and not is_temporary(cache.get("LOCATION")):
            record(settings, f'CACHES["{alias}"]', READ_ONLY)
            caches[alias] = {**cache, "LOCATION": _temporary(f"cache-{alias}")}
    return caches


def _use_shared_sessions(settings: Settings) -> None:
    engine = settings.get("SESSION_ENGINE")
    if engine in CACHED_SESSIONS:
        alias = settings.get("SESSION_CACHE_ALIAS", "default")
        cache = settings.get("CACHES", {}).get(alias, {}).get("BACKEND", LOCAL_MEMORY)
        shared = cache not in UNSHARED_CACHES
    else:
        shared = engine != FILE_SESSIONS
    if shared:
        return
    installed = "django.contrib.sessions" in settings.get("INSTALLED_APPS", ())
    replace(
        settings,
        "SESSION_ENGINE",
        f"django.contrib.sessions.backends.{'db' if installed else 'signed_cookies'}",
        NOT_SHARED,
    )
