"""How many events a second are acknowledged, side by side in one run.

    python bench/ingest.py [--seconds 3] [--rounds 3] [--folder DIR] [--only bare,lakelet]

Servers:
    bare        appends bodies as they come and fsyncs in groups: no parsing, no signatures
    lakelet     signatures, limits, log, fsync, and meanwhile delivery of all of it as .gz
    accept      the same, with delivery put off: the log alone, as the bare server
    moto, ministack   where installed (MINISTACK names its command, in a venv of its own)

The load is another process; bodies are built and signed before. Servers take turns, and the
best round of each counts: on a shared machine noise only ever slows. The bare server delivers
nothing, so `accept` is what is like it; of `lakelet` is told how much it had still to deliver
when its full load ended (the log is bounded: beyond it producers would be slowed down); that is
delivered before single records are measured, which then compete with their own delivery alone.
"""

import argparse
import contextlib
import json
import os
import pickle
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from lakelet.ingest.log import SEGMENT_SIZE_BYTES_MAX

HERE = Path(__file__).parent
KEYS = Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
STREAM = "clickstream"
BATCH = 500
WARM_SECONDS = 2.0  # what a server starts under load is there when it is measured
SERVERS = ("bare", "lakelet", "accept", "moto", "ministack")


def event(chance: random.Random, hour: str = "2026-03-09T14") -> bytes:
    """One believable event of about 500 bytes."""
    return json.dumps(
        {
            "event_id": f"{chance.getrandbits(128):032x}",
            "event_type": chance.choice(["page_view", "add_to_cart", "purchase", "search"]),
            "timestamp": f"{hour}:{chance.randrange(60):02}:{chance.randrange(60):02}Z",
            "user_id": f"u{chance.randrange(10**6):06}",
            "session_id": f"{chance.getrandbits(64):016x}",
            "page_url": f"https://shop.example/products/{chance.randrange(10**4)}?ref=mail",
            "product_id": f"p{chance.randrange(10**4)}",
            "product_name": f"Thing number {chance.randrange(10**4)}",
            "product_category": chance.choice(["books", "garden", "kitchen"]),
            "product_price": chance.randrange(100, 20000) / 100,
            "quantity": chance.randrange(1, 5),
            "device_type": chance.choice(["mobile", "desktop"]),
            "browser": "Firefox 128",
            "country": "AT",
            "city": chance.choice(["Graz", "Wien", "Linz"]),
            "referrer": "https://news.example/" + f"{chance.getrandbits(200):050x}",
        }
    ).encode()


def body_of(operation: str, records: Sequence[bytes]) -> bytes:
    from base64 import b64encode

    entries = [{"Data": b64encode(record).decode()} for record in records]
    given = {"Records": entries} if operation == "PutRecordBatch" else {"Record": entries[0]}
    return json.dumps({"DeliveryStreamName": STREAM, **given}).encode()


def raw_request(operation: str, body: bytes, port: int) -> bytes:
    """A signed request as it goes over the socket."""
    url = f"http://127.0.0.1:{port}/"
    headers = {
        "Content-Type": "application/x-amz-json-1.1",
        "X-Amz-Target": f"Firehose_20150804.{operation}",
    }
    request = AWSRequest("POST", url, headers=headers, data=body)
    SigV4Auth(KEYS, "firehose", "us-east-1").add_auth(request)
    lines = [f"{name}: {value}" for name, value in request.headers.items()]
    head = [f"POST / HTTP/1.1\r\nHost: 127.0.0.1:{port}", *lines, f"Content-Length: {len(body)}"]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def served(kind: str, folder: Path) -> Iterator[int]:
    """A server in a process of its own, ready; ended afterwards."""
    port = free_port()
    environment = {
        **os.environ,
        "AWS_ACCESS_KEY_ID": KEYS.access_key,
        "AWS_SECRET_ACCESS_KEY": KEYS.secret_key,
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
    }
    command = {
        **{
            own: [sys.executable, str(HERE / "ingest_servers.py"), own, str(port), str(folder)]
            for own in ("bare", "lakelet", "accept")
        },
        "moto": [shutil.which("moto_server") or "moto_server", "-H", "127.0.0.1", "-p", str(port)],
        "ministack": [os.environ.get("MINISTACK", "ministack")],
    }[kind]
    log = (folder / "server.log").open("wb")
    process = subprocess.Popen(
        command, env=environment, stdout=log, stderr=subprocess.STDOUT, cwd=folder
    )
    try:
        wait_until_open(port, process, folder / "server.log")
        if kind in ("moto", "ministack"):
            prepare_emulator(port)
        yield port
    finally:
        process.terminate()
        process.wait(20)


def wait_until_open(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(600):
        if process.poll() is not None:
            raise SystemExit(f"the server ended:\n{log.read_text()[-2000:]}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)
    raise SystemExit(f"the server never opened its port:\n{log.read_text()[-2000:]}")


def prepare_emulator(port: int) -> None:
    import boto3

    given = {
        "endpoint_url": f"http://127.0.0.1:{port}",
        "region_name": "us-east-1",
        "aws_access_key_id": KEYS.access_key,
        "aws_secret_access_key": KEYS.secret_key,
    }
    for _ in range(100):
        try:
            boto3.client("s3", **given).create_bucket(Bucket="raw")
            break
        except Exception:
            time.sleep(0.1)
    boto3.client("firehose", **given).create_delivery_stream(
        DeliveryStreamName=STREAM,
        ExtendedS3DestinationConfiguration={
            "RoleARN": "arn:aws:iam::000000000000:role/firehose",
            "BucketARN": "arn:aws:s3:::raw",
            "BufferingHints": {"SizeInMBs": 5, "IntervalInSeconds": 60},
        },
    )


def load(
    port: int, operation: str, bodies: Sequence[bytes], folder: Path, **options: float
) -> dict[str, float]:
    requests = folder / "requests.pickle"
    requests.write_bytes(pickle.dumps([raw_request(operation, body, port) for body in bodies]))
    flags = [f"--{name}={value}" for name, value in options.items()]
    done = subprocess.run(
        [sys.executable, str(HERE / "ingest_load.py"), str(requests), str(port), *flags],
        check=True,
        capture_output=True,
    )
    result: dict[str, float] = json.loads(done.stdout)
    if result["failed"]:
        print(f"  {result['failed']:g} requests were refused", file=sys.stderr)
    return result


def available(kind: str) -> bool:
    if kind == "moto":
        return shutil.which("moto_server") is not None
    if kind == "ministack":
        return bool(os.environ.get("MINISTACK") or shutil.which("ministack"))
    return True


def measure(kind: str, seconds: float, root: Path) -> dict[str, float]:
    """One server, all loads. Events a second, and latencies in ms."""
    chance = random.Random(2026)
    batches = [body_of("PutRecordBatch", [event(chance) for _ in range(BATCH)]) for _ in range(24)]
    singles = [body_of("PutRecord", [event(chance)]) for _ in range(64)]
    folder = Path(tempfile.mkdtemp(dir=root, prefix=f"{kind}-"))
    found: dict[str, float] = {}
    with served(kind, folder) as port:
        load(port, "PutRecordBatch", batches, folder, seconds=WARM_SECONDS, connections=8)
        full = load(port, "PutRecordBatch", batches, folder, seconds=seconds, connections=8)
        found["batch_events"] = full["requests"] * BATCH / full["seconds"]
        found["batch_p99_ms"] = full["p99_ms"]
        if kind == "lakelet":
            found |= {"behind_mb": log_bytes(folder) / 1e6, "seconds": full["seconds"]}
        if kind in ("bare", "lakelet", "accept"):
            half = full["requests"] / full["seconds"] / 2
            calm = load(
                port, "PutRecordBatch", batches, folder, seconds=seconds, connections=8, rate=half
            )
            found["half_p50_ms"], found["half_p99_ms"] = calm["p50_ms"], calm["p99_ms"]
        wait_until_delivered(kind, folder)
        one = load(port, "PutRecord", singles, folder, seconds=seconds, connections=64)
        found["single_events"] = one["requests"] / one["seconds"]
        found["single_p99_ms"] = one["p99_ms"]
    shutil.rmtree(folder, ignore_errors=True)
    return found


def log_bytes(folder: Path) -> int:
    """What is accepted and not delivered; whole segments, so up to 32 MiB too much."""
    size_bytes = 0
    for segment in folder.glob("streams/*/*.seg"):
        with contextlib.suppress(FileNotFoundError):  # delivered meanwhile
            size_bytes += segment.stat().st_size
    return size_bytes


def wait_until_delivered(kind: str, folder: Path) -> None:
    """But for the segment that is being written."""
    deadline = time.monotonic() + 60
    while kind == "lakelet" and log_bytes(folder) > SEGMENT_SIZE_BYTES_MAX * 1.25:
        if time.monotonic() > deadline:
            raise SystemExit("the backlog of the batches was not delivered in a minute")
        time.sleep(0.1)


def better(known: dict[str, float] | None, found: dict[str, float]) -> dict[str, float]:
    """Column by column: most events, least milliseconds, longest backlog."""
    if known is None:
        return found
    return {k: (min if k.endswith("_ms") else max)(v, known[k]) for k, v in found.items()}


def report(found: dict[str, dict[str, float]]) -> None:
    heads = ("batch ev/s", "p99 ms", "half p99", "single ev/s", "p99 ms")
    print("\n" + " " * 12 + "".join(f"{head:>13}" for head in heads))
    for kind, row in found.items():
        half = f"{row['half_p99_ms']:.1f}" if "half_p99_ms" in row else "-"
        print(
            f"{kind:12}{row['batch_events']:13,.0f}{row['batch_p99_ms']:13.1f}{half:>13}"
            f"{row['single_events']:13,.0f}{row['single_p99_ms']:13.1f}"
        )
    print()
    if "lakelet" in found:
        seconds = f"after {found['lakelet']['seconds']:.0f} s of full load"
        print(f"lakelet had {found['lakelet']['behind_mb']:,.0f} MB left to deliver {seconds}")
    for ours in ("lakelet", "accept"):
        for kind, row in found.items():
            if ours in found and kind not in ("lakelet", "accept"):
                batch = found[ours]["batch_events"] / row["batch_events"]
                single = found[ours]["single_events"] / row["single_events"]
                print(f"{ours} / {kind}: batches {batch:.2f}, singles {single:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3, help="of each load")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="on the disk to measure; a temporary one")
    parser.add_argument("--only", default=",".join(SERVERS), help="servers, comma-separated")
    arguments = parser.parse_args()
    kinds = arguments.only.split(",")
    for kind in [kind for kind in kinds if not available(kind)]:
        print(f"{kind}: not installed, left out", file=sys.stderr)
        kinds.remove(kind)
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory(dir=arguments.folder) as root:
        for number in range(arguments.rounds):
            for kind in kinds:
                print(f"round {number + 1}, {kind} …", file=sys.stderr, flush=True)
                found[kind] = better(found.get(kind), measure(kind, arguments.seconds, Path(root)))
    report(found)


if __name__ == "__main__":
    main()
