"""Collect a folder's bytecode in one file, from which the Django function imports its modules.

`django/djambda/module_archive.py` describes the file and reads it.
"""

import _imp
import marshal
from collections.abc import Collection, Iterator
from pathlib import Path

BYTECODE = "__pycache__"
ARCHIVE = f"{BYTECODE}/djambda-modules.pyc"
NATIVE = (".so", ".pyd")
BYTECODE_HEADER = 16
"""Bytes of magic number, flags and hash (PEP 552)."""


def archive_bytecode(folder: Path, python: str, *, keep: Collection[str] = ()) -> None:
    """Move the bytecode of the modules in `folder` to an archive, if there is any.

    The modules in `keep`, relative to the folder, are imported before the archive can be used, and
    also keep their files.
    """
    index: dict[str, dict[str, tuple[bool, int, int, bytes]]] = {}
    codes: list[bytes] = []
    magic, size = b"", 0
    for source, bytecode in _compiled_modules(folder, python):
        is_package = source.stem == "__init__"
        module = source.parent if is_package else source.with_suffix("")
        content = bytecode.read_bytes()
        magic, code = content[:4], content[BYTECODE_HEADER:]
        below = module.parent.relative_to(folder).as_posix()
        index.setdefault("" if below == "." else below, {})[module.name] = (
            is_package,
            size,
            len(code),
            _imp.source_hash(0, code),
        )
        codes.append(code)
        size += len(code)
        if source.relative_to(folder).as_posix() not in keep:
            bytecode.unlink()
            if not any(bytecode.parent.iterdir()):
                bytecode.parent.rmdir()
    if codes:
        head = marshal.dumps(index)
        header = magic + len(head).to_bytes(4, "little") + _imp.source_hash(0, head)
        (folder / BYTECODE).mkdir(exist_ok=True)
        (folder / ARCHIVE).write_bytes(header + head + b"".join(codes))


def _compiled_modules(folder: Path, python: str) -> Iterator[tuple[Path, Path]]:
    """Yield the modules that have bytecode of this Python, and the bytecode, in a fixed order.

    Only those that Python would import from their source: in a folder, a package precedes a module
    of the same name, and a native module both.
    """
    suffix = f".cpython-{python.replace('.', '')}.pyc"
    for source in sorted(folder.rglob("*.py")):
        bytecode = source.parent / BYTECODE / f"{source.stem}{suffix}"
        if source == folder / "__init__.py" or not bytecode.exists():
            continue
        if not any(_precedes(rival, source.stem) for rival in source.parent.iterdir()):
            yield source, bytecode


def _precedes(path: Path, module: str) -> bool:
    """Return whether Python imports `path` instead of `module`'s source in the same folder."""
    if path.name == module and path.is_dir():
        return any(file.name.startswith("__init__.") for file in path.iterdir())
    return path.name.startswith(f"{module}.") and path.name.endswith(NATIVE)
