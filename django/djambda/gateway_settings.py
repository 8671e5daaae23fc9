"""Settings of a site behind API Gateway: its hosts, its cookies, and the paths of its pages."""

import os
from collections.abc import Iterable

from django.urls import get_script_prefix
from django.utils.functional import lazy

from djambda.replaced_settings import Settings, remove, replace

HSTS_SECONDS = 365 * 24 * 60 * 60

SITE_PATHS = {
    "LOGIN_URL": "/accounts/login/",
    "LOGIN_REDIRECT_URL": "/accounts/profile/",
    "LOGOUT_REDIRECT_URL": None,
    "SESSION_COOKIE_PATH": "/",
    "CSRF_COOKIE_PATH": "/",
    "LANGUAGE_COOKIE_PATH": "/",
}
"""Settings with a path of the site, and their defaults. Django adds the prefix (`/prod`) to none of
them: https://docs.djangoproject.com/en/6.1/ref/settings/#login-url"""

COOKIES = ("SESSION_COOKIE", "CSRF_COOKIE", "LANGUAGE_COOKIE")

NO_HTTPS = "the local cloud has no HTTPS"


def use_gateway(settings: Settings, *, local: bool) -> None:
    """Set hosts, cookies, and what `manage.py check --deploy` requires behind API Gateway."""
    site = [host.strip() for host in os.environ["ALLOWED_HOSTS"].split(",") if host.strip()]
    hosts = [*site, ".localhost"] if local else site
    settings["ALLOWED_HOSTS"] = _union(settings.get("ALLOWED_HOSTS"), hosts)
    settings["CSRF_TRUSTED_ORIGINS"] = _union(
        settings.get("CSRF_TRUSTED_ORIGINS"),
        # Not the patterns, which may match the hosts of other sites.
        (f"https://{host}" for host in hosts if not host.startswith((".", "*"))),
    )
    settings.setdefault("SECURE_HSTS_SECONDS", HSTS_SECONDS)
    if local:
        _use_plain_http(settings)
    else:
        settings.setdefault("SESSION_COOKIE_SECURE", True)
        settings.setdefault("CSRF_COOKIE_SECURE", True)
        _remove_foreign_domains(settings, site)
    if settings.get("PREPEND_WWW") and not any(host.startswith("www.") for host in site):
        replace(settings, "PREPEND_WWW", False, "the deployment's host does not start with www.")
    _add_prefixes(settings)
    settings["SILENCED_SYSTEM_CHECKS"] = _union(
        settings.get("SILENCED_SYSTEM_CHECKS"),
        (
            "security.W005",  # HSTS for subdomains, which may belong to other sites.
            "security.W008",  # SECURE_SSL_REDIRECT: API Gateway does not accept plain HTTP.
            "security.W021",  # HSTS preload: the domain's owner decides.
        ),
    )


def _union(project: Iterable[str] | None, own: Iterable[str]) -> list[str]:
    return list(dict.fromkeys((*(project or ()), *own)))


def _use_plain_http(settings: Settings) -> None:
    """Change settings that browsers accept only over HTTPS or on the site's own domain."""
    replace(settings, "SECURE_SSL_REDIRECT", False, NO_HTTPS)
    for cookie in COOKIES:
        if name := settings.get(f"{cookie}_NAME"):
            plain = name.removeprefix("__Secure-").removeprefix("__Host-")
            replace(settings, f"{cookie}_NAME", plain, NO_HTTPS)
        replace(settings, f"{cookie}_SECURE", False, NO_HTTPS)
        if str(settings.get(f"{cookie}_SAMESITE")).lower() == "none":
            replace(settings, f"{cookie}_SAMESITE", "Lax", NO_HTTPS)
        remove(settings, f"{cookie}_DOMAIN", "the local cloud has its own domain")


def _remove_foreign_domains(settings: Settings, site: list[str]) -> None:
    """Remove the domains of cookies that browsers reject from the site's hosts."""
    for cookie in COOKIES:
        domain = (settings.get(f"{cookie}_DOMAIN") or "").lstrip(".")
        if not any(host == domain or host.endswith(f".{domain}") for host in site):
            remove(settings, f"{cookie}_DOMAIN", "the deployment's host is not in this domain")


def _add_prefixes(settings: Settings) -> None:
    """Prepend the request's prefix to the settings that are paths of the site."""
    for name, default in SITE_PATHS.items():
        path = settings.get(name, default)
        if not isinstance(path, str) or not path.startswith("/") or path.startswith("//"):
            continue
        if path == "/" and name.endswith("_COOKIE_PATH"):
            continue
        settings[name] = lazy(_prefixed, str)(path)


def _prefixed(path: str) -> str:
    prefix = get_script_prefix().rstrip("/")
    return path if prefix and f"{path}/".startswith(f"{prefix}/") else prefix + path
