"""`lakelet transform`: raw files to partitioned Parquet, with no node and no lake."""

import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from lakelet.cli import render
from lakelet.model.errors import LakeletError

if TYPE_CHECKING:
    from lakelet.model.manifest import Manifest


class NothingToTransform(LakeletError):
    code = "transform.no_source"


def transform_files(source: Path, target: Path, config: Path | None) -> None:
    """Every file of `source` (a file, or a folder with all below it) into `target`:
    `<table>/year=…/…`, `quarantine/reason=…/…` and `_manifests/`. Doing it again
    writes the same files again.

    Raises:
        NothingToTransform; DeclarationError; StorageFull.
    """
    from rich.progress import track

    from lakelet.contract import load_declaration
    from lakelet.lake.seen import open_seen_keys
    from lakelet.node.ahead import ahead
    from lakelet.store.clock import SystemClock
    from lakelet.store.folders import FoldersObjectStore
    from lakelet.transform import process, raw_object

    declaration = load_declaration(config)
    pipeline, contract = declaration.pipeline, declaration.contract
    folder, keys = _sources(source, target)
    store = FoldersObjectStore(pipeline.raw_bucket, folder, pipeline.transformed_bucket, target)
    store.create_bucket(pipeline.transformed_bucket)
    manifests = []
    with tempfile.TemporaryDirectory() as scratch:
        seen = open_seen_keys(Path(scratch), contract, SystemClock())
        console = render.stderr()
        for key in track(keys, "Transforming", console=console, transient=True):
            raw = raw_object(store, pipeline.raw_bucket, key)
            manifests.append(process(store, pipeline, contract, raw, seen=seen, each=ahead))
    _summarise(manifests, target)


def _sources(source: Path, target: Path) -> tuple[Path, list[str]]:
    if source.is_file():
        return source.parent, [source.name]
    inside = target.absolute()
    keys = sorted(
        path.relative_to(source).as_posix()
        for path in source.rglob("*")
        if path.is_file()
        and inside not in path.absolute().parents
        and not any(part.startswith((".", "_")) for part in path.relative_to(source).parts)
    )
    if not keys:
        raise NothingToTransform(
            f"{source} is no file and holds none",
            hint="Name a file or folder of JSON events, plain or .gz.",
        )
    return source, keys


def _summarise(manifests: "list[Manifest]", target: Path) -> None:
    quarantined: Counter[str] = Counter()
    dropped: Counter[str] = Counter()
    for manifest in manifests:
        quarantined.update(manifest.quarantined)
        dropped.update(manifest.dropped)
    console = render.stdout()
    console.print(
        f"{sum(m.events for m in manifests):,} events in {len(manifests):,} files = "
        f"{sum(m.rows for m in manifests):,} rows "
        f"+ {sum(m.duplicates for m in manifests):,} duplicates "
        f"+ {quarantined.total():,} quarantined + {dropped.total():,} dropped by contract"
    )
    for reason, count in quarantined.most_common():
        console.print(f"  quarantined: {count:,} × {reason}", style="yellow")
    console.print(f"Parquet lies in {target}/", markup=False)
