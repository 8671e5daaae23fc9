"""What the site stores: notes, and the files attached to them.

The bytes of an attachment live in the default storage (private on AWS). Its row keeps the name,
size and type, so that pages which list attachments never have to ask the storage.
"""

import mimetypes
from collections.abc import Iterable
from typing import Self
from uuid import uuid4

from django.conf import settings
from django.contrib.auth.models import User
from django.core.files.uploadedfile import UploadedFile
from django.db import models, transaction
from django.db.models import Count, Q
from django.db.models.signals import post_delete
from django.dispatch import receiver
from django.urls import reverse

type Upload = UploadedFile[bytes]


class NoteQuerySet(models.QuerySet["Note"]):
    def listed(self) -> Self:
        """Pinned notes first, then the newest ones; each with its `attachment_count`."""
        # Spelled out here because Django drops Meta.ordering from a query that groups.
        counted = self.annotate(attachment_count=Count("attachments"))
        return counted.order_by("-pinned", "-updated_at", "-pk")

    def search(self, text: str) -> Self:
        """The notes that have every word of `text` in their title or body; all of them for ""."""
        notes = self
        for word in text.split():
            notes = notes.filter(Q(title__icontains=word) | Q(body__icontains=word))
        return notes


class Note(models.Model):
    """A text that only its author sees."""

    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="notes"
    )
    title = models.CharField(max_length=120)
    body = models.TextField(max_length=20_000, blank=True)
    pinned = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    attachment_count: int  # Only on what `listed()` returns.

    objects = NoteQuerySet.as_manager()

    class Meta:
        indexes = (
            models.Index(fields=("author", "-pinned", "-updated_at"), name="core_note_list_idx"),
        )

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        return reverse("core:note_detail", args=[self.pk])

    def attach(self, uploads: Iterable[Upload]) -> None:
        """Stores each upload and adds it to this (saved) note."""
        for upload in uploads:
            name = upload.name or "file"
            self.attachments.create(
                file=upload,
                name=name,
                size=upload.size or 0,
                content_type=mimetypes.guess_type(name)[0] or "application/octet-stream",
            )


def unguessable_path(_attachment: "Attachment", _name: str) -> str:
    """The storage key: random, and free of whatever the uploader called the file."""
    return f"attachments/{uuid4().hex}"


class AttachmentQuerySet(models.QuerySet["Attachment"]):
    def downloadable_by(self, user: User) -> Self:
        """The user's own attachments; every one for staff whom the admin shows them to."""
        if user.is_staff and user.has_perm("core.view_attachment"):
            return self
        return self.filter(note__author=user)


class Attachment(models.Model):
    """A file that belongs to a note."""

    note = models.ForeignKey(Note, on_delete=models.CASCADE, related_name="attachments")
    file = models.FileField(upload_to=unguessable_path)
    name = models.CharField(max_length=255)
    size = models.PositiveIntegerField(help_text="In bytes.")
    content_type = models.CharField(max_length=255)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = AttachmentQuerySet.as_manager()

    class Meta:
        ordering = ("name", "pk")

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("core:attachment_download", args=[self.pk])


@receiver(post_delete, sender=Attachment)
def delete_stored_file(instance: Attachment, **_: object) -> None:
    """Deletes the file of a deleted row, however it was deleted, once the deletion is certain.

    `robust`: the row is gone by then, so a storage that fails is logged and breaks no page.
    """
    file = instance.file
    transaction.on_commit(lambda: file.delete(save=False), robust=True)
