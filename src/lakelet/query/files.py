"""Which files stand behind partitions, right now, and what is known of each."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from lakelet.catalog import Catalog
from lakelet.catalog.crawl import split_location
from lakelet.catalog.folders import FolderState, Schema
from lakelet.catalog.footers import UNREADABLE, FileFacts, read_footer
from lakelet.catalog.partitions import PartitionPlace
from lakelet.catalog.survey import survey
from lakelet.model.errors import BucketNotFound, ObjectNotFound
from lakelet.model.ports import ObjectStore
from lakelet.model.swap import Address, Aside, View, read_view
from lakelet.query.errors import FilesMoved, QueryFailed


@runtime_checkable
class PlainFiles(Protocol):
    """A store whose objects are plain files: DuckDB opens them by path."""

    def path(self, bucket: str, key: str) -> Path: ...


@dataclass(frozen=True, slots=True)
class PartitionFile:
    """One file, and the partition it belongs to."""

    bucket: str
    key: str
    place: PartitionPlace
    facts: FileFacts


class FileFinder:
    """Finds a partition's files by its folder's memory, and refreshes that where it is stale."""

    def __init__(self, store: ObjectStore, catalog: Catalog) -> None:
        self._store: Any = store
        self._memory = catalog.folders
        # Objects written aside are never rewritten, and few: those of open swaps.
        self._asides: dict[Address, FileFacts] = {}

    def files(
        self, places: Iterable[PartitionPlace], view: View, *, now_ns: int
    ) -> list[PartitionFile]:
        """Every data file of the partitions, in the order of places and keys.

        Raises:
            FilesMoved: a file vanished between being listed and being read.
        """
        found: list[PartitionFile] = []
        for place in places:
            bucket, prefix = split_location(place.location)
            files = {
                folder + facts.name: facts for folder, facts in self._listed(bucket, prefix, now_ns)
            }
            for key, facts in self._seen_through(view, bucket, prefix, files):
                found.append(PartitionFile(bucket, key, place, facts))
        return found

    def view(self, buckets: Iterable[str]) -> View:
        """Changes of many objects that are under way; read once a query, before any listing."""
        shown: dict[Address, Aside] = {}
        hidden: frozenset[Address] = frozenset()
        for bucket in sorted(set(buckets)):
            try:
                part = read_view(self._store, bucket)
            except BucketNotFound:
                continue
            shown |= part.shown
            hidden |= part.hidden
        return View(shown, hidden)

    def _seen_through(
        self, view: View, bucket: str, prefix: str, files: dict[str, FileFacts]
    ) -> Iterator[tuple[str, FileFacts]]:
        """Files under the keys where their content lies now, in the order of their own keys."""
        if not view.shown and not view.hidden:
            yield from files.items()
            return
        asides = {
            key: aside
            for (of_bucket, key), aside in view.shown.items()
            if of_bucket == bucket and key.startswith(prefix)
        }
        for key in sorted(files.keys() | asides.keys()):
            if key in asides:
                yield asides[key].key, self._aside_facts(bucket, asides[key])
            elif (bucket, key) not in view.hidden:
                yield key, files[key]

    def _aside_facts(self, bucket: str, aside: Aside) -> FileFacts:
        known = self._asides.get((bucket, aside.key))
        if known:
            return known
        try:
            info = self._store.head(bucket, aside.key)
        except ObjectNotFound as error:
            raise FilesMoved(f"s3://{bucket}/{aside.key} is settled.") from error
        footer = read_footer(self._store, info)
        if footer is None:
            return FileFacts("", info.size_bytes, info.etag, UNREADABLE, 0, ())
        schema_id = self._memory.schema_id(Schema(footer.format, footer.columns))
        facts = FileFacts(
            "", info.size_bytes, info.etag, schema_id, footer.rows, footer.column_bytes
        )
        self._asides[(bucket, aside.key)] = facts
        return facts

    def _listed(self, bucket: str, prefix: str, now_ns: int) -> list[tuple[str, FileFacts]]:
        known = self._memory.state(bucket, prefix)
        if (
            known
            and known.stamp is not None
            and not known.children
            and self._stamp(bucket, prefix) == known.stamp
        ):
            # The common case: a partition's folder, unchanged since it was last seen.
            return [(prefix, facts) for facts in self._memory.files(bucket, prefix)]
        try:
            seen = survey(self._store, self._memory, bucket, prefix, now_ns=now_ns)
        except BucketNotFound:
            return []
        fresh = [state for state in seen.folders.values() if state.files is not None]
        if fresh:
            self._memory.save(bucket, fresh)
        return [
            (state.prefix, facts)
            for state in sorted(seen.folders.values(), key=_by_prefix)
            for facts in (
                state.files if state.files is not None else self._memory.files(bucket, state.prefix)
            )
        ]

    def _stamp(self, bucket: str, prefix: str) -> int | None:
        stamp = getattr(self._store, "folder_changed_at_ns", None)
        found: int | None = stamp(bucket, prefix) if stamp else None
        return found

    def require_footers(self, files: Iterable[PartitionFile]) -> None:
        """Of a Parquet table each file must have one.

        Raises:
            QueryFailed: HIVE_CANNOT_OPEN_SPLIT for a file without.
            FilesMoved: it had none because it is gone.
        """
        for file in files:
            if file.facts.schema_id != UNREADABLE:
                continue
            try:
                self._store.head(file.bucket, file.key)
            except ObjectNotFound as error:
                raise FilesMoved(f"s3://{file.bucket}/{file.key} is gone.") from error
            raise not_parquet(file)


def not_parquet(file: PartitionFile) -> QueryFailed:
    return QueryFailed(
        "HIVE_CANNOT_OPEN_SPLIT",
        f"Error opening Hive split s3://{file.bucket}/{file.key}: not valid Parquet File",
        hint="Move it out of the table's folder, or name it with a leading `_`.",
    )


def _by_prefix(state: FolderState) -> str:
    return state.prefix
