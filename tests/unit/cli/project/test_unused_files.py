"""The files that a layer omits, and those that only look unused."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from awscdk import project
from djambda_cli.project.unused_files import remove_unused_files
from tests.unit.cli.project.checkouts import DJANGO_IN_LAYER, Checkout

DJANGO = {
    "django/__init__.py",
    "django/conf/locale/de/LC_MESSAGES/django.mo",
    "django/conf/locale/de/LC_MESSAGES/django.po",
    "django/conf/locale/de/formats.py",
    "django/conf/locale/en/LC_MESSAGES/django.mo",
    "django/conf/locale/nb/LC_MESSAGES/django.mo",
    "django/conf/locale/pt_BR/LC_MESSAGES/django.mo",
    "django/contrib/admin/locale/de/LC_MESSAGES/djangojs.mo",
    "django/contrib/gis/__init__.py",
}
ALL_OMITTED = {
    "django/conf/locale/de/LC_MESSAGES/django.po",
    "django/contrib/gis/__init__.py",
}


def write(folder: Path, files: Iterable[str], content: str = "") -> None:
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def omitted(
    folder: Path, site_languages: list[str] | None = None, *, gis: bool = False
) -> set[str]:
    """Remove the unused files; return their names."""
    before = names(folder)
    remove_unused_files(folder, site_languages, keeps_gis=gis)
    return before - names(folder)


@pytest.fixture
def layer(tmp_path: Path) -> Path:
    folder = tmp_path / "python"
    write(folder, DJANGO)
    return folder


def test_built_layer_omits_unused_files(checkout: Checkout) -> None:
    checkout.build()

    assert checkout.files() == DJANGO_IN_LAYER


def test_files_that_packages_may_read_are_kept(layer: Path) -> None:
    files = {
        "bin/tool",
        "numbers/__init__.pyi",
        "numbers/include/numbers.h",
        "numbers/kernel.c",
        "numbers/kernel.pyx",
        "numbers/locale/de/LC_MESSAGES/numbers.po",
        "numbers/py.typed",
        "numbers/tests/__init__.py",
        "poetry.lock",
        "pycountry/locales/de/LC_MESSAGES/iso3166-1.mo",
        "tests/__init__.py",
    }
    write(layer, files)

    assert omitted(layer, ["en-us"]).isdisjoint(files)


def test_only_translations_of_django_into_other_languages_are_omitted(layer: Path) -> None:
    assert omitted(layer, ["en", "pt-br"]) == ALL_OMITTED | {
        "django/conf/locale/de/LC_MESSAGES/django.mo",
        "django/conf/locale/nb/LC_MESSAGES/django.mo",
        "django/contrib/admin/locale/de/LC_MESSAGES/djangojs.mo",
    }


@pytest.mark.parametrize("site_languages", [None, ["en", "no"]])
def test_all_translations_are_kept_if_the_languages_are_unknown(
    layer: Path, site_languages: list[str] | None
) -> None:
    assert omitted(layer, site_languages) == ALL_OMITTED


@pytest.mark.parametrize(
    "code",
    [
        "LANGUAGES = [('en', 'English'), *more()]",
        "LANGUAGES = [('en', 'English')]\nLANGUAGES += LOCAL_LANGUAGES",
        "LANGUAGES = [('en', 'English')]\nif more:\n    LANGUAGES = [('de', 'German')]",
        "LANGUAGES = [('en', 'English')]\nglobals()['LANGUAGES'] = []",
        "LANGUAGES = [('en', 'English')]\nLANGUAGE_CODE = os.environ['LANGUAGE']",
        "LANGUAGES = [('en', 'English')",
        "LANGUAGES = [('en', 'English')]\ntranslation.activate(user.language)",
        "from django.utils.translation import override\nLANGUAGES = []\noverride(language)",
    ],
)
def test_languages_are_unknown_if_they_are_not_literals(tmp_path: Path, code: str) -> None:
    write(tmp_path, ["settings.py"], code)

    assert project.languages(tmp_path.rglob("*.*")) is None


def test_languages_include_those_that_code_and_templates_activate(tmp_path: Path) -> None:
    write(
        tmp_path,
        ["mails.py"],
        "LANGUAGES = [('en', 'English')]\n"
        "with translation.override('de'):\n    translation.activate(settings.LANGUAGE_CODE)\n"
        "translation.override(None)\ntimezone.activate(zone)\nplugin.activate()\n",
    )
    write(tmp_path, ["templates/mail.html"], "{% language 'fr' %}")

    assert project.languages(tmp_path.rglob("*.*")) == ["de", "en", "en-us", "fr"]


@pytest.mark.parametrize(
    "code",
    [
        "from django.contrib.gis.db import models",
        "from django.contrib import admin, gis",
        "ENGINE = 'django.contrib.gis.db.backends.postgis'",
    ],
)
def test_gis_is_kept_if_the_project_or_a_package_uses_it(layer: Path, code: str) -> None:
    write(layer, ["maps.py"], code)

    assert project.uses_gis([layer / "maps.py"])
    assert omitted(layer) == ALL_OMITTED - {"django/contrib/gis/__init__.py"}


def test_gis_is_kept_if_the_project_names_it(layer: Path) -> None:
    assert omitted(layer, gis=True) == ALL_OMITTED - {"django/contrib/gis/__init__.py"}


def test_tests_of_pandas_and_numpy_are_omitted(layer: Path) -> None:
    tests = {"numpy/ma/tests/test_core.py", "pandas/tests/io/data.csv"}
    write(layer, tests)
    write(layer, ["pandas/__init__.py"], "from pandas.util._tester import test")

    assert omitted(layer) == ALL_OMITTED | tests


@pytest.mark.parametrize(
    ("module", "code"),
    [
        ("numpy/testing/utils.py", "from numpy._core.tests._natype import pd_NA"),
        ("numpy/testing/utils.py", "from .. import tests"),
        ("frames.py", "from numpy._core.tests import _natype"),
        ("frames/tests.py", "import numpy.tests"),
    ],
)
def test_tests_that_another_module_imports_are_kept(layer: Path, module: str, code: str) -> None:
    write(layer, ["numpy/_core/tests/_natype.py"])
    write(layer, [module], code)

    assert omitted(layer) == ALL_OMITTED


def test_launchers_with_the_path_of_this_machine_are_omitted(layer: Path) -> None:
    write(layer, ["bin/django-admin"], "#!/home/me/.venv/bin/python\n")
    write(layer, ["bin/celery"], "#!/bin/sh\n'''exec' '/home/my name/.venv/bin/python' \"$0\"\n")
    write(layer, ["bin/render"], "#!/bin/sh\necho\n")

    assert omitted(layer) == ALL_OMITTED | {"bin/django-admin", "bin/celery"}


def test_record_lists_the_files_in_the_layer(layer: Path) -> None:
    record = layer / "django-6.1.3.dist-info" / "RECORD"
    write(
        layer,
        ["django-6.1.3.dist-info/RECORD"],
        'django/__init__.py,sha256=aa,1\n"django/a,b.txt",sha256=bb,2\n'
        "django/conf/locale/de/LC_MESSAGES/django.po,sha256=cc,3\nbin/django-admin,,\n",
    )
    write(layer, ["django/a,b.txt"])

    omitted(layer)

    assert record.read_text() == 'django/__init__.py,,\n"django/a,b.txt",,\n'
