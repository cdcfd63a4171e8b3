"""`lakelet demo`: the main job, to watch, with nothing but public doors.

A node is started as a process of its own; events go in through boto3's Firehose
client and answers come out through boto3's Athena client, as in anybody's code.
"""

import itertools
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakelet.cli import render
from lakelet.cli.demo_queries import QUERIES
from lakelet.model.errors import DataFolderError, LakeletError
from lakelet.node.connect import connect
from lakelet.node.folder import DataFolder
from lakelet.node.spawn import spawned_node

if TYPE_CHECKING:
    from rich.console import Console

    from lakelet.node.lake import Lake

SETTLED_SECONDS_MAX = 300.0
_BATCH = 500  # records a PutRecordBatch may hold
_DECLARATION = """\
version = 1

[stream]
# The default is 60 s; a demonstration is impatient.
buffer_interval_seconds = 5
buffer_size_mb = 5
"""


class DemoFailed(LakeletError):
    code = "demo.failed"


def run_demo(*, events: int, folder: Path, port: int, once: bool) -> int:
    """The whole road; the exit status."""
    console = render.stdout()
    _make_anew(folder)
    started = time.monotonic()
    with spawned_node(folder, port=_free(port)) as node:
        lake, endpoint = connect(folder), node.endpoint
        ready_seconds = time.monotonic() - started
        console.print(
            f"[bold]A node is up[/bold] at [link]{endpoint}[/link] on a fresh {folder}/ "
            f"[dim]({ready_seconds:.1f} s)[/dim]\n"
            f"Sending {events:,} events of a shop through the Firehose API …"
        )
        boto = _Boto(folder)
        _drive(console, lake, boto, events)
        for title, sql in QUERIES:
            answer, seconds, scanned_bytes = boto.ask(sql)
            console.print(
                f"\n[bold]{title}[/bold]  [dim]{seconds * 1000:.0f} ms, "
                f"{render.size(scanned_bytes)} scanned[/dim]"
            )
            console.print(render.drawn_table(answer))
        report = lake.audit()
        render.audit(console, report)
        if once:
            return 0 if report["balanced"] else 1
        _farewell(console, folder, endpoint)
        _wait_for(node.process, console)
    return 0


def _make_anew(folder: Path) -> None:
    data = DataFolder(folder)
    if holder := data.running():
        raise DataFolderError(
            f"a node (process {holder.pid}) is running on {folder}/",
            hint=f"It is the last demo's? Stop it: kill {holder.pid}. Or use another folder: "
            "lakelet demo --data DIR",
        )
    if folder.exists() and any(folder.iterdir()):
        if not (folder / ".demo").exists():
            raise DataFolderError(
                f"{folder}/ is not a demo's folder, and a demo starts afresh",
                hint="Name one that may be deleted: lakelet demo --data DIR",
            )
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ".demo").touch()
    data.declaration.write_text(_DECLARATION)


def _free(port: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return 0
    return port


class _Boto:
    """Plain boto3 clients, pointed at the node as `lakelet env` would."""

    def __init__(self, folder: Path) -> None:
        import boto3
        from botocore.config import Config

        from lakelet.node.exports import running_environment

        os.environ.update(running_environment(folder))
        config = Config(retries={"max_attempts": 5}, max_pool_connections=8)
        self.firehose = boto3.client("firehose", config=config)
        self.athena = boto3.client("athena", config=config)

    def send(self, records: list[bytes]) -> None:
        """All of them, the failed ones again: what every producer should do."""
        while records:
            answer = self.firehose.put_record_batch(
                DeliveryStreamName="clickstream", Records=[{"Data": data} for data in records]
            )
            if not answer["FailedPutCount"]:
                return
            outcomes = zip(records, answer["RequestResponses"], strict=True)
            records = [data for data, outcome in outcomes if "ErrorCode" in outcome]
            time.sleep(0.1)

    def ask(self, sql: str) -> tuple[list[list[str | None]], float, int]:
        """Header and rows, as Athena's clients get them: all text."""
        started = time.monotonic()
        query_id = self.athena.start_query_execution(QueryString=sql, WorkGroup="clickstream")[
            "QueryExecutionId"
        ]
        while True:
            execution = self.athena.get_query_execution(QueryExecutionId=query_id)["QueryExecution"]
            if execution["Status"]["State"] in ("SUCCEEDED", "FAILED", "CANCELLED"):
                break
            time.sleep(0.005)
        if execution["Status"]["State"] != "SUCCEEDED":
            raise DemoFailed(f"a query failed: {execution['Status'].get('StateChangeReason')}")
        pages = self.athena.get_paginator("get_query_results").paginate(QueryExecutionId=query_id)
        rows = [
            [datum.get("VarCharValue") for datum in row["Data"]]
            for page in pages
            for row in page["ResultSet"]["Rows"]
        ]
        scanned_bytes = execution["Statistics"].get("DataScannedInBytes", 0)
        return rows, time.monotonic() - started, scanned_bytes


def _drive(console: "Console", lake: "Lake", boto: _Boto, events: int) -> None:
    """Send from a few threads; draw every stage until the road is empty again."""
    from lakelet.testing.traffic import generate

    failure: list[BaseException] = []

    def send_all() -> None:
        records = generate(events)
        try:
            with ThreadPoolExecutor(4) as pool:
                batches = iter(lambda: list(itertools.islice(records, _BATCH)), [])
                for _ in pool.map(boto.send, batches):
                    pass
        except BaseException as error:  # noqa: BLE001 - raised again by the drawing thread
            failure.append(error)

    sender = threading.Thread(target=send_all, daemon=True)
    deadline = time.monotonic() + SETTLED_SECONDS_MAX
    with render.stage_progress(console, events) as draw:
        sender.start()
        while True:
            status = lake.status()
            draw(status)
            if failure:
                raise failure[0]
            if not sender.is_alive() and settled(status):
                return
            if time.monotonic() > deadline:
                raise DemoFailed(
                    f"not everything arrived within {SETTLED_SECONDS_MAX:.0f} s",
                    hint="Look at node.log in the data folder.",
                )
            time.sleep(0.1)


def settled(status: dict[str, Any]) -> bool:
    """Nothing buffered, nothing queued, and everything transformed was crawled."""
    return bool(
        status["stream"]["buffered_records"] == 0
        and status["transform"]["waiting"] + status["transform"]["running"] == 0
        and status["stream"]["delivered_objects"] == status["ledger"]["objects"]
        and status["crawl"]["pending"] is False
    )


def _farewell(console: "Console", folder: Path, endpoint: str) -> None:
    lakelet = _command()
    console.print(
        f"\n[bold]The node goes on[/bold] at {endpoint}; Ctrl-C ends it. In another terminal:\n"
        f"  [cyan]{lakelet} console --data {folder}[/cyan]  "
        "[dim]# a link to the console in your browser[/dim]\n"
        f'  [cyan]{lakelet} query --data {folder} "SELECT * FROM events LIMIT 5"[/cyan]\n'
        f"  [cyan]{lakelet} quarantine --data {folder}[/cyan]  "
        "[dim]# what did not fit, and why[/dim]\n"
        f'  [cyan]eval "$({lakelet} env --data {folder})"[/cyan]  '
        "[dim]# points any AWS SDK, the CLI, awswrangler here[/dim]\n"
        f"  [cyan]ls {folder}/buckets[/cyan]  [dim]# the lake: plain files[/dim]",
        soft_wrap=True,
    )


def _command() -> str:
    """How the person at this terminal can call us: the virtual environment may be inactive."""
    if shutil.which("lakelet"):
        return "lakelet"
    beside = Path(sys.executable).with_name("lakelet")
    here = Path.cwd()
    return str(beside.relative_to(here) if beside.is_relative_to(here) else beside)


def _wait_for(process: "subprocess.Popen[bytes]", console: "Console") -> None:
    try:
        process.wait()
    except KeyboardInterrupt:
        console.print("\nDraining …")
