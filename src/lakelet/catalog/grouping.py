"""Which folders make one table, and which of their names are partition values."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote

from lakelet.catalog.folders import FolderMemory, FolderState, Schema
from lakelet.catalog.types import widen

# Glue's similarity threshold is undocumented; seven in ten common columns is our
# guess at it (assumed).
_SIMILARITY_LEAST = 0.7

_KEY_VALUE = re.compile(r"([^=/]+)=([^/]*)")


@dataclass(frozen=True, slots=True)
class FoundPartition:
    values: tuple[str, ...]
    prefix: str
    schema_ids: tuple[int, ...]


@dataclass
class FoundTable:
    """A table as its folders show it."""

    name: str  # before the crawler's TablePrefix
    prefix: str
    keys: tuple[str, ...]
    partitions: list[FoundPartition]
    schema_ids: Counter[int]  # how many folders hold files of each
    format: str
    notes: list[str] = field(default_factory=list)


def group(
    folders: Mapping[str, FolderState],
    memory: FolderMemory,
    bucket: str,
    root: str,
    *,
    table_level: int | None = None,
    combine: bool = False,
) -> list[FoundTable]:
    """The tables under `root`, in prefix order.

    A folder is a table where it holds data files itself, where its children are
    named `key=value`, or where most of the folders under it share a schema.
    Otherwise each child is looked at by itself.

    Args:
        table_level: `TableLevelConfiguration`: the bucket is level 1.
        combine: `CombineCompatibleSchemas`: similarity is not asked for.
    """
    return [
        _table(folders, memory, bucket, prefix)
        for prefix in sorted(_roots(folders, memory, root, table_level, combine))
    ]


def _roots(
    folders: Mapping[str, FolderState],
    memory: FolderMemory,
    prefix: str,
    table_level: int | None,
    combine: bool,
) -> Iterator[str]:
    state = folders.get(prefix)
    if state is None or not _has_data(folders, prefix):
        return
    children = [child for child in state.children if _has_data(folders, child)]
    if table_level is not None:
        is_table = prefix.count("/") + 1 >= table_level
    else:
        is_table = (
            bool(state.summary.schema_ids)
            or any(_KEY_VALUE.fullmatch(_name(child)) for child in children)
            or (len(children) > 1 and (combine or _similar(folders, memory, children)))
        )
    if is_table:
        yield prefix
        return
    for child in children:
        yield from _roots(folders, memory, child, table_level, combine)


def _name(prefix: str) -> str:
    return prefix.rstrip("/").rsplit("/", 1)[-1]


def _leaves(folders: Mapping[str, FolderState], prefix: str) -> Iterator[FolderState]:
    """Folders with files at or under `prefix`."""
    pending = [prefix]
    while pending:
        state = folders.get(pending.pop())
        if state is None:
            continue
        if state.summary.schema_ids:
            yield state
        pending.extend(reversed(state.children))


def _has_data(folders: Mapping[str, FolderState], prefix: str) -> bool:
    return next(_leaves(folders, prefix), None) is not None


def _similar(
    folders: Mapping[str, FolderState], memory: FolderMemory, children: Sequence[str]
) -> bool:
    """Whether most children hold data like the first one's, of the same format."""
    kinds = [
        memory.schema(leaf.summary.schema_ids[0])
        for child in children
        if (leaf := next(_leaves(folders, child), None))
    ]
    alike = sum(similarity(kinds[0], kind) >= _SIMILARITY_LEAST for kind in kinds)
    return alike * 2 > len(kinds)


def similarity(left: Schema, right: Schema) -> float:
    """The share of columns that both have, with types that can meet; 0 across formats."""
    if left.format != right.format:
        return 0.0
    mine = {name.lower(): kind for name, kind in left.columns}
    theirs = {name.lower(): kind for name, kind in right.columns}
    common = sum(
        name in theirs and widen(kind, theirs[name]) is not None for name, kind in mine.items()
    )
    return common / max(len(mine | theirs), 1)


def _table(
    folders: Mapping[str, FolderState], memory: FolderMemory, bucket: str, prefix: str
) -> FoundTable:
    leaves = list(_leaves(folders, prefix))
    schemas = Counter(leaf.summary.schema_ids[0] for leaf in leaves)
    for leaf in leaves:
        for other in leaf.summary.schema_ids[1:]:
            schemas[other] += 1
    formats = Counter(memory.schema(leaf.summary.schema_ids[0]).format for leaf in leaves)
    chosen = formats.most_common(1)[0][0]
    depth = Counter(_depth(leaf.prefix, prefix) for leaf in leaves).most_common(1)[0][0]
    notes = []
    if len(formats) > 1:
        notes.append(f"formats meet under one table: {dict(formats)}; {chosen} was taken")
    keys: tuple[str, ...] = ()
    partitions = []
    for leaf in leaves:
        steps = leaf.prefix[len(prefix) :].strip("/").split("/") if leaf.prefix != prefix else []
        if len(steps) != depth:
            notes.append(f"{leaf.prefix} is {len(steps)} folders deep, not {depth}: passed over")
            continue
        if not depth:
            continue
        pairs = [_key_value(step, index) for index, step in enumerate(steps)]
        names = tuple(name for name, _ in pairs)
        keys = keys or names
        if names != keys:
            notes.append(f"{leaf.prefix} has keys {list(names)}, not {list(keys)}: passed over")
            continue
        values = tuple(value for _, value in pairs)
        partitions.append(FoundPartition(values, leaf.prefix, leaf.summary.schema_ids))
    name = table_name(_name(prefix) or bucket)
    return FoundTable(name, prefix, keys, partitions, schemas, chosen, notes)


def _depth(prefix: str, root: str) -> int:
    return prefix[len(root) :].count("/")


def _key_value(step: str, index: int) -> tuple[str, str]:
    found = _KEY_VALUE.fullmatch(step)
    if found:
        return found[1].lower(), unquote(found[2])
    return f"partition_{index}", step


def table_name(text: str) -> str:
    """As Glue names tables: letters, digits and `_`, at most 128 (assumed cut, not refused)."""
    return re.sub(r"[^A-Za-z0-9_]", "_", text)[:128].lower()
