"""The AWS home under the same verbs as the embedded one: what `--on aws` talks to.

It has the shape of `node.lake.Caller` (call, query, put, close), so a `Lake` holds it as it
holds a node. Every call is an AWS API call with the user's own rights.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from lakelet.aws.athena import run_query
from lakelet.aws.deploy import Deployment
from lakelet.aws.site import Site
from lakelet.aws.stack import remedy_of
from lakelet.aws.tending import RemoteFailed, Tending
from lakelet.model.errors import DeclarationError, LakeletError
from lakelet.model.pipeline import Pipeline
from lakelet.store.s3 import S3ObjectStore

if TYPE_CHECKING:
    from lakelet.producer import Producer
    from lakelet.producer.settings import OnError

CRAWL_POLL_SECONDS = 5.0

Tell = Callable[[dict[str, Any]], None]


class NotOnAws(LakeletError):
    """A verb that has no meaning, or no way, in this home."""

    code = "aws.not_on_aws"


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
        self.tending = Tending(session, site, outputs, self.pipeline)
        self._verbs: dict[str, Callable[..., Any]] = {
            "status": self.status,
            "crawl": self.crawl,
            "audit": self.audit,
            "backfill": self.backfill,
            "quarantine": self.tending.quarantine,
            "replay": self.tending.replay,
            "dead_letters": self.tending.dead_letters,
            "redrive": self.tending.redrive,
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

    def producer(self, on_error: "OnError | None" = None, stream: str | None = None) -> "Producer":
        """A producer for the deployed stream, or another; each record becomes a line of its own."""
        from lakelet.producer import Encoding, Producer, ProducerSettings
        from lakelet.producer.firehose import line_delimiter

        name = stream or self._outputs["DeliveryStreamName"]
        client = self._session.client("firehose")
        encoding = Encoding(delimiter=line_delimiter(client, name))
        return Producer(name, ProducerSettings(encoding=encoding), client=client, on_error=on_error)

    def put(self, records: list[bytes], stream: str | None = None) -> int:
        """Raises ProducerError; what failed of a batch is sent again, and only that."""
        with self.producer(stream=stream) as producer:
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

    def backfill(
        self, _tell: Tell, *, first: str | None = None, last: str | None = None, again: bool = False
    ) -> dict[str, Any]:
        """Start the Spark job over days of arrival (both included; open by default).

        Args:
            again: also what is done already, after a change of the contract.
        Returns:
            run: the job run's id.
        """
        arguments = {"--again": "true"} if again else {}
        for name, day in (("--from", _day(first)), ("--to", _day(last))):
            arguments |= {name: day.isoformat()} if day else {}
        run = self._session.client("glue").start_job_run(
            JobName=self._outputs["JobName"], Arguments=arguments
        )
        return {"run": str(run["JobRunId"])}

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


__all__ = ["AwsHome", "NotOnAws", "RemoteFailed", "open_home"]
