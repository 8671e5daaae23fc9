"""Find paths in a project's code that lack the prefix of API Gateway's URLs, `/prod`."""

import re
from collections.abc import Iterator

from awscdk.code import shipped
from awscdk.discovery import Project

PATH = r"""/(?![/"'>])[^"'\s{}<>]*"""
PATTERNS = {
    ".html": re.compile(rf"""\b(?:href|src|action|hx-(?:get|post))=["'](?P<path>{PATH})["']"""),
    ".py": re.compile(
        rf"""\b(?:redirect|HttpResponse(?:Permanent)?Redirect)\(\s*["'](?P<path>{PATH})["']"""
    ),
    ".js": re.compile(rf"""\b(?:fetch|axios\.\w+)\(\s*["'`](?P<path>{PATH})["'`]"""),
}
"""By a file's suffix, what sends a browser to a path. `/` alone occurs in other meanings."""
LONGEST = 1_000_000
"""Bytes; larger files are generated."""


def find_site_paths(project: Project) -> Iterator[tuple[str, str]]:
    """Yield the place and the path of each link without a prefix in the files that ship."""
    for file in shipped(project.root, project.file.exclude):
        pattern = PATTERNS.get(file.suffix)
        if not pattern or ".min." in file.name or file.stat().st_size > LONGEST:
            continue
        text = file.read_text(errors="replace")
        for match in pattern.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            yield f"{file.relative_to(project.root)}:{line}", match["path"]
