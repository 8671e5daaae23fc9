"""The storage for static files, with HTTP to a fake S3."""

import json
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.files.storage import storages
from django.core.management import CommandError, call_command
from pytest_django import Settings

from djambda.static_manifest import ManifestUnavailable, fetch_manifest, manifest_name
from djambda.storage_backends.static import StaticStorage
from tests.unit.djambda.conftest import SHOP, FakeAws, set_storages

MANIFEST = "static/staticfiles-0123456789ab.json"


def manifest(paths: dict[str, str]) -> tuple[bytes, dict[str, str]]:
    return json.dumps({"version": "1.1", "paths": paths}).encode(), {}


def static_storage(aws: FakeAws, release: str = "0123456789ab") -> StaticStorage:
    name = manifest_name(release)
    return StaticStorage("bucket", name, lambda: fetch_manifest(f"{aws.url}/bucket/static/{name}"))


# Pages


@pytest.mark.usefixtures("on_aws")
def test_pages_link_to_the_hashed_files_of_their_release(aws: FakeAws) -> None:
    aws.objects[MANIFEST] = manifest({"core/site.css": "core/site.0a1b.css"})
    aws.objects["static/staticfiles-other.json"] = manifest({"core/site.css": "core/site.2c.css"})
    storage = static_storage(aws)

    assert storage.url("core/site.css") == f"{aws.url}/bucket/static/core/site.0a1b.css"
    assert storage.url("core/site.css#part") == (f"{aws.url}/bucket/static/core/site.0a1b.css#part")
    assert static_storage(aws, "other").url("core/site.css").endswith("site.2c.css")
    assert [request for request in aws.requests if MANIFEST in request] == [f"GET {MANIFEST}"]


@pytest.mark.usefixtures("on_aws")
def test_file_missing_in_the_manifest_is_an_error(aws: FakeAws) -> None:
    aws.objects[MANIFEST] = manifest({"a": "b"})

    with pytest.raises(ValueError, match=r"Missing staticfiles manifest entry for 'core/site.css'"):
        static_storage(aws).url("core/site.css")


@pytest.mark.usefixtures("on_aws")
def test_without_a_manifest_pages_work_and_the_reason_is_logged(
    aws: FakeAws, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = static_storage(aws)

    assert storage.url("core/site.css") == f"{aws.url}/bucket/static/core/site.css"
    assert storage.url("core/logo.svg").endswith("/core/logo.svg")
    assert aws.requests.count(f"GET {MANIFEST}") == 1
    assert MANIFEST in caplog.text
    assert "collectstatic --no-input" in caplog.text

    aws.objects[MANIFEST] = manifest({"core/site.css": "core/site.0a1b.css"})
    monkeypatch.setattr(storage, "_retry_at", 0.0)
    assert storage.url("core/site.css").endswith("/core/site.0a1b.css")


def test_manifest_is_fetched_before_a_page_needs_it(
    deployed: dict[str, str], aws: FakeAws, settings: Settings
) -> None:
    aws.objects[MANIFEST] = manifest({"core/site.css": "core/site.0a1b.css"})
    set_storages(settings)
    settings.STORAGES["staticfiles"]["OPTIONS"]["manifest"]._thread.join()
    assert aws.requests.count(f"GET {MANIFEST}") == 1

    url = storages["staticfiles"].url("core/site.css")

    assert url == f"{aws.url}/bucket/static/core/site.0a1b.css"
    assert aws.requests.count(f"GET {MANIFEST}") == 1


def test_manifest_is_fetched_again_after_an_outage(
    deployed: dict[str, str], aws: FakeAws, settings: Settings
) -> None:
    set_storages(settings)
    fetch = settings.STORAGES["staticfiles"]["OPTIONS"]["manifest"]
    with pytest.raises(ManifestUnavailable):
        fetch()

    aws.objects[MANIFEST] = manifest({"core/site.css": "core/site.0a1b.css"})

    assert fetch() == {"core/site.css": "core/site.0a1b.css"}


@pytest.mark.parametrize("content", [b"<html>", b"[]", b'{"version": "1.1"}'])
def test_invalid_manifest(aws: FakeAws, content: bytes) -> None:
    aws.objects["static/m.json"] = (content, {})

    with pytest.raises(ManifestUnavailable, match="static files manifest"):
        fetch_manifest(f"{aws.url}/bucket/static/m.json")


def test_unreachable_manifest() -> None:
    with pytest.raises(ManifestUnavailable, match="could not be read"):
        fetch_manifest("http://127.0.0.1:1/static/m.json")


PAGE = """
import json, sys
from djambda.awslambda import lambda_handler
from tests.support.lambda_events import CONTEXT, make_v1_event

response = lambda_handler(make_v1_event(path="/"), CONTEXT)
slow = sorted({"boto3", "botocore", "s3transfer"} & {name.split(".")[0] for name in sys.modules})
print(json.dumps({"status": response["statusCode"], "body": response["body"], "slow": slow}))
"""


def test_page_without_uploads_does_not_import_boto3(
    aws: FakeAws, run_deployed: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    static_files = SHOP / "catalog" / "static"
    names = [file.relative_to(static_files) for file in static_files.rglob("*.*")]
    aws.objects[MANIFEST] = manifest({str(name): f"hashed/{name}" for name in names})

    process = run_deployed(PAGE)

    assert process.returncode == 0, process.stderr
    printed = json.loads(process.stdout)
    assert printed["status"] == 200
    assert f"{aws.url}/bucket/static/hashed/catalog/shop.css" in printed["body"]
    assert printed["slow"] == []


# collectstatic


@pytest.fixture
def sources(tmp_path: Path, settings: Settings, on_aws: None) -> Path:
    """Create the site's only static files: a style sheet, and an image that it uses."""
    settings.STATICFILES_FINDERS = ["django.contrib.staticfiles.finders.FileSystemFinder"]
    settings.STATICFILES_DIRS = [tmp_path]
    (tmp_path / "css").mkdir()
    (tmp_path / "css" / "site.css").write_text("body { background: url(../logo.svg) }")
    (tmp_path / "logo.svg").write_text("<svg/>")
    return tmp_path


def collectstatic(*options: str) -> None:
    call_command("collectstatic", "--no-input", *options)


def uploads(aws: FakeAws) -> list[str]:
    keys = [request.removeprefix("PUT ") for request in aws.requests if request.startswith("PUT ")]
    aws.requests.clear()
    return keys


@pytest.mark.usefixtures("sources")
def test_collectstatic_uploads_all_files_and_then_the_manifest(
    aws: FakeAws, capsys: pytest.CaptureFixture[str]
) -> None:
    collectstatic()

    hashed = json.loads(aws.objects[MANIFEST][0])["paths"]
    assert hashed.keys() == {"css/site.css", "logo.svg"}
    assert sorted(aws.objects) == sorted(
        [MANIFEST, *(f"static/{name}" for pair in hashed.items() for name in pair)]
    )
    assert uploads(aws)[-1] == MANIFEST
    style_sheet, headers = aws.objects[f"static/{hashed['css/site.css']}"]
    assert Path(hashed["logo.svg"]).name.encode() in style_sheet
    assert headers["Content-Type"] == "text/css"
    assert headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert aws.objects["static/css/site.css"][1]["Cache-Control"] == "public, max-age=3600"
    assert aws.objects[MANIFEST][1]["Cache-Control"] == "public, max-age=3600"
    output = capsys.readouterr().out
    assert "5 files uploaded to s3://bucket/static/" in output
    assert "0 unchanged" in output


def test_collectstatic_uploads_only_changed_files(aws: FakeAws, sources: Path) -> None:
    collectstatic()
    uploads(aws)

    collectstatic()
    assert uploads(aws) == []

    # A deployed function's files all have the same time: only their content is compared.
    (sources / "logo.svg").write_text("<svg></svg>")
    collectstatic()
    hashed = json.loads(aws.objects[MANIFEST][0])["paths"]
    assert set(uploads(aws)) == {
        MANIFEST,
        "static/logo.svg",
        f"static/{hashed['logo.svg']}",
        f"static/{hashed['css/site.css']}",
    }


@pytest.mark.usefixtures("sources")
def test_next_release_keeps_the_files_of_this_one(aws: FakeAws, settings: Settings) -> None:
    collectstatic()
    before = dict(aws.objects)
    next_release = {
        "BACKEND": "djambda.storage_backends.StaticStorage",
        "OPTIONS": {"bucket": "bucket", "manifest_name": manifest_name("next"), "manifest": dict},
    }
    settings.STORAGES = {**settings.STORAGES, "staticfiles": next_release}

    collectstatic()

    assert aws.objects.keys() - before.keys() == {"static/staticfiles-next.json"}
    assert before.items() <= aws.objects.items()


def test_broken_reference_stops_collectstatic(aws: FakeAws, sources: Path) -> None:
    (sources / "logo.svg").unlink()

    with pytest.raises((CommandError, ValueError), match=r"logo\.svg"):
        collectstatic()
    assert uploads(aws) == []


def test_missing_source_map_does_not_stop_collectstatic(aws: FakeAws, sources: Path) -> None:
    for name, text in (
        ("site.js", "a()\n//# sourceMappingURL=site.js.map\n"),
        ("site.css", "a {}\n/*# sourceMappingURL=site.css.map */\n"),
    ):
        (sources / name).write_text(text)

    collectstatic()

    contents = [content for content, _ in aws.objects.values()]
    assert any(b"sourceMappingURL=site.js.map" in content for content in contents)
    assert any(b"sourceMappingURL=site.css.map" in content for content in contents)


@pytest.mark.usefixtures("sources")
def test_dry_run_uploads_nothing(aws: FakeAws) -> None:
    collectstatic("--dry-run")

    assert uploads(aws) == []


@pytest.mark.usefixtures("sources")
def test_collectstatic_deletes_its_temporary_files() -> None:
    before = set(Path(tempfile.gettempdir()).iterdir())

    collectstatic()

    left = set(Path(tempfile.gettempdir()).iterdir()) - before
    assert not [folder for folder in left if "bucket" in folder.name]
