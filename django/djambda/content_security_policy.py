"""Extend a project's content security policy by the assets bucket and the site's prefix."""

import os
from collections.abc import Mapping
from typing import Any

from djambda.replaced_settings import Settings

SELF = "'self'"
STATIC_DIRECTIVES = {
    *("child-src", "connect-src", "default-src", "font-src", "frame-src", "manifest-src"),
    *("object-src", "script-src", "script-src-elem", "style-src", "style-src-elem"),
}
UPLOAD_DIRECTIVES = {"img-src", "media-src"}
"""The directives that cover static files only, and those that cover uploads too. If they allow the
site itself, they must allow that part of the bucket; an uploaded script must not run."""

REPORTS = "report-uri"


def extend_policies(settings: Settings, bucket: str) -> None:
    """Extend the policies of Django, and of the django-csp package for earlier versions of it.

    https://django-csp.readthedocs.io/en/latest/configuration.html
    """
    for suffix in ("", "_REPORT_ONLY"):
        if policy := settings.get(f"SECURE_CSP{suffix}"):
            settings[f"SECURE_CSP{suffix}"] = extended(policy, bucket)
        package = settings.get(f"CONTENT_SECURITY_POLICY{suffix}") or {}
        if directives := package.get("DIRECTIVES"):
            settings[f"CONTENT_SECURITY_POLICY{suffix}"] = {
                **package,
                "DIRECTIVES": extended(directives, bucket),
            }


def extended(policy: Mapping[str, Any], bucket: str) -> dict[str, Any]:
    """Return a policy that allows the bucket where it allows the site."""
    result = dict(policy)
    for directive in UPLOAD_DIRECTIVES:  # Their fallback must not allow uploads.
        if "default-src" in result:
            result.setdefault(directive, result["default-src"])
    for directive in STATIC_DIRECTIVES | UPLOAD_DIRECTIVES:
        sources = _sources(result.get(directive))
        if SELF in " ".join(map(str, sources)).split():
            part = "static/" if directive in STATIC_DIRECTIVES else ""
            result[directive] = list(dict.fromkeys((*sources, f"{bucket}/{part}")))
    if REPORTS in result:
        result[REPORTS] = [_prefixed(str(url)) for url in _sources(result[REPORTS])]
    return result


def _sources(value: object) -> list[Any]:
    """Return the sources of a directive, which can be one string, a collection, or a flag."""
    if isinstance(value, str):
        return [value]
    return list(value) if isinstance(value, list | tuple | set | frozenset) else []


def _prefixed(url: str) -> str:
    """Add the API's stage to a path of the site."""
    prefix = os.environ.get("SITE_PREFIX", "")
    return prefix + url if url.startswith("/") and not url.startswith(f"{prefix}/") else url
