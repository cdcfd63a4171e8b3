"""The fast way answers as the general one does: the same bytes are sent both ways."""

import asyncio
import base64
import contextlib
import gzip
import hashlib
import itertools
import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from lakelet.ingest.gate import Faults
from lakelet.model.pipeline import Pipeline
from lakelet.node.ingestion import Ingestion
from lakelet.store.clock import SystemClock
from lakelet.testing.files import FaultyFileSystem
from lakelet.wire import credentials as node_keys
from lakelet.wire import firehose_fast
from lakelet.wire.app import Served, build_app
from lakelet.wire.firehose import firehose_service
from lakelet.wire.firehose_fast import FastPuts
from lakelet.wire.put_bodies import ReadBody, split_batch
from lakelet.wire.server import ServerThread
from tests.ingest.fakes import FakeStore, wait_until

KEYS = Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
HOST = "firehose.example"


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def one(**members) -> bytes:
    given = {"DeliveryStreamName": "clickstream", "Record": {"Data": b64(b"x")}, **members}
    return json.dumps(given).encode()


def batch(*records: bytes, **members) -> bytes:
    entries = [{"Data": b64(record)} for record in records]
    return json.dumps({"DeliveryStreamName": "clickstream", "Records": entries, **members}).encode()


def request(
    body: bytes,
    operation: str = "PutRecord",
    *,
    path: str = "/",
    extra: dict[str, str] | None = None,
    late: dict[str, str] | None = None,
    version: str = "1.1",
    keys: Credentials | None = KEYS,
    sent: bytes | None = None,
) -> bytes:
    """A signed request. `late` headers are added after signing, `sent` replaces the body."""
    headers = {
        "Host": HOST,
        "Content-Type": "application/x-amz-json-1.1",
        "X-Amz-Target": f"Firehose_20150804.{operation}",
        **(extra or {}),
    }
    signed = AWSRequest("POST", f"http://{HOST}{path}", headers=headers, data=body)
    if keys:
        SigV4Auth(keys, "firehose", "us-east-1").add_auth(signed)
    lines = [f"{name}: {value}" for name, value in signed.headers.items()]
    lines += [f"{name}: {value}" for name, value in (late or {}).items()]
    if "transfer-encoding" not in (late or {}):
        lines.append(f"Content-Length: {len(body)}")
    head = "\r\n".join([f"POST {path} HTTP/{version}", *lines])
    return head.encode() + b"\r\n\r\n" + (body if sent is None else sent)


def chunked(body: bytes) -> bytes:
    return b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


def read_answer(stream) -> Answer:
    line = stream.readline()
    if line.startswith(b"HTTP/1.1 100"):
        stream.readline()
        line = stream.readline()
    status = int(line.split()[1])
    headers = {}
    while (header := stream.readline()) != b"\r\n":
        name, _, value = header.decode().partition(":")
        headers[name.lower()] = value.strip()
    return Answer(status, headers, stream.read(int(headers["content-length"])))


def exchange(port: int, *requests: bytes) -> list[Answer]:
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall(b"".join(requests))
        with connection.makefile("rb") as stream:
            return [read_answer(stream) for _ in requests]


def comparable(answer: Answer) -> tuple[int, dict[str, str], bytes]:
    """Without what differs from request to request: ids, positions, the date."""
    headers = {k: v for k, v in answer.headers.items() if k != "date"}
    assert re.fullmatch(r"[0-9a-f-]{36}", headers.pop("x-amzn-requestid"))
    return answer.status, headers, re.sub(rb"[0-9a-f]{48}|\d{20}", b"<id>", answer.body)


class LateReader:
    """Reads bodies as the process does that is started under load, and answers later."""

    def __init__(self) -> None:
        self.read_count = 0
        self.may_answer = threading.Event()
        self.may_answer.set()

    def read(self, parts, size_bytes, answer) -> bool:
        body = b"".join(parts)
        assert len(body) == size_bytes
        usual = split_batch(body)
        sha256 = hashlib.sha256(body).hexdigest().encode()
        found = ReadBody(sha256, *usual) if usual else None
        self.read_count += 1
        loop = asyncio.get_running_loop()

        def wait() -> None:
            self.may_answer.wait(10)
            loop.call_soon_threadsafe(answer, found)

        threading.Timer(0.01, wait).start()
        return True

    def note_own_work(self, seconds: float) -> None:
        raise AssertionError("every large body goes to the reader")


class Node:
    """One ingestion behind both ways."""

    def __init__(self, reader: LateReader | None = None) -> None:
        self.reader = reader
        self.disk = FaultyFileSystem()
        self.ingestion = Ingestion(
            Pipeline(),
            files=self.disk,
            store=FakeStore(),
            clock=SystemClock(),
            folder=None,
            undelivered_bytes_max=20_000_000,
        )
        self.ingestion.start()
        clock, keys = SystemClock(), node_keys.Credentials(KEYS.access_key, KEYS.secret_key)
        self.served: list[Served] = []
        app = build_app(
            {"firehose": firehose_service(self.ingestion)},
            credentials=keys,
            clock=clock,
            observer=self.served.append,
        )
        fast = FastPuts(
            self.ingestion,
            credentials=keys,
            clock=clock,
            observer=self.served.append,
            reader=reader,
        )
        self.general = ServerThread(app).start()
        self._app, self._protocol = app, fast.http_protocol()
        self.fast = self.another_fast()

    def another_fast(self) -> ServerThread:
        return ServerThread(self._app, http_protocol=self._protocol).start()

    def close(self) -> None:
        self.general.stop()
        self.fast.stop()
        self.ingestion.close(drain=False)


@pytest.fixture(scope="module", params=[False, True], ids=["in the loop", "elsewhere"])
def shared(request) -> Iterator[Node]:
    with contextlib.closing(Node(LateReader() if request.param else None)) as node:
        yield node


READ_ELSEWHERE = pytest.mark.parametrize("shared", [True], indirect=True)


@pytest.fixture
def node(shared):
    yield shared
    shared.disk.heal()
    shared.ingestion.set_faults("clickstream", Faults())


@pytest.fixture
def taken(monkeypatch):
    """Whether the fast way took a request, request by request."""
    outcomes: list[bool] = []
    real = FastPuts.judge

    def spy(self, *request):
        put = real(self, *request)
        outcomes.append(put is not None)
        return put

    real_read = FastPuts.judge_read

    def spy_read(self, *request):
        put = real_read(self, *request)
        outcomes.extend([True] if put else [])  # else it is judged once more
        return put

    monkeypatch.setattr(FastPuts, "judge", spy)
    monkeypatch.setattr(FastPuts, "judge_read", spy_read)
    return outcomes


WRONG_KEYS = Credentials(KEYS.access_key, "x" * 40)
UNKNOWN_KEYS = Credentials("AKIAAAAAAAAAAAAAAAAA", KEYS.secret_key)

# name, request, taken by the fast way (None: not even looked at)
CASES = [
    ("one record", request(one()), True),
    ("an empty record", request(one(Record={"Data": ""})), True),
    ("a batch", request(batch(b"a", b"b", b""), "PutRecordBatch"), True),
    ("500 records", request(batch(*[b"r%d" % i for i in range(500)]), "PutRecordBatch"), True),
    ("a payload hash", request(one(), extra={"X-Amz-Content-SHA256": "0" * 64}), False),
    ("members we don't know", request(one(Surprise=1)), True),
    ("an unknown stream", request(one(DeliveryStreamName="nope")), True),
    ("over 4 MiB", request(batch(*[b"x" * 900_000] * 5), "PutRecordBatch"), True),
    ("501 records", request(batch(*[b""] * 501), "PutRecordBatch"), False),
    ("no records", request(batch(), "PutRecordBatch"), False),
    ("a record too large", request(one(Record={"Data": b64(b"x" * 1_024_001)})), False),
    ("no Base64", request(one(Record={"Data": "%%%"})), False),
    ("a record missing", request(b'{"DeliveryStreamName":"clickstream"}'), False),
    ("a bad name", request(one(DeliveryStreamName="a b")), False),
    ("null", request(one(Record=None)), False),
    ("no JSON", request(b"{"), False),
    ("no body", request(b""), False),
    ("a wrong secret", request(one(), keys=WRONG_KEYS), False),
    ("an unknown key", request(one(), keys=UNKNOWN_KEYS), False),
    ("no signature", request(one(), keys=None), False),
    ("another body", request(one(), sent=one()[:-2] + b" }"), False),
    ("an unsigned header", request(one(), late={"x-amz-security": "y"}), False),
    ("another path", request(one(), path="/there"), None),
    ("a query", request(one(), path="/?a=1"), None),
    (
        "gzip",
        request(gzip.compress(one(), mtime=0), extra={"content-encoding": "gzip"}),
        None,
    ),
    ("chunks", request(one(), late={"transfer-encoding": "chunked"}, sent=chunked(one())), None),
    ("HTTP/1.0", request(one(), version="1.0"), None),
    ("connection: close", request(one(), late={"connection": "close"}), None),
    ("expect", request(one(), late={"expect": "100-continue"}), None),
    ("another operation", request(b"{}", "ListDeliveryStreams"), None),
    ("an unknown operation", request(b"{}", "PutRecords"), None),
]


@pytest.mark.parametrize(
    ("sent", "is_taken"), [case[1:] for case in CASES], ids=[c[0] for c in CASES]
)
def test_both_ways_answer_the_same(node, taken, sent, is_taken) -> None:
    (general,) = exchange(node.general.port, sent)
    (fast,) = exchange(node.fast.port, sent)
    assert comparable(fast) == comparable(general)
    assert taken == ([] if is_taken is None else [is_taken])


def test_a_payload_hash_that_holds_goes_the_fast_way(node, taken) -> None:
    sha256 = hashlib.sha256(one()).hexdigest()
    sent = request(one(), extra={"X-Amz-Content-SHA256": sha256})
    (general,) = exchange(node.general.port, sent)
    (fast,) = exchange(node.fast.port, sent)
    assert comparable(fast) == comparable(general)
    assert fast.status == 200
    assert taken == [True]


@pytest.mark.parametrize("operation", ["PutRecord", "PutRecordBatch"])
def test_errors_of_the_log_and_of_the_gate(node, taken, operation) -> None:
    sent = request(one() if operation == "PutRecord" else batch(b"a", b"b"), operation)
    answers = []
    for port in (node.general.port, node.fast.port):
        node.disk.capacity_bytes = 0
        (full,) = exchange(port, sent)
        node.disk.heal()
        node.ingestion.set_faults("clickstream", Faults(fail_count=1, fail_of=2, seed=1))
        (faulty, well) = exchange(port, sent)[0], exchange(port, sent)[0]
        node.ingestion.set_faults("clickstream", Faults())
        answers.append([comparable(each) for each in (full, faulty, well)])
    assert answers[0] == answers[1]
    assert answers[0][0][0] == 503
    assert taken == [True] * 3


def test_requests_in_a_row_and_pipelined_ones_are_answered_in_order(node) -> None:
    mixed = [
        request(batch(b"a"), "PutRecordBatch"),
        request(b"{}", "ListDeliveryStreams"),
        request(one()),
        request(one(DeliveryStreamName="nope")),
        request(batch(b"a", b"b"), "PutRecordBatch"),
    ]
    general = exchange(node.general.port, *mixed)
    fast = exchange(node.fast.port, *mixed)
    assert [comparable(each) for each in fast] == [comparable(each) for each in general]
    assert [each.status for each in fast] == [200, 200, 200, 400, 200]


# --- large batches go past the parser ------------------------------------------------

LARGE = batch(*[b"%d" % i * 150 for i in range(500)])
LARGE_CASES = {
    "a batch": (request(LARGE, "PutRecordBatch"), True),
    "spelled otherwise": (
        request(LARGE.replace(b'{"Data"', b'{ "Data"', 9), "PutRecordBatch"),
        True,
    ),
    "an unknown stream": (request(LARGE.replace(b"clickstream", b"nope"), "PutRecordBatch"), True),
    "over 4 MiB": (request(batch(*[b"x" * 900_000] * 5), "PutRecordBatch"), True),
    "a wrong secret": (request(LARGE, "PutRecordBatch", keys=WRONG_KEYS), False),
    "another body": (request(LARGE, "PutRecordBatch", sent=LARGE.replace(b"M", b"N", 1)), False),
    "no JSON": (request(LARGE[:-1] + b"x", "PutRecordBatch"), False),
    "no Base64": (request(LARGE.replace(b"MDAw", b"%%%%", 1), "PutRecordBatch"), False),
    "a large record": (request(one(Record={"Data": b64(b"x" * 200_000)})), True),
    "another path": (request(LARGE, "PutRecordBatch", path="/there"), None),
    "connection: close": (
        request(LARGE, "PutRecordBatch", late={"connection": "close"}),
        None,
    ),
    "an upgrade": (
        request(LARGE, "PutRecordBatch", late={"connection": "upgrade", "upgrade": "h2c"}),
        None,
    ),
}


@pytest.mark.parametrize(("sent", "is_taken"), LARGE_CASES.values(), ids=LARGE_CASES)
def test_large_requests_are_answered_the_same_both_ways(node, taken, sent, is_taken) -> None:
    (general,) = exchange(node.general.port, sent)
    (fast,) = exchange(node.fast.port, sent)
    assert comparable(fast) == comparable(general)
    assert taken == ([] if is_taken is None else [is_taken])


@pytest.mark.parametrize("is_pipelined", [True, False])
@pytest.mark.parametrize("sizes", [[50_000], [900, 70_000, 3], [400_000, 7, 1_000_000]])
def test_requests_cut_anywhere(node, taken, sizes, is_pipelined) -> None:
    """Large ones and small ones on one connection, in pieces that heed no request's bounds."""
    large, small = request(LARGE, "PutRecordBatch"), request(one())
    refused = request(LARGE, "PutRecordBatch", keys=WRONG_KEYS)
    requests = [large, small, refused, large, large, request(b"{}", "ListDeliveryStreams"), small]
    turns = [requests] if is_pipelined else [[each] for each in requests]
    answers: list[list[Answer]] = []
    for port in (node.general.port, node.fast.port):
        answers.append([])
        with socket.create_connection(("127.0.0.1", port), 10) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with connection.makefile("rb") as replies:
                for turn in turns:
                    for piece in pieces(b"".join(turn), sizes):
                        connection.sendall(piece)
                    answers[-1] += [comparable(read_answer(replies)) for _ in turn]
    assert answers[1] == answers[0]
    assert is_pipelined or taken == [True, True, False, True, True, True]


def pieces(stream: bytes, sizes: list[int]) -> Iterator[bytes]:
    at = 0
    for size in itertools.cycle(sizes):
        if at >= len(stream):
            return
        yield stream[at : at + size]
        at += size


def test_small_requests_byte_by_byte(node, taken) -> None:
    stream = request(one()) + request(batch(b"a", b"b"), "PutRecordBatch")
    with socket.create_connection(("127.0.0.1", node.fast.port), 10) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces(stream, [1]):
            connection.sendall(piece)
        with connection.makefile("rb") as replies:
            assert [read_answer(replies).status for _ in range(2)] == [200, 200]


def test_a_body_in_single_bytes_takes_no_more_room_than_one_in_large_pieces() -> None:
    body = bytes(range(256)) * 300
    parts: list[bytes | bytearray | memoryview] = [b"begun"]
    for at in range(40_000):
        firehose_fast._keep(parts, memoryview(body)[at : at + 1])
    firehose_fast._keep(parts, memoryview(body)[40_000:70_000])
    for at in range(70_000, len(body)):
        firehose_fast._keep(parts, memoryview(body)[at : at + 1])
    assert b"".join(parts) == b"begun" + body
    assert len(parts) == 4


def test_records_arrive_in_order_and_whole(node) -> None:
    first = node.ingestion.position_next("clickstream")
    exchange(node.fast.port, request(LARGE, "PutRecordBatch"))
    found = node.ingestion.tail("clickstream", first, first + 500)
    assert [record for _, record in found] == [b"%d" % i * 150 for i in range(500)]


def test_a_sender_that_leaves_in_a_large_body_harms_nobody(node) -> None:
    sent = request(LARGE, "PutRecordBatch")
    before = node.ingestion.position_next("clickstream")
    for size in (len(sent) - 1, len(sent) // 2, 40_000):
        with socket.create_connection(("127.0.0.1", node.fast.port), 10) as connection:
            connection.sendall(sent[:size])
    (after,) = exchange(node.fast.port, request(one()))
    assert after.status == 200
    assert node.ingestion.position_next("clickstream") == before + 1


def test_what_a_sender_sent_whole_before_it_left_is_taken(node, caplog) -> None:
    before = node.ingestion.position_next("clickstream")
    for keys in (KEYS, WRONG_KEYS):
        with socket.create_connection(("127.0.0.1", node.fast.port), 10) as connection:
            connection.sendall(request(LARGE, "PutRecordBatch", keys=keys))
    wait_until(lambda: node.ingestion.position_next("clickstream") == before + 500)
    (after,) = exchange(node.fast.port, request(LARGE, "PutRecordBatch"))
    assert after.status == 200
    assert [each for each in caplog.records if each.levelname == "ERROR"] == []


@READ_ELSEWHERE
def test_a_sender_is_held_while_its_body_is_read(node) -> None:
    """What it sends meanwhile doesn't fill the memory, and is answered in its turn."""
    node.reader.may_answer.clear()
    large = request(LARGE, "PutRecordBatch")
    with socket.create_connection(("127.0.0.1", node.fast.port), 10) as connection:
        connection.settimeout(0.5)
        sent = 0
        with pytest.raises(TimeoutError):
            for _ in range(1000):
                connection.sendall(large)
                sent += 1
        node.reader.may_answer.set()
        connection.settimeout(10)
        with connection.makefile("rb") as replies:
            assert [read_answer(replies).status for _ in range(sent)] == [200] * sent


@READ_ELSEWHERE
@pytest.mark.parametrize(("keys", "status"), [(KEYS, 200), (WRONG_KEYS, 400)])
def test_a_server_that_stops_answers_what_is_being_read(node, keys, status) -> None:
    node.reader.may_answer.clear()
    read_count = node.reader.read_count
    server = node.another_fast()
    with socket.create_connection(("127.0.0.1", server.port), 10) as connection:
        connection.sendall(request(LARGE, "PutRecordBatch", keys=keys))
        wait_until(lambda: node.reader.read_count > read_count)
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        wait_until(lambda: refuses_connections(server.port))
        node.reader.may_answer.set()
        with connection.makefile("rb") as replies:
            assert read_answer(replies).status == status
            assert replies.read() == b""
        stopping.join(10)


def test_a_server_that_stops_answers_what_it_took(node, monkeypatch) -> None:
    begun, may_go_on = threading.Event(), threading.Event()
    real = node.ingestion.submit

    def slow(*put) -> None:
        def go_on() -> None:
            may_go_on.wait(10)
            real(*put)

        begun.set()
        threading.Thread(target=go_on).start()

    monkeypatch.setattr(node.ingestion, "submit", slow)
    server = node.another_fast()
    with socket.create_connection(("127.0.0.1", server.port), 10) as connection:
        connection.sendall(request(LARGE, "PutRecordBatch"))
        begun.wait(10)
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        wait_until(lambda: refuses_connections(server.port))
        may_go_on.set()
        with connection.makefile("rb") as replies:
            assert read_answer(replies).status == 200
            assert replies.read() == b""
        stopping.join(10)


def test_a_connection_is_closed_when_it_rested_too_long_and_not_before(node, monkeypatch) -> None:
    monkeypatch.setattr("lakelet.wire.server.KEEP_ALIVE_SECONDS", 4)
    server = node.another_fast()
    put = request(one())
    with (
        contextlib.ExitStack() as at_end,
        socket.create_connection(("127.0.0.1", server.port), 10) as connection,
        connection.makefile("rb") as replies,
    ):
        at_end.callback(server.stop)
        for _ in range(3):  # past the timer of the first, which rings in between
            connection.sendall(put)
            assert read_answer(replies).status == 200
            time.sleep(2.4)  # the event loop's own timers: there is no clock to move
        assert replies.read() == b""


def refuses_connections(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return True
    return False


def test_an_error_that_nobody_foresaw_is_answered_the_general_way(node, monkeypatch) -> None:
    monkeypatch.setattr(firehose_fast, "split_batch", lambda _body: 1 // 0)
    (fast,) = exchange(node.fast.port, request(LARGE, "PutRecordBatch"))
    assert fast.status == 200


def test_a_client_that_leaves_harms_nobody(node) -> None:
    before = node.ingestion.position_next("clickstream")
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", node.fast.port), 10) as connection:
            connection.sendall(request(one()))
    (after,) = exchange(node.fast.port, request(one()))
    assert after.status == 200
    assert node.ingestion.position_next("clickstream") > before


def test_every_request_is_told_to_the_observer(node) -> None:
    told = []
    for port in (node.general.port, node.fast.port):
        node.served.clear()
        exchange(port, request(one()), request(one(DeliveryStreamName="nope")))
        wait_until(lambda: len(node.served) == 2)
        told.append([(s.service, s.operation, s.http_status, s.error_code) for s in node.served])
    assert told[0] == told[1]
    assert told[0][1][3] == "ResourceNotFoundException"
