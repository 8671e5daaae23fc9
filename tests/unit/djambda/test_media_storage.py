"""The storage for uploads, with HTTP to a fake S3."""

import gzip
import mimetypes
import os
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO, StringIO
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from django.core.exceptions import SuspiciousOperation
from django.core.files.base import ContentFile, File
from django.core.files.storage import Storage, storages
from django.core.files.uploadedfile import (
    InMemoryUploadedFile,
    SimpleUploadedFile,
    TemporaryUploadedFile,
)
from pytest_django import Settings

from djambda.storage_backends import MediaStorage
from djambda.storage_backends.content_types import content_type_of
from tests.unit.djambda.conftest import SECRETS, FakeAws, set_storages

CONTENT = bytes(range(256)) * 40


@pytest.fixture
def media(on_aws: None) -> Storage:
    """Return the default storage of a deployed site."""
    return storages["default"]


@pytest.fixture
def public(on_aws: None) -> MediaStorage:
    return MediaStorage(querystring_auth=False)


# Files


def test_upload_does_not_replace_another(aws: FakeAws, media: Storage) -> None:
    first = media.save("notes/a.txt", ContentFile(b"one"))
    second = media.save("notes/a.txt", ContentFile(b"two"))

    assert first == "notes/a.txt"
    assert second != first
    assert aws.objects["media/notes/a.txt"][0] == b"one"
    with media.open(second) as file:
        assert file.read() == b"two"
    assert media.size(second) == 3


def test_simultaneous_uploads_do_not_replace_each_other(aws: FakeAws, media: Storage) -> None:
    contents = [str(number).encode() for number in range(20)]

    with ThreadPoolExecutor(len(contents)) as threads:
        names = list(threads.map(lambda text: media.save("a.txt", ContentFile(text)), contents))

    assert [aws.objects[f"media/{name}"][0] for name in names] == contents


@pytest.mark.usefixtures("on_aws")
def test_upload_replaces_another_if_the_project_wants(aws: FakeAws, settings: Settings) -> None:
    set_storages(settings, AWS_S3_FILE_OVERWRITE=True)
    media = storages["default"]

    assert media.save("a.txt", ContentFile(b"one")) == "a.txt"
    assert media.save("a.txt", ContentFile(b"two")) == "a.txt"

    content, headers = aws.objects["media/a.txt"]
    assert content == b"two"
    assert headers["Cache-Control"] == "private, no-cache"


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("backup.tar.gz", "application/gzip"),
        ("notes.txt.gz", "application/gzip"),
        ("a.tgz", "application/gzip"),
        ("a.svgz", "application/gzip"),
        ("a.tar.bz2", "application/x-bzip2"),
        ("a.csv.xz", "application/x-xz"),
        ("a.js.br", "application/octet-stream"),
        ("a.css.Z", "application/x-compress"),
        ("a.zip", "application/zip"),
        ("a.png", "image/png"),
        ("folder.png/unknown", "application/octet-stream"),
        ("unknown", "application/octet-stream"),
    ],
)
def test_upload_is_stored_as_it_is(
    aws: FakeAws, media: Storage, name: str, content_type: str
) -> None:
    media.save(name, ContentFile(b"\x1f\x8b compressed"))

    content, headers = aws.objects[f"media/{name}"]
    assert content == b"\x1f\x8b compressed"
    assert headers["Content-Type"] == content_type
    assert "Content-Encoding" not in headers


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("data:text,a.png", "image/png"),
        ("Invoice:1#2.pdf", "application/pdf"),
        ("a.woff2", "font/woff2"),
        ("a.OTF", "font/otf"),
        ("a.webp", "image/webp"),
        ("a.ogg", "audio/ogg"),
        ("a.m4a", "audio/mp4"),
        ("a.ics", "text/calendar"),
        ("a.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ],
)
def test_content_type_without_a_file_of_types(
    monkeypatch: pytest.MonkeyPatch, name: str, content_type: str
) -> None:
    monkeypatch.setattr(mimetypes, "knownfiles", [])
    mimetypes.init()  # As on Lambda.

    guessed = content_type_of(name)

    monkeypatch.undo()
    mimetypes.init()
    assert guessed == content_type


def test_declared_content_type_is_kept(aws: FakeAws, media: Storage) -> None:
    media.save("a.gz", SimpleUploadedFile("a.gz", b"x", content_type="application/x-own"))

    assert aws.objects["media/a.gz"][1]["Content-Type"] == "application/x-own"


def test_text_is_stored_as_utf_8(aws: FakeAws, media: Storage, tmp_path: Path) -> None:
    text = "grüß 🐘\n" * 1000
    (tmp_path / "latin.txt").write_text("grüß", encoding="latin-1")

    media.save("content.txt", ContentFile(text))
    media.save("buffer.txt", File(StringIO(text), name="buffer.txt"))
    with (tmp_path / "latin.txt").open(encoding="latin-1") as file:
        file.read()  # Not from its beginning.
        media.save("latin.txt", File(file))

    assert aws.objects["media/content.txt"][0] == text.encode()
    assert aws.objects["media/buffer.txt"][0] == text.encode()
    assert aws.objects["media/latin.txt"][0] == "grüß".encode("latin-1")
    assert aws.objects["media/content.txt"][1]["Content-Type"] == "text/plain; charset=utf-8"
    assert aws.objects["media/latin.txt"][1]["Content-Type"].lower().endswith("=latin-1")


def read(storage: Storage, name: str) -> bytes:
    with storage.open(name) as file:
        content: bytes = file.read()
        return content


def in_memory() -> Any:
    return InMemoryUploadedFile(BytesIO(CONTENT), None, "x", None, len(CONTENT), None)


def temporary_upload() -> Any:
    file = TemporaryUploadedFile("x", "application/x-own", len(CONTENT), None)
    file.write(CONTENT)
    return file


def written(file: Any) -> Any:
    file.write(CONTENT)  # Its position is at its end.
    return file


def pipe() -> Any:
    reader, writer = os.pipe()
    os.write(writer, CONTENT)
    os.close(writer)
    return File(os.fdopen(reader, "rb"))


def decompressing() -> Any:
    file: Any = gzip.GzipFile(fileobj=BytesIO(gzip.compress(CONTENT)))
    return File(file)


def spooled(max_size: int) -> Any:
    return File(written(SpooledTemporaryFile(max_size=max_size)))


@pytest.mark.parametrize(
    "make",
    [
        in_memory,
        temporary_upload,
        pipe,
        lambda: BytesIO(CONTENT),
        lambda: ContentFile(CONTENT),
        lambda: File(BytesIO(CONTENT)),
        lambda: File(written(BytesIO())),
        lambda: spooled(100),
        lambda: spooled(10**6),
        decompressing,
    ],
)
def test_every_kind_of_file_object(aws: FakeAws, media: Storage, make: Callable[[], Any]) -> None:
    file = make()

    name = media.save("x.bin", file)
    file.close()

    assert aws.objects[f"media/{name}"][0] == CONTENT
    assert read(media, name) == CONTENT


@pytest.mark.parametrize(
    "content",
    [ContentFile(b""), ContentFile(""), File(BytesIO())],
    ids=["bytes", "text", "file"],
)
def test_empty_file(aws: FakeAws, media: Storage, content: Any) -> None:
    name = media.save("empty.bin", content)

    assert aws.objects[f"media/{name}"][0] == b""
    assert media.size(name) == 0
    assert read(media, name) == b""


@pytest.mark.parametrize(
    "name", ["a b+c%20d?e#f&g.txt", "gru\u0308n.txt", "grün.txt", "folder/~_-.!'()*.txt", "🐘"]
)
def test_every_name_comes_back(aws: FakeAws, media: Storage, name: str) -> None:
    assert media.save(name, ContentFile(b"x")) == name

    assert aws.objects[f"media/{name}"][0] == b"x"
    assert unquote(urlsplit(media.url(name)).path) == f"/bucket/media/{name}"
    assert media.exists(name)
    assert read(media, name) == b"x"


@pytest.mark.parametrize("name", ["../static/x.js", "a/../../public/x", "..", "/etc/passwd"])
def test_name_outside_of_the_location(media: Storage, name: str) -> None:
    for use in (media.url, media.exists, media.delete, media.open):
        with pytest.raises(SuspiciousOperation):
            use(name)


@pytest.mark.usefixtures("on_aws")
def test_upload_parameters(aws: FakeAws) -> None:
    parameters = {"CacheControl": "max-age=60", "ACL": "public-read", "GrantRead": "id=x"}
    storage = MediaStorage(object_parameters=parameters, default_acl="public-read")

    storage.save("a.txt", ContentFile(b"x"))

    headers = {name.lower(): value for name, value in aws.objects["media/a.txt"][1].items()}
    assert headers["cache-control"] == "max-age=60"
    assert not [name for name in headers if name.startswith(("x-amz-acl", "x-amz-grant"))]


def test_browsers_may_cache_files(aws: FakeAws, media: Storage, public: Storage) -> None:
    media.save("a.txt", ContentFile(b"x"))
    public.save("a.txt", ContentFile(b"x"))

    assert aws.objects["media/a.txt"][1]["Cache-Control"] == "private, max-age=3600"
    assert aws.objects["public/a.txt"][1]["Cache-Control"] == "public, max-age=3600"


class Avatars(MediaStorage):
    """A project's own class."""

    location = "avatars"
    file_overwrite = True

    def get_object_parameters(self, name: str) -> dict[str, Any]:
        return {**super().get_object_parameters(name), "ContentDisposition": "attachment"}


@pytest.mark.usefixtures("on_aws")
def test_subclass(aws: FakeAws) -> None:
    storage = Avatars()

    storage.save("a.txt", ContentFile(b"x"))

    assert aws.objects["media/avatars/a.txt"][1]["Content-Disposition"] == "attachment"
    assert storage.bucket.name == "bucket"
    with pytest.raises(AttributeError):
        storage.no_such_attribute  # noqa: B018


@pytest.mark.usefixtures("on_aws")
def test_unknown_option() -> None:
    storage = MediaStorage(querystring_aut=False)

    with pytest.raises(Exception, match="querystring_aut"):
        storage.exists("a.txt")


# URLs


def test_url_of_an_upload_is_signed_and_expires(aws: FakeAws, media: Any) -> None:
    url = urlsplit(
        media.url("notes/a b.txt", parameters={"ResponseContentDisposition": "attachment"})
    )
    query = parse_qs(url.query)

    assert f"{url.scheme}://{url.netloc}{url.path}" == f"{aws.url}/bucket/media/notes/a%20b.txt"
    assert query["X-Amz-Expires"] == ["3600"]
    assert query["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    assert len(query["X-Amz-Signature"][0]) == 64
    assert query["response-content-disposition"] == ["attachment"]
    assert parse_qs(media.url("a", expire=60))["X-Amz-Expires"] == ["60"]


def test_url_of_a_public_upload_is_permanent(aws: FakeAws, public: MediaStorage) -> None:
    assert public.url("a b+c.txt") == f"{aws.url}/bucket/public/a%20b%2Bc.txt"


def test_parameters_need_a_signature(aws: FakeAws, public: MediaStorage) -> None:
    url = public.url("a.txt", parameters={"ResponseContentDisposition": "attachment"})

    assert url.startswith(f"{aws.url}/bucket/public/a.txt?")
    assert "X-Amz-Signature" in url


def test_url_with_other_parameters_is_botos(aws: FakeAws, media: Any) -> None:
    url = media.url("a.txt", parameters={"PartNumber": 1})

    assert url.startswith(f"{aws.url}/bucket/media/a.txt?")
    assert {"partNumber", "X-Amz-Signature"} <= parse_qs(urlsplit(url).query).keys()


@pytest.fixture
def on_real_aws(
    deployed: dict[str, str], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    """Set the settings for storages to those of a function on AWS."""
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.setattr("djambda.parameters.get_parameters", lambda _path, _names: SECRETS)
    return settings


@pytest.mark.parametrize("dualstack", ["true", ""])
def test_url_of_an_upload_on_aws(
    on_real_aws: Settings, monkeypatch: pytest.MonkeyPatch, dualstack: str
) -> None:
    monkeypatch.setenv("AWS_USE_DUALSTACK_ENDPOINT", dualstack)
    set_storages(on_real_aws)

    url = urlsplit(storages["default"].url("a.txt"))

    assert (url.scheme, url.netloc, url.path) == (
        "https",
        "bucket.s3.dualstack.eu-west-1.amazonaws.com",
        "/media/a.txt",
    )


@pytest.mark.parametrize(
    ("project", "expected"),
    [
        ({}, "https://bucket.s3.dualstack.eu-west-1.amazonaws.com/public/a.txt"),
        ({"AWS_S3_CUSTOM_DOMAIN": "cdn.example.com"}, "https://cdn.example.com/public/a.txt"),
        (
            {"AWS_S3_CUSTOM_DOMAIN": "other.s3.amazonaws.com", "AWS_LOCATION": "media"},
            "https://bucket.s3.dualstack.eu-west-1.amazonaws.com/public/media/a.txt",
        ),
    ],
)
def test_public_url_on_aws(on_real_aws: Settings, project: dict[str, Any], expected: str) -> None:
    set_storages(on_real_aws, AWS_QUERYSTRING_AUTH=False, **project)

    assert storages["default"].url("a.txt") == expected
    assert f"{on_real_aws.MEDIA_URL}a.txt" == expected


def test_private_urls_do_not_use_a_cdn(on_real_aws: Settings) -> None:
    set_storages(on_real_aws, AWS_S3_CUSTOM_DOMAIN="cdn.example.com")

    assert "cdn.example.com" not in storages["default"].url("a.txt")


IMPORTS = """
import sys
from django.conf import settings
from djambda.aws import configure
project = {}
configure(project)
settings.configure(**project)
from django.core.files.storage import default_storage
assert "X-Amz-Signature" in default_storage.url("a.png")
print(sorted({"boto3", "botocore"} & sys.modules.keys()))
"""


def test_url_needs_no_boto3(
    run_deployed: Callable[..., subprocess.CompletedProcess[str]], aws: FakeAws
) -> None:
    process = run_deployed(IMPORTS)

    assert process.stdout.strip() == "[]", process.stderr


# Settings


@pytest.mark.parametrize(
    ("project", "location", "public"),
    [
        ({}, "media", False),
        ({"AWS_LOCATION": "media"}, "media", False),
        ({"AWS_LOCATION": "/uploads/"}, "media/uploads", False),
        ({"AWS_LOCATION": "public"}, "media/public", False),
        ({"AWS_LOCATION": "static"}, "media/static", False),
        ({"AWS_QUERYSTRING_AUTH": False}, "public", True),
        ({"AWS_QUERYSTRING_AUTH": False, "AWS_LOCATION": "media"}, "public/media", True),
        ({"AWS_QUERYSTRING_AUTH": False, "AWS_LOCATION": "public/a"}, "public/a", True),
    ],
)
@pytest.mark.usefixtures("on_aws")
def test_location_is_public_only_without_signatures(
    settings: Settings, project: dict[str, Any], location: str, public: bool
) -> None:
    set_storages(settings, **project)

    media: Any = storages["default"]

    assert media.location == location
    assert ("X-Amz-Signature" not in media.url("a.txt")) is public


def backends(settings: Settings) -> dict[str, Any]:
    return {
        alias: storage for alias, storage in settings.STORAGES.items() if alias != "staticfiles"
    }


MEDIA = "djambda.storage_backends.MediaStorage"
DISK = "django.core.files.storage.FileSystemStorage"
S3 = "storages.backends.s3.S3Storage"


@pytest.mark.usefixtures("on_aws")
def test_storages_on_disk_move_to_the_bucket(settings: Settings, tmp_path: Path) -> None:
    temporary = {"BACKEND": DISK, "OPTIONS": {"location": Path("/tmp/x")}}  # noqa: S108
    set_storages(
        settings,
        STORAGES={
            "default": {"BACKEND": DISK, "OPTIONS": {"allow_overwrite": True}},
            "letters": {"BACKEND": DISK, "OPTIONS": {"location": Path("/srv/letters")}},
            "temporary": temporary,
        },
    )

    assert backends(settings) == {
        "default": {"BACKEND": MEDIA, "OPTIONS": {"file_overwrite": True}},
        "letters": {"BACKEND": MEDIA, "OPTIONS": {"location": "letters"}},
        "temporary": temporary,
    }


@pytest.mark.usefixtures("on_aws")
def test_storages_of_django_storages_keep_their_options(settings: Settings) -> None:
    own = {"BACKEND": "shop.storages.Own"}
    other_bucket = {"BACKEND": S3, "OPTIONS": {"bucket_name": "archive"}}
    set_storages(
        settings,
        STORAGES={
            "default": {
                "BACKEND": S3,
                "OPTIONS": {"bucket_name": "old", "querystring_auth": False, "location": "media"},
            },
            "own": own,
            "archive": other_bucket,
        },
    )

    media: Any = storages["default"]
    assert media.location == "public/media"
    assert media.bucket.name == "bucket"
    assert media.file_overwrite is True
    assert settings.STORAGES["own"] == own
    assert settings.STORAGES["archive"] == other_bucket


@pytest.mark.usefixtures("on_aws")
def test_media_url_of_private_files_is_the_projects(settings: Settings) -> None:
    set_storages(settings, MEDIA_URL="/uploads/")

    assert settings.MEDIA_URL == "/uploads/"
