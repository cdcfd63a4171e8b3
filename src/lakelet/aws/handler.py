"""The Lambda function: told of raw objects, makes rows of them.

An event may name several objects. Each is tried; only when all were, a failure of any is
raised, so that Lambda tries the event again and at last hands it to the dead letters. What
succeeded is then found done. Logs and metrics hold keys and counts, never a payload.
"""

import json
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import unquote_plus

from lakelet.aws.runner import Runner, s3_runner
from lakelet.aws.wrangler import wrangler_writer
from lakelet.model.errors import LakeletError, Outcome
from lakelet.model.layout import is_raw_event_key
from lakelet.model.manifest import Manifest

# What closing the Parquet files and writing the manifest may take, and some for the log.
STOP_BEFORE_END_MS = 15_000
NAMESPACE = "Lakelet"  # the dashboard and alarms of the template read it
DIMENSION = "Pipeline"
# Beside `Records`, from `lakelet replay --on aws`: objects that are done are made anew.
AGAIN = "again"


class EventNotUnderstood(LakeletError):
    """Not a notification of S3's that we know."""

    code = "aws.event_not_understood"


class SomeFailed(LakeletError):
    """Objects of the event that could not be transformed now."""

    code = "aws.some_failed"
    outcome = Outcome.RETRY


@dataclass(slots=True)
class Report:
    """What became of an event's objects."""

    done: list[str] = field(default_factory=list)
    done_before: list[str] = field(default_factory=list)
    not_ours: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)  # key → why


def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Lambda's entry. Raises SomeFailed, EventNotUnderstood; returns counts."""
    if event.get("Event") == "s3:TestEvent":
        _say("INFO", "a test event, sent when the notification was set up")
        return {"done": 0}
    again = event.get(AGAIN) is True
    report = transform_all(_runner(), list(named_objects(event)), context, again=again)
    if report.failed:
        first = next(iter(report.failed.items()))
        raise SomeFailed(
            f"{len(report.failed)} of the event's objects failed; first {first[0]}: {first[1]}",
            hint="Lambda tries the event again; the others are done and will be found so.",
        )
    return {"done": len(report.done), "done_before": len(report.done_before)}


def transform_all(
    runner: Runner, objects: list[tuple[str, str]], context: Any, *, again: bool = False
) -> Report:
    """Try each (bucket, key) while there is time."""
    report = Report()

    def is_late() -> bool:
        remaining_ms: int = context.get_remaining_time_in_millis()
        return remaining_ms < STOP_BEFORE_END_MS

    for bucket, key in objects:
        if bucket != runner.pipeline.raw_bucket or not is_raw_event_key(
            key, error_prefix=runner.pipeline.stream.error_prefix
        ):
            report.not_ours.append(key)
            _say("WARNING", "not a raw object of this pipeline", bucket=bucket, key=key)
        elif is_late():
            report.failed[key] = "aws.out_of_time: no time was left to begin it"
            _say("WARNING", "no time left", key=key)
        else:
            _transform_one(runner, key, is_late, report, again)
    return report


def _transform_one(
    runner: Runner, key: str, is_late: Any, report: Report, again: bool = False
) -> None:
    started = time.monotonic()
    try:
        manifest, made = runner.transform(key, again=again, stop=is_late)
    except LakeletError as error:
        report.failed[key] = f"{error.code}: {error.message}"
        _say("ERROR", error.message, key=key, code=error.code)
    except Exception as error:  # noqa: BLE001 - the other objects must not suffer
        # A stranger's message may quote the data it choked on.
        report.failed[key] = type(error).__name__
        _say("ERROR", "unexpected", key=key, code=type(error).__name__)
    else:
        (report.done if made else report.done_before).append(key)
        seconds = time.monotonic() - started
        _say("INFO", "transformed" if made else "done before", key=key, seconds=round(seconds, 3))
        if made:
            _emit(json.dumps(metrics(manifest, runner.pipeline.name, time.time())))


# --- events ---------------------------------------------------------------------------


def named_objects(event: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(bucket, key) of each created object a notification names.

    S3's own (2.x: keys are URL-encoded, `+` for a space), EventBridge's (keys as they are),
    and either inside an SQS message or a failed invocation's record: so that dead letters
    can be sent again as they lie.

    Raises EventNotUnderstood.
    """
    if event.get("Event") == "s3:TestEvent":
        return
    if event.get("detail-type") == "Object Created":
        detail = event["detail"]
        yield detail["bucket"]["name"], detail["object"]["key"]
        return
    if "requestPayload" in event:  # an on-failure destination's record
        yield from named_objects(event["requestPayload"])
        return
    records = event.get("Records")
    if not isinstance(records, list):
        raise EventNotUnderstood(
            f"an event with the keys {sorted(event)} is no notification of S3",
            hint="The function is to be triggered by s3:ObjectCreated:* of the raw bucket.",
        )
    for record in records:
        yield from _named_by_record(record)


def _named_by_record(record: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    source = record.get("eventSource")
    if source == "aws:sqs":
        yield from named_objects(json.loads(record["body"]))
    elif source == "aws:s3":
        version = str(record.get("eventVersion", ""))
        if version.split(".")[0] != "2":
            raise EventNotUnderstood(f"S3 event version {version!r}; 2.x is understood")
        if str(record.get("eventName", "")).startswith("ObjectCreated:"):
            s3 = record["s3"]
            yield s3["bucket"]["name"], unquote_plus(s3["object"]["key"])
    else:
        raise EventNotUnderstood(f"a record from {source!r}; aws:s3 and aws:sqs are understood")


# --- logs and metrics --------------------------------------------------------------------


def metrics(manifest: Manifest, pipeline: str, at_seconds: float) -> dict[str, Any]:
    """CloudWatch's embedded metric format: counts by pipeline, the key beside them.

    Source: CloudWatch user guide, "Specification: embedded metric format".
    """
    quarantined, dropped = manifest.quarantined_count, manifest.dropped_count
    rate = 100.0 * quarantined / manifest.events if manifest.events else 0.0
    values = {
        "TransformedEvents": (manifest.events, "Count"),
        "Rows": (manifest.rows, "Count"),
        "Duplicates": (manifest.duplicates, "Count"),
        "Quarantined": (quarantined, "Count"),
        "Dropped": (dropped, "Count"),
        "QuarantineRate": (rate, "Percent"),
        "LedgerImbalance": (abs(manifest.imbalance()), "Count"),
    }
    return {
        "_aws": {
            "Timestamp": int(at_seconds * 1000),
            "CloudWatchMetrics": [
                {
                    "Namespace": NAMESPACE,
                    "Dimensions": [[DIMENSION]],
                    "Metrics": [{"Name": n, "Unit": unit} for n, (_, unit) in values.items()],
                }
            ],
        },
        DIMENSION: pipeline,
        "key": manifest.raw.key,
        "inflated_bytes": manifest.inflated_bytes,
        **{name: value for name, (value, _) in values.items()},
    }


def _say(level: str, message: str, **fields: Any) -> None:
    _emit(json.dumps({"level": level, "message": message, **fields}))


def _emit(line: str) -> None:
    """One line to the log: Lambda sends standard output there as it is."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


@cache
def _runner() -> Runner:
    """Made with the first event, kept while the function is warm."""
    return s3_runner(writer=wrangler_writer)
