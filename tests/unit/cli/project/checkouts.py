"""A project with its own package index, for tests that build layers with the real uv."""

import base64
import hashlib
import zipfile
from pathlib import Path

from awscdk.discovery import project_of_checkout
from djambda_cli.project import layer

MODULE = "def is_vowel(letter):\n    return letter in {'a', 'e', 'i', 'o', 'u'}\n"
DJANGO = {
    "django/__init__.py": MODULE,
    "django/apps.pyi": "",
    "django/py.typed": "",
    "django/speedups.c": "",
    "django/conf/locale/__init__.py": "",
    "django/conf/locale/de/LC_MESSAGES/django.mo": "",
    "django/conf/locale/de/LC_MESSAGES/django.po": "",
    "django/conf/locale/en/LC_MESSAGES/django.mo": "",
    "django/conf/locale/nb/LC_MESSAGES/django.mo": "",
    "django/conf/locale/pt/LC_MESSAGES/django.mo": "",
    "django/conf/locale/pt_BR/LC_MESSAGES/django.mo": "",
    "django/contrib/admin/static/admin/base.css": "body {}",
    "django/contrib/auth/common-passwords.txt.gz": "",
    "django/contrib/gis/__init__.py": "",
    "django/core/tests/__init__.py": "",
    "tests/__init__.py": "",
}
LAUNCHERS = {"bin/django-admin": "#!/home/me/.venv/bin/python\n"}
DJANGO_IN_LAYER = DJANGO.keys() - {
    "django/conf/locale/de/LC_MESSAGES/django.po",
    "django/contrib/gis/__init__.py",
}


class Checkout:
    """A project whose requirements come from its own package index (PEP 503)."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.project = root / "django"
        self.requirements = self.project / "requirements.txt"
        self.lock = self.project / "requirements.lock"
        self.python = root / "layers" / "django" / "python"
        self.wheel("django", "6.1.3", DJANGO | LAUNCHERS)
        self.require("django==6.1.3")
        self.write("mysite/settings.py", "LANGUAGE_CODE = 'en-us'\n")

    def wheel(
        self, name: str, version: str, files: dict[str, str], tag: str = "py3-none-any"
    ) -> None:
        info = f"{name}-{version}.dist-info"
        content = files | {
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
            f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n",
            f"{info}/licenses/LICENSE": "",
        }
        record = "".join(f"{path},{_sha256(text)},{len(text)}\n" for path, text in content.items())
        file = self.project / "index" / name / f"{name}-{version}-{tag}.whl"
        file.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(file, "w") as archive:
            for path, text in (content | {f"{info}/RECORD": record}).items():
                archive.writestr(zipfile.ZipInfo(path), text)
        with (file.parent / "index.html").open("a") as page:
            page.write(f'<a href="{file.name}#sha256={hash_of(file)}">{file.name}</a>')

    def require(self, *lines: str) -> None:
        self.requirements.write_text("\n".join(["--index-url ./index", *lines, ""]))

    def write(self, name: str, text: str) -> None:
        (self.project / name).parent.mkdir(parents=True, exist_ok=True)
        (self.project / name).write_text(text)

    def build(self, architecture: str = "x86_64") -> layer.BuiltLayer:
        work = self.root / ".local"
        work.mkdir(exist_ok=True)
        return layer.build(project_of_checkout(self.root), architecture, work)

    def is_current(self, architecture: str = "x86_64") -> bool:
        return layer.is_current(project_of_checkout(self.root), architecture)

    def files(self) -> set[str]:
        """Return the layer's files without bytecode, package metadata and the manifest."""
        return {
            path.relative_to(self.python).as_posix()
            for path in self.python.rglob("*")
            if path.is_file() and path.suffix != ".pyc" and ".dist-info" not in str(path)
        } - {".djambda-layer.json"}


def hash_of(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _sha256(text: str) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest())
    return "sha256=" + digest.decode().rstrip("=")
