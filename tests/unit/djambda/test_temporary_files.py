"""Settings that name files, on a disk that is read-only except for the temporary folder."""

import logging.config
import tempfile
from pathlib import Path
from typing import Any

import pytest

from djambda.replaced_settings import REPLACED
from djambda.temporary_files import is_temporary
from tests.unit.djambda.conftest import configured

FILE_CACHE = "django.core.cache.backends.filebased.FileBasedCache"
REDIS = "django.core.cache.backends.redis.RedisCache"
SESSIONS = "django.contrib.sessions.backends"


@pytest.fixture(autouse=True)
def temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deployed: object) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    "handler",
    [
        {"class": "logging.FileHandler", "filename": "/var/log/site.log"},
        {"class": "logging.FileHandler", "filename": Path("site.log"), "encoding": "utf-8"},
        {
            "class": "logging.handlers.RotatingFileHandler",
            "filename": "/srv/site.log",
            "maxBytes": 1024,
            "level": "INFO",
            "formatter": "plain",
        },
    ],
)
def test_log_files_are_replaced_by_the_console(handler: dict[str, Any]) -> None:
    own = {
        "version": 1,
        "disable_existing_loggers": False,  # Those of other tests.
        "formatters": {"plain": {"format": "%(message)s"}},
        "handlers": {"file": handler, "null": {"class": "logging.NullHandler"}},
        "loggers": {"own": {"handlers": ["file"]}},
    }
    before = dict(handler)

    settings = configured(LOGGING=own)

    handlers = settings["LOGGING"]["handlers"]
    assert handlers["file"]["class"] == "logging.StreamHandler"
    assert handlers["file"].get("formatter") == handler.get("formatter")
    assert handlers["null"] is own["handlers"]["null"]  # type: ignore[index]
    assert handler == before
    assert 'LOGGING["handlers"]["file"]' in settings[REPLACED]
    logging.config.dictConfig(settings["LOGGING"])


def test_log_file_in_the_temporary_folder_is_kept(temporary_folder: Path) -> None:
    handler = {"class": "logging.FileHandler", "filename": temporary_folder / "logs" / "site.log"}
    own = {"version": 1, "handlers": {"file": handler}}

    assert configured(LOGGING=own)["LOGGING"] is own
    assert (temporary_folder / "logs").is_dir()


def test_files_elsewhere_are_replaced(temporary_folder: Path) -> None:
    settings = configured(
        FILE_UPLOAD_TEMP_DIR="/srv/uploads",
        EMAIL_FILE_PATH=Path("/srv/mail"),
        MAILERS={"default": {"BACKEND": "own", "OPTIONS": {"file_path": "/srv/mail", "x": 1}}},
        CACHES={"default": {"BACKEND": FILE_CACHE, "LOCATION": "/srv/cache", "TIMEOUT": 60}},
    )

    assert "FILE_UPLOAD_TEMP_DIR" not in settings
    assert settings["EMAIL_FILE_PATH"].startswith(str(temporary_folder))
    options = settings["MAILERS"]["default"]["OPTIONS"]
    assert options["file_path"].startswith(str(temporary_folder))
    assert options["x"] == 1
    assert settings["CACHES"]["default"]["LOCATION"].startswith(str(temporary_folder))
    assert settings["CACHES"]["default"]["TIMEOUT"] == 60
    assert settings[REPLACED].keys() == {
        *("FILE_UPLOAD_TEMP_DIR", "EMAIL_FILE_PATH"),
        *('MAILERS["default"]', 'CACHES["default"]'),
    }


def test_code_in_the_temporary_folder_is_read_only(
    temporary_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAMBDA_TASK_ROOT", str(temporary_folder / "code"))

    assert not is_temporary(temporary_folder / "code" / "cache")
    assert is_temporary(temporary_folder / "cache")


def test_files_in_the_temporary_folder_are_kept(temporary_folder: Path) -> None:
    cache = {"BACKEND": FILE_CACHE, "LOCATION": temporary_folder / "cache"}
    settings = configured(
        FILE_UPLOAD_TEMP_DIR=str(temporary_folder / "uploads"),
        EMAIL_FILE_PATH=str(temporary_folder / "mail"),
        CACHES={"default": cache, "other": {"BACKEND": REDIS, "LOCATION": "redis://cache"}},
    )

    assert (temporary_folder / "uploads").is_dir()
    assert settings["FILE_UPLOAD_TEMP_DIR"] == str(temporary_folder / "uploads")
    assert settings["CACHES"]["default"] == cache
    assert REPLACED not in settings


@pytest.mark.parametrize(
    ("project", "engine"),
    [
        ({"SESSION_ENGINE": f"{SESSIONS}.file"}, "db"),
        ({"SESSION_ENGINE": f"{SESSIONS}.cache"}, "db"),
        ({"SESSION_ENGINE": f"{SESSIONS}.cached_db"}, "db"),
        ({"SESSION_ENGINE": f"{SESSIONS}.file", "INSTALLED_APPS": []}, "signed_cookies"),
        (
            {"SESSION_ENGINE": f"{SESSIONS}.cache", "CACHES": {"default": {"BACKEND": REDIS}}},
            "cache",
        ),
        (
            {
                "SESSION_ENGINE": f"{SESSIONS}.cache",
                "SESSION_CACHE_ALIAS": "sessions",
                "CACHES": {"default": {"BACKEND": REDIS}, "sessions": {"BACKEND": FILE_CACHE}},
            },
            "db",
        ),
        ({"SESSION_ENGINE": f"{SESSIONS}.signed_cookies"}, "signed_cookies"),
    ],
)
def test_sessions_are_shared_by_all_instances(project: dict[str, Any], engine: str) -> None:
    settings = configured(**{"INSTALLED_APPS": ["django.contrib.sessions"], **project})

    assert settings["SESSION_ENGINE"] == f"{SESSIONS}.{engine}"
    own = project["SESSION_ENGINE"] == settings["SESSION_ENGINE"]
    assert ("SESSION_ENGINE" in settings.get(REPLACED, {})) is not own


def test_default_sessions_are_kept() -> None:
    assert "SESSION_ENGINE" not in configured(INSTALLED_APPS=["django.contrib.sessions"])
