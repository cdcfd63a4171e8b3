"""Looking over a zone, folder by folder, and reading only what changed since the last look."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from lakelet.catalog.folders import FolderMemory, FolderState, Schema, Summary
from lakelet.catalog.footers import (
    UNOPENED,
    UNREADABLE,
    FileFacts,
    data_objects,
    is_data_name,
    read_footer,
)
from lakelet.model.ports import ObjectInfo, ObjectStore

# A stamp is trusted once it is this much older than the look itself. Time stamps
# of folders come from a kernel tick of up to 10 ms; two seconds also cover file
# systems that keep whole seconds.
_SETTLED_NS = 2_000_000_000

Listing = tuple[list[str], list[ObjectInfo]]


@dataclass
class Survey:
    """A zone as it is now."""

    bucket: str
    root: str
    folders: dict[str, FolderState] = field(default_factory=dict)  # by prefix, all of them
    changed: list[str] = field(default_factory=list)  # prefixes listed and unlike before
    gone: list[str] = field(default_factory=list)  # remembered, and no more there
    listed_count: int = 0  # folders whose names were read
    footer_count: int = 0  # files that were opened
    unreadable: list[str] = field(default_factory=list)  # keys met in this survey


def survey(
    store: ObjectStore,
    memory: FolderMemory,
    bucket: str,
    root: str,
    *,
    now_ns: int,
    keep: Callable[[str], bool] = lambda _: True,
    sample_size: int | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> Survey:
    """Look at every folder under `root` (empty, or ending in `/`).

    Folders whose time stamp is as remembered are taken from memory: one `stat`
    instead of a listing. Of a folder that changed only new or replaced files are
    opened. A store that can't tell about folders is listed whole, and still only
    new files are opened.

    Args:
        keep: whether a key is wanted (the target's exclusions).
        sample_size: open at most so many new files a folder; the others are taken
            to be like them, as Glue does under `SampleSize`.
        stopped: asked between folders; True ends the survey early, incomplete.
    """
    known = memory.under(bucket, root)
    found = Survey(bucket, root)
    look = _folder_by_folder(store, bucket) or _all_at_once(store, bucket, root)
    pending = [root]
    while pending and not stopped():
        prefix = pending.pop()
        state = known.get(prefix)
        stamp = look.stamp(prefix)
        if state is None or stamp is None or state.stamp != stamp:
            before, state = state, None
            children, objects = look.listing(prefix)
            found.listed_count += 1
            wanted = [info for info in data_objects(objects) if keep(info.key)]
            known_files = memory.files(bucket, prefix) if before else ()
            facts = _facts(store, memory, found, wanted, known_files, prefix, sample_size)
            trusted = stamp if stamp is not None and stamp < now_ns - _SETTLED_NS else None
            if any(item.rows == UNOPENED for item in facts):
                trusted = None  # a query must open what a sample did not
            state = FolderState(
                prefix,
                trusted,
                tuple(child for child in children if is_data_name(_last(child))),
                _summary(facts),
                facts,
            )
            if before is None or known_files != facts or _differs(before, state):
                found.changed.append(prefix)
        found.folders[prefix] = state
        pending.extend(state.children)
    if not stopped():
        found.gone = [prefix for prefix in known if prefix not in found.folders]
    return found


def _last(prefix: str) -> str:
    return prefix.rstrip("/").rsplit("/", 1)[-1]


def _differs(before: FolderState, now: FolderState) -> bool:
    return before.children != now.children or before.summary != now.summary


def _facts(
    store: ObjectStore,
    memory: FolderMemory,
    found: Survey,
    objects: Sequence[ObjectInfo],
    known: Sequence[FileFacts],
    prefix: str,
    sample_size: int | None,
) -> tuple[FileFacts, ...]:
    remembered = {facts.name: facts for facts in known}
    facts: list[FileFacts] = []
    opened = 0
    for info in objects:
        name = info.key[len(prefix) :]
        old = remembered.get(name)
        is_known = old and (old.size_bytes, old.etag) == (info.size_bytes, info.etag)
        if old and is_known and (old.rows != UNOPENED or sample_size is not None):
            facts.append(old)
            continue
        if sample_size is not None and opened >= sample_size and facts:
            like = facts[-1].schema_id
            facts.append(FileFacts(name, info.size_bytes, info.etag, like, UNOPENED, ()))
            continue
        opened += 1
        found.footer_count += 1
        footer = read_footer(store, info)
        if footer is None:
            found.unreadable.append(info.key)
            facts.append(FileFacts(name, info.size_bytes, info.etag, UNREADABLE, 0, ()))
            continue
        schema_id = memory.schema_id(Schema(footer.format, footer.columns))
        facts.append(
            FileFacts(name, info.size_bytes, info.etag, schema_id, footer.rows, footer.column_bytes)
        )
    return tuple(facts)


def _summary(facts: Sequence[FileFacts]) -> Summary:
    counts = Counter(item.schema_id for item in facts if item.schema_id != UNREADABLE)
    return Summary(
        file_count=len(facts),
        size_bytes=sum(item.size_bytes for item in facts),
        rows=sum(max(item.rows, 0) for item in facts),
        schema_ids=tuple(schema_id for schema_id, _ in counts.most_common()),
        unreadable=sum(item.schema_id == UNREADABLE for item in facts),
    )


# --- the two ways to look ---------------------------------------------------------


@dataclass(frozen=True)
class _Look:
    stamp: Callable[[str], int | None]
    listing: Callable[[str], Listing]


def _folder_by_folder(store: Any, bucket: str) -> _Look | None:
    """For a `FolderStore`; None where the store is none."""
    if not hasattr(store, "list_folder") or not hasattr(store, "folder_changed_at_ns"):
        return None
    return _Look(
        lambda prefix: store.folder_changed_at_ns(bucket, prefix),
        lambda prefix: store.list_folder(bucket, prefix),
    )


def _all_at_once(store: ObjectStore, bucket: str, root: str) -> _Look:
    """One listing of the whole zone, cut into folders: what S3 offers."""
    objects: dict[str, list[ObjectInfo]] = defaultdict(list)
    children: dict[str, set[str]] = defaultdict(set)
    for info in store.list(bucket, root):
        folder = info.key[: info.key.rfind("/") + 1]
        if info.key != folder:
            objects[folder].append(info)
        for parent, child in _steps(folder, root):
            children[parent].add(child)
    return _Look(
        lambda _: None,
        lambda prefix: (sorted(children[prefix]), objects[prefix]),
    )


def _steps(folder: str, root: str) -> Iterator[tuple[str, str]]:
    """Each (parent, child) pair of prefixes from `root` down to `folder`."""
    while len(folder) > len(root):
        parent = folder[: folder.rstrip("/").rfind("/") + 1]
        yield parent, folder
        folder = parent
