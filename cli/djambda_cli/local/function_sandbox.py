"""Restrict a function's process as Lambda does: a read-only file system, apart from `/tmp`.

Where Linux allows it, the process gets a file system of its own, with the code in `/var/task`, the
layers in `/opt`, Lambda's own packages in `/var/lang` and an empty `/tmp` of the configured size.
It needs no privileges: https://man7.org/linux/man-pages/man7/user_namespaces.7.html. Where
namespaces are forbidden, as in most containers, Landlock denies writing outside `/tmp`:
https://docs.kernel.org/userspace-api/landlock.html.

This runs in the function's process, with the standard library only.
"""

import ctypes
import os
import struct
import sys
from collections.abc import Collection
from pathlib import Path

LIBC = ctypes.CDLL(None, use_errno=True)

TMP = "/tmp"  # noqa: S108
USER, GROUP = 993, 990
"""Those of functions on AWS."""
CLONE_NEWNS, CLONE_NEWUSER = 0x20000, 0x10000000
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x40000
MOUNT_SETATTR, AT_FDCWD, AT_RECURSIVE, MOUNT_ATTR_RDONLY = 442, -100, 0x8000, 1
"""https://man7.org/linux/man-pages/man2/mount_setattr.2.html"""
CAPABILITY_VERSION = 0x20080522
LANDLOCK_CREATE_RULESET, LANDLOCK_ADD_RULE, LANDLOCK_RESTRICT_SELF = 444, 445, 446
WRITE_FILE = 1 << 1
WRITES = {1: WRITE_FILE | 0x1FF0, 2: 1 << 13, 3: 1 << 14}
"""The kinds of write access that each version of Landlock has added."""
PR_SET_NO_NEW_PRIVS = 38

type Folders = dict[str, str]
"""For each folder of Lambda's file system, the folder of this machine that it is."""


def isolate(folders: Folders, mount_point: str, tmp_megabytes: int, kept: Collection[str]) -> bool:
    """Enter a file system with `folders`, everything else read-only, and an empty `/tmp`.

    `kept` are folders of this machine that remain visible wherever they are. Return False, with
    nothing changed, if this machine forbids it.
    """
    user, group = os.geteuid(), os.getegid()
    if sys.platform != "linux" or LIBC.unshare(CLONE_NEWUSER | CLONE_NEWNS):
        return False
    try:
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"{USER} {user} 1")
        _write("/proc/self/gid_map", f"{GROUP} {group} 1")
        _mount(None, "/", None, MS_REC | MS_PRIVATE)
        _mount("tmpfs", mount_point, "tmpfs", 0, "mode=755")
    except OSError:  # For example, AppArmor on Ubuntu allows namespaces without capabilities.
        return False
    root = Path(mount_point)
    _build_root(root, folders, kept)
    inside = tuple(f"{folder}/" for folder in (TMP, *folders))
    hidden = [path for path in kept if path.startswith(inside)]
    for path in hidden:
        (root / path[1:]).mkdir(parents=True)
    _mount("tmpfs", str(root / "tmp"), "tmpfs", 0, f"size={tmp_megabytes}m,mode=700")
    for path in hidden:
        (root / path[1:]).mkdir(parents=True, exist_ok=True)
        _mount(path, f"{root}{path}", None, MS_BIND | MS_REC)
    _make_read_only(mount_point)
    _make_read_only(f"{mount_point}{TMP}", undo=True)
    os.chroot(mount_point)
    _drop_capabilities()
    return True


def deny_writing() -> bool:
    """Deny creating and changing files outside `/tmp`; return whether this machine can do that."""
    if sys.platform != "linux":
        return False
    version = LIBC.syscall(LANDLOCK_CREATE_RULESET, None, 0, 1)
    if version < 1:
        return False
    access = sum(bits for needed, bits in WRITES.items() if version >= needed)
    attributes = struct.pack("=Q", access)
    ruleset = LIBC.syscall(LANDLOCK_CREATE_RULESET, attributes, len(attributes), 0)
    for path, allowed in ((TMP, access), ("/dev", WRITE_FILE)):
        folder = os.open(path, os.O_PATH)
        _check(LIBC.syscall(LANDLOCK_ADD_RULE, ruleset, 1, struct.pack("=Qi", allowed, folder), 0))
        os.close(folder)
    _check(LIBC.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    _check(LIBC.syscall(LANDLOCK_RESTRICT_SELF, ruleset, 0))
    os.close(ruleset)
    return True


def _build_root(root: Path, folders: Folders, kept: Collection[str]) -> None:
    """Mount `folders`, and around them what this machine has in the same places."""
    replaced = {Path(folder) for folder in folders}
    parents = {parent for folder in replaced for parent in folder.parents}
    for parent in sorted(parents):
        (root / str(parent)[1:]).mkdir(exist_ok=True)
        for path in sorted(parent.iterdir()) if parent.is_dir() else ():
            if path not in replaced | parents and path != Path(TMP):
                _show(path, root / str(path)[1:])
    (root / "tmp").mkdir()
    for folder, source in folders.items():
        target = root / folder[1:]
        target.mkdir()
        if not any(path.startswith(f"{folder}/") for path in kept):
            _mount(source, str(target), None, MS_BIND | MS_REC)
            continue
        for path in Path(source).iterdir():  # The interpreter is in this machine's /opt.
            _show(path, target / path.name)


def _show(path: Path, target: Path) -> None:
    """Make a file or folder of this machine visible at `target`."""
    if path.is_symlink():
        target.symlink_to(path.readlink())
        return
    if path.is_dir():
        target.mkdir()
    else:
        target.touch()
    try:
        _mount(str(path), str(target), None, MS_BIND | MS_REC)
    except OSError:  # Such as a folder that this user may not enter.
        return


def _make_read_only(path: str, *, undo: bool = False) -> None:
    """Make a mount and those below it read-only, or undo that for this mount alone."""
    flags = (0, MOUNT_ATTR_RDONLY) if undo else (MOUNT_ATTR_RDONLY, 0)
    attributes = struct.pack("=QQQQ", *flags, 0, 0)
    recursive = 0 if undo else AT_RECURSIVE
    _check(
        LIBC.syscall(
            MOUNT_SETATTR, AT_FDCWD, os.fsencode(path), recursive, attributes, len(attributes)
        )
    )


def _mount(
    source: str | None, target: str, kind: str | None, flags: int, options: str | None = None
) -> None:
    encoded = [text if text is None else os.fsencode(text) for text in (source, target, kind)]
    data = None if options is None else options.encode()
    _check(LIBC.mount(*encoded, ctypes.c_ulong(flags), data))


def _drop_capabilities() -> None:
    """Give up those that the namespace has given."""
    header = struct.pack("=Ii", CAPABILITY_VERSION, 0)
    _check(LIBC.capset(header, bytes(24)))
    _check(LIBC.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))


def _check(result: int) -> None:
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def _write(path: str, text: str) -> None:
    Path(path).write_text(text)
