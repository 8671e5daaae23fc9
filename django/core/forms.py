"""The form for notes, and its field for several files."""

from typing import Any, ClassVar

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.template.defaultfilters import filesizeformat

from core.models import Note, Upload


class FilesInput(forms.FileInput):
    allow_multiple_selected = True


class FilesField(forms.Field):
    """Any number of files, with at most `max_bytes` in total; cleans to a list.

    The browser checks the limit, too (uploads.js): a request that exceeds the gateway's limit does
    not reach Django, and would get no form error.
    """

    widget = FilesInput

    def __init__(self, *, max_bytes: int, **kwargs: Any) -> None:
        self.max_bytes = max_bytes
        super().__init__(**kwargs)

    def widget_attrs(self, widget: forms.Widget) -> dict[str, Any]:
        limit = filesizeformat(self.max_bytes)
        return {
            **super().widget_attrs(widget),
            "data-max-bytes": self.max_bytes,
            "data-too-large": f"Choose files of at most {limit} in total.",
        }

    def to_python(self, value: list[Upload] | None) -> list[Upload]:
        return value or []

    def validate(self, value: list[Upload]) -> None:
        super().validate(value)
        if empty := [f"“{file.name}” is empty." for file in value if not file.size]:
            raise ValidationError(empty)
        total = sum(file.size or 0 for file in value)
        if total > self.max_bytes:
            raise ValidationError(
                f"These files have {filesizeformat(total)} in total. The limit is "
                f"{filesizeformat(self.max_bytes)}. Attach some of them now and the others later."
            )


class NoteForm(forms.ModelForm):  # type: ignore[type-arg]  # No type parameter at run time.
    uploads = FilesField(
        label="Attach files",
        required=False,
        max_bytes=settings.MAX_UPLOAD_BYTES,
        help_text=f"Up to {filesizeformat(settings.MAX_UPLOAD_BYTES)} in total.",
    )

    class Meta:
        model = Note
        fields = ("title", "body", "pinned")
        labels: ClassVar = {"pinned": "Pin to the top"}
