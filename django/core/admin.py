"""Notes and their attachments in the admin.

Attachments are added on the site, which checks their size. The admin lists and deletes them.
"""

from django.contrib import admin
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.utils.html import format_html

from core.models import Attachment, Note, NoteQuerySet

admin.site.site_header = "Notes administration"
admin.site.site_title = "Notes"
admin.site.index_title = "Overview"


class AttachmentInline(admin.TabularInline):  # type: ignore[type-arg]  # As in forms.py.
    model = Attachment
    fields = readonly_fields = ("download", "file_size", "content_type", "created_at")
    extra = 0
    view_on_site = False

    def has_add_permission(self, _request: HttpRequest, _obj: Note | None = None) -> bool:
        return False

    @admin.display(description="file")
    def download(self, attachment: Attachment) -> str:
        return format_html('<a href="{}">Download</a>', attachment.get_absolute_url())

    @admin.display(description="size")
    def file_size(self, attachment: Attachment) -> str:
        return filesizeformat(attachment.size)


@admin.register(Note)
class NoteAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # As in forms.py.
    list_display = ("title", "author", "pinned", "attachment_count", "updated_at")
    list_filter = ("pinned", "updated_at", ("author", admin.RelatedOnlyFieldListFilter))
    search_fields = ("title", "body", "author__username")
    date_hierarchy = "created_at"
    autocomplete_fields = ("author",)
    readonly_fields = ("created_at", "updated_at")
    inlines = (AttachmentInline,)
    view_on_site = False  # Only its author can see a note on the site.

    def get_queryset(self, _request: HttpRequest) -> NoteQuerySet:
        return Note.objects.listed()

    @admin.display(description="attachments", ordering="attachment_count")
    def attachment_count(self, note: Note) -> int:
        return note.attachment_count
