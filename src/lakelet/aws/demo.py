"""`make aws-demo`: the AWS home, deployed into an emulator on this machine, to watch.

python -m lakelet.aws.demo [--events 20000]
"""

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console

from lakelet.aws.commands import show_plan
from lakelet.aws.deploy import Deployment
from lakelet.aws.emulator import ACCOUNT, REGION, Emulator, without_refused
from lakelet.aws.home import AwsHome
from lakelet.aws.site import Site, load_site
from lakelet.aws.template import build_template
from lakelet.model.layout import MANIFEST_PREFIX, manifest_key

WAIT_SECONDS = 120.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--venv", type=Path, default=Path(".cache/ministack"))
    arguments = parser.parse_args()
    console = Console(highlight=False)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        with _step(console, "An AWS for this machine, IAM and TLS enforced"):
            emulator = stack.enter_context(Emulator(arguments.venv, folder / "emulator"))
        _run(console, emulator, folder, arguments.events)


def _run(console: Console, emulator: Emulator, folder: Path, events: int) -> None:
    from lakelet.testing.firehose_front import FirehoseFront

    site = load_site(None)
    template = without_refused(build_template(site))
    deployment = Deployment(emulator.session(), site, template=template, poll_seconds=0.2)
    plan = deployment.plan()
    show_plan(console, deployment, plan, 30_000_000)
    with _step(console, f"Deployed: {len(template['Resources'])} resources"):
        outputs = deployment.apply(plan)
    pipeline = replace(site.pipeline, bucket_suffix=f"-{ACCOUNT}-{REGION}")
    s3 = emulator.session().client("s3")
    with FirehoseFront(pipeline, s3, folder / "front") as front:
        session = emulator.session(firehose=front.url)
        home = AwsHome(session, site, outputs)
        with _step(console, f"{events:,} events through PutRecordBatch"):
            home.put(_traffic(events))
        with _step(console, "Delivered to the raw zone, transformed by the function"):
            front.flush()
            _wait(lambda: _all_done(home, pipeline.raw_bucket, pipeline.transformed_bucket))
        _add_partitions(session, home, site, outputs)
        sql = (
            "SELECT event_type, count(*) AS events, count(DISTINCT user_id) AS users "
            "FROM events GROUP BY event_type ORDER BY 2 DESC"
        )
        with _step(console, "Asked Athena"):
            answer = home.query(sql)
        _draw(console, answer)
        report = home.call("audit", {})
        colour = "green" if report["balanced"] else "red"
        console.print(f"[bold {colour}]{report['line']}[/bold {colour}]")
        kept = deployment.destroy()
        console.print(f"Destroyed; the data stays in {len(kept)} buckets (until this ends).")
        if not report["balanced"]:
            raise SystemExit(1)


def _traffic(count: int) -> list[bytes]:
    from lakelet.testing.traffic import generate

    return list(generate(count, seed=7, days=1.0, until=datetime.now(UTC)))


def _all_done(home: AwsHome, raw: str, transformed: str) -> bool:
    keys = {info.key for info in home.store.list(raw, "year=")}
    done = {info.key for info in home.store.list(transformed, MANIFEST_PREFIX)}
    return bool(keys) and {manifest_key(key) for key in keys} <= done


def _add_partitions(session: Any, home: AwsHome, site: Site, outputs: dict[str, str]) -> None:
    """The crawler's work: the emulator's is a timer that finds nothing."""
    glue = session.client("glue")
    name = site.contract.default_table.name
    database = outputs["DatabaseName"]
    table = glue.get_table(DatabaseName=database, Name=name)["Table"]
    storage = table["StorageDescriptor"]
    folders = {
        info.key.rsplit("/", 1)[0]
        for info in home.store.list(outputs["TransformedBucketName"], f"{name}/")
    }
    for folder in sorted(folders):
        values = [part.split("=", 1)[1] for part in folder.split("/")[1:]]
        location = f"s3://{outputs['TransformedBucketName']}/{folder}/"
        glue.create_partition(
            DatabaseName=database,
            TableName=name,
            PartitionInput={
                "Values": values,
                "StorageDescriptor": {**storage, "Location": location},
            },
        )


def _draw(console: Console, answer: Any) -> None:
    from rich.table import Table

    table = Table(*answer.column_names, box=None, header_style="dim")
    for row in answer.to_pylist():
        table.add_row(*(str(value) for value in row.values()))
    console.print(table)


@contextmanager
def _step(console: Console, text: str) -> Iterator[None]:
    began = time.monotonic()
    with console.status(text):
        yield
    console.print(f"[green]✓[/green] {text} [dim]{time.monotonic() - began:.1f} s[/dim]")


def _wait(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not done():
        if time.monotonic() > deadline:
            raise SystemExit(f"Not done within {WAIT_SECONDS:g} s.")
        time.sleep(0.2)


if __name__ == "__main__":
    main()
