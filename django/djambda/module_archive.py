"""Import modules from one file of bytecode instead of as many files.

A cold start is mostly imports, and finding, opening and reading a file is a large part of an
import, above all on a new machine that has not cached its disk yet. So the bytecode of the code and
that of the layer are one file each, which `awscdk/awscdk/module_archive.py` writes. The handler
calls `install` before it imports anything else.

The archive only replaces the search in the module's folder and the reading of its bytecode.
Everything else is as usual: the order of `sys.path`, `__file__`, resources, the lines of source in
tracebacks. A module that is not in the archive, or whose bytecode is damaged, is imported as usual.

The file consists of the interpreter's magic number, the size and the hash of the index, the index,
and the modules' code. The index maps a folder, relative to the archive's, to its modules, and
their names to entries; it and the code are marshalled.
"""

import _imp
import marshal
import os
import sys
from importlib.machinery import (
    BYTECODE_SUFFIXES,
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    ModuleSpec,
    SourceFileLoader,
    SourcelessFileLoader,
)
from importlib.util import MAGIC_NUMBER, spec_from_file_location
from types import CodeType, ModuleType

FILE = "__pycache__/djambda-modules.pyc"
"""The path of an archive, below the folder whose modules it contains."""
HEADER = 16
"""Bytes before the index: magic number, size and hash."""

type Entry = tuple[bool, int, int, bytes]
"""True if a module is a package, and the offset, size and hash of its code."""

# In the order in which Python's own finder tries them.
LOADERS = (
    (ExtensionFileLoader, EXTENSION_SUFFIXES),
    (SourceFileLoader, SOURCE_SUFFIXES),
    (SourcelessFileLoader, BYTECODE_SUFFIXES),
)


def install() -> None:
    """Use the archives of the folders in `sys.path` from now on. Without any, change nothing."""
    if sys.flags.optimize:
        return  # The archives' code has assertions.
    archives = [archive for folder in sys.path if (archive := open_archive(folder))]

    def find(folder: str) -> FileFinder:
        for archive in archives:
            if modules := archive.modules(folder):
                return ArchiveFinder(folder, archive, modules)
        raise ImportError  # Another hook may have a finder for the folder.

    sys.path_hooks.insert(0, find)
    for folder in list(sys.path_importer_cache):
        if any(archive.modules(folder) for archive in archives):
            del sys.path_importer_cache[folder]


class Archive:
    """An open archive."""

    def __init__(self, folder: str, file: int, start: int, index: bytes) -> None:
        self._folder = folder
        self._file = file
        self._start = start
        self._index: dict[str, dict[str, Entry]] = marshal.loads(index)  # noqa: S302 (verified)

    def modules(self, folder: str) -> dict[str, Entry]:
        """Return the modules in `folder`, or {} if the archive has none."""
        if folder == self._folder:
            return self._index.get("", {})
        root, _, below = folder.partition(f"{self._folder}/")
        return {} if root else self._index.get(below, {})

    def code(self, entry: Entry) -> CodeType | None:
        """Return a module's code, or None if it cannot be read or is damaged."""
        _, offset, size, digest = entry
        try:
            content = os.pread(self._file, size, self._start + offset)
        except OSError:
            return None
        if _imp.source_hash(0, content) != digest:
            return None
        code: CodeType = marshal.loads(content)  # noqa: S302 (verified)
        return code


def open_archive(folder: str) -> Archive | None:
    """Return the archive in `folder`, or None if this Python cannot use it or there is none."""
    try:
        file = os.open(f"{folder}/{FILE}", os.O_RDONLY)
    except OSError:
        return None
    try:
        header = os.pread(file, HEADER, 0)
        size = int.from_bytes(header[4:8], "little")
        index = os.pread(file, min(size, os.fstat(file).st_size), HEADER)
    except OSError:
        header = index = b""
        size = 0
    if header[:4] != MAGIC_NUMBER or header[8:] != _imp.source_hash(0, index):
        os.close(file)
        return None
    return Archive(folder, file, HEADER + size, index)


class ArchiveFinder(FileFinder):
    """Finds the modules of one folder: those of the archive without looking into the folder."""

    def __init__(self, folder: str, archive: Archive, modules: dict[str, Entry]) -> None:
        super().__init__(folder, *LOADERS)
        self._archive = archive
        self._modules = modules
        self._names: set[str] | None = None

    def invalidate_caches(self) -> None:
        """Look into the folder again before the next import."""
        super().invalidate_caches()
        self._names = None

    def find_spec(self, fullname: str, target: ModuleType | None = None) -> ModuleSpec | None:
        """Return the module's spec, or None if it is not in the folder."""
        name = fullname.rpartition(".")[2]
        entry = self._modules.get(name)
        if entry is None:
            return super().find_spec(fullname, target) if self._may_contain(name) else None
        is_package = entry[0]
        folder, stem = (f"{self.path}/{name}", "__init__") if is_package else (self.path, name)
        path = f"{folder}/{stem}.py"
        spec = spec_from_file_location(
            fullname,
            path,
            loader=ArchiveLoader(fullname, path, self._archive, entry),
            submodule_search_locations=[folder] if is_package else None,
        )
        if spec:  # Otherwise Python derives this path, which takes longer.
            spec.cached = f"{folder}/__pycache__/{stem}.{sys.implementation.cache_tag}.pyc"
        return spec

    def _may_contain(self, name: str) -> bool:
        """Return whether a file or folder has this name. The folder is read only once."""
        if self._names is None:
            try:
                self._names = {file.partition(".")[0] for file in os.listdir(self.path)}  # noqa: PTH208 (fast)
            except OSError:
                return True
        return name in self._names


class ArchiveLoader(SourceFileLoader):
    """Loads a module's code from the archive, and everything else from its file."""

    def __init__(self, fullname: str, path: str, archive: Archive, entry: Entry) -> None:
        super().__init__(fullname, path)
        self._archive = archive
        self._entry = entry

    def get_code(self, fullname: str) -> CodeType | None:
        """Return the module's code."""
        code = self._archive.code(self._entry) if fullname == self.name else None
        if code is None:
            return super().get_code(fullname)
        _imp._fix_co_filename(code, self.path)  # type: ignore[attr-defined]  # As for files.
        return code
