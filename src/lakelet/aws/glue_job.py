"""The Spark job: `mapInArrow` around the very function that the Lambda runs.

Spark distributes keys, not data: a worker reads its raw objects and writes its Parquet by
itself, through the same ObjectStore, so the two runners cannot drift apart. What has a
manifest is not done again, which makes a run incremental and a crashed one resumable.

    --pipeline NAME --bucket_suffix -ACCOUNT-REGION      as deployed (the template's own)
    --keyring_secret_arn ARN                             where fields are hashed
    --from YYYY-MM-DD --to YYYY-MM-DD                    days of arrival; open by default
    --again true                                         also what is done: after a change
    --compact true                                       then merge days of many small files
    --buckets FOLDER --declaration FILE                  on one machine: a data folder's buckets
"""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from lakelet.aws.backlog import Span, backlog, balanced
from lakelet.aws.environment import (
    BUCKET_SUFFIX,
    KEYRING_SECRET,
    PIPELINE,
    decode_declaration,
)
from lakelet.aws.runner import Runner, s3_runner
from lakelet.lake.rebuild import separate
from lakelet.model.errors import LakeletError
from lakelet.model.keyring import parse_keyring
from lakelet.model.manifest import Manifest
from lakelet.model.ports import Clock
from lakelet.store.clock import SystemClock

OPTIONAL = (
    "from", "to", "again", "compact", "buckets", "declaration", "keyring", "keyring_secret_arn",
)  # fmt: skip
REQUIRED = ("pipeline", "bucket_suffix")

RESULT_SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        ("made", pa.bool_()),  # False: it was done before
        ("manifest", pa.string()),  # null where it failed
        ("error", pa.string()),
    ]
)
RESULT_DDL = "key string, made boolean, manifest string, error string"
# More tasks than cores, so that one slow object holds up little.
TASKS_PER_CORE = 3


class JobFailed(LakeletError):
    """Objects that could not be transformed; the others are done."""

    code = "aws.job_failed"


@dataclass(frozen=True, slots=True)
class JobArguments:
    pipeline: str = ""
    bucket_suffix: str = ""
    keyring_secret_arn: str = ""
    span: Span = Span()  # noqa: RUF009 - frozen
    again: bool = False
    compact: bool = False
    buckets: str = ""  # "": S3
    declaration: str = ""
    keyring: str = ""


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run did, to the event."""

    objects: int
    done_before: int
    events: int
    rows: int
    duplicates: int
    quarantined: int
    dropped: int
    failed: Mapping[str, str]  # key → why
    files_merged: int = 0


def main(argv: Sequence[str] | None = None) -> None:
    """The job's entry, on Glue and anywhere else. Raises JobFailed at its end."""
    from pyspark.sql import SparkSession

    arguments = parse_arguments(sys.argv if argv is None else ["job", *argv])
    spark = SparkSession.builder.appName("lakelet").getOrCreate()
    summary = run(spark, arguments)
    sys.stdout.write(json.dumps({name: getattr(summary, name) for name in Summary.__slots__}))
    sys.stdout.write("\n")
    if summary.failed:
        key, why = next(iter(summary.failed.items()))
        raise JobFailed(
            f"{len(summary.failed)} of {summary.objects} objects failed; first {key}: {why}",
            hint="Run the job again: it takes up only what has no manifest.",
        )


def parse_arguments(argv: Sequence[str]) -> JobArguments:
    """By Glue's `getResolvedOptions` where there is one: it also takes away Glue's own."""
    values = _resolve(argv)
    day = {name: date.fromisoformat(values[name]) for name in ("from", "to") if values.get(name)}
    return JobArguments(
        pipeline=values.get("pipeline", ""),
        bucket_suffix=values.get("bucket_suffix", ""),
        keyring_secret_arn=values.get("keyring_secret_arn", ""),
        span=Span(day.get("from"), day.get("to")),
        again=values.get("again", "").lower() == "true",
        compact=values.get("compact", "").lower() == "true",
        buckets=values.get("buckets", ""),
        declaration=values.get("declaration", ""),
        keyring=values.get("keyring", ""),
    )


def _resolve(argv: Sequence[str]) -> Mapping[str, str]:
    argv = _joined(argv)
    names = [name for name in (*REQUIRED, *OPTIONAL) if _is_given(argv, name)]
    try:
        from awsglue.utils import getResolvedOptions
    except ImportError:
        return _resolve_plainly(argv, names)
    resolved: Mapping[str, str] = getResolvedOptions(argv, names)
    return resolved


def _joined(argv: Sequence[str]) -> list[str]:
    """`--name value` as `--name=value`: argparse, which Glue uses too, takes a value that
    begins with a dash (our bucket suffix does) for another option."""
    joined: list[str] = []
    takes_value = False
    for text in argv:
        if takes_value:
            joined[-1] += f"={text}"
            takes_value = False
        else:
            joined.append(text)
            takes_value = text[:2] == "--" and text[2:] in (*REQUIRED, *OPTIONAL)
    return joined


def _is_given(argv: Sequence[str], name: str) -> bool:
    return any(text.startswith(f"--{name}=") for text in argv)


def _resolve_plainly(argv: Sequence[str], names: Sequence[str]) -> Mapping[str, str]:
    import argparse

    parser = argparse.ArgumentParser(allow_abbrev=False)
    for name in names:
        parser.add_argument(f"--{name}")
    return vars(parser.parse_known_args(list(argv[1:]))[0])


def run(spark: Any, arguments: JobArguments) -> Summary:
    """Transform what is to do, on the workers of `spark`; then compact, where asked."""
    runner = make_runner(arguments)
    summary = _transform(spark, arguments, runner)
    if arguments.compact and not summary.failed:
        summary = replace(summary, files_merged=compact(runner, arguments.span, SystemClock()))
    return summary


def _transform(spark: Any, arguments: JobArguments, runner: Runner) -> Summary:
    objects = list(backlog(runner.store, runner.pipeline, arguments.span, again=arguments.again))
    if not objects:
        return summarise([])
    tasks = balanced(objects, spark.sparkContext.defaultParallelism * TASKS_PER_CORE)
    rows = [(number, info.key) for number, infos in enumerate(tasks) for info in infos]
    # By range, not by hash: the tasks are balanced already, each shall be a partition.
    frame = spark.createDataFrame(rows, "task int, key string").repartitionByRange(
        len(tasks), "task"
    )
    results = [
        row.asDict() for row in frame.mapInArrow(transform_keys(arguments), RESULT_DDL).collect()
    ]
    if arguments.again:
        made = frozenset(row["key"] for row in results if row["made"])
        separate(runner.store, runner.pipeline, made, SystemClock().now())
    return summarise(results)


def compact(runner: Runner, span: Span, clock: Clock) -> int:
    """Merge days of event time within `span`, each event key once. Returns how many files went.

    On the driver: it is copying, not computing. Athena knows nothing of our journal of
    changes, so for the seconds of the settling it may see a merged file beside its parts
    (docs/decisions/0005-duplicates.md).
    """
    from lakelet.lake.compact import apply_compaction, plan_compaction

    store, pipeline = runner.store, runner.pipeline
    _settle(runner, clock)
    plans = plan_compaction(store, pipeline, clock.now(), first=span.first, last=span.last)
    made = apply_compaction(store, pipeline, runner.contract, plans, clock, deduplicate=True)
    _settle(runner, clock)
    return sum(len(plan.sources) for plan in plans) if made else 0


def _settle(runner: Runner, clock: Clock) -> None:
    from lakelet.lake.swap import settle

    bucket = runner.pipeline.transformed_bucket
    settle(runner.store, bucket, clock.now(), grace=timedelta(0))


def transform_keys(
    arguments: JobArguments,
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """What a worker does: keys in, one result an object out."""

    def transform(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        runner = make_runner(arguments)
        for batch in batches:
            for key in batch.column("key").to_pylist():
                result = transform_one(runner, key, again=arguments.again)
                yield pa.RecordBatch.from_pylist([result], schema=RESULT_SCHEMA)

    return transform


def transform_one(runner: Runner, key: str, *, again: bool) -> dict[str, Any]:
    """A row of RESULT_SCHEMA; one object's failure is not the task's."""
    try:
        manifest, made = runner.transform(key, again=again)
    except LakeletError as error:
        return _failed(key, f"{error.code}: {error.message}")
    except Exception as error:  # noqa: BLE001 - a stranger's message may quote data
        return _failed(key, type(error).__name__)
    return {"key": key, "made": made, "manifest": manifest.encode().decode(), "error": None}


def _failed(key: str, why: str) -> dict[str, Any]:
    return {"key": key, "made": None, "manifest": None, "error": why}


def summarise(results: Sequence[Mapping[str, Any]]) -> Summary:
    made = [Manifest.decode(row["manifest"]) for row in results if row["made"]]
    return Summary(
        objects=len(results),
        done_before=sum(row["made"] is False for row in results),
        events=sum(manifest.events for manifest in made),
        rows=sum(manifest.rows for manifest in made),
        duplicates=sum(manifest.duplicates for manifest in made),
        quarantined=sum(manifest.quarantined_count for manifest in made),
        dropped=sum(manifest.dropped_count for manifest in made),
        failed={row["key"]: row["error"] for row in results if row["error"]},
    )


def make_runner(arguments: JobArguments) -> Runner:
    """The runner of this process: on S3, or over a data folder's buckets."""
    if not arguments.buckets:
        # Written by pyarrow, as on one machine: Glue's Spark brings no awswrangler.
        return s3_runner(
            {
                PIPELINE: arguments.pipeline,
                BUCKET_SUFFIX: arguments.bucket_suffix,
                KEYRING_SECRET: arguments.keyring_secret_arn,
            }
        )
    from lakelet.store.disk import DiskObjectStore

    pipeline, contract = decode_declaration(Path(arguments.declaration).read_bytes())
    keyring = None
    if arguments.keyring:
        keyring = parse_keyring(Path(arguments.keyring).read_text("utf-8"), arguments.keyring)
    return Runner(DiskObjectStore(Path(arguments.buckets)), pipeline, contract, keyring)


if __name__ == "__main__":
    main()
