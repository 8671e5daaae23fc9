"""Writing, finding and deleting notes, which only their author can."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries
from pytest_django.asserts import assertContains, assertNotContains, assertRedirects

from core.models import Note
from core.tests.conftest import logged_in
from core.views import MAX_QUERY_LENGTH, NOTES_PER_PAGE

LIST = reverse("core:note_list")
CREATE = reverse("core:note_create")


def titles(client: Client, **query: Any) -> list[str]:
    return [note.title for note in client.get(LIST, query).context["page"]]


def write(author: User, *titles: str, body: str = "") -> None:
    for title in titles:
        Note.objects.create(author=author, title=title, body=body)


def test_created_note_belongs_to_the_user(client: Client, ada: User) -> None:
    response = client.post(
        CREATE, {"title": "Lisbon", "body": "Tram 28", "pinned": "on"}, follow=True
    )
    note = Note.objects.get()
    assert (note.author, note.title, note.body, note.pinned) == (ada, "Lisbon", "Tram 28", True)
    assertRedirects(response, note.get_absolute_url())
    assertContains(response, "“Lisbon” was saved.")


def test_changing_a_note(client: Client, note: Note) -> None:
    response = client.post(reverse("core:note_update", args=[note.pk]), {"title": "Porto"})
    assertRedirects(response, note.get_absolute_url())
    note.refresh_from_db()
    assert (note.title, note.body) == ("Porto", "")


def test_deleting_a_note_needs_a_confirmation(client: Client, note: Note) -> None:
    address = reverse("core:note_delete", args=[note.pk])
    assertContains(client.get(address), "Delete “Lisbon”?")
    assert Note.objects.exists()
    assertRedirects(client.post(address), LIST)
    assert not Note.objects.exists()


def test_form_error_is_linked_to_its_field(client: Client) -> None:
    response = client.post(CREATE, {"title": " ", "body": "x" * 20_001})
    assertContains(response, "<title>Error: New note · Notes</title>", html=True)
    assertContains(response, '<ul class="errorlist" id="id_title_error">')
    assertContains(response, 'aria-invalid="true"', count=2)
    assertContains(response, 'aria-describedby="id_title_error"')
    assertContains(response, "at most 20000 characters")
    assert not Note.objects.exists()


def test_html_in_notes_is_escaped(client: Client, ada: User) -> None:
    note = Note.objects.create(
        author=ada, title="<b>", body="<script>alert(1)</script> https://a.example"
    )
    response = client.get(note.get_absolute_url())
    assertContains(response, "&lt;script&gt;")
    assertNotContains(response, "<b>")
    assertContains(response, '<a href="https://a.example" rel="nofollow">')


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
def test_note_of_another_user_is_not_found(note: Note, eve: User, method: str, page: str) -> None:
    address = reverse(f"core:{page}", args=[note.pk])
    response = getattr(logged_in(eve), method)(address, {"title": "Mine now"})
    assert response.status_code == 404
    note.refresh_from_db()
    assert note.title == "Lisbon"


def test_superuser_sees_notes_of_other_users_only_in_the_admin(
    admin_client: Client, note: Note
) -> None:
    assert admin_client.get(note.get_absolute_url()).status_code == 404
    assertContains(admin_client.get(reverse("admin:core_note_changelist")), "Lisbon")


@pytest.mark.parametrize("page", ["note_list", "note_create"])
def test_pages_need_a_login(db: None, page: str) -> None:
    address = reverse(f"core:{page}")
    assertRedirects(Client().get(address), f"{reverse('login')}?next={address}")


def test_list_has_own_notes_pinned_and_newest_first(client: Client, ada: User, eve: User) -> None:
    write(ada, "old", "new")
    write(eve, "not mine")
    Note.objects.create(author=ada, title="pinned", pinned=True)
    write(ada, "newest")
    assert titles(client) == ["pinned", "newest", "new", "old"]


def test_search_needs_every_word_in_title_or_text(client: Client, ada: User, eve: User) -> None:
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
def test_special_characters_in_a_search(
    client: Client, note: Note, query: str, found: list[str]
) -> None:
    assert note.title == "Lisbon"
    assert titles(client, q=query) == found


def test_search_text_is_truncated(client: Client) -> None:
    assert client.get(LIST, {"q": "x" * 9000}).context["query"] == "x" * MAX_QUERY_LENGTH


def test_empty_lists(client: Client, ada: User) -> None:
    assertContains(client.get(LIST), "No notes yet")
    assertNotContains(client.get(LIST), 'type="search"')
    write(ada, "Lisbon")
    assertContains(client.get(LIST, {"q": "<zebra>"}), "“&lt;zebra&gt;”")


def test_pagination_keeps_the_search(client: Client, ada: User) -> None:
    write(ada, *(f"Meeting {number}" for number in range(2 * NOTES_PER_PAGE + 1)), "Other")
    response = client.get(LIST, {"q": "meeting", "page": "2"})
    assertContains(response, 'href="?q=meeting&amp;page=3" aria-label="Page 3"')
    assertContains(response, 'rel="prev" href="?q=meeting&amp;page=1"')
    assertContains(response, 'aria-current="page" aria-label="Page 2"')
    assert titles(client, q="meeting", page=3) == ["Meeting 0"]


@pytest.mark.parametrize(("page", "shown"), [("99", 2), ("0", 2), ("-1", 2), ("x", 1), ("", 1)])
def test_invalid_page_number_shows_the_first_or_last_page(
    client: Client, ada: User, page: str, shown: int
) -> None:
    write(ada, *map(str, range(NOTES_PER_PAGE + 1)))
    assert client.get(LIST, {"page": page}).context["page"].number == shown


def test_list_has_a_constant_number_of_queries(
    client: Client, ada: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    write(ada, *map(str, range(NOTES_PER_PAGE)))
    for note in Note.objects.all():
        note.attachments.create(name="a.txt", size=1)
        note.attachments.create(name="b.txt", size=1)
    with django_assert_num_queries(4):  # Session, user, count, notes.
        response = client.get(LIST)
    assertContains(response, "2 files", count=NOTES_PER_PAGE)


def test_note_has_a_constant_number_of_queries(
    client: Client, note: Note, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(20):
        note.attachments.create(name=f"{number}.txt", size=1)
    with django_assert_num_queries(4):  # Session, user, note, attachments.
        client.get(note.get_absolute_url())
