"""The embedded runtime: every room, wired. No decisions here.

ingestion ──on_delivered──▶ queue ──▶ worker ──on_done──▶ ledger index, crawler
store (raw objects put by S3 clients) ──on_put──▶ queue
"""

import contextlib
import logging
import os
import shutil
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from lakelet.catalog import Catalog
from lakelet.catalog.crawl import run_crawl
from lakelet.collector import read_collector
from lakelet.contract import Declaration, load_declaration
from lakelet.ingest.errors import ServiceUnavailable
from lakelet.ingest.limits import batches
from lakelet.lake.lifecycle import apply_expiry
from lakelet.lake.viewed import viewed
from lakelet.model.layout import is_error_key, is_raw_event_key
from lakelet.model.manifest import Manifest
from lakelet.model.ports import Clock, ObjectInfo
from lakelet.node import contract_check as _contract_check  # noqa: F401 - an operation enters itself
from lakelet.node import faults as _faults  # noqa: F401 - its operation is found by name
from lakelet.node.crawls import CrawlRunner
from lakelet.node.folder import DataFolder, Holder
from lakelet.node.ingestion import Ingestion
from lakelet.node.interpreter import give_memory_back
from lakelet.node.lake_operations import settle_swaps
from lakelet.node.ledger import LedgerIndex
from lakelet.node.measuring import Measuring
from lakelet.node.queries import QueryRunner
from lakelet.node.queue import TransformQueue
from lakelet.node.rounds import Round, Rounds
from lakelet.node.schedule import parse_schedule
from lakelet.node.state_check import check_state
from lakelet.node.tables import crawl, ensure_tables, workgroup_configuration
from lakelet.node.toolbox import make_toolbox, read_ingest
from lakelet.node.webhooks import post_webhook
from lakelet.node.worker import LocalTransform, Worker
from lakelet.query import QueryEngine
from lakelet.store.clock import SystemClock
from lakelet.store.disk import DiskObjectStore
from lakelet.store.files import LocalFileSystem
from lakelet.store.uploads import MultipartUploads
from lakelet.watch.room import open_watch
from lakelet.watch.traces import open_traces

if TYPE_CHECKING:
    import pyarrow as pa
log = logging.getLogger("lakelet.node")

UPLOAD_AGE_MAX = timedelta(days=1)  # as the AWS template's AbortIncompleteMultipartUpload
DISK_FREE_BYTES_MIN = 64 * 1024 * 1024  # a guess: a segment and a few deliveries


def query_memory_limit() -> str:
    """Half of the machine's memory: the transform processes live beside the queries.
    What does not fit goes to disk."""
    total_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return f"{max(256, total_bytes // 2 // 2**20)}MiB"


class Node:
    """A lake, awake. `start`, then `stop`; the folder is held in between."""

    def __init__(
        self,
        folder: DataFolder,
        *,
        config: Path | None = None,
        clock: Clock | None = None,
        worker_processes: int | None = None,
    ) -> None:
        """
        Args:
            config: the declaration; by default the folder's own, else the shipped one.
            worker_processes: 0 transforms on threads of this process.
        Raises:
            DataFolderError; DeclarationError. Nothing is held then.
        """
        self.folder = folder
        self.clock = clock or SystemClock()
        self.endpoint = ""
        self.declaration = self._load(config)
        self.pipeline = self.declaration.pipeline
        self.contract = self.declaration.contract
        self.collector_settings = read_collector(
            self.declaration.sections["collector"], stream=self.pipeline.name
        )
        self.ingest_settings = read_ingest(
            self.declaration.sections["functions"], self.declaration.sections["ingest"]
        )
        self._worker_processes = worker_processes
        self._schedule = parse_schedule(self.pipeline.crawler.schedule)
        folder.acquire()
        try:
            if config:
                folder.declaration.write_text(config.read_text("utf-8"), "utf-8")
            check_state(folder.state)
            self._wire()
        except BaseException:
            folder.release()
            raise

    def _load(self, config: Path | None) -> Declaration:
        own = self.folder.declaration
        return load_declaration(config or (own if own.exists() else None))

    def _wire(self) -> None:
        state, pipeline = self.folder.state, self.pipeline
        self.measuring = Measuring(self)
        self.store = DiskObjectStore(self.folder.buckets, self.clock)
        for bucket in pipeline.buckets:
            self.store.create_bucket(bucket)
        self.catalog = Catalog(state / "catalog.sqlite", self.clock)
        self.engine = QueryEngine(
            self.catalog,
            self.store,
            state / "queries.sqlite",
            self.clock,
            results_bucket=pipeline.results_bucket,
            default_database=pipeline.database,
            memory_limit=query_memory_limit(),
            spill_folder=state / "spill",
            journal_buckets=(pipeline.transformed_bucket,),
        )
        self.engine.workgroups.ensure(
            pipeline.workgroup_name,
            workgroup_configuration(pipeline),
            "The pipeline's own.",
        )
        self.queries = QueryRunner(self.engine, on_ended=self.measuring.query_ended)
        (state / "watch").mkdir(exist_ok=True)
        self.watch = open_watch(
            self.clock,
            pipeline.name,
            state / "watch",
            traces=open_traces(os.environ.get("LAKELET_TRACES")),
        )
        self.ledger = LedgerIndex(state / "ledger.sqlite")
        self.queue = TransformQueue(state / "queue.sqlite", self.clock)
        self.worker = Worker(
            self.queue,
            LocalTransform(self.folder.buckets, pipeline, self.contract, state / "seen"),
            self.clock,
            processes=self._worker_processes,
            on_done=self._on_transformed,
            on_failed=self.measuring.transform_failed,
        )
        self.crawls = CrawlRunner(self._crawl, self.clock, self._schedule)
        self.ingestion = Ingestion(
            pipeline,
            files=LocalFileSystem(self.folder.root),
            store=self.store,
            clock=self.clock,
            folder=state,
            observer=self.watch.meters,
            toolbox=make_toolbox(self.ingest_settings, self.catalog),
            quotas=self.ingest_settings.quotas,
        )
        self._caught_up = threading.Event()
        self._rounds = Rounds(
            self.clock,
            [
                Round("metrics", 1, self.measuring.sample),
                Round("storage", 60, self.measuring.weigh_again),
                Round("alarms", 60, self._judge),
                Round("retention", 3600, self._expire),
                Round("tidy", 3600, self.watch.tidy),
                Round("memory", 30, give_memory_back),
                Round("settle", 60, lambda: settle_swaps(self)),
            ],
        )

    # --- life ---------------------------------------------------------------------

    def start(self, *, doors: bool = True) -> None:
        """Recover, then run. `doors`: whether a server will announce itself after."""
        self.catalog.recover_crawlers()
        ensure_tables(self.catalog, self.pipeline, self.contract)
        self.queries.start()
        self.store.on_put(self._on_put)
        self.ingestion.start()
        self.ingestion.set_faults(self.pipeline.name, self.ingest_settings.faults)
        self.worker.start()
        self.crawls.start()
        self._rounds.start()
        threading.Thread(target=self._catch_up, name="catch-up", daemon=True).start()
        if not doors:
            self._caught_up.wait()

    def announce(self, endpoint: str, token: str) -> None:
        self.endpoint = endpoint
        self.folder.announce(Holder(os.getpid(), endpoint, token))

    def stop(self) -> None:
        """Drain: deliver what is buffered, transform what is delivered, crawl; then end."""
        self._caught_up.wait()
        self._rounds.stop()
        with contextlib.ExitStack() as afterwards:  # each of them, whatever the one before raised
            afterwards.callback(self.close)
            afterwards.callback(self.queries.stop)
            afterwards.callback(self.crawls.run_now)
            afterwards.callback(self.crawls.stop)
            afterwards.callback(self.worker.stop)
            afterwards.callback(self.worker.drain)
            self.ingestion.close(drain=True)

    def close(self) -> None:
        self.engine.close()
        self.catalog.close()
        self.queue.close()
        self.ledger.close()
        self.watch.close()
        self.store.close()
        self.folder.release()

    def flush(self, stream: str | None = None) -> None:
        """Everything accepted before this call, of one stream or of all, is visible in SQL
        after it. Raises DeliveryFailed."""
        try:
            self.ingestion.flush(stream)
        finally:  # what could be delivered
            self.worker.drain()
            self.crawls.run_now()

    def is_disk_full(self) -> bool:
        return shutil.disk_usage(self.folder.root).free < DISK_FREE_BYTES_MIN

    # --- verbs --------------------------------------------------------------------

    def put(self, records: list[bytes], stream: str | None = None) -> int:
        """All of them, each a line, in batches the service would take; raises at the first batch of
        which a quota or a fault refused some.

        The stream joins records verbatim: where it appends no newline itself, one is added here.
        """
        name = stream or self.pipeline.name
        if not self.ingestion.streams.get(name).destination.processing.appends_newline:
            records = [each if each.endswith(b"\n") else each + b"\n" for each in records]
        before = 0
        for batch in batches(records):
            result = self.ingestion.put_blocking(name, batch)
            if refused := sorted(result.refused):
                why = result.refused[refused[0]].message
                raise ServiceUnavailable(
                    f"{len(refused):,} of records {before:,} to {before + len(batch) - 1:,} were "
                    f"refused, the first is {before + refused[0]:,}: {why}",
                    hint="Those before and the others of these were taken, none after. [ingest] in "
                    "lakelet.toml sets quotas and faults.",
                )
            before += len(batch)
        return len(records)

    def query_arrow(self, sql: str, database: str | None = None) -> "pa.Table":
        """Any statement's answer; one that writes (CTAS, INSERT, UNLOAD) gives no columns."""
        database = database or self.pipeline.database
        if self.engine.gives_table(sql):
            return self.engine.query_arrow(sql, database=database)
        self.queries.run_here(sql, database=database, workgroup=self.pipeline.workgroup_name)
        import pyarrow as pa

        return pa.table({})

    def run_crawler(self, name: str) -> None:
        """Any crawler's crawl, blocking: the pipeline's own, or one made through the Glue door."""
        now_ns = int(self.clock.now().timestamp() * 1e9)
        run_crawl(self.store, self.catalog, name, now_ns=now_ns)

    # --- what sets off what -------------------------------------------------------

    def _on_put(self, info: ObjectInfo) -> None:
        """An object arrived in the raw zone: delivered by a stream, or put by an S3 client.

        The delivery counts as done only after this returned, so a crash in between
        repeats it; the queue knows the object by its ETag.
        """
        if info.bucket != self.pipeline.raw_bucket:
            return
        prefix = self.pipeline.stream.error_prefix
        # What a stream gave up (its error prefix) goes to quarantine by the same queue.
        if is_raw_event_key(info.key, error_prefix=prefix) or is_error_key(
            info.key, error_prefix=prefix
        ):
            self.queue.enqueue(info.bucket, info.key, info.etag)
            self.measuring.delivered(info.key, info.size_bytes)

    def _on_transformed(self, manifest: Manifest) -> None:
        self.ledger.record(manifest)
        self.measuring.transformed(manifest)
        if self.pipeline.crawler.after_new_data:
            self.crawls.request()

    def _crawl(self) -> list[str]:
        started = time.monotonic()
        lines: list[str] | None = None
        try:
            store = viewed(self.store, self.pipeline.transformed_bucket)
            lines = crawl(self.catalog, store, self.pipeline, self.clock)
            return lines
        finally:
            self.measuring.crawled(time.monotonic() - started, lines)

    def _catch_up(self) -> None:
        """What a former life may have left undone; also what was copied in by hand."""
        try:
            self.queue.reconcile(self.store, self.pipeline)
            self.ledger.rebuild(self.store, self.pipeline.transformed_bucket)
            self.crawls.request()
            self.measuring.weigh()
        except Exception:
            log.exception("catching up failed; the next start or arrival tries again")
        finally:
            self._caught_up.set()

    # --- rounds -------------------------------------------------------------------

    def _judge(self) -> None:
        self.watch.tell(self.watch.tick(), post_webhook, log)

    def _expire(self) -> None:
        """A raw object that has not been transformed stays: deleting it would be a loss."""
        waiting = {item.key for item in (*self.queue.pending(), *self.queue.dead_letters())}

        def keep(info: ObjectInfo) -> bool:
            return info.bucket == self.pipeline.raw_bucket and info.key in waiting

        now = self.clock.now()
        apply_expiry(self.store, self.pipeline, now, keep=keep)
        MultipartUploads(self.store).abort_begun_before(now - UPLOAD_AGE_MAX)
