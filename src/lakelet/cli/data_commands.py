"""Commands that move data: send, query, generate, transform, crawl, audit."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lakelet.cli.options import DataOption, EndpointOption, FormatOption
from lakelet.cli.reach import OnOption, reach

if TYPE_CHECKING:
    import pyarrow as pa


def register(app: typer.Typer) -> None:
    for command in (send, query, generate, transform, crawl, audit, flush):
        app.command()(command)


def send(
    file: Annotated[str, typer.Argument(help="NDJSON, plain or .gz; - reads standard input.")],
    stream: Annotated[
        str | None, typer.Option(help="Delivery stream; by default the pipeline's own.")
    ] = None,
    data: DataOption = None,
    endpoint_url: EndpointOption = None,
    on: OnOption = None,
) -> None:
    """Send events, one a line; only the records that failed are sent again."""
    from lakelet.cli.sending import send_file

    send_file(file, stream=stream, data=data, endpoint_url=endpoint_url, on=on)


def query(
    sql: Annotated[
        str | None, typer.Argument(help="Athena SQL; read from standard input if absent or -.")
    ] = None,
    data: DataOption = None,
    format: FormatOption = None,  # noqa: A002
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write to a file, not to the terminal.")
    ] = None,
    database: Annotated[
        str | None, typer.Option(help="By default the pipeline's own database.")
    ] = None,
    cost: Annotated[
        bool, typer.Option("--cost", help="Only say what it would scan and cost on Athena.")
    ] = False,
    on: OnOption = None,
) -> None:
    """Ask the lake in SQL."""
    import time

    from lakelet.cli import render

    text = sys.stdin.read() if sql in (None, "-") else sql
    if not text or not text.strip():
        raise typer.BadParameter('no SQL: lakelet query "SELECT …", or on standard input')
    if cost:
        from lakelet.cli.watching import draw_query_cost

        with reach(data, on) as lake:
            report = lake.call("query_cost", sql=text, database=database)
        draw_query_cost(render.stdout(), report)
        return
    started = time.monotonic()
    with reach(data, on) as lake:
        answer = lake.query(text, database=database)
    wanted = format or (_format_of(output) if output else "table")
    if wanted != "table":
        _write(answer, wanted, output)
        return
    console = render.stdout()
    if answer.num_columns:
        render.answer(console, answer)
    hidden = answer.num_rows - render.ROWS_SHOWN_MAX
    more = f"; {hidden:,} more with --format csv" if hidden > 0 else ""
    plural = "" if answer.num_rows == 1 else "s"
    console.print(
        f"[dim]{answer.num_rows:,} row{plural} in {time.monotonic() - started:.2f} s{more}[/dim]"
    )


def _format_of(output: Path | None) -> str:
    suffix = output.suffix.lstrip(".") if output else "csv"
    return {"parquet": "parquet", "json": "json", "ndjson": "json"}.get(suffix, "csv")


def _write(table: "pa.Table", format_name: str, output: Path | None) -> None:
    import contextlib

    with contextlib.ExitStack() as stack:
        sink: Any = stack.enter_context(output.open("wb")) if output else sys.stdout.buffer
        if format_name == "parquet":
            import pyarrow.parquet as pq

            if output is None and sys.stdout.isatty():
                raise typer.BadParameter("Parquet is binary: add --output FILE")
            pq.write_table(table, sink, compression="snappy")
        elif format_name == "csv":
            from pyarrow import csv

            csv.write_csv(table, sink)
        else:
            import json

            for batch in table.to_batches(max_chunksize=10_000):
                for row in batch.to_pylist():
                    line = json.dumps(row, ensure_ascii=False, default=str)
                    sink.write(line.encode() + b"\n")
        sink.flush()


def generate(
    count: Annotated[int, typer.Argument(min=0, help="How many records.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A file; .gz is compressed.")
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same shop.")] = 7,
    days: Annotated[float, typer.Option(min=0.001, help="Event times reach back so far.")] = 3.0,
    until: Annotated[
        str | None, typer.Option(help="The last instant (ISO 8601); now by default.")
    ] = None,
    broken: Annotated[
        float, typer.Option(min=0, max=1, help="Share that cannot become rows.")
    ] = 0.005,
    late: Annotated[float, typer.Option(min=0, max=1, help="Share that comes late.")] = 0.02,
    duplicate: Annotated[float, typer.Option(min=0, max=1, help="Share sent twice.")] = 0.01,
) -> None:
    """Make believable clickstream traffic (NDJSON)."""
    import contextlib
    import gzip
    import itertools
    from datetime import UTC, datetime

    from lakelet.testing.traffic import TrafficMix, generate

    try:
        last = datetime.fromisoformat(until) if until else None
    except ValueError as error:
        raise typer.BadParameter(f"{until!r} is not ISO 8601", param_hint="--until") from error
    if last is not None:
        last = last.astimezone(UTC) if last.tzinfo else last.replace(tzinfo=UTC)
    records = generate(
        count,
        seed=seed,
        days=days,
        until=last,
        mix=TrafficMix(late=late, duplicate=duplicate, broken=broken),
    )
    with contextlib.ExitStack() as stack:
        sink: Any = sys.stdout.buffer
        if output:
            opener = gzip.open if output.suffix == ".gz" else open
            sink = stack.enter_context(opener(output, "wb"))
        while chunk := list(itertools.islice(records, 2_000)):
            sink.write(b"\n".join(chunk) + b"\n")
        sink.flush()


def transform(
    source: Annotated[Path, typer.Argument(help="A file or a folder of raw objects.")],
    target: Annotated[Path, typer.Argument(help="The folder to write Parquet to.")],
    config: Annotated[Path | None, typer.Option(help="The declaration (lakelet.toml).")] = None,
) -> None:
    """Turn raw files into partitioned Parquet, without a node."""
    from lakelet.cli.transforming import transform_files

    transform_files(source, target, config)


def crawl(data: DataOption = None, on: OnOption = None) -> None:
    """Discover what lies in the transformed zone: tables, columns, partitions."""
    from lakelet.cli import render

    with reach(data, on) as lake:
        lines = lake.crawl()
    console = render.stdout()
    for line in lines:
        console.print(line, markup=False)


def flush(data: DataOption = None) -> None:
    """Deliver, transform and crawl what is buffered, without waiting for the interval."""
    from lakelet.node.connect import connect

    with connect(data) as lake:
        lake.flush()


def audit(
    data: DataOption = None,
    day: Annotated[str | None, typer.Option(help="One day of arrival, YYYY-MM-DD.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
    on: OnOption = None,
) -> None:
    """Add the ledger up; exit status 1 if a single record is unaccounted for."""
    import json

    from lakelet.cli import render

    with reach(data, on) as lake:
        report = lake.audit(day=day)
    if as_json:
        print(json.dumps(report, indent=1))
    else:
        render.audit(render.stdout(), report)
    if not report["balanced"]:
        raise typer.Exit(1)
