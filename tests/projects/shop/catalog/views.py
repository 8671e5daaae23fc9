"""The catalog's pages."""

from django.contrib.auth.decorators import login_required
from django.db import connection
from django.forms import modelform_factory
from django.http import FileResponse, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render

from catalog.models import Product
from djambda.aws import is_deployed

ProductForm = modelform_factory(Product, fields=["name", "description", "picture"])


def home(request: HttpRequest) -> HttpResponse:
    """Render the home page, which needs no database."""
    return render(request, "catalog/home.html")


def product_list(request: HttpRequest) -> HttpResponse:
    """List all products."""
    return render(request, "catalog/product_list.html", {"products": Product.objects.all()})


def healthz(_request: HttpRequest) -> HttpResponse:
    """Respond with 200 if the database responds."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return JsonResponse({"status": "ok"})


@login_required
def product_create(request: HttpRequest) -> HttpResponse:
    """Add a product, with a picture."""
    form = ProductForm(request.POST or None, request.FILES or None)
    if form.is_valid():
        form.save()
        return redirect("catalog:product_list")
    return render(request, "catalog/product_form.html", {"form": form})


def product_picture(_request: HttpRequest, pk: int) -> HttpResponse | FileResponse:
    """Redirect to a picture in the bucket; serve it where the storage is a folder."""
    picture = get_object_or_404(Product, pk=pk).picture
    if is_deployed():
        return redirect(picture.url)
    return FileResponse(picture.open(), content_type="application/octet-stream")
