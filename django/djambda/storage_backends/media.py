"""Uploads: `media/` in the assets bucket, which nobody can read without a signed URL."""

from storages.backends.s3 import S3Storage


class PrivateMediaStorage(S3Storage):
    """django-storages' S3 backend with signed URLs; a file never replaces one of the same name.

    Bucket, region and the URLs' lifetime come from the AWS_* settings of `djambda.aws`.
    """

    location = "media"
    file_overwrite = False
    querystring_auth = True
    custom_domain = None
