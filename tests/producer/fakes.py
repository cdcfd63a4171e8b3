"""A delivery stream that fails as it is told to, as a transport and over HTTP."""

import base64
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from lakelet.producer.delivery import Answered, Refusal, Refused
from lakelet.producer.records import Record

OK = Answered({})
DOWN = Refused(Refusal.TRANSIENT, "ServiceUnavailableException: try later")
NO_SUCH_STREAM = Refused(Refusal.SETUP, "ResourceNotFoundException: no such stream")
INVALID = Refused(Refusal.CONTENT, "InvalidArgumentException: not this")

Behaviour = Callable[[Sequence[Record]], Answered | Refused]


@dataclass
class FakeStream:
    """A Transport that remembers. `script` answers the first requests, `then` the rest.

    A refused request may still have been taken: `taken_though_refused` says so.
    """

    script: list[Answered | Refused | Behaviour] = field(default_factory=list)
    then: Answered | Refused | Behaviour = OK
    taken_though_refused: bool = False
    requests: list[list[bytes]] = field(default_factory=list)
    arrived: list[bytes] = field(default_factory=list)
    before_answer: Callable[[], None] = lambda: None
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def put(self, records: Sequence[Record]) -> Answered | Refused:
        self.before_answer()
        with self._guard:
            self.requests.append([record.data for record in records])
            behaviour = self.script.pop(0) if self.script else self.then
            reply = behaviour(records) if callable(behaviour) else behaviour
            failures = reply.failures if isinstance(reply, Answered) else {}
            if isinstance(reply, Answered) or self.taken_though_refused:
                self.arrived += [r.data for i, r in enumerate(records) if i not in failures]
            return reply


def failing(*indices: int) -> Behaviour:
    """These indices of the request fail, the rest is taken."""
    return lambda records: Answered(
        {i: "InternalFailure: boom" for i in indices if i < len(records)}
    )


def poison(word: bytes) -> Behaviour:
    """A request holding `word` in any record is refused for its content."""
    return lambda records: INVALID if any(word in record.data for record in records) else OK


# --- over HTTP, for a real botocore client ----------------------------------------


@dataclass
class FakeFirehose:
    """What a test reads of the server below, and the behaviour it sets."""

    url: str = ""
    stream: FakeStream = field(default_factory=FakeStream)
    headers: list[dict[str, str]] = field(default_factory=list)
    stream_names: list[str] = field(default_factory=list)

    def answer(self, request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        records = [Record(base64.b64decode(r["Data"])) for r in request["Records"]]
        self.stream_names.append(request["DeliveryStreamName"])
        reply = self.stream.put(records)
        if isinstance(reply, Refused):
            code, _, message = reply.reason.partition(": ")
            status = 503 if reply.refusal is Refusal.TRANSIENT else 400
            return status, {"__type": code, "message": message}
        entries = [
            {"ErrorCode": "ServiceUnavailableException", "ErrorMessage": "Slow down."}
            if index in reply.failures
            else {"RecordId": f"record-{index}"}
            for index in range(len(records))
        ]
        return 200, {"FailedPutCount": len(reply.failures), "RequestResponses": entries}


@contextmanager
def firehose_server() -> Iterator[FakeFirehose]:
    """A Firehose on a free port of 127.0.0.1, only PutRecordBatch."""
    fake = FakeFirehose()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            fake.headers.append(dict(self.headers))
            status, answer = fake.answer(json.loads(body))
            data = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    fake.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
