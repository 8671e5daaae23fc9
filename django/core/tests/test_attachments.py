"""Uploading, downloading and deleting attachments."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import Permission, User
from django.core.files.storage import FileSystemStorage, InMemoryStorage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings
from pytest_django.asserts import assertContains, assertRedirects

from core.models import Attachment, Note
from core.tests.conftest import logged_in, stored_files

CREATE = reverse("core:note_create")


def upload(client: Client, *files: SimpleUploadedFile, **options: Any) -> Any:
    return client.post(CREATE, {"title": "Lisbon", "uploads": files}, **options)


@pytest.fixture
def attachment(note: Note) -> Attachment:
    note.attach([SimpleUploadedFile("Überblick.pdf", b"%PDF")])
    return note.attachments.get()


def test_upload_of_several_files(client: Client, media: Path) -> None:
    response = upload(
        client,
        SimpleUploadedFile("ticket.pdf", b"%PDF"),
        SimpleUploadedFile("what is this", b"12345"),
        SimpleUploadedFile("backup.tar.gz", b"\x1f\x8b"),
        follow=True,
    )
    assertContains(response, "ticket.pdf")
    assert [(a.name, a.size, a.content_type) for a in Attachment.objects.all()] == [
        ("backup.tar.gz", 2, "application/gzip"),
        ("ticket.pdf", 4, "application/pdf"),
        ("what is this", 5, "application/octet-stream"),
    ]
    assert {path.read_bytes() for path in stored_files(media)} == {b"%PDF", b"12345", b"\x1f\x8b"}


def test_edit_adds_files_and_keeps_the_others(client: Client, attachment: Attachment) -> None:
    address = reverse("core:note_update", args=[attachment.note.pk])
    client.post(address, {"title": "Lisbon", "uploads": SimpleUploadedFile("map.png", b"png")})
    assert [a.name for a in Attachment.objects.all()] == ["map.png", "Überblick.pdf"]


def test_storage_key_cannot_be_guessed(attachment: Attachment) -> None:
    assert re.fullmatch(r"attachments/[0-9a-f]{32}", attachment.file.name or "")


def test_files_up_to_the_limit_are_accepted(client: Client, settings: Settings) -> None:
    upload(client, SimpleUploadedFile("a", b"x" * settings.MAX_UPLOAD_BYTES))
    assert Attachment.objects.get().size == settings.MAX_UPLOAD_BYTES


def test_files_that_exceed_the_limit_are_a_form_error(
    client: Client, settings: Settings, media: Path
) -> None:
    half = b"x" * (settings.MAX_UPLOAD_BYTES // 2 + 1)
    response = upload(client, SimpleUploadedFile("a", half), SimpleUploadedFile("b", half))
    assertContains(response, "The limit is 4.4\xa0MB")
    assertContains(response, "choose your files again")
    assertContains(response, 'id="id_uploads_error"')
    assert not Note.objects.exists()
    assert stored_files(media) == []


def test_empty_file_is_a_form_error(client: Client) -> None:
    response = upload(
        client, SimpleUploadedFile("full.txt", b"x"), SimpleUploadedFile("void.txt", b"")
    )
    assertContains(response, "void.txt")
    assert not Note.objects.exists()


def test_form_contains_the_limit_for_the_browser(client: Client) -> None:
    response = client.get(CREATE)
    assertContains(response, 'data-max-bytes="4600000"')
    assertContains(response, 'data-too-large="Choose files of at most 4.4\xa0MB')
    assertContains(response, 'core/uploads.js" defer></script>')
    assertContains(response, 'enctype="multipart/form-data"')


def test_download_of_a_local_file_has_its_name(client: Client, attachment: Attachment) -> None:
    response = client.get(attachment.get_absolute_url())
    assert b"".join(response) == b"%PDF"
    assert response.headers["Content-Type"] == "application/pdf"
    assert response.headers["Content-Disposition"] == (
        "attachment; filename*=utf-8''%C3%9Cberblick.pdf"
    )


def test_file_missing_from_the_storage_is_not_found(client: Client, attachment: Attachment) -> None:
    attachment.file.delete(save=False)
    assert client.get(attachment.get_absolute_url()).status_code == 404


class SignedStorage(InMemoryStorage):
    """A storage whose `url()` is like that of django-storages' S3Storage."""

    def url(self, name: str | None, parameters: Mapping[str, str] | None = None) -> str:
        return f"https://bucket.example/{name}?{urlencode(parameters or {})}"


def test_file_in_a_bucket_redirects_to_its_signed_url(
    client: Client, note: Note, settings: Settings
) -> None:
    settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": f"{__name__}.SignedStorage"}}
    note.attach([SimpleUploadedFile('a "b".txt', b"x")])
    attachment = note.attachments.get()
    response = client.get(attachment.get_absolute_url())
    parameters = {
        "ResponseContentDisposition": r'attachment; filename="a \"b\".txt"',
        "ResponseContentType": "text/plain",
    }
    assert response.status_code == 302
    assert (
        response.headers["Location"]
        == f"https://bucket.example/{attachment.file.name}?{urlencode(parameters)}"
    )


@pytest.mark.parametrize("page", ["attachment_download", "attachment_delete"])
def test_attachment_of_another_user_is_not_found(
    attachment: Attachment, eve: User, page: str
) -> None:
    address = reverse(f"core:{page}", args=[attachment.pk])
    assert logged_in(eve).get(address).status_code == 404
    assertRedirects(Client().get(address), f"{reverse('login')}?next={address}")


def test_attachment_of_another_user_cannot_be_removed(
    attachment: Attachment, admin_client: Client
) -> None:
    address = reverse("core:attachment_delete", args=[attachment.pk])
    assert admin_client.post(address).status_code == 404
    assert Attachment.objects.exists()


@pytest.mark.parametrize(("is_staff", "status"), [(True, 200), (False, 404)])
def test_staff_with_permission_can_download_attachments(
    attachment: Attachment, eve: User, is_staff: bool, status: int
) -> None:
    eve.user_permissions.add(Permission.objects.get(codename="view_attachment"))
    eve.is_staff = is_staff
    eve.save()
    response = logged_in(eve).get(attachment.get_absolute_url())
    assert response.status_code == status
    response.close()


def test_removing_an_attachment_deletes_its_file(
    client: Client,
    attachment: Attachment,
    media: Path,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    address = reverse("core:attachment_delete", args=[attachment.pk])
    assertContains(client.get(address), "Remove “Überblick.pdf”?")
    with django_capture_on_commit_callbacks(execute=True):
        assertRedirects(client.post(address), attachment.note.get_absolute_url())
    assert not Attachment.objects.exists()
    assert stored_files(media) == []


def test_deleting_a_note_deletes_its_files_on_commit(
    client: Client,
    attachment: Attachment,
    media: Path,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        client.post(reverse("core:note_delete", args=[attachment.note.pk]))
        assert len(stored_files(media)) == 1
    assert stored_files(media) == []


def test_deleting_a_user_deletes_their_files(
    ada: User,
    attachment: Attachment,
    media: Path,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        ada.delete()
    assert stored_files(media) == []


class FailingStorage(FileSystemStorage):
    def delete(self, name: str) -> None:
        raise OSError(f"{name} is locked")


@pytest.mark.django_db(transaction=True)
def test_failing_deletion_in_the_storage_is_logged(
    client: Client, note: Note, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": f"{__name__}.FailingStorage"}}
    note.attach([SimpleUploadedFile("a.txt", b"x")])
    response = client.post(reverse("core:note_delete", args=[note.pk]), follow=True)
    assertContains(response, "“Lisbon” was deleted.")
    assert "is locked" in caplog.text
