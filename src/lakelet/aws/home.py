"""The AWS home under the same verbs as the embedded one: what `--on aws` talks to.

It has the shape of `node.lake.Caller` (call, query, put, close), so a `Lake` holds it as it
holds a node. Every call is an AWS API call with the user's own rights.
"""

import contextlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa

from lakelet.aws.athena import run_query
from lakelet.aws.deploy import Deployment
from lakelet.aws.site import Site
from lakelet.aws.stack import remedy_of
from lakelet.model.errors import DeclarationError, LakeletError, Outcome
from lakelet.model.layout import QUARANTINE_PREFIX, is_raw_event_key, parse_delivered_name
from lakelet.model.pipeline import Pipeline
from lakelet.store.s3 import S3ObjectStore

INVOKE_KEYS_MAX = 10  # objects a synchronous call: well within the function's time-out
CRAWL_POLL_SECONDS = 5.0
REDRIVE_BATCH = 10  # SQS gives no more at once

Tell = Callable[[dict[str, Any]], None]


class NotOnAws(LakeletError):
    """A verb that has no meaning, or no way, in this home."""

    code = "aws.not_on_aws"


class RemoteFailed(LakeletError):
    """Something of the pipeline's on AWS failed at what it was asked."""

    code = "aws.remote_failed"
    outcome = Outcome.UNKNOWN


class AwsHome:
    """A deployed pipeline. Make it with `open_home`."""

    def __init__(
        self,
        session: Any,
        site: Site,
        outputs: Mapping[str, str],
        *,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """Args: outputs: the stack's."""
        self._session, self._site, self._outputs, self._pause = session, site, outputs, pause
        suffix = outputs["RawBucketName"].removeprefix(f"{site.names.base}-raw")
        self.pipeline: Pipeline = replace(site.pipeline, name=site.names.base, bucket_suffix=suffix)
        self._verbs: dict[str, Callable[..., Any]] = {
            "status": self.status,
            "crawl": self.crawl,
            "audit": self.audit,
            "quarantine": self.quarantine,
            "replay": self.replay,
            "redrive": self.redrive,
            "flush": self.flush,
        }

    @property
    def store(self) -> S3ObjectStore:
        return S3ObjectStore(self._session.client("s3"))

    # --- the shape of a Caller ----------------------------------------------------------

    def call(self, name: str, arguments: Mapping[str, Any], on_progress: Tell | None = None) -> Any:
        """Raises NotOnAws for a verb of the embedded home alone."""
        verb = self._verbs.get(name)
        if verb is None:
            raise NotOnAws(
                f"`{name}` is not for the AWS home.",
                hint=f"Here are: send, query, {', '.join(sorted(self._verbs))}.",
            )
        tell = on_progress or (lambda _: None)
        return verb(tell, **{key: value for key, value in arguments.items() if value is not None})

    def query(self, sql: str, database: str | None = None) -> pa.Table:
        """Through the pipeline's workgroup. Raises QueryFailed, QueryTimedOut."""
        return run_query(
            self._session.client("athena"),
            sql,
            database=database or self._outputs["DatabaseName"],
            workgroup=self._outputs["WorkgroupName"],
            pause=self._pause,
        )

    def put(self, records: list[bytes]) -> int:
        """Raises ProducerError; what failed of a batch is sent again, and only that."""
        from lakelet.producer import Producer

        name = self._outputs["DeliveryStreamName"]
        with Producer(name, client=self._session.client("firehose")) as producer:
            for record in records:
                producer.send(record)
            producer.flush()
        return len(records)

    def close(self) -> None:
        """Nothing is held."""

    # --- verbs ---------------------------------------------------------------------------

    def flush(self, _tell: Tell) -> None:
        seconds = self.pipeline.stream.buffer_interval_seconds
        raise NotOnAws(
            "Firehose delivers when it is time, not when it is told.",
            hint=f"Wait {seconds} s: what is buffered is then on its way.",
        )

    def crawl(self, tell: Tell) -> list[str]:
        """Run the crawler and wait for it."""
        name = self._outputs.get("CrawlerName")
        if not name:
            return ["Partitions are known by rule (projection): there is nothing to crawl."]
        glue = self._session.client("glue")
        try:
            glue.start_crawler(Name=name)
        except glue.exceptions.CrawlerRunningException:
            tell({"text": "the crawler runs already"})
        while (crawler := glue.get_crawler(Name=name)["Crawler"])["State"] != "READY":
            tell({"text": f"the crawler is {crawler['State'].lower()}"})
            self._pause(CRAWL_POLL_SECONDS)
        last = crawler.get("LastCrawl", {})
        if last.get("Status", "SUCCEEDED") != "SUCCEEDED":
            reason = last.get("ErrorMessage", last["Status"])
            raise RemoteFailed(f"Crawler {name}: {reason}", hint=remedy_of(reason)[0])
        return [f"{table}: {count:,} partitions" for table, count in self._partitions().items()]

    def _partitions(self) -> dict[str, int]:
        pages = self._session.client("glue").get_paginator("get_partitions")
        database = self._outputs["DatabaseName"]
        return {
            table.name: sum(
                len(page["Partitions"])
                for page in pages.paginate(DatabaseName=database, TableName=table.name)
            )
            for table in self._site.contract.tables
        }

    def forget_partition(self, table: str, day: date) -> None:
        """Nothing happens where the catalog has none of that day."""
        glue = self._session.client("glue")
        with contextlib.suppress(glue.exceptions.EntityNotFoundException):
            glue.delete_partition(
                DatabaseName=self._outputs["DatabaseName"],
                TableName=table,
                PartitionValues=[f"{day:%Y}", f"{day:%m}", f"{day:%d}"],
            )

    def status(self, _tell: Tell) -> dict[str, Any]:
        """Counts of the road's stages, from the services themselves.

        Returns:
            stack, stream, transform, alarms, tables. Sizes in bytes.
        """
        described = self._session.client("firehose").describe_delivery_stream(
            DeliveryStreamName=self._outputs["DeliveryStreamName"]
        )["DeliveryStreamDescription"]
        alarms = self._session.client("cloudwatch").describe_alarms(
            AlarmNamePrefix=f"{self._site.names.base}-"
        )["MetricAlarms"]
        return {
            "stack": self._site.names.stack,
            "stream": {"name": self.pipeline.name, "status": described["DeliveryStreamStatus"]},
            "transform": {
                "dead_letters": self._waiting("DeadLettersUrl"),
                "failures": self._waiting("FailuresUrl"),
            },
            "alarms": {alarm["AlarmName"]: alarm["StateValue"] for alarm in alarms},
            "tables": [
                {"name": name, "partitions": count} for name, count in self._partitions().items()
            ]
            if "CrawlerName" in self._outputs
            else [],
        }

    def _waiting(self, queue: str) -> int:
        answer = self._session.client("sqs").get_queue_attributes(
            QueueUrl=self._outputs[queue], AttributeNames=["ApproximateNumberOfMessages"]
        )
        return int(answer["Attributes"]["ApproximateNumberOfMessages"])

    def audit(self, _tell: Tell, *, day: str | None = None, deep: bool = False) -> dict[str, Any]:
        """The ledger from raw objects on; what Firehose holds is known to Firehose alone."""
        from lakelet.lake.audit import audit, parquet_rows, persistent
        from lakelet.lake.ledger import read_books

        arrived_on = _day(day)
        store = self.store

        def look() -> Any:
            with ThreadPoolExecutor(8) as pool:
                books = read_books(store, self.pipeline, day=arrived_on, each=pool.map)
            rows_of = parquet_rows(store) if deep else None
            return audit(books, self.pipeline, datetime.now(UTC), rows_of=rows_of)

        report: dict[str, Any] = persistent(look).report()
        return report

    def quarantine(self, _tell: Tell, *, reason: str = "") -> list[dict[str, Any]]:
        """One entry a file: its reason, day and size; `replay` sends its objects again."""
        prefix = f"{QUARANTINE_PREFIX}reason={reason}/" if reason else QUARANTINE_PREFIX
        return [
            {
                "reason": _part(info.key, "reason"),
                "key": info.key,
                "size_bytes": info.size_bytes,
                "modified_at": info.modified_at.isoformat(),
            }
            for info in self.store.list(self.pipeline.raw_bucket, prefix)
        ]

    def replay(
        self,
        tell: Tell,
        *,
        keys: list[str] | None = None,
        reason: str = "",
        first: str | None = None,
        last: str | None = None,
        job: bool = False,
    ) -> dict[str, Any]:
        """Transform raw objects anew under the deployed contract.

        Args:
            keys: these objects; or else
            reason: those with something in quarantine for this reason, or
            first, last: those that arrived on these days (ISO dates, both included).
            job: let the Spark job do it: for thousands of objects.
        Returns:
            objects, and the job's run where there is one.
        Raises:
            RemoteFailed, NotOnAws.
        """
        if job:
            return {"run": self._start_job(first, last)}
        chosen = sorted(set(keys or self._chosen(reason, first, last)))
        for number, batch in enumerate(_batches(chosen, INVOKE_KEYS_MAX)):
            tell({"done": number * INVOKE_KEYS_MAX, "total": len(chosen), "text": batch[0]})
            self._invoke({**self.event(batch), "again": True})
        return {"objects": len(chosen)}

    def event(self, keys: Iterable[str]) -> dict[str, Any]:
        """What S3 would tell the function of these raw objects."""
        bucket = self.pipeline.raw_bucket
        return {
            "Records": [
                {
                    "eventVersion": "2.1",
                    "eventSource": "aws:s3",
                    "eventName": "ObjectCreated:Put",
                    "s3": {"bucket": {"name": bucket}, "object": {"key": key}},
                }
                for key in keys
            ]
        }

    def _chosen(self, reason: str, first: str | None, last: str | None) -> Iterator[str]:
        start, end = _day(first) or date.min, _day(last) or date.max
        stems = {
            entry["key"].rsplit("/", 1)[-1].removesuffix(".snappy.parquet")
            for entry in (self.quarantine(lambda _: None, reason=reason) if reason else [])
        }
        prefix = self.pipeline.stream.error_prefix
        for info in self.store.list(self.pipeline.raw_bucket, self._site.event_prefix):
            named = parse_delivered_name(info.key)
            arrived = (named.arrived_at if named else info.modified_at).date()
            name = info.key.rsplit("/", 1)[-1].removesuffix(".gz")
            wanted = not reason or name in stems
            if wanted and start <= arrived <= end and is_raw_event_key(
                info.key, error_prefix=prefix
            ):  # fmt: skip
                yield info.key

    def _start_job(self, first: str | None, last: str | None) -> str:
        arguments = {"--again": "true"}
        arguments |= {"--from": first} if first else {}
        arguments |= {"--to": last} if last else {}
        run = self._session.client("glue").start_job_run(
            JobName=self._outputs["JobName"], Arguments=arguments
        )
        return str(run["JobRunId"])

    def _invoke(self, event: Mapping[str, Any]) -> None:
        answer = self._session.client("lambda").invoke(
            FunctionName=self._outputs["FunctionName"], Payload=json.dumps(event).encode()
        )
        body = answer["Payload"].read()
        if answer.get("FunctionError"):
            told = json.loads(body or b"{}").get("errorMessage", "it gave no reason")
            raise RemoteFailed(f"The function failed: {told}", hint="lakelet logs")

    def redrive(self, tell: Tell) -> dict[str, Any]:
        """Send what was given up to the function again; what succeeds leaves its queue.

        A failure lies in both queues, bare in one and with its reason in the other. The
        function finds the second time done, so emptying both is safe.

        Returns:
            sent: how many; failed: how many stay.
        """
        counts = [self._redrive(self._outputs[q], tell) for q in ("DeadLettersUrl", "FailuresUrl")]
        return {"sent": sum(s for s, _ in counts), "failed": sum(f for _, f in counts)}

    def _redrive(self, queue: str, tell: Tell) -> tuple[int, int]:
        sqs = self._session.client("sqs")
        sent = failed = 0
        while True:
            letters = sqs.receive_message(
                QueueUrl=queue,
                MaxNumberOfMessages=REDRIVE_BATCH,
                # What fails again stays out of sight for a while: else this would not end.
                VisibilityTimeout=900,
            ).get("Messages", [])
            if not letters:
                return sent, failed
            for letter in letters:
                try:
                    self._invoke(json.loads(letter["Body"]))
                except RemoteFailed as error:
                    failed += 1
                    tell({"text": error.message})
                    continue
                sqs.delete_message(QueueUrl=queue, ReceiptHandle=letter["ReceiptHandle"])
                sent += 1
                tell({"done": sent, "text": "sent again"})

    def logs(self, since_ms: int) -> Iterator[dict[str, Any]]:
        """The function's log from an instant on (milliseconds since 1970)."""
        pages = (
            self._session.client("logs")
            .get_paginator("filter_log_events")
            .paginate(
                logGroupName=f"/aws/lambda/{self._outputs['FunctionName']}", startTime=since_ms
            )
        )
        for page in pages:
            yield from page["events"]


def open_home(session: Any, site: Site) -> AwsHome:
    """Raises NotDeployed."""
    return AwsHome(session, site, Deployment(session, site).outputs())


def _day(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as error:
        raise DeclarationError(f"{text!r} is no date", hint="Write YYYY-MM-DD.") from error


def _part(key: str, name: str) -> str:
    """`json`, of `quarantine/reason=json/…` for the part `reason`."""
    found = [part for part in key.split("/") if part.startswith(f"{name}=")]
    return found[0].split("=", 1)[1] if found else ""


def _batches(values: list[str], size: int) -> Iterator[list[str]]:
    for start in range(0, len(values), size):
        yield values[start : start + size]


__all__ = ["AwsHome", "NotOnAws", "RemoteFailed", "open_home"]
