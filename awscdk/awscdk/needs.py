"""What the project asks of its layer, read from its files; nothing of it is run or imported.

Its requirements, the languages of its settings, and the names in its code that tell which of the
large optional parts of Django and boto3 it uses. `djambda layer` leaves the others out, and synth
(`layer.py`) looks whether that still fits.
"""

import ast
import hashlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from awscdk.code import shipped

NAMED = re.compile(rb"""contrib\.(gis)\b|["']([a-z0-9-]+)["']""")


def fingerprint(requirements: Path) -> str:
    """The SHA-256 of what a requirements file says, comments and spacing aside."""
    return hashlib.sha256("\n".join(lines_of(requirements)).encode()).hexdigest()


def lines_of(requirements: Path) -> Iterator[str]:
    """A requirements file's lines, with those of the files that it includes; none if it is missing.

    https://pip.pypa.io/en/stable/reference/requirements-file-format/
    """
    text = requirements.read_text() if requirements.is_file() else ""
    for raw in text.replace("\\\n", " ").splitlines():
        if line := " ".join(re.sub(r"(^|\s)#.*", "", raw).split()):
            yield line
            if included := re.fullmatch(r"(?:-[rc]|--requirement|--constraint)[ =]?(.+)", line):
                yield from lines_of(requirements.parent / included[1])


def names(files: Iterable[Path]) -> frozenset[str]:
    """What the Python files among these name of what a layer can do without: `gis` (of
    `django.contrib`), and any word in quotation marks, which may be a service of AWS."""
    found: set[bytes] = set()
    for file in files:
        if file.suffix == ".py":
            found.update(gis or word for gis, word in NAMED.findall(file.read_bytes()))
    return frozenset(map(bytes.decode, found))


def languages(project: Path) -> list[str] | None:
    """The languages that the site has; None for all that Django knows.

    They are known if the project's settings have `LANGUAGES` (and `LANGUAGE_CODE`, if at all) as
    plain lists and strings, and nothing in the code could change them. The code is only read.
    """
    found, limited = {"en-us"}, False
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
                found |= codes
                limited |= name == "LANGUAGES"
    return sorted(found) if limited else None


def _assignments(module: ast.Module) -> Iterator[tuple[ast.AST, ast.expr | None]]:
    """Each target of an assignment of the module itself, with its value."""
    for statement in module.body:
        if isinstance(statement, ast.Assign):
            yield from ((target, statement.value) for target in statement.targets)
        elif isinstance(statement, ast.AnnAssign):
            yield statement.target, statement.value


def _codes(value: ast.expr | None) -> set[str] | None:
    """The codes in `"en-us"` or in `[("en", _("English")), ...]`; None for anything else."""
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
