"""The two faces with a real botocore client against a Firehose on loopback."""

import asyncio
import json
import os
import subprocess
import sys
import threading

import boto3
import botocore.session
import pytest

from lakelet.producer import (
    AsyncProducer,
    BufferFull,
    Fate,
    Producer,
    ProducerClosed,
    ProducerError,
    ProducerSettings,
    RetryPolicy,
)
from lakelet.producer.delivery import Answered, Refusal
from lakelet.producer.firehose import classify, read_answer
from lakelet.producer.records import BILLING_STEP_BYTES
from tests.producer.fakes import DOWN, NO_SUCH_STREAM, failing, firehose_server

PATIENCE_SECONDS = 20
NO_RETRY = RetryPolicy(attempts_max=1)


@pytest.fixture(autouse=True)
def credentials(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")


@pytest.fixture
def firehose():
    with firehose_server() as fake:
        yield fake


def events(fake):
    return [json.loads(line) for data in fake.stream.arrived for line in data.splitlines()]


def test_events_go_signed_and_come_whole(firehose):
    with Producer("clicks", endpoint_url=firehose.url) as producer:
        producer.send({"event_type": "page_view", "event_id": "e1", "timestamp": 1770000000})
        assert producer.send_many([{"event_type": "search"}, '{"event_type":"login"}']) == 2
        producer.flush(PATIENCE_SECONDS)
        assert producer.stats.acknowledged == 3
    assert [event["event_type"] for event in events(firehose)] == ["page_view", "search", "login"]
    assert events(firehose)[0]["event_id"] == "e1"
    assert len(events(firehose)[1]["event_id"]) == 36
    assert set(firehose.stream_names) == {"clicks"}
    assert firehose.headers[0]["Authorization"].startswith("AWS4-HMAC-SHA256 Credential=testing/")
    assert firehose.headers[0]["X-Amz-Target"] == "Firehose_20150804.PutRecordBatch"


@pytest.mark.parametrize("kind", ["botocore session", "boto3 session", "client"])
def test_whatever_the_caller_has_of_botocore_will_do(firehose, kind):
    options = {
        "botocore session": lambda: {"session": botocore.session.get_session()},
        "boto3 session": lambda: {"session": boto3.session.Session()},
        "client": lambda: {"client": boto3.client("firehose", endpoint_url=firehose.url)},
    }[kind]()
    with Producer("clicks", endpoint_url=firehose.url, **options) as producer:
        producer.send({"a": 1})
    assert len(events(firehose)) == 1


def test_a_partial_failure_resends_just_what_failed_with_the_same_id(firehose):
    firehose.stream.script = [failing(0, 2), failing(1)]
    settings = ProducerSettings(linger_seconds=1e9)
    with Producer("clicks", settings, endpoint_url=firehose.url, wait=lambda _: None) as producer:
        for number in range(4):
            producer.send({"n": number})
    first, second, third = firehose.stream.requests
    assert second == [first[0], first[2]]
    assert third == [first[2]]
    assert [event["n"] for event in events(firehose)] == [1, 3, 0, 2]


def test_botocore_adds_no_retries_of_its_own(firehose):
    firehose.stream.script = [DOWN, DOWN]
    waits = []
    with Producer("clicks", endpoint_url=firehose.url, wait=waits.append) as producer:
        producer.send({"n": 1})
    assert len(firehose.stream.requests) == 3
    assert len(waits) == 2


def test_no_connection_no_stream_and_no_credentials_end_on_disk(firehose, tmp_path, monkeypatch):
    settings = ProducerSettings(spool_folder=tmp_path, retry=NO_RETRY)
    codes = []

    def told(failure):
        assert failure.fate is Fate.SPOOLED
        codes.append(failure.error.code)

    def send_to(url):
        with Producer(
            "clicks", settings, endpoint_url=url, on_error=told, wait=lambda _: None
        ) as producer:
            producer.send({"url": url})

    send_to("http://127.0.0.1:1")
    firehose.stream.then = NO_SUCH_STREAM
    send_to(firehose.url)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    send_to(firehose.url)
    assert set(codes) == {"producer.stream_unavailable", "producer.stream_refused"}
    assert len(list(tmp_path.glob("*/*/*.spool"))) == 3


def test_packing_is_seen_by_the_service_as_few_records(firehose):
    settings = ProducerSettings(pack_bytes=BILLING_STEP_BYTES, linger_seconds=1e9)
    with Producer("clicks", settings, endpoint_url=firehose.url) as producer:
        producer.send_many({"n": n, "pad": "x" * 300} for n in range(100))
    assert len(firehose.stream.arrived) < 12
    assert [event["n"] for event in events(firehose)] == list(range(100))


def test_packing_without_a_delimiter_is_refused():
    from lakelet.producer import Encoding

    with pytest.raises(ValueError, match="delimiter"):
        ProducerSettings(pack_bytes=5120, encoding=Encoding(delimiter=b""))


def test_a_name_that_is_no_stream_is_refused_before_anything_starts():
    with pytest.raises(ProducerError, match="no delivery stream's name"):
        Producer("../../etc")


def test_after_a_fork_the_child_is_told_to_make_its_own(firehose, monkeypatch):
    with Producer("clicks", endpoint_url=firehose.url) as producer:
        parent = os.getpid()
        monkeypatch.setattr(os, "getpid", lambda: parent + 1)
        with pytest.raises(ProducerClosed, match="before a fork"):
            producer.send({})
        monkeypatch.undo()
        producer.send({"n": 1})


def test_many_threads_share_one_producer(firehose):
    with Producer("clicks", endpoint_url=firehose.url) as producer:
        threads = [
            threading.Thread(
                target=lambda k=k: producer.send_many({"n": k * 1000 + i} for i in range(300))
            )
            for k in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(e["n"] for e in events(firehose)) == sorted(
        k * 1000 + i for k in range(8) for i in range(300)
    )


# --- processes that end -----------------------------------------------------------

CHILD = """
import os, signal, sys
from lakelet.producer import Producer, ProducerSettings, RetryPolicy
url, spool, how = sys.argv[1:]
settings = ProducerSettings(spool_folder=spool, retry=RetryPolicy(0.01, 0.01, 2))
producer = Producer("clicks", settings, endpoint_url=url)
producer.send_many({"n": n} for n in range(1200))
if how == "kill":
    producer.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def run_child(url, spool, how):
    return subprocess.run(
        [sys.executable, "-c", CHILD, url, str(spool), how], timeout=60, capture_output=True
    )


def test_an_ending_process_flushes(firehose, tmp_path):
    done = run_child(firehose.url, tmp_path, "end")
    assert done.returncode == 0, done.stderr
    assert [event["n"] for event in events(firehose)] == list(range(1200))
    assert list(tmp_path.glob("*/*")) == []


@pytest.mark.parametrize("how", ["end", "kill"])
def test_what_a_process_could_not_send_the_next_one_does(firehose, tmp_path, how):
    firehose.stream.then = failing(*range(0, 500, 3))
    done = run_child(firehose.url, tmp_path, how)
    assert done.returncode == (0 if how == "end" else -9), done.stderr
    held = {event["n"] for event in events(firehose)}
    assert held < set(range(1200)), "the test needs something to be left"
    firehose.stream.then = Answered({})
    done = run_child(firehose.url, tmp_path, "end")
    assert done.returncode == 0, done.stderr
    # The second process may have to leave its own; a third then finishes.
    with Producer("clicks", ProducerSettings(spool_folder=tmp_path), endpoint_url=firehose.url):
        pause = threading.Event()
        while list(tmp_path.glob("*/*/*.spool")):
            pause.wait(0.01)
    arrived = events(firehose)
    assert {event["n"] for event in arrived} == set(range(1200))
    ids = {}
    for event in arrived:
        ids.setdefault(event["event_id"], set()).add(event["n"])
    assert all(len(numbers) == 1 for numbers in ids.values())
    assert len(ids) == 2400, "two processes, each event with one id however often it came"


FLUSHING_CHILD = """
import sys
from lakelet.producer import Producer, ProducerSettings, RetryPolicy
url, spool = sys.argv[1:]
settings = ProducerSettings(spool_folder=spool, retry=RetryPolicy(0.001, 0.001, 2))
producer = Producer("clicks", settings, endpoint_url=url)
for n in range(200_000):
    producer.send({"n": n})
    if n % 7 == 6:
        producer.flush()
        print(n, flush=True)
"""


@pytest.mark.parametrize("request_number", [1, 4, 11])
def test_killed_in_the_middle_of_a_request_nothing_flushed_is_lost(
    firehose, tmp_path, request_number
):
    """The server kills its client as it answers; two requests of three fail."""
    child = subprocess.Popen(
        [sys.executable, "-c", FLUSHING_CHILD, firehose.url, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
    )
    count = iter(range(1, 100_000))

    def fail_and_kill(records):
        number = next(count)
        if number == request_number:
            child.kill()
        return Answered({}) if number % 3 == 0 else DOWN

    firehose.stream.then = fail_and_kill
    flushed = [int(line) for line in child.stdout.read().split()]
    assert child.wait(PATIENCE_SECONDS) == -9
    firehose.stream.then = Answered({})
    with Producer("clicks", ProducerSettings(spool_folder=tmp_path), endpoint_url=firehose.url):
        pause = threading.Event()
        while list(tmp_path.glob("*/*/*.spool")):
            pause.wait(0.01)
    arrived = {event["n"] for event in events(firehose)}
    assert set(range(max(flushed, default=-1) + 1)) <= arrived
    assert arrived == set(range(len(arrived))), "no hole before the last that arrived"


# --- async ------------------------------------------------------------------------


def test_async_sends_from_many_tasks(firehose):
    async def main():
        async with AsyncProducer("clicks", endpoint_url=firehose.url) as producer:
            await asyncio.gather(*(producer.send({"n": n}) for n in range(1500)))
            await producer.flush(PATIENCE_SECONDS)
            return producer.stats

    stats = asyncio.run(main())
    assert (stats.accepted, stats.acknowledged) == (1500, 1500)
    assert sorted(event["n"] for event in events(firehose)) == list(range(1500))


def test_async_waits_for_room_without_blocking_the_loop(firehose):
    gate = threading.Event()
    firehose.stream.before_answer = lambda: gate.wait(PATIENCE_SECONDS)

    async def main():
        settings = ProducerSettings(buffer_bytes_max=300)
        async with AsyncProducer("clicks", settings, endpoint_url=firehose.url) as producer:
            sends = [asyncio.ensure_future(producer.send({"n": n})) for n in range(20)]
            for _ in range(5):
                await asyncio.sleep(0)
            waiting = sum(not send.done() for send in sends)
            gate.set()
            await asyncio.gather(*sends)
            return waiting

    assert asyncio.run(main()) > 10
    assert sorted(event["n"] for event in events(firehose)) == list(range(20))


def test_async_full_buffer_raises_when_told_not_to_wait(firehose):
    gate = threading.Event()
    firehose.stream.before_answer = lambda: gate.wait(PATIENCE_SECONDS)

    async def main():
        settings = ProducerSettings(buffer_bytes_max=10, block_seconds=0)
        async with AsyncProducer("clicks", settings, endpoint_url=firehose.url) as producer:
            await producer.send({"n": 1})
            with pytest.raises(BufferFull):
                await producer.send({"n": 2})
            gate.set()

    asyncio.run(main())
    assert [event["n"] for event in events(firehose)] == [1]


# --- answers ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "status", "refusal"),
    [
        ("ServiceUnavailableException", 503, Refusal.TRANSIENT),
        ("ThrottlingException", 400, Refusal.TRANSIENT),
        ("", 502, Refusal.TRANSIENT),
        ("", 429, Refusal.TRANSIENT),
        ("InvalidArgumentException", 400, Refusal.CONTENT),
        ("RequestEntityTooLarge", 413, Refusal.CONTENT),
        ("ResourceNotFoundException", 400, Refusal.SETUP),
        ("AccessDeniedException", 403, Refusal.SETUP),
        ("ExpiredTokenException", 400, Refusal.SETUP),
        ("InvalidKMSResourceException", 400, Refusal.SETUP),
    ],
)
def test_errors_are_told_apart_by_what_helps(code, status, refusal):
    response = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    assert classify(response).refusal is refusal


def test_an_answer_that_is_not_firehoses_is_not_believed():
    assert read_answer({}, 2).refusal is Refusal.TRANSIENT
    assert read_answer({"RequestResponses": [{}, {"RecordId": "r"}]}, 2).failures.keys() == {0}
    # FailedPutCount is not looked at: the entries are what counts.
    entries = [{"RecordId": "r", "ErrorCode": "InternalFailure"}]
    assert read_answer({"FailedPutCount": 0, "RequestResponses": entries}, 1).failures
