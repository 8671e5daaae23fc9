"""Paths in a project's code that lack the prefix of API Gateway's URLs."""

from pathlib import Path

import pytest

from awscdk.discovery import Project
from djambda_cli.project.site_paths import find_site_paths


def found(folder: Path, name: str, text: str) -> list[tuple[str, str]]:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    project = Project(folder, folder / "requirements.txt", folder / "lock", folder / "layer")
    return list(find_site_paths(project))


@pytest.mark.parametrize(
    ("name", "line", "path"),
    [
        ("templates/a.html", '<a href="/about/">', "/about/"),
        ("templates/a.html", "<form method=post action='/login/?next=x'>", "/login/?next=x"),
        ("templates/a.html", '<img src="/static/x.png">', "/static/x.png"),
        ("views.py", 'return redirect("/home/")', "/home/"),
        ("views.py", "return HttpResponsePermanentRedirect(\n    '/home/')", "/home/"),
        ("static/a.js", "fetch('/api/notes/')", "/api/notes/"),
    ],
)
def test_path_without_prefix(tmp_path: Path, name: str, line: str, path: str) -> None:
    assert found(tmp_path, name, f"\n{line}\n") == [(f"{name}:2", path)]


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("templates/a.html", """<a href="{% url 'about' %}">"""),
        ("templates/a.html", '<link href="//cdn.example.com/x.css">'),
        ("templates/a.html", '<a href="https://example.com/">'),
        ("templates/a.html", '<a href="about/">'),
        ("templates/a.html", '<a href="/">'),
        ("views.py", 'redirect("home")'),
        ("views.py", 'path("/home/", view)'),
        ("static/a.min.js", "fetch('/api/')"),
        ("README.md", '<a href="/about/">'),
    ],
)
def test_other_paths(tmp_path: Path, name: str, line: str) -> None:
    assert found(tmp_path, name, line) == []
