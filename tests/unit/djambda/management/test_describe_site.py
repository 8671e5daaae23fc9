"""`describe_site`: the path of the admin in a project's URLconf."""

from types import ModuleType
from typing import Any

import pytest
from django.conf.urls.i18n import i18n_patterns
from django.contrib.admin import AdminSite, site
from django.urls import clear_url_caches, path, set_script_prefix
from pytest_django import Settings

from djambda.management.commands.describe_site import _admin_path


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        ([path("admin/", site.urls)], "/admin/"),
        ([path("office/", site.urls)], "/office/"),
        ([path("own/", AdminSite(name="own").urls)], "/own/"),
        ([path("", site.urls)], "/"),
        (i18n_patterns(path("admin/", site.urls)), "/en-us/admin/"),
        ([], ""),
    ],
)
@pytest.mark.parametrize("prefix", ["/", "/prod/"])
def test_path_of_the_admin(
    patterns: list[Any], expected: str, prefix: str, settings: Settings
) -> None:
    urlconf = ModuleType("urlconf")
    urlconf.urlpatterns = patterns  # type: ignore[attr-defined]
    settings.ROOT_URLCONF = urlconf
    clear_url_caches()
    set_script_prefix(prefix)

    try:
        assert _admin_path() == expected
    finally:
        set_script_prefix("/")
        clear_url_caches()
