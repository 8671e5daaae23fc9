"""Database models of the catalog."""

from django.db import models


class Product(models.Model):
    """A product and its picture."""

    name = models.CharField(max_length=200)
    description = models.TextField(blank=True)
    picture = models.FileField(upload_to="pictures/", blank=True)

    def __str__(self) -> str:
        return self.name
