"""The admin of the catalog."""

from django.contrib import admin

from catalog.models import Product

admin.site.register(Product)
