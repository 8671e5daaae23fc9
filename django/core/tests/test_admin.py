"""The admin lists all notes with their attachments, with a constant number of queries."""

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from pytest_django.asserts import assertContains, assertNotContains

from core.models import Note

NOTES = reverse("admin:core_note_changelist")


@pytest.mark.parametrize("query", ["tram", "lisbon", "ada"])
def test_notes_are_found_by_title_text_and_author(
    admin_client: Client, note: Note, query: str
) -> None:
    assertContains(admin_client.get(NOTES, {"q": query}), "Lisbon")
    assertNotContains(admin_client.get(NOTES, {"q": "zebra"}), "Lisbon")


def test_list_has_a_constant_number_of_queries(admin_client: Client, note: Note, eve: User) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assertContains(admin_client.get(NOTES), "Lisbon")
        return len(captured)

    few = queries()
    for number in range(10):
        Note.objects.create(author=eve, title=f"{number}").attachments.create(name="a", size=1)
    assert queries() == few


def test_attachments_are_links_within_their_note(admin_client: Client, note: Note) -> None:
    note.attach([SimpleUploadedFile("<i>.txt", b"x" * 2048)])
    response = admin_client.get(reverse("admin:core_note_change", args=[note.pk]))
    address = note.attachments.get().get_absolute_url()
    assertContains(response, f'<a href="{address}">Download</a>', html=True)
    assertContains(response, "&lt;i&gt;.txt")
    assertContains(response, "2.0\xa0KB")
    assertNotContains(response, 'type="file"')
