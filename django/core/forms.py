"""The form that writes a note, and the field that takes several files at once."""

from typing import Any, ClassVar

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.template.defaultfilters import filesizeformat

from core.models import Note, Upload


class FilesInput(forms.FileInput):
    allow_multiple_selected = True


class FilesField(forms.Field):
    """Any number of files, `max_bytes` together; cleans to a list, empty when none was chosen.

    The browser is told the limit too (uploads.js checks it): a request that is too large for the
    gateway in front of Django never gets here to be answered with a form error.
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
            "data-too-large": f"Please choose files of at most {limit} together.",
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
                f"These files are {filesizeformat(total)} together, and at most "
                f"{filesizeformat(self.max_bytes)} fit into one request. "
                "Attach some of them now and the others with another edit."
            )


class NoteForm(forms.ModelForm):  # type: ignore[type-arg]  # Takes no parameter at run time.
    uploads = FilesField(
        label="Attach files",
        required=False,
        max_bytes=settings.MAX_UPLOAD_BYTES,
        help_text=f"Up to {filesizeformat(settings.MAX_UPLOAD_BYTES)} together.",
    )

    class Meta:
        model = Note
        fields = ("title", "body", "pinned")
        labels: ClassVar = {"pinned": "Pin to the top"}
