"""Facts about the Django project, read from its files without importing or running any of them.

Synth needs the settings module. The layer needs the requirements, the languages of the settings,
and whether the code uses GeoDjango: `djambda layer` omits unused translations and an unused
`django.contrib.gis`, and synth (`layer.py`) checks that the layer still matches.
"""

import ast
import hashlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from awscdk.code import shipped
from awscdk.discovery import Project

GIS = re.compile(rb"contrib\.gis\b")


def fingerprint(project: Project) -> str:
    """Return the SHA-256 of what selects the project's packages, ignoring comments and spacing."""
    selected = [*project.file.groups, *project.file.extras]
    lines = [*requirement_lines(project.requirements), *selected]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def fingerprint_of_lock(project: Project) -> str:
    """Return the SHA-256 of the project's lock, ignoring comments and spacing."""
    return hashlib.sha256("\n".join(requirement_lines(project.lock)).encode()).hexdigest()


def requirement_lines(requirements: Path) -> Iterator[str]:
    """Yield a requirements file's lines and those of the files it includes; none if it is missing.

    https://pip.pypa.io/en/stable/reference/requirements-file-format/
    """
    text = requirements.read_text() if requirements.is_file() else ""
    for raw in text.replace("\\\n", " ").splitlines():
        if line := " ".join(re.sub(r"(^|\s)#.*", "", raw).split()):
            yield line
            if included := re.fullmatch(r"(?:-[rc]|--requirement|--constraint)[ =]?(.+)", line):
                yield from requirement_lines(requirements.parent / included[1])


def uses_gis(files: Iterable[Path]) -> bool:
    """Return whether any of these Python files names `django.contrib.gis`."""
    return any(file.suffix == ".py" and GIS.search(file.read_bytes()) for file in files)


def languages(project: Path) -> list[str] | None:
    """Return the site's language codes, or None if any of Django's languages may be used.

    They are known only if the settings define `LANGUAGES` (and `LANGUAGE_CODE`, if at all) as
    literals and no other code could change them.
    """
    all_codes, limited = {"en-us"}, False
    for file in shipped(project):
        if file.suffix != ".py" or b"LANGUAGE" not in (source := file.read_bytes()):
            continue
        try:
            tree = ast.parse(source)
        except (SyntaxError, ValueError):
            return None
        values = dict(_assignments(tree))
        for node in ast.walk(tree):
            name = getattr(node, "id", None) or getattr(node, "value", None)
            if name in {"LANGUAGES", "LANGUAGE_CODE"}:
                codes = _codes(values.get(node))
                if codes is None:
                    return None
                all_codes |= codes
                limited |= name == "LANGUAGES"
    return sorted(all_codes) if limited else None


def _assignments(module: ast.Module) -> Iterator[tuple[ast.AST, ast.expr | None]]:
    """Yield each target of a module-level assignment with its value."""
    for statement in module.body:
        if isinstance(statement, ast.Assign):
            yield from ((target, statement.value) for target in statement.targets)
        elif isinstance(statement, ast.AnnAssign):
            yield statement.target, statement.value


def _codes(value: ast.expr | None) -> set[str] | None:
    """Return the codes in `"en-us"` or `[("en", _("English")), ...]`; None for anything else."""
    match value:
        case ast.Constant(value=str(code)):
            return {code}
        case ast.List(elts=languages) | ast.Tuple(elts=languages):
            codes = set()
            for language in languages:
                match language:
                    case ast.Tuple(elts=[ast.Constant(value=str(code)), _]):
                        codes.add(code)
                    case _:
                        return None
            return codes
    return None
