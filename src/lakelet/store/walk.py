"""A bucket's folder walked in key order, lazily, leaving out what cannot match.

Key order is that of UTF-8 bytes, which is also Python's order of strings. A folder sorts
as its name and a slash, since that is how its keys begin: `a-b` < `a/b` < `a0`.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass

from lakelet.store.keys import decode_file, decode_name, is_aside


@dataclass(frozen=True, slots=True)
class Found:
    """A regular file that is an object."""

    key: str
    path: str
    size_bytes: int
    modified_at_ns: int


@dataclass(frozen=True, slots=True)
class Child:
    """A name in a folder: `key` ends in `/` for folders."""

    key: str
    entry: "os.DirEntry[str]"

    @property
    def is_folder(self) -> bool:
        return self.key.endswith("/") and self.entry.is_dir(follow_symlinks=False)


def children(path: str, folder_key: str) -> list[Child]:
    """What lies in one folder, in key order; links and foreign files left out.

    Args:
        folder_key: what the keys in there begin with: "" or ending in `/`.
    """
    found: dict[tuple[str, bool], Child] = {}
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    segment = decode_name(entry.name)
                    if segment is not None:
                        found[segment, True] = Child(f"{folder_key}{segment}/", entry)
                elif entry.is_file(follow_symlinks=False):
                    segment = decode_file(entry.name)
                    # A file set aside counts only where none has the key's own path.
                    hidden = is_aside(entry.name) and (segment, False) in found
                    if segment is not None and not hidden:
                        found[segment, False] = Child(f"{folder_key}{segment}", entry)
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(found.values(), key=lambda child: child.key)


def walk(path: str, folder_key: str, prefix: str, start_after: str) -> Iterator[Found]:
    """Every object under the folder `path` whose key has `prefix` and lies after `start_after`."""
    waiting = [iter(children(path, folder_key))]
    while waiting:
        child = next(waiting[-1], None)
        if child is None:
            waiting.pop()
        elif child.is_folder:
            if _may_hold(child.key, prefix, start_after):
                waiting.append(iter(children(child.entry.path, child.key)))
        elif child.key > start_after and child.key.startswith(prefix):
            found = stat_child(child)
            if found is not None:
                yield found


def stat_child(child: Child) -> Found | None:
    """None where the file has gone since its folder was read."""
    try:
        info = child.entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None
    return Found(child.key, child.entry.path, info.st_size, info.st_mtime_ns)


def holds_objects(folder: Child, start_after: str) -> bool:
    """Whether there is any object in it after that key: an empty folder is no prefix."""
    if not _may_hold(folder.key, folder.key, start_after):
        return False
    return next(walk(folder.entry.path, folder.key, "", start_after), None) is not None


def _may_hold(folder_key: str, prefix: str, start_after: str) -> bool:
    matches = folder_key.startswith(prefix) or prefix.startswith(folder_key)
    return matches and (folder_key > start_after or start_after.startswith(folder_key))
