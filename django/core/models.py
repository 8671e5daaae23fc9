"""Notes and their attachments.

The content of an attachment is in the default storage, which is private on AWS. Its row has name,
size and type, so that listing attachments needs no request to the storage.
"""

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

from djambda.storage_backends.content_types import content_type_of

type Upload = UploadedFile[bytes]


class NoteQuerySet(models.QuerySet["Note"]):
    def listed(self) -> Self:
        """Order by pinned and newest, and add the `attachment_count`."""
        # Not in Meta.ordering, which Django drops from queries with GROUP BY.
        counted = self.annotate(attachment_count=Count("attachments"))
        return counted.order_by("-pinned", "-updated_at", "-pk")

    def search(self, text: str) -> Self:
        """Filter notes with every word of `text` in their title or body."""
        notes = self
        for word in text.split():
            notes = notes.filter(Q(title__icontains=word) | Q(body__icontains=word))
        return notes


class Note(models.Model):
    """A text that only its author can see."""

    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="notes"
    )
    title = models.CharField(max_length=120)
    body = models.TextField(max_length=20_000, blank=True)
    pinned = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    attachment_count: int  # Only on results of `listed()`.

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
        """Store each upload and add it to this saved note."""
        for upload in uploads:
            name = upload.name or "file"
            self.attachments.create(
                file=upload,
                name=name,
                size=upload.size or 0,
                content_type=content_type_of(name),
            )


def unguessable_path(_attachment: "Attachment", _name: str) -> str:
    """Return a random storage key without the uploaded file's name."""
    return f"attachments/{uuid4().hex}"


class AttachmentQuerySet(models.QuerySet["Attachment"]):
    def downloadable_by(self, user: User) -> Self:
        """Filter the user's own attachments; staff who may view attachments can download all."""
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
    """Delete a deleted row's file once the transaction is committed.

    `robust` logs errors of the storage instead of failing the request: the row is deleted already.
    """
    file = instance.file
    transaction.on_commit(lambda: file.delete(save=False), robust=True)
