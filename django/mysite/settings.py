"""Settings of the sample project, on AWS and on this machine.

In a deployed function, the last line adds the settings of the environment: see `djambda.aws`. On
this machine, the site uses the embedded Postgres and keeps its files in `.local/`:

    python django/manage.py migrate
    DEBUG=1 python django/manage.py runserver

https://docs.djangoproject.com/en/6.1/ref/settings/
"""

import os
from pathlib import Path
from typing import Any

from django.utils.csp import CSP

from djambda.aws import configure, is_deployed

BASE_DIR = Path(__file__).resolve().parent.parent
LOCAL_DIR = BASE_DIR.parent / ".local"

DEBUG = os.environ.get("DEBUG", "").lower() in {"1", "on", "true", "yes"}

ALLOWED_HOSTS = [".localhost", "127.0.0.1", "[::1]"]

INSTALLED_APPS = [
    "djambda",
    "core",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.csp.ContentSecurityPolicyMiddleware",
    "core.middleware.PrivatePagesMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "mysite.urls"
WSGI_APPLICATION = "mysite.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

if not is_deployed():
    from djambda.development import embedded_postgres, secret_key

    SECRET_KEY = secret_key(LOCAL_DIR / "secret-key")
    DATABASES: dict[str, dict[str, Any]] = {
        "default": embedded_postgres(LOCAL_DIR / "dev-postgres")
    }
    # Deployed, `configure` sets this if the deployment has MAIL_FROM.
    MAILERS = {"default": {"BACKEND": "django.core.mail.backends.console.EmailBackend"}}

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "core:note_list"

LANGUAGE_CODE = "en-us"
LANGUAGES = [("en", "English")]  # The layer contains only these translations.
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = "static/"
MEDIA_URL = "media/"
MEDIA_ROOT = LOCAL_DIR / "media"

# A Lambda payload is limited to 6 MB, and base64 makes a body a third larger. The body is in memory
# already, so uploads need no temporary files.
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
MAX_UPLOAD_BYTES = 4_600_000
DATA_UPLOAD_MAX_MEMORY_SIZE = MAX_UPLOAD_BYTES
FILE_UPLOAD_MAX_MEMORY_SIZE = MAX_UPLOAD_BYTES

SECURE_CSP = {
    "default-src": [CSP.SELF],
    "img-src": [CSP.SELF, "data:"],
    "base-uri": [CSP.NONE],
    "form-action": [CSP.SELF],
    "frame-ancestors": [CSP.NONE],
    "object-src": [CSP.NONE],
}

configure(globals())
