"""URLs of the site."""

from django.conf import settings
from django.conf.urls.static import static
from django.contrib import admin
from django.contrib.auth import views
from django.urls import URLPattern, URLResolver, include, path

PASSWORD_RESET = [
    path("", views.PasswordResetView.as_view(), name="password_reset"),
    path("sent/", views.PasswordResetDoneView.as_view(), name="password_reset_done"),
    path(
        "<uidb64>/<token>/",
        views.PasswordResetConfirmView.as_view(),
        name="password_reset_confirm",
    ),
    path("done/", views.PasswordResetCompleteView.as_view(), name="password_reset_complete"),
]


def password_reset(*, sends_mail: bool) -> list[URLPattern]:
    """Return the pages with which users reset their passwords, none if the site sends no mail."""
    return PASSWORD_RESET if sends_mail else []


urlpatterns: list[URLPattern | URLResolver] = [
    path("admin/", admin.site.urls),
    path("accounts/login/", views.LoginView.as_view(), name="login"),
    path("accounts/logout/", views.LogoutView.as_view(), name="logout"),
    path(
        "accounts/password-reset/",
        include(password_reset(sends_mail=hasattr(settings, "MAILERS"))),
    ),
    path("", include("core.urls")),
    *static(settings.MEDIA_URL, document_root=settings.MEDIA_ROOT),
]
