"""Select the files of a Django project that ship to Lambda.

Everything ships, except for what is known not to run there (`docs/decisions.md`, "What ships").
Files are judged by their content and place, because a name alone says little: `tests` may be a
folder of templates, and `test_report.py` a management command. Tests, hidden files, private keys
and the like ship if the code names them.
"""

import re
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pathspec import GitIgnoreSpec

from awscdk.discovery import STATE, Project, module_file
from awscdk.modules import Module, parse
from awscdk.project_file import ProjectError
from awscdk.tree import UNREADABLE, verify, walk

CACHE = "cache"
DATABASE = "development database"
DEVELOPMENT = "development file"
ENVIRONMENT = "virtual environment"
EXCLUDED = "excluded in the configuration"
KEY = "private key"
REPOSITORY = "version control"
SECRETS = "secrets"
TESTS = "tests"

SKIPPED_NAMES = {
    **dict.fromkeys([".git", ".hg", ".svn", ".jj"], REPOSITORY),
    **dict.fromkeys(["__pycache__", ".hypothesis", ".ipynb_checkpoints", ".nox", ".tox"], CACHE),
    STATE: CACHE,
    **dict.fromkeys([".mypy_cache", ".pytest_cache", ".ruff_cache", ".DS_Store"], CACHE),
    **dict.fromkeys([".env", ".envrc", ".netrc", ".pgpass", ".pypirc", ".ssh"], SECRETS),
    **dict.fromkeys([".aws", ".git-credentials"], SECRETS),
    ".djambda": CACHE,
}
"""Names that tools reserve; they mean the same in every folder."""
CACHE_TAG = b"Signature: 8a477f597d28d172789f06886806bc55"
"""https://bford.info/cachedir/"""
DEVELOPMENT_NAMES = {
    *("djambda.toml", "node_modules", "pyproject.toml", "requirements.lock", "requirements.txt"),
    *("Pipfile", "Pipfile.lock", "poetry.lock", "uv.lock"),
}
KEY_SUFFIXES = {"", ".asc", ".key", ".p8", ".pem", ".ppk"}
KEY_MARK = re.compile(rb"^(-----BEGIN [A-Z ]*PRIVATE KEY|PuTTY-User-Key-File)", re.MULTILINE)
KEY_BYTES = 100_000
VARIABLE = re.compile(rb"(#.*|(export\s+)?\w+\s*=.*)?")
SQLITE_MARK = b"SQLite format 3\0"
LOADED_BY_NAME = {"commands", "migrations", "templatetags"}
"""Folders whose modules Django loads without an import in the code."""
APP_MARKS = ("apps.py", "management", "migrations", "templatetags")
TEST_MODULE = re.compile(r"tests?(_.*)?\.py|.*_tests?\.py")

type Parts = tuple[str, ...]


@dataclass(frozen=True)
class Selection:
    """The files of a project that ship, and what does not with the reason, sorted by path."""

    files: tuple[PurePosixPath, ...]
    left_out: dict[PurePosixPath, str]


def select(root: Path, exclude: Sequence[str] = ()) -> Selection:
    """Select the files below `root` that ship. Raises `ProjectError` if one cannot be shipped.

    `exclude` are patterns, as in `.gitignore`, of files that do not, even if the code names them.
    """
    excluded = GitIgnoreSpec.from_lines(exclude)

    def reason_to_skip(path: Path) -> str:
        name = f"{path.relative_to(root).as_posix()}{'/' * path.is_dir()}"
        return EXCLUDED if excluded.match_file(name) else _reason_to_skip(path)

    found = list(walk(root, reason_to_skip))
    reasons = dict(found)
    left_out = {path: reason for path, reason in found if reason not in {"", UNREADABLE}}
    project = _Files(root, [path for path, _ in found if path not in left_out])
    named: set[PurePosixPath] = set()
    while True:
        candidates = {path: project.candidate(path, named) for path in project.files}
        unshipped = {candidate for candidate in candidates.values() if candidate}
        shipped = [path for path, candidate in candidates.items() if not candidate]
        newly_named = project.named(unshipped, shipped)
        if not newly_named:
            break
        named |= newly_named
    for path in shipped:
        verify(root, path, reasons[path])
    left_out |= {path: project.reason(path) for path in unshipped}
    return Selection(tuple(shipped), dict(sorted(left_out.items())))


def problems(project: Project) -> list[str]:
    """Return why the project's files cannot be shipped as they are."""
    try:
        files = select(project.root, project.file.exclude).files
        settings = module_file(project.root, project.settings)
    except ProjectError as error:
        return [str(error)]
    if not settings or PurePosixPath(settings.relative_to(project.root)) in files:
        return []
    problem = f"The settings module {project.settings} does not ship. Change `exclude`."
    return [f"{problem} `djambda synth --files` lists what ships."]


def _reason_to_skip(path: Path) -> str:
    """Return why a file or folder does not ship, whatever the code names, or ""."""
    target = path.resolve().name if path.is_symlink() else path.name
    reason = SKIPPED_NAMES.get(path.name) or SKIPPED_NAMES.get(target)
    if reason:
        return reason
    if path.is_dir():
        if (path / "pyvenv.cfg").is_file() or (path / "conda-meta").is_dir():
            return ENVIRONMENT
        tag = path / "CACHEDIR.TAG"
        return CACHE if tag.is_file() and _starts_with(tag, CACHE_TAG) else ""
    if _is_secret(path) or (target != path.name and _is_secret(path.resolve())):
        return SECRETS
    return DATABASE if _is_development_database(path) else ""


def _is_secret(path: Path) -> bool:
    if path.name.startswith(".env."):
        return True
    return path.suffix == ".env" and all(
        VARIABLE.fullmatch(line.strip()) for line in _content(path, KEY_BYTES).splitlines()
    )


def _is_development_database(path: Path) -> bool:
    """Return whether the file is an SQLite database with Django's tables, or belongs to one."""
    for suffix in ("-journal", "-shm", "-wal"):
        if path.name.endswith(suffix):
            return _is_development_database(path.with_name(path.name.removesuffix(suffix)))
    if not _starts_with(path, SQLITE_MARK):
        return path.name == "db.sqlite3"
    uri = f"{path.resolve().as_uri()}?mode=ro&immutable=1"
    try:
        connection = sqlite3.connect(uri, uri=True)
        try:
            query = "SELECT 1 FROM sqlite_master WHERE name = 'django_migrations'"
            return bool(connection.execute(query).fetchone())
        finally:
            connection.close()
    except sqlite3.Error:
        return path.name == "db.sqlite3"


def _starts_with(path: Path, mark: bytes) -> bool:
    return _content(path, len(mark)) == mark


def _content(path: Path, size: int) -> bytes:
    """Return the first bytes of a file; none if it is not a file or cannot be read."""
    try:
        if not path.is_file():
            return b""
        with path.open("rb") as file:
            return file.read(size)
    except OSError:
        return b""


class _Files:
    """The files of a project, with what does not ship unless the code names it."""

    def __init__(self, root: Path, files: list[PurePosixPath]) -> None:
        self.root = root
        self.files = files
        self.modules = {
            path: parse(root / path)
            for path in files
            if path.suffix == ".py" and not any(map(_is_for_development, (*path.parents, path)))
        }
        self.test_modules = {path for path in self.modules if self._is_test_module(path)}
        self.test_folders = {
            folder
            for path in self.test_modules
            for folder in path.parents
            if folder.name in {"test", "tests"}
            and not any((root / folder / mark).exists() for mark in APP_MARKS)
        }
        self.keys = {path for path in files if self._is_key(path)}

    def candidate(self, path: PurePosixPath, named: set[PurePosixPath]) -> PurePosixPath | None:
        """Return the file, or the outermost folder that contains it, that does not ship."""
        for part in (*reversed(path.parents), path):
            if part not in named and self.reason(part):
                return part
        return None

    def reason(self, path: PurePosixPath) -> str:
        """Return why a file or folder does not ship unless the code names it, or ""."""
        if path in self.test_folders or path in self.test_modules:
            return TESTS
        if path in self.keys:
            return KEY
        return DEVELOPMENT if _is_for_development(path) else ""

    def named(
        self, candidates: set[PurePosixPath], shipped: list[PurePosixPath]
    ) -> set[PurePosixPath]:
        """Return the candidates that a shipped module names."""
        last_parts = {part for path in candidates for part in (path.name, path.stem)}
        modules: set[Parts] = set()
        joined: set[Parts] = set()
        words: set[Parts] = set()
        for path in shipped:
            if module := self.modules.get(path):
                modules |= set(_imported(path, module))
                modules |= {tuple(text.split(".")) for text in module.strings}
                joined |= {_parts(text) for text in module.paths}
                words |= {_parts(text) for text in module.strings}
        return {
            path
            for path in candidates
            if any(_is_module(path, name) for name in _with_any(last_parts, modules))
            or any(self._is_path(path, text, joined=True) for text in _with_any(last_parts, joined))
            or any(self._is_path(path, text, joined=False) for text in _with_any(last_parts, words))
        }

    def _is_path(self, path: PurePosixPath, text: Parts, *, joined: bool) -> bool:
        """Return whether a path in the code means `path` or a file in it.

        A single word such as "tests" is a path only if it is joined to one.
        """
        is_word = len(text) == 1 and not joined and self.reason(path) == TESTS
        for end in range(1, len(text) + 1):
            length = min(end, len(path.parts))
            if text[end - length : end] == path.parts[-length:]:
                rest = text[end:]
                if any(set("*?[{%") & set(part) for part in rest):
                    return True
                if (self.root / path).joinpath(*rest).exists() and not is_word:
                    return True
        return False

    def _is_test_module(self, path: PurePosixPath) -> bool:
        module = self.modules[path]
        if path.parent.name in LOADED_BY_NAME:
            return False
        if path.name == "conftest.py":
            return module.is_conftest
        return module.is_test and bool(TEST_MODULE.fullmatch(path.name))

    def _is_key(self, path: PurePosixPath) -> bool:
        return path.suffix in {".jks", ".p12", ".pfx"} or (
            path.suffix in KEY_SUFFIXES
            and bool(KEY_MARK.search(_content(self.root / path, KEY_BYTES)))
        )


def _is_for_development(path: PurePosixPath) -> bool:
    is_top = len(path.parts) == 1
    hidden = path.name.startswith(".") and path.name != ".well-known"
    return (is_top and (hidden or path.name in DEVELOPMENT_NAMES)) or path.name == "node_modules"


def _imported(path: PurePosixPath, module: Module) -> Iterator[Parts]:
    """Yield the names that a module imports, from the project's root."""
    for level, name in module.imports:
        package = path.parts[: len(path.parts) - level] if level else ()
        yield (*package, *name.split("."))


def _is_module(path: PurePosixPath, name: Parts) -> bool:
    """Return whether a dotted name begins with the module or package `path`.

    The name may begin below the project's root, as with `apps/` on Python's path.
    """
    parts = path.with_suffix("").parts if path.suffix == ".py" else path.parts
    return any(
        name[:length] == parts[-length:]
        for length in range(min(2, len(parts)), len(parts) + 1)
        if length <= len(name)
    )


def _with_any(parts: set[str], names: set[Parts]) -> list[Parts]:
    """Return the names that contain any of the parts."""
    return [name for name in names if not parts.isdisjoint(name)]


def _parts(text: str) -> Parts:
    return tuple(part for part in text.split("/") if part not in {"", ".", ".."})
