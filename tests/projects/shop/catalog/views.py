"""The catalog's pages."""

from django.contrib.auth.decorators import login_required
from django.db import connection
from django.forms import modelform_factory
from django.http import FileResponse, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render

from catalog.models import Product

ProductForm = modelform_factory(Product, fields=["name", "description", "picture", "photo"])


def home(request: HttpRequest) -> HttpResponse:
    """Render the home page, which needs no database."""
    return render(request, "catalog/home.html")


def healthz(_request: HttpRequest) -> HttpResponse:
    """Return 200 if the database can be queried."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return JsonResponse({"status": "ok"})


def challenge(_request: HttpRequest) -> HttpResponse:
    """Ask for a password (RFC 7617)."""
    return HttpResponse(status=401, headers={"WWW-Authenticate": 'Basic realm="shop"'})


def product_list(request: HttpRequest) -> HttpResponse:
    """List all products."""
    return render(request, "catalog/product_list.html", {"products": Product.objects.all()})


@login_required
def product_create(request: HttpRequest) -> HttpResponse:
    """Add a product."""
    form = ProductForm(request.POST or None, request.FILES or None)
    if form.is_valid():
        form.save()
        return redirect("catalog:product_list")
    return render(request, "catalog/product_form.html", {"form": form})


def product_picture(_request: HttpRequest, pk: int) -> FileResponse:
    """Send a product's picture as a download."""
    picture = get_object_or_404(Product.objects.exclude(picture=""), pk=pk).picture
    return FileResponse(picture.open(), as_attachment=True)
