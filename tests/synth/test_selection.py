"""The files of a project that ship, and those that do not."""

import sqlite3
from pathlib import Path, PurePosixPath

import pytest

from awscdk import discovery
from awscdk.project_file import ProjectFile
from awscdk.selection import (
    CACHE,
    DATABASE,
    DEVELOPMENT,
    ENVIRONMENT,
    EXCLUDED,
    KEY,
    REPOSITORY,
    SECRETS,
    TESTS,
    problems,
    select,
)

TEST = "from django.test import TestCase\n\nclass Tests(TestCase):\n    def test_page(self): ..."
COMMAND = "from django.core.management import BaseCommand\n\nclass Command(BaseCommand): ..."
PRIVATE_KEY = "-----BEGIN PRIVATE KEY-----\n"
CACHE_TAG = "Signature: 8a477f597d28d172789f06886806bc55\n"


class Project:
    """A folder with a Django project."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.write("manage.py")
        self.write("shop/__init__.py")

    def write(self, name: str, text: str = "") -> None:
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_text(text)

    def write_database(self, name: str, table: str) -> None:
        connection = sqlite3.connect(self.folder / name)
        connection.execute(f"CREATE TABLE {table} (id)")
        connection.close()

    def shipped(self) -> set[str]:
        return set(map(str, select(self.folder).files)) - {"manage.py", "shop/__init__.py"}

    def left_out(self) -> dict[str, str]:
        return {str(path): reason for path, reason in select(self.folder).left_out.items()}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


SHIPPED = {
    "core/.well-known/security.txt": "",
    "core/data/.words": "",
    "core/management/commands/test_report.py": COMMAND,
    "core/requirements.py": "",
    "core/static/core/.gitkeep": "",
    "core/static/tests/conftest.js": "",
    "core/templatetags/test_tags.py": "def test_length(value): ...",
    "core/test_results.py": "class TestResult: ...",
    "shop/fixtures/tests/requirements.txt": "",
    "shop/migrations/test_data.py": "def test_data(apps, editor): ...",
    "shop/templates/pyproject.toml": "",
    "shop/templates/shop/tests/list.html": "",
    "shop/templates/shop/test_mail.py": "not = Python",
    "tests/apps.py": "",
    "certificate.pem": "-----BEGIN CERTIFICATE-----\n",
    "mail/welcome.env": "Dear {{ name }},",
    ".well-known/apple-app-site-association": "",
}


@pytest.mark.parametrize("name", SHIPPED)
def test_files_that_only_have_a_suspicious_name_ship(project: Project, name: str) -> None:
    project.write("core/tests/test_pages.py", TEST)
    project.write("tests/tests.py", TEST)
    project.write(name, SHIPPED[name])

    assert name in project.shipped()


@pytest.mark.parametrize(
    ("files", "left_out", "reason"),
    [
        (["core/tests/__init__.py", "core/tests/test_x.py"], "core/tests", TESTS),
        (["core/tests/test_x.py", "core/tests/unit/data.json"], "core/tests", TESTS),
        (["tests/unit/test_x.py", "tests/conftest.py"], "tests", TESTS),
        (["core/test_views.py"], "core/test_views.py", TESTS),
        (["core/views_test.py"], "core/views_test.py", TESTS),
        (["core/__pycache__/views.cpython-313.pyc"], "core/__pycache__", CACHE),
        ([".mypy_cache/3.13/x.json"], ".mypy_cache", CACHE),
        (["core/.pytest_cache/README.md"], "core/.pytest_cache", CACHE),
        (["core/.DS_Store"], "core/.DS_Store", CACHE),
        ([".git/HEAD"], ".git", REPOSITORY),
        (["vendor/lib/.git"], "vendor/lib/.git", REPOSITORY),
        (["environment/pyvenv.cfg", "environment/bin/python"], "environment", ENVIRONMENT),
        (["node_modules/vue/index.js"], "node_modules", DEVELOPMENT),
        (["theme/node_modules/vue/index.js"], "theme/node_modules", DEVELOPMENT),
        ([".github/workflows/test.yml"], ".github", DEVELOPMENT),
        (["pyproject.toml"], "pyproject.toml", DEVELOPMENT),
        (["requirements.lock"], "requirements.lock", DEVELOPMENT),
        ([".env"], ".env", SECRETS),
        (["core/.env.production"], "core/.env.production", SECRETS),
        (["core/.aws/credentials"], "core/.aws", SECRETS),
        (["db.sqlite3"], "db.sqlite3", DATABASE),
    ],
)
def test_files_that_do_not_run_do_not_ship(
    project: Project, files: list[str], left_out: str, reason: str
) -> None:
    for file in files:
        project.write(file, TEST if "test_" in file or "_test" in file else "")

    assert project.left_out() == {left_out: reason}
    assert not project.shipped()


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("core/tests.py", "from django.test import TestCase\n\n# Create your tests here.\n", TESTS),
        ("core/test_views.py", "def test_page(client):\n    assert client.get('/')", TESTS),
        ("core/conftest.py", "import pytest", TESTS),
        ("cache/CACHEDIR.TAG", CACHE_TAG, CACHE),
        ("config/local.env", "# Local\nexport SECRET_KEY=abc\n\nDEBUG = true\n", SECRETS),
        ("config/mail.pem", PRIVATE_KEY, KEY),
        ("config/id_ed25519", "-----BEGIN OPENSSH PRIVATE KEY-----\n", KEY),
        ("config/store.p12", "", KEY),
    ],
)
def test_files_are_recognized_by_their_content(
    project: Project, name: str, text: str, reason: str
) -> None:
    project.write(name, text)

    [left_out] = project.left_out().items()
    assert left_out[0] in name
    assert left_out[1] == reason


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("core/tests/factories.py", "from core.tests import factories"),
        ("core/tests/factories.py", "from core.tests.factories import Product"),
        ("core/tests/factories.py", "import core.tests.factories"),
        ("core/tests/factories.py", "FACTORY = 'core.tests.factories.Product'"),
        ("core/tests/data.json", "open('core/tests/data.json')"),
        ("core/tests/data.json", "open(f'{BASE_DIR}/core/tests/data.json')"),
        ("core/tests/data.json", "DATA = BASE_DIR / 'core' / 'tests' / 'data.json'"),
        ("core/tests/data.json", "FIXTURE_DIRS = [BASE_DIR / 'core' / 'tests']"),
        ("core/tests/data.json", "os.path.join(BASE_DIR, 'core', 'tests')"),
        ("core/tests/data.json", "BASE_DIR.joinpath('core', 'tests').glob('*.json')"),
        ("core/tests/data.json", "BASE_DIR.glob('core/tests/*.json')"),
        ("core/test_views.py", "from core.test_views import client"),
        ("apps/blog/tests/factories.py", "from blog.tests.factories import Post"),
        ("tests/templates/index.html", "INSTALLED_APPS = ['tests']"),
        ("node_modules/vue/vue.js", "STATICFILES_DIRS = [BASE_DIR / 'node_modules']"),
        ("node_modules/vue/vue.js", "STATICFILES_DIRS = ['node_modules/vue']"),
        ("pyproject.toml", "open('pyproject.toml', 'rb')"),
        (".version", "(BASE_DIR / '.version').read_text()"),
        ("config/jwt.pem", "KEY = BASE_DIR / 'config' / 'jwt.pem'"),
    ],
)
def test_files_that_the_code_names_ship(project: Project, name: str, code: str) -> None:
    for folder in ("core/tests", "apps/blog/tests", "tests"):
        project.write(f"{folder}/test_pages.py", TEST)
    project.write(name, PRIVATE_KEY if name.endswith(".pem") else TEST)
    assert name not in project.shipped()

    project.write("shop/settings.py", code)

    assert name in project.shipped()


def test_relative_imports_name_modules(project: Project) -> None:
    project.write("core/tests/factories.py")
    project.write("core/tests/test_pages.py", TEST)
    project.write("core/seed/products.py", "from ..tests import factories")

    assert project.shipped() == {"core/tests/factories.py", "core/seed/products.py"}


def test_modules_that_shipped_tests_name_ship(project: Project) -> None:
    project.write("core/seed.py", "from core.test_data import products")
    project.write("core/test_data.py", "import core.tests.factories\ndef test_x(): ...")
    project.write("core/tests/factories.py")
    project.write("core/tests/test_pages.py", TEST)

    assert project.shipped() == {"core/seed.py", "core/test_data.py", "core/tests/factories.py"}


@pytest.mark.parametrize(
    "code",
    [
        "render(request, 'shop/tests/list.html')",
        "path('tests/', views.tests)",
        "related_name = 'tests'",
        "from medical.tests import blood",
        "def seed():\n    'Unlike core.tests.factories or core/tests/data.json.'",
    ],
)
def test_other_names_do_not_ship_tests(project: Project, code: str) -> None:
    project.write("core/tests/data.json")
    project.write("core/tests/test_pages.py", TEST)
    project.write("shop/views.py", code)

    assert project.left_out() == {"core/tests": TESTS}


def test_secrets_do_not_ship_even_if_the_code_names_them(project: Project) -> None:
    project.write(".env", "KEY=1")
    project.write("config/local.env", "KEY=1")
    (project.folder / "config" / "current.txt").symlink_to("local.env")
    project.write("shop/settings.py", "read('.env'); read(BASE_DIR / 'config' / 'local.env')")

    assert project.shipped() == {"shop/settings.py"}


def test_only_databases_of_django_are_development_databases(project: Project) -> None:
    project.write_database("local.db", "django_migrations")
    project.write("local.db-wal")
    project.write_database("countries.sqlite3", "countries")

    assert project.left_out() == {"local.db": DATABASE, "local.db-wal": DATABASE}
    assert project.shipped() == {"countries.sqlite3"}


def test_module_that_cannot_be_parsed_ships(project: Project) -> None:
    project.write("core/test_old.py", "print 'Python 2'")

    assert project.shipped() == {"core/test_old.py"}


def test_excluded_files_do_not_ship_even_if_the_code_names_them(project: Project) -> None:
    project.write("core/views.py", "open('core/data/prices.csv')")
    for name in ("core/data/prices.csv", "media/a.jpg", "media/keep.svg", "drafts/b.psd", "c.psd"):
        project.write(name)

    selection = select(project.folder, ["core/data/", "*.psd", "/media/*", "!keep.svg"])

    assert {str(path): reason for path, reason in selection.left_out.items()} == dict.fromkeys(
        ["c.psd", "core/data", "drafts/b.psd", "media/a.jpg"], EXCLUDED
    )
    assert PurePosixPath("media/keep.svg") in selection.files


def test_settings_module_must_ship(project: Project) -> None:
    project.write("manage.py", 'os.environ["DJANGO_SETTINGS_MODULE"] = "shop.settings"')
    project.write("shop/settings.py")
    files = (project.folder / "requirements.txt", project.folder / "a", project.folder / "b")
    excluded = ProjectFile(exclude=("settings.py",))

    assert problems(discovery.Project(project.folder, *files)) == []
    [problem] = problems(discovery.Project(project.folder, *files, file=excluded))
    assert "shop.settings" in problem


def test_files_are_listed_in_order(project: Project) -> None:
    project.write("b.txt")
    project.write("a/z.txt")

    assert select(project.folder).files == (
        *(PurePosixPath("a/z.txt"), PurePosixPath("b.txt")),
        *(PurePosixPath("manage.py"), PurePosixPath("shop/__init__.py")),
    )
