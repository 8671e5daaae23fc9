"""How the bytes of an attachment get to somebody who may have them.

The views check the permission; this module only knows where the file is. On AWS the browser fetches
it from S3 with a signed URL, so that it does not have to fit into a Lambda's answer.
"""

from typing import Any

from django.core.files.storage import FileSystemStorage
from django.http import FileResponse, Http404, HttpResponseBase
from django.shortcuts import redirect
from django.utils.http import content_disposition_header

from core.models import Attachment


def download(attachment: Attachment) -> HttpResponseBase:
    """The file itself from a local disk, else a redirect to the storage's signed URL.

    Either way it comes as a download under its original name: a page or script that somebody
    uploaded never runs as part of the site.
    """
    storage: Any = attachment.file.storage  # django-storages' url() takes more than Django's.
    if isinstance(storage, FileSystemStorage):
        try:
            return FileResponse(
                attachment.file.open(),
                as_attachment=True,
                filename=attachment.name,
                content_type=attachment.content_type,
            )
        except FileNotFoundError as error:
            raise Http404("The file of this attachment is no longer in the storage.") from error
    # https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html: response-* parameters.
    parameters = {
        "ResponseContentDisposition": content_disposition_header(True, attachment.name),
        "ResponseContentType": attachment.content_type,
    }
    return redirect(storage.url(attachment.file.name, parameters=parameters))
