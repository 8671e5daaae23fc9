"""The pages.

Notes and attachments are looked up among those of the logged-in user: others are not found.
"""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.core.paginator import Paginator
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from core.downloads import download
from core.forms import NoteForm
from core.models import Attachment, Note

NOTES_PER_PAGE = 12
MAX_QUERY_LENGTH = 100

require_safe_or_post = require_http_methods(["GET", "HEAD", "POST"])


class AuthenticatedRequest(HttpRequest):
    """A request with a logged-in user, as after `login_required`."""

    user: User


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    return render(request, "core/home.html")


@require_safe
@login_required
def note_list(request: AuthenticatedRequest) -> HttpResponse:
    # PostgreSQL rejects NUL characters.
    query = request.GET.get("q", "").replace("\0", "").strip()[:MAX_QUERY_LENGTH]
    notes = Note.objects.filter(author=request.user).search(query).listed()
    paginator = Paginator(notes, NOTES_PER_PAGE)
    page = paginator.get_page(request.GET.get("page"))
    context = {
        "query": query,
        "max_query_length": MAX_QUERY_LENGTH,
        "page": page,
        "page_numbers": paginator.get_elided_page_range(page.number, on_each_side=1),
    }
    return render(request, "core/note_list.html", context)


@require_safe
@login_required
def note_detail(request: AuthenticatedRequest, pk: int) -> HttpResponse:
    note = get_object_or_404(Note, pk=pk, author=request.user)
    return render(request, "core/note_detail.html", {"note": note})


@require_safe_or_post
@login_required
def note_create(request: AuthenticatedRequest) -> HttpResponse:
    return _edit(request, Note(author=request.user), "New note")


@require_safe_or_post
@login_required
def note_update(request: AuthenticatedRequest, pk: int) -> HttpResponse:
    return _edit(request, get_object_or_404(Note, pk=pk, author=request.user), "Edit note")


def _edit(request: AuthenticatedRequest, note: Note, heading: str) -> HttpResponse:
    form = NoteForm(request.POST or None, request.FILES or None, instance=note)
    if form.is_valid():
        with transaction.atomic():
            form.save()
            note.attach(form.cleaned_data["uploads"])
        messages.success(request, f"“{note.title}” was saved.")
        return redirect(note)
    context = {"form": form, "note": note, "heading": heading}
    return render(request, "core/note_form.html", context)


@require_safe_or_post
@login_required
def note_delete(request: AuthenticatedRequest, pk: int) -> HttpResponse:
    note = get_object_or_404(Note, pk=pk, author=request.user)
    if request.method == "POST":
        note.delete()
        messages.success(request, f"“{note.title}” was deleted.")
        return redirect("core:note_list")
    return render(request, "core/note_delete.html", {"note": note})


@require_safe
@login_required
def attachment_download(request: AuthenticatedRequest, pk: int) -> HttpResponseBase:
    return download(get_object_or_404(Attachment.objects.downloadable_by(request.user), pk=pk))


@require_safe_or_post
@login_required
def attachment_delete(request: AuthenticatedRequest, pk: int) -> HttpResponse:
    own = Attachment.objects.filter(note__author=request.user).select_related("note")
    attachment = get_object_or_404(own, pk=pk)
    if request.method == "POST":
        attachment.delete()
        messages.success(request, f"“{attachment.name}” was removed.")
        return redirect(attachment.note)
    return render(request, "core/attachment_delete.html", {"attachment": attachment})
