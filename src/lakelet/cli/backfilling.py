"""`lakelet backfill`: raw objects without a manifest, transformed here or on Spark."""

from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from lakelet.aws.glue_job import JobArguments, Summary
    from lakelet.node.lake import Progress


def backfill(
    data: Path | None,
    config: Path | None,
    engine: str,
    first: date | None,
    last: date | None,
    tell: "Progress",
) -> "Summary":
    """Raises DataFolderError where there is no lake, SparkMissing, DeclarationError."""
    import tempfile

    from lakelet.aws.backlog import Span
    from lakelet.aws.environment import encode_declaration
    from lakelet.aws.glue_job import JobArguments
    from lakelet.contract import load_declaration
    from lakelet.model.errors import DataFolderError
    from lakelet.node.connect import DEFAULT_FOLDER
    from lakelet.node.folder import DataFolder
    from lakelet.node.keyring import FILE_NAME, local_keyring

    if engine not in ("local", "spark"):
        raise typer.BadParameter(f"{engine!r} is neither local nor spark", param_hint="--engine")
    folder = DataFolder(data or DEFAULT_FOLDER)
    if not folder.exists():
        raise DataFolderError(
            f"there is no lake in {folder.root}", hint="Start one: lakelet up, or name it: --data"
        )
    own = folder.declaration if folder.declaration.exists() else None
    declared = load_declaration(config or own)
    keyring = local_keyring(folder.root, declared.contract)
    with tempfile.TemporaryDirectory() as temporary:
        declaration = Path(temporary) / "declaration.json"
        declaration.write_bytes(encode_declaration(declared.pipeline, declared.contract))
        arguments = JobArguments(
            buckets=str(folder.buckets),
            declaration=str(declaration),
            keyring=str(folder.root / FILE_NAME) if keyring else "",
            span=Span(first, last),
        )
        return _on_spark(arguments) if engine == "spark" else _here(arguments, tell)


def _on_spark(arguments: "JobArguments") -> "Summary":
    from lakelet.aws import glue_job
    from lakelet.aws.local_spark import local_session

    session = local_session()
    try:
        return glue_job.run(session, arguments)
    finally:
        session.stop()


def _here(arguments: "JobArguments", tell: "Progress") -> "Summary":
    """One process a core: what Spark would do on this machine, without Spark."""
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    from lakelet.aws.backlog import backlog, balanced
    from lakelet.aws.glue_job import make_runner, summarise

    runner = make_runner(arguments)
    objects = list(backlog(runner.store, runner.pipeline, arguments.span))
    cores = multiprocessing.cpu_count()
    tasks = [[info.key for info in part] for part in balanced(objects, cores * 8) if part]
    results: list[dict[str, Any]] = []
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(cores, len(tasks)) or 1, mp_context=context) as pool:
        for part in pool.map(transform_part, [arguments] * len(tasks), tasks):
            results += part
            tell({"done": len(results), "total": len(objects)})
    return summarise(results)


def transform_part(arguments: "JobArguments", keys: Iterable[str]) -> list[dict[str, Any]]:
    """In a process of the pool."""
    from lakelet.aws.glue_job import make_runner, transform_one

    runner = make_runner(arguments)
    return [transform_one(runner, key, again=arguments.again) for key in keys]


def draw(summary: "Summary") -> None:
    from lakelet.cli import render

    console = render.stdout()
    console.print(
        f"{summary.objects:,} raw objects: {summary.events:,} events = {summary.rows:,} rows + "
        f"{summary.duplicates:,} duplicates + {summary.quarantined:,} quarantined + "
        f"{summary.dropped:,} dropped"
    )
    for key, why in summary.failed.items():
        console.print(f"{key}: {why}", markup=False, style="red", soft_wrap=True)
