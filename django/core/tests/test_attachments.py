"""Files on their way in, out and away."""

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
from core.tests.conftest import signed_in, stored_files

CREATE = reverse("core:note_create")


def upload(client: Client, *files: SimpleUploadedFile, **options: Any) -> Any:
    return client.post(CREATE, {"title": "Lisbon", "uploads": files}, **options)


@pytest.fixture
def attachment(note: Note) -> Attachment:
    note.attach([SimpleUploadedFile("Überblick.pdf", b"%PDF")])
    return note.attachments.get()


def test_several_files_are_attached_at_once(client: Client, media: Path) -> None:
    answer = upload(
        client,
        SimpleUploadedFile("ticket.pdf", b"%PDF"),
        SimpleUploadedFile("what is this", b"12345"),
        follow=True,
    )
    assertContains(answer, "ticket.pdf")
    assert [(a.name, a.size, a.content_type) for a in Attachment.objects.all()] == [
        ("ticket.pdf", 4, "application/pdf"),
        ("what is this", 5, "application/octet-stream"),
    ]
    assert {path.read_bytes() for path in stored_files(media)} == {b"%PDF", b"12345"}


def test_an_edit_adds_files_and_keeps_the_others(client: Client, attachment: Attachment) -> None:
    address = reverse("core:note_update", args=[attachment.note.pk])
    client.post(address, {"title": "Lisbon", "uploads": SimpleUploadedFile("map.png", b"png")})
    assert [a.name for a in Attachment.objects.all()] == ["map.png", "Überblick.pdf"]


def test_the_place_of_a_file_cannot_be_guessed(attachment: Attachment) -> None:
    assert re.fullmatch(r"attachments/[0-9a-f]{32}", attachment.file.name or "")


def test_files_up_to_the_limit_are_accepted(client: Client, settings: Settings) -> None:
    upload(client, SimpleUploadedFile("a", b"x" * settings.MAX_UPLOAD_BYTES))
    assert Attachment.objects.get().size == settings.MAX_UPLOAD_BYTES


def test_files_that_are_too_large_together_are_a_form_error_that_names_the_limit(
    client: Client, settings: Settings, media: Path
) -> None:
    half = b"x" * (settings.MAX_UPLOAD_BYTES // 2 + 1)
    answer = upload(client, SimpleUploadedFile("a", half), SimpleUploadedFile("b", half))
    assertContains(answer, "at most 4.4\xa0MB fit into one request")
    assertContains(answer, "choose your files again")
    assertContains(answer, 'id="id_uploads_error"')
    assert not Note.objects.exists()
    assert stored_files(media) == []


def test_an_empty_file_is_a_form_error_that_names_it(client: Client) -> None:
    answer = upload(
        client, SimpleUploadedFile("full.txt", b"x"), SimpleUploadedFile("void.txt", b"")
    )
    assertContains(answer, "“void.txt” is empty.")
    assert not Note.objects.exists()


def test_the_browser_knows_the_limit_before_it_sends(client: Client) -> None:
    answer = client.get(CREATE)
    assertContains(answer, 'data-max-bytes="4600000"')
    assertContains(answer, 'data-too-large="Please choose files of at most 4.4\xa0MB together."')
    assertContains(answer, 'core/uploads.js" defer></script>')
    assertContains(answer, 'enctype="multipart/form-data"')


def test_a_local_file_is_downloaded_under_its_own_name(
    client: Client, attachment: Attachment
) -> None:
    answer = client.get(attachment.get_absolute_url())
    assert b"".join(answer) == b"%PDF"
    assert answer.headers["Content-Type"] == "application/pdf"
    assert answer.headers["Content-Disposition"] == (
        "attachment; filename*=utf-8''%C3%9Cberblick.pdf"
    )


def test_a_file_that_is_gone_from_the_storage_is_not_found(
    client: Client, attachment: Attachment
) -> None:
    attachment.file.delete(save=False)
    assert client.get(attachment.get_absolute_url()).status_code == 404


class SignedStorage(InMemoryStorage):
    """Answers `url()` as django-storages' S3Storage does."""

    def url(self, name: str | None, parameters: Mapping[str, str] | None = None) -> str:
        return f"https://bucket.example/{name}?{urlencode(parameters or {})}"


def test_a_file_elsewhere_is_a_redirect_to_its_signed_url(
    client: Client, note: Note, settings: Settings
) -> None:
    settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": f"{__name__}.SignedStorage"}}
    note.attach([SimpleUploadedFile('a "b".txt', b"x")])
    attachment = note.attachments.get()
    answer = client.get(attachment.get_absolute_url())
    parameters = {
        "ResponseContentDisposition": r'attachment; filename="a \"b\".txt"',
        "ResponseContentType": "text/plain",
    }
    assert answer.status_code == 302
    assert (
        answer.headers["Location"]
        == f"https://bucket.example/{attachment.file.name}?{urlencode(parameters)}"
    )


@pytest.mark.parametrize("page", ["attachment_download", "attachment_delete"])
def test_the_attachment_of_somebody_else_is_not_found(
    attachment: Attachment, eve: User, page: str
) -> None:
    address = reverse(f"core:{page}", args=[attachment.pk])
    assert signed_in(eve).get(address).status_code == 404
    assertRedirects(Client().get(address), f"{reverse('login')}?next={address}")


def test_nobody_else_removes_an_attachment(attachment: Attachment, admin_client: Client) -> None:
    address = reverse("core:attachment_delete", args=[attachment.pk])
    assert admin_client.post(address).status_code == 404
    assert Attachment.objects.exists()


@pytest.mark.parametrize(("is_staff", "status"), [(True, 200), (False, 404)])
def test_staff_who_see_attachments_in_the_admin_can_download_them(
    attachment: Attachment, eve: User, is_staff: bool, status: int
) -> None:
    eve.user_permissions.add(Permission.objects.get(codename="view_attachment"))
    eve.is_staff = is_staff
    eve.save()
    answer = signed_in(eve).get(attachment.get_absolute_url())
    assert answer.status_code == status
    answer.close()


def test_an_attachment_is_removed_with_its_file(
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


def test_a_deleted_note_takes_its_files_along_once_that_is_certain(
    client: Client,
    attachment: Attachment,
    media: Path,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        client.post(reverse("core:note_delete", args=[attachment.note.pk]))
        assert len(stored_files(media)) == 1
    assert stored_files(media) == []


def test_a_deleted_user_takes_the_files_along(
    ada: User,
    attachment: Attachment,
    media: Path,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        ada.delete()
    assert stored_files(media) == []


class StuckStorage(FileSystemStorage):
    def delete(self, name: str) -> None:
        raise OSError(f"{name} stays")


@pytest.mark.django_db(transaction=True)
def test_a_storage_that_does_not_delete_breaks_no_page(
    client: Client, note: Note, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": f"{__name__}.StuckStorage"}}
    note.attach([SimpleUploadedFile("a.txt", b"x")])
    answer = client.post(reverse("core:note_delete", args=[note.pk]), follow=True)
    assertContains(answer, "“Lisbon” is deleted.")
    assert "stays" in caplog.text
