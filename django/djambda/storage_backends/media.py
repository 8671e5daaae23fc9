"""Uploads: `media/` in the assets bucket, readable only with signed URLs."""

from storages.backends.s3 import S3Storage


class PrivateMediaStorage(S3Storage):
    """django-storages' S3 backend with signed URLs; a file never replaces another of the same name.

    Bucket, region and the URLs' lifetime come from the AWS_* settings that `djambda.aws` sets.
    """

    location = "media"
    file_overwrite = False
    querystring_auth = True
    custom_domain = None
