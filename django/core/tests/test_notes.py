"""Writing, finding and deleting notes, and that only their author can."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries
from pytest_django.asserts import assertContains, assertNotContains, assertRedirects

from core.models import Note
from core.tests.conftest import signed_in
from core.views import MAX_QUERY_LENGTH, NOTES_PER_PAGE

LIST = reverse("core:note_list")
CREATE = reverse("core:note_create")


def titles(client: Client, **query: Any) -> list[str]:
    return [note.title for note in client.get(LIST, query).context["page"]]


def write(author: User, *titles: str, body: str = "") -> None:
    for title in titles:
        Note.objects.create(author=author, title=title, body=body)


def test_a_note_is_created_for_the_signed_in_user(client: Client, ada: User) -> None:
    answer = client.post(
        CREATE, {"title": "Lisbon", "body": "Tram 28", "pinned": "on"}, follow=True
    )
    note = Note.objects.get()
    assert (note.author, note.title, note.body, note.pinned) == (ada, "Lisbon", "Tram 28", True)
    assertRedirects(answer, note.get_absolute_url())
    assertContains(answer, "“Lisbon” is saved.")


def test_a_note_is_changed(client: Client, note: Note) -> None:
    answer = client.post(reverse("core:note_update", args=[note.pk]), {"title": "Porto"})
    assertRedirects(answer, note.get_absolute_url())
    note.refresh_from_db()
    assert (note.title, note.body) == ("Porto", "")


def test_a_note_is_deleted_only_after_a_confirmation(client: Client, note: Note) -> None:
    address = reverse("core:note_delete", args=[note.pk])
    assertContains(client.get(address), "Delete “Lisbon”?")
    assert Note.objects.exists()
    assertRedirects(client.post(address), LIST)
    assert not Note.objects.exists()


def test_a_form_error_is_visible_and_tied_to_its_field(client: Client) -> None:
    answer = client.post(CREATE, {"title": " ", "body": "x" * 20_001})
    assertContains(answer, "<title>Error: New note · Notes</title>", html=True)
    assertContains(answer, '<ul class="errorlist" id="id_title_error">')
    assertContains(answer, 'aria-invalid="true"', count=2)
    assertContains(answer, 'aria-describedby="id_title_error"')
    assertContains(answer, "at most 20000 characters")
    assert not Note.objects.exists()


def test_what_was_written_is_shown_as_text(client: Client, ada: User) -> None:
    note = Note.objects.create(
        author=ada, title="<b>", body="<script>alert(1)</script> https://a.example"
    )
    answer = client.get(note.get_absolute_url())
    assertContains(answer, "&lt;script&gt;")
    assertNotContains(answer, "<b>")
    assertContains(answer, '<a href="https://a.example" rel="nofollow">')


@pytest.mark.parametrize(
    ("method", "page"),
    [
        ("get", "note_detail"),
        ("get", "note_update"),
        ("post", "note_update"),
        ("get", "note_delete"),
        ("post", "note_delete"),
    ],
)
def test_the_note_of_somebody_else_is_not_found(
    note: Note, eve: User, method: str, page: str
) -> None:
    address = reverse(f"core:{page}", args=[note.pk])
    answer = getattr(signed_in(eve), method)(address, {"title": "Mine now"})
    assert answer.status_code == 404
    note.refresh_from_db()
    assert note.title == "Lisbon"


def test_a_superuser_finds_the_notes_of_others_in_the_admin_only(
    admin_client: Client, note: Note
) -> None:
    assert admin_client.get(note.get_absolute_url()).status_code == 404
    assertContains(admin_client.get(reverse("admin:core_note_changelist")), "Lisbon")


@pytest.mark.parametrize("page", ["note_list", "note_create"])
def test_a_stranger_is_sent_to_the_login(db: None, page: str) -> None:
    address = reverse(f"core:{page}")
    assertRedirects(Client().get(address), f"{reverse('login')}?next={address}")


def test_the_list_has_own_notes_pinned_and_new_ones_first(
    client: Client, ada: User, eve: User
) -> None:
    write(ada, "old", "new")
    write(eve, "not mine")
    Note.objects.create(author=ada, title="pinned", pinned=True)
    write(ada, "newest")
    assert titles(client) == ["pinned", "newest", "new", "old"]


def test_the_search_wants_every_word_in_title_or_text(client: Client, ada: User, eve: User) -> None:
    write(ada, "Lisbon in May", body="Tram 28")
    write(ada, "Lisbon in June", "Tram museum")
    write(eve, "Lisbon, tram")
    assert titles(client, q="lisbon TRAM") == ["Lisbon in May"]
    assert titles(client, q="tram") == ["Tram museum", "Lisbon in May"]
    assert len(titles(client, q="  ")) == 3


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("%", []),
        ("_", []),
        ("'; --", []),
        ("\0", ["Lisbon"]),
        ("lis\0bon", ["Lisbon"]),
        ("lisbon " * 500, ["Lisbon"]),
    ],
)
def test_a_strange_search_is_only_a_search(
    client: Client, note: Note, query: str, found: list[str]
) -> None:
    assert note.title == "Lisbon"
    assert titles(client, q=query) == found


def test_a_search_is_cut_to_a_sensible_length(client: Client) -> None:
    assert client.get(LIST, {"q": "x" * 9000}).context["query"] == "x" * MAX_QUERY_LENGTH


def test_the_empty_states(client: Client, ada: User) -> None:
    assertContains(client.get(LIST), "No notes yet")
    assertNotContains(client.get(LIST), 'type="search"')
    write(ada, "Lisbon")
    assertContains(client.get(LIST, {"q": "<zebra>"}), "No note has “&lt;zebra&gt;”")


def test_the_pages_of_a_search_keep_its_words(client: Client, ada: User) -> None:
    write(ada, *(f"Meeting {number}" for number in range(2 * NOTES_PER_PAGE + 1)), "Other")
    answer = client.get(LIST, {"q": "meeting", "page": "2"})
    assertContains(answer, 'href="?q=meeting&amp;page=3" aria-label="Page 3"')
    assertContains(answer, 'rel="prev" href="?q=meeting&amp;page=1"')
    assertContains(answer, 'aria-current="page" aria-label="Page 2"')
    assert titles(client, q="meeting", page=3) == ["Meeting 0"]


@pytest.mark.parametrize(("page", "shown"), [("99", 2), ("0", 2), ("-1", 2), ("x", 1), ("", 1)])
def test_a_page_that_does_not_exist_is_the_first_or_the_last(
    client: Client, ada: User, page: str, shown: int
) -> None:
    write(ada, *map(str, range(NOTES_PER_PAGE + 1)))
    assert client.get(LIST, {"page": page}).context["page"].number == shown


def test_the_list_costs_the_same_for_any_number_of_notes(
    client: Client, ada: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    write(ada, *map(str, range(NOTES_PER_PAGE)))
    for note in Note.objects.all():
        note.attachments.create(name="a.txt", size=1)
        note.attachments.create(name="b.txt", size=1)
    with django_assert_num_queries(4):  # Session, user, count, notes.
        answer = client.get(LIST)
    assertContains(answer, "2 files", count=NOTES_PER_PAGE)


def test_a_note_costs_the_same_for_any_number_of_attachments(
    client: Client, note: Note, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(20):
        note.attachments.create(name=f"{number}.txt", size=1)
    with django_assert_num_queries(4):  # Session, user, note, attachments.
        client.get(note.get_absolute_url())
