"""Settings for the assets bucket: static files, and the storages of uploads.

A storage on disk becomes a `MediaStorage`, because the function's disk is read-only, and so does
one of django-storages' own for S3, with its options. The project's own classes remain.
"""

import os
from collections.abc import Mapping, MutableMapping
from typing import Any

from djambda.prefetch import PrefetchedValue
from djambda.replaced_settings import record, remove, replace
from djambda.static_manifest import fetch_manifest, manifest_name
from djambda.temporary_files import is_temporary
from djambda_common.names import BUILD_ID_VARIABLE, MEDIA_PREFIX, PUBLIC_PREFIX, STATIC_PREFIX

STATIC_STORAGE = "djambda.storage_backends.StaticStorage"
MEDIA_STORAGE = "djambda.storage_backends.MediaStorage"
DISK_STORAGES = (
    "django.core.files.storage.FileSystemStorage",
    "django.core.files.storage.filesystem.FileSystemStorage",
)
S3_STORAGES = ("storages.backends.s3.S3Storage", "storages.backends.s3boto3.S3Boto3Storage")

UNUSABLE_SETTINGS = (
    *("AWS_BUCKET_ACL", "AWS_DEFAULT_ACL", "AWS_S3_ENDPOINT_URL"),
    *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
    *("AWS_S3_ACCESS_KEY_ID", "AWS_S3_SECRET_ACCESS_KEY", "AWS_S3_SESSION_PROFILE"),
)
"""Settings of django-storages that name another account or endpoint than the function's own, or
ACLs, which S3 rejects in new buckets.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/about-object-ownership.html
"""

DEFAULT_STATIC_URLS = ("static/", "/static/")
"""Values of STATIC_URL that name no place: `startproject` writes the first one."""

IN_BUCKET = "the files are in the deployment's bucket"


def bucket_url() -> str:
    """Return the assets bucket's URL for browsers, without a trailing slash."""
    bucket, region = os.environ["AWS_STORAGE_BUCKET_NAME"], os.environ["AWS_REGION"]
    if local := os.environ.get("AWS_ENDPOINT_URL"):
        return f"{local.rstrip('/')}/{bucket}"
    domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return f"https://{bucket}.s3.dualstack.{region}.{domain}"


def usable_domain(domain: str | None) -> str | None:
    """Return a CDN's domain, but not an address of S3 itself, which names another bucket.

    The local cloud's files are in the local cloud only.
    """
    host = (domain or "").partition("/")[0]
    is_s3 = host.endswith((".amazonaws.com", ".amazonaws.com.cn"))
    return None if is_s3 or os.environ.get("AWS_ENDPOINT_URL") else domain


def use_bucket(settings: MutableMapping[str, Any]) -> None:
    """Set the storages, and the settings of django-storages."""
    static_url = f"{bucket_url()}/{STATIC_PREFIX}"
    if settings.get("STATIC_URL") in DEFAULT_STATIC_URLS:
        settings["STATIC_URL"] = static_url
    else:
        replace(settings, "STATIC_URL", static_url, IN_BUCKET)
    manifest = manifest_name(os.environ[BUILD_ID_VARIABLE])
    project = settings.get("STORAGES", {})
    storages = {"default": {"BACKEND": DISK_STORAGES[0]}, **project}
    storages = {alias: _storage(alias, storage, settings) for alias, storage in storages.items()}
    for alias, storage in project.items():
        static = alias == "staticfiles" and storage.get("BACKEND") != STATIC_STORAGE
        if static or storages[alias] != storage:
            record(settings, f'STORAGES["{alias}"]', IN_BUCKET)
    settings["STORAGES"] = {
        **storages,
        "staticfiles": {
            "BACKEND": STATIC_STORAGE,
            "OPTIONS": {
                "bucket": os.environ["AWS_STORAGE_BUCKET_NAME"],
                "manifest_name": manifest,
                "manifest": PrefetchedValue(lambda: fetch_manifest(f"{static_url}{manifest}")),
            },
        },
    }
    for name, value in {
        "AWS_STORAGE_BUCKET_NAME": os.environ["AWS_STORAGE_BUCKET_NAME"],
        "AWS_S3_REGION_NAME": os.environ["AWS_REGION"],
        "AWS_S3_SIGNATURE_VERSION": "s3v4",
    }.items():
        replace(settings, name, value, IN_BUCKET)
    for setting in UNUSABLE_SETTINGS:
        remove(settings, setting, f"{IN_BUCKET}, which the function's role can access")
    if not usable_domain(settings.get("AWS_S3_CUSTOM_DOMAIN")):
        remove(settings, "AWS_S3_CUSTOM_DOMAIN", f"{IN_BUCKET}, not at this domain")
    if os.environ.get("AWS_ENDPOINT_URL"):
        settings["AWS_S3_ADDRESSING_STYLE"] = "path"
    _set_media_url(settings)


def media_location(location: str, *, public: bool) -> str:
    """Return the prefix of a storage's files: `location` below `media/` or `public/`."""
    root = (PUBLIC_PREFIX if public else MEDIA_PREFIX).rstrip("/")
    folder = location.strip("/")
    return folder if folder.partition("/")[0] == root else f"{root}/{folder}".rstrip("/")


def public_url(custom_domain: str | None, protocol: str) -> str:
    """Return the URL of the bucket, or of a CDN in front of it, without a trailing slash."""
    domain = usable_domain(custom_domain)
    return f"{protocol}//{domain}" if domain else bucket_url()


def _storage(
    alias: str, storage: Mapping[str, Any], settings: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Return a project's storage, or the one in the bucket that replaces it."""
    backend, options = storage.get("BACKEND"), storage.get("OPTIONS", {})
    if backend in DISK_STORAGES and not is_temporary(options.get("location") or "media"):
        location = {} if alias == "default" else {"location": alias}
        overwrite = {"file_overwrite": True} if options.get("allow_overwrite") else {}
        return {"BACKEND": MEDIA_STORAGE, "OPTIONS": {**location, **overwrite}}
    if backend in S3_STORAGES and (alias == "default" or "bucket_name" not in options):
        overwrite = {"file_overwrite": settings.get("AWS_S3_FILE_OVERWRITE", True)}
        return {"BACKEND": MEDIA_STORAGE, "OPTIONS": {**overwrite, **options}}
    return storage


def _set_media_url(settings: MutableMapping[str, Any]) -> None:
    """Set MEDIA_URL if all files of the default storage are public."""
    default = settings["STORAGES"]["default"]
    if default["BACKEND"] != MEDIA_STORAGE:
        return
    options = default.get("OPTIONS", {})

    def option(name: str, setting: str, fallback: Any) -> Any:
        return options.get(name, settings.get(setting, fallback))

    if not option("querystring_auth", "AWS_QUERYSTRING_AUTH", True):
        location = media_location(option("location", "AWS_LOCATION", ""), public=True)
        base = public_url(
            option("custom_domain", "AWS_S3_CUSTOM_DOMAIN", None),
            option("url_protocol", "AWS_S3_URL_PROTOCOL", "https:"),
        )
        settings["MEDIA_URL"] = f"{base}/{location}/"
