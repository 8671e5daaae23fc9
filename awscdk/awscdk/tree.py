"""The files of a folder, and what else it contains, whatever that is.

Symbolic links are followed, as Python follows them. A link without a target, a link to a folder
that contains it, and sockets, pipes and devices have no content that could be shipped.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from awscdk.project_file import ProjectError

DANGLING = "link without a target"
LOOP = "link to a folder that contains it"
SPECIAL = "socket, pipe or device"
UNREADABLE = "file that cannot be read"

type Skip = Callable[[Path], str]
"""Return why a file or folder is left out, or "" if it is not."""


def walk(root: Path, skip: Skip = lambda _: "") -> Iterator[tuple[PurePosixPath, str]]:
    """Yield the path below `root` of each file with "", and of what is left out with the reason."""
    yield from _walk(root, PurePosixPath(), skip, frozenset())


def verify(root: Path, path: PurePosixPath, reason: str) -> None:
    """Raise `ProjectError` if a file of `walk` cannot be read, or a zip cannot contain its name."""
    if reason == UNREADABLE:
        raise ProjectError(
            f"{shown(root, path)} cannot be read. Make it readable for you, or delete it."
        )
    name = str(path)
    if "\\" in name:
        problem = "has a backslash in its name"
    elif name.splitlines() != [name]:
        problem = "has a line break in its name"  # The CDK leaves such files out.
    elif not _is_utf8(name):
        problem = "has a name that is not UTF-8"
    else:
        return
    raise ProjectError(f"{shown(root, path)} {problem}, which Lambda cannot load. Rename it.")


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def shown(root: Path, path: PurePosixPath) -> str:
    """Return a path for people, on one line."""
    text = f"{root.name}/{path}"
    return text if text.isprintable() else ascii(text)[1:-1]


def _walk(
    root: Path, below: PurePosixPath, skip: Skip, ancestors: frozenset[tuple[int, int]]
) -> Iterator[tuple[PurePosixPath, str]]:
    folder = root / below
    try:
        status = folder.stat()
        names = sorted(path.name for path in folder.iterdir())
    except OSError:
        yield below, UNREADABLE
        return
    ancestors |= {(status.st_dev, status.st_ino)}
    for name in names:
        path = below / name
        mode, reason = 0, _skip(skip, root / path)
        if not reason:
            mode, reason = _mode(root, path, ancestors)
        if reason or not stat.S_ISDIR(mode):
            yield path, reason
        else:
            yield from _walk(root, path, skip, ancestors)


def _skip(skip: Skip, path: Path) -> str:
    try:
        return skip(path)
    except OSError:
        return ""  # `_mode` reports it.


def _mode(
    root: Path, path: PurePosixPath, ancestors: frozenset[tuple[int, int]]
) -> tuple[int, str]:
    """Return the type of a file or folder, or why it has no content."""
    try:
        status = (root / path).stat()
    except OSError as error:
        if (root / path).is_symlink() and error.errno in {errno.ENOENT, errno.ENOTDIR}:
            return 0, DANGLING
        if error.errno == errno.ELOOP:
            return 0, LOOP
        return 0, UNREADABLE
    if (status.st_dev, status.st_ino) in ancestors:
        return 0, LOOP
    if not stat.S_ISDIR(status.st_mode) and not stat.S_ISREG(status.st_mode):
        return 0, SPECIAL
    return status.st_mode, "" if os.access(root / path, os.R_OK) else UNREADABLE
