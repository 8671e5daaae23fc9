"""Responses with the content of an attachment; the views check permissions.

On AWS, the browser downloads the file from S3 with a signed URL, because a Lambda response is
limited to 6 MB.
"""

from typing import Any

from django.core.files.storage import FileSystemStorage
from django.http import FileResponse, Http404, HttpResponseBase
from django.shortcuts import redirect
from django.utils.http import content_disposition_header

from core.models import Attachment


def download(attachment: Attachment) -> HttpResponseBase:
    """Return the file from a local disk, or a redirect to the storage's signed URL.

    Both are downloads with the original name, so that uploaded pages and scripts never run as part
    of the site.
    """
    storage: Any = attachment.file.storage  # django-storages' url() has more parameters.
    if isinstance(storage, FileSystemStorage):
        try:
            return FileResponse(
                attachment.file.open(),
                as_attachment=True,
                filename=attachment.name,
                content_type=attachment.content_type,
            )
        except FileNotFoundError as error:
            raise Http404("The attachment's file does not exist in the storage.") from error
    # https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html: response-* parameters.
    parameters = {
        "ResponseContentDisposition": content_disposition_header(True, attachment.name),
        "ResponseContentType": attachment.content_type,
    }
    return redirect(storage.url(attachment.file.name, parameters=parameters))
