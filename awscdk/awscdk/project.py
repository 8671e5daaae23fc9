"""Facts about the Django project, read from its files without importing or running any of them.

Synth needs the settings module. The layer needs the requirements, the languages of the settings,
and whether the code uses GeoDjango: `djambda layer` omits unused translations and an unused
`django.contrib.gis`, and synth (`layer.py`) checks that the layer still matches.
"""

import ast
import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from awscdk.code import shipped
from awscdk.discovery import Project
from awscdk.project_file import ProjectError

GIS = re.compile(rb"contrib\.gis\b|contrib\s+import\b[^\n]*\bgis\b")
LANGUAGE_TAG = re.compile(rb"""\{%-?\s*language\s+["']([\w-]+)""")
TEMPLATES = {".html", ".txt", ".xml"}


def fingerprint(project: Project) -> str:
    """Return the SHA-256 of what selects the project's packages, ignoring comments and spacing."""
    selected = [*project.file.groups, *project.file.extras]
    lines = [*requirement_lines(project.requirements), *selected]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def fingerprint_of_lock(project: Project) -> str:
    """Return the SHA-256 of the project's lock and of the local packages that it names."""
    digest = hashlib.sha256()
    for line in requirement_lines(project.lock):
        digest.update(f"{line}\n".encode())
        folder = Path(line.partition(" ;")[0])
        if folder.is_absolute() and folder.is_dir():
            for file in shipped(folder):
                digest.update(os.fsencode(file) + hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def requirement_lines(requirements: Path) -> Iterator[str]:
    """Yield a requirements file's lines and those of the files it includes; none if it is missing.

    Raises `ProjectError` if a file cannot be read.
    https://pip.pypa.io/en/stable/reference/requirements-file-format/
    """
    yield from _requirement_lines(requirements, [])


def _requirement_lines(requirements: Path, including: list[Path]) -> Iterator[str]:
    if requirements.resolve() in including:
        raise ProjectError(f"{_short(requirements)} includes itself. Remove the -r or -c line.")
    for raw in _text(requirements).replace("\\\n", " ").splitlines():
        if line := " ".join(re.sub(r"(^|\s)#.*", "", raw).split()):
            yield line
            if included := re.fullmatch(r"(?:-[rc]|--requirement|--constraint)[ =]?(.+)", line):
                file = requirements.parent / included[1]
                yield from _requirement_lines(file, [*including, requirements.resolve()])


def _text(requirements: Path) -> str:
    try:
        return requirements.read_text("utf-8-sig")
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as error:
        problem = f"cannot be read ({error.strerror}). Make it a readable file."
    except UnicodeDecodeError:
        problem = "is not UTF-8. Save it as UTF-8; PowerShell's `>` writes UTF-16."
    raise ProjectError(f"{_short(requirements)} {problem}")


def _short(requirements: Path) -> str:
    return f"{requirements.parent.name}/{requirements.name}"


def uses_gis(files: Iterable[Path]) -> bool:
    """Return whether any of these Python files names `django.contrib.gis`."""
    return any(file.suffix == ".py" and GIS.search(file.read_bytes()) for file in files)


def languages(files: Iterable[Path]) -> list[str] | None:
    """Return the site's language codes, or None if any of Django's languages may be used.

    They are known only if the settings define `LANGUAGES` (and `LANGUAGE_CODE`, if at all) as
    literals, no other code could change them, and code activates no languages from variables.
    """
    all_codes, limited = {"en-us"}, False
    for file in files:
        if file.suffix in TEMPLATES:
            all_codes |= {code.decode() for code in LANGUAGE_TAG.findall(file.read_bytes())}
        if file.suffix != ".py":
            continue
        source = file.read_bytes()
        if b"LANGUAGE" not in source and b"translation" not in source:
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
                limited |= name == "LANGUAGES"
            elif b"translation" in source and (language := _activated(node)):
                codes = _codes(language)
            else:
                continue
            if codes is None:
                return None
            all_codes |= codes
    return sorted(all_codes) if limited else None


def _activated(node: ast.AST) -> ast.expr | None:
    """Return the language in a call of `django.utils.translation.activate` or `override`."""
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name(id="timezone"))):
            return None
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in {
            "activate",
            "override",
        }:
            return next(iter([*node.args, *(keyword.value for keyword in node.keywords)]), None)
    return None


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
        case ast.Constant(value=None) | ast.Attribute(attr="LANGUAGE_CODE"):
            return set()
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
