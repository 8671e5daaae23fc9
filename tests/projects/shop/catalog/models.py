"""Database models of the catalog."""

from django.core.files.storage import Storage, storages
from django.db import models


def public_files() -> Storage:
    """Return the storage of files that everyone can read."""
    return storages["public"]


class Product(models.Model):
    """A product, its private picture and its public photo."""

    name = models.CharField(max_length=200)
    description = models.TextField(blank=True)
    picture = models.FileField(upload_to="pictures/", blank=True)
    photo = models.FileField(upload_to="photos/", storage=public_files, blank=True)

    def __str__(self) -> str:
        return self.name
